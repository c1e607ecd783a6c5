"""Widgets in Python: packing, checks, frames for every choice, scripts; what a browser shows is tested beside it."""
import base64
import doctest
import html.parser
import importlib
import itertools
import json
import re
import sys
import zlib

import matplotlib
import numpy as np
import pytest
import torch

import sobolev_lib as sl
from sobolev_lib import book_output, widgets
from sobolev_lib.widgets import Explorer, ImagePanel, LinePanel, SurfacePanel, image_panel, line_panel, surface_panel
from sobolev_lib.widgets.packing import GAP, STEPS, Blobs, pack8, pack16, pack_signed

DOMAIN = ((-1.0, 1.0), (0.0, 2.0))
LINE = line_panel([0, 1], {"true": [0, 1]})
SCREEN = np.arange(84 * 84, dtype=np.uint8).reshape(84, 84)


def ramp(x):
    return x[:, 0] + 2 * x[:, 1]


@pytest.fixture
def book(monkeypatch):
    monkeypatch.setenv("SOBOLEV_BOOK_BUILD", "1")


@pytest.fixture
def jupyter(monkeypatch):
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD", raising=False)


class Page(html.parser.HTMLParser):
    """The widgets of a piece of HTML: attributes of their <div>, and their state."""

    def __init__(self, markup):
        super().__init__()
        self.found, self.inside = [], False
        self.feed(markup)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if attributes.get("class") == "sobolev-widget":
            self.found.append({"attributes": attributes})
        self.inside = attributes.get("type") == "application/json"

    def handle_data(self, data):
        if self.inside:
            self.found[-1]["state"] = json.loads(data)
            self.inside = False


def state_of(widget):
    found, = Page(widget._repr_html_()).found
    return found["state"]


# --- packing ----------------------------------------------------------------------------------------------------

def test_packing_round_trips_within_half_a_step():
    values = np.random.default_rng(0).normal(size=1000)
    low, high = values.min(), values.max()
    for pack, levels in ((pack8, 255), (pack16, GAP - 1)):
        unpacked = low + pack(values, low, high) / levels * (high - low)
        assert np.abs(unpacked - values).max() <= 0.5001 * (high - low) / levels


def test_packing_clips_and_keeps_gaps():
    assert pack8(np.array([-9.0, 9.0]), 0, 1).tolist() == [0, 255]
    assert pack16(np.array([-9.0, np.nan, 9.0]), 0, 1).tolist() == [0, GAP, GAP - 1]
    assert pack8(np.array([2.0, 2.0]), 2, 2).tolist() == [0, 0]


def test_equal_arrays_are_stored_once():
    blobs = Blobs()
    panels = [surface_panel(ramp, DOMAIN, 5, 3).pack(blobs) for _ in range(2)]
    assert panels[0] == panels[1] and len(blobs.used_by(panels)) == 2
    raw = base64.b64decode(blobs.used_by(panels)[panels[0]["z"]])
    np.testing.assert_array_equal(np.frombuffer(raw, np.uint8).reshape(5, 5)[0], [0, 21, 42, 64, 85])


def test_arrows_survive_packing():
    panel = surface_panel(lambda x: x[:, 0] ** 2 - 3 * x[:, 0] * x[:, 1], DOMAIN, 5, 8)
    blobs = Blobs()
    packed = panel.pack(blobs)
    codes = np.frombuffer(base64.b64decode(blobs.used_by([packed])[packed["arrows"]]), np.uint8)
    arrows = codes.reshape(8, 8, 2) / 255 * 2 - 1
    unpacked = arrows * np.linalg.norm(arrows, axis=-1, keepdims=True) * packed["longest"]
    assert np.abs(unpacked - panel.gradients).max() < 0.02 * packed["longest"]


def test_signed_numbers_round_trip_within_half_a_step_and_keep_their_zero():
    values = np.append(np.random.default_rng(0).normal(size=1000), 0)
    limit = np.abs(values).max()
    codes = pack_signed(values, limit)
    assert np.abs((codes / STEPS - 1) * limit - values).max() <= 0.5001 * limit / STEPS
    assert codes[-1] == STEPS
    assert pack_signed(np.array([-9.0, 9.0]), 1.0).tolist() == [0, 2 * STEPS]
    assert pack_signed(np.zeros(2), 0.0).tolist() == [STEPS] * 2


