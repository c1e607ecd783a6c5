"""The playground as a reader meets it: a page opened from disk, no network, headless Chromium."""
import json

import pytest
from players import NO_THUMBNAILS, ROOT
from readers import Reader

import sobolev_lib as sl
from sobolev_lib.widgets import Playground
from sobolev_lib.widgets.playground_settings import DEFAULTS, PRESETS, SCHEMA

# --- training ---------------------------------------------------------------------------------------------------

def test_play_pause_step_reset(play):
    player = play("booth", points=10)
    start = player.data()
    assert start[0] == 0 and start[1] == start[2] > 0
    player.press("▶ Play")
    player.wait_for_step(50)
    player.press("❚❚ Pause")
    player.rest()
    step, regular, sobolev = player.data()
    assert regular != sobolev and regular < start[1]
    player.page.wait_for_timeout(200)
    assert player.data() == (step, regular, sobolev)
    player.press("Step")
    player.wait_for_step(step + 1)
    assert player.data()[0] == step + 1 and player.text("steps") == f"step {step + 1:,}"
    assert player.restarted(lambda: player.press("Reset")) == start
    player.press("▶ Play")
    player.wait_for_step(5)
    player.press("Reset")
    player.page.wait_for_function(f"document.querySelector('{ROOT}').dataset.step === '0'")
    player.page.wait_for_timeout(300)
    assert player.data() == start and player.page.get_by_role("button", name="▶ Play").count() == 1


@pytest.mark.slow
def test_the_same_settings_make_the_same_steps(play):
    player, errors = play(points=8, function="mccormick"), []
    for _ in range(2):
        for _ in range(3):
            step = player.data()[0]
            player.press("Step")
            player.wait_for_step(step + 1)
        errors.append(player.data())
        player.restarted(lambda: player.press("Reset"))
    assert errors[0] == errors[1] and errors[0][0] == 3


def test_the_sentence_says_who_is_ahead(play):
    player = play("booth", points=30)
    assert player.text("sentence") == "Both networks start alike. Press play."
    player.press("▶ Play")
    player.wait_for_step(300)
    player.press("❚❚ Pause")
    player.rest()
    step, regular, sobolev = player.data()
    assert regular > sobolev
    times = regular / sobolev
    shown = player.text("sentence")
    assert shown.endswith(f"after {step:,} steps.") and "x lower value error and " in shown
    assert float(shown.split("x lower")[0].split(": ")[1]) == pytest.approx(times, rel=0.1)
    assert player.page.locator("[aria-live=polite]").first.text_content() == shown   # once, when it stands still


def test_the_curves_and_pictures_change(play):
    player = play("ackley", points=20)
    before = [player.reader.pixels(i) for i in range(5)]
    player.press("▶ Play")
    player.wait_for_step(60)
    player.press("❚❚ Pause")
    after = [player.reader.pixels(i) for i in range(5)]
    assert before[0] == after[0] and all(a != b for a, b in zip(before[1:], after[1:]))


@pytest.mark.slow
def test_speed_is_kept_to(play):
    player = play("booth", points=5, speed=5)
    begun = player.page.evaluate("performance.now()")
    player.press("▶ Play")
    player.wait_for_step(6)
    step, now = player.page.evaluate(f"[Number(document.querySelector('{ROOT}').dataset.step), performance.now()]")
    assert step <= 5 * (now - begun) / 1000 + 1     # however busy the machine is


def test_two_diverging_networks_say_so_and_reset_recovers(play):
    player = play(optimizer="sgd", lr=10, derivative_weight=1e6)
    start = player.data()
    player.press("▶ Play")
    player.page.wait_for_function("document.querySelector('.spg-sentence').textContent.includes('diverged')")
    assert player.text("sentence").startswith("Regular and Sobolev training diverged at step ")
    assert player.page.evaluate(f"document.querySelector('{ROOT}').dataset.sobolevError") == "NaN"
    assert player.page.get_by_role("button", name="▶ Play").count() == 1   # it has paused
    assert player.restarted(lambda: player.press("Reset")) == start


@pytest.mark.slow
def test_extreme_settings_of_adam_are_survived(play):
    player = play("rosenbrock", lr=10, derivative_weight=1e6, depth=4, activation="relu")
    player.press("▶ Play")
    player.wait_for_step(100)
    player.press("❚❚ Pause")
    assert player.restarted(lambda: player.press("Reset"))[0] == 0


# --- settings ---------------------------------------------------------------------------------------------------

