"""Arrows in a plane: what is packed, what is refused, and what a reader sees."""
import numpy as np
import pytest

from sobolev_lib.plotting.palette import PALETTE
from sobolev_lib.widgets import Explorer, line_panel, plane_panel
from sobolev_lib.widgets.packing import Blobs

TURN = np.linspace(0, 2 * np.pi, 40)
CIRCLE = np.stack([np.cos(TURN), np.sin(TURN)], axis=1)


def film():
    def frame(draws):
        end = [0.8 * np.cos(draws), 0.8 * np.sin(draws)]
        arrow = plane_panel({"v": end}, paths={"all v": CIRCLE}, limit=1.2, title="Arrow", caption=f"draw {draws}")
        other = plane_panel({"Jacobian's error": end}, points=[[0.5, 0.5]], limit=1.2, title="Seen")
        return [arrow, other, line_panel([1, 2, 3], {"true": [1, 1, 1]}, title="Mean")]

    return Explorer({"draws": [1, 2, 3]}, {n: frame(n) for n in (1, 2, 3)}, play="draws", alt="An arrow that turns")


def test_names_decide_the_looks_and_arrays_are_stored_once():
    blobs = Blobs()
    packed = plane_panel({"Jacobian's error": [1, 0], "v": (0, 2)}, paths={"all v": CIRCLE, "again": CIRCLE}).pack(blobs)
    assert packed["limit"] == 2.0 and [curve["look"] for curve in packed["curves"]] == ["jacobian", "other1", "other2", "other3"]
    assert packed["curves"][2]["y"] == packed["curves"][3]["y"] and "points" not in packed
    assert set(blobs.used_by([packed])) == {packed["curves"][2]["y"]}
    assert plane_panel({"v": [0, 0]}).limit == 1.0


@pytest.mark.parametrize("wrong, message", [
    (lambda: plane_panel({}), "one arrow at least"),
    (lambda: plane_panel([1, 2]), "one arrow at least"),
    (lambda: plane_panel({"v": [1, 2, 3]}), r"expected shape \(2,\)"),
    (lambda: plane_panel({"v": [1, np.nan]}), "1 that are not"),
    (lambda: plane_panel({"v": [1, 2]}, paths={"p": [1, 2]}), r"expected shape \(n, 2\)"),
    (lambda: plane_panel({"v": [1, 2]}, points=[1, 2, 3]), r"\(N, 2\)"),
    (lambda: plane_panel({"v": [1, 2]}, limit=0), "finite number > 0"),
    (lambda: plane_panel({"v": [1, -2]}, limit=1.5), "limit: expected at least 2, as far as what is drawn, got 1.5"),
    (lambda: plane_panel({"v": [0, 1]}, paths={"p": 3 * CIRCLE}, limit=2), "limit: expected at least 3"),
    (lambda: plane_panel({"v": [0, 1]}, points=[[4, 0]], limit=2), "limit: expected at least 4"),
])
def test_wrong_plane_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_the_arrow_turns_and_takes_the_colours_of_the_theme(read):
    reader = read(film()).ready()
    assert reader.page.locator("canvas").count() == 3 and all(reader.ink(i) > 0.01 for i in range(3))
    assert reader.page.locator(".sbx-legend").all_inner_texts()[0].split() == ["v", "all", "v"]
    assert "arrows and paths v, all v" in reader.page.locator("canvas").first.get_attribute("aria-label")
    slider = reader.page.get_by_role("slider", name="draws")
    slider.focus()
    reader.page.keyboard.press("Home")
    before = reader.pixels(0)
    reader.page.keyboard.press("ArrowRight")
    assert reader.pixels(0) != before and reader.captions()[0] == "draw 2"
    colours = {}
    for theme in ("light", "dark"):
        reader.page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        reader.page.wait_for_timeout(100)
        reader.settle()
        colours[theme] = reader.page.evaluate("""() => { const c = document.querySelectorAll('canvas')[1];
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, seen = new Set();
            for (let k = 0; k < d.length; k += 4) if (d[k + 3] === 255) seen.add(d.slice(k, k + 3).join());
            return [...seen]; }""")
        assert ",".join(str(b) for b in bytes.fromhex(PALETTE["jacobian"][theme][1:])) in colours[theme]


@pytest.mark.parametrize("width", [900, 360])
def test_planes_stand_side_by_side_and_the_place_is_kept(read, width):
    reader = read(f'<div style="height: 6000px"></div>{film()._repr_html_()}', viewport={"width": width, "height": 700})
    kept = reader.height()
    reader.page.locator(".sobolev-widget").scroll_into_view_if_needed()
    reader.ready()
    assert reader.height() == pytest.approx(kept, abs=1)
    first, second, curves = (canvas.bounding_box() for canvas in reader.page.locator("canvas").all())
    assert first["y"] == second["y"] and first["width"] == pytest.approx(first["height"], rel=0.01)
    assert (curves["y"] > first["y"] + first["height"]) == (width < 520)
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