def inflated(panel, name):
    blobs = Blobs()
    packed = panel.pack(blobs)
    return np.frombuffer(zlib.decompress(base64.b64decode(blobs.used_by([packed])[packed[name]])), np.uint8)


@pytest.mark.parametrize("shape", [(84, 84), (210, 160, 3)])
def test_images_and_overlays_survive_packing(shape):
    random = np.random.default_rng(0)
    image, overlay = random.integers(0, 256, shape, np.uint8), random.normal(size=shape[:2])
    panel = image_panel(image[:, ::-1], overlay[:, ::-1])   # views of other arrays
    assert panel.pack(Blobs())["size"] == [shape[1], shape[0]]
    np.testing.assert_array_equal(inflated(panel, "image").reshape(shape), image[:, ::-1])
    unpacked = (inflated(panel, "overlay").reshape(shape[:2]) / STEPS - 1) * panel.limit
    assert np.abs(unpacked - overlay[:, ::-1]).max() <= 0.5001 * panel.limit / STEPS


def test_a_screen_under_several_overlays_is_stored_once():
    blobs = Blobs()
    overlays = [None, np.eye(84), -np.eye(84), 2 * np.eye(84)]   # the last looks like the first: each has its own limit
    packed = [image_panel(SCREEN.copy(), overlay).pack(blobs) for overlay in overlays]
    assert len({panel["image"] for panel in packed}) == 1 and "overlay" not in packed[0]
    assert len(blobs.used_by(packed)) == 3


def test_three_games_of_twelve_frames_weigh_less_than_500_kb(book):
    """Noise on two thirds of the screen, as in the gradients of untrained policies: the hardest to compress."""
    random = np.random.default_rng(0)

    def panels(game, frame):
        screen = np.zeros((84, 84), np.uint8)
        for row, column in random.integers(0, 78, (12, 2)):
            screen[row:row + 6, column:column + 6] = random.integers(0, 256, (6, 6))
        seen = np.arange(84)[:, None] >= 28
        return [image_panel(screen, random.laplace(size=(84, 84)) * seen, title="Student with the Sobolev loss",
                            caption="π(RIGHTFIRE) = 0.42, cosine 0.12") for _ in range(3)]

    figure = Explorer({"game": ["Pong", "Breakout", "Space Invaders"], "frame": list(range(1, 13))}, compute=panels)
    assert len(figure._repr_html_()) < 500_000


def test_fifty_frames_of_three_panels_weigh_less_than_400_kb(book):
    random = np.random.default_rng(0)

    def panel():
        return SurfacePanel(random.normal(size=(33, 33)), DOMAIN, random.normal(size=(12, 12, 2)),
                            points=random.uniform(size=(20, 2)), title="Regular", caption="test MSE 0.0123")

    figure = Explorer({"step": list(range(50))}, compute=lambda step: [panel() for _ in range(3)])
    assert len(figure._repr_html_()) < 400_000


# --- the book's HTML --------------------------------------------------------------------------------------------

def test_the_book_gets_every_combination_and_the_choice(book):
    asked = []

    def compute(function, N):
        asked.append((function, N))
        return [line_panel([0, 1], {"true": [0, N]}, title=function)]

    figure = Explorer({"function": ["a", "b"], "N": [20, 100, 10_000]}, compute=compute, initial={"N": 100}, play="N",
                      alt="Two <functions>")
    assert sorted(asked) == sorted(itertools.product(["a", "b"], [20, 100, 10_000]))
    found, = Page(figure._repr_html_()).found
    assert found["attributes"]["aria-label"] == "Two <functions>"
    state = found["state"]
    assert set(state["frames"]) == {f"{i},{j}" for i in range(2) for j in range(3)}
    assert state["frames"]["1,2"][0]["title"] == "b" and state["frames"]["1,2"][0]["yrange"] == [0, 10_000]
    assert state["selection"] == {"function": "a", "N": 100} and state["spec"]["play"] == "N"
    assert state["spec"]["axes"][1]["text"] == ["20", "100", "10,000"]
    assert [axis["numeric"] for axis in state["spec"]["axes"]] == [False, True]
    assert "<noscript>" in figure._repr_html_()


def test_frames_may_be_given(book):
    state = state_of(Explorer({"N": [1, 2]}, {1: LINE, (2,): [LINE, LINE]}))
    assert [len(state["frames"][key]) for key in ("0", "1")] == [1, 2]


