"""Widgets as a reader meets them: a page opened from disk, without a network, in headless Chromium."""
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from readers import KERNEL

from sobolev_lib import book_output
from sobolev_lib.plotting.palette import PALETTE
from sobolev_lib.widgets import Explorer, SurfacePanel, Wave, image_panel, line_panel, surface_panel
from sobolev_lib.widgets.panels import OVERLAY

DOMAIN = ((-1.0, 1.0), (-1.0, 1.0))
NEGATIVE, POSITIVE = (np.array([int(colour[i:i + 2], 16) for i in (1, 3, 5)]) for colour in OVERLAY)


def bowl(a):
    return lambda x: a * (x ** 2).sum(-1)


def surfaces(function, N):
    a = {"bowl": 1.0, "hill": -1.0}[function]
    return [surface_panel(bowl(a), DOMAIN, 17, 6, title="True"),
            surface_panel(bowl(a * N), DOMAIN, 17, 6, points=[[0.5, 0.5]], title="Sobolev", caption=f"N is {N}")]


def curves(step):
    x = np.linspace(0, 1, 30)
    return [line_panel(x, {"True": x, "Regular": x * step / 10}, xlabel="x", title="Fit", caption=f"step {step}",
                       yrange=(0, 1))]


@pytest.fixture
def explorer(read):
    figure = Explorer({"function": ["bowl", "hill"], "N": [1, 2, 5]}, compute=surfaces, alt="Two bowls")
    return read(figure).ready()


def test_panels_are_drawn(explorer):
    assert explorer.page.locator("canvas").count() == 2
    assert all(0.1 < explorer.ink(i) < 0.9 for i in range(2))
    assert explorer.page.locator(".sbx-title").all_inner_texts() == ["True", "Sobolev"]
    assert explorer.page.locator(".sbx-bar span").count() >= 3
    assert explorer.page.locator(".sobolev-placeholder").count() == 0


def test_dropdown_changes_the_picture_and_moves_nothing(explorer):
    before, height = explorer.pixels(), explorer.height()
    explorer.page.get_by_label("function").select_option(label="hill")
    assert explorer.pixels() != before and explorer.height() == height


def test_slider_follows_the_keyboard_and_says_so(explorer):
    before = explorer.pixels(0)
    slider = explorer.page.get_by_role("slider", name="N")
    slider.focus()
    explorer.page.keyboard.press("ArrowRight")
    explorer.page.keyboard.press("ArrowRight")
    assert explorer.captions()[1] == "N is 5" and explorer.pixels(0) != before
    assert slider.get_attribute("aria-valuetext") == "5"
    assert explorer.page.locator("output").inner_text() == "5"
    assert "N 5" in explorer.page.locator("[aria-live=polite]").inner_text()


def test_dragging_turns_all_panels(explorer):
    before = explorer.pixels(0), explorer.pixels(1)
    box = explorer.page.locator("canvas").first.bounding_box()
    explorer.page.mouse.move(box["x"] + 100, box["y"] + 100)
    explorer.page.mouse.down()
    explorer.page.mouse.move(box["x"] + 160, box["y"] + 120, steps=4)
    explorer.page.mouse.up()
    assert explorer.pixels(0) != before[0] and explorer.pixels(1) != before[1]
    after = explorer.pixels(0)
    explorer.page.mouse.move(box["x"] + 50, box["y"] + 50)   # no longer held
    assert explorer.pixels(0) == after


def test_arrow_keys_turn_and_do_not_scroll(explorer):
    group = explorer.page.get_by_role("group", name="arrow keys")
    group.focus()
    pictures = [explorer.pixels()]
    for key in ("ArrowLeft", "ArrowUp", "ArrowDown", "ArrowRight"):
        explorer.page.keyboard.press(key)
        pictures.append(explorer.pixels())
    assert len(set(pictures)) == 3 and pictures[0] == pictures[-1]   # there and back again
    assert explorer.page.evaluate("scrollY") == 0
    outline = group.evaluate("el => getComputedStyle(el).outlineStyle")
    assert outline == "solid"   # focus is visible


def test_every_control_is_reached_by_the_tab_key(explorer):
    reached = []
    for _ in range(4):
        explorer.page.keyboard.press("Tab")
        reached.append(explorer.page.evaluate("document.activeElement.tagName"))
    assert reached == ["SELECT", "INPUT", "BUTTON", "DIV"]


def test_map_shows_heights_where_they_are(read):
    """Low is purple and high is yellow; x1 grows to the right, x2 to the top."""
    grid = np.linspace(0, 1, 9)
    figure = Explorer({"N": [1]}, compute=lambda N: [
        SurfacePanel(np.tile(grid, (9, 1)), DOMAIN), SurfacePanel(np.tile(grid[:, None], (1, 9)), DOMAIN)])
    reader = read(figure).ready()
    reader.page.get_by_role("button", name="Show as map").click()
    reader.settle()
    purple, yellow = [68, 1, 84], [253, 231, 37]
    colour = """([i, x, y]) => { const c = document.querySelectorAll('canvas')[i];
      return [...c.getContext('2d').getImageData(x * c.width, y * c.height, 1, 1).data].slice(0, 3); }"""
    places = {(0, 0.2, 0.5): purple, (0, 0.9, 0.5): yellow, (1, 0.5, 0.1): yellow, (1, 0.5, 0.8): purple}
    for place, expected in places.items():
        found = reader.page.evaluate(colour, list(place))
        assert np.abs(np.array(found) - expected).max() < 60, (place, found)
    assert reader.page.get_by_role("button", name="Show in 3-D").is_visible()


