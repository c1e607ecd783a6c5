"""Propositions 2 and 3: counts of points, and what they leave open."""
import itertools
import math

import pytest
import torch
from hypothesis import assume, given, strategies as st

import sobolev_lib as sl
from sobolev_lib.theory import gaussian_from_derivative, gaussians_through, identify

DOUBLE = torch.float64


def powers(degree):
    return lambda x: x ** torch.arange(degree + 1, device=x.device)


def affine(x):
    return torch.cat([torch.ones_like(x[:, :1]), x], dim=1)


def needed(features, coefficients, x, order):
    """The smallest number of points that identify the coefficients."""
    for count in range(1, len(x) + 1):
        data = sl.label(lambda x: features(x) @ coefficients, x[:count], order=order)
        try:
            found = identify(features, data)
        except ValueError as error:
            assert "open" in str(error)
            continue
        torch.testing.assert_close(found, coefficients, rtol=1e-5, atol=1e-5 * float(coefficients.abs().max()))
        return count


@pytest.mark.parametrize("degree", range(8))
def test_polynomials_take_n_plus_one_values_and_half_of_it_with_derivatives(degree, device):
    generator = torch.Generator().manual_seed(degree)
    coefficients = torch.randn(degree + 1, generator=generator, dtype=DOUBLE).to(device)
    x = torch.linspace(-1, 1, degree + 1 + (degree == 0), dtype=DOUBLE, device=device)[:, None]
    assert needed(powers(degree), coefficients, x, 0) == degree + 1
    assert needed(powers(degree), coefficients, x, 1) == math.ceil((degree + 1) / 2)


@given(d=st.integers(1, 10), seed=st.integers(0, 10 ** 6))
def test_a_plane_takes_d_plus_one_values_and_one_point_with_its_gradient(d, seed):
    generator = torch.Generator().manual_seed(seed)
    coefficients = torch.randn(d + 1, generator=generator, dtype=DOUBLE)
    x = torch.randn(d + 2, d, generator=generator, dtype=DOUBLE)
    assert needed(affine, coefficients, x, 0) == d + 1
    assert needed(affine, coefficients, x, 1) == 1


def test_points_on_a_line_never_fix_a_plane():
    x = torch.arange(20, dtype=DOUBLE)[:, None] * torch.tensor([[1.0, 2.0]])
    with pytest.raises(ValueError, match="leave 1 open"):
        identify(affine, sl.label(lambda x: x.sum(1), x, order=0))


def test_missing_derivatives_don_t_count(device):
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=DOUBLE, device=device)
    data = sl.label(lambda x: 2 + 3 * x[:, 0] - x[:, 1], x)
    missing = data.jacobian.clone()
    missing[:, 1] = math.nan
    with pytest.raises(ValueError, match="leave 1 open"):
        identify(affine, sl.SobolevData(x, data.values, missing))
    missing[0, 1] = -1.0
    found = identify(affine, sl.SobolevData(x, data.values, missing))
    torch.testing.assert_close(found, torch.tensor([2.0, 3.0, -1.0], dtype=DOUBLE, device=device))


def test_data_of_no_member_is_told():
    x = torch.linspace(0, 1, 9, dtype=DOUBLE)[:, None]
    with pytest.raises(ValueError, match="off by"):
        identify(affine, sl.label(lambda x: x[:, 0] ** 2, x))
    with pytest.raises(ValueError, match="expected a scalar function"):
        identify(affine, sl.label(lambda x: torch.cat([x, x], 1), x))


def density(x, mu, sigma):
    return math.exp(-((x - mu) / sigma) ** 2 / 2) / (sigma * math.sqrt(2 * math.pi))


@given(mu=st.floats(-100, 100), sigma=st.floats(1e-3, 1e3), z=st.floats(-8, 8))
def test_one_point_with_its_derivative_tells_a_gaussian(mu, sigma, z):
    x = mu + z * sigma
    value = density(x, mu, sigma)
    z = (x - mu) / sigma                                   # as rounded
    found = gaussian_from_derivative(x, value, -z / sigma * value)
    # at z = 1 the value does not change with sigma: there half of the digits go
    assert found[1] == pytest.approx(sigma, rel=1e-6)
    assert found[0] == pytest.approx(mu, rel=1e-6, abs=1e-6 * sigma)


