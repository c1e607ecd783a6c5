"""Questions: what is refused, what numbers are accepted, and what a reader sees, in headless Chromium."""
import json

import numpy as np
import pytest
from readers import KERNEL

from sobolev_lib import book_output
from sobolev_lib.widgets import Question

CHOICES = {"Values": "They leave a gap.", "Values & slopes": "The slopes fill it: x<sub>1</sub> < x<sub>2</sub>."}


def ask(read, *args, after="", viewport=None, **options):
    screen = {"viewport": viewport} if viewport else {}
    reader = read(f'<div class="bd-article"><div class="cell">{Question(*args, **options)._repr_html_()}</div>{after}</div>', **screen)
    reader.page.wait_for_selector(".sobolev-widget[data-ready]")
    reader.settle()
    return reader


def said(reader):
    return reader.page.get_by_role("status").first.inner_text()


@pytest.mark.parametrize("options, message", [
    ({}, "got neither"),
    ({"choices": CHOICES, "number": 1}, "got both"),
    ({"choices": {"One": "choice"}}, "at least two"),
    ({"choices": CHOICES, "right": "Slopes"}, "right: expected one of .*got 'Slopes'"),
    ({"choices": CHOICES, "because": "of that"}, "only with a number"),
    ({"number": 1, "right": "Values"}, "only with choices"),
    ({"number": float("nan")}, "finite number"),
    ({"number": 1, "tolerance": -1}, "tolerance of 0 or more"),
    ({"number": 1, "tolerance": 0.5, "hints": {1.25: "near"}}, "not the answer 1, got 1.25"),
    ({"number": 1, "hints": {float("nan"): "not a number"}}, "hints: expected a finite number, got nan"),
    ({"number": 1, "tolerance": 0.5, "hints": {3: "a", 3.25: "b"}}, "farther apart than the tolerance 0.5, got 3 and 3.25"),
    ({"number": 1e12, "hints": {1e12 + 1: "as good as right"}}, "not the answer"),
    ({"number": True}, "number: expected a number, got True"),
    ({"number": "3"}, "number: expected a number, got '3'"),
    ({"number": 3, "tolerance": "0.1"}, "tolerance: expected a number"),
    ({"number": 3, "hints": {"2": "two"}}, "hints: expected a number, got '2'"),
    ({"number": 3, "hints": [2, 1]}, "hints: expected a dict"),
    ({"number": 3, "hints": {2: 2}}, r"hints\[2\]: expected a text, got 2"),
    ({"number": 3, "because": 3}, "because: expected a text, got 3"),
    ({"choices": ["One", "Two"]}, "choices: expected a dict"),
    ({"choices": {"One": "1", 2: "2"}}, "choices: expected a text, got 2"),
    ({"choices": {"One": "1", "Two": None}}, r"choices\['Two'\]: expected a text, got None"),
    ({"choices": CHOICES, "right": ["Values"]}, r"right: expected one of .*got \['Values'\]"),
    ({"number": 3, "because": "a <b>bold</b> <b>word"}, "because: expected </b> after <b>"),
    ({"number": 3, "because": "x</sub>"}, "because: expected <sub> before </sub>"),
    ({"choices": {"<i>One<b></i></b>": "1", "Two": "2"}}, "choices: expected <i> before </i>"),
])
def test_impossible_questions_are_refused(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Question("Which?", **options)


@pytest.mark.parametrize("question, message", [(" ", "question: expected a text"), (None, "question: expected a text, got None"),
                                               ("<code>x", "question: expected </code> after <code>")])
def test_a_question_that_is_none_is_refused(question, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Question(question, CHOICES)


def test_numbers_of_any_library_and_marks_that_pair_up_are_taken(monkeypatch):
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD", raising=False)
    state = Question("<i>a <b>b</b></i> < <u>", number=np.float32(0.5), hints={np.int64(2): "x<sub>1</sub>"}, tolerance=1).state
    assert state["question"] == "<i>a <b>b</b></i> &lt; &lt;u&gt;" and state["number"] == 0.5 and state["hints"] == [2.0]


@pytest.mark.parametrize("typed, number", [("3", 3), (" 0.5 ", 0.5), ("0,5", 0.5), (".5", 0.5), ("1/2", 0.5), ("−2", -2), ("-3e-2", -0.03), ("+4.", 4),
                                           ("1,000", 1000), ("1 000 000", 1e6), ("1,234.5", 1234.5), ("10^6", 1e6), ("10**-2", 0.01), ("0,125", 0.125), ("1,5", 1.5)])
def test_numbers_are_read_as_people_write_them(engine, typed, number):
    assert engine("return numberFrom(given);", typed, source="answers") == number


@pytest.mark.parametrize("typed", ["", "three", "1/2/3", "1 00", "1,00,000", "2x", "1//2", "1.000.000", "NaN", "0x10"])
def test_what_is_no_number_is_not_taken_for_one(engine, typed):
    assert engine("return Number.isFinite(numberFrom(given));", typed, source="answers") is False


def test_a_choice_is_answered_at_once(read):
    reader = ask(read, "Which is <i>closer</i>?", CHOICES, right="Values & slopes")
    assert reader.page.locator(".squ-question i").inner_text() == "closer"
    assert said(reader) == ""
    reader.page.get_by_role("button", name="Values", exact=True).click()
    assert said(reader) == "No. They leave a gap."
    reader.page.get_by_role("button", name="Values & slopes").press("Enter")
    assert said(reader) == "Right. The slopes fill it: x1 < x2."
    assert [b.get_attribute("aria-pressed") for b in reader.page.get_by_role("button").all()] == ["false", "true"]


@pytest.mark.parametrize("width", [pytest.param(900, marks=pytest.mark.slow), 390])
@pytest.mark.parametrize("options", [{"choices": CHOICES, "veil": True}, {"number": 3, "because": "It has three. " * 20}])
def test_its_place_is_kept_before_the_script_runs(chromium, read, options, width):
    reader = ask(read, "How many? " * 12, viewport={"width": width, "height": 800}, **options)
    page = chromium.new_page(java_script_enabled=False, viewport={"width": width, "height": 800})
    page.goto(reader.page.url)
    assert abs(page.locator(".sobolev-placeholder").bounding_box()["height"] - reader.page.locator(".squ").bounding_box()["height"]) < 1
    page.close()


def test_a_prediction_is_neither_right_nor_wrong(read):
    reader = ask(read, "Which is closer?", CHOICES)
    reader.page.get_by_role("button", name="Values", exact=True).click()
    assert said(reader) == "They leave a gap."


def test_a_number_is_judged_with_hints(read):
    reader = ask(read, "How many?", number=3, because="It has three coefficients.", hints={2: "That fixes a line."})
    field = reader.page.get_by_role("textbox", name="Your answer, a number")
    for typed, answer in [("many", "Expected a number"), ("7", "No. Try again."), ("2", "No. That fixes a line."),
                          ("3.0", "Right. It has three coefficients."), ("6/2", "Right.")]:
        field.fill(typed)
        field.press("Enter")
        assert said(reader).startswith(answer)
    field.fill("4")
    reader.page.get_by_role("button", name="Check").click()
    assert said(reader) == "No. Try again."
    reader.page.get_by_role("button", name="Show the answer").click()
    assert said(reader) == "3. It has three coefficients."
    assert not reader.page.get_by_role("button", name="Show the answer").is_visible()


@pytest.mark.parametrize("number, shown", [(1 / 18, "0.0556"), (1e6, "1,000,000"), (-2.5, "−2.5")])
def test_the_answer_is_shown_as_people_write_it(read, number, shown):
    reader = ask(read, "How much?", number=number)
    reader.page.get_by_role("button", name="Show the answer").click()
    assert said(reader) == f"{shown}."


def test_shown_without_a_choice_the_answer_is_said(read):
    reader = ask(read, "Which?", CHOICES, right="Values", veil=True)
    reader.page.get_by_role("button", name="Show me").click()
    assert said(reader) == "Values. They leave a gap."


def test_the_tolerance_is_kept(read):
    reader = ask(read, "How large?", number=0.3, tolerance=0.01)
    for typed, right in [("0.31", True), ("0.29", True), ("0.311", False)]:
        reader.page.get_by_role("textbox").fill(typed)
        reader.page.get_by_role("button", name="Check").click()
        assert said(reader).startswith("Right") == right


NEXT = '<div class="cell"><div class="cell_output"><a href="#x">The outcome</a></div></div>'


@pytest.mark.parametrize("button", ["Values", "Show me"])
def test_the_next_output_is_veiled_until_the_reader_has_chosen(read, button):
    reader = ask(read, "Which?", CHOICES, veil=True, after="<p>Text between.</p>" + NEXT + NEXT)
    blurred = "[...document.querySelectorAll('.cell_output')].map(el => [el.inert, getComputedStyle(el).filter !== 'none'])"
    assert reader.page.evaluate(blurred) == [[True, True], [False, False]]
    reader.page.get_by_role("button", name=button, exact=True).click()
    assert reader.page.evaluate(blurred) == [[False, False]] * 2


def test_texts_cannot_carry_markup(read):
    reader = ask(read, "<img src=x onerror=alert(1)>?", {"<b>a</b>": "<script>alert(1)</script>", "b": "</p><a href='x'>y</a>"})
    reader.page.get_by_role("button", name="a", exact=True).click()
    assert said(reader) == "<script>alert(1)</script>"
    assert reader.page.locator(".squ :is(img, script, a)").count() == 0


def test_in_jupyter_it_is_a_widget_that_asks_nothing_of_the_kernel(chromium):
    pytest.importorskip("anywidget")
    widget = Question("How many?", number=3)
    page = chromium.new_page()
    page.set_content("<div id=stage></div>")
    page.evaluate("state => { window.state = state; }", {"state": json.loads(json.dumps(widget.state))})
    page.evaluate(KERNEL, book_output.module_script("question"))
    page.get_by_role("textbox").fill("3")
    page.get_by_role("textbox").press("Enter")
    assert page.get_by_role("status").first.inner_text() == "Right."
    page.close()
