"""The seven functions against their textbook formulas and hand-derived gradients, and finite everywhere."""
import math

import numpy as np
import pytest
import torch

import sobolev_lib as sl

functions = sl.functions
EVERY = pytest.mark.parametrize("f", functions.BENCHMARKS, ids=lambda f: f.name)

DOMAINS = {"ackley": ((-5, 5), (-5, 5)), "beale": ((-4.5, 4.5), (-4.5, 4.5)), "booth": ((-10, 10), (-10, 10)),
           "bukin": ((-15, -5), (-3, 3)), "mccormick": ((-1.5, 4), (-3, 4)), "rosenbrock": ((-2, 2), (-2, 2)),
           "styblinski_tang": ((-5, 5), (-5, 5))}

# written out otherwise than in the library: squares expanded, terms factored
VALUES = {
    "ackley": lambda x, y: (20 + math.e - 20 * np.exp(-0.2 * np.sqrt((x**2 + y**2) / 2))
                            - np.exp((np.cos(2 * np.pi * x) + np.cos(2 * np.pi * y)) / 2)),
    "beale": lambda x, y: sum((c - x * (1 - y**k)) ** 2 for c, k in ((1.5, 1), (2.25, 2), (2.625, 3))),
    "booth": lambda x, y: 5 * x**2 + 5 * y**2 + 8 * x * y - 34 * x - 38 * y + 74,
    "bukin": lambda x, y: 100 * np.sqrt(np.abs(y - x**2 / 100)) + np.abs(x + 10) / 100,
    "mccormick": lambda x, y: np.sin(x + y) + x**2 - 2 * x * y + y**2 - 1.5 * x + 2.5 * y + 1,
    "rosenbrock": lambda x, y: 100 * y**2 - 200 * x**2 * y + 100 * x**4 + x**2 - 2 * x + 1,
    "styblinski_tang": lambda x, y: sum(t**4 - 16 * t**2 + 5 * t for t in (x, y)) / 2,
}


def _ackley_gradient(x, y):
    r = np.sqrt((x**2 + y**2) / 2)
    waves = np.pi * np.exp((np.cos(2 * np.pi * x) + np.cos(2 * np.pi * y)) / 2)
    return [2 * np.exp(-0.2 * r) * t / r + waves * np.sin(2 * np.pi * t) for t in (x, y)]


def _beale_gradient(x, y):
    a, b, c = 1.5 - x + x * y, 2.25 - x + x * y**2, 2.625 - x + x * y**3
    return [2 * a * (y - 1) + 2 * b * (y**2 - 1) + 2 * c * (y**3 - 1), 2 * x * (a + 2 * b * y + 3 * c * y**2)]


def _bukin_gradient(x, y):
    h = y - x**2 / 100
    slope = 50 * np.sign(h) / np.sqrt(np.abs(h))
    return [-slope * x / 50 + np.sign(x + 10) / 100, slope]


GRADIENTS = {
    "ackley": _ackley_gradient, "beale": _beale_gradient, "bukin": _bukin_gradient,
    "booth": lambda x, y: [10 * x + 8 * y - 34, 8 * x + 10 * y - 38],
    "mccormick": lambda x, y: [np.cos(x + y) + 2 * (x - y) - 1.5, np.cos(x + y) - 2 * (x - y) + 2.5],
    "rosenbrock": lambda x, y: [400 * x**3 - 400 * x * y + 2 * x - 2, 200 * (y - x**2)],
    "styblinski_tang": lambda x, y: [2 * t**3 - 16 * t + 2.5 for t in (x, y)],
}


def generic_points(f, n=200, seed=0):
    """Points away from Bukin's ridge and Ackley's origin, where the formulas have derivatives."""
    (a, b), (c, d) = f.domain
    x = np.random.default_rng(seed).uniform((a, c), (b, d), (n, 2))
    return x[np.abs(x[:, 1] - x[:, 0] ** 2 / 100) > 0.05] if f.name == "bukin" else x


