"""Questions: what is refused, what numbers are accepted, and what a reader sees, in headless Chromium."""
import json

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
])
def test_impossible_questions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Question("Which?", **options)


def test_an_empty_question_is_refused():
    with pytest.raises(ValueError, match="question: expected a text"):
        Question(" ", CHOICES)


@pytest.mark.parametrize("typed, number", [("3", 3), (" 0.5 ", 0.5), ("0,5", 0.5), (".5", 0.5), ("1/2", 0.5), ("−2", -2), ("-3e-2", -0.03), ("+4.", 4)])
def test_numbers_are_read_as_people_write_them(engine, typed, number):
    assert engine("return numberFrom(given);", typed, source="answers") == number


@pytest.mark.parametrize("typed", ["", "three", "1/2/3", "1 000", "2x", "1//2", "1.000.000", "NaN", "0x10"])
def test_what_is_no_number_is_not_taken_for_one(engine, typed):
    assert engine("return Number.isFinite(numberFrom(given));", typed, source="answers") is False


def test_a_choice_is_answered_at_once_and_nothing_moves(read):
    reader = ask(read, "Which is <i>closer</i>?", CHOICES, right="Values & slopes")
    assert reader.page.locator(".squ-question i").inner_text() == "closer"
    height = reader.height()
    assert said(reader) == ""
    reader.page.get_by_role("button", name="Values", exact=True).click()
    assert said(reader) == "Not so. They leave a gap."
    reader.page.get_by_role("button", name="Values & slopes").press("Enter")
    assert said(reader) == "Right. The slopes fill it: x1 < x2."
    assert [b.get_attribute("aria-pressed") for b in reader.page.get_by_role("button").all()] == ["false", "true"]
    assert reader.height() == height


@pytest.mark.parametrize("width", [900, 390])
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
    field, height = reader.page.get_by_role("textbox", name="Your answer, a number"), reader.height()
    for typed, answer in [("many", "Expected a number"), ("7", "Not so. Try again."), ("2", "Not so. That fixes a line."),
                          ("3.0", "Right. It has three coefficients."), ("6/2", "Right.")]:
        field.fill(typed)
        field.press("Enter")
        assert said(reader).startswith(answer)
    field.fill("4")
    reader.page.get_by_role("button", name="Check").click()
    assert said(reader) == "Not so. Try again."
    reader.page.get_by_role("button", name="Show the answer").click()
    assert said(reader) == "3. It has three coefficients."
    assert reader.height() == height


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
