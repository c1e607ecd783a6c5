"""Known noise of labels: each entry counts by its inverse variance, in the labels' units, in every trainer."""
import numpy as np
import pytest
import reference
import torch
from torch import nn

import sobolev_lib as sl
from sobolev_lib import SobolevData, SobolevLoss, label

DOUBLE = torch.float64


def points(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE) * 2 - 1


def levels(*shape, seed=0):
    return points(*shape, seed=seed).abs() + 0.1


def f(x):
    return torch.stack([x[:, 0] * x[:, 1], x[:, 0].sin()], 1)


def noisy(order=1, count=12, along=False, missing=False, weights=None):
    x = points(count, 2)
    data = label(f, x, order, directions=points(count, 3, 2, seed=4) if along else None)
    labels = [each.clone() for each in data.derivatives]
    if missing:
        labels[1][::3] = torch.nan
    return SobolevData(x, *labels, directions=data.directions, weights=weights,
                       noise=[levels(*each.shape, seed=7 + k) for k, each in enumerate(labels)])


def mlp(activation="tanh", seed=0, m=2):
    return sl.models.MLP(2, 12, 9, m, activation=activation, generator=torch.Generator().manual_seed(seed)).to(DOUBLE)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("along", [False, True])
@pytest.mark.parametrize("order", [1, 2])
def test_each_squared_error_is_divided_by_its_variance(order, along, missing):
    data, model = noisy(order, along=along, missing=missing), mlp()
    terms = SobolevLoss(order).terms(model, data)
    found = reference.derivatives(model, data.inputs, order)
    if along:
        found[-1] = torch.einsum("nmi...,nki->nmk...", found[-1], data.directions)
    expected = [torch.where(labels.isnan(), 0.0, (prediction - labels) / sigma).square().sum() / len(data)
                for prediction, labels, sigma in zip(found, data.derivatives, data.noise, strict=True)]
    torch.testing.assert_close(list(terms), expected)
    torch.testing.assert_close(*[reference.gradients(sum(each[1:], 3 * each[0]), model) for each in (terms, expected)])


def test_one_number_stands_for_all_entries():
    data, model = label(f, points(6, 2)), mlp()
    plain = SobolevLoss(1).terms(model, data)
    divided = SobolevLoss(1).terms(model, SobolevData(*data.tensors, noise=(0.5, 2)))
    torch.testing.assert_close(divided, (4 * plain[0], plain[1] / 4))
    for loss in ("l1", "norm"):
        one, two = [SobolevLoss(1, value_loss=loss, derivative_loss=loss).terms(model, each)
                    for each in (data, SobolevData(*data.tensors, noise=(0.5, 2)))]
        torch.testing.assert_close(two, (2 * one[0], one[1] / 2))


def test_it_is_maximum_likelihood():
    """A straight line through noisy values and slopes: the loss is least where weighted least squares has its solution."""
    x = points(30, 1)
    sigma, tau = levels(30, seed=1), levels(30, 1, seed=2)
    y, dy = 2 * x[:, 0] + 1 + points(30, seed=3), 2 + points(30, 1, seed=4)
    model = nn.Linear(1, 1).to(DOUBLE)
    data = SobolevData(x, y, dy, noise=(sigma, tau))
    rows = np.concatenate([np.stack([x[:, 0], np.ones(30)], 1) / sigma.numpy()[:, None],
                           np.stack([np.ones(30), np.zeros(30)], 1) / tau.numpy()])
    solution, *_ = np.linalg.lstsq(rows, np.concatenate([y / sigma, (dy / tau)[:, 0]]), rcond=None)
    with torch.no_grad():
        model.weight.fill_(solution[0]), model.bias.fill_(solution[1])
    gradient = reference.gradients(SobolevLoss(1)(model, data), model)
    assert gradient.abs().max() < 1e-12


def test_labels_as_noisy_as_told_give_a_term_near_their_number():
    x = points(4000, 2)
    exact = label(f, x)
    sigma = [levels(*each.shape, seed=k) for k, each in enumerate(exact.derivatives)]
    draw = torch.Generator().manual_seed(5)
    labels = [each + s * torch.randn(each.shape, generator=draw, dtype=DOUBLE) for each, s in zip(exact.derivatives, sigma)]
    value, slope = SobolevLoss(1).terms(f, SobolevData(x, *labels, noise=sigma))
    assert float(value) == pytest.approx(2, rel=0.05) and float(slope) == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("batch_size", [None, 5])
@pytest.mark.parametrize("along", [False, True])
@pytest.mark.parametrize("kind", ["relu", "tanh", "open", "standardized"])
def test_every_trainer_weighs_alike(kind, along, batch_size):
    data = noisy(along=along, missing=True, weights=levels(12, seed=9))
    assert data.extras == (("weights", "directions", "noise") if along else ("weights", "noise"))

    def make(seed):
        if kind == "open":
            return nn.Sequential(mlp(seed=seed), nn.Mish())
        net = mlp("relu" if kind == "relu" else "tanh", seed)
        return sl.Standardized(net, data) if kind == "standardized" else net

    how = dict(loss=SobolevLoss(1, weights=(1.0, 0.3)), steps=10, batch_size=batch_size, lr=1e-2, progress=False)
    alone, many = [make(seed) for seed in (0, 1)], [make(seed) for seed in (0, 1)]
    one = [sl.fit(model, data, seed=seed, **how) for seed, model in enumerate(alone)]
    two = sl.fit_many(many, data, seed=[0, 1], **how)
    for a, b in zip(one, two):
        np.testing.assert_allclose(a.train["loss"], b.train["loss"], rtol=1e-6)
    if batch_size is None:                                 # a loop of one's own
        own = make(0)
        adam = torch.optim.Adam(own.parameters(), lr=1e-2)
        for _ in range(10):
            adam.zero_grad()
            SobolevLoss(1, weights=(1.0, 0.3))(own, data).backward()     # in original units, in which noise is the unit
            adam.step()
        for p, q in zip(alone[0].parameters(), own.parameters()):
            torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("along", [False, True])