def delicate_points(f):
    """A lattice with the borders and corners, the minimisers, and where autodiff of the formula (nearly) fails."""
    (a, b), (c, d) = f.domain
    mesh = torch.cartesian_prod(torch.linspace(a, b, 21, dtype=torch.float64),
                                torch.linspace(c, d, 21, dtype=torch.float64))
    points = [mesh, f.minimizers]
    if f.name == "ackley":
        tiny = [0.0, 5e-324, 1e-200, 1e-160, 1e-30, 1e-20, 1e-16, 1e-12, 1e-8, 1e-7, 1e-6, 1e-4, 1e-3]
        points.append(torch.cartesian_prod(*[torch.tensor(tiny + [-t for t in tiny], dtype=torch.float64)] * 2))
    if f.name == "bukin":
        x = torch.linspace(-15, -5, 41, dtype=torch.float64)
        for height in (0, 1e-17, 1e-16, 1e-15, 1e-12, 1e-8, 1e-7, 4.8e-7, 1e-6, 1e-4, 1e-2):
            points += [torch.stack([x, 0.01 * x * x + sign * height], 1) for sign in (1, -1)]
    return torch.cat(points)


# --- names, domains ---------------------------------------------------------------------------------------------

def test_there_are_seven_and_each_is_a_module_attribute():
    assert [f.name for f in functions.BENCHMARKS] == sorted(DOMAINS)
    assert isinstance(functions.BENCHMARKS, tuple)
    for f in functions.BENCHMARKS:
        assert getattr(functions, f.name) is f and f.title
        assert f.domain == DOMAINS[f.name]
    with pytest.raises(AttributeError):
        functions.booth.minimum = 1.0


# --- values and derivatives -------------------------------------------------------------------------------------

@EVERY
def test_values_gradients_and_hessians_equal_the_textbook(f):
    x = generic_points(f)
    values, gradient, hessian = sl.value_and_derivatives(f, torch.tensor(x), order=2)
    expected = np.stack(GRADIENTS[f.name](*x.T), axis=1)
    np.testing.assert_allclose(values, VALUES[f.name](*x.T), rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-11)
    h = 1e-6
    for i, e in enumerate(np.eye(2) * h):
        plus, minus = [np.stack(GRADIENTS[f.name](*(x + sign * e).T), axis=1) for sign in (1, -1)]
        np.testing.assert_allclose(hessian[:, :, i], (plus - minus) / (2 * h), rtol=2e-6, atol=2e-5)


@pytest.mark.parametrize("name, point, value", [
    ("ackley", (1, 1), 3.6253849384403627), ("ackley", (0, 0), 0), ("beale", (1, 1), 14.203125), ("beale", (3, 0.5), 0),
    ("booth", (0, 0), 74), ("booth", (1, 3), 0), ("bukin", (-10, 0), 100), ("bukin", (-10, 1), 0),
    ("mccormick", (0, 0), 1), ("rosenbrock", (-1.2, 1), 24.2), ("rosenbrock", (1, 1), 0),
    ("styblinski_tang", (1, 1), -10), ("styblinski_tang", (0, 0), 0),
])
def test_known_values(name, point, value):
    x = torch.tensor(point, dtype=torch.float64)
    assert getattr(functions, name)(x).item() == pytest.approx(value, abs=1e-12)


@EVERY
def test_gradcheck_to_second_order(f):
    x = torch.tensor(generic_points(f, n=8, seed=3), requires_grad=True)
    assert torch.autograd.gradcheck(f, x)
    assert torch.autograd.gradgradcheck(f, x)


@EVERY
def test_vmap_and_jacrev_work_on_single_points(f):
    x = generic_points(f, n=10)
    by_row = torch.vmap(torch.func.jacrev(f))(torch.tensor(x))
    np.testing.assert_allclose(by_row, np.stack(GRADIENTS[f.name](*x.T), axis=1), rtol=1e-11, atol=1e-11)


