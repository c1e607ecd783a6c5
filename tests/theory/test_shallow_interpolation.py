"""Proposition 1 with one hidden layer: any values and any gradients at distinct points, in every dimension."""
import pytest
import reference
import torch
from hypothesis import given, strategies as st

from sobolev_lib.theory import interpolating_network, kinked_line, shallow_interpolating_network

DOUBLE = torch.float64


def instance(seed, n, d):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, *shape, generator=generator, dtype=DOUBLE) for shape in ((d,), (), (d,))]


def largest_error(network, points, values, gradients):
    y, jacobian = (t.detach() for t in reference.derivatives(network, points, 1))
    return max(float((y[:, 0] - values).abs().max()), float((jacobian[:, 0] - gradients).abs().max()))


@pytest.mark.parametrize("d, n", [(2, 6), (5, 20), (10, 40)])
def test_small_errors_and_few_units(d, n):
    network = shallow_interpolating_network(*instance(d, n, d))
    assert largest_error(network, *instance(d, n, d)) < 1e-9
    assert network[0].weight.shape == (2 * d * (n - 1) + 2, d) and len(network) == 3
    boxes = interpolating_network(*instance(d, n, d))
    assert sum(p.numel() for p in network.parameters()) < sum(p.numel() for p in boxes.parameters()) / 6


@given(seed=st.integers(0, 10 ** 6), n=st.integers(1, 12), d=st.integers(1, 6), slope=st.sampled_from([0.0, 0.01, 0.5]))
def test_any_values_and_gradients_are_met(seed, n, d, slope):
    given_ = instance(seed, n, d)
    network = shallow_interpolating_network(*given_, negative_slope=slope)
    largest = max(float(p.detach().abs().max()) for p in network.parameters())
    assert largest_error(network, *given_) <= 1e-12 * (1 + largest) ** 2 / (1 - slope)


def test_points_that_share_coordinates_are_told_apart():
    axis = torch.arange(4, dtype=DOUBLE)
    points = torch.cartesian_prod(axis, axis)
    _, values, gradients = instance(0, 16, 2)
    assert largest_error(shallow_interpolating_network(points, values, gradients), points, values, gradients) < 1e-9


@pytest.mark.slow
def test_its_slopes_stay_bounded_where_those_of_the_boxes_grow():
    """Slopes of zero claimed for sin 2x: 4 is twice the steepest chord; the cubic of the same values and slopes needs 3."""
    steepest = {}
    for n in (8, 32, 128):
        x = torch.linspace(-2, 2, n, dtype=DOUBLE)[:, None]
        dense = torch.linspace(-2, 2, 1_001, dtype=DOUBLE)[:, None]
        for make in (shallow_interpolating_network, interpolating_network):
            network = make(x, (2 * x[:, 0]).sin(), torch.zeros_like(x))
            y, slope = (t.detach() for t in reference.derivatives(network, dense, 1))
            steepest[make, n] = float(slope.abs().max())
            if make is shallow_interpolating_network:
                assert steepest[make, n] <= 4 + 1e-9
                assert float((y[:, 0] - (2 * dense[:, 0]).sin()).abs().max()) < 4 * 4 / (n - 1)
                # inequality (1): who keeps to the values must miss the slopes by nearly 2
                assert steepest[make, n] >= 2 - 1e-2
    assert steepest[interpolating_network, 128] > 4 * steepest[interpolating_network, 32] > 100


def test_cubic_hermite_pieces_with_zero_slopes_are_no_steeper_than_three():
    for n in range(8, 513, 72):
        x = torch.linspace(-2, 2, n, dtype=DOUBLE)
        rise = (2 * x).sin().diff() / x.diff()
        assert float(1.5 * rise.abs().max()) <= 3          # 6 t (1 - t) times the chord's slope, largest half-way


def test_a_line_with_kinks_by_hand():
    at, change = kinked_line(torch.tensor([0.0, 4.0]), torch.tensor([1.0, 1.0]), torch.tensor([1.0, -1.0]))
    assert at.tolist() == [1.0, 3.0] and change.tolist() == [-1.0, -1.0]