def test_state_cannot_end_its_script(book):
    markup = Explorer({"N": [1]}, compute=lambda N: [line_panel([0, 1], {"</script><b>": [0, 1]})])._repr_html_()
    assert markup.count("</script>") == 2 and "<b>" not in markup
    assert state_of(book_output.StaticWidget(markup))["frames"]["0"][0]["curves"][0]["name"] == "</script><b>"


def assert_all_names_differ(script):
    names = re.findall(r"^(?:const|let|function|class) (\w+)", script, re.MULTILINE)
    assert len(names) == len(set(names)), "two files of a bundle define the same name"


def test_module_scripts_are_bundled_without_imports():
    for name in book_output.widget_names():
        module, classic = book_output.module_script(name), book_output.classic_script(name)
        assert not re.search(r"^import ", module, re.MULTILINE) and module.count("export default") == 1
        assert not re.search(r"\bexport\b", re.sub(r"//.*", "", classic))
        assert_all_names_differ(module)
    assert_all_names_differ(book_output.bundle("trainer"))
    with pytest.raises(ValueError, match="expected one of explorer, .*hypotheses, .*playground, plotly.*got 'nothing'"):
        book_output.module_script("nothing")
    with pytest.raises(ValueError, match="got 'common'"):
        book_output.module_script("common")


def test_scripts_are_written_and_need_no_network(tmp_path):
    written = book_output.write_scripts(tmp_path / "widgets")
    scripts = {path.name for path in written if path.suffix == ".js"}
    assert scripts == {"shim.js", *(f"{name}.js" for name in book_output.widget_names())} and "explorer.js" in scripts
    assert {"palette.css", "explorer.css"} <= {path.name for path in written}
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text) and "fetch(" not in text