def test_every_control_can_be_changed_and_lands_in_the_address(play):
    player = play()
    player.open("More settings")
    expected = []
    for entry in SCHEMA:
        if not entry["group"]:
            continue
        field = player.page.get_by_label(entry["label"], exact=True)
        if entry["kind"] == "choice":
            value = next(option for option in entry["options"] if option != entry["default"])
            field.select_option(label=entry["text"][entry["options"].index(value)])
        else:
            value = next(stop for stop in entry["stops"] if stop > entry["default"]) if entry["default"] < max(entry["stops"]) \
                else entry["stops"][-2]
            field.evaluate("(field, at) => { field.value = at; field.dispatchEvent(new Event('input', { bubbles: true })); }",
                           entry["stops"].index(value))
        expected.append(f"{entry['name']}={value:g}" if isinstance(value, float) else f"{entry['name']}={value}")
    found = player.hash().removeprefix("#playground?").split("&")
    assert [one for one in expected if one not in found] == []
    player.press("▶ Play")
    player.wait_for_step(1)      # a step a second: the speed has been changed, too


def test_the_address_brings_the_experiment_back(play):
    player = play()
    player.page.get_by_label("function").select_option(label="McCormick")
    player.press("Map")
    player.page.get_by_label("activation").select_option(label="tanh")
    player.press("Step")
    player.wait_for_step(1)
    before, address = player.data(), player.hash()
    assert address == "#playground?function=mccormick&points=30&derivative_weight=1&activation=tanh&view=map"
    player.page.goto("about:blank")
    player.page.go_back()
    player.page.reload()
    player.page.wait_for_selector(f"{ROOT}[data-step]")
    assert player.page.get_by_label("function").evaluate("one => one.selectedOptions[0].textContent") == "McCormick"
    player.press("Step")
    player.wait_for_step(1)
    assert player.data() == before and player.hash() == address


def test_a_bad_address_says_what_is_wrong_and_keeps_the_rest(play):
    player = play()
    start = player.data()
    changed = player.restarted(lambda: player.page.evaluate(
        "location.hash = '#playground?points=abc&derivative_weight=1&lr=99&colour=red&width=8&drawing=1.x&at=%E0%A4'"))
    message = player.text("message")
    for part in ("points: expected a whole number between 1 and 500, got NaN", "lr: expected a number between",
                 "colour: no such setting", "drawing: expected at most 25 numbers", "at: expected at most 1000 numbers"):
        assert part in message
    assert "width" not in message and changed != start
    back = player.restarted(lambda: player.page.evaluate("location.hash = '#playground?drawing=1.2.3&function=curve'"))
    assert "not possible: drawing has 3 heights, expected 7" in player.text("message") and back == changed


def test_another_hash_is_not_ours(play):
    player = play()
    player.press("Step")
    player.wait_for_step(1)
    player.page.evaluate("location.hash = '#section'")
    assert player.text("message") == "" and player.hash() == "#section"
    assert player.data()[0] == 1          # a link to a section of the page leaves the training alone


def test_presets_are_experiments(play):
    player = play()
    for preset in PRESETS:
        player.restarted(lambda: player.press(preset["name"]))
        assert player.text("story") == preset["story"]
        button = player.page.get_by_role("button", name=preset["name"])
        assert button.get_attribute("aria-pressed") == "true"
        player.wait_for_step(1)     # a click plays it
        player.press("❚❚ Pause")


def test_few_controls(play):
    player = play(preset="Noisy derivatives", controls="few")
    assert player.text("story") == PRESETS[2]["story"].removesuffix(" " + PRESETS[2]["try"])   # it has none of those controls
    assert player.page.locator("fieldset").count() == 0 and player.page.locator(f"{ROOT} input").count() == 0
    player.press("▶ Play")
    player.wait_for_step(10)
    assert player.hash() == ""
    link = player.page.get_by_role("link", name="The same with all settings").get_attribute("href")
    assert link == "welcome.html#playground?points=60&derivative_weight=0.1&derivative_noise=1&speed=100"


def test_python_code_is_current_while_it_is_open(play):
    player = play("booth", points=7)
    player.press("Python code")
    assert "f = sl.functions.booth" in player.code() and "torch.rand(7, 2" in player.code() and "steps=1," in player.code()
    player.restarted(lambda: player.page.get_by_label("function").select_option(label="McCormick"))
    assert "f = sl.functions.mccormick" in player.code()
    player.page.get_by_label("activation").select_option(label="tanh")
    player.page.wait_for_function("document.querySelector('.spg-code').value.includes('activation=\"tanh\"')")
    player.press("Step")
    player.wait_for_step(1)
    player.press("▶ Play")
    player.wait_for_step(30)
    player.press("❚❚ Pause")
    player.rest()
    assert f"steps={player.data()[0]}," in player.code()
    player.restarted(lambda: player.page.get_by_label("function").select_option(label="Draw your own surface"))
    assert "data = sl.SobolevData(" in player.code()     # it has no formula: its points stand there


