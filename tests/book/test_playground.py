"""The playground on the built site: as a reader uses it, served and from disk, without a network."""
import re

import pytest
from pages import PAGES
from players import RESTS, watch
from visits import Visit, set_dark, watched

from sobolev_lib.widgets.playground_settings import SCHEMA

pytestmark = pytest.mark.timeout(1200)
ROOT = ".sobolev-playground"


@pytest.fixture
def welcome(request, new_tab, origins):
    """The welcome page and its address by scheme; nothing may have gone wrong on it at the end."""
    visit, address = Visit(), f"{origins[request.param]}/{PAGES[0]}.html"
    page = new_tab(viewport={"width": 1280, "height": 900})
    page.add_init_script(watch(thumbnails=True))
    with watched(page, visit):
        yield page, address
        page.evaluate("0")  # what it has said until now is heard
    assert (visit.errors, visit.foreign, visit.failed) == ([], [], [])


def shown(page):
    page.locator("[data-widget=playground]").first.scroll_into_view_if_needed()
    page.wait_for_selector(f"{ROOT}[data-step]")
    return page.locator(ROOT)


def press(page, name):
    page.locator(ROOT).get_by_role("button", name=name, exact=True).click()


def wait_for(page, condition):
    page.wait_for_function(f"(() => {{ const data = document.querySelector('{ROOT}').dataset; return {condition}; }})()")


def at_rest(page):
    """The step at which it stands still: after a pause, a step on its way is finished and shown."""
    page.wait_for_function(RESTS)
    return page.locator(ROOT).get_attribute("data-step")


def errors_of(root):
    return [float(root.get_attribute(f"data-{method}-error")) for method in ("regular", "sobolev")]


@pytest.mark.parametrize("welcome", ["http", pytest.param("file", marks=pytest.mark.slow)], indirect=True)
def test_a_reader_plays(welcome):
    page, address = welcome
    page.goto(address)
    root = shown(page)
    press(page, "▶ Play")
    wait_for(page, "Number(data.step) > 200")
    press(page, "❚❚ Pause")
    step = at_rest(page)
    regular, sobolev = errors_of(root)
    assert 0 < sobolev < regular
    page.wait_for_timeout(300)
    assert root.get_attribute("data-step") == step

    press(page, "More settings")
    for entry in SCHEMA:     # every control
        if entry["group"] is None:
            continue
        field = root.get_by_label(entry["label"], exact=True)
        if entry["kind"] == "choice":
            last = next(i for i, option in reversed(list(enumerate(entry["options"]))) if option != entry["default"])
            field.select_option(index=last if entry["name"] != "function" else 1)
        else:
            field.focus()
            page.keyboard.press("ArrowLeft" if entry["default"] == entry["stops"][-1] else "ArrowRight")
    press(page, "Map")
    names = ["view", *(entry["name"] for entry in SCHEMA if entry["group"])]
    page.wait_for_function("names => names.every((name) => location.hash.includes(name + '='))", arg=names)
    canvas = root.locator("canvas").first
    canvas.scroll_into_view_if_needed()
    canvas.focus()
    page.keyboard.press("a")     # a point in the middle, to be dragged from there
    page.wait_for_function("location.hash.includes('at=')")
    before = page.evaluate("location.hash")
    box = canvas.bounding_box()
    size = min(box["width"] - 42, box["height"] - 38)
    x, y = box["x"] + 34 + (box["width"] - 42) / 2, box["y"] + 8 + size / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y + 20, steps=4)
    page.mouse.up()
    page.wait_for_function("before => location.hash !== before", arg=before)
    link = page.evaluate("location.href")
    settings = root.locator("select, input").evaluate_all("fields => fields.map(field => field.value)")
    errors = root.get_attribute("data-regular-error")

    page.goto("about:blank")
    page.goto(link)              # a link is an experiment, and the page goes there by itself
    page.wait_for_selector(f"{ROOT}[data-step]")
    wait_for(page, f"data.step === '0' && Math.abs(data.regularError / {errors} - 1) < 1e-2")
    assert root.locator("select, input").evaluate_all("fields => fields.map(field => field.value)") == settings
    assert root.locator(".spg-message").inner_text() == ""
    press(page, "Step")
    wait_for(page, "data.step === '1'")


# that the page plays is asked of both above
@pytest.mark.parametrize("welcome", ["file"], indirect=True)
def test_a_reader_brings_data(welcome):
    page, address = welcome
    page.goto(address)
    root = shown(page)
    press(page, "Your own data")
    root.evaluate("root => { root.dataset.step = 'old'; }")
    press(page, "Example")
    wait_for(page, "data.step === '0' && location.hash.includes('table=')")
    at_first = errors_of(root)
    press(page, "▶ Play")
    wait_for(page, "Number(data.step) > 100")
    press(page, "❚❚ Pause")
    at_rest(page)
    # at whatever step: which of the two is lower may change from step to step
    assert all(0 < error < first / 2 for error, first in zip(errors_of(root), at_first))
    root.get_by_label("formula in x and y").fill("sin(3*x)")
    page.wait_for_function("location.hash.includes('formula=sin(3*x)')")
    press(page, "Python code")
    page.wait_for_function("document.querySelector('.spg-code').value.includes('torch.sin(3 * x[:, 0])')")


@pytest.mark.slow
@pytest.mark.parametrize("welcome", ["http"], indirect=True)
def test_a_phone_in_the_dark(welcome):
    page, address = welcome
    page.set_viewport_size({"width": 360, "height": 780})
    page.goto(address)
    set_dark(page)
    shown(page)
    height = page.locator("[data-widget=playground]").first.bounding_box()["height"]
    press(page, "▶ Play")
    wait_for(page, "Number(data.step) > 100")
    press(page, "❚❚ Pause")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("[data-widget=playground]").first.bounding_box()["height"] == height


@pytest.mark.parametrize("name", ["welcome", "the_loss"], ids=["all controls", "few controls"])
def test_the_space_kept_for_it_is_what_it_takes(new_tab, origins, name):
    """At 390 and 1280 pixels test_walk.py asks the same of every widget of every page."""
    tab = new_tab(viewport={"width": 360, "height": 780})
    tab.goto(f"{origins['file']}/book/{name}.html")
    widget = tab.locator("[data-widget=playground]").first
    before = widget.bounding_box()["height"]
    shown(tab)
    assert widget.bounding_box()["height"] == pytest.approx(before, abs=2)


def pages_with_playgrounds(site):
    return [name for name in PAGES if re.search(r"<\w+ [^>]*data-widget=.?playground\b", (site / f"{name}.html").read_text())]


def test_it_is_where_it_explains_something(site):
    assert set(pages_with_playgrounds(site)) == {f"book/{name}" for name in (
        "welcome", "seven_functions", "the_loss", "when_slopes_hurt")}
