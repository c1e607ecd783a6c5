"""The reader's own data in the playground: typed, pasted, dropped, drawn by hand, and sent to others in a link."""
import numpy as np
import pytest

NOTES = ".spg-note"
DROP = """([text, name]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([text], name, { type: 'text/csv' }));
  const root = document.querySelector('.spg-pictures');      // anywhere on the playground will do
  const options = { dataTransfer: carried, bubbles: true, cancelable: true };
  for (const type of ['dragover', 'drop']) root.dispatchEvent(new DragEvent(type, options));
}"""


def csv(n=60, seed=0):
    x, y = np.random.default_rng(seed).uniform(-1, 1, (2, n))
    rows = zip(x, y, x**2 * y, 2 * x * y, x**2)
    return "x,y,f,dx,dy\n" + "\n".join(",".join(f"{one:.6f}" for one in row) for row in rows)


def note(player, k):
    return player.page.locator(NOTES).nth(k).inner_text()


def wait_for_note(player, k, words):
    player.page.wait_for_function("([k, words]) => document.querySelectorAll('.spg-note')[k].textContent.includes(words)",
                                  arg=[k, words])


def opened(play, **settings):
    player = play(**settings)
    player.open("Your own data")
    return player


def chosen(player):
    return player.page.get_by_label("function", exact=True).evaluate("one => one.selectedOptions[0].textContent")


# --- a formula --------------------------------------------------------------------------------------------------

def test_a_formula_is_learned_and_its_derivatives_are_shown(play):
    player = opened(play)
    player.restarted(lambda: player.page.get_by_label("formula in x and y").fill("sin(x)*y^2"))
    assert note(player, 0) == "df/dx = cos(x) * y^2; df/dy = sin(x) * 2 * y"
    assert chosen(player) == "Your formula"
    player.press("▶ Play")
    player.wait_for_step(30)
    player.press("❚❚ Pause")
    player.open("Python code")
    assert "f = lambda x: torch.sin(x[:, 0]) * x[:, 1] ** 2" in player.code()
    player.page.get_by_label("y to", exact=True).fill("5")
    # not "until it restarts": the last answer from before the pause may still come
    player.page.wait_for_function("location.hash.includes('range=-2,2,-2,5')")
    assert "formula=sin(x)*y%5E2" in player.hash()


def test_a_formula_in_x_alone_draws_curves(play):
    player = opened(play)
    player.restarted(lambda: player.page.get_by_label("formula in x and y").fill("exp(-x^2)"))
    assert player.page.get_by_label("y to", exact=True).is_disabled()
    assert player.page.get_by_role("button", name="Map", exact=True).is_disabled()


def test_a_wrong_formula_says_so_and_changes_nothing(play):
    player = opened(play)
    player.press("Step")
    player.wait_for_step(1)
    field = player.page.get_by_label("formula in x and y")
    for text, words in (("2x", "write 2*x"), ("x/0", "the function is not finite at x = -2"), ("", "got none"), ("sin(x", 'expected ")"')):
        field.fill(text)
        field.press("Enter")
        wait_for_note(player, 0, words)
        assert note(player, 0).startswith("Not learned: ")
        assert field.input_value() == text and player.data()[0] == 1 and player.hash() == ""
    player.page.get_by_label("activation").select_option(label="tanh")     # and it stays while other things change
    assert field.input_value() == text


# --- a table ----------------------------------------------------------------------------------------------------

def test_a_pasted_table_is_learned(play):
    player = opened(play)
    _, *at_first = player.restarted(lambda: player.page.get_by_label("table as CSV").fill(csv()))
    assert note(player, 1).startswith("60 rows, all slopes known.")
    assert player.text("caption").startswith("48 points, all with derivatives; 12 more to test.")
    assert chosen(player) == "Your table (CSV)"
    assert player.page.get_by_role("button", name="Difference").is_disabled()
    player.press("▶ Play")
    player.wait_for_step(200)
    player.press("❚❚ Pause")
    player.rest()
    _, *errors = player.data()      # at whatever step: which of the two is lower changes from step to step
    assert all(0 < error < first / 10 for error, first in zip(errors, at_first))
    player.open("Python code")
    assert player.code().count("sl.SobolevData(") == 2     # rows to learn and rows to test


