"""Theorem 1: the constructed networks keep to their bounds and rates."""
import itertools
import math

import pytest
import torch
from hypothesis import given, strategies as st

import sobolev_lib as sl
from sobolev_lib.theory import approximating_network, modulus_of_continuity, ridge_network

DOUBLE = torch.float64


def wave(frequency, phase, tilt=0.3):
    return (lambda x: (frequency * x[:, 0] + phase).sin() + tilt * x[:, 0] ** 2,
            lambda x: frequency * (frequency * x[:, 0] + phase).cos() + 2 * tilt * x[:, 0])


def errors(network, f, slope, low, high):
    """Largest errors of value and derivative on a fine grid."""
    x = torch.linspace(low, high, 4321, dtype=DOUBLE)[:, None]
    y, jacobian = (t.detach() for t in sl.value_and_derivatives(network, x))
    return float((y[:, 0] - f(x)).abs().max()), float((jacobian[:, 0, 0] - slope(x)).abs().max())


@given(frequency=st.floats(0.1, 8), phase=st.floats(-3, 3), low=st.floats(-50, 50), length=st.floats(0.1, 10),
       width=st.integers(1, 60), negative_slope=st.sampled_from([0.0, 0.01, 0.5]))
def test_both_errors_stay_below_the_bound(frequency, phase, low, length, width, negative_slope):
    f, slope = wave(frequency, phase)
    network = approximating_network(f, (low, low + length), width, negative_slope=negative_slope, dtype=DOUBLE)
    assert network[0].weight.shape == (width, 1)
    value, derivative = errors(network, f, slope, low, low + length)
    steepest = frequency ** 2 + 0.6                        # of the derivative, so w(D) <= D steepest
    distance, rounding = length / width, 1e-8 * (1 + low ** 2) * width
    assert derivative <= distance * steepest / 2 + rounding              # for a second derivative of at most `steepest`
    assert value <= distance ** 2 * steepest / 8 + rounding


@pytest.mark.parametrize("width", [3, 8, 21])
def test_the_bounds_by_the_modulus_of_continuity(width):
    """Of a function without a second derivative, too: w(D) for the slope, D w(D) / 4 for the value."""
    f, slope = (lambda x: x[:, 0].abs() ** 1.5), (lambda x: 1.5 * x[:, 0].sign() * x[:, 0].abs().sqrt())
    value, derivative = errors(approximating_network(f, (-1, 1), width, dtype=DOUBLE), f, slope, -1, 1)
    step = 2 / width
    change = modulus_of_continuity(slope, (-1, 1), step)
    assert derivative <= change * 1.001 and value <= step * change / 4 * 1.001