@pytest.mark.parametrize("width", [390, 1000])
def test_colours_are_told_below_the_surfaces_and_above_their_history(read, width):
    panels = [*surfaces("bowl", 2), surfaces("bowl", 3)[0], line_panel([0, 1], {"Sobolev": [1, 0]}, xlabel="step")]
    reader = read(Explorer({"N": [1]}, {1: panels}), viewport={"width": width, "height": 1000}).ready()
    assert reader.page.locator(".sbx-bar p").inner_text() == "value"
    surface, history = (reader.page.locator(f"canvas >> nth={i}").bounding_box() for i in (2, 3))
    bar = reader.page.locator(".sbx-bar:visible").bounding_box()
    assert surface["y"] + surface["height"] <= bar["y"] < bar["y"] + bar["height"] <= history["y"]
    end = reader.page.locator(".sobolev-widget").bounding_box()
    assert end["y"] + end["height"] - history["y"] - history["height"] < 60   # no room is kept for captions that never come


def test_the_higher_point_is_drawn_higher_and_arrows_point_uphill(read):
    """The front end's own functions, asked for what they make of the packed arrays."""
    panel = surface_panel(lambda x: x[:, 0] + 3 * x[:, 1], DOMAIN, 5, 2, points=[[0.5, -1.0]])
    figure = Explorer({"N": [1]}, {1: [panel]})
    reader = read(figure).ready()
    source = book_output.module_script("explorer").replace("export default", "const widget =")
    state = json.loads(reader.page.locator("script[type='application/json']").first.text_content())
    decoded = reader.page.evaluate(
        "([source, panel, blobs]) => { const p = new Function(source + '; return decodeSurface;')()(panel, blobs);"
        "return { z: [...p.z], arrows: p.arrows, points: p.points, longest: p.longest }; }",
        [source, state["frames"]["0"][0], state["blobs"]])
    np.testing.assert_allclose(np.reshape(decoded["z"], (5, 5)), panel.z, atol=8 / 255 / 2 + 1e-6)
    assert [(arrow["u"], arrow["v"]) for arrow in decoded["arrows"]] == [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75),
                                                                       (0.75, 0.75)]
    for arrow in decoded["arrows"]:
        assert (arrow["a"], arrow["b"]) == pytest.approx((1 / 10 ** 0.5, 3 / 10 ** 0.5), abs=0.01)
    assert decoded["points"][0] == pytest.approx([0.75, 0.0], abs=1e-4)
    assert decoded["longest"] == pytest.approx(10 ** 0.5)


def test_tick_labels_are_round_numbers(read):
    reader = read(Explorer({"step": [0, 1]}, compute=curves)).ready()
    source = book_output.module_script("explorer").replace("export default", "const widget =")
    marks = reader.page.evaluate("source => { const { ticks, format } = new Function(source + '; return { ticks, format };')();"
                                 "return [ticks(-4.5, 4.5, 4), ticks(0, 1, 5).map(format),"
                                 "[0, -2.5, 0.00012, 1e6, 123456, 0.1 + 0.2].map(format)]; }", source)
    assert marks[0] == [-4, -2, 0, 2, 4]
    assert marks[1] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert marks[2] == ["0", "−2.5", "1.2·10⁻⁴", "10⁶", "1.2·10⁵", "0.3"]


@pytest.mark.parametrize("figure", ["surfaces", "curves"])
def test_dark_theme_redraws(read, figure):
    axes = {"function": ["bowl"], "N": [2]} if figure == "surfaces" else {"step": [0, 5]}
    reader = read(Explorer(axes, compute={"surfaces": surfaces, "curves": curves}[figure])).ready()
    before = reader.pixels()
    reader.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert reader.pixels() != before
    assert reader.page.locator(".sbx-title").first.evaluate("el => getComputedStyle(el).color") == "rgb(221, 221, 221)"
    reader.page.evaluate("document.documentElement.dataset.theme = 'light'")
    assert reader.pixels() == before


def test_fits_a_phone(read):
    figure = Explorer({"a rather long name of an axis": ["a rather long option to choose", "other"], "N": [1, 2, 5]},
                      compute=lambda N, **_: surfaces("bowl", N))
    reader = read(figure, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True).ready()
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= 360
    first, second = (canvas.bounding_box() for canvas in reader.page.locator("canvas").all())
    assert second["y"] == first["y"] and second["x"] > first["x"] + first["width"] > 150    # beside each other, smaller