# --- minima -----------------------------------------------------------------------------------------------------

@EVERY
def test_minimisers_are_in_the_domain_and_take_the_minimum(f):
    x = f.minimizers
    assert x.dtype == torch.float64 and x.ndim == 2 and x.shape[1] == 2 and len(x) >= 1
    low, high = torch.tensor(f.domain, dtype=torch.float64).T
    assert ((low <= x) & (x <= high)).all()
    torch.testing.assert_close(f(x), torch.full((len(x),), f.minimum, dtype=torch.float64), rtol=0, atol=1e-13)
    gradient = sl.value_and_derivatives(f, x)[1]
    assert gradient.abs().max() < 1e-9  # Ackley and Bukin have no derivative there: zero by convention


@EVERY
def test_nothing_in_the_domain_lies_below_the_minimum(f):
    (a, b), (c, d) = f.domain
    mesh = torch.cartesian_prod(torch.linspace(a, b, 401, dtype=torch.float64),
                                torch.linspace(c, d, 401, dtype=torch.float64))
    assert f(mesh).min() >= f.minimum - 1e-12
    nudge = 1e-4 * torch.tensor([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, 1]], dtype=torch.float64)
    assert (f(f.minimizers.unsqueeze(1) + nudge) > f.minimum).all()


def test_all_global_minimisers_are_listed():
    # of these seven none has a second global minimiser in its domain; a search from a lattice finds no other
    for f in functions.BENCHMARKS:
        (a, b), (c, d) = f.domain
        mesh = torch.cartesian_prod(torch.linspace(a, b, 401, dtype=torch.float64),
                                    torch.linspace(c, d, 401, dtype=torch.float64))
        far = torch.cdist(mesh, f.minimizers).amin(1) > 0.5
        if f.name != "bukin":  # its ridge is a valley of nearly minimal values
            assert f(mesh[far]).min() > f.minimum + 1e-2
    assert [len(f.minimizers) for f in functions.BENCHMARKS] == [1] * 7


# --- finite everywhere ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
@EVERY
def test_value_gradient_and_hessian_are_finite_everywhere(f, dtype):
    x = delicate_points(f).to(dtype)
    if f.name == "bukin":  # the ridge as this precision rounds it
        u = torch.linspace(-15, -5, 101, dtype=torch.float64).to(dtype)
        x = torch.cat([x, torch.stack([u, 0.01 * u * u], 1), torch.stack([u, (0.1 * u).square()], 1)])
    for tensor in sl.value_and_derivatives(f, x, order=2):
        assert tensor.dtype == dtype and tensor.isfinite().all()
    # and by plain double backward
    x.requires_grad_()
    gradient, = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    second, = torch.autograd.grad(gradient.sum(), x)
    assert gradient.isfinite().all() and second.isfinite().all()


@EVERY
def test_half_precision_where_it_can_hold_the_values(f):
    x = delicate_points(f).half()
    exact = torch.tensor(VALUES[f.name](*x.double().numpy().T))
    fits = exact.abs() < 2e4
    values, gradient = sl.value_and_derivatives(f, x[fits])
    assert values.dtype == gradient.dtype == torch.float16
    assert values.isfinite().all() and gradient.isfinite().all()
    # 100 sqrt(h) turns a rounding error of 1e-3 in Bukin's h into 100 sqrt(1e-3)
    scale = 7.0 if f.name == "bukin" else 0.02 * exact[fits].abs().clamp_min(30)
    assert ((values.double() - exact[fits]).abs() <= scale).all()


def test_ackley_is_right_next_to_its_tip_and_flat_at_it():
    # near 0, f = 4 sqrt((x^2 + y^2) / 2): a cone of slope 4 / sqrt(2)
    for size in (1e-3, 1e-6, 1e-8, 1e-12):
        x = torch.tensor([[size, 0.0], [0.0, -size], [0.6 * size, 0.8 * size]], dtype=torch.float64)
        gradient = sl.value_and_derivatives(functions.ackley, x)[1]
        np.testing.assert_allclose(gradient, x / size * 8**0.5, rtol=0.03)
    for size in (1e-20, 1e-30, 0.0):
        value, gradient, hessian = sl.value_and_derivatives(functions.ackley, torch.tensor([[size, size]]), 2)
        assert abs(value.item()) < 1e-5 and gradient.abs().max() < 1e-15 and hessian.isfinite().all()


