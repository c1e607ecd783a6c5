"""The chapters on points and on gradient fields: sentences that follow their numbers, exercises that answer."""
import ast
import re

import nbformat
import numpy as np
import pytest
from pages import ROOT

import sobolev_lib as sl


def notebook(name):
    return nbformat.read(ROOT / "book" / f"{name}.ipynb", as_version=4)


def names_of(name, *cells):
    """What is known after a chapter's imports and the functions of some cells, which are not run."""
    code = {cell.id: cell.source for cell in notebook(name).cells if cell.cell_type == "code"}
    setup = next(source for key, source in code.items() if key != "install")
    known = {"sl": sl, "display": lambda shown: None}
    exec(setup, known)
    for cell in cells:
        tree = ast.parse(code[cell])
        functions = ast.Module([part for part in tree.body if isinstance(part, ast.FunctionDef)], [])
        exec(compile(functions, cell, "exec"), known)
    return known


# --- sentences --------------------------------------------------------------------------------------------------

def race(more_numbers, gradients, values):
    return {d: np.array([[more_numbers] * 3, [gradients] * 3, [values] * 3]) for d in (2, 5, 10)}


def test_the_race_of_networks_is_told_as_it_ended():
    says = names_of("how_many_points", "how_many_points-32")["which_is_closer"]
    new_places, slopes = says(race(0.1, 0.2, 0.3)), says(race(0.2, 0.1, 0.3))
    assert "a gain in every case" in new_places and "worth more, whatever d" in new_places
    assert "They even beat as many numbers" in slopes
    assert says(race(0.1, 0.3, 0.2)).startswith("At the same points gradients are a gain in 0 of 3 cases.")
    mixed = race(0.1, 0.2, 0.3) | {2: race(0.2, 0.1, 0.3)[2]}
    assert "ahead in 1 of 3 cases" in says(mixed)


@pytest.mark.parametrize("last, way", [(0.7, "stays where it is"), (0.3, "falls"), (0.9, "rises")])
def test_what_the_width_does_is_told_as_it_was_measured(last, way):
    says = names_of("gradient_fields", "gradient_fields-12")["with_width"]
    assert f"networks {way}: 0.70 at the narrowest, {last:.2f} at the widest" in says(np.array([[0.7] * 3, [0.65] * 3, [last] * 3]))


def test_the_bounds_of_the_square_are_those_of_the_library():
    known = names_of("gradient_fields", "gradient_fields-09", "gradient_fields-10")
    import torch
    known["square"] = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    assert known["chord_bounds"]([0.5, 1.0, 1.5]) == pytest.approx([0.5, 0, 0], abs=1e-6)
    assert sl.theory.loop_bound(known["rotation"], known["square"]) == pytest.approx(1)


# --- exercises --------------------------------------------------------------------------------------------------

CHECKS = {"how_many_points": ["how_many_points-48", "how_many_points-52"], "gradient_fields": ["gradient_fields-20", "gradient_fields-22"]}
EXERCISES = [(name, cell) for name, cells in CHECKS.items() for cell in cells]


def answered(name, cell, answer, capsys):
    """What a self-check says when its first function, which asks for the answer, is `answer`."""
    known = names_of(name, *(["gradient_fields-15"] if name == "gradient_fields" else []))
    source = next(one.source for one in notebook(name).cells if one.id == cell)
    tree = ast.parse(source)
    asks = next(part for part in tree.body if isinstance(part, ast.FunctionDef))
    if answer is not None:
        tree.body[tree.body.index(asks):tree.body.index(asks) + 1] = ast.parse(answer).body
    exec(compile(tree, cell, "exec"), known)
    return capsys.readouterr().out.strip()


def solution(name, cell):
    cells = notebook(name).cells
    at = next(k for k, one in enumerate(cells) if one.id == cell)
    return re.search(r"```python\n(.*?)```", cells[at + 1].source, re.DOTALL)[1]


@pytest.mark.parametrize("name, cell", EXERCISES)
def test_the_printed_solution_is_right_and_none_is_not_yet(name, cell, capsys):
    assert answered(name, cell, None, capsys) == "not yet"
    assert answered(name, cell, solution(name, cell), capsys) == "right"


BELL = "q = [s / v for s, v in zip(slopes, values)]; w = (x[1] - x[0]) / (q[0] - q[1]); "
BELLS = [("[torch.tensor(mu), np.array(sigma)]", "right"), ("np.array([mu, sigma])", "right"), ("torch.tensor([[mu, sigma]])", "right"),
         ("[mu, sigma]", "right"), ("torch.tensor([mu, sigma], requires_grad=True)", "right"),
         ("torch.tensor([mu, sigma], requires_grad=True).unbind()", "right"),
         ("mu, w", "that is the variance"), ("sigma, mu", "mu first, then sigma"), ("mu, -sigma", "the signs are not right"),
         ("-mu, sigma", "the signs are not right"), ("1.0, 2.0", "not yet: got [1. 2.]. f'/f is a straight line"),
         ("(1.0,)", "expected 2 numbers, got one number"), ("mu", "expected 2 numbers, got one number; mu and sigma"),
         ("mu, math.nan", "expected finite numbers, got nan"), ("mu, None", "expected 2 numbers, got (1."), ("'1.2'", "got '1.2'")]