def test_sources_are_short():
    for path in book_output.SOURCES.glob("*.js"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 350, path.name


def test_the_colour_map_is_viridis():
    text = (book_output.SOURCES / "common.js").read_text(encoding="utf-8")
    stops = re.findall(r"#[0-9a-f]{6}", text[text.index("VIRIDIS"):text.index("STOPS")])
    viridis = matplotlib.colormaps["viridis"]
    assert stops == [matplotlib.colors.to_hex(viridis(i / 16)) for i in range(17)]


# --- in Jupyter -------------------------------------------------------------------------------------------------

def answers(widget, key):
    sent = []
    widget.send = sent.append
    widget._answer(widget, {"type": "frame", "key": key}, [])
    message, = sent
    return message


def test_jupyter_computes_on_demand_and_once(jupyter):
    asked = []

    def compute(N):
        asked.append(N)
        return [line_panel([0, 1], {"true": [0, N]})]

    widget = Explorer({"N": [1, 2, 3]}, compute=compute)
    assert asked == [1] and list(widget.frames) == ["0"]
    message = answers(widget, "2")
    assert asked == [1, 3] and message["type"] == "frame"
    panel, = message["frames"]["2"]
    assert panel["yrange"] == [0, 3] and {panel["x"], panel["curves"][0]["y"]} <= set(message["blobs"])
    answers(widget, "2")
    assert asked == [1, 3]


def test_jupyter_gets_given_frames_at_once(jupyter):
    assert set(Explorer({"N": [1, 2]}, {1: LINE, 2: LINE}).frames) == {"0", "1"}


def test_an_error_while_computing_is_told_to_the_reader(jupyter):
    widget = Explorer({"N": [1, 0]}, compute=lambda N: [line_panel([0, 1], {"true": [0, 1 / N]})])
    message = answers(widget, "1")
    assert message == {"type": "error", "key": "1", "message": "ZeroDivisionError: division by zero"}


def test_selection_is_checked(jupyter):
    widget = Explorer({"N": [1, 2], "f": ["a", "b"]}, compute=lambda N, f: LINE)
    widget.selection = {"f": "b"}
    assert widget.selection == {"N": 1, "f": "b"}
    with pytest.raises(ValueError, match=r"expected f among \['a', 'b'\], got 'c'"):
        widget.selection = {"f": "c"}


def test_missing_anywidget_is_named_with_its_extra(monkeypatch):
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD", raising=False)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "sobolev_lib.widgets.live", raising=False)
    with pytest.raises(ImportError, match=r"anywidget is needed.*sobolev_lib\[widgets\]"):
        Explorer({"N": [1]}, compute=lambda N: LINE)


# --- panels -----------------------------------------------------------------------------------------------------

def test_surface_panel_samples_values_gradients_and_points():
    panel = surface_panel(ramp, DOMAIN, 5, 3, points=torch.tensor([[0.0, 1.0]]), zrange=(0, 4))
    assert panel.z[0, 4] == 1.0 and panel.z[4, 0] == 3.0 and panel.zrange == (0, 4)
    np.testing.assert_allclose(panel.gradients, np.broadcast_to([1.0, 2.0], (3, 3, 2)))
    assert panel.points.tolist() == [[0, 1]]
    assert surface_panel(ramp, DOMAIN, 5, 0).gradients is None


def test_line_panel_on_a_logarithmic_axis():
    packed = line_panel([0, 1, 2], {"Regular": [100, np.nan, 0.01]}, logy=True).pack(Blobs())
    assert packed["yrange"] == [-2, 2]
    assert packed["curves"][0]["look"] == "regular"
    packed = line_panel([1, 10, 100], {"Regular": [1, 2, 3]}, points=[[1000, 2]], logx=True).pack(Blobs())
    assert packed["xrange"] == [0, 3] and packed["logx"]


def test_line_panel_with_slopes_at_its_points():
    packed = line_panel([0, 1], {"network": [0, 1]}, points=[[0, 0], [1, 1]], slopes=[1 / 3, -2]).pack(Blobs())
    assert packed["slopes"] == [0.3333, -2] and "chosen" not in packed
    assert line_panel([0, 1], {"a": [0, 1]}, points=[[0, 0], [1, 1]], chosen=1).pack(Blobs())["chosen"] == 1


def test_line_panel_with_a_band():
    blobs = Blobs()
    packed = line_panel([0, 1], {"a": [0, 1], "b": [0, 0]}, bands={"a": [[-1, 0], [1, 4]]}).pack(blobs)
    assert packed["yrange"] == [-1, 4] and "band" not in packed["curves"][1]                # the axis holds the band, too
    raw = base64.b64decode(blobs.used_by([packed])[packed["curves"][0]["band"]])
    np.testing.assert_allclose(np.frombuffer(raw, "<u2") / (GAP - 1) * 5 - 1, [-1, 0, 1, 4], atol=1e-3)


def test_image_panel_takes_tensors_and_its_own_limit():
    overlay = torch.tensor([[0.5, -2.0], [0.0, 1.0]], requires_grad=True)
    panel = image_panel(torch.zeros(2, 2, dtype=torch.uint8), overlay, title="Pong")
    assert panel.limit == 2.0 and inflated(panel, "overlay").tolist() == [25, 0, 20, 30]
    given = image_panel(np.zeros((2, 2), np.uint8), overlay, limit=torch.tensor(1.0))
    assert given.limit == 1.0 and inflated(given, "overlay").tolist() == [30, 0, 20, 40]
    still = image_panel(np.zeros((2, 2), np.uint8), np.zeros((2, 2)))
    assert still.limit == 0.0 and inflated(still, "overlay").tolist() == [20] * 4


def test_labels_may_differ_between_frames_and_where_there_is_no_overlay(book):
    overlay, labels = np.eye(84), ("lowers", "raises")
    state = state_of(Explorer({"N": [1, 2]}, {
        1: [image_panel(SCREEN), image_panel(SCREEN, overlay, labels=labels), LINE], 2: image_panel(SCREEN, overlay)}))
    assert state["frames"]["0"][1]["labels"] == ["lowers", "raises"]
    assert state["frames"]["1"][0]["labels"] == ["negative", "positive"]


def test_the_space_kept_for_images_has_their_shape(book):
    markup = Explorer({"N": [1]}, {1: image_panel(np.zeros((210, 160), np.uint8))})._repr_html_()
    assert "aspect-ratio:160 / 210" in markup


Z = np.zeros((3, 3))
IMAGE = np.zeros((3, 4), np.uint8)
WRONG = {
    "axes empty": (lambda: Explorer({}, compute=len), TypeError, "one axis at least"),
    "axes list": (lambda: Explorer(["N"], compute=len), TypeError, "expected a dict"),
    "name": (lambda: Explorer({1: [1]}, compute=len), TypeError, "names that are strings"),
    "options string": (lambda: Explorer({"f": "abc"}, compute=len), TypeError, "expected a list of options"),
    "options none": (lambda: Explorer({"f": []}, compute=len), TypeError, "all strings or all numbers"),
    "options mixed": (lambda: Explorer({"f": [1, "a"]}, compute=len), TypeError, "all strings or all numbers"),
    "options bool": (lambda: Explorer({"f": [True, False]}, compute=len), TypeError, "all strings or all numbers"),
    "options twice": (lambda: Explorer({"f": [1, 1]}, compute=len), ValueError, "different options"),
    "options nan": (lambda: Explorer({"f": [float("nan")]}, compute=len), ValueError, "finite numbers"),
    "neither": (lambda: Explorer({"N": [1]}), ValueError, "got neither"),
    "both": (lambda: Explorer({"N": [1]}, {1: LINE}, len), ValueError, "got both"),
    "compute": (lambda: Explorer({"N": [1]}, compute=3), TypeError, "expected a function"),
    "frames list": (lambda: Explorer({"N": [1]}, [LINE]), TypeError, "frames: expected a dict"),
    "frames missing": (lambda: Explorer({"N": [1, 2]}, {1: LINE}), ValueError, r"1 missing \[\(2,\)\]"),
    "frames unknown": (lambda: Explorer({"N": [1]}, {1: LINE, 9: LINE}), ValueError, r"1 unknown \[\(9,\)\]"),
    "play": (lambda: Explorer({"N": [1]}, {1: LINE}, play="step"), ValueError, "got 'step'"),
    "initial name": (lambda: Explorer({"N": [1]}, {1: LINE}, initial={"M": 1}), ValueError, "got 'M'"),
    "initial option": (lambda: Explorer({"N": [1]}, {1: LINE}, initial={"N": 5}), ValueError, "got 5"),
    "frame type": (lambda: Explorer({"N": [1]}, compute=lambda N: [3]), TypeError, "list of panels"),
    "frame empty": (lambda: Explorer({"N": [1]}, compute=lambda N: []), TypeError, "list of panels"),
    "z shape": (lambda: SurfacePanel(np.zeros((3, 4)), DOMAIN), ValueError, r"expected shape \(n, n\)"),
    "z nan": (lambda: SurfacePanel(np.full((3, 3), np.nan), DOMAIN), ValueError, "9 that are not"),
    "z text": (lambda: SurfacePanel("abc", DOMAIN), TypeError, "array of numbers"),
    "gradients": (lambda: SurfacePanel(Z, DOMAIN, np.zeros((3, 4, 2))), ValueError, r"\(k, k, 2\)"),
    "panel points": (lambda: SurfacePanel(Z, DOMAIN, points=np.zeros(3)), ValueError, r"\(N, 2\)"),
    "zrange": (lambda: SurfacePanel(Z, DOMAIN, zrange=(1, 0)), ValueError, "low < high"),
    "x": (lambda: line_panel([0], {"a": [0]}), ValueError, "n >= 2"),
    "curves": (lambda: line_panel([0, 1], {}), ValueError, "one curve at least"),
    "curve length": (lambda: line_panel([0, 1], {"a": [1, 2, 3]}), ValueError, r"shape of x, \(2,\), got \(3,\)"),
    "curve inf": (lambda: line_panel([0, 1], {"a": [1, np.inf]}), ValueError, "finite"),
    "curve nan": (lambda: line_panel([0, 1], {"a": [np.nan] * 2}), ValueError, "only NaN"),
    "log of zero": (lambda: line_panel([0, 1], {"a": [0, 1]}, logy=True), ValueError, "positive numbers"),
    "log limits": (lambda: line_panel([0, 1], {"a": [1, 1]}, logy=True, yrange=(0, 1)), ValueError, "positive limits"),
    "log x of zero": (lambda: line_panel([0, 1], {"a": [1, 1]}, logx=True), ValueError, "x: expected positive numbers"),
    "band alone": (lambda: line_panel([0, 1], {"a": [0, 1]}, bands={"b": [[0, 1]] * 2}), ValueError, "names of curves, a, got 'b'"),
    "band short": (lambda: line_panel([0, 1], {"a": [0, 1]}, bands={"a": [0, 1]}), ValueError, r"\(2, 2\), got \(2,\)"),
    "band gap": (lambda: line_panel([0, 1], {"a": [0, 1]}, bands={"a": [[0, np.nan]] * 2}), ValueError, "finite"),
    "slopes alone": (lambda: line_panel([0, 1], {"a": [1, 1]}, slopes=[1]), ValueError, "one for each of 0 points"),
    "chosen": (lambda: line_panel([0, 1], {"a": [1, 1]}, points=[[0, 1]], chosen=1), ValueError, "one of 1 points, got 1"),
    "slopes short": (lambda: line_panel([0, 1], {"a": [1, 1]}, points=[[0, 1], [1, 1]], slopes=[1]), ValueError, "2 points"),
    "slopes on a log axis": (lambda: line_panel([0, 1], {"a": [1, 1]}, points=[[0, 1]], slopes=[1], logy=True), ValueError,
                             "no straight lines"),
    "image floats": (lambda: image_panel(IMAGE / 255), TypeError, "expected an array of uint8, got float64"),
    "image list": (lambda: image_panel([[0, 1]]), TypeError, "expected an array of uint8, got list"),
    "image shape": (lambda: image_panel(np.zeros((4, 84, 84), np.uint8)), ValueError, r"\(H, W\).*got \(4, 84, 84\)"),
    "image flat": (lambda: ImagePanel(np.zeros(9, np.uint8)), ValueError, r"\(H, W\).*got \(9,\)"),
    "image empty": (lambda: ImagePanel(np.zeros((0, 3), np.uint8)), ValueError, r"\(H, W\).*got \(0, 3\)"),
    "overlay shape": (lambda: image_panel(IMAGE, IMAGE.T), ValueError, r"image, \(3, 4\), got \(4, 3\)"),
    "overlay colour": (lambda: image_panel(np.zeros((3, 4, 3), np.uint8), np.zeros((3, 4, 3))), ValueError,
                       r"image, \(3, 4\), got \(3, 4, 3\)"),
    "overlay nan": (lambda: image_panel(IMAGE, np.full((3, 4), np.nan)), ValueError, "12 that are not"),
    "overlay text": (lambda: image_panel(IMAGE, "abc"), TypeError, "overlay: expected an array of numbers"),
    "limit zero": (lambda: image_panel(IMAGE, IMAGE, limit=0), ValueError, "finite number > 0, got 0"),
    "limit nan": (lambda: image_panel(IMAGE, limit=float("nan")), ValueError, "finite number > 0, got nan"),
    "limit pair": (lambda: image_panel(IMAGE, IMAGE, limit=(-1, 1)), TypeError, "expected a number, got tuple"),
    "limit tensor": (lambda: image_panel(IMAGE, IMAGE, limit=torch.ones(2)), TypeError, "expected a number, got Tensor"),
    "limit text": (lambda: image_panel(IMAGE, IMAGE, limit="1"), ValueError, "finite number > 0, got '1'"),
    "labels text": (lambda: image_panel(IMAGE, IMAGE, labels="ab"), ValueError, "expected two texts.*got 'ab'"),
    "labels three": (lambda: image_panel(IMAGE, IMAGE, labels=("a", "b", "c")), ValueError, "expected two texts"),
    "labels numbers": (lambda: image_panel(IMAGE, IMAGE, labels=(-1, 1)), ValueError, "expected two texts"),
    "labels none": (lambda: image_panel(IMAGE, IMAGE, labels=None), ValueError, "expected two texts.*got None"),
    "labels differ": (lambda: Explorer({"N": [1]}, {1: [image_panel(IMAGE, IMAGE), image_panel(
        IMAGE, IMAGE, labels=("a", "b"))]}), ValueError, "same labels for all overlays"),
    "no label": (lambda: book_output.widget_html("explorer", {}, " "), ValueError, "expected a description"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls(name, book):
    call, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("name", ["widgets", "widgets.packing", "widgets.panels", "widgets.explorer",
                                  "widgets.field_ball", "widgets.guide", "widgets.hypotheses", "widgets.lorenz_rollout", "widgets.showing", "widgets.live", "widgets.live_playground", "widgets.playground",
                                  "widgets.playground_settings", "book_output"])
def test_examples_in_docstrings_run(name, jupyter):
    import tempfile

    import plotly.graph_objects  # an example uses it

    module = importlib.import_module(f"sobolev_lib.{name}")
    extra = {"sl": sl, "np": np, "torch": torch, "plotly": plotly, "tempfile": tempfile, **{n: getattr(widgets, n) for n in widgets.__all__}}
    result = doctest.testmod(module, extraglobs=extra)
    assert result.failed == 0 and result.attempted


def test_panels_are_exported():
    assert isinstance(LINE, LinePanel) and set(widgets.__all__) <= set(dir(widgets))
