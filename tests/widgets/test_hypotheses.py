"""The figure of hypotheses: its mathematics in all positions, and what a reader does with it, in headless Chromium."""
import itertools
import json

import numpy as np
import pytest
from readers import KERNEL

from sobolev_lib import book_output
from sobolev_lib.plotting.palette import PALETTE
from sobolev_lib.widgets import Hypotheses

KNOTS = [(0.0, 0.25), (0.36, 0.8), (0.64, 0.25), (1.0, 0.7)]
HEIGHTS = [0.1, 0.95]
FUNCTIONS = """([source, calls]) => {
  const f = new Function(source + '; return { withValues, withSlopes, places, sentence };')();
  return calls.map(([name, ...args]) => f[name](...args)); }"""


def value_and_slope(vertices, x):
    x0, y0 = np.array(vertices, dtype=float).T
    i = np.searchsorted(x0, x) - 1
    slope = (y0[i + 1] - y0[i]) / (x0[i + 1] - x0[i])
    return y0[i] + slope * (x - x0[i]), slope


@pytest.fixture
def figure(read):
    return opened(read)


def opened(read, **options):
    reader = read(Hypotheses(), **options)
    reader.page.wait_for_selector(".sobolev-widget[data-ready] .shp-handle")
    reader.settle()
    return reader


def curves(reader, panel):
    return reader.page.locator("figure").nth(panel).locator(".shp-fits").count()


def places(reader):
    return [float(handle.get_attribute("aria-valuenow")) for handle in reader.page.get_by_role("slider").all()]


def says(reader):
    return reader.page.locator("[aria-live=polite]").inner_text()


# --- mathematics ------------------------------------------------------------------------------------------------

def test_what_is_drawn_agrees_with_the_function_wherever_the_points_lie(read):
    source = book_output.bundle("hypotheses_model")
    grid = [0.02, 0.1, 0.3, 0.35, 0.37, 0.5, 0.63, 0.65, 0.8, 0.98]
    triples = [list(triple)[::-1] for triple in itertools.combinations(grid, 3)]   # the order must not matter
    page = read("<p></p>").page
    pairs = page.evaluate(FUNCTIONS, [source, [[name, KNOTS, points, HEIGHTS] for points in triples
                                               for name in ("withValues", "withSlopes")]])
    for points, values, slopes in zip(triples, pairs[::2], pairs[1::2]):
        for functions, with_slopes in ((values, False), (slopes, True)):
            for vertices in functions:
                x, y = np.array(vertices).T
                assert len(x) == 4 and x[0] == 0 and x[3] == 1 and (np.diff(x) > 0).all()   # continuous, of three pieces
                assert (y > HEIGHTS[0] - 1e-9).all() and (y < HEIGHTS[1] + 1e-9).all()
                for point in points:
                    ours, true = value_and_slope(vertices, point), value_and_slope(KNOTS, point)
                    assert ours[0] == pytest.approx(true[0], abs=1e-6)
                    assert not with_slopes or ours[1] == pytest.approx(true[1], abs=1e-6)
            assert len({tuple(np.round(np.ravel(v), 6)) for v in functions}) == len(functions)
        assert len(values) >= 4
        if len({(p > 0.36) + (p > 0.64) for p in points}) == 3:
            np.testing.assert_allclose(slopes, [KNOTS], atol=1e-9)
        else:
            assert len(slopes) >= 4, points


def test_the_same_points_give_the_same_functions_and_the_next_ones_differ(read):
    source = book_output.bundle("hypotheses_model")
    call = ["withValues", KNOTS, [0.1, 0.5, 0.9], HEIGHTS, 16]
    first, again, others = read("<p></p>").page.evaluate(FUNCTIONS, [source, [[*call, 0], [*call, 0], [*call, 300]]])
    assert first == again and len(first) == 16
    assert not any(one in first for one in others)


# --- a reader ---------------------------------------------------------------------------------------------------

