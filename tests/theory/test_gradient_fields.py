"""The paper's theorems as code, against cases that can be worked out by hand."""
import contextlib
import math

import numpy as np
import pytest
import torch

from sobolev_lib import models
from sobolev_lib.theory import jacobian_asymmetry, loop_bound


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


@pytest.mark.parametrize("probes", [None, 3])
@pytest.mark.parametrize("field", [lambda h: 0 * h, torch.ones_like, lambda h: h.detach() + 1])
def test_a_field_with_no_slope_has_none(field, probes):
    assert not jacobian_asymmetry(field, points(), probes=probes).any()


@pytest.mark.parametrize("probes", [None, np.int64(3)])
@pytest.mark.parametrize("size", [1e-30, 1e20])
def test_the_field_s_size_does_not_matter(size, probes):
    matrix = torch.randn(4, 4, generator=seeded(3))
    found, expected = (jacobian_asymmetry(lambda h: s * (h @ matrix), points().float(), probes=probes, generator=seeded(0))
                       for s in (size, 1.0))
    assert found.dtype == torch.float32 and expected.min() > 0.1
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("field, h, options, message", [
    (lambda h: h[:, :2], points(), {}, r"inputs' shape \(3, 4\), got \(3, 2\)"),
    (lambda h: h, torch.rand(3), {}, "expected a batch"),
    (lambda h: h, points(), {"probes": 0}, "probes: expected a positive number"),
    (lambda h: h, points(), {"probes": True}, "probes: expected a positive number or None, got True"),
    (lambda h: h, torch.rand(3, 0), {}, r"with one entry at least, got \(3, 0\)"),
    (lambda h: h, torch.rand(0, 3), {"probes": 2}, r"with one entry at least, got \(0, 3\)"),
    (lambda h: h, np.ones((2, 2)), {}, "h: expected a floating tensor, got ndarray"),
    (lambda h: h, [[1.0, 2.0]], {}, "h: expected a floating tensor, got list"),
    (lambda h: h, torch.ones(2, 2, dtype=torch.long), {"probes": 2}, "h: expected a floating tensor, got torch.int64"),
])
def test_bad_input(field, h, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
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


# --- what the chapter on gradient fields says -------------------------------------------------------------------

@pytest.mark.parametrize("n", [2, 3, 20])
def test_random_matrices_are_asymmetric_by_the_root_of_n_minus_1_over_2_n(n):
    W = torch.randn(20_000, n, n, generator=seeded(n), dtype=torch.float64)
    odd, total = (W - W.mT).square().sum() / 4, W.square().sum()
    assert (odd / total).item() == pytest.approx((n - 1) / (2 * n), rel=0.02)
    if n == 2:                                             # by far not 0.71
        h = torch.ones(len(W), 2, dtype=torch.float64)
        found = jacobian_asymmetry(lambda h: (W @ h[:, :, None])[:, :, 0], h)
        assert found.median().item() == pytest.approx(0.40, abs=0.02)


def twisted(h):
    """Its gradient is continuous and has partial derivatives at 0, but is not differentiable there."""
    a, b = h[:, 0], h[:, 1]
    return a * b * (a ** 2 - b ** 2) / (a ** 2 + b ** 2)


def test_partial_derivatives_are_not_enough_for_proposition_4():
    g = torch.func.grad(lambda h: twisted(h).sum())
    for step in (1e-1, 1e-3, 1e-5):
        J = g(step * torch.eye(2, dtype=torch.float64)).T / step
        torch.testing.assert_close(J, torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64))
        w = torch.full((1, 2), step, dtype=torch.float64)
        assert (g(w)[0] - J @ w[0]).norm() / w.norm() == pytest.approx(2)      # the remainder does not vanish
    away = torch.randn(20, 2, generator=seeded(0), dtype=torch.float64)
    assert jacobian_asymmetry(g, away).max() < 1e-9


def test_off_its_kinks_a_piecewise_smooth_gradient_has_a_symmetric_jacobian():
    W = torch.randn(12, 3, generator=seeded(1), dtype=torch.float64)
    g = lambda h: (h @ W.T).relu() @ W                     # the gradient of half the sum of squared ReLUs
    assert jacobian_asymmetry(g, points(20, 3)).max() < 1e-12


SQUARE = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]], dtype=torch.float64)
ROTATION = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)