def test_python_code_is_copied(play):
    player = play("booth", points=7)
    player.page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    player.press("Python code")
    player.press("Copy code")
    assert player.text("message") == "Code copied." and player.page.evaluate("window.copied") == player.code()
    player.press("Python code")
    assert not player.page.get_by_label("The experiment in Python").is_visible()


# the same as once: without the settings whose defaults have changed, a link means the old ones
OLD_LINKS = {"#playground?function=mccormick&activation=tanh&view=map": {"points": "60", "derivative weight": "0.1"},
             "#playground?points=20&errors=true": {"points": "20", "derivative weight": "0.1"},
             "#playground?at=2700.2500.7500.7500&function=booth": {"points": "2", "derivative weight": "0.1"},
             "#playground?derivative_weight=1000000": {"points": "60", "derivative weight": "10⁶"},
             "#playground?drawing=1.2.3.4.5.6.7&function=curve&turn=1.5&speed=5": {"points": "60", "derivative weight": "0.1"}}


def test_old_links_still_lead_to_their_experiment(play):
    player = play()
    for link, values in OLD_LINKS.items():
        player.restarted(lambda: player.page.evaluate("link => { location.hash = link; }", link))
        for label, value in values.items():
            assert player.page.get_by_label(label, exact=True).get_attribute("aria-valuetext") == value
        assert player.text("message") == ""


# --- pictures ---------------------------------------------------------------------------------------------------

def test_turning_turns_all_three(play):
    player = play("booth", points=5)
    before = [player.reader.pixels(i) for i in range(5)]
    box = player.page.locator("canvas").nth(1).bounding_box()
    x, y = box["x"] + 60, box["y"] + 60
    player.drag((x, y), (x + 50, y + 10))
    after = [player.reader.pixels(i) for i in range(5)]
    assert all(a != b for a, b in zip(before[:3], after[:3])) and before[3:] == after[3:]
    assert "turn=" in player.hash()
    player.page.locator("canvas").first.focus()
    player.page.keyboard.press("ArrowRight")
    assert player.reader.pixels(0) != after[0]


def test_map_and_errors_are_one_click_away(play):
    player = play("booth", points=5, width=4)
    player.press("Step")
    player.wait_for_step(1)
    seen = [player.reader.pixels(1)]
    for name in ("Map", "Difference", "Map"):
        player.press(name)
        seen.append(player.reader.pixels(1))
    assert len(set(seen)) == 4 and player.data()[0] == 1   # looking does not begin again


def test_points_are_dragged_added_and_removed(play):
    player = play("booth", at=[0.25, 0.25, 0.75, 0.75], view="map")
    assert player.text("caption").startswith("2 points")
    start = player.data()
    moved = player.restarted(lambda: player.drag(player.on_target(0.25, 0.25), player.on_target(0.5, 0.2)))
    assert moved != start
    at = player.hash().split("at=")[1].split("&")[0].split(".")
    assert [int(one) / 1e4 for one in at] == pytest.approx([0.5, 0.2, 0.75, 0.75], abs=0.02)
    player.restarted(lambda: player.page.mouse.click(*player.on_target(0.2, 0.6)))
    assert player.text("caption").startswith("3 points")
    assert player.page.get_by_label("points", exact=True).get_attribute("aria-valuetext") == "3"
    player.restarted(lambda: player.page.mouse.dblclick(*player.on_target(0.2, 0.6)))
    assert player.text("caption").startswith("2 points")
    player.open("More settings")
    player.restarted(lambda: player.press("New sample"))
    assert player.text("caption").startswith("30 points") and "at=none" in player.hash()


def test_points_obey_the_keyboard(play):
    player = play("booth", at=[0.25, 0.25, 0.75, 0.75], view="map")
    player.page.locator("canvas").first.focus()
    player.page.keyboard.press("n")
    player.restarted(lambda: player.page.keyboard.press("ArrowRight"))
    at = player.hash().split("at=")[1].split("&")[0]
    assert at == "2700.2500.7500.7500"
    player.restarted(lambda: player.page.keyboard.press("Delete"))
    assert player.text("caption").startswith("1 point,")
    player.restarted(lambda: player.page.keyboard.press("a"))
    assert player.text("caption").startswith("2 points")