def test_slopes_leave_one_function_until_two_points_share_a_piece(figure):
    assert curves(figure, 0) == 16 and curves(figure, 1) == 1
    assert says(figure).startswith("One point in each piece. With slopes one function is left")
    height = figure.height()
    figure.page.get_by_role("button", name="Two in one piece").click()
    assert curves(figure, 1) > 3 and "Two points share the first piece, the last one has none" in says(figure)
    figure.page.get_by_role("button", name="All in one piece").click()
    assert curves(figure, 1) > 3 and "All points lie in the middle piece" in says(figure)
    assert figure.height() == height
    before = figure.page.locator(".shp-fits").first.get_attribute("points")
    figure.page.get_by_role("button", name="Draw others").click()
    assert figure.page.locator(".shp-fits").first.get_attribute("points") != before


@pytest.mark.parametrize("panel", [0, 1])
def test_the_pointer_drags_a_point_along_the_function(figure, panel):
    svg = figure.page.locator("figure svg").nth(panel)
    box = svg.bounding_box()
    handle = svg.locator("[data-point='2']").bounding_box()
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    mouse = figure.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(box["x"] + 0.5 * box["width"], y, steps=8)
    mouse.up()
    before = places(figure)
    assert before[2] == pytest.approx(0.5, abs=0.011) and curves(figure, 1) > 3
    after = svg.locator("[data-point='2']").bounding_box()
    inner = box["height"] - 12
    expected = box["y"] + box["height"] - 6 - (value_and_slope(KNOTS, before[2])[0] - 0.1125) / 0.825 * inner
    assert after["y"] + after["height"] / 2 == pytest.approx(expected, abs=2)
    mouse.move(box["x"] + 0.9 * box["width"], y)                                     # no longer held
    assert places(figure) == before
    mouse.move(after["x"] + after["width"] / 2, after["y"] + after["height"] / 2)
    mouse.down()
    mouse.move(box["x"] - 500, y)                                                    # far out, and over the other points
    mouse.up()
    assert places(figure)[2] == pytest.approx(0.02) and len(set(places(figure))) == 3


@pytest.mark.slow
def test_arrow_keys_move_a_point_over_hinges_and_other_points_and_do_not_scroll(figure):
    point = figure.page.get_by_role("slider", name="Point 1")
    point.focus()
    seen = [places(figure)[0]]
    for _ in range(80):
        figure.page.keyboard.press("ArrowRight")
        seen.append(places(figure)[0])
    assert seen == sorted(seen) and seen[-1] == 0.98
    assert not {0.36, 0.57, 0.64, 0.93} & set(seen) and np.diff(seen).max() < 0.045
    assert point.get_attribute("aria-valuetext") == "0.98, in the last piece"
    assert "Two points share the last piece, the first one has none" in says(figure)
    figure.page.keyboard.press("Home")
    assert places(figure)[0] == 0.02 and curves(figure, 1) == 1
    assert figure.page.evaluate("scrollY") == 0
    ring = point.locator(".shp-ring").evaluate("el => getComputedStyle(el).stroke")
    assert ring == "rgb(61, 155, 224)"                                               # focus is visible


def test_the_tab_key_reaches_buttons_and_points_once(figure):
    reached = []
    for _ in range(8):
        figure.page.keyboard.press("Tab")
        reached.append(figure.page.evaluate("document.activeElement.getAttribute('role') || document.activeElement.tagName"))
    assert reached == ["BUTTON"] * 4 + ["slider"] * 3 + ["BODY"]
    for button in figure.page.get_by_role("button").all():
        assert min(button.bounding_box()[side] for side in ("width", "height")) >= 24


def rgb(colour):
    return f"rgb({int(colour[1:3], 16)}, {int(colour[3:5], 16)}, {int(colour[5:], 16)})"


