"""Guides: what is refused, and what a reader with a mouse or a keyboard is advised, in headless Chromium."""
import pytest
from bs4 import BeautifulSoup

from sobolev_lib.widgets import Guide

CALL = "Net({settings}).fit({arguments})"
ARGUMENTS = {"X": "", "y": "", "dy": ""}
QUESTIONS = {
    "What do you have?": {"Slopes": ("Good.", {}), "Forces < 0": ("Turn the <b>sign</b>.", {"dy": "-forces"}),
                          "Values": ("A pity.", {"dy": None})},
    "How many points?": {"Some": ("", {}), "A few": ("Take curvature.", {"optimizer": '"lbfgs"', "steps": "300"})},
    "Smooth?": {"Yes": ("", {}), "No": ("More steps.", {"steps": "5000"})},
}


@pytest.mark.parametrize("questions, call, arguments, error, message", [
    ({}, CALL, ARGUMENTS, ValueError, "at least one question"), ([], CALL, ARGUMENTS, ValueError, "at least one question"),
    ({"Why?": {"One": ("", {})}}, CALL, ARGUMENTS, ValueError, "'Why?': expected a dict of at least two choices"),
    (QUESTIONS, "Net({settings})", ARGUMENTS, ValueError, "call: expected a text with {settings} and {arguments}"),
    (QUESTIONS, None, ARGUMENTS, ValueError, "got None"),
    (QUESTIONS, CALL, {"X y": ""}, ValueError, "arguments: expected names of settings, got 'X y'"),
    ({"Why?": {"One": ("", {}), "Two": (2, {})}}, CALL, ARGUMENTS, TypeError, "advice of 'Two': expected a text, got 2"),
    ({"Why?": {"One": ("", {}), "Two": ("<b>", {})}}, CALL, ARGUMENTS, ValueError, "expected </b>"),
    ({"Why?": {"One": ("", {}), "Two": ("", {"steps": 5})}}, CALL, ARGUMENTS, TypeError, "Two: expected a text of Python for steps"),
    ({"Why?": {"One": "yes", "Two": "no"}}, CALL, ARGUMENTS, TypeError, "'Why?': expected a pair of advice and settings"),
    ({"Why?": {"One": ("", {}), "Two": ("", None)}}, CALL, ARGUMENTS, TypeError, "Two: expected a dict of settings, got None"),
    ({"Why?": {"One": ("", {}), "Two": ("", {5: "5"})}}, CALL, ARGUMENTS, ValueError, "Two: expected names of settings, got 5"),
])
def test_impossible_guides_are_refused(questions, call, arguments, error, message):
    with pytest.raises(error) as found:
        Guide(questions, call=call, arguments=arguments)
    assert message in str(found.value)


@pytest.fixture
def reader(read):
    shown = read(Guide(QUESTIONS, call=CALL, arguments=ARGUMENTS)._repr_html_())
    shown.page.wait_for_selector(".sobolev-widget[data-ready]")
    shown.settle()
    return shown


def answer(reader):
    return reader.page.locator(".sgd-answer code").inner_text(), reader.page.locator(".sgd-answer li").all_inner_texts()


def test_the_first_choices_are_answered_at_once(reader):
    assert answer(reader) == ("Net().fit(X, y, dy)", ["Good."])
    assert reader.page.locator("fieldset").count() == 3


def test_the_place_kept_holds_the_same_answer(read):
    """So it is as high. Here the first choices have settings, and the question has marks."""
    forces_first = {"What do <i>you</i> have?": dict(reversed(QUESTIONS["What do you have?"].items())),
                    "How many points?": dict(reversed(QUESTIONS["How many points?"].items()))}
    body = Guide(forces_first, call=CALL, arguments=ARGUMENTS)._repr_html_()
    place = BeautifulSoup(body, "html.parser").select_one(".sobolev-placeholder")
    shown = read(body)
    shown.page.wait_for_selector(".sobolev-widget[data-ready]")
    assert (place.code.text, [advice.text for advice in place.select("li")]) == answer(shown)
    assert place.code.text == 'Net(optimizer="lbfgs", steps=300).fit(X, y)'
    assert [legend.text for legend in place.select("legend")] == shown.page.locator("legend").all_inner_texts()
    assert shown.page.locator("legend i").inner_text() == "you"
    assert [button.text for button in place.select("button")] == shown.page.locator("button").all_inner_texts() == ["Copy code"]


@pytest.mark.parametrize("text", ["$&", "$$", "$'", "{arguments}", "{settings}"])
def test_settings_stand_as_they_are(read, text):
    body = Guide({"Why?": {"a": ("", {"x1": f'"{text}"', "constructor": "1"}), "b": ("", {})}}, call=CALL, arguments={"X": ""})
    body = body._repr_html_()
    shown = read(body)
    shown.page.wait_for_selector(".sobolev-widget[data-ready]")
    assert answer(shown)[0] == f'Net(x1="{text}", constructor=1).fit(X)'
    assert BeautifulSoup(body, "html.parser").select_one(".sobolev-placeholder code").text == answer(shown)[0]


def test_choices_change_settings_and_arguments_and_later_ones_win(reader):
    reader.page.get_by_label("Forces < 0").check()
    reader.page.get_by_label("A few").check()
    assert answer(reader) == ('Net(optimizer="lbfgs", steps=300).fit(X, y, -forces)', ["Turn the sign.", "Take curvature."])
    reader.page.get_by_label("No").check()
    reader.page.get_by_label("Values").check()
    assert answer(reader)[0] == 'Net(optimizer="lbfgs", steps=5000).fit(X, y)'
    reader.page.get_by_label("Some").check()
    assert answer(reader)[0] == "Net(steps=5000).fit(X, y)"


def test_the_keyboard_moves_among_the_choices(reader):
    reader.page.keyboard.press("Tab")
    reader.page.keyboard.press("ArrowDown")
    assert answer(reader)[0] == "Net().fit(X, y, -forces)"
    reader.page.keyboard.press("Tab")
    reader.page.keyboard.press("ArrowDown")
    assert answer(reader)[0] == 'Net(optimizer="lbfgs", steps=300).fit(X, y, -forces)'


def test_the_call_is_copied_by_keyboard_and_said_so(reader):
    reader.page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    reader.page.get_by_label("Values").check()
    button = reader.page.get_by_role("button", name="Copy code")
    for _ in QUESTIONS:                                    # from the first question past the others
        reader.page.keyboard.press("Tab")
    assert button.evaluate("it => it === document.activeElement")
    reader.page.keyboard.press("Enter")
    told = reader.page.locator(".sgd-copy [role=status]")
    assert told.inner_text() == "Copied." and reader.page.evaluate("window.copied") == "Net().fit(X, y)"
    reader.page.get_by_label("Slopes").check()
    assert told.inner_text() == "", "what has been copied is another call now"


def test_where_a_page_may_not_copy_the_call_is_selected(reader):
    reader.page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    reader.page.get_by_role("button", name="Copy code").click()
    assert "The code is selected" in reader.page.locator(".sgd-copy [role=status]").inner_text()
    assert reader.page.evaluate("getSelection().toString()") == "Net().fit(X, y, dy)"


def test_a_live_guide_has_the_same_state(monkeypatch):
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD", raising=False)
    state = Guide(QUESTIONS, call=CALL, arguments=ARGUMENTS).state
    assert [len(each["choices"]) for each in state["questions"]] == [3, 2, 2]
    assert state["questions"][0]["says"][1] == "Turn the <b>sign</b>." and "Forces &lt; 0" in state["questions"][0]["choices"]
