"""Two chapters on theory: sentences that follow their numbers, exercises that answer."""
import ast
import json
import math
import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from pages import ROOT

import sobolev_lib as sl
from sobolev_lib.experiments.intervals import interval
from sobolev_lib.notebook import number, ratio, with_interval
from sobolev_lib.theory.shallow_interpolation import kinked_line


def function(page, name):
    """A function that a cell of the chapter defines; it may use what is imported here."""
    cells = json.loads((ROOT / "book" / f"{page}.ipynb").read_text())["cells"]
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and f"def {name}(" in source:
            found = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == name)
            namespace = {"np": np, "interval": interval, "with_interval": with_interval, "ratio": ratio, "number": number, "STEPS": 400}
            exec(compile(ast.Module([found], []), page, "exec"), namespace)
            return namespace[name]
    raise AssertionError(f"{page}: expected a function {name}")


@pytest.mark.parametrize("shift, gains, said", [
    (0.5, [1.7, 2.7], "fall faster here"), (-0.5, [1.7, 1.1], "more slowly here"),
    (0.0, [1.7, 2.7], "The head start grows from 1.7 to 2.7 times, but 4 seeds can't rule out that it is constant"),
    (0.0, [2.7, 1.7], "The head start shrinks from 2.7 to 1.7 times")])
def test_the_rates_sentence_follows_the_rates(shift, gains, said):
    regular = np.array([1.0, 1.1, 0.9, 1.0])
    assert said in function("known_since", "rates_sentence")(regular, regular + shift + np.array([0.01, -0.01, 0.02, -0.02]), gains)


@pytest.mark.parametrize("left, said", [(0.5, "values win: by the fitted line 60 values leave 0.5 times"), (1.5, "slopes win: by the fitted line 60 values leave 1.5 times")])
def test_who_wins_by_numbers_told_follows_the_errors(left, said):
    assert said in function("known_since", "in_numbers")(left, 20)


def test_what_is_missing_in_the_end_follows_the_waves():
    says = function("known_since", "rest_sentence")
    assert says([[0.1, 0.2], [0.01, 0.02]]) == ""
    assert "at frequency 1, though no more than 0.9% there" in says([[0.1, 0.001, 0.2], [0.01, 0.009, 0.1]])
    assert "at frequencies 0, 1 and 2, though" in says([[0.1, 0.1, 0.1, 1], [0.2, 0.3, 0.2, 0.1]])


@pytest.mark.parametrize("factor, said", [((36, 32, 41), "by a factor of 36 (32 to 41); the kernel predicts 37 (37 for infinitely small steps)"),
                                          ((5, 4, 6), "but the kernel predicts 37"), ((0.5, 0.4, 0.6), "slow the wave of frequency 6 down"),
                                          ((1.1, 0.8, 1.4), "no clear difference")])
def test_the_speeds_sentence_follows_the_speeds(factor, said):
    assert said in function("known_since", "speeds_sentence")(6, factor, 37, (1, 1, 1))
    assert "The constant changes too, by a factor of 2" in function("known_since", "speeds_sentence")(6, factor, 37, (2, 1.8, 2.2))


def test_the_moral_follows_the_slopes():
    moral = function("approximation", "moral")
    off = {"line": [0.3, 0.1, 0.01], "boxes": [1, 1, 1]}
    said = moral({"line": [3, 3.9, 4], "boxes": [20, 40, 200]}, off, 2.0, [4, 8, 16])
    assert "slopes of the line stay at or below 4 from 8 points to 16" in said and "Those of the boxes grow to 200" in said
    said = moral({"line": [3, 10, 300], "boxes": [4, 4, 4]}, off, 2.0, [4, 8, 16])
    assert "slopes of the boxes stay" in said and "Those of the line grow to 300" in said