def test_on_a_phone_play_and_both_methods_are_seen_together(read):
    """Of three panels the first, the truth, has a row of its own; what is compared with it stays side by side below."""
    def three(N):
        return [surface_panel(bowl(a), DOMAIN, 9, 4, title=title, caption="value error 0.02")
                for a, title in ((1, "True"), (N, "Regular"), (1 + N, "Sobolev"))]

    figure = Explorer({"N": [1, 2, 5]}, compute=three, play="N", alt="Three bowls")
    reader = read(figure, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).ready()
    first, regular, sobolev = (canvas.bounding_box() for canvas in reader.page.locator("canvas").all())
    assert regular["y"] == sobolev["y"] > first["y"] + first["height"] and regular["width"] > 150
    play = reader.page.get_by_role("button", name="Play").bounding_box()
    assert regular["y"] + regular["height"] - play["y"] < 844 - 120      # a header takes some of the screen


@pytest.mark.parametrize("highest, lowest, labels", [
    (1000, 1, ["1", "10", "100", "1000"]),
    (7000, 130, ["200", "500", "1000", "2000", "5000"]),      # one power of ten: no place for equal distances
    (3, 2, ["2", "2.2", "2.4", "2.6", "2.8", "3"]),
])
def test_a_logarithmic_axis_has_marks_over_its_whole_length(read, highest, lowest, labels):
    reader = read(Explorer({"step": [5]}, compute=lambda step: [line_panel([0, 1], {"a": [highest, lowest]}, logy=True,
                                                                            yrange=(lowest, highest))])).ready()
    reader.page.evaluate("""() => { window.marks = {}; const paint = CanvasRenderingContext2D.prototype.fillText;
      CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
        if (this.textAlign === 'right') window.marks[text] = y;
        return paint.call(this, text, x, y); };
      document.documentElement.dataset.theme = 'dark'; }""")
    reader.page.wait_for_function("Object.keys(window.marks).length")
    marks = reader.page.evaluate("window.marks")
    assert sorted(marks, key=marks.get, reverse=True) == labels
    heights = sorted(marks.values())
    assert min(b - a for a, b in zip(heights, heights[1:])) > 11       # pixels: a line of text


def test_canvas_has_the_screen_s_pixels(read):
    reader = read(Explorer({"step": [5]}, compute=curves), device_scale_factor=2).ready()
    assert reader.page.evaluate("(c => c.width / c.clientWidth)(document.querySelector('canvas'))") == 2


def test_animation_plays_once_and_can_be_paused(read):
    figure = Explorer({"step": [0, 1, 2]}, compute=curves, play="step", initial={"step": 1})     # 700 ms each
    reader = read(figure).ready()
    reader.page.wait_for_timeout(1000)
    assert reader.captions() == ["step 1"]   # the reader asked for less motion
    # pressed from within the page: on a busy machine the next step would come before a click from outside
    reader.page.evaluate("""() => new Promise((done) => {
        const root = document.querySelector(".sbx"), button = root.querySelector("button");
        new MutationObserver((_, observer) => {
          if (root.querySelector(".sbx-caption").textContent !== "step 1") return;       // played from the beginning
          observer.disconnect();
          button.click();
          done();
        }).observe(root, { subtree: true, childList: true, characterData: true });
        button.click(); })""")
    reader.page.get_by_role("button", name="Play").wait_for()
    reader.page.wait_for_timeout(1000)
    assert reader.captions() == ["step 1"]
    reader.page.get_by_role("button", name="Play").click()
    reader.page.wait_for_selector("button:has-text('Replay')", timeout=10_000)
    assert reader.captions() == ["step 2"]


@pytest.mark.slow
def test_animation_starts_by_itself_when_motion_is_welcome(read):
    reader = read(Explorer({"step": list(range(6))}, compute=curves, play="step"), reduced_motion="no-preference").ready()
    reader.page.wait_for_function("document.querySelector('.sbx-caption').textContent === 'step 5'")
    reader.page.wait_for_selector("button:has-text('Replay')")


@pytest.mark.slow
def test_at_a_chosen_step_it_stands_still_until_it_is_replayed(read):
    figure = Explorer({"step": list(range(6))}, compute=curves, play="step", initial={"step": 3})
    reader = read(figure, reduced_motion="no-preference").ready()
    reader.page.wait_for_timeout(1500)
    assert reader.captions() == ["step 3"]
    reader.page.get_by_role("button", name="Replay").click()
    assert reader.captions() == ["step 0"]
    reader.page.wait_for_function("document.querySelector('.sbx-caption').textContent === 'step 2'")
    reader.page.get_by_role("button", name="Pause").click()
    reader.page.get_by_role("button", name="▶ Play").click()
    reader.page.wait_for_selector("button:has-text('Replay')", timeout=10_000)
    assert reader.captions() == ["step 5"]


def test_scripts_wait_until_the_figure_is_near(read):
    figure = Explorer({"step": [5]}, compute=curves)._repr_html_()
    reader = read(f'<div style="height: 6000px"></div>{figure}{figure}')
    reader.page.wait_for_timeout(300)
    assert not any("explorer.js" in url for url in reader.requested)
    reader.page.locator(".sobolev-widget").first.scroll_into_view_if_needed()
    reader.ready()
    reader.page.wait_for_function("document.querySelectorAll('.sobolev-widget[data-ready]').length === 2")
    assert sum("explorer.js" in url for url in reader.requested) == 1