def test_bukin_is_right_next_to_its_ridge_and_level_on_it():
    x = torch.linspace(-14, -6, 9, dtype=torch.float64)
    for height in (1e-2, 1e-6, 1e-10):
        for sign in (1, -1):
            points = torch.stack([x, 0.01 * x * x + sign * height], 1)
            slope = sl.value_and_derivatives(functions.bukin, points)[1][:, 1]
            np.testing.assert_allclose(slope, sign * 50 / height**0.5, rtol=1e-4)
    on = torch.stack([x, 0.01 * x * x], 1)
    value, gradient = sl.value_and_derivatives(functions.bukin, on)
    np.testing.assert_allclose(value, 0.01 * (x + 10).abs(), atol=1e-12)
    np.testing.assert_allclose(gradient, torch.stack([0.01 * (x + 10).sign(), 0 * x], 1), atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("ridge", [lambda x: (0.1 * x).square(), lambda x: (x / 10) ** 2, lambda x: x * x / 100],
                         ids=["(0.1 x)^2", "(x/10)^2", "x^2/100"])
def test_bukin_is_level_on_its_ridge_however_the_ridge_was_rounded(ridge, dtype):
    # else the slope there would be the sign of a rounding error times 50 / sqrt(eps)
    x = torch.linspace(-15, -5, 2001, dtype=torch.float64).to(dtype)
    value, gradient = sl.value_and_derivatives(functions.bukin, torch.stack([x, ridge(x)], 1))
    assert gradient.abs().max() <= 0.0100001 and value.max() <= 0.0500001


# --- shapes, dtypes ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(2,), (5, 2), (3, 4, 2), (0, 2)], ids=str)
@EVERY
def test_any_batch_shape_and_dtype(f, shape, dtype):
    count = math.prod(shape[:-1])
    x = (f.sample(max(count, 1), generator=torch.Generator().manual_seed(1)) / 2 + f.minimizers[0] / 2)[:count]
    y = f(x.to(dtype).reshape(shape))
    assert y.shape == shape[:-1] and y.dtype == dtype
    if count:
        one_by_one = torch.stack([f(row) for row in x.to(dtype)])
        torch.testing.assert_close(y.flatten(), one_by_one)


# --- sampling ---------------------------------------------------------------------------------------------------

@EVERY
def test_samples_are_uniform_in_the_domain_and_repeatable(f):
    draw = lambda seed, **options: f.sample(4000, generator=torch.Generator().manual_seed(seed), **options)
    state = torch.get_rng_state()
    x = draw(0)
    assert torch.equal(torch.get_rng_state(), state), "a generator was given, yet the global one was used"
    assert x.shape == (4000, 2) and x.dtype == torch.get_default_dtype()
    assert torch.equal(x, draw(0)) and not torch.equal(x, draw(1))
    low, high = torch.tensor(f.domain).T
    assert ((low <= x) & (x <= high)).all()
    cells = ((x - low) / (high - low) * 4).long().clamp_max(3)
    counts = torch.bincount(cells[:, 0] * 4 + cells[:, 1], minlength=16)
    sigma = (4000 * 1 / 16 * 15 / 16) ** 0.5
    assert ((counts - 250).abs() < 5 * sigma).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64], ids=str)
def test_samples_have_the_dtype_and_device_asked_for(dtype):
    for f in functions.BENCHMARKS:
        x = f.sample(500, dtype=dtype, device="cpu")
        low, high = torch.tensor(f.domain, dtype=dtype).T
        assert x.dtype == dtype and ((low <= x) & (x <= high)).all()