@pytest.mark.parametrize("name, view", [("curve", "3d"), ("surface", "3d"), ("surface", "map")])
def test_drawn_functions_are_dragged(play, name, view):
    player = play(name, points=4, view=view)
    player.page.locator("canvas").first.focus()
    for _ in range(5):           # behind the four points come the squares
        player.page.keyboard.press("n")
    before = player.reader.pixels(0)
    player.restarted(lambda: player.page.keyboard.press("ArrowUp"))
    assert player.reader.pixels(0) != before
    first = [-0.2, -0.4][name == "surface"]
    assert player.hash().split("drawing=")[1].split(".")[0] == str(round((first + 0.05) * 1000))


def test_the_target_follows_what_was_drawn_while_the_worker_was_busy(play):
    player = play("surface", points=4, view="3d")
    player.page.locator("canvas").first.focus()
    for _ in range(5):
        player.page.keyboard.press("n")
    before = player.reader.pixels(0)
    player.page.evaluate("""() => { const post = Worker.prototype.postMessage;
        Worker.prototype.postMessage = function (...given) { setTimeout(() => post.apply(this, given), 300); }; }""")

    def moved_and_let_go():
        player.page.keyboard.press("ArrowUp")
        player.page.keyboard.press("Escape")        # draws at once, the target as it was
        for _ in range(5):
            player.page.keyboard.press("n")

    player.restarted(moved_and_let_go)
    assert player.reader.pixels(0) != before


def test_one_input_draws_curves(play):
    player = play("wave", points=6)
    assert player.page.get_by_role("button", name="Map", exact=True).is_disabled()
    player.press("Step")
    player.wait_for_step(1)
    before = player.reader.pixels(1)
    player.press("Difference")
    assert player.reader.pixels(1) != before
    box = player.page.locator("canvas").first.bounding_box()
    player.restarted(lambda: player.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20))
    assert player.text("caption").startswith("7 points")


def test_a_table_and_a_function_from_python(play):
    f = sl.functions.booth
    data = sl.label(f, f.sample(30))
    player = play(data=data)
    assert player.text("caption").startswith("24 points")
    points = player.page.get_by_label("points", exact=True)
    assert points.is_disabled() and points.get_attribute("aria-valuetext") == "24"
    player.open("More settings")
    assert player.page.get_by_role("button", name="New sample").is_disabled()
    assert player.page.get_by_role("button", name="Difference").is_disabled()   # there is no truth between the points
    player.press("▶ Play")
    player.wait_for_step(20)


# --- everyone ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("width", [360, pytest.param(1100, marks=pytest.mark.slow)])
def test_nothing_is_wider_than_the_screen_or_moves(play, width):
    player = play("bukin", points=5, screen={"viewport": {"width": width, "height": 900}})
    height = player.reader.height()
    player.press("▶ Play")
    player.wait_for_step(100)
    player.press("❚❚ Pause")
    assert player.page.evaluate("document.documentElement.scrollWidth") <= width
    assert player.reader.height() == height
    for preset in PRESETS:       # and one story is longer than another
        player.restarted(lambda: player.press(preset["name"]))
        player.wait_for_step(1)
        player.press("❚❚ Pause")
        assert player.reader.height() == height, preset["name"]


def test_dark_pages_are_drawn_in_light_ink(play):
    player = play("booth", points=5)
    before = player.reader.pixels(3)
    player.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    player.page.wait_for_timeout(100)
    assert player.reader.pixels(3) != before


def test_everything_has_a_name(play):
    player = play()
    player.wait_for_step(0)                                # a picture is named when it has been drawn
    player.reader.settle()
    nameless = player.page.evaluate("""() => [...document.querySelectorAll(
        '.sobolev-playground :is(canvas, input:not([type=file]), select, button, textarea, img)')]
      .filter(el => !(el.alt === '' && el.closest('[aria-label]')))
      .filter(el => !(el.getAttribute('aria-label') || el.closest('label')?.textContent || el.textContent).trim())
      .map(el => el.outerHTML)""")
    assert nameless == []
    for canvas in player.page.locator("canvas").all():
        assert len(canvas.get_attribute("aria-label")) > 20 and canvas.get_attribute("role") in ("img", "application")