def test_a_panel_of_curves_has_a_legend_with_dashes(read):
    reader = read(Explorer({"step": [5]}, compute=curves)).ready()
    assert reader.page.locator(".sbx-legend span").all_inner_texts() == ["True", "Regular"]
    dashes = reader.page.locator(".sbx-legend line").evaluate_all("all => all.map(l => l.getAttribute('stroke-dasharray'))")
    assert len(set(dashes)) == 2
    assert reader.page.locator(".sbx-bar:visible").count() == 0 and reader.page.get_by_text("Show as map").is_hidden()


# --- images -----------------------------------------------------------------------------------------------------

def screens(game, frame):
    """Grey tells which game and frame; the overlays are +1, -1 and, at the left edge, 0."""
    image = np.full((84, 84), {"Pong": 10, "Breakout": 100}[game] + frame, np.uint8)
    overlay = np.ones((84, 84))
    overlay[:, 0] = 0
    return [image_panel(image, sign * overlay, title=title, caption=f"{game}, {frame}", labels=("lowers", "raises"))
            for title, sign in (("Teacher", 1), ("Student, KL only", -1), ("Student, Sobolev", 1))]


def atari(**options):
    return Explorer({"game": ["Pong", "Breakout"], "frame": [1, 2, 3, 4]}, compute=screens, play="frame",
                    alt="Three screens", **options)


def test_an_overlay_is_blue_below_zero_and_orange_above(read):
    image = np.full((3, 5), 200, np.uint8)
    image[2, 0], image[0, 4] = 0, 255
    overlay = np.zeros((3, 5))
    overlay[0, 1], overlay[1, 4], overlay[2, 1], overlay[2, 3] = -2, 2, 1, -9
    reader = read(Explorer({"frame": [1]}, {1: image_panel(image, overlay, limit=2)})).ready()
    reader.wait_for_pixel(0, 0, [200] * 3)
    assert reader.pixel(2, 0) == [0] * 3 and reader.pixel(0, 4) == [255] * 3   # as in the array: rows downwards
    assert reader.pixel(0, 1) == NEGATIVE.tolist() and reader.pixel(1, 4) == POSITIVE.tolist()
    np.testing.assert_allclose(reader.pixel(2, 1), (200 + POSITIVE) / 2, atol=0.5)
    assert reader.pixel(2, 3) == NEGATIVE.tolist()   # beyond the limit


def test_colour_images_keep_their_colours_and_shape(read):
    image = np.random.default_rng(0).integers(0, 256, (21, 16, 3), np.uint8)
    reader = read(Explorer({"frame": [1]}, {1: image_panel(image)})).ready()
    reader.wait_for_pixel(0, 0, image[0, 0])
    assert [reader.pixel(row, column) for row, column in ((0, 15), (20, 0), (13, 7))] == \
        [image[row, column].tolist() for row, column in ((0, 15), (20, 0), (13, 7))]
    box = reader.page.locator("canvas").bounding_box()
    assert box["height"] / box["width"] == pytest.approx(21 / 16, rel=0.01)
    assert reader.page.locator("canvas").evaluate("c => getComputedStyle(c).imageRendering") == "pixelated"


