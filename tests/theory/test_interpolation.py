"""Proposition 1: any values, any gradients, any distinct points; checked by double backward."""
import pytest
import reference
import torch
from hypothesis import given, strategies as st

from sobolev_lib.theory import interpolating_network

DOUBLE = torch.float64


def instance(seed, n, d, m=None, dtype=DOUBLE, points=1.0, values=1.0, gradients=1.0):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=DOUBLE)

    outputs = () if m is None else (m,)
    return (points * draw(n, d)).to(dtype), (values * draw(n, *outputs)).to(dtype), (gradients * draw(n, *outputs, d)).to(dtype)


def check(points, values, gradients):
    """Values to a few roundings of the largest, or of what a plane climbs over a few roundings of x; gradients exactly."""
    y, jacobian = reference.derivatives(interpolating_network(points, values, gradients), points, 1)
    (n, d), eps = points.shape, torch.finfo(points.dtype).eps
    scale = values.abs().max() + 8 * eps * gradients.abs().sum(-1).max() * points.abs().max()
    error = (y.detach() - values.reshape(n, -1)).abs().max()
    assert error <= 8 * d * eps * scale, (error, scale)
    torch.testing.assert_close(jacobian.detach(), gradients.reshape(n, -1, d), rtol=0, atol=0)


sizes = st.tuples(st.integers(1, 12), st.integers(1, 6), st.sampled_from([None, 1, 3]))
scales = st.sampled_from([1e-6, 1e-3, 1.0, 1e3, 1e6])


@given(seed=st.integers(0, 10 ** 6), size=sizes, points=scales, values=scales, gradients=scales,
       dtype=st.sampled_from([torch.float32, DOUBLE]))
def test_any_values_and_gradients_are_met(seed, size, points, values, gradients, dtype):
    check(*instance(seed, *size, dtype=dtype, points=points, values=values, gradients=gradients))


@given(seed=st.integers(0, 10 ** 6), exponent=st.integers(-14, -1), axis=st.integers(0, 2))
def test_points_may_nearly_coincide(seed, exponent, axis):
    points, values, gradients = instance(seed, 6, 3)
    points[1] = points[0]
    points[1, axis] += 10.0 ** exponent
    check(points, values, gradients)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("apart", [1, 2, 3, 5])
def test_even_points_that_are_neighbours_among_the_floating_numbers(dtype, apart):
    points = torch.tensor([[1.0, 1e6], [1.0, 1e6], [-3.0, 0.0]], dtype=dtype)
    for _ in range(apart):
        points[1, 0] = torch.nextafter(points[1, 0], torch.tensor(2.0, dtype=dtype))
    _, values, gradients = instance(0, 3, 2, dtype=dtype)
    check(points, values, gradients)


@pytest.mark.parametrize("n, d", [(1, 1), (1, 50), (30, 50), (200, 1)])
def test_one_point_many_points_and_many_dimensions(n, d, device):
    check(*(tensor.to(device) for tensor in instance(0, n, d)))


def test_zero_gradients_zero_values_and_points_at_the_origin():
    points, values, gradients = instance(3, 5, 2)
    points[0] = 0.0
    check(points, values, torch.zeros_like(gradients))
    check(points, torch.zeros_like(values), torch.zeros_like(gradients))
    y, jacobian = reference.derivatives(interpolating_network(points, 0 * values, gradients), points, 1)
    assert y.abs().max() <= 1e-14
    torch.testing.assert_close(jacobian[:, 0].detach(), gradients, rtol=0, atol=0)


def test_a_lattice_where_points_share_coordinates():
    axis = torch.arange(5, dtype=DOUBLE)
    points = torch.cartesian_prod(axis, axis)
    _, values, gradients = instance(1, 25, 2)
    check(points, values, gradients)


def test_it_is_the_plane_in_a_box_around_each_point_and_zero_between_them():
    points = torch.tensor([[0.0, 0.0], [8.0, 0.0]], dtype=DOUBLE)
    values, gradients = torch.tensor([100.0, -50.0], dtype=DOUBLE), torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=DOUBLE)
    network = interpolating_network(points, values, gradients)
    near = torch.tensor([[1.9, -1.9], [-1.5, 0.3]], dtype=DOUBLE)
    torch.testing.assert_close(network(near)[:, 0], 100 + near @ gradients[0])
    far = torch.tensor([[4.0, 0.0], [0.0, 9.0], [30.0, -7.0], [8.0, -8.1]], dtype=DOUBLE)
    assert not network(far).any()


def test_its_size_is_what_the_docstring_says():
    network = interpolating_network(*instance(0, 7, 3, 2))
    assert [tuple(layer.weight.shape) for layer in network[::2]] == [(63, 3), (21, 63), (2, 21)]


@given(seed=st.integers(0, 10 ** 6), size=sizes, slope=st.sampled_from([0.01, 0.2, 0.9]))
def test_leaky_relus_meet_them_too(seed, size, slope):
    points, values, gradients = instance(seed, *size)
    network = interpolating_network(points, values, gradients, negative_slope=slope)
    assert any(isinstance(layer, torch.nn.LeakyReLU) and layer.negative_slope == slope for layer in network)
    y, jacobian = (t.detach() for t in reference.derivatives(network, points, 1))
    largest = max(float(p.detach().abs().max()) for p in network.parameters())
    tolerance = 1e-13 * largest / (1 - slope) * (1 + float(points.abs().max()))
    torch.testing.assert_close(y, values.reshape(y.shape), rtol=0, atol=tolerance)
    torch.testing.assert_close(jacobian, gradients.reshape(jacobian.shape), rtol=0, atol=tolerance)


def test_bad_input_is_told():
    points, values, gradients = instance(0, 4, 2)
    same = points.clone()
    same[3] = same[1]
    with pytest.raises(ValueError, match="distinct ones, got the same at 1 and 3"):
        interpolating_network(same, values, gradients)
    with pytest.raises(ValueError, match=r"gradients: expected shape \(4, 2\), got \(4, 3\)"):
        interpolating_network(points, values, torch.zeros(4, 3, dtype=DOUBLE))
    with pytest.raises(ValueError, match=r"values: expected shape \(4,\)"):
        interpolating_network(points, values[:3], gradients)
    with pytest.raises(ValueError, match=r"points: expected shape \(N, d\), got \(0, 2\)"):
        interpolating_network(points[:0], values[:0], gradients[:0])
    with pytest.raises(TypeError, match="values: expected the points' dtype torch.float64, got torch.float32"):
        interpolating_network(points, values.float(), gradients)
    with pytest.raises(TypeError, match="points: expected a floating tensor, got torch.int64"):
        interpolating_network(points.long(), values, gradients)
    with pytest.raises(ValueError, match="values: expected finite numbers"):
        interpolating_network(points, values / 0, gradients)
    with pytest.raises(ValueError, match=r"negative_slope: expected a number in \[0, 1\), got 1"):
        interpolating_network(points, values, gradients, negative_slope=1)
    close = torch.tensor([[0.0], [1e-44]])
    with pytest.raises(ValueError, match="expected distances that torch.float32 can divide by"):
        interpolating_network(close, torch.ones(2), torch.ones(2, 1))