@pytest.mark.parametrize("value, derivative", [(1e-300, 1e-300), (1e100, -1e10), (1e-5, 1e5), (0.4, 0.0), (3.0, 1e-200),
                                               (1e-8, 1e-20)])
def test_extreme_numbers_give_a_gaussian_that_has_them(value, derivative):
    mu, sigma = gaussian_from_derivative(0.0, value, derivative)
    z = -mu / sigma
    assert -math.log(sigma) - math.log(2 * math.pi) / 2 - z * z / 2 == pytest.approx(math.log(value), rel=1e-9, abs=1e-9)
    assert -z / sigma * value == pytest.approx(derivative, rel=1e-6)


@given(mu=st.floats(-5, 5), sigma=st.floats(0.1, 5), z1=st.floats(-4, 4), z2=st.floats(-4, 4))
def test_two_values_leave_all_gaussians_that_are_listed(mu, sigma, z1, z2):
    assume(abs(z1 - z2) > 1e-2)
    x = mu + z1 * sigma, mu + z2 * sigma
    values = tuple(density(at, mu, sigma) for at in x)
    found = gaussians_through(x, values)
    assert 1 <= len(found) <= 2
    for candidate in found:
        assert [density(at, *candidate) for at in x] == pytest.approx(values, rel=1e-6)
    assert any(abs(m - mu) < 1e-3 * sigma and abs(s - sigma) < 1e-3 * sigma for m, s in found)


def test_values_too_high_for_their_distance_belong_to_none():
    assert gaussians_through((0, 10), (5.0, 5.0)) == []


def test_bad_numbers_are_told():
    with pytest.raises(ValueError, match="positive value"):
        gaussian_from_derivative(0.0, -1.0, 0.0)
    with pytest.raises(ValueError, match="two different points"):
        gaussians_through((1, 1), (0.1, 0.2))


# --- what the chapter on points says ----------------------------------------------------------------------------

def monomials(d, degree):
    exponents = torch.tensor([e for e in itertools.product(range(degree + 1), repeat=d) if sum(e) <= degree])
    return lambda x: (x[:, None, :] ** exponents).prod(2)


@pytest.mark.parametrize("d, degree", [(1, 3), (2, 1), (2, 2), (2, 3), (2, 4), (2, 5), (3, 2), (3, 3), (3, 4), (4, 2), (4, 3), (4, 4)])
def test_generic_points_are_as_many_as_alexander_and_hirschowitz_say(d, degree):
    """The count of numbers, rounded up; but d + 1 for quadratics, and one more in four cases."""
    features, x = monomials(d, degree), torch.rand(20, d, generator=torch.Generator().manual_seed(d), dtype=DOUBLE) * 2 - 1
    counted = math.ceil(math.comb(d + degree, degree) / (d + 1))
    more = {(2, 4): 6, (3, 4): 10, (4, 3): 8, (4, 4): 15}
    expected = more.get((d, degree), d + 1 if degree == 2 else counted)
    assert needed(features, torch.ones(math.comb(d + degree, degree), dtype=DOUBLE), x, 1) == expected
    assert expected == counted + ((d, degree) in more) or degree == 2


def test_two_gaussians_agree_where_the_chapter_says():
    at = math.sqrt(8 / 3 * math.log(2))
    density = lambda x, sigma: math.exp(-(x / sigma) ** 2 / 2) / (sigma * math.sqrt(2 * math.pi))
    values = tuple(density(x, 1) for x in (-at, at))
    assert values == pytest.approx([density(x, 2) for x in (-at, at)])
    assert [round(sigma, 6) for _, sigma in gaussians_through((-at, at), values)] == [2, 1]


def test_of_two_pieces_one_value_each_leaves_a_line_open():
    """Proposition 3's points may share a place in one piece: distinct all the same, and that piece is never determined."""
    lines = lambda x: torch.stack([1 - x[:, 2], x[:, 0] * (1 - x[:, 2]), x[:, 2], x[:, 1] * x[:, 2]], 1)     # column 2: which output
    first, second = torch.zeros(6, dtype=DOUBLE), torch.arange(6, dtype=DOUBLE)        # (0, 0), (0, 1), ... are six distinct points
    x = torch.cat([torch.stack([first, second, torch.full_like(first, which)], 1) for which in (0, 1)])
    with pytest.raises(ValueError, match="leave 1 open"):
        identify(lines, sl.label(lambda x: lines(x).sum(1), x, order=0))