def test_lines_take_the_colours_of_the_theme(figure):
    colour = "el => getComputedStyle(el).stroke"
    line, fits = figure.page.locator("polyline.shp-true").first, figure.page.locator("figure").nth(1).locator(".shp-fits")
    assert line.evaluate(colour) == rgb(PALETTE["truth"]["light"])
    figure.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    figure.page.wait_for_function("([line, dark]) => getComputedStyle(line).stroke === dark",
                                  arg=[line.element_handle(), rgb(PALETTE["truth"]["dark"])])
    assert fits.evaluate(colour) == rgb(PALETTE["sobolev"]["dark"])


@pytest.mark.parametrize("width", [900, 360])
def test_fits_its_place_which_is_kept_before_it_is_there(read, width):
    options = {"viewport": {"width": width, "height": 740}}
    reader = read(f'<div style="height: 6000px"></div>{Hypotheses()._repr_html_()}', **options)
    kept = reader.height()
    reader.page.locator(".sobolev-widget").scroll_into_view_if_needed()
    reader.page.wait_for_selector(".sobolev-widget[data-ready] .shp-handle")
    reader.settle()
    assert reader.height() == pytest.approx(kept, abs=1)
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
    left, right = (svg.bounding_box() for svg in reader.page.locator("figure svg").all())
    assert right["y"] == left["y"] and right["x"] > left["x"] + left["width"] > 150      # beside each other on a phone, too
    height = reader.height()
    for name in ("Two in one piece", "All in one piece"):
        reader.page.get_by_role("button", name=name).click()
        assert reader.height() == height


def test_a_finger_drags_on_a_phone(read):
    reader = opened(read, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    handle = reader.page.locator("figure").first.locator("[data-point='0']")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    assert box["width"] >= 24 and box["height"] >= 24
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = reader.page.context.new_cdp_session(reader.page)
    for kind, at in (("touchStart", x), ("touchMove", x - 10), ("touchMove", x - 30), ("touchEnd", None)):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if at is None else [{"x": at, "y": y}]})
    reader.settle()
    width = reader.page.locator("figure svg").first.bounding_box()["width"]
    assert places(reader)[0] == pytest.approx(0.27 - 30 / (width - 12), abs=0.03)


# --- Python -----------------------------------------------------------------------------------------------------

def test_jupyter_reads_and_sets_the_points(read, monkeypatch):
    reader = read('<div id="stage"></div>')
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD")
    widget = Hypotheses(points=[0.1, 0.5, 0.9])
    reader.page.expose_function("saved", lambda _: None)
    state = {name: getattr(widget, name) for name in ("knots", "points", "heights", "alt")}
    reader.page.evaluate("state => { window.state = state; }", json.loads(json.dumps(state)))
    reader.page.evaluate(KERNEL, book_output.module_script("hypotheses"))
    reader.page.wait_for_selector(".shp-handle")
    assert places(reader) == [0.1, 0.5, 0.9]
    reader.page.evaluate("window.model.set('points', [0.1, 0.2, 0.9])")
    assert places(reader) == [0.1, 0.2, 0.9] and curves(reader, 1) > 3
    reader.page.get_by_role("slider", name="Point 1").focus()
    reader.page.keyboard.press("ArrowRight")
    assert reader.page.evaluate("window.model.get('points')") == pytest.approx([0.11, 0.2, 0.9])
    widget.points = [0.3, 0.5, 0.7]
    with pytest.raises(ValueError, match="none on a bend"):
        widget.points = [0.36, 0.5, 0.7]


@pytest.mark.parametrize("arguments, message", [
    ({"knots": KNOTS[:3]}, "four corners"), ({"knots": KNOTS[::-1]}, "from left to right"),
    ({"knots": [(0, 0), (1, 1), (2, 2), (3, 0)]}, "bend between"), ({"points": [0.1, 0.5]}, "three places"),
    ({"points": [0.1, 0.1, 0.5]}, "different places"), ({"points": [0.1, 0.5, 1.5]}, "three places between")])
def test_a_wrong_call_is_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        Hypotheses(**arguments)