COUNTS = [("np.ceil((n + 1) / (k + 1))", "right"), ("[torch.tensor(math.ceil((n + 1) / (k + 1)))]", "right"),
          ("torch.tensor([(n + 1.0) / (k + 1)], requires_grad=True).ceil()", "right"),
          ("n + 1", "for n = 1, order = 1: fewer than 2 are enough"), ("1", "for n = 1, order = 0: 1 is too few"),
          ("(n + 1) / (k + 1)", "expected a whole number from 1 to 100, got 0.5"), ("101", "from 1 to 100, got 101"),
          ("10**9", "from 1 to 100, got 1e+09"), ("0", "from 1 to 100, got 0"), ("-1", "from 1 to 100, got -1"),
          ("math.nan", "for n = 0, order = 0: expected finite numbers, got nan"), ("math.inf", "expected finite numbers, got inf"),
          ("1 if k < 1 and n < 2 else None", "expected one number, got None"), ("'two'", "expected one number, got 'two'")]
STEPS = [("2 * torch.tensor(angle / 180 * math.pi).cos()", "right"), ("2 * np.cos(np.radians(np.array([angle])))", "right"),
         ("(2 * math.cos(math.radians(angle)),)", "right"),
         ("2 * torch.tensor([math.radians(angle)], requires_grad=True).cos()", "right"),
         ("2", "at 30 degrees a step of 2 is too long"), ("0.1", "at 0 degrees steps longer than 0.1 converge"),
         ("2 * math.cos(angle)", "the cosine takes radians"), ("-1", "expected a positive step, got -1"),
         ("0", "expected a positive step, got 0"), ("math.nan", "at 0 degrees: expected finite numbers, got nan"),
         ("None if angle else 2", "at 30 degrees: expected one number, got None"), ("[2, 2]", "got 2 numbers"), ("'2'", "got '2'")]
FIELD = "torch.tanh(h @ W.T + b) @ W"
LAYERS = [(f"lambda h: 2 * {FIELD}", "right"), (f"lambda h: ({FIELD}).requires_grad_()", "right"),
          (f"lambda h: ({FIELD}).tolist()", "right"), (f"lambda h: ({FIELD}).numpy()", "right"), (f"lambda h: tuple({FIELD})", "right"),
          ("lambda h: torch.tanh(h.float() @ W.T.float() + b.float()) @ W.float()", "right"),
          ("lambda h: torch.tanh(h @ W.T + b)", "expected numbers of shape (200, 3), got numbers of shape (200, 16)"),
          ("lambda h: 0 * h + 1", "a dull one"), ("lambda h: torch.tanh(h @ W.T + b) @ W.flip(0)", "What must the second layer's"),
          ("lambda h: torch.tanh(h.float() @ W.T.float() + b.float()) @ W.flip(0).float()", "What must the second layer's"),
          *[(field, "a weighted sum of 16 units") for field in (
              "lambda h: h", "torch.tanh", "lambda h: h * W.sum() * b.sum()", "lambda h: torch.tanh(h @ W.T) @ W",
              "lambda h: torch.sin(h @ W.T + b) @ W", "lambda h: torch.tanh(h @ W.T + 1.001 * b) @ W")],
          ("lambda h: torch.tanh(h @ W[:9].T + b[:9]) @ W[:9]", "not all of the 16 units"),
          ("lambda h: h * math.nan", "expected finite numbers, got nan"), ("lambda h: None", "got None"),
          ("lambda h: 'h'", "got 'h'"), ("W", "expected a function, got Tensor"), ("'tanh'", "expected a function, got str")]
OTHERS = [
    *[("how_many_points-48", f"def bell(x, values, slopes): {BELL}mu, sigma = x[0] + q[0] * w, w ** 0.5; return {told}", says)
      for told, says in BELLS],
    *[("how_many_points-52", f"def points_needed(n, k): return {told}", says) for told, says in COUNTS],
    *[("gradient_fields-20", f"def longest_step(angle): return {told}", says) for told, says in STEPS],
    *[("gradient_fields-22", f"def gradient_layer(W, b): return {told}", says) for told, says in LAYERS],
]


@pytest.mark.parametrize("cell, answer, says", OTHERS)
def test_other_forms_are_taken_and_wrong_answers_get_a_hint(cell, answer, says, capsys):
    told = answered(cell.rpartition("-")[0], cell, answer, capsys)
    assert (told == says) if says == "right" else (says in told)