def test_without_a_bounded_second_derivative_the_rate_is_lower():
    """f' = x^2 sin(1/x^3) is continuous, its own slope is not bounded: the slope's error falls like n^(-1/2) only."""
    def slope(x):
        t = torch.where(x == 0, 1.0, x)
        return torch.where(x == 0, 0.0, t ** 2 * (1 / t ** 3).sin())[:, 0]

    fine = torch.linspace(0, 0.5, 2_000_001, dtype=DOUBLE)[:, None]
    rise = torch.cat([torch.zeros(1, dtype=DOUBLE), torch.cumulative_trapezoid(slope(fine), fine[:, 0])])
    found = []
    for n in (100, 1600):                                  # the largest distance of f' from the mean of its piece
        means = rise[::2_000_000 // n].diff() / (0.5 / n)
        pieces = slope(fine)[1:].reshape(n, -1)
        found.append(float((pieces - means[:, None]).abs().max()))
    assert math.log(found[0] / found[1], 16) == pytest.approx(0.5, abs=0.2)


def test_a_monomial_is_a_sum_of_powers_of_sums():
    """Step 2 of Theorem 1 in d dimensions: z1 ... zs s! = sum over subsets of (-1)^(s - size) (sum of the subset)^s."""
    z = torch.randn(4, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    total = sum((-1) ** (4 - size) * sum(z[list(chosen)].sum() ** 4 for chosen in itertools.combinations(range(4), size))
                for size in range(5))
    assert float(total / 24) == pytest.approx(float(z.prod()))


def test_it_interpolates_at_the_knots():
    f, _ = wave(3.0, 0.2)
    knots = torch.linspace(-1, 2, 13, dtype=DOUBLE)[:, None]
    for negative_slope in (0.0, 0.3):
        network = approximating_network(f, (-1, 2), 12, negative_slope=negative_slope, dtype=DOUBLE)
        torch.testing.assert_close(network(knots)[:, 0], f(knots), rtol=0, atol=1e-12)


def test_values_converge_with_order_two_and_derivatives_with_order_one():
    f, slope = wave(2.0, 0.5)
    coarse, fine = (errors(approximating_network(f, (-2, 2), width, dtype=DOUBLE), f, slope, -2, 2) for width in (64, 256))
    assert math.log(coarse[0] / fine[0], 4) == pytest.approx(2, abs=0.1)
    assert math.log(coarse[1] / fine[1], 4) == pytest.approx(1, abs=0.1)


def test_a_derivative_that_jumps_or_has_no_limit_is_never_met():
    def swing(x):
        return torch.where(x == 0, 0.0, x ** 2 * (1 / x).sin())[:, 0]

    def slope(x):
        return torch.where(x == 0, 0.0, 2 * x * (1 / x).sin() - (1 / x).cos())[:, 0]

    x = torch.linspace(-0.05, 0.05, 100_001, dtype=DOUBLE)[:, None]
    for width in (31, 1001):
        network = approximating_network(swing, (-1, 1), width, dtype=DOUBLE)
        y, jacobian = sl.value_and_derivatives(network, x)
        assert (jacobian[:, 0, 0] - slope(x)).abs().max() > 0.9
    assert (y[:, 0] - swing(x)).abs().max() < 1e-3


@pytest.mark.parametrize("negative_slope", [0.0, 0.2])
def test_in_two_dimensions_both_errors_fall(negative_slope):
    def f(x):
        return (2 * x[:, 0]).sin() * (x[:, 1] - 0.3) ** 2 + x[:, 1].exp()

    domain = ((-1.0, 2.0), (0.0, 1.0))
    x = torch.tensor([[-1.0, 0.0]], dtype=DOUBLE) + torch.rand(500, 2, generator=torch.Generator().manual_seed(0),
                                                                dtype=DOUBLE) * torch.tensor([3.0, 1.0])
    exact = sl.label(f, x)
    found = []
    for degree, segments in ((1, 20), (3, 60), (9, 180)):
        network = ridge_network(f, domain, degree, segments, negative_slope=negative_slope, dtype=DOUBLE)
        y, jacobian = (t.detach() for t in sl.value_and_derivatives(network, x))
        found.append((float((y[:, 0] - exact.values).abs().max()), float((jacobian[:, 0] - exact.jacobian).norm(dim=1).max())))
    assert found[1][0] < found[0][0] / 3 and found[2][0] < found[1][0] / 3, found
    assert found[1][1] < found[0][1] / 2 and found[2][1] < found[1][1] / 2, found


@pytest.mark.slow
def test_waves_that_fit_the_period_are_kept_whole():
    """Of period two on the unit square and low frequency: nothing is lost but by the segments."""
    def f(x):
        return torch.cos(math.pi * (x[:, 0] - 2 * x[:, 1]) + 0.3)

    x = torch.rand(500, 2, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    network = ridge_network(f, ((0, 1), (0, 1)), 12, 400, dtype=DOUBLE)
    assert (network(x)[:, 0] - f(x)).abs().max() < 2e-2


def test_it_asks_within_the_box_only_and_in_any_dimension():
    seen = []

    def f(x):
        seen.append(x)
        return x.square().sum(1, keepdim=True)

    for d in (1, 3):
        box = [(-1.0, 0.5)] * d
        network = ridge_network(f, box, 2, 10)
        assert network(torch.zeros(4, d)).shape == (4, 1)
        assert seen[-1].min() >= -1 and seen[-1].max() <= 0.5


def test_modulus_of_continuity_by_hand():
    root = lambda x: x[:, 0].sqrt()
    assert modulus_of_continuity(root, (0, 1), 0.25) == pytest.approx(0.5, abs=1e-3)
    assert modulus_of_continuity(lambda x: torch.sign(x), (-1, 1), 0.01) == 2
    assert modulus_of_continuity(lambda x: x * 0 + 3, (-1, 1), 5.0) == 0
    assert modulus_of_continuity(lambda x: -2 * x, (0, 4), 1.0) == pytest.approx(2)


def test_bad_input_is_told():
    f = lambda x: x[:, 0]
    with pytest.raises(ValueError, match="low < high"):
        approximating_network(f, (1, 1), 5)
    with pytest.raises(ValueError, match="width: expected a positive whole number, got 0"):
        approximating_network(f, (0, 1), 0)
    with pytest.raises(ValueError, match="negative_slope"):
        approximating_network(f, (0, 1), 4, negative_slope=1.0)
    with pytest.raises(ValueError, match=r"f: expected values of shape \(6,\) or \(6, 1\), got \(6, 2\)"):
        approximating_network(lambda x: torch.cat([x, x], 1), (0, 1), 5)
    with pytest.raises(ValueError, match="finite values"):
        approximating_network(lambda x: 1 / x[:, 0], (0, 1), 5)
    with pytest.raises(ValueError, match="degree"):
        ridge_network(f, ((0, 1), (0, 1)), 0, 5)
    with pytest.raises(ValueError, match="segments"):
        ridge_network(f, ((0, 1), (0, 1)), 2, 2.5)
    with pytest.raises(ValueError, match="distance: expected at least the grid's 0.0001, got 1e-09"):
        modulus_of_continuity(f, (0, 1), 1e-9)
