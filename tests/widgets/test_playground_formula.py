"""Formulas that a reader types into the playground: what they mean, their derivatives, and what is said of wrong ones."""
import math

import pytest
import torch

# formula, and the same in Python
MEANINGS = {
    "sin(x)*y^2": lambda x, y: math.sin(x) * y**2,
    "-x^2": lambda x, y: -(x**2),
    "2^-x": lambda x, y: 2**-x,
    "x^2^3 / 100": lambda x, y: x ** (2**3) / 100,
    "x - y - 1": lambda x, y: x - y - 1,
    "x / y / 2": lambda x, y: x / y / 2,
    "x - (y - 1)": lambda x, y: x - (y - 1),
    "--x + +y": lambda x, y: x + y,
    "x**y": lambda x, y: x**y,
    "1.5e-1*x + .5*y": lambda x, y: 0.15 * x + 0.5 * y,
    "e^(-x²·y³)": lambda x, y: math.exp(-(x**2) * y**3),
    "sqrt(x1^2 + x2^2)": lambda x, y: math.hypot(x, y),
    "ln(x) * log(y + 2)": lambda x, y: math.log(x) * math.log(y + 2),
    "tan(x/2) + sinh(y) - cosh(x*y)": lambda x, y: math.tan(x / 2) + math.sinh(y) - math.cosh(x * y),
    "asin(x/3) + acos(y/3) * atan(x)": lambda x, y: math.asin(x / 3) + math.acos(y / 3) * math.atan(x),
    "tanh(3*(x-y)) * abs(x - 2*y) + sign(y)": lambda x, y: math.tanh(3 * (x - y)) * abs(x - 2 * y) + math.copysign(1, y),
    "(x + y)^(x - 1)": lambda x, y: (x + y) ** (x - 1),
    "exp(cos(pi*x)) / (1 + x^4*y^2)": lambda x, y: math.exp(math.cos(math.pi * x)) / (1 + x**4 * y**2),
    "x^0.5 * y^-2": lambda x, y: x**0.5 * y**-2,
    " x ": lambda x, y: x,
    "sin(sqrt(2) + pi/4)*x": lambda x, y: math.sin(math.sqrt(2) + math.pi / 4) * x,
}
PLACES = [(0.7, 1.3), (1.9, 0.4), (2.3, 2.6), (0.2, 0.9)]
READ = """const node = parseFormula(given[0]), parts = [node, derivativeOf(node, 'x'), derivativeOf(node, 'y')];"""


@pytest.mark.parametrize("text", MEANINGS)
def test_formulas_mean_what_they_mean_on_paper(engine, text):
    got = engine(READ + "return given[1].map((place) => compiled(node)(...place))", [text, PLACES], source="formula")
    assert got == pytest.approx([MEANINGS[text](*place) for place in PLACES], rel=1e-12)


@pytest.mark.parametrize("text", MEANINGS)
def test_derivatives_are_those_of_finite_differences(engine, text):
    got = engine(READ + "return given[1].map((place) => parts.slice(1).map((part) => compiled(part)(...place)))", [text, PLACES],
                 source="formula")
    f, h = MEANINGS[text], 1e-5
    expected = [[(f(x + h, y) - f(x - h, y)) / (2 * h), (f(x, y + h) - f(x, y - h)) / (2 * h)] for x, y in PLACES]
    for ours, theirs in zip(got, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("text", MEANINGS)
def test_what_is_written_is_what_was_read(engine, text):
    """For readers: read again, it and its derivatives have the same values. For Python: PyTorch computes the same."""
    again = engine(READ + """return parts.map((part) => written(part)).map((one) => uses(parseFormula(one + '+0*x'), 'x')
        && given[1].map((place) => compiled(parseFormula(one + '+0*x'))(...place)))""", [text, PLACES], source="formula")
    here = engine(READ + "return parts.map((part) => given[1].map((place) => compiled(part)(...place)))", [text, PLACES],
                  source="formula")
    for ours, theirs in zip(again, here, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-12)
    code = engine(READ + "return written(node, true)", [text], source="formula")
    values = eval(f"lambda x: {code}", {"torch": torch})(torch.tensor(PLACES, dtype=torch.float64))
    torch.testing.assert_close(values, torch.tensor(here[0], dtype=torch.float64))


WRONG = {
    "": "expected a formula in x and y, such as sin(2*x)*y^2, got none",
    "2x": 'character 2: an operator is missing between "2" and "x": write 2*x',
    "x y": 'character 3: an operator is missing between "x" and "y": write x*y',
    "(x+1)(y-1)": 'character 6: an operator is missing between ")" and "(": put a * there',
    "x(y+1)": 'character 2: an operator is missing between "x" and "(": put a * there',
    "sin x": "character 5: after sin expected \"(\": write sin(x)",
    "sin": "at the end: after sin expected \"(\": write sin(x)",
    "sin()": 'character 5: expected a number, x, y or "(", got ")"',
    "foo(x)": 'character 1: "foo" is not known; known are x, y, pi, e and sin, cos,',
    "z": 'character 1: "z" is not known',
    "x,5": "character 2: write decimals with a point, as in 1.5",
    "x; y": 'character 2: ";" is not understood',
    "x*": 'at the end: expected a number, x, y or "(", got nothing more',
    "x +* y": 'character 4: expected a number, x, y or "(", got "*"',
    "((x)": 'at the end: expected ")"',
    "x)": 'character 2: ")" is one too many',
    "3": "expected a formula in x, or in x and y; this one has neither",
    "constructor": '"constructor" is not known',
    "toString(x)": '"toString" is not known',
    "__proto__": 'character 1: "_" is not understood',
    "alert(1)": '"alert" is not known',
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_formulas_are_told_where(engine, text):
    said = engine("try { parseFormula(given); return 'fine'; } catch (error) { return error.message; }", text, source="formula")
    assert said.startswith(WRONG[text]) or WRONG[text] in said


NOT_FINITE = {"x/0": "the function is not finite at x = -2", "log(x)": "the function is not finite at x = -2",
              "sqrt(x + 2)": "a slope is not finite at x = -2", "1/(x - y)": "the function is not finite at x = -2, y = -2",
              "exp(exp(exp(x*y)))": "the function is not finite at x = -2, y = -2", "1e999*x": "the function is not finite"}


@pytest.mark.parametrize("text", NOT_FINITE)
def test_what_is_not_finite_is_told_where(engine, text):
    said = engine("""try { const target = targetOf({ function: 'formula', formula: given });
        labelled(target, gridOf(target.domain)); return 'fine'; }
        catch (error) { return error.message; }""", text)
    assert said.startswith(NOT_FINITE[text])


def test_limits_in_the_wrong_order_are_refused(engine):
    call = "try { return targetOf(given).domain; } catch (error) { return error.message; }"
    said = engine(call, {"function": "formula", "formula": "x*y", "range": [0, 1, 3, 3]})
    assert said == "y runs from 3 to 3: expected a lower number first"
    assert engine(call, {"function": "formula", "formula": "x*y", "range": [0, 1]}) == [[0, 1], [-2, 2]]
    assert engine(call, {"function": "formula", "formula": "x", "range": [0, 1, 5, 9]}) == [[0, 1]]