def test_a_loop_bounds_the_distance_to_every_gradient():
    g = linear(ROTATION)                                   # (-x2, x1)
    assert loop_bound(g, SQUARE) == pytest.approx(1)
    assert loop_bound(g, SQUARE.flip(0)) == pytest.approx(1)                   # either way round
    for seed in range(20):
        network = models.MLP(2, 16, 1, activation="tanh", generator=seeded(seed)).double()
        gradient = torch.func.grad(lambda x: network(x).sum())
        loop = torch.randn(5, 2, generator=seeded(seed), dtype=torch.float64)
        assert loop_bound(gradient, loop) < 1e-9
        t = torch.linspace(0, 1, 400, dtype=torch.float64)[:, None]
        on = torch.cat([a + t * (b - a) for a, b in zip(loop, loop.roll(-1, 0))])
        scaled = lambda x: seed * gradient(x)
        assert (g(on) - scaled(on)).norm(dim=1).max() >= loop_bound(g, loop) - 1e-3


def test_small_loops_tell_the_antisymmetric_part():
    field = lambda x: torch.stack([x[:, 0] * x[:, 1], x[:, 1].sin()], 1)
    at, side = torch.tensor([0.5, -0.3], dtype=torch.float64), 1e-3
    J = torch.tensor([[-0.3, 0.5], [0.0, math.cos(-0.3)]], dtype=torch.float64)
    per_area = loop_bound(field, at + side / 2 * SQUARE) * 4 * side / side ** 2
    assert per_area == pytest.approx(abs(float(J[1, 0] - J[0, 1])), rel=1e-3)


@pytest.mark.parametrize("nodes", [2, 4, 6, np.int64(16)])
def test_what_too_few_nodes_add_up_is_no_bound(nodes):
    gradient = torch.func.grad(lambda x: (x @ torch.tensor([4.0, 1.0], dtype=x.dtype)).sin().sum())
    assert loop_bound(gradient, SQUARE[:3] + 0.1, nodes=nodes) < 1e-9


def test_float32_corners_lose_nothing_but_the_field_s_rounding():
    asked = []

    def turning(x):
        asked.append(x.dtype)
        return x @ ROTATION.T.to(x)

    far = (SQUARE + torch.tensor([3e4, -2e4], dtype=torch.float64)).float().requires_grad_()
    assert loop_bound(turning, far) == pytest.approx(1, rel=1e-2)
    assert set(asked) == {torch.float32}
    small = 1e-25 * SQUARE.float()
    assert loop_bound(lambda x: 1e25 * turning(x), small) == pytest.approx(1, rel=1e-6)


def test_segments_bound_nothing_beyond_value_error_1_where_the_loop_still_does():
    """Theorem 2 for g = (-x2, x1) and f = 0 on the square: by chords of the boundary, and by the boundary itself."""
    t = torch.linspace(0, 1, 41, dtype=torch.float64)[:-1, None]
    edge = torch.cat([a + t * (b - a) for a, b in zip(SQUARE, SQUARE.roll(-1, 0))])
    a, b = edge[:, None], edge[None]
    length = (b - a).norm(dim=-1)
    integral = (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).abs()           # of g along the chord: twice a triangle's area
    bounds = {error: ((integral - 2 * error) / length)[length > 0.01].max().item() for error in (0.25, 0.5, 1.0, 1.5)}
    assert bounds[0.5] == pytest.approx(0.5, abs=1e-9) and max(bounds[1.0], bounds[1.5]) <= 1e-9
    assert loop_bound(linear(ROTATION), SQUARE) == pytest.approx(1)


@pytest.mark.parametrize("field, corners, options, message", [
    (lambda x: x, torch.rand(3), {}, "expected shape"), (lambda x: x, torch.zeros(3, 2), {}, "some finite length, got 0"),
    (lambda x: x[:, :1], SQUARE, {}, r"inputs' shape \(256, 2\), got \(256, 1\)"), (lambda x: x, SQUARE, {"nodes": 0}, "positive number"),
    (lambda x: x, SQUARE, {"nodes": True}, "positive number, got True"), (lambda x: x / 0, SQUARE, {}, "finite numbers along the loop"),
    (lambda x: x * 1j, SQUARE, {}, "real numbers, got torch.complex128"), (lambda x: x, SQUARE.long(), {}, "floating tensor, got torch.int64"),
    (lambda x: x, SQUARE.tolist(), {}, "floating tensor, got list"), (lambda x: x.numpy(), SQUARE, {}, "return a tensor, got ndarray")])
def test_a_wrong_loop_is_told(field, corners, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        loop_bound(field, corners, **options)
