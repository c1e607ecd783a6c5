"""Figures hold what they should: right heights, arrows along the true gradient, one scale for all panels."""
import base64
import doctest
import importlib
import io
import itertools
import re
import sys
from xml.etree import ElementTree

import matplotlib
import matplotlib.pyplot
import numpy as np
import pytest
import torch
from PIL import Image

matplotlib.use("agg")

import sobolev_lib as sl
from sobolev_lib import book_output, plotting
from sobolev_lib.plotting import field as field_module
from sobolev_lib.plotting.palette import FILES, PALETTE, STATIC
from sobolev_lib.plotting.style import LOOKS, OTHERS, styles_of

DOMAIN = ((-1.0, 3.0), (0.0, 2.0))


def f(x):
    return x[:, 0] ** 2 + 3 * x[:, 0] * x[:, 1]


def gradient(points):
    return np.stack([2 * points[:, 0] + 3 * points[:, 1], 3 * points[:, 0]], axis=-1)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


def angle_differences(vectors, others):
    cosines = (vectors * others).sum(-1) / np.linalg.norm(vectors, axis=-1) / np.linalg.norm(others, axis=-1)
    return np.arccos(np.clip(cosines, -1, 1))


# --- sampling ---------------------------------------------------------------------------------------------------

def test_field_holds_values_and_gradients_with_rows_along_the_second_variable():
    sampled = plotting.surface_field(f, DOMAIN, resolution=5, arrows=4)
    assert sampled.x1[[0, -1]].tolist() == [-1, 3] and sampled.x2[[0, -1]].tolist() == [0, 2]
    assert sampled.values[0, 4] == pytest.approx(9.0)    # x1 = 3, x2 = 0
    assert sampled.values[4, 0] == pytest.approx(-5.0)   # x1 = -1, x2 = 2
    at = np.stack(np.meshgrid(sampled.at1, sampled.at2), axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(sampled.gradients.reshape(-1, 2), gradient(at), rtol=1e-12)


def test_field_of_a_module_in_its_own_dtype_and_in_evaluation_mode():
    model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
    first, second = (plotting.surface_field(model, DOMAIN, 3, 2) for _ in range(2))
    np.testing.assert_array_equal(first.values, second.values)   # dropout would make them differ
    assert model.training
    weight = (model[2].weight @ model[0].weight).detach().numpy().ravel()
    np.testing.assert_allclose(first.gradients[0, 0], weight, rtol=1e-5)


def test_arrows_keep_directions_and_have_the_square_root_of_the_length():
    vectors = field_module.arrow_vectors(np.array([[3.0, 4.0], [0.0, 0.0], [0.0, -20.0]]), longest=20.0)
    np.testing.assert_allclose(vectors, [[0.3, 0.4], [0, 0], [0, -1]])


# --- surfaces ---------------------------------------------------------------------------------------------------

def gradient_field(axes):
    """(starts, ends) of the arrows' shafts, and the height of the plane they lie in."""
    collection, = [c for c in axes.collections if c.get_gid() == "gradient-field"]
    lines = np.asarray(collection._segments3d)
    shafts = lines[:len(lines) // 3]
    return shafts[:, 0, :2], shafts[:, 1, :2], np.unique(lines[..., 2])


def test_matplotlib_arrows_lie_on_the_floor_along_the_gradient():
    figure = plotting.surface_with_field(f, DOMAIN, resolution=9, arrows=6)
    axes = figure.axes[0]
    starts, ends, heights = gradient_field(axes)
    assert len(starts) == 36
    middles = (starts + ends) / 2
    # the drawing keeps directions in the units of the domain
    assert angle_differences(ends - starts, gradient(middles)).max() < 1e-6
    assert heights.tolist() == [axes.get_zlim()[0]]
    assert axes.get_zlim()[0] < plotting.surface_field(f, DOMAIN, 9, 6).values.min() - 1
    lengths = np.linalg.norm((ends - starts) / (4, 2), axis=-1)
    assert lengths.max() <= 1 / 6                      # an arrow stays in its cell
    norms = np.linalg.norm(gradient(middles), axis=-1)
    assert lengths[norms.argmax()] > 2 * lengths[norms.argmin()]


def test_a_given_axes_is_drawn_into_and_returned():
    figure = matplotlib.pyplot.figure()
    axes = figure.add_subplot(projection="3d")
    assert plotting.surface_with_field(f, DOMAIN, ax=axes, title="f") is axes
    assert axes.get_title() == "f" and len(figure.axes) == 1


def test_compare_shares_limits_and_marks_points_matplotlib():
    points = torch.tensor([[0.0, 1.0], [1.0, 0.5]])
    figure = plotting.compare({"True": f, "Regular": lambda x: 2 * f(x)}, DOMAIN, points=points)
    left, right = figure.axes[:2]
    assert [left.get_title(), right.get_title()] == ["True", "Regular"]
    assert left.get_zlim() == right.get_zlim()
    surfaces = [axes.collections[0] for axes in (left, right)]
    assert surfaces[0].get_clim() == surfaces[1].get_clim() == pytest.approx((-10, 54))
    for axes in (left, right):
        marks, = [c for c in axes.collections if c.get_gid() == "points"]
        np.testing.assert_allclose(np.stack(marks._offsets3d[:2], axis=-1), points)
        assert set(np.asarray(marks._offsets3d[2])) == {axes.get_zlim()[0]}
    assert figure.get_facecolor() == (1, 1, 1, 1)


def test_compare_shares_limits_and_marks_points_plotly():
    figure = plotting.compare({"True": f, "Regular": lambda x: 2 * f(x)}, DOMAIN, points=[[0.0, 1.0]], arrows=5,
                              backend="plotly", alt="Two surfaces")
    surfaces = [trace for trace in figure.data if trace.type == "surface"]
    assert [surface.name for surface in surfaces] == ["True", "Regular"]
    assert {(surface.cmin, surface.cmax) for surface in surfaces} == {(-10.0, 54.0)}
    assert figure.layout.scene.zaxis.range == figure.layout.scene2.zaxis.range
    arrows, = [trace for trace in figure.data if trace.name == "∇f" and trace.scene == "scene"]
    path = np.stack([arrows.x, arrows.y], axis=-1).reshape(25, 7, 2)   # tail, tip, gap, three for the head, gap
    starts, ends = path[:, 0], path[:, 1]
    assert angle_differences(ends - starts, gradient((starts + ends) / 2)).max() < 1e-6
    assert np.nanmax(arrows.z) == figure.layout.scene.zaxis.range[0]
    points, = [trace for trace in figure.data if trace.name == "points" and trace.scene == "scene2"]
    assert (points.x[0], points.y[0]) == (0.0, 1.0)
    assert figure.layout.meta == {"alt": "Two surfaces"} and figure.layout.paper_bgcolor == "#ffffff"
    assert "$" not in figure.to_json()   # Plotly shows LaTeX raw in the book


def test_benchmarks_and_constant_limits_can_be_drawn():
    for benchmark in sl.functions.BENCHMARKS:
        plotting.surface_with_field(benchmark, benchmark.domain, resolution=5, arrows=3)
    plotting.surface_with_field(lambda x: 0 * x.sum(-1), DOMAIN, resolution=3, arrows=2)


def test_a_notebook_shows_a_figure_once(monkeypatch):
    monkeypatch.setattr(matplotlib.pyplot, "get_backend", lambda: "module://matplotlib_inline.backend_inline")
    figure = plotting.surface_with_field(f, DOMAIN, resolution=3, arrows=2)
    assert not matplotlib.pyplot.fignum_exists(figure.number)


# --- Plotly in the book -----------------------------------------------------------------------------------------

def test_plotly_in_the_book_is_light_and_labelled(monkeypatch):
    figure = plotting.compare(dict.fromkeys(("True", "Regular", "Sobolev"), f), DOMAIN, backend="plotly",
                              alt='Three "surfaces"')
    markup = book_output.plotly_html(figure.to_dict())
    assert 'role="group" aria-label="Three &quot;surfaces&quot;"' in markup   # no image: it has buttons
    assert len(markup) < 100_000
    assert "plotly.min.js" not in markup   # loaded once a page by the shim
    figure.update_layout(meta=None)
    with pytest.raises(ValueError, match=r"layout\.meta\['alt'\]"):
        book_output.plotly_html(figure.to_dict())


def test_the_renderer_is_active_in_the_book_only(monkeypatch):
    import plotly.io as pio

    before = pio.renderers.default
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD", raising=False)
    plotting.surface_with_field(f, DOMAIN, backend="plotly", alt="f")
    assert pio.renderers.default == before
    monkeypatch.setenv("SOBOLEV_BOOK_BUILD", "1")
    try:
        figure = plotting.surface_with_field(f, DOMAIN, backend="plotly", alt="f")
        bundle = figure._repr_mimebundle_()
        assert list(bundle) == ["text/html"] and 'data-widget="plotly"' in bundle["text/html"]
    finally:
        pio.renderers.default = before


# --- curves and bars --------------------------------------------------------------------------------------------

class History:
    steps = [0, 10, 20]
    train = {"loss": [1.0, 0.5, float("nan")]}
    validation = {"loss": [2.0, 1.0, 0.5], "mse": [3.0, 2.0, 1.0]}


def test_learning_curves_take_histories_and_dicts():
    as_dict = {"steps": [0, 5], "train": {"loss": [1.0, 0.1]}, "validation": {}}
    figure = plotting.learning_curves({"Regular": History(), "Sobolev": as_dict})
    axes = figure.axes[0]
    assert axes.get_yscale() == "log" and axes.get_ylabel() == "loss"
    labels = [line.get_label() for line in axes.lines]
    assert labels == ["Regular, train", "Regular, validation", "Sobolev, train"]
    assert [line.get_color() for line in axes.lines] == [LOOKS["regular"].colour] * 2 + [LOOKS["sobolev"].colour]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [2.0, 1.0, 0.5])
    assert plotting.learning_curves({"Regular": History()}, "mse").axes[0].lines[0].get_ydata()[0] == 3.0


def test_error_bars_stand_at_the_median_with_a_dot_for_each_seed():
    results = {"Booth": {20: {"regular": [1e-1, 1e-3, 1e-2], "sobolev": [1e-4, 1e-5, 1e-6]},
                         100: {"regular": [1e-2], "sobolev": [1e-6]}},
               "Beale": {20: {"regular": [1.0, 2.0]}}}
    figure = plotting.error_bars(results)
    booth, beale = figure.axes
    tops = sorted(bar.get_y() + bar.get_height() for bar in booth.patches)
    assert tops == pytest.approx([-6, -5, -2, -2])
    dots = np.concatenate([collection.get_offsets()[:, 1] for collection in booth.collections])
    assert sorted(dots) == pytest.approx([-6, -6, -5, -4, -3, -2, -2, -1])
    assert booth.get_ylim() == beale.get_ylim()
    assert [label.get_text() for label in booth.get_xticklabels()] == ["20", "100"]
    hatches = {bar.get_hatch() or "" for bar in booth.patches}
    assert len(hatches) == 2   # colour is not the only cue
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["regular", "sobolev"]


# --- figures with a caption, in the page's colours -----------------------------------------------------------------

def drawing(label="error"):
    with plotting.style.context():
        figure, axes = matplotlib.pyplot.subplots()
        for name in ("true", "regular", "sobolev"):
            axes.plot([1, 10, 1000], [1, 0.3, 0.002 * len(name)], label=name, **plotting.style_of(name).line(marker=True))
        axes.fill_between([1, 1000], [0.01, 0.01], [0.1, 0.1], color=LOOKS["sobolev"].colour, alpha=0.2)
        axes.axhline(0.5, color=plotting.style.INK)
        axes.set(xscale="log", yscale="log", xlabel="points $N$", ylabel=label)
        axes.legend()
    return figure


def shown(figure=None, caption="The error falls.", alt="Three falling lines"):
    return plotting.show(figure or drawing(), caption=caption, alt=alt)


def tree(picture):
    return ElementTree.fromstring(picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def test_a_shown_figure_has_a_caption_and_a_text_for_those_who_cannot_see_it():
    markup = shown(caption="Error < 5 % & falling.", alt='Lines "a" and b')._repr_html_()
    assert "<figcaption>Error &lt; 5 % &amp; falling.</figcaption>" in markup
    assert 'role="img" aria-label="Lines &quot;a&quot; and b"' in markup
    assert not matplotlib.pyplot.get_fignums()   # a notebook would show it again


@pytest.mark.parametrize("wrong, error, message", [
    ({"caption": " "}, ValueError, "caption: expected a sentence"), ({"alt": ""}, ValueError, "alt: expected a description"),
    ({"alt": None}, ValueError, "alt: expected"),
    ({"figure": [1]}, TypeError, "figure: expected a matplotlib figure, got list")])
def test_show_asks_for_figure_caption_and_alt(wrong, error, message):
    with pytest.raises(error, match=message):
        shown(**wrong)


def test_a_shown_figure_takes_the_colours_of_the_page():
    picture = shown().picture
    for name in ("ink", "soft", "line", "truth", "regular", "sobolev"):
        assert f"var(--sl-{name},#" in picture
    fixed = re.findall(r"[:\"]#[0-9a-f]{6}\b", picture)   # after a comma it is a variable's fallback
    assert fixed == [] and "DejaVu" not in picture and "<style" not in picture


def test_things_of_one_light_colour_have_one_dark_colour():
    # the picture knows a thing by its colour only
    dark = {}
    for look in PALETTE.values():
        assert dark.setdefault(look["light"], look["dark"]) == look["dark"]


def test_ids_of_shown_figures_are_their_own_and_all_lead_somewhere():
    pictures = [shown().picture, shown(drawing("other")).picture]
    ids = [re.findall(r' id="([^"]+)"', picture) for picture in pictures]
    assert all(ids) and not set(ids[0]) & set(ids[1])
    for picture, own in zip(pictures, ids):
        assert len(set(own)) == len(own)
        named = {one or other for one, other in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', picture)}
        assert named and named <= set(own)
        tree(picture)   # well-formed


def test_a_shown_figure_is_the_same_each_time():
    assert shown()._repr_html_() == shown()._repr_html_()


def test_text_stays_text_and_logarithmic_axes_show_plain_numbers():
    texts = ["".join(text.itertext()) for text in tree(shown().picture).iter("{http://www.w3.org/2000/svg}text")]
    assert {"1", "10", "100", "1,000", "0.1", "0.01", "error", "Sobolev".lower()} <= set(texts)
    with plotting.style.context():
        figure, axes = matplotlib.pyplot.subplots()
        axes.plot([1, 2], [1, 30])
        axes.set(yscale="log")
    plotting.style.finish(figure)
    figure.canvas.draw()
    assert {"1", "2", "5", "10", "20"} <= {label.get_text() for label in axes.get_yticklabels()}


def test_labels_set_by_hand_stay():
    figure = drawing()
    figure.axes[0].set_xticks([1, 1000], ["few", "many"])
    assert ">few<" in shown(figure).picture


def test_strokes_of_one_look_become_one_path_and_lose_nothing():
    figure = plotting.surface_with_field(f, DOMAIN, resolution=5, arrows=6, title="f")
    fields = [path for path in re.findall(r'<path d="([^"]*)"', shown(figure).picture) if path.count("M") >= 3 * 36]
    assert len(fields) == 1
    assert "<image" in shown(plotting.surface_with_field(f, DOMAIN, resolution=5, arrows=3)).picture   # the surface: pixels


def test_markers_of_one_look_say_it_once_and_stay_where_they_are():
    figure, axes = matplotlib.pyplot.subplots()
    axes.plot(range(50), range(50), "o", clip_on=False)
    axes.scatter(range(20), range(20), alpha=0.5)
    axes.set(xticks=[], yticks=[])
    space, root = "{http://www.w3.org/2000/svg}", tree(shown(figure).picture)
    groups = [[use.attrib for use in group if use.tag == f"{space}use"] for group in root.iter(f"{space}g") if group.get("style")]
    assert sorted(len(group) for group in groups) == [20, 50] and len(list(root.iter(f"{space}use"))) == 70
    places = [(float(use["x"]), float(use["y"])) for use in max(groups, key=len)]
    assert len(set(places)) == 50 and places == sorted(places, key=lambda place: place[0])
    assert all("style" not in use for group in groups for use in group)


def test_large_pixels_are_webp_and_look_the_same():
    figure, axes = matplotlib.pyplot.subplots(figsize=(4, 4))
    waves = np.sin(np.linspace(0, 6, 300))
    axes.imshow(waves[:, None] + waves, vmin=-2, vmax=2, interpolation="nearest")
    axes.set_axis_off()
    picture = shown(figure).picture
    shown_as = base64.b64decode(re.search(r"data:image/webp;base64,([^\"]*)", picture)[1])
    seen = np.asarray(Image.open(io.BytesIO(shown_as)).convert("RGB"), dtype=float)
    wanted = Image.fromarray((matplotlib.colormaps["viridis"](waves[:, None] / 4 + waves / 4 + 0.5)[..., :3] * 255).astype(np.uint8))
    assert np.abs(seen - np.asarray(wanted.resize(seen.shape[1::-1]))[::-1]).mean() < 4


def test_a_figure_of_very_many_shapes_becomes_pixels_at_twice_the_density():
    figure, axes = matplotlib.pyplot.subplots(figsize=(4, 3))
    axes.scatter(*np.random.default_rng(0).random((2, 15_000)))
    result = shown(figure)
    assert result.picture.startswith('<img class="sl-card" alt="Three falling lines" src="data:image/png;base64,')
    header = base64.b64decode(result.picture.split("base64,")[1][:64])
    assert int.from_bytes(header[16:20], "big") > 1.8 * result.width


def test_wide_figures_are_swiped_on_a_phone_and_reached_by_the_keyboard():
    figure, _ = matplotlib.pyplot.subplots(1, 2, figsize=(9, 3))
    wide = shown(figure)._repr_html_()
    assert "Swipe" in wide and 'tabindex="0"' in wide
    assert "Swipe" not in shown()._repr_html_() and "tabindex" not in shown()._repr_html_()   # one panel fits


def test_style_sheets_come_with_the_figure_except_on_the_site(monkeypatch):
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD", raising=False)
    assert "--sl-sobolev:" in shown()._repr_html_() and "--jp-content-font-color1" in shown()._repr_html_()
    monkeypatch.setenv("SOBOLEV_BOOK_BUILD", "1")
    assert "<style" not in shown()._repr_html_()


class Drawing:
    def _repr_html_(self):
        return "<b>drawing</b>"


class Live:
    def _repr_mimebundle_(self, **kwargs):
        return {"text/plain": "live"}


def test_what_shows_itself_gets_a_caption(monkeypatch):
    shown = plotting.captioned(Drawing(), "Two < three.")._repr_html_()
    assert "<b>drawing</b><figcaption>Two &lt; three.</figcaption></figure>" in shown and "<style>" in shown
    monkeypatch.setenv("SOBOLEV_BOOK_BUILD", "1")
    assert "<style>" not in plotting.captioned(Drawing(), "Two.")._repr_html_()


def test_a_live_widget_is_shown_itself_and_its_caption_after_it(monkeypatch):
    shown, live = [], Live()
    monkeypatch.setattr("IPython.display.display", shown.append)
    captioned = plotting.captioned(live, "It moves.")
    assert not hasattr(captioned, "_repr_html_")           # else it would be shown twice
    captioned._ipython_display_()
    assert shown[0] is live and "<figcaption>It moves.</figcaption>" in shown[1].data


@pytest.mark.parametrize("thing, caption, error, message", [
    (3, "A number.", TypeError, "thing: expected a widget or an object that shows itself as HTML .*, got int"),
    (matplotlib.pyplot.Figure(), "A figure.", TypeError, "plotting.show is for matplotlib figures"),
    (Drawing, "A class.", TypeError, "thing: expected a widget or an object"),
    (Drawing(), " ", ValueError, "caption: expected a sentence"),
    (Drawing(), None, ValueError, "caption: expected a sentence")])
def test_captioned_asks_for_what_shows_itself_and_a_sentence(thing, caption, error, message):
    with pytest.raises(error, match=message):
        plotting.captioned(thing, caption)


def test_the_look_is_used_only_where_it_is_asked_for():
    before = dict(matplotlib.rcParams)
    shown()
    plotting.error_bars({"Booth": {20: {"regular": [0.9]}}})
    plotting.compare({"True": f}, DOMAIN, resolution=5, arrows=3)
    assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context():
        plotting.style.use()
        assert matplotlib.rcParams["axes.grid"] and matplotlib.rcParams != before


# --- style ------------------------------------------------------------------------------------------------------

def luminance(colour):
    channels = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme, ground", [("light", "#ffffff"), ("dark", "#14181d")])
def test_colours_have_contrast_in_both_themes(theme, ground):
    for name, look in PALETTE.items():
        a, b = sorted((luminance(look[theme]), luminance(ground)))
        assert (b + 0.05) / (a + 0.05) >= 3, name


# What a red-blind, a green-blind and a blue-blind eye makes of linear RGB (Machado, Oliveira and Fernandes 2009).
EYES = {"all": np.eye(3),
        "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]}


def lab(colour, eye):
    channels = np.array([int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)])
    seen = np.clip(EYES[eye] @ np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4), 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    xyz /= (0.9505, 1, 1.089)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("together, least", [(("truth", "points", "slopes", "regular", "sobolev"), 24),
                                             (("backprop", "noprop", "direct", "vfbn", "critic", "sobolev"), 12),
                                             (("kl", "sobolev", "noise", "jacobian"), 12)])
def test_things_drawn_together_are_told_apart_by_every_eye(theme, eye, together, least):
    for a, b in itertools.combinations(together, 2):
        assert np.linalg.norm(lab(PALETTE[a][theme], eye) - lab(PALETTE[b][theme], eye)) > least, (a, b)


def test_points_have_the_colour_of_no_method():
    for name in ("points", "slopes"):
        assert PALETTE[name]["light"] not in {look["light"] for other, look in PALETTE.items() if other != name}


def test_what_scripts_palette_writes_is_current():
    for name, text in FILES.items():
        assert (STATIC / name).read_text(encoding="utf-8") == text(), "run python scripts/palette.py"


def test_methods_differ_in_more_than_colour_and_are_found_by_name():
    for part in ("marker", "dash", "hatch", "colour"):
        values = [getattr(style, part) for style in (*LOOKS.values(), *OTHERS)]
        assert len(set(values)) == len(values), part
    assert plotting.style_of("Sobolev, N = 20") == LOOKS["sobolev"]
    assert plotting.style_of("Regular training") == LOOKS["regular"]
    names = {"KL only": "kl", "KL + Sobolev": "sobolev", "KL with noise": "noise", "KL + full Jacobian": "jacobian",
             "critic": "critic", "critical": "other1", "VFBN": "vfbn", "points": "points", "truth": "truth"}
    assert {name: plotting.style_of(name).name for name in names} == names
    assert len(set(styles_of(["a", "b", "sobolev", "c"]).values())) == 4


# --- the paper's figure 1 ---------------------------------------------------------------------------------------

def test_the_graph_compares_order_by_order_and_only_the_student_learns():
    axes = plotting.loss_graph("x", ["m", "Dm", "D2m"], ["f", "Df", "D2f"]).axes[0]
    placed = {text.get_text(): text for text in axes.texts if text.get_text()}
    at = {name: text.get_position() for name, text in placed.items()}
    assert [at[name][1] for name in ("x", "m", "Dm", "D2m")] == [-1, 0, 1, 2]
    assert at["Dm"][0] == -at["Df"][0] and at["Dm"][1] == at["Df"][1] == at["loss $\\ell_1$"][1]
    arrows = [text.arrow_patch for text in axes.texts if getattr(text, "arrow_patch", None)]
    dashed = {name for name in at for arrow in arrows
              if arrow.patchA is placed[name].get_bbox_patch() and arrow.get_linestyle() != "-"}
    assert len(arrows) == 12 and dashed == {"x", "f", "Df", "D2f"}     # x feeds both: one of its arrows is solid


# --- wrong calls ------------------------------------------------------------------------------------------------

HISTORY = {"steps": [0, 1], "train": {"loss": [1, 2]}, "validation": {}}
WRONG = {
    "domain reversed": (lambda: plotting.surface_with_field(f, ((1, 0), (0, 1))), ValueError, "low < high"),
    "domain flat": (lambda: plotting.surface_with_field(f, (0, 1)), ValueError, r"expected \(\(low, high\)"),
    "resolution": (lambda: plotting.surface_with_field(f, DOMAIN, resolution=1), ValueError, "integer >= 2, got 1"),
    "arrows": (lambda: plotting.surface_with_field(f, DOMAIN, arrows=0), ValueError, "integer >= 1, got 0"),
    "backend": (lambda: plotting.surface_with_field(f, DOMAIN, backend="bokeh"), ValueError, "got 'bokeh'"),
    "two outputs": (lambda: plotting.surface_with_field(lambda x: x, DOMAIN), ValueError, "one number per point"),
    "numpy": (lambda: plotting.surface_with_field(lambda x: x.sum(-1).numpy(), DOMAIN), TypeError, "ndarray"),
    "not finite": (lambda: plotting.surface_with_field(lambda x: (x[:, 0] - 9).log(), DOMAIN), ValueError, "finite"),
    "points": (lambda: plotting.surface_with_field(f, DOMAIN, points=[1.0, 2.0]), ValueError, r"expected shape \(N, 2"),
    "flat axes": (lambda: plotting.surface_with_field(f, DOMAIN, ax=matplotlib.pyplot.figure().add_subplot()),
                  ValueError, "3-D axes"),
    "axes for plotly": (lambda: plotting.surface_with_field(f, DOMAIN, ax=object(), backend="plotly"), ValueError,
                        "expected none"),
    "no functions": (lambda: plotting.compare({}, DOMAIN), ValueError, "one at least"),
    "a function": (lambda: plotting.compare(f, DOMAIN), ValueError, "expected a dict"),
    "no histories": (lambda: plotting.learning_curves({}), ValueError, "one at least"),
    "no history": (lambda: plotting.learning_curves({"a": [1, 2]}), TypeError, "expected a History"),
    "metric": (lambda: plotting.learning_curves({"a": HISTORY}, "mse"), ValueError, r"\['loss'\], got 'mse'"),
    "lengths": (lambda: plotting.learning_curves({"a": {**HISTORY, "steps": [0]}}), ValueError, "expected 1 values"),
    "no results": (lambda: plotting.error_bars({}), ValueError, "one at least"),
    "zero error": (lambda: plotting.error_bars({"f": {20: {"regular": [0.0]}}}), ValueError, "positive finite"),
    "one number": (lambda: plotting.error_bars({"f": {20: {"regular": 0.5}}}), ValueError, "a list of positive"),
    "two graphs": (lambda: plotting.loss_graph("x", ["m", "Dm"], ["f"]), ValueError, "as many texts in both.* got 2 and 1"),
    "no graph": (lambda: plotting.loss_graph("x", [], []), ValueError, "1 to 4, got 0 and 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls(name):
    call, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("backend, module", [("matplotlib", "matplotlib.pyplot"), ("plotly", "plotly.graph_objects")])
def test_a_missing_backend_is_named_with_its_extra(monkeypatch, backend, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"{backend} is needed.*sobolev_lib\[plot\]"):
        plotting.surface_with_field(f, DOMAIN, backend=backend)


@pytest.mark.parametrize("name", ["plotting", "plotting.field", "plotting.graph", "plotting.palette", "plotting.shown", "plotting.captioned",
                                  "plotting.style", "plotting.surfaces", "plotting.svg", "plotting.curves", "plotting.regressors"])
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(f"sobolev_lib.{name}")
    extra = {"sl": sl, "sobolev_lib": sl, "np": np, "torch": torch, "f": sl.functions.booth, "model": sl.models.MLP(2, 4, 1),
             "x": sl.functions.booth.sample(3), "matplotlib": matplotlib, **vars(plotting)}
    result = doctest.testmod(module, extraglobs=extra, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0 and result.attempted
