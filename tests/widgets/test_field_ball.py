"""The field and its ball: its mathematics against Python's, and what a reader does with it, in headless Chromium."""
import json
import math

import numpy as np
import pytest
import torch
from readers import KERNEL

from sobolev_lib import book_output
from sobolev_lib.plotting.palette import PALETTE
from sobolev_lib.theory import jacobian_asymmetry
from sobolev_lib.widgets import FieldBall

KINDS = {"bowl": lambda h: (h ** 2).sum(1) / 2, "valleys": lambda h: (h[:, 0] ** 2 - 1) ** 2 / 4 + h[:, 1] ** 2 / 2}


def opened(read, *args, screen=None, **options):
    reader = read(FieldBall(*args, **options), **(screen or {}))
    reader.page.wait_for_selector(".sobolev-widget[data-ready] .sfb-ball")
    reader.settle()
    return reader


def readings(reader):
    return [float(text.replace("−", "-")) for text in reader.page.locator(".sfb-readings b").all_inner_texts()]


def says(reader):
    return reader.page.locator(".sfb-says").inner_text()


def place(reader, what):
    box, all_of_it = (reader.page.locator(name).first.bounding_box() for name in (what, ".sfb-picture"))
    at = [box["x"] + box["width"] / 2 - all_of_it["x"], box["y"] + box["height"] / 2 - all_of_it["y"]]
    return np.array([4 * at[0] / all_of_it["width"] - 2, 2 - 4 * at[1] / all_of_it["height"]])


def turn(reader, angle):
    reader.page.get_by_role("slider", name="arrows turned by").fill(str(angle))
    reader.settle()


# --- mathematics ------------------------------------------------------------------------------------------------