def test_a_dropped_file_is_learned_and_leaves_for_nowhere(play):
    player = play()
    requested = len(player.reader.requested)
    player.restarted(lambda: player.page.evaluate(DROP, [csv(500), "measured.csv"]))
    assert player.page.get_by_label("table as CSV").is_visible() and player.text("caption").startswith("400 points")
    assert [url for url in player.reader.requested[requested:] if not url.startswith("blob:")] == []


def test_long_tables_are_read_from_their_file_in_python(play, tmp_path):
    player = play()
    text = "name;" + csv(600).replace(",", ";").replace("\n", "\nrow;")
    player.restarted(lambda: player.page.evaluate(DROP, [text, "measured.csv"]))
    player.open("Python code")
    (tmp_path / "measured.csv").write_text(text, encoding="utf-8")
    names = {}
    exec(player.code().replace('"measured.csv"', repr(str(tmp_path / "measured.csv"))), names)
    assert len(names["data"]) == 480 and len(names["test"]) == 120
    player.press("Step")
    player.wait_for_step(1)
    for method, error in zip(("regular", "sobolev"), player.data()[1:]):
        assert names["history"][method].validation["value_mse"][-1] == pytest.approx(error, rel=1e-3)


@pytest.mark.slow
def test_columns_that_were_not_found_can_be_chosen(play):
    player = opened(play)
    player.page.get_by_label("table as CSV").fill(csv().replace("x,y,f,dx,dy", "a,b,c,d,e"))
    wait_for_note(player, 1, "choose the column of the first input")
    for label, name in (("input x", "a"), ("input y", "b"), ("value f", "c"), ("slope df/dy", "e")):
        player.page.get_by_label(label, exact=True).select_option(label=name)
    wait_for_note(player, 1, "60 rows, all slopes known")
    player.restarted(lambda: player.page.get_by_label("slope df/dx", exact=True).select_option(label="d"))
    assert player.text("caption").startswith("48 points, all with derivatives")


WRONG_TABLES = {
    "x;f;dx\n1;2;3\n4;5,5;6\n": 'line 3, column "f": "5,5" has a decimal comma; write 5.5',
    "x,f,dx\n1,2,3\n": "expected at least two rows",
    "x,f,dx\n1,2,3\n4,five,6\n": 'line 3, column "f": expected a number, got "five"',
    "hello": "one column only",
}


def test_a_wrong_table_says_where_and_nothing_is_lost(play):
    player = opened(play)
    player.restarted(lambda: player.page.get_by_label("table as CSV").fill(csv()))
    player.press("Step")
    player.wait_for_step(1)
    before = player.data()
    field = player.page.get_by_label("table as CSV")
    for text, words in WRONG_TABLES.items():
        field.fill(text)
        wait_for_note(player, 1, words)
        assert note(player, 1).startswith("Not learned: ") and field.input_value() == text
        assert player.data() == before and player.text("caption").startswith("48 points")


def test_a_file_too_large_is_not_read(play):
    player = opened(play)
    player.page.evaluate(DROP, ["x" * 5_100_000, "large.csv"])
    wait_for_note(player, 1, "Not read: large.csv has 5.1 MB")