@pytest.mark.parametrize("controls", ["all", pytest.param("few", marks=pytest.mark.slow)])
def test_the_place_kept_is_the_place_taken_and_nothing_is_cut(new_tab, tmp_path, monkeypatch, controls):
    """In boxes of every kind: before the script has come, after, and with each story."""
    monkeypatch.setenv("SOBOLEV_BOOK_BUILD", "1")
    for number, preset in enumerate((None, "Weight too high")):
        html = Playground(preset=preset, controls=controls)._repr_html_()
        page = new_tab(viewport={"width": 600, "height": 900})
        page.set_content(f'<!doctype html><body style="margin:0">{html}')
        folder = tmp_path / f"page{number}"
        folder.mkdir()
        reader = Reader(new_tab, folder, NO_THUMBNAILS + html, viewport={"width": 600, "height": 900})
        reader.page.add_style_tag(content="body { max-width: none !important; padding: 0 !important; }")
        reader.page.wait_for_selector(f"{ROOT}[data-step]")
        for width in (600, 360, 1000):
            for tab in (page, reader.page):
                tab.set_viewport_size({"width": width, "height": 900})
            kept = page.locator(".sobolev-widget").bounding_box()["height"]
            reader.settle()
            assert reader.height() == kept, width
            for name in [one["name"] for one in PRESETS] if controls == "all" else []:
                reader.page.get_by_role("button", name=name).click()
                cut = reader.page.evaluate("""() => [...document.querySelectorAll(
                  '.spg-stories, .spg-caption, .spg-sentence, .spg-title, .spg-tools, .spg-card')]
                  .filter(el => el.scrollHeight > el.clientHeight + 3 || el.scrollWidth > el.clientWidth + 1).map(el => el.outerHTML)""")
                assert cut == [] and reader.height() == kept, name


def test_everything_needed_fits_one_screen(new_tab, tmp_path, monkeypatch):
    monkeypatch.setenv("SOBOLEV_BOOK_BUILD", "1")
    reader = Reader(new_tab, tmp_path, Playground()._repr_html_(), viewport={"width": 1280, "height": 800})
    reader.page.add_style_tag(content="body { max-width: 1000px !important; padding: 0 !important; }")
    reader.page.wait_for_selector(f"{ROOT}[data-step]")
    assert reader.height() <= 740                                  # some of the 800 belong to the page's header
    for label in ("function", "points", "derivative weight", "noise on derivatives", "activation", "learning rate"):
        assert reader.page.get_by_label(label, exact=True).is_visible()
    assert not reader.page.get_by_label("hidden layers", exact=True).is_visible()
    reader.page.set_viewport_size({"width": 390, "height": 844})
    assert reader.height() < 1400                                  # a phone: half of what it was
    regular, sobolev = (reader.page.locator(".spg-pictures canvas").nth(k).bounding_box() for k in (1, 2))
    assert regular["y"] == sobolev["y"] and regular["x"] < sobolev["x"]      # side by side


@pytest.mark.slow
def test_the_cards_have_thumbnails_of_their_stories(play):
    player = play(thumbnails=True)
    player.page.wait_for_function("""() => [...document.querySelectorAll('.spg-card img')]
        .every(img => img.src.startsWith('data:image/png'))""")
    sources = player.page.locator(".spg-card img").evaluate_all("all => all.map(img => img.src)")
    assert len(set(sources)) == len(PRESETS) == 4
    assert player.data()[0] == 0     # painting them leaves the reader's experiment alone


def test_less_motion_means_fewer_pictures(play):
    """A picture at most every 400 ms."""
    player = play("booth", points=5, motion="reduce")
    player.page.evaluate("""() => { window.changes = 0;
      new MutationObserver(() => window.changes++).observe(document.querySelector('.sobolev-playground'),
        { attributes: true, attributeFilter: ['data-step'] }); }""")
    player.press("▶ Play")
    player.page.wait_for_timeout(1000)
    assert 1 <= player.page.evaluate("window.changes") <= 4


@pytest.mark.slow
def test_a_hidden_playground_rests(play):
    player = play("booth", points=5)
    player.page.evaluate("document.body.style.paddingTop = '4000px'")
    player.press("▶ Play")
    player.wait_for_step(5)
    player.page.evaluate("scrollTo(0, 0)")
    player.page.wait_for_timeout(1000)
    step = player.data()[0]
    player.page.wait_for_timeout(800)
    assert player.data()[0] == step


def test_the_defaults_are_written_nowhere(play):
    player = play()
    player.press("Map")
    player.press("Map")
    assert player.hash() == "" and json.loads(json.dumps(DEFAULTS)) == DEFAULTS