def test_enlarged_pixels_have_sharp_edges(read):
    image = np.array([[0, 255]], np.uint8)
    reader = read(Explorer({"frame": [1]}, {1: image_panel(image)})).ready()
    reader.wait_for_pixel(0, 1, [255] * 3)
    shot = Image.open(io.BytesIO(reader.page.locator("canvas").screenshot())).convert("L")
    middle = np.asarray(shot)[shot.height // 2, 5:-5]
    assert set(middle.tolist()) == {0, 255} and len(middle) > 200


def test_images_follow_the_slider_and_the_dropdown_and_move_nothing(read):
    reader = read(atari()).ready()
    reader.wait_for_pixel(0, 0, [11] * 3)
    height = reader.height()
    reader.page.get_by_role("slider", name="frame").focus()
    for grey in (12, 13, 14):
        reader.page.keyboard.press("ArrowRight")
        for i in range(3):
            reader.wait_for_pixel(0, 0, [grey] * 3, i)
    assert [reader.pixel(5, 5, i) for i in range(3)] == [POSITIVE.tolist(), NEGATIVE.tolist(), POSITIVE.tolist()]
    reader.page.get_by_label("game").select_option(label="Breakout")
    reader.wait_for_pixel(0, 0, [104] * 3, 2)
    assert reader.captions() == ["Breakout, 4"] * 3 and reader.height() == height
    canvas = reader.page.get_by_role("img", name="Student, KL only: image with an overlay, lowers to raises: Breakout, 4")
    assert canvas.count() == 1


def test_the_last_choice_wins_even_if_it_is_decoded_first(read):
    reader = read(Explorer({"frame": [1, 2, 3, 4]}, compute=lambda frame: screens("Pong", frame)[:1])).ready()
    reader.wait_for_pixel(0, 0, [11] * 3)
    reader.page.evaluate("""() => { const decode = Response.prototype.arrayBuffer, delays = [500, 250, 0];
        window.decoded = 0;
        Response.prototype.arrayBuffer = async function () {
          const bytes = await decode.call(this);
          await new Promise((done) => setTimeout(done, delays.shift() ?? 0));
          window.decoded++;
          return bytes;
        }; }""")
    reader.page.get_by_role("slider", name="frame").focus()
    for _ in range(3):
        reader.page.keyboard.press("ArrowRight")
    reader.wait_for_pixel(0, 0, [14] * 3)
    reader.page.wait_for_function("window.decoded === 6")   # the images and overlays of frames 2, 3 and 4
    reader.settle()
    assert reader.pixel(0, 0) == [14] * 3 and reader.captions() == ["Pong, 4"]
    for key, grey in (("ArrowLeft", 13), ("ArrowLeft", 12), ("ArrowRight", 13)):   # from here on nothing is decoded
        reader.page.keyboard.press(key)
        assert reader.pixel(0, 0) == [grey] * 3
    assert reader.page.evaluate("window.decoded") == 6


def test_playing_ends_on_the_last_image(read):
    figure = Explorer({"game": ["Pong"], "frame": [3, 4]}, compute=screens, play="frame", alt="Three screens")
    reader = read(figure, reduced_motion="no-preference").ready()
    reader.page.wait_for_function("document.querySelector('.sbx-caption').textContent === 'Pong, 4'")
    reader.wait_for_pixel(0, 0, [14] * 3, 2)


def test_an_image_that_cannot_be_decoded_is_told_and_leaves_no_other_behind(read):
    markup = Explorer({"frame": [1, 2]}, compute=lambda frame: screens("Pong", frame)[:1])._repr_html_()
    state = json.loads(markup.split("json\">")[1].split("</script>")[0])
    broken = state["blobs"][state["frames"]["1"][0]["image"]]
    assert markup.count(broken) == 1
    reader = read(markup.replace(broken, broken[::-1].replace("=", "A"))).ready()
    reader.wait_for_pixel(0, 0, [11] * 3)
    reader.page.get_by_role("slider", name="frame").focus()
    reader.page.keyboard.press("ArrowRight")
    reader.page.wait_for_function("document.querySelector('.sbx-note').textContent.includes('could not be shown')")
    assert reader.pixel(0, 0) is None
    reader.page.keyboard.press("ArrowLeft")
    reader.wait_for_pixel(0, 0, [11] * 3)
    assert reader.page.locator(".sbx-note").inner_text() == ""


def test_the_overlay_has_a_legend_in_both_themes(read):
    reader = read(atari()).ready()
    reader.wait_for_pixel(5, 5, POSITIVE)
    scale, before = reader.page.locator(".sbx-scale"), reader.pixels()
    assert scale.locator("span").all_inner_texts() == ["lowers", "raises"]
    left, right = (span.bounding_box()["x"] for span in scale.locator("span").all())
    assert left < right
    gradient = scale.locator("i").evaluate("el => getComputedStyle(el).backgroundImage")
    blue, orange = (f"rgb({', '.join(map(str, colour))})" for colour in (NEGATIVE, POSITIVE))
    assert 0 < gradient.index(blue) < gradient.index("rgba(0, 0, 0, 0)") < gradient.index(orange)
    assert reader.page.locator(".sbx-bar:not(.sbx-scale)").is_hidden()
    reader.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert reader.pixels() == before   # a screen looks the same at night
    assert scale.locator("span").first.evaluate("el => getComputedStyle(el).color") == "rgb(221, 221, 221)"


def test_the_legend_is_there_only_with_an_overlay(read):
    image = np.zeros((4, 4), np.uint8)
    reader = read(Explorer({"frame": [1, 2]}, {1: image_panel(image, np.eye(4)), 2: image_panel(image)})).ready()
    assert reader.page.locator(".sbx-scale").is_visible()
    reader.page.get_by_role("slider", name="frame").focus()
    reader.page.keyboard.press("ArrowRight")
    reader.wait_for_pixel(0, 0, [0] * 3)
    assert reader.page.locator(".sbx-scale").is_hidden()


def test_images_fit_a_phone_side_by_side(read):
    reader = read(atari(), viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True).ready()
    reader.wait_for_pixel(0, 0, [11] * 3, 2)
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= 360
    first, second, third = (canvas.bounding_box() for canvas in reader.page.locator("canvas").all())
    assert first["y"] == second["y"] == third["y"] and third["x"] > second["x"] + second["width"] > first["x"] + 2 * first["width"]
    assert first["width"] > 100 and first["width"] == pytest.approx(first["height"], rel=0.01)


@pytest.mark.parametrize("width", [900, 360])
@pytest.mark.parametrize("kind", ["images", "surfaces", "curves"])
def test_the_place_of_panels_is_kept_before_they_are_there(read, width, kind):
    figure = {"images": atari,
              "surfaces": lambda: Explorer({"function": ["bowl", "hill"], "N": [1, 2, 5]}, compute=surfaces, alt="Two bowls"),
              "curves": lambda: Explorer({"step": [0, 5, 10]}, compute=curves, play="step")}[kind]()
    reader = read(f'<div style="height: 6000px"></div>{figure._repr_html_()}', viewport={"width": width, "height": 700})
    kept = reader.height()
    reader.page.locator(".sobolev-widget").scroll_into_view_if_needed()
    reader.ready()
    assert reader.height() == pytest.approx(kept, abs=1)


def test_images_surfaces_and_curves_share_a_frame_and_take_turns(read):
    kinds = {"image": lambda: screens("Pong", 1)[0], "surface": lambda: surface_panel(bowl(1.0), DOMAIN, 17, 6),
             "line": lambda: curves(3)[0]}
    orders = {1: ("image", "surface", "line"), 2: ("line", "image", "surface"), 3: ("surface", "line", "image")}
    reader = read(Explorer({"order": [1, 2, 3]}, {n: [kinds[k]() for k in order] for n, order in orders.items()})).ready()
    slider = reader.page.get_by_role("slider", name="order")
    slider.focus()
    drawn = {}
    for order in orders.values():
        for i, kind in enumerate(order):
            if kind == "image":
                reader.wait_for_pixel(0, 0, [11] * 3, i)
                reader.wait_for_pixel(40, 40, POSITIVE, i)
            drawn.setdefault(kind, set()).add(reader.pixels(i))
            assert reader.page.locator(".sbx-panel").nth(i).get_attribute("data-kind") == kind
        reader.page.keyboard.press("ArrowRight")
    assert [len(drawn[kind]) for kind in kinds] == [1, 1, 1]   # the same wherever it stands
    assert reader.page.locator(".sbx-bar").count() == 2 and reader.page.locator(".sbx-bar:visible").count() == 2


# --- Plotly -----------------------------------------------------------------------------------------------------

def test_plotly_figures_are_drawn_from_one_script(read, tmp_path):
    import plotly

    from sobolev_lib.plotting import surface_with_field

    vendor = tmp_path / "_static" / "vendor"
    vendor.mkdir(parents=True)
    shutil.copy(Path(plotly.__file__).parent / "package_data" / "plotly.min.js", vendor)
    figure = surface_with_field(bowl(1.0), DOMAIN, backend="plotly", resolution=9, arrows=3, alt="A bowl")
    markup = book_output.plotly_html(figure.to_dict())
    reader = read(markup + markup)
    reader.page.wait_for_function("document.querySelectorAll('.sobolev-widget[data-ready] canvas').length >= 2")
    assert sum("plotly.min.js" in url for url in reader.requested) == 1
    assert reader.page.get_by_role("group", name="A bowl").count() == 2
    buttons = reader.page.locator(".modebar-btn").evaluate_all("all => all.map(button => button.dataset.title)")
    assert buttons and not any("cloud" in title.lower() for title in buttons)   # nothing is sent to another host
    assert reader.page.evaluate("document.querySelector('.plotly-graph-div').data.map(trace => trace.type)") == ["surface", "scatter3d"]
    reader.page.evaluate("document.body.style.color = '#ddd'; document.documentElement.dataset.theme = 'dark'")
    reader.page.wait_for_function("document.querySelector('.plotly-graph-div').layout.font.color === 'rgb(221, 221, 221)'")
    assert reader.page.evaluate("document.querySelector('.plotly-graph-div').layout.paper_bgcolor") == "rgba(0,0,0,0)"
    # and it keeps its height when the screen is turned after that
    drawn = "[...document.querySelectorAll('.plotly-graph-div')].map(el => [el.clientWidth < 400, el.querySelector('.svg-container').clientHeight])"
    reader.page.set_viewport_size({"width": 390, "height": 780})
    reader.page.wait_for_function(f"{drawn}.every(([narrow]) => narrow)")
    reader.page.wait_for_timeout(300)   # plotly.js waits a tenth of a second before it follows
    assert reader.page.evaluate(drawn) == [[True, figure.layout.height]] * 2


def test_curves_take_the_colours_of_the_theme(read):
    reader = read(Explorer({"step": [5]}, compute=curves)).ready()
    colours = "all => all.map(line => line.getAttribute('stroke'))"
    looks = [PALETTE[name] for name in ("truth", "regular")]
    assert reader.page.locator(".sbx-legend line").evaluate_all(colours) == [look["light"] for look in looks]
    reader.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    reader.page.wait_for_function("colour => document.querySelector('.sbx-legend line').getAttribute('stroke') === colour",
                                  arg=looks[0]["dark"])
    assert reader.page.locator(".sbx-legend line").evaluate_all(colours) == [look["dark"] for look in looks]


@pytest.mark.parametrize("widget, root, variable", [(Wave, ".swv", "--swv-regular"), (None, ".sbx", None)], ids=["wave", "explorer"])
def test_a_theme_that_changes_while_a_cell_is_away_is_the_cell_s(read, widget, root, variable):
    """JupyterLab takes what is out of sight from the page, and puts it back."""
    reader = read(widget() if widget else Explorer({"step": [5]}, compute=curves))
    reader.page.wait_for_selector(f".sobolev-widget[data-ready] {root}")
    reader.page.evaluate("""async () => {
      document.body.style.color = "#222";
      const cell = document.querySelector(".sobolev-widget"), place = cell.parentElement;
      cell.remove();
      document.documentElement.dataset.theme = "dark";
      document.body.style.color = "#ddd";
      for (let k = 0; k < 3; k++) await new Promise(requestAnimationFrame);
      place.append(cell);
    }""")
    reader.settle()
    seen = reader.page.evaluate("""([root, variable]) => variable
        ? document.querySelector(root).style.getPropertyValue(variable)
        : document.querySelectorAll(".sbx-legend line")[1].getAttribute("stroke")""", [root, variable])
    assert seen == PALETTE["regular"]["dark"]


def test_tangents_at_points_and_the_chosen_point_are_drawn(read):
    def panel(**more):
        return line_panel([0, 1], {"a": [0, 1]}, points=[[0.2, 0.5], [0.8, 0.5]], **more)

    reader = read(Explorer({"what": ["plain", "slopes", "chosen"]},
                           {"plain": panel(), "slopes": panel(slopes=[5, -5]), "chosen": panel(chosen=1)})).ready()
    drawn = []
    for option in ("plain", "slopes", "chosen"):
        reader.page.get_by_role("combobox").select_option(label=option)
        drawn.append(reader.pixels(0))
    assert len(set(drawn)) == 3


def test_a_band_is_shaded_between_its_ends(read):
    wide = {"a": [[0, 0], [1, 1]]}
    panel = lambda bands: line_panel([0, 1], {"a": [0.5, 0.5]}, yrange=(0, 1), bands=bands)
    reader = read(Explorer({"what": ["line", "band"]}, {"line": panel(None), "band": panel(wide)})).ready()
    before = reader.ink(0)
    reader.page.get_by_role("combobox").select_option(label="band")
    assert reader.ink(0) > before + 0.3


@pytest.mark.parametrize("ylabel, values", [("test gradient error", [0, 20000]), ("value", [0, 1])])
def test_an_axis_name_keeps_clear_of_the_labels(read, ylabel, values):
    reader = read(Explorer({"step": [5]}, compute=lambda step: [line_panel([0, 1], {"a": values}, ylabel=ylabel)])).ready()
    reader.page.evaluate("""() => { window.left = []; const paint = CanvasRenderingContext2D.prototype.fillText;
      CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
        if (this.textAlign === 'right') window.left.push(x - this.measureText(text).width);
        else { const { e } = this.getTransform(); if (e) window.name_at = e / devicePixelRatio; }
        return paint.call(this, text, x, y); };
      document.documentElement.dataset.theme = 'dark'; }""")
    reader.page.wait_for_function("window.name_at && window.left.length")
    assert reader.page.evaluate("Math.min(...window.left) - window.name_at") > 7   # half the height of a letter and more


# --- the same front end with a kernel behind it -----------------------------------------------------------------

def curves_or_error(N):
    if N == 3:
        raise ValueError("not this one")
    return curves(N)


def connect(reader, widget):
    """Show a live widget on the page; returns the messages it sends and the selections it is given, as they come."""
    sent, saved = [], []
    widget.send = sent.append

    def kernel(message):
        widget._answer(widget, message, [])
        return sent[-1]

    reader.page.expose_function("kernel", kernel)
    reader.page.expose_function("saved", lambda selection: saved.append(selection))
    state = {name: getattr(widget, name) for name in ("spec", "selection", "frames", "blobs")}
    reader.page.evaluate("state => { window.state = state; }", json.loads(json.dumps(state)))
    reader.page.evaluate(KERNEL, book_output.module_script("explorer"))
    return sent, saved


def test_jupyter_frames_come_from_the_kernel_when_asked_for(read, monkeypatch):
    reader = read('<div id="stage"></div>')
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD")

    def compute(function, N):
        if function == "hill" and N == 5:
            raise ValueError("no hill for you")
        return surfaces(function, N)

    widget = Explorer({"function": ["bowl", "hill"], "N": [1, 2, 5]}, compute=compute)
    sent, saved = connect(reader, widget)
    reader.page.wait_for_selector("canvas")
    before = reader.pixels(1)

    notes = reader.page.evaluate("""() => { const select = document.querySelector('select');
      select.selectedIndex = 1; select.dispatchEvent(new Event('change'));
      return document.querySelector('.sbx-note').textContent; }""")
    assert notes == "computing…"
    reader.page.wait_for_function("document.querySelector('.sbx-note').textContent === ''")
    assert reader.pixels(1) != before and saved[-1] == {"function": "hill", "N": 1}

    slider = reader.page.get_by_role("slider", name="N")
    slider.focus()
    reader.page.keyboard.press("End")
    reader.page.wait_for_function("document.querySelector('.sbx-note').textContent.includes('no hill for you')")
    assert [message["type"] for message in sent] == ["frame", "error"]
    reader.page.evaluate("window.model.set('selection', {function: 'bowl', N: 2})")   # Python sets the choice
    reader.page.wait_for_function("document.querySelectorAll('.sbx-caption')[1].textContent === 'N is 2'")
    assert slider.input_value() == "1"


def test_jupyter_asks_on_after_an_error_that_came_too_late(read, monkeypatch):
    """The answer to an earlier choice is an error: it is not shown, and the present choice is asked for."""
    reader = read('<div id="stage"></div>')
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD")
    sent, _ = connect(reader, Explorer({"N": [1, 3, 2]}, compute=curves_or_error))
    reader.page.wait_for_selector("canvas")
    reader.page.evaluate("""() => { const slider = document.querySelector('input');
      for (const value of [1, 2]) { slider.value = value; slider.dispatchEvent(new Event('input')); } }""")
    reader.page.wait_for_function("document.querySelector('.sbx-caption').textContent === 'step 2'")
    assert [message["type"] for message in sent] == ["error", "frame"]
    assert reader.page.locator(".sbx-note").inner_text() == ""


def test_jupyter_says_what_to_do_after_a_restart(read, monkeypatch):
    reader = read('<div id="stage"></div>')
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD")
    sent, _ = connect(reader, Explorer({"N": [1, 2, 3]}, compute=curves_or_error))
    reader.page.wait_for_selector("canvas")
    reader.page.get_by_role("slider", name="N").focus()
    reader.page.keyboard.press("End")
    reader.page.wait_for_function("document.querySelector('.sbx-note').textContent.includes('not this one')")
    assert reader.page.locator("[role=status]").is_hidden()
    reader.page.evaluate("window.model.comm_live_update()")
    assert reader.page.locator("[role=status]").inner_text() == "The kernel was restarted: run this cell again."
    assert reader.page.locator(".sbx-note").inner_text() == ""
    reader.page.keyboard.press("ArrowLeft")      # nobody is asked any more
    reader.page.keyboard.press("Home")           # and what is at hand is still shown
    reader.page.wait_for_function("!document.querySelector('.sbx-busy')")
    assert len(sent) == 1


def test_an_explorer_says_what_to_do_where_no_restart_is_told_and_nothing_can_be_sent(read, monkeypatch):
    """As in VS Code, whose comm throws from then on."""
    reader = read('<div id="stage"></div>')
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD")
    reader.page.evaluate("""() => { const own = setTimeout; window.late = [];
      window.setTimeout = (f, after) => after < 10000 ? own(f, after) : late.push(f); }""")
    connect(reader, Explorer({"N": [1, 2]}, compute=curves_or_error))
    reader.page.wait_for_selector("canvas")
    reader.page.evaluate("() => { model.send = () => { throw new Error('Cannot send'); }; }")
    reader.page.get_by_role("slider", name="N").focus()
    reader.page.keyboard.press("End")
    assert reader.page.locator(".sbx-note").inner_text() == "computing…"
    reader.page.evaluate("late.forEach((f) => f())")
    assert reader.page.locator(".sbx-note").inner_text() == "computing… If the kernel was restarted, run this cell again."
    assert reader.troubles == ["Cannot send"]
    reader.troubles.clear()


def test_keys_pressed_in_a_widget_stay_in_it(explorer):
    """Else they would turn a page of the book, or act on a notebook's cells; shortcuts with Ctrl and the like do pass."""
    explorer.page.evaluate("() => { window.passed = []; document.addEventListener('keydown', (event) => passed.push(event.key)); }")
    slider = explorer.page.get_by_role("slider", name="N")
    slider.focus()
    for key, value in (("End", "2"), ("ArrowLeft", "1"), ("ArrowUp", "2"), ("Home", "0")):
        explorer.page.keyboard.press(key)
        assert slider.input_value() == value
    explorer.page.keyboard.press("Control+s")
    assert explorer.page.evaluate("passed") == ["Control", "s"]


def test_jupyter_images_come_from_the_kernel_when_asked_for(read, monkeypatch):
    reader = read('<div id="stage"></div>')
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD")
    sent, _ = connect(reader, Explorer({"frame": [1, 2]}, compute=lambda frame: screens("Pong", frame)))
    reader.wait_for_pixel(0, 0, [11] * 3)
    reader.page.get_by_role("slider", name="frame").focus()
    reader.page.keyboard.press("End")
    reader.wait_for_pixel(0, 0, [12] * 3)
    assert [message["type"] for message in sent] == ["frame"]


def test_a_link_to_a_widget_brings_it_into_sight(read):
    """The page's address may name a widget and its settings; the shim scrolls there."""
    reader = read(f'<p style="height:5000px">far above</p>{Explorer({"N": [1]}, compute=lambda N: curves(1))._repr_html_()}')
    assert reader.page.locator("canvas").count() == 0    # nobody has scrolled to it
    address = reader.page.url
    reader.page.goto("about:blank")
    reader.page.goto(address + "#explorer?N=1")
    reader.ready()
    assert reader.page.evaluate("scrollY") > 3000
