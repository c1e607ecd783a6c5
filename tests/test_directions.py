"""Labels along directions: in data, in both trainers, in errors and checkpoints, and from black boxes."""
import numpy as np
import pytest
import reference
import torch
from torch import nn
from torch.utils.data import DataLoader

import sobolev_lib as sl
from sobolev_lib import SobolevData, SobolevLoss, label
from sobolev_lib.losses import EntryWeights

DOUBLE = torch.float64
F = sl.functions.styblinski_tang


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def points(*shape, seed=0):
    return torch.rand(shape, generator=generator(seed), dtype=DOUBLE) * 2 - 1


def two_outputs(x):
    return torch.stack([x[:, 0] * x[:, 1] * x[:, 2], x[:, 0] ** 3 + x[:, 1].sin()], 1)


def unit_vectors(x):
    d = x[0].numel()
    return torch.eye(d, dtype=x.dtype).reshape(1, d, *x.shape[1:]).repeat(len(x), 1, *[1] * (x.ndim - 1))


def mlp(d=2, m=1, activation="tanh", seed=0):
    return sl.models.MLP(d, 12, 9, m, activation=activation, generator=generator(seed)).to(DOUBLE)


# --- the data ---------------------------------------------------------------------------------------------------

def test_the_highest_order_is_along_the_directions():
    x, u = points(6, 3), points(6, 2, 3, seed=1)
    first = SobolevData(x, two_outputs(x), points(6, 2, 2), directions=u)
    assert first.order == 1 and first.jacobian is None and first.hessian is None and first.products.shape == (6, 2, 2)
    assert "jacobian along 2 directions" in repr(first) and first.extras == ("directions",)
    second = SobolevData(x, two_outputs(x), points(6, 2, 3), points(6, 2, 2, 3), directions=u)
    assert second.order == 2 and second.jacobian.shape == (6, 2, 3) and second.hessian is None
    assert second.products.shape == (6, 2, 2, 3)
    assert second.up_to(1).directions is None and second.up_to(1).products is None and second.up_to(2) is second
    whole = SobolevData(x, two_outputs(x), points(6, 2, 3))
    assert whole.products is None and whole.directions is None


def test_directions_stay_with_their_points():
    x, u = points(6, 3), points(6, 2, 3, seed=1)
    data = label(two_outputs, x, directions=u)
    for part, rows in ((data[1:4], slice(1, 4)), (data[[4, 0]], [4, 0]), (data[torch.arange(6) > 2], slice(3, 6))):
        torch.testing.assert_close(part.directions, u[rows])
        torch.testing.assert_close(part.products, data.products[rows])
    *_, products, directions = data[3]
    torch.testing.assert_close((products, directions), (data.products[3], u[3]))
    *_, directions = next(iter(DataLoader(data, batch_size=3)))
    torch.testing.assert_close(directions, u[:3])
    single = data.to(torch.float32)
    assert single.directions.dtype == torch.float32 and data.directions.dtype == DOUBLE
    given = u.clone()
    kept = SobolevData(x, two_outputs(x), data.products, directions=given)
    given.zero_()
    torch.testing.assert_close(kept.directions, u)


