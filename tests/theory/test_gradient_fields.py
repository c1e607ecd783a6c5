"""The paper's theorems as code, against cases that can be worked out by hand."""
import contextlib
import math

import pytest
import torch

from sobolev_lib import models
from sobolev_lib.theory import jacobian_asymmetry


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def linear(matrix):
    return lambda h: h @ matrix.T


def points(n=3, d=4, device="cpu"):
    return torch.randn(n, d, generator=seeded(0), dtype=torch.float64).to(device)


@pytest.mark.parametrize("probes", [None, 50])
def test_a_gradient_field_has_none(probes, device):
    network = models.MLP(4, 8, 1, activation="tanh", generator=seeded(1)).to(device).double()

    def field(h):
        return torch.func.grad(lambda h: network(h).sum())(h)

    found = jacobian_asymmetry(field, points(device=device), probes=probes, generator=seeded(2))
    torch.testing.assert_close(found, torch.zeros(3, dtype=torch.float64, device=device), atol=1e-7, rtol=0)


@pytest.mark.parametrize("probes", [None, 3])
def test_a_rotation_is_all_of_it(probes, device):
    turn = torch.tensor([[0.0, 2.0], [-2.0, 0.0]], dtype=torch.float64, device=device)
    for generator in (None, seeded(1), torch.Generator(device).manual_seed(1)):
        found = jacobian_asymmetry(linear(turn), points(3, 2, device), probes=probes, generator=generator)
        torch.testing.assert_close(found, torch.ones(3, dtype=torch.float64, device=device))


def test_any_matrix_is_split_into_its_two_parts():
    matrix = torch.randn(4, 4, generator=seeded(3), dtype=torch.float64)
    expected = ((matrix - matrix.T) / 2).norm() / matrix.norm()
    torch.testing.assert_close(jacobian_asymmetry(linear(matrix), points()), expected.expand(3))
    # rows with Jacobians of their own
    scaled = jacobian_asymmetry(lambda h: torch.stack([h[:, 0] * h[:, 1], h[:, 1]], 1), points(5, 2))
    x, y = points(5, 2).T
    torch.testing.assert_close(scaled, (2 * x**2).sqrt() / 2 / (y**2 + x**2 + 1).sqrt())


def test_probes_estimate_the_same_number(device):
    matrix = torch.randn(40, 40, generator=seeded(3), dtype=torch.float64).to(device)
    h = points(2, 40, device)
    exact = jacobian_asymmetry(linear(matrix), h)
    torch.testing.assert_close(jacobian_asymmetry(linear(matrix), h, probes=200, generator=seeded(0)), exact, rtol=0.02, atol=0)
    assert exact[0].item() == pytest.approx(math.sqrt(0.5), abs=0.05), "independent entries"


def test_maps_of_any_shape_are_flattened():
    kernel = torch.randn(2, 2, 3, 3, generator=seeded(4), dtype=torch.float64)
    h = torch.randn(3, 2, 5, 5, generator=seeded(5), dtype=torch.float64)
    field = lambda h: torch.nn.functional.conv2d(h, kernel, padding=1)
    # a convolution is its own transpose if channels are swapped and the kernel is turned round
    even = (kernel + kernel.transpose(0, 1).flip(2, 3)) / 2
    assert jacobian_asymmetry(field, h)[0] > 0.3
    torch.testing.assert_close(jacobian_asymmetry(lambda h: torch.nn.functional.conv2d(h, even, padding=1), h),
                               torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(jacobian_asymmetry(field, h, probes=300, generator=seeded(0)), jacobian_asymmetry(field, h),
                               rtol=0.05, atol=0)


def test_a_field_with_no_slope_has_none():
    assert not jacobian_asymmetry(lambda h: 0 * h, points()).any()


@pytest.mark.parametrize("field, h, options, message", [
    (lambda h: h[:, :2], points(), {}, r"inputs' shape \(3, 4\), got \(3, 2\)"),
    (lambda h: h, torch.rand(3), {}, "expected a batch"),
    (lambda h: h, points(), {"probes": 0}, "probes: expected a positive number"),
])
def test_bad_input(field, h, options, message):
    with pytest.raises(ValueError, match=message):
        jacobian_asymmetry(field, h, **options)


@pytest.mark.parametrize("probes", [None, 3])
def test_what_is_not_a_number_stays_none(probes):
    found = jacobian_asymmetry(lambda h: h * torch.where(h[:, :1] > 0, 1.0, torch.nan), torch.tensor([[1.0, 2.0], [-1.0, 2.0]]),
                               probes=probes, generator=seeded(0))
    assert found[0] == 0 and found[1].isnan()


def test_a_field_that_works_in_place_leaves_the_points():
    h = points()
    before = h.clone()
    with contextlib.suppress(RuntimeError):                # autograd refuses it
        jacobian_asymmetry(lambda z: z.mul_(2).sin(), h)
    assert torch.equal(h, before)