def test_units_do_not_matter(along):
    """In other units of inputs and outputs, and in z-scores, the same loss."""
    data = noisy(2, along=along)
    scores = sl.scaling.ZScores.of(data)
    model = sl.Standardized(mlp(), scores)
    inner = SobolevLoss(2).terms(model.model, scores.standardize(data))
    torch.testing.assert_close(SobolevLoss(2).terms(model, data), inner)


def test_noise_stays_with_its_points():
    data = noisy(2)
    part = data[[3, 1]]
    for k in range(3):
        torch.testing.assert_close(part.noise[k], data.noise[k][[3, 1]])
    assert len(data.up_to(1).noise) == 2 and data.up_to(1).extras == ("noise",) and "noise known" in repr(data)
    assert data.to(torch.float32).noise[2].dtype == torch.float32
    assert len(data[0]) == 4
    plain = SobolevData(*data.tensors)
    assert sl.errors(mlp(), data) == sl.errors(mlp(), plain)                # what an error is does not depend on it


def test_what_has_no_label_needs_no_noise():
    x, jacobian = points(4, 2), points(4, 2, 2)
    jacobian[1] = torch.nan
    sigma = jacobian.abs()                                 # NaN there, too
    data = SobolevData(x, f(x), jacobian, noise=(1.0, sigma))
    assert data.noise[1].isfinite().all() and SobolevLoss(1)(mlp(), data).isfinite()


@pytest.mark.parametrize("trainer", ["fit", "fit_many"])
def test_a_checkpoint_knows_the_noise(trainer, tmp_path):
    path, data = tmp_path / "run.safetensors", noisy()

    def train(source):
        how = dict(steps=4, evaluate_every=2, checkpoint=path, progress=False)
        sl.fit(mlp(), source, **how) if trainer == "fit" else sl.fit_many([mlp()], source, **how)

    train(data), train(data)
    with pytest.raises(ValueError, match=r"another run \(data differ"):
        train(SobolevData(*data.tensors, noise=[2 * each for each in data.noise]))


@pytest.mark.parametrize("noise, error, message", [
    (0.1, ValueError, "noise: expected 2 standard deviations or tables"),
    ((0.1,), ValueError, "one an order, got 1"),
    ((0.1, 0.1, 0.1), ValueError, "one an order, got 3"),
    ((0.1, 0.0), ValueError, "noise of jacobian: expected finite standard deviations above zero, got 12 others"),
    ((-0.1, 1.0), ValueError, "noise of values: expected finite"),
    ((0.1, float("inf")), ValueError, "noise of jacobian"),
    ((0.1, float("nan")), ValueError, "noise of jacobian"),
    ((levels(3), 1.0), ValueError, r"noise of values: expected a number or shape \(3, 2\) as the labels have, got \(3,\)"),
    ((1.0, levels(3, 2)), ValueError, r"noise of jacobian: expected a number or shape \(3, 2, 2\)"),
    ((levels(3, 2).float(), 1.0), TypeError, "noise of values: expected torch.float64"),
    (("low", 1.0), TypeError, "noise of values: expected"),
    ((None, 1.0), TypeError, "noise of values: expected a tensor, got None"),
    ((True, 1.0), TypeError, "noise of values"),
])
def test_noise_that_does_not_fit_is_refused(noise, error, message):
    x = points(3, 2)
    with pytest.raises(error, match=message):
        SobolevData(x, f(x), points(3, 2, 2), noise=noise)


def test_losses_that_can_not_take_noise_say_so():
    data = noisy()
    with pytest.raises(ValueError, match="normalize: expected False for data with noise"):       # before the first step
        sl.fit(mlp(), SobolevData(*data.tensors), loss=SobolevLoss(1, normalize=True), validation=data, steps=10**9)
    for normalize in (True, (1.0, 2.0)):
        with pytest.raises(ValueError, match="normalize: expected False for data with noise"):
            sl.fit(mlp(), data, loss=SobolevLoss(1, normalize=normalize), steps=1, progress=False)
        with pytest.raises(ValueError, match="normalize: expected False for data with noise"):
            sl.fit_many([mlp()], data, loss=SobolevLoss(1, normalize=normalize), steps=1, progress=False)
    with pytest.raises(ValueError, match="noise: expected losses of differences"):
        SobolevLoss(1, value_loss="kl")(mlp(), data)
    with pytest.raises(ValueError, match="got noise, too; SobolevLoss"):
        sl.StochasticSobolevLoss()(mlp(), data)
    with pytest.raises(ValueError, match="got noise, too; SobolevLoss"):
        sl.StochasticSobolevLoss()(mlp(), data.inputs, data)