@pytest.mark.parametrize("order", [1, 2])
def test_z_scores_are_the_slopes_of_the_z_scored_function(order):
    x = points(30, 3) * torch.tensor([1e-3, 1.0, 50.0], dtype=DOUBLE) + 2
    u = points(30, 2, 3, seed=1)
    u[4, 1] = 0
    data = label(two_outputs, x, order, directions=u)
    scores = sl.scaling.ZScores.of(data)
    z = scores.standardize(data)
    assert data.products[4, :, 1].isnan().all() and z.products[4, :, 1].isnan().all() and not z.directions[4, 1].any()
    of_z = lambda t: (two_outputs(scores.input_mean + scores.input_std * t) - scores.output_mean) / scores.output_std
    expected = label(of_z, z.inputs, order, directions=z.directions)
    torch.testing.assert_close(z.products, expected.products, equal_nan=True, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(z.directions.norm(dim=2), u.norm(dim=2))      # each keeps its length
    torch.testing.assert_close(scores.standardize(label(two_outputs, x, directions=unit_vectors(x))).products,
                               scores.standardize(label(two_outputs, x)).jacobian)


@pytest.mark.parametrize("change, error, message", [
    (dict(directions=points(6, 2, 2)), ValueError, r"directions: expected shape \(6, k, 3\)"),
    (dict(directions=points(6, 3)), ValueError, r"directions: expected shape \(6, k, 3\)"),
    (dict(directions=points(5, 2, 3)), ValueError, "directions: expected shape"),
    (dict(directions=points(6, 0, 3)), ValueError, "k >= 1"),
    (dict(directions=points(6, 1, 3)), ValueError, r"jacobian: expected shape \(6, 1\)"),
    (dict(jacobian=points(6, 3)), ValueError, r"jacobian: expected shape \(6, 2\)"),
    (dict(jacobian=None), ValueError, "directions: expected derivative labels"),
    (dict(hessian=points(6, 3, 3)), ValueError, r"jacobian: expected shape \(6, 3\)"),
    (dict(directions=points(6, 2, 3).float()), TypeError, "directions: expected torch.float64"),
    (dict(directions=points(6, 2, 3) / 0), ValueError, "directions: expected finite"),
    (dict(directions=points(6, 2, 3) * torch.tensor([[[1.0], [0.0]]])), ValueError, "zero where there is a label.* got 6"),
    (dict(directions="up"), TypeError, "directions: expected a tensor"),
])
def test_directions_that_do_not_fit_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        SobolevData(**dict(inputs=points(6, 3), values=points(6), jacobian=points(6, 2), directions=points(6, 2, 3, seed=3))
                    | change)


# --- the loss ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("out", [1, 2])
def test_the_term_is_the_squared_error_of_each_label(out, missing):
    x, u = points(5, 3), points(5, 2, 3, seed=1)
    f = two_outputs if out == 2 else lambda x: two_outputs(x)[:, 0]
    data, model = label(f, x, directions=u), mlp(3, out)
    products = data.products.clone()
    if missing:
        products[0, ..., 1] = torch.nan
        products[3] = torch.nan
        data = SobolevData(x, data.values, products, directions=u)
    _, term = SobolevLoss(1).terms(model, data)
    _, jacobian = reference.derivatives(model, x, 1)
    total = 0.0
    for i in range(5):
        for j in range(out):
            for k in range(2):
                wanted = products.reshape(5, out, 2)[i, j, k]
                if not wanted.isnan():
                    total = total + (sum(jacobian[i, j, e] * u[i, k, e] for e in range(3)) - wanted) ** 2 / 5
    torch.testing.assert_close(term, total)
    torch.testing.assert_close(reference.gradients(term, model), reference.gradients(total, model))
    twice = SobolevData(x, data.values, 2 * data.products, directions=2 * u)
    torch.testing.assert_close(SobolevLoss(1).terms(model, twice)[1], 4 * term)


@pytest.mark.parametrize("options", [{}, {"normalize": True}, {"derivative_loss": "huber"}, {"derivative_loss": "norm"}])
@pytest.mark.parametrize("order", [1, 2])
def test_unit_vectors_are_the_whole_derivative(order, options):
    x = points(7, 3)
    whole, units = label(two_outputs, x, order), label(two_outputs, x, order, directions=unit_vectors(x))
    model, loss = mlp(3, 2), SobolevLoss(order, **options)
    torch.testing.assert_close(loss.terms(model, whole), loss.terms(model, units))


@pytest.mark.parametrize("distribution", ["sphere", "rademacher", "gaussian"])
def test_the_mean_over_random_directions_is_the_whole_loss(distribution):
    x, model = points(1, 3), mlp(3, 2)
    whole = SobolevLoss(1).terms(model, label(two_outputs, x))[1]
    many = x.expand(40_000, 3)
    u = sl.random_directions(many, 1, distribution, generator=generator(1))
    mean = SobolevLoss(1).terms(model, label(two_outputs, many, directions=u))[1]
    torch.testing.assert_close(mean, whole, rtol=0.03, atol=0)


def test_both_kinds_of_points_go_into_one_table():
    """Whole Jacobians at three points, one direction at four others."""
    x, u = points(7, 3), points(7, 1, 3, seed=1)
    whole, along, model = label(two_outputs, x[:3]), label(two_outputs, x[3:], directions=u[3:]), mlp(3, 2)
    directions, products = torch.zeros(7, 3, 3, dtype=DOUBLE), torch.full((7, 2, 3), torch.nan, dtype=DOUBLE)
    directions[:3], products[:3] = unit_vectors(x[:3]), whole.jacobian
    directions[3:, :1], products[3:, :, :1] = u[3:], along.products
    both = SobolevData(x, two_outputs(x), products, directions=directions)
    terms = [SobolevLoss(1).terms(model, data)[1] for data in (both, whole, along)]
    torch.testing.assert_close(7 * terms[0], 3 * terms[1] + 4 * terms[2])


def test_weights_of_points_and_of_entries_apply():
    x, u = points(5, 3), points(5, 2, 3, seed=1)
    data, model = label(two_outputs, x, directions=u), mlp(3, 2)
    weighted = SobolevData(*data.tensors, directions=u, weights=torch.tensor([2.0, 0, 0, 0, 0], dtype=DOUBLE))
    assert weighted.extras == ("weights", "directions")
    one = SobolevLoss(1).terms(model, data[:1])
    torch.testing.assert_close(SobolevLoss(1).terms(model, weighted), tuple(2 * term / 5 for term in one))
    first = EntryWeights(torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(SobolevLoss(1, derivative_loss=first).terms(model, data)[1],
                               SobolevLoss(1).terms(model, label(two_outputs, x, directions=u[:, :1]))[1])
    with pytest.raises(ValueError, match=r"weights: expected a point's labels' shape, \(2, 2\), got \(3,\)"):
        SobolevLoss(1, derivative_loss=EntryWeights(torch.ones(3))).terms(model, data)


def test_a_piecewise_linear_model_is_refused_for_second_products():
    data = label(F, points(5, 2), order=2, directions=points(5, 1, 2, seed=1))
    with pytest.raises(ValueError, match="piecewise linear"):
        SobolevLoss(2)(mlp(activation="relu"), data)


def test_who_can_not_take_directions_says_so():
    data = label(F, points(12, 2), directions=points(12, 1, 2, seed=1))
    with pytest.raises(ValueError, match="got directions, too; SobolevLoss"):
        sl.StochasticSobolevLoss()(mlp(), data)
    with pytest.raises(ValueError, match="got directions, too; SobolevLoss"):
        sl.StochasticSobolevLoss()(mlp(), data.inputs, data)
    with pytest.raises(ValueError, match="along directions; check_labels"):
        sl.check_labels(data)
    with pytest.raises(ValueError, match="labels up to the hessian"):
        sl.fit(mlp(), data, loss=SobolevLoss(2), steps=1, progress=False)
    assert sl.check_labels(label(F, points(40, 2), order=2, directions=points(40, 1, 2, seed=1))).ok   # it has a Jacobian


# --- training ---------------------------------------------------------------------------------------------------

def sets(order=1, k=1, count=24):
    x = points(count, 2) * 3
    data = label(F, x, order, directions=sl.random_directions(x, k, generator=generator(5)))
    products = data.products.clone()
    products[::5] = torch.nan
    return SobolevData(*data.tensors[:-1], products, directions=data.directions)


@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize("kind, order, k", [*[(kind, 1, k) for kind, k in (("relu", 1), ("tanh", 3), ("open", 1))],
                                            *[pytest.param(kind, 1, k, marks=pytest.mark.slow)
                                              for kind, k in (("relu", 3), ("tanh", 1), ("open", 3))],
                                            ("tanh", 2, 1), ("open", 2, 1)])
def test_fit_and_fit_many_train_as_a_loop_of_ones_own(kind, order, k, batch_size):
    data, loss = sets(order, k), SobolevLoss(order, weights=(1.0, 0.5, 0.1)[:order + 1], normalize=True)
    make = lambda seed: mlp(activation="tanh" if kind == "open" else kind, seed=seed)
    if kind == "open":
        inner, make = make, lambda seed: nn.Sequential(inner(seed), nn.Mish())
    how = dict(steps=8, batch_size=batch_size, lr=1e-2, progress=False)
    alone = [make(seed) for seed in (0, 1)]
    histories = [sl.fit(model, data, loss=loss, seed=seed, **how) for seed, model in enumerate(alone)]
    many = [make(seed) for seed in (0, 1)]
    together = sl.fit_many(many, data, loss=loss, seed=[0, 1], **how)
    for a, b, one, two in zip(histories, together, alone, many):
        assert a.train.keys() == b.train.keys()
        for name in a.train:
            np.testing.assert_allclose(a.train[name], b.train[name], rtol=1e-6)
        for p, q in zip(one.parameters(), two.parameters()):
            torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-9)
    if batch_size is None:                                 # a loop of one's own, by autograd through the reference
        model, divisors = make(0), data.mean_squares(order)
        adam = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(8):
            adam.zero_grad()
            *lower, highest = reference.derivatives(model, data.inputs, order)
            products = torch.einsum("nmi...,nki->nmk...", highest, data.directions)
            total = 0.0
            for found, labels, weight, square in zip([*lower, products], data.derivatives, loss.weights, divisors):
                gap = found.reshape(labels.shape) - labels
                total = total + weight * torch.where(labels.isnan(), 0.0, gap).square().sum() / len(data) / square
            total.backward()
            adam.step()
        for p, q in zip(alone[0].parameters(), model.parameters()):
            torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("trainer", ["fit", "fit_many"])
def test_a_standardized_model_learns_from_directions_as_from_the_whole(trainer):
    x = points(30, 2) * 5
    whole, units = label(F, x), label(F, x, directions=unit_vectors(x))
    found = []
    for data in (whole, units):
        model = sl.Standardized(mlp(), data)
        how = dict(loss=SobolevLoss(1, normalize=True), steps=20, lr=1e-2, batch_size=8, progress=False)
        sl.fit(model, data, **how) if trainer == "fit" else sl.fit_many([model], data, **how)
        found.append(sl.errors(model, whole))
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_one_direction_a_point_teaches_slopes():
    x = sl.functions.booth.sample(60, generator=generator()).to(DOUBLE)
    u = sl.random_directions(x, generator=generator(1))
    data, test = label(sl.functions.booth, x, directions=u), label(sl.functions.booth, points(200, 2, seed=9) * 10)
    slopes = []
    for weight in (0.0, 1.0):
        model = sl.Standardized(mlp(), data)
        sl.fit(model, data, loss=SobolevLoss(1, weights=(1.0, weight), normalize=True), steps=400, lr=1e-2, progress=False)
        slopes.append(sl.errors(model, test)["jacobian_mse"])
    assert slopes[1] < slopes[0] / 2


def test_validation_along_directions_has_a_name_of_its_own():
    data, model = sets(), mlp()
    history = sl.fit(model, data, steps=4, validation=data, metric="jacobian_product_mse", patience=3, progress=False)
    assert set(history.validation) == {"loss", "value_mse", "jacobian_product_mse"}
    with pytest.raises(ValueError, match="expected one of loss, value_mse, jacobian_product_mse, got 'jacobian_mse'"):
        sl.fit(mlp(), data, steps=4, validation=data, metric="jacobian_mse", progress=False)
    whole = label(F, data.inputs)                          # other data may have whole Jacobians
    assert "jacobian_mse" in sl.fit(mlp(), data, steps=2, validation=whole, progress=False).validation


@pytest.mark.parametrize("trainer", ["fit", "fit_many"])
def test_a_checkpoint_knows_its_directions(trainer, tmp_path):
    path, data = tmp_path / "run.safetensors", sets()

    def train(source, steps=6):
        model = mlp()
        how = dict(steps=steps, evaluate_every=2, checkpoint=path, progress=False)
        if trainer == "fit":
            sl.fit(model, source, **how)
        else:
            sl.fit_many([model], source, **how)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    torch.testing.assert_close(train(data), train(data), rtol=0, atol=0)      # taken up at its end
    turned = SobolevData(*data.tensors, directions=-data.directions)
    with pytest.raises(ValueError, match=r"another run \(data differ"):
        train(turned)


def test_fit_many_wants_the_same_of_all():
    data = sets()
    weighted = SobolevData(*data.tensors, directions=data.directions, weights=torch.ones(24, dtype=DOUBLE))
    with pytest.raises(ValueError, match="data: expected"):
        sl.fit_many([mlp(), mlp(seed=1)], [data, weighted], steps=2, progress=False)


# --- errors -----------------------------------------------------------------------------------------------------

def test_errors_along_directions():
    x, u = points(9, 3), points(9, 2, 3, seed=1)
    data, model = label(two_outputs, x, directions=u), mlp(3, 2)
    found, each = sl.errors(model, data), sl.errors(model, data, per_output=True)
    gaps = torch.einsum("nmi,nki->nmk", reference.derivatives(model, x, 1)[1], u) - data.products
    assert list(found) == ["value_mse", "jacobian_product_mse"]
    assert found["jacobian_product_mse"] == pytest.approx(float(gaps.detach().square().mean(0).sum()))
    np.testing.assert_allclose(each["jacobian_product_mse"], gaps.detach().square().mean(0).sum(1).numpy())
    second = label(two_outputs, x, order=2, directions=u)
    assert list(sl.errors(model, second)) == ["value_mse", "jacobian_mse", "hessian_product_mse"]


# --- asking for them --------------------------------------------------------------------------------------------

class BlackBox:
    def __init__(self, f):
        self.f, self.calls, self.rows = f, 0, 0

    def __call__(self, x):
        self.calls, self.rows = self.calls + 1, self.rows + len(x)
        return self.f(x.detach()).numpy()


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("method, rows", [("forward-difference", 1), ("finite-difference", 2)])
def test_a_black_box_is_asked_few_times(method, rows, k):
    x, box = points(8, 3), BlackBox(two_outputs)
    data = label(box, x, method=method, directions=points(8, k, 3, seed=1))
    assert (box.calls, box.rows) == (1, 8 * (1 + k * rows)) and data.products.shape == (8, 2, k)
    exact = label(two_outputs, x, directions=data.directions).products
    torch.testing.assert_close(data.products, exact, rtol=0, atol=1e-9 if rows == 2 else 1e-6)
    whole = BlackBox(two_outputs)
    found = label(whole, x, method=method)
    assert whole.rows == 8 * (1 + 3 * rows) and found.directions is None
    torch.testing.assert_close(found.jacobian, label(two_outputs, x).jacobian, rtol=0, atol=1e-9 if rows == 2 else 1e-6)


@pytest.mark.parametrize("shape", [(), (2, 2)], ids=str)
@pytest.mark.parametrize("method", ["autodiff", "finite-difference", "forward-difference"])
def test_inputs_of_any_shape_and_size(method, shape):
    x = points(6, *shape) * 1000
    f = lambda x: (x / 100).sin().flatten(1).sum(1) if x.ndim > 1 else (x / 100).sin()
    data = label(f, x, method=method, directions=sl.random_directions(x, 2, generator=generator(3)))
    expected = ((x / 100).cos().unsqueeze(1) / 100 * data.directions).reshape(6, 2, -1).sum(2)
    torch.testing.assert_close(data.products, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("step", [0.5, 1e-3])
@pytest.mark.parametrize("method", ["finite-difference", "forward-difference"])
def test_the_direction_is_the_one_that_could_be_made(method, step):
    """In single precision points move by other amounts than they should; a linear function's slopes are exact all the same."""
    x = points(50, 3).float() * 100
    slope = torch.tensor([1.0, -2.0, 0.5])
    data = label(lambda x: (x.double() @ slope.double()).numpy(), x, method=method, step=step,
                 directions=sl.random_directions(x, 2, generator=generator(3)))
    wanted = (data.directions.double() @ slope.double()).float()
    torch.testing.assert_close(data.products, wanted, rtol=1e-4, atol=2e-4 / step * 0.1)


def test_quadratics_have_exact_central_differences():
    x, u = points(6, 3), points(6, 2, 3, seed=1)
    data = label(lambda x: x.square().sum(1), x, method="finite-difference", step=0.3, directions=u)
    torch.testing.assert_close(data.products, 2 * torch.einsum("ni,nki->nk", x, u))


@pytest.mark.parametrize("method", ["autodiff", "finite-difference", "forward-difference"])
def test_a_direction_of_zeros_gets_no_label(method):
    x, u = points(6, 3), points(6, 2, 3, seed=1)
    u[2, 1] = 0
    data = label(two_outputs, x, method=method, directions=u)
    assert data.products[2, :, 1].isnan().all() and data.products.isnan().sum() == 2


@pytest.mark.parametrize("call, error, message", [
    (lambda x: label(F, x, order=0, directions=points(5, 1, 2)), ValueError, "order 1 or more"),
    (lambda x: label(F, x, directions=points(5, 2)), ValueError, "directions: expected shape"),
    (lambda x: label(F, x, directions=points(5, 1, 2).float()), TypeError, "directions: expected torch.float64"),
    (lambda x: label(F, x, 2, method="finite-difference", directions=points(5, 1, 2)), ValueError, "up to order 1"),
    (lambda x: label(F, x, 2, method="forward-difference"), ValueError, "up to order 1"),
    (lambda x: label(F, x, method="backward"), ValueError, "method: expected one of 'autodiff'"),
    (lambda x: label(F, x, method="forward-difference", step=1e-20), ValueError, "step: expected one that moves"),
    (lambda x: label(F, x, method="forward-difference", step=-1), ValueError, "step"),
    (lambda x: label(F, x, step=0.1, directions=points(5, 1, 2)), ValueError, "step: only for"),
    (lambda x: sl.random_directions(x, 0), ValueError, "count"),
    (lambda x: sl.random_directions(x, 1, "cube"), ValueError, "distribution: expected one of sphere"),
    (lambda x: sl.random_directions([1.0]), TypeError, "x: expected a floating-point tensor"),
    (lambda x: sl.random_directions(x.long()), TypeError, "x: expected a floating-point tensor"),
])
def test_bad_questions(call, error, message):
    with pytest.raises(error, match=message):
        call(points(5, 2))


def test_a_seed_draws_the_same_directions():
    x = points(5, 4)
    one, two = [sl.random_directions(x, 3, generator=generator(7)) for _ in range(2)]
    assert torch.equal(one, two) and one.shape == (5, 3, 4)
    assert not torch.equal(one[:, 0], one[:, 1])
    torch.testing.assert_close(one.norm(dim=2), torch.full((5, 3), 2.0, dtype=DOUBLE))
    assert set(sl.random_directions(x, 9, "rademacher").unique().tolist()) == {-1.0, 1.0}
