"""Question: the reader chooses before the answer is shown, or answers an exercise on the page."""
import functools
import html
import math
import numbers
import re
from typing import Mapping

from sobolev_lib import book_output
from sobolev_lib.widgets.marks import marked
from sobolev_lib.widgets.placeholders import question_placeholder
from sobolev_lib.widgets.showing import page_or_live

SIGNS = ("", "Right. ", "No. ")   # a prediction, a right and a wrong choice


def Question(question: str, choices: Mapping[str, str] | None = None, *, right: str | None = None, number: float | None = None,
             because: str = "", hints: Mapping[float, str] | None = None, tolerance: float = 0.0, veil: bool = False):
    """A question with choices, or one whose answer is a number; the answer comes at once and needs no kernel.

    >>> guess = Question("What do more points do?", {"Help": "They do.", "Hurt": "They help."}, right="Help")
    >>> count = Question("Two values fix a line. How many fix a parabola?", number=3, because="It has three coefficients.")

    ``choices`` maps what the reader can choose to what is said then; without ``right`` none is wrong, and the question asks
    for a prediction. ``number`` is right within ``tolerance`` (in its own units), ``because`` is said with it, and ``hints``
    maps wrong numbers to what is said about them. Texts may hold ``<i>``, ``<b>``, ``<sub>``, ``<sup>`` and ``<code>``.
    With ``veil``, the built book blurs what the next cell shows until the reader has chosen.

    Returns an anywidget, in the book's build an object that shows itself as HTML. Raises ``ValueError`` unless there are
    either at least two choices or a number, for a ``right`` that is no choice, marks that do not pair up, and hints within
    the tolerance of each other or the answer; ``TypeError`` for texts and numbers that are none; ``ImportError`` if
    anywidget is missing.
    """
    if choices is not None and number is not None:
        raise ValueError("expected either choices or a number, got both")
    if isinstance(question, str) and not question.strip():
        raise ValueError("question: expected a text, got an empty one")
    state: dict = {"question": marked(question, "question"), "veil": bool(veil)}
    if choices is not None:
        if because or hints or tolerance:
            raise ValueError("because, hints and tolerance: expected only with a number, got them with choices")
        state |= _choices(choices, right)
    elif number is None:
        raise ValueError("expected either choices or a number, got neither")
    else:
        if right is not None:
            raise ValueError(f"right: expected only with choices, got {right!r} with a number")
        state |= _number(number, tolerance, because, {} if hints is None else hints)
    label = html.unescape(re.sub(r"<[^>]*>", "", state["question"]))
    return page_or_live("question", {"state": state}, label, lambda: question_placeholder(state), _live)


def _choices(choices: Mapping[str, str], right: str | None) -> dict:
    if not isinstance(choices, Mapping):
        raise TypeError(f"choices: expected a dict of what can be chosen to what is said then, got {choices!r}")
    if len(choices) < 2:
        raise ValueError(f"choices: expected at least two, got {list(choices)}")
    if right is not None and right not in list(choices):
        raise ValueError(f"right: expected one of {list(choices)}, got {right!r}")
    signs = {choice: SIGNS[0] if right is None else SIGNS[1 if choice == right else 2] for choice in choices}
    return {"choices": [marked(choice, "choices") for choice in choices],
            "says": [f"<b>{signs[choice]}</b>{marked(text, f'choices[{choice!r}]')}" for choice, text in choices.items()],
            "right": None if right is None else list(choices).index(right)}


def _number(number: float, tolerance: float, because: str, hints: Mapping[float, str]) -> dict:
    number, tolerance = _real(number, "number"), _real(tolerance, "tolerance")
    if tolerance < 0:
        raise ValueError(f"expected a finite number and a tolerance of 0 or more, got {number} and {tolerance}")
    if not isinstance(hints, Mapping):
        raise TypeError(f"hints: expected a dict of wrong numbers to what is said about them, got {hints!r}")
    wrong = [_real(hint, "hints") for hint in hints]
    for k, hint in enumerate(wrong):
        if _near(hint, number, tolerance):
            raise ValueError(f"hints: expected numbers that are not the answer {number:g}, got {hint:g}")
        for other in wrong[:k]:
            if _near(hint, other, tolerance) or _near(other, hint, tolerance):
                raise ValueError(f"hints: expected numbers farther apart than the tolerance {tolerance:g}, got {other:g} "
                                 f"and {hint:g}")
    shown = f"{number:,.0f}" if number.is_integer() else f"{number:.3g}"
    return {"number": number, "shown": shown.replace("-", "−"), "tolerance": tolerance, "hints": wrong,
            "says": [f"<b>{SIGNS[1]}</b>{marked(because, 'because')}",
                     *(f"<b>{SIGNS[2]}</b>{marked(text, f'hints[{hint!r}]')}" for hint, text in hints.items())]}


def _near(given: float, number: float, tolerance: float) -> bool:
    return abs(given - number) <= tolerance + 1e-9 * abs(number)               # as answers.js judges


def _real(value, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name}: expected a finite number, got {value!r}")
    return float(value)


@functools.cache
def _live():
    """The class of the live question, made at its first use: the library works without anywidget."""
    import anywidget
    import traitlets

    class LiveQuestion(anywidget.AnyWidget):
        """Made by ``Question``."""
        _esm = book_output.module_script("question")
        state = traitlets.Dict().tag(sync=True)

    return LiveQuestion