def field(kind, angle):
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turned = torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
    return lambda h: -torch.func.grad(lambda at: KINDS[kind](at).sum())(h) @ turned.T


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("angle", [0, 35, 90])
def test_arrows_asymmetry_and_loops_are_those_of_the_library(engine, kind, angle):
    places = torch.rand(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 4 - 2
    found = engine("""return given[2].map((at) => [...arrowAt(given[0], given[1], at), asymmetryAt(given[0], given[1], at),
        ...aroundLoop(given[0], given[1], at)]);""", [kind, angle, places.tolist()], source="field_ball_model")
    found = torch.tensor(found, dtype=torch.float64)
    torch.testing.assert_close(found[:, :2], field(kind, angle)(places))
    torch.testing.assert_close(found[:, 2], jacobian_asymmetry(field(kind, angle), places))
    way = torch.arange(360, dtype=torch.float64) * 2 * math.pi / 360
    for start, (sum_found, length) in zip(places, found[:, 3:].tolist()):
        r = float(start.norm())
        on = r * torch.stack([way.cos(), way.sin()], 1)
        along = torch.stack([-way.sin(), way.cos()], 1)
        assert sum_found == pytest.approx(float((field(kind, angle)(on) * along).sum()) * r * 2 * math.pi / 360, abs=1e-9)
        assert length == pytest.approx(2 * math.pi * r)
        assert angle or abs(sum_found) < 1e-9                          # along a gradient nothing is left of a loop
        assert kind != "bowl" or sum_found == pytest.approx(2 * math.pi * r ** 2 * math.sin(math.radians(angle)), abs=1e-9)


def test_no_ball_leaves_the_picture_and_at_a_right_angle_none_loses_height(engine):
    highest = engine("""const seen = [];
        for (const kind of Object.keys(LANDSCAPES)) for (const angle of [0, 45, 90]) for (const from of [[2, 2], [-2, 1], [0.1, -2], [-0.4, 0]]) {
          let at = placeFor(kind, from), far = 0; const first = LANDSCAPES[kind].height(at);
          for (let k = 0; k < 4000; k++) { at = rolled(kind, angle, at); far = Math.max(far, ...at.map(Math.abs)); }
          seen.push([angle, first, LANDSCAPES[kind].height(at), far]);
        } return seen;""", source="field_ball_model")
    for angle, first, last, far in highest:
        assert far <= 2.001 and last <= first + 1e-6
        assert angle < 90 or last == pytest.approx(first, rel=1e-5)
        assert angle or last < 1e-3 or first > last


@pytest.mark.parametrize("state, text", [
    ({"angle": 0, "rest": True, "turns": 0}, "at rest where no arrow is left"),
    ({"angle": 60, "rest": True, "turns": 2}, "after going round twice"),
    ({"angle": 90, "rest": False, "turns": 3}, "gone round 3 times and is no lower"),
    ({"angle": 85, "rest": False, "turns": 9, "over": True}, "Still on its way"),
])
def test_the_sentence_says_what_the_ball_did(engine, state, text):
    assert text in engine("return sentence(given);", state, source="field_ball_model")


# --- a reader ---------------------------------------------------------------------------------------------------

def test_turning_the_field_takes_the_ball_from_rest_to_endless_rounds(read):
    reader = opened(read, angle=0)                                    # less motion is asked for: its whole way is there at once
    height = reader.height()
    assert readings(reader) == [0, 0, 0] and says(reader).startswith("Straight downhill")
    np.testing.assert_allclose(place(reader, ".sfb-ball"), [0, 0], atol=0.02)
    turn(reader, 60)
    asymmetry, sum_found, mean = readings(reader)
    assert asymmetry == pytest.approx(math.sin(math.pi / 3), abs=0.01)
    assert mean == pytest.approx(math.hypot(1.5, 0.6) * asymmetry, abs=0.01) and sum_found == pytest.approx(10.15 * mean, rel=0.02)
    assert says(reader).startswith("At rest")
    turn(reader, 90)
    assert readings(reader)[0] == 1 and "is no lower than at the start" in says(reader)
    assert np.linalg.norm(place(reader, ".sfb-ball")) == pytest.approx(math.hypot(1.5, 0.6), abs=0.03)
    reader.page.get_by_role("button", name="Two valleys").click()
    assert reader.height() == height
    assert reader.page.get_by_role("button", name="Two valleys").get_attribute("aria-pressed") == "true"


def test_a_click_drops_the_ball_and_the_ring_can_be_dragged(read):
    reader = opened(read, angle=90)
    box = reader.page.locator(".sfb-picture").bounding_box()
    at = lambda x, y: (box["x"] + (x + 2) / 4 * box["width"], box["y"] + (2 - y) / 4 * box["height"])
    mouse = reader.page.mouse
    mouse.click(*at(-0.5, -1))
    np.testing.assert_allclose(place(reader, ".sfb-start"), [-0.5, -1], atol=0.03)
    assert readings(reader)[2] == pytest.approx(math.hypot(0.5, 1), abs=0.02)
    mouse.move(*at(-0.5, -1))
    mouse.down()
    mouse.move(*at(1, 0.2), steps=5)
    mouse.up()
    np.testing.assert_allclose(place(reader, ".sfb-start"), [1, 0.2], atol=0.03)
    mouse.move(*at(-1, -1))                                           # no longer held
    np.testing.assert_allclose(place(reader, ".sfb-start"), [1, 0.2], atol=0.03)
    mouse.click(*at(1.95, 1.95))                                      # too high up: nearer to the middle
    assert np.linalg.norm(place(reader, ".sfb-start")) <= 1.92


def test_arrow_keys_move_the_place_and_do_not_scroll(read):
    reader = opened(read, angle=90)
    handle = reader.page.get_by_role("slider", name="Where the ball is dropped")
    handle.focus()
    for key in ("ArrowLeft", "ArrowUp", "ArrowUp"):
        reader.page.keyboard.press(key)
    np.testing.assert_allclose(place(reader, ".sfb-start"), [1.4, 0.8], atol=0.03)
    assert handle.get_attribute("aria-valuetext") == "1.40 right, 0.80 up"
    reader.page.keyboard.press("Enter")
    assert reader.page.evaluate("scrollY") == 0
    ring = handle.locator(".sfb-ring").evaluate("el => getComputedStyle(el).stroke")
    assert ring == "rgb(61, 155, 224)"                                # focus is visible
    reader.page.get_by_role("slider", name="arrows turned by").focus()
    reader.page.keyboard.press("Home")
    assert readings(reader) == [0, 0, 0]


def test_it_rolls_in_sight_pauses_and_goes_on(read):
    reader = opened(read, angle=90, screen={"reduced_motion": "no-preference"})
    moved = "before => document.querySelector('.sfb-ball').getAttribute('cx') !== before"
    where = lambda: reader.page.locator(".sfb-ball").get_attribute("cx")
    reader.page.wait_for_function(moved, arg="350.0")
    reader.page.get_by_role("button", name="Pause").click()
    stopped = where()
    reader.page.wait_for_timeout(200)
    assert where() == stopped
    reader.page.get_by_role("button", name="Roll").click()
    reader.page.wait_for_function(moved, arg=stopped)
    reader.page.get_by_role("button", name="Drop it again").click()
    assert reader.page.locator(".sobolev-widget [data-rest]").get_attribute("data-rest") == "no"


def rgb(colour):
    return f"rgb({int(colour[1:3], 16)}, {int(colour[3:5], 16)}, {int(colour[5:], 16)})"


def test_it_takes_the_colours_of_the_theme(read):
    reader = opened(read)
    for part, name in ((".sfb-arrows", "slopes"), (".sfb-way", "points"), (".sfb-loop", "other3")):
        line, colour = reader.page.locator(part), "el => getComputedStyle(el).stroke"
        reader.page.evaluate("document.documentElement.dataset.theme = 'light'")
        reader.page.wait_for_function("([line, is]) => getComputedStyle(line).stroke === is", arg=[line.element_handle(), rgb(PALETTE[name]["light"])])
        reader.page.evaluate("document.documentElement.dataset.theme = 'dark'")
        reader.page.wait_for_function("([line, is]) => getComputedStyle(line).stroke === is", arg=[line.element_handle(), rgb(PALETTE[name]["dark"])])
        assert line.evaluate(colour) == rgb(PALETTE[name]["dark"])


@pytest.mark.parametrize("width", [900, *[pytest.param(width, marks=pytest.mark.slow) for width in (700, 660, 620)], 360])
def test_fits_its_place_which_is_kept_before_it_is_there(read, width):
    reader = read(f'<div style="height: 6000px"></div>{FieldBall()._repr_html_()}', viewport={"width": width, "height": 740})
    kept = reader.height()
    reader.page.locator(".sobolev-widget").scroll_into_view_if_needed()
    reader.page.wait_for_selector(".sobolev-widget[data-ready] .sfb-ball")
    reader.settle()
    assert reader.height() == pytest.approx(kept, abs=1)
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
    for box in [button.bounding_box() for button in reader.page.get_by_role("button").all()]:
        assert min(box["width"], box["height"]) >= 24
    for part in (".sfb-says", ".sfb-hint", ".sfb-readings > div"):
        assert reader.page.locator(part).first.evaluate("el => el.scrollHeight <= el.clientHeight + 1 && el.scrollWidth <= el.clientWidth + 1")
    right = "(part) => part.getBoundingClientRect().right"
    ends = reader.page.locator(".sfb-side").evaluate(f"(el) => [...el.querySelectorAll('*')].map({right})")
    assert max(ends) <= reader.page.locator(".sfb").evaluate(right)
    for angle in (0, 85, 90):
        turn(reader, angle)
        assert reader.height() == pytest.approx(kept, abs=1)
        assert reader.page.locator(".sfb-says").evaluate("el => el.scrollHeight <= el.clientHeight + 1")


# --- Python -----------------------------------------------------------------------------------------------------

def test_jupyter_reads_and_sets_it(read, monkeypatch):
    reader = read('<div id="stage"></div>')
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD")
    widget = FieldBall(angle=30)
    reader.page.expose_function("saved", lambda _: None)
    state = {name: getattr(widget, name) for name in ("landscape", "angle", "start", "alt")}
    reader.page.evaluate("state => { window.state = state; }", json.loads(json.dumps(state)))
    reader.page.evaluate(KERNEL, book_output.module_script("field_ball"))
    reader.page.wait_for_selector(".sfb-ball")
    assert readings(reader)[0] == pytest.approx(0.5, abs=0.01)
    reader.page.evaluate("window.model.set('angle', 90)")
    assert readings(reader)[0] == 1
    reader.page.get_by_role("button", name="Two valleys").click()
    assert reader.page.evaluate("window.model.get('landscape')") == "valleys"
    widget.angle = 45
    with pytest.raises(ValueError, match="in steps of 5"):
        widget.angle = 47


def test_start_reads_back_where_the_ball_is_dropped(engine, monkeypatch):
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD", raising=False)
    places = (torch.rand(40, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 4 - 2).tolist() + [[2, 2], [-0.0005, 0]]
    for landscape in KINDS:
        found = [FieldBall(start=place, landscape=landscape).start for place in places]
        dropped = engine("return given[1].map((at) => placeFor(given[0], at));", [landscape, found + places], source="field_ball_model")
        assert dropped[:len(found)] == found
        np.testing.assert_allclose(dropped[len(found):], found, atol=0.03)
    widget = FieldBall(start=(1.3, 1.6), landscape="valleys")             # too high up in the bowl
    before = widget.start
    widget.landscape = "bowl"
    assert widget.start == FieldBall(start=before).start != before
    widget.start = (2, 2)
    assert np.hypot(*widget.start) <= 1.9


@pytest.mark.parametrize("arguments, message", [
    ({"angle": 100}, "degrees from 0 to 90"), ({"angle": True}, "steps of 5, got True"), ({"start": (3, 0)}, "coordinates from -2 to 2"),
    ({"start": (1, float("nan"))}, "expected a place"), ({"landscape": "hill"}, "one of bowl, valleys, got 'hill'"),
    ({"start": "11"}, "place .* got '11'"), ({"start": {1: 1, 0: 0}}, "expected a place"), ({"start": {1, 0}}, "expected a place"),
    ({"start": ("1", "0")}, "expected a place"), ({"start": (True, 0)}, "expected a place"), ({"start": 1}, "expected a place"),
    ({"start": (1, 0, 0)}, "expected a place"), ({"landscape": ["bowl"]}, "one of bowl, valleys")])
def test_a_wrong_call_is_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        FieldBall(**arguments)
