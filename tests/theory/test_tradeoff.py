"""Theorem 2: no function is below the bound, and one comes as close to it as one likes."""
import math

import pytest
import torch
from hypothesis import given, strategies as st

from sobolev_lib.theory import Tradeoff, compromise, tradeoff

DOUBLE = torch.float64


def sine(a, b, c):
    """a sin(b x + c) and its derivative."""
    return (lambda x: a * (b * x[:, 0] + c).sin()), (lambda x: a * b * (b * x + c).cos())


waves = st.tuples(st.floats(-2, 2), st.floats(0.3, 6), st.floats(-3, 3))


@given(target=waves, foreign=waves, candidate=waves, share=st.floats(0, 1))
def test_no_function_is_below_the_bound(target, foreign, candidate, share):
    """Candidates between the target, the foreign derivative's own function, and something else."""
    (f, _), (other, g), (noise, noise_slope) = (sine(*wave) for wave in (target, foreign, candidate))
    found = tradeoff(f, g, (-1, 2), nodes=101)
    x = torch.linspace(-1, 2, 4001, dtype=DOUBLE)[:, None]
    h = (1 - share) * f(x) + share * other(x) + 0.1 * noise(x)
    slope = (1 - share) * sine(*target)[1](x) + share * g(x) + 0.1 * noise_slope(x)
    value_error, derivative_error = float((h - f(x)).abs().max()), float((slope - g(x)).abs().max())
    slack = 1e-4 * 10                                      # suprema are taken on a grid
    assert derivative_error >= found.derivative_bound(value_error + slack) - slack * 10
    assert max(value_error, derivative_error) >= found.eta - slack * 10


@given(target=waves, foreign=waves, share=st.floats(0.02, 0.9))
def test_the_compromise_reaches_the_bound(target, foreign, share):
    (f, _), (_, g) = sine(*target), sine(*foreign)
    found = tradeoff(f, g, (0, 3), nodes=201)
    value_error = share * float(found.gaps.max()) / 2
    x, h = compromise(f, g, (0, 3), value_error, nodes=201)
    assert (h - f(x[:, None])).abs().max() <= value_error + 1e-9
    fine = torch.linspace(0, 3, 200 * 50 + 1, dtype=DOUBLE)[:, None]
    pieces = (g(fine[1:]) + g(fine[:-1]))[:, 0] / 2 * fine.diff(dim=0)[:, 0]
    rise = torch.cat([torch.zeros(1, dtype=DOUBLE), pieces.cumsum(0)])
    slopes = (h - rise[::50]).diff() / x.diff()            # of what it adds to the integral of g
    assert slopes.abs().max() == pytest.approx(found.derivative_bound(value_error), rel=1e-3, abs=1e-3)


def test_worked_by_hand():
    flat = lambda x: 0 * x[:, 0]
    found = tradeoff(flat, torch.ones_like, (0, 2))
    assert found.eta == pytest.approx(2 / (2 + 2))
    assert [found.derivative_bound(e) for e in (0.0, 0.5, 1.0, 3.0)] == pytest.approx([1, 0.5, 0, 0])
    honest = tradeoff(*sine(1.0, 3.0, 0.5), (-1, 1))
    assert honest.eta < 1e-9 and honest.derivative_bound(0.0) < 1e-6


def test_the_bound_without_value_error_is_the_distance_of_the_derivatives():
    f, slope = sine(1.0, 2.0, 0.0)
    found = tradeoff(f, lambda x: slope(x) + 0.3 * x, (0, 2), nodes=801)
    assert found.derivative_bound(0.0) == pytest.approx(0.6, abs=2e-3)


@given(seed=st.integers(0, 10 ** 6), share=st.floats(0, 1))
def test_in_more_dimensions_no_function_is_below_the_bound(seed, share):
    generator = torch.Generator().manual_seed(seed)
    turn = torch.randn(3, 3, generator=generator, dtype=DOUBLE)
    f = lambda x: x.square().sum(1) / 2
    g = lambda x: share * x + x @ turn.T
    found = tradeoff(f, g, [(-1, 1)] * 3, nodes=17, chords=50, generator=generator)
    x = 2 * torch.rand(4000, 3, generator=generator, dtype=DOUBLE) - 1
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=DOUBLE)] * 3)
    x = torch.cat([x, corners])
    for scale in (0.0, share, 1.0):                        # h = scale f: errors are largest in the corners
        value_error = float(((scale - 1) * f(x)).abs().max())
        derivative_error = float((scale * x - g(x)).norm(dim=1).max())
        assert derivative_error >= found.derivative_bound(value_error) - 1e-9
        assert max(value_error, derivative_error) >= found.eta - 1e-9
    assert found.eta > 0


def test_a_closed_loop_bounds_the_slopes_whatever_the_values():
    """For g = (-x2, x1) on a square the boundary gives 8 / 8; straight segments give nothing beyond value error 1."""
    turning = lambda x: torch.stack([-x[:, 1], x[:, 0]], 1)
    found = tradeoff(lambda x: 0 * x[:, 0], turning, [(-1, 1)] * 2, nodes=33, chords=2000,
                     generator=torch.Generator().manual_seed(0))
    assert 0.4 < found.eta < 0.51 and found.derivative_bound(1.0) < 1e-9
    corners = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]], dtype=DOUBLE)
    middles, steps = (corners[1:] + corners[:-1]) / 2, corners.diff(dim=0)
    assert float((turning(middles) * steps).sum() / steps.norm(dim=1).sum()) == 1          # g.ds is constant on each side


def test_on_two_points_the_theorem_fails():
    """h = 2x^3 - 3x^2 + x meets f = 0 and g = 1 on {0, 1}: Proposition 1."""
    x = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    assert (2 * x ** 3 - 3 * x ** 2 + x).tolist() == [0, 0] and (6 * x ** 2 - 6 * x + 1).tolist() == [1, 1]


def test_bad_input_is_told():
    f, g = sine(1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="low < high"):
        tradeoff(f, g, (1, 0))
    with pytest.raises(ValueError, match=r"g: expected shape \(N, 1\), got \(20,\) for N = 20"):
        tradeoff(f, f, (0, 1), nodes=6)
    with pytest.raises(ValueError, match=r"f: expected shape \(N,\) or \(N, 1\)"):
        tradeoff(lambda x: torch.cat([x, x], 1), g, (0, 1))
    with pytest.raises(ValueError, match="nodes: expected 2 at least"):
        tradeoff(f, g, (0, 1), nodes=1)
    with pytest.raises(ValueError, match="expected one dimension"):
        compromise(lambda x: x[:, 0], torch.ones_like, [(0, 1), (0, 1)], 0.1, nodes=5)
    with pytest.raises(ValueError, match="value_error: expected a number >= 0, got nan"):
        Tradeoff(torch.ones(1), torch.ones(1)).derivative_bound(math.nan)
