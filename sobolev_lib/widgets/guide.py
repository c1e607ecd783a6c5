"""Guide: a few questions about the reader's data, and what follows from the answers: advice, and a line of code."""
import functools
from typing import Mapping

from sobolev_lib import book_output
from sobolev_lib.widgets.marks import marked
from sobolev_lib.widgets.placeholders import guide_placeholder
from sobolev_lib.widgets.showing import page_or_live


def Guide(questions: Mapping[str, Mapping[str, tuple[str, Mapping[str, str]]]], *, call: str, arguments: Mapping[str, str]):
    """Questions with choices, one chosen of each; below them what each choice advises, and one call made of all of them.

    >>> guide = Guide({"How many points?": {"Some": ("The defaults do.", {}),
    ...                                     "A few": ("Curvature pays.", {"optimizer": '"lbfgs"'})}},
    ...               call="SobolevRegressor({settings}).fit({arguments})", arguments={"X": "", "y": "", "dy": ""})

    ``questions``: question to choice to (advice, settings); the first choice of each is chosen at first. Settings are names
    and texts of Python, and stand where ``call`` has ``{settings}``; a later question overrides an earlier one. A setting
    whose name is among ``arguments``, as ``"dy": "-forces"``, changes that argument instead; ``None`` leaves it out. Advice may
    hold the marks that ``Question`` takes. Needs no kernel; the choices are radio buttons, so the keyboard moves among them.

    Returns an anywidget, in the book's build an object that shows itself as HTML. Raises ``ValueError`` for a question
    without two choices, a ``call`` without its two places and names that are none; ``TypeError`` for texts that are none;
    ``ImportError`` if anywidget is missing.
    """
    if not isinstance(questions, Mapping) or not questions:
        raise ValueError(f"questions: expected a dict of at least one question to its choices, got {questions!r}")
    if not isinstance(call, str) or any(call.count(place) != 1 for place in ("{settings}", "{arguments}")):
        raise ValueError(f"call: expected a text with {{settings}} and {{arguments}} once each, got {call!r}")
    state = {"call": call, "arguments": _settings(arguments, "arguments"),
             "questions": [_question(question, choices) for question, choices in questions.items()]}
    return page_or_live("guide", {"state": state}, "Questions about your data", lambda: guide_placeholder(state), _live)


def _question(question: str, choices: Mapping) -> dict:
    if not isinstance(choices, Mapping) or len(choices) < 2:
        raise ValueError(f"{question!r}: expected a dict of at least two choices, got {choices!r}")
    for choice in choices.values():
        if not isinstance(choice, tuple) or len(choice) != 2:
            raise TypeError(f"{question!r}: expected a pair of advice and settings for each choice, got {choice!r}")
    advice = [choice[0] for choice in choices.values()]
    return {"question": marked(question, "question"), "choices": [marked(choice, "choices") for choice in choices],
            "says": [marked(text, f"advice of {choice!r}") for choice, text in zip(choices, advice)],
            "sets": [_settings(sets, choice) for choice, (_, sets) in choices.items()]}


def _settings(sets: Mapping, where: str) -> dict:
    if not isinstance(sets, Mapping):
        raise TypeError(f"{where}: expected a dict of settings, got {sets!r}")
    for name, text in sets.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"{where}: expected names of settings, got {name!r}")
        if text is not None and not isinstance(text, str):
            raise TypeError(f"{where}: expected a text of Python for {name}, or None, got {text!r}")
    return dict(sets)


@functools.cache
def _live():
    """The class of the live guide, made at its first use: the library works without anywidget."""
    import anywidget
    import traitlets

    class LiveGuide(anywidget.AnyWidget):
        """Made by ``Guide``."""
        _esm = book_output.module_script("guide")
        state = traitlets.Dict().tag(sync=True)

    return LiveGuide