def test_the_list_of_functions_asks_for_a_table_first(play):
    player = play()
    player.page.get_by_label("function", exact=True).select_option(label="Your table (CSV)")
    assert chosen(player) == "Styblinski-Tang" and note(player, 1) == "Drop, open or paste a table here."
    assert player.page.get_by_label("table as CSV").evaluate("field => field === document.activeElement")
    player.restarted(lambda: player.press("Example"))
    player.restarted(lambda: player.page.get_by_label("function", exact=True).select_option(label="Booth"))
    player.restarted(lambda: player.page.get_by_label("function", exact=True).select_option(label="Your table (CSV)"))
    assert player.text("caption").startswith("40 points, 36 with derivatives; 9 more")     # it was kept


@pytest.mark.slow
def test_ten_thousand_rows_train_and_are_too_many_for_a_link(play):
    player = play(batch_size=64)
    player.restarted(lambda: player.page.evaluate(DROP, [csv(10_000), "many.csv"]))
    player.press("▶ Play")
    player.wait_for_step(20)
    player.press("❚❚ Pause")
    player.rest()
    assert player.text("caption").startswith("8000 points")
    player.page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    player.press("Copy link")
    assert player.text("message").startswith("Your table is too large for a link: about ") and player.page.evaluate("!window.copied")
    assert player.hash() == ""


# --- points and tangents ----------------------------------------------------------------------------------------

def tangents(player):
    numbers = [int(one) / 1000 for one in player.hash().split("tangents=")[1].split("&")[0].split(".")]
    return np.reshape(numbers, (-1, 3))


def on_values(player, x, value):
    """A place in the target's upper plot; see profile.js."""
    box = player.page.locator(".spg-pictures canvas").first.bounding_box()
    top, bottom = 17, 17 + (box["height"] - 17 - 30 - 19) * 0.62
    return box["x"] + 40 + x * (box["width"] - 48), box["y"] + bottom - (value + 1.3) / 2.6 * (bottom - top)


POINTS = [0.3, 0.5, 0.0, 0.7, -0.5, 0.0]


@pytest.fixture
def drawn(play):
    return play("tangents", tangents=POINTS)


def test_a_point_is_dragged_to_a_place_and_a_value(drawn):
    assert drawn.text("caption").startswith("2 points") and drawn.page.get_by_label("points", exact=True).is_disabled()
    drawn.restarted(lambda: drawn.drag(on_values(drawn, 0.3, 0.5), on_values(drawn, 0.4, -0.2)))
    assert tangents(drawn) == pytest.approx(np.array([[0.4, -0.2, 0], [0.7, -0.5, 0]]), abs=0.03)


def test_a_handle_turns_its_tangent(drawn):
    x, y = on_values(drawn, 0.3, 0.5)
    drawn.restarted(lambda: drawn.drag((x + 28, y), (x + 20, y - 20)))       # half a right angle up
    one, other = on_values(drawn, 0, 0), on_values(drawn, 1, 1)
    steep = (other[0] - one[0]) / (one[1] - other[1])
    assert tangents(drawn) == pytest.approx(np.array([[0.3, 0.5, steep], [0.7, -0.5, 0]]), rel=0.15, abs=0.02)