def test_errors_are_written_plainly():
    plain = function("approximation", "plain")
    assert [plain(torch.tensor(error)) for error in (3e-16, 0.0714, 1.0, 9.96, 378.2)] == ["0", "0.071", "1.0", "10", "378"]


# --- exercises --------------------------------------------------------------------------------------------------

def exercise(page, name):
    """The check of an exercise, and the function that its fold gives as the solution."""
    notebook = json.loads((ROOT / "book" / f"{page}.ipynb").read_text())["cells"]
    known = {"sl": sl, "print": lambda *shown: None}
    exec("".join(next(cell["source"] for cell in notebook if "setup" in cell["metadata"].get("tags", []) and cell["id"] != "install")),
         known)
    code = next(source for source in ("".join(cell["source"]) for cell in notebook)
                if f"def {name}(" in source and "return None" in source)
    exec(code, known)
    check = next(known[part] for part in re.findall(r"def (check_\w+)\(", code))
    assert check(known[name]) == "not yet"
    text = "\n".join("".join(cell["source"]) for cell in notebook if cell["cell_type"] == "markdown")
    solution = next(block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if f"def {name}(" in block)
    exec(solution, known)
    return check, known[name]


FORMS = [torch.tensor, lambda found: torch.tensor([found], requires_grad=True), lambda found: [found], lambda found: (found,),
         np.array, np.float64, Fraction]
NO_NUMBERS = [(math.nan, "expected finite numbers, got nan"), ("one", "expected one number, got 'one'"),
              ([], "expected one number, got 0 numbers"), ((1.0, 1.0), "expected one number, got 2 numbers"),
              ([None], "expected one number, got [None]")]


@pytest.mark.parametrize("wrong, hint", [(lambda c: c / 2, "counts twice"), (lambda c: c, "γ / (2 + |x′ − x|) largest"),
                                         (lambda c: (c / 3, c / 3), "at c = 0.5 expected one number, got 2 numbers"),
                                         *[(lambda c, no=no: no, hint) for no, hint in NO_NUMBERS]])
def test_eta_by_hand(wrong, hint):
    check, right = exercise("approximation", "eta_by_hand")
    assert hint in check(wrong)
    assert [check(lambda c: form(right(c))) for form in FORMS] == ["right"] * len(FORMS)


def test_the_kinks_in_every_form():
    check, right = exercise("approximation", "kinks")
    for form in (list, tuple, iter, np.array, torch.tensor, lambda found: [list(pair) for pair in found],
                 lambda found: zip(*zip(*found)), lambda found: np.array(found).T, lambda found: tuple(torch.tensor(found).T),
                 lambda found: [tuple(torch.tensor(pair, requires_grad=True)) for pair in found]):
        assert check(lambda *told: form(right(*told))) == "right"
    assert check(lambda *told: kinked_line(*map(torch.tensor, told))) == "right"
    for no in (math.nan, "kinks", [None] * 4, [[0.25, math.nan]] * 4, [], 1.0):
        assert check(lambda *told: no).startswith("not yet: expected")
    assert "the position first" in check(lambda *told: [pair[::-1] for pair in right(*told)])
    assert "Pairs (position, change of slope)" in check(lambda *told: [(1.0,), (2.0, 3.0)])
    assert "expected 4 pairs" in check(lambda *told: right(*told)[:2])
    assert "a quarter and three quarters" in check(lambda *told: [(at + 0.1, change) for at, change in right(*told)])
    assert "minus that to its left" in check(lambda *told: [(at, -change) for at, change in right(*told)])


def test_the_even_weight():
    check, right = exercise("known_since", "even_weight")
    assert [check(lambda *told: form(right(*told))) for form in FORMS] == ["right"] * len(FORMS)
    for no, hint in NO_NUMBERS:
        assert hint in check(lambda *told: no)
    assert "counts twice" in check(lambda constant, wave, frequency: (constant / wave - 1) / frequency)
    assert "The slope term leaves" in check(lambda constant, wave, frequency: 1.0)