@pytest.mark.parametrize("points, slope", [([[1000.0], [1500.0]], 2e4), ([[-1e-3], [2e-3]], 1e-4), ([[3.0, 4.0], [2.0, -1.0]], 1e8)])
def test_slopes_are_met_in_float32_at_any_scale(points, slope):
    points = torch.tensor(points)
    gradients = torch.full_like(points, slope)
    network = shallow_interpolating_network(points, torch.zeros(2), gradients)
    torch.testing.assert_close(reference.derivatives(network, points, 1)[1][:, 0].detach(), gradients, rtol=1e-5, atol=0)


@pytest.mark.parametrize("n, error", [(100, 0.003), (300, 0.04), (1000, 1.0)])
def test_float32_loses_as_much_as_the_docstring_says(n, error):
    points, values, gradients = (t.float() for t in instance(0, n, 2))
    network = shallow_interpolating_network(points, values, gradients)
    with torch.no_grad():
        missed = (network(points)[:, 0] - values).abs().max().item()
    assert error / 5 < missed < 5 * error


@pytest.mark.parametrize("points", [torch.tensor([[1000.0], [1000.00006]]), torch.tensor([[1e4, 1.0], [1e4, 1.001], [-1e4, 3.0]]),
                                    torch.tensor([[1.0, 1.0], [1.0, 1 + 3e-16]], dtype=DOUBLE)])
def test_points_whose_kinks_fall_together_are_refused(points):
    zero = torch.zeros(len(points), dtype=points.dtype)
    with pytest.raises(ValueError, match=f"points: expected distances that {points.dtype} can split into quarters"):
        shallow_interpolating_network(points, zero, torch.ones_like(points))


def test_what_the_dtype_cannot_hold_is_refused():
    points = torch.tensor([[1000.0], [2000.0]])
    with pytest.raises(ValueError, match="whose network torch.float32 can hold, got weights that are not finite"):
        shallow_interpolating_network(points, torch.zeros(2), torch.full((2, 1), 1e37))
    for dtype in (torch.float16, torch.bfloat16):
        with pytest.raises(TypeError, match=f"points: expected torch.float32 or torch.float64, got {dtype}"):
            shallow_interpolating_network(*(t.to(dtype) for t in instance(0, 4, 2)))


@pytest.mark.parametrize("x, y, slopes, message", [
    ([0.0, 1.0], [0.0], [0.0, 0.0], r"expected one shape \(N,\), got \(2,\), \(1,\) and \(2,\)"),
    ([[0.0], [1.0]], [[0.0], [1.0]], [[0.0], [1.0]], r"expected one shape \(N,\), got \(2, 1\)"),
    ([1.0, 0.0], [0.0, 0.0], [0.0, 0.0], r"x: expected numbers that rise strictly, got \[1.0, 0.0\]"),
    ([0.0, 0.0], [0.0, 0.0], [0.0, 0.0], "rise strictly"), ([0.0, torch.nan], [0.0, 0.0], [0.0, 0.0], "rise strictly")])
def test_a_line_that_does_not_go_right_is_refused(x, y, slopes, message):
    with pytest.raises(ValueError, match=message):
        kinked_line(*(torch.tensor(one) for one in (x, y, slopes)))


def test_bad_input_is_told():
    points, values, gradients = instance(0, 4, 2)
    same = points.clone()
    same[3] = same[1]
    with pytest.raises(ValueError, match="distinct ones, got the same at 1 and 3"):
        shallow_interpolating_network(same, values, gradients)
    with pytest.raises(ValueError, match=r"values: expected shape \(4,\), got \(4, 2\)"):
        shallow_interpolating_network(points, values[:, None].repeat(1, 2), gradients[:, None].repeat(1, 2, 1))
    with pytest.raises(ValueError, match=r"negative_slope: expected a number in \[0, 1\), got 1"):
        shallow_interpolating_network(points, values, gradients, negative_slope=1)