def test_fingers_drag_too(drawn):
    x, y = on_values(drawn, 0.3, 0.5)
    where = [(x + 28, y), (x + 24, y + 6), (x + 20, y + 20)]
    touch = drawn.page.context.new_cdp_session(drawn.page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": where[0][0], "y": where[0][1]}]})
    for place in where[1:]:
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": place[0], "y": place[1]}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert tangents(drawn)[0, 2] < -1


def test_points_and_slopes_obey_the_keyboard(drawn):
    target = drawn.page.locator(".spg-pictures canvas").first
    target.focus()
    drawn.page.keyboard.press("n")                       # the first point, then its handle
    drawn.restarted(lambda: drawn.page.keyboard.press("ArrowRight"))
    drawn.restarted(lambda: drawn.page.keyboard.press("ArrowUp"))
    assert tangents(drawn)[0] == pytest.approx([0.32, 0.54, 0], abs=1e-3)
    drawn.page.keyboard.press("n")
    drawn.restarted(lambda: drawn.page.keyboard.press("ArrowUp"))
    assert tangents(drawn)[0, 2] > 0.1 and tangents(drawn)[1, 2] == 0
    drawn.restarted(lambda: drawn.page.keyboard.press("a"))
    assert tangents(drawn)[2] == pytest.approx([0.5, 0, 0], abs=1e-3)
    drawn.restarted(lambda: drawn.page.keyboard.press("Delete"))
    assert len(tangents(drawn)) == 2


def test_points_are_added_and_removed_by_hand(drawn):
    drawn.restarted(lambda: drawn.page.mouse.click(*on_values(drawn, 0.1, -0.8)))
    assert tangents(drawn)[2] == pytest.approx([0.1, -0.8, 0], abs=0.03)
    drawn.restarted(lambda: drawn.page.mouse.dblclick(*on_values(drawn, 0.1, -0.8)))
    assert drawn.text("caption").startswith("2 points") and drawn.hash() == ""      # as it was


@pytest.mark.slow
def test_both_errors_are_measured_at_the_points(drawn):
    assert drawn.page.locator(".spg-charts .spg-title").first.text_content() == "value error at the points"
    drawn.press("▶ Play")
    drawn.wait_for_step(300)
    drawn.press("❚❚ Pause")
    drawn.rest()
    assert "at the points" in drawn.text("sentence") and "lower gradient error" in drawn.text("sentence")


# --- links ------------------------------------------------------------------------------------------------------

def formula(player):
    player.page.get_by_label("formula in x and y").fill("x^2 - cos(y) + 1e-1*x*y")


def table(player):
    player.page.get_by_label("table as CSV").fill(csv(40).replace(",0.", ",", 1))


def by_hand(player):
    player.page.get_by_label("function", exact=True).select_option(label="Points and tangents")
    player.page.locator(".spg-pictures canvas").first.focus()
    player.page.keyboard.press("a")


@pytest.mark.parametrize("act", [pytest.param(formula, marks=pytest.mark.slow), table, by_hand])
def test_a_link_brings_the_experiment_back(play, act):
    player = opened(play)
    player.restarted(lambda: act(player))
    player.hash()
    player.page.get_by_label("activation").select_option(label="tanh")
    player.rest()
    player.restarted(lambda: player.press("Reset"))
    player.press("Step")
    player.wait_for_step(1)
    before, address = player.data(), player.hash()
    assert len(address) < 4000
    player.page.goto("about:blank")
    player.page.go_back()
    player.page.reload()
    player.page.wait_for_selector(".sobolev-playground[data-step]")
    assert player.text("message") == ""
    player.press("Step")
    player.wait_for_step(1)
    assert player.data() == before and player.hash() == address
    if act is formula:
        player.open("Your own data")
        assert player.page.get_by_label("formula in x and y").input_value() == "x^2 - cos(y) + 1e-1*x*y"


DAMAGED = {
    "function=table": "the table in the link is damaged", "function=table&table=xfg:AAAA": "the table in the link is damaged",
    "function=formula&formula=2x": "write 2*x", "function=formula&formula=alert(1)": '"alert" is not known',
    "function=formula&formula=x&range=1,1": "expected a lower number first",
    "function=tangents&tangents=100.200": "expected three for each point", "formula=": "formula: expected a text",
}


def test_a_damaged_link_says_so_and_the_page_goes_on(play):
    player = play()
    for steps, (address, words) in enumerate(DAMAGED.items()):
        # a link that is in order, so that what was said before is gone
        player.restarted(lambda: player.page.evaluate("n => { location.hash = `#playground?points=${n}`; }", 10 + steps))
        assert player.text("message") == ""
        player.page.evaluate("hash => { location.hash = hash; }", f"#playground?{address}")
        player.page.wait_for_function("words => document.querySelector('.spg-message').textContent.includes(words)", arg=words)
        step = player.data()[0]
        player.press("Step")
        player.wait_for_step(step + 1)
