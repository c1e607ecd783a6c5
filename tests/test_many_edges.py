"""What fit_many must refuse or do as fit does, however unusual the networks, losses and callbacks are."""
import pytest
import torch
from torch import nn

import sobolev_lib as sl
from sobolev_lib.training import runs


def net(seed=0, *sizes, activation="tanh"):
    return sl.models.MLP(*(sizes or (2, 8, 1)), activation=activation, generator=torch.Generator().manual_seed(seed))


X = torch.rand(20, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
DATA = sl.label(lambda z: (3 * z[:, 0]).sin() * z[:, 1] + z[:, 1], X)
LOSS = sl.SobolevLoss(1)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def shared_trunk():
    trunk = nn.Linear(2, 8)
    return [nn.Sequential(trunk, nn.Tanh(), nn.Linear(8, 1)) for _ in range(2)]


@pytest.mark.parametrize("models", [lambda: [net()] * 2, shared_trunk,
                                    lambda: (lambda inner: [sl.Standardized(inner, DATA) for _ in range(2)])(net())])
def test_networks_that_share_parameters_are_refused(models):
    with pytest.raises(ValueError, match="expected a network of its own for each, got parameters that numbers 0 and 1 share"):
        sl.fit_many(models(), DATA, steps=2, progress=False)


@pytest.mark.parametrize("train", [sl.fit, lambda model, data, **more: sl.fit_many([model], data, **more)])
def test_lazy_layers_are_refused(train):
    with pytest.raises(ValueError, match="expected layers that know their sizes, got lazy ones"):
        train(nn.Sequential(nn.LazyLinear(8), nn.Tanh(), nn.LazyLinear(1)), DATA, steps=2, progress=False)


def test_losses_whose_modules_hold_other_numbers_are_told_apart():
    labels = sl.SobolevData(X, (DATA.values > 0).float()[:, None])
    losses = [sl.SobolevLoss(0, value_loss=nn.BCEWithLogitsLoss(pos_weight=torch.tensor([w]))) for w in (1.0, 30.0)]
    with pytest.raises(ValueError, match="losses that differ in weights and divisors only"):
        sl.fit_many([net(), net()], labels, loss=losses, steps=2, progress=False)


def test_a_checkpoint_belongs_to_the_numbers_in_a_loss_and_in_a_teacher(tmp_path):
    labels = sl.SobolevData(X, (DATA.values > 0).float()[:, None])

    def with_loss(weight, path):
        loss = sl.SobolevLoss(0, value_loss=nn.BCEWithLogitsLoss(pos_weight=torch.tensor([weight])))
        sl.fit(net(), labels, loss=loss, steps=4, progress=False, checkpoint=path)

    def with_teacher(seed, path):
        sl.fit(net(), sl.Teacher(net(seed, 2, 4, 1).forward, X), steps=4, progress=False, checkpoint=path)

    for call, one, other in ((with_loss, 1.0, 30.0), (with_teacher, 1, 2)):
        path = tmp_path / call.__name__
        call(one, path)
        call(one, path)
        with pytest.raises(ValueError, match="checkpoint"):
            call(other, path)


class Based(nn.Module):
    """A frozen network in a plain list, which PyTorch doesn't see."""

    def __init__(self, seed):
        super().__init__()
        self.own, self.base = net(), [net(seed, 2, 4, 1)]

    def forward(self, x):
        return self.own(x) + self.base[0](x)


def test_networks_on_other_bases_are_not_alike():
    with pytest.raises(ValueError, match="models: expected one architecture with the same constants"):
        sl.fit_many([Based(1), Based(2)], DATA, steps=2, progress=False)


@pytest.mark.parametrize("change", [lambda model: model.__setitem__(2, nn.Linear(8, 1)),
                                    lambda model: model.__setitem__(1, nn.Sigmoid())], ids=["layer", "activation"])
def test_fit_goes_on_with_the_layers_that_on_step_puts_in(change):
    model = net()
    history = sl.fit(model, DATA, loss=LOSS, steps=40, lr=1e-2, report=[10], on_step=lambda step, own: change(own),
                     evaluate_every=1, progress=False)
    assert history.path == "closed form" and history.train["loss"][-1] == pytest.approx(float(LOSS(model, DATA).detach()), rel=0.1)


def clipped(step, models):
    with torch.no_grad():
        for model in models if isinstance(models, list) else [models]:
            for parameter in model.parameters():
                parameter.clamp_(-0.3, 0.3)


def test_what_on_step_does_to_weights_counts():
    one, other = net(), net()
    sl.fit(one, DATA, steps=50, lr=0.1, on_step=clipped, progress=False)
    sl.fit_many([other], DATA, steps=50, lr=0.1, on_step=clipped, progress=False)
    assert weights(other).abs().max() <= 0.3 + 1e-6
    torch.testing.assert_close(weights(one), weights(other), rtol=1e-3, atol=1e-3)


@pytest.mark.filterwarnings("ignore:fit_many. the losses of networks .1. are no longer finite")
def test_a_network_that_diverges_between_a_step_and_its_validation_stops_alone():
    models = [net(k, 2, 8, 8, 1, activation="relu") for k in (0, 1)]
    good, _ = sl.fit_many(models, DATA, lr=[1e-3, 1e30], steps=20, evaluate_every=1, validation=DATA, patience=5, progress=False)
    assert good.steps[-1] == 20
    with pytest.raises(FloatingPointError, match="no longer finite"):
        sl.fit(net(1, 2, 8, 8, 1, activation="relu"), DATA, lr=1e30, steps=20, evaluate_every=1, validation=DATA, progress=False)


class Decay(torch.optim.lr_scheduler.LRScheduler):
    """Weight decay in the first ten steps only."""

    def get_lr(self):
        for group in self.optimizer.param_groups:
            group["weight_decay"] = 0.5 if self.last_epoch < 10 else 0.0
        return list(self.base_lrs)


def tied():
    model = net(0, 2, 8, 8, 1)
    model[2].bias = model[0].bias
    return model


@pytest.mark.parametrize("make, more", [(net, {"scheduler": Decay}), (tied, {})], ids=["weight decay", "tied biases"])
def test_the_same_network_comes_of_fit_and_fit_many(make, more):
    one, other = make(), make()
    sl.fit(one, DATA, steps=60, lr=1e-2, progress=False, **more)
    sl.fit_many([other], DATA, steps=60, lr=1e-2, progress=False, **more)
    torch.testing.assert_close(weights(one), weights(other), rtol=1e-3, atol=1e-4)


def partly_missing():
    values = torch.rand(20, 3)
    values[:5, 1] = float("nan")
    return net(0, 2, 8, 3), sl.SobolevData(X, values, torch.rand(20, 3, 2)), sl.SobolevLoss(1, value_loss="kl")


@pytest.mark.parametrize("case", [
    lambda: (net(activation="relu"), sl.label(sl.functions.booth, X, order=2), sl.SobolevLoss(2)), partly_missing])
def test_what_fit_refuses_fit_many_refuses(case):
    model, data, loss = case()
    with pytest.raises(ValueError) as alone:
        sl.fit(model, data, loss=loss, steps=2, progress=False)
    with pytest.raises(ValueError) as many:
        sl.fit_many([model], data, loss=loss, steps=2, progress=False)
    assert str(many.value) == str(alone.value)


def test_a_checkpoint_of_an_optimiser_that_trains_more_than_the_model_is_refused(tmp_path):
    model, other = net(), nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.Adam([*model.parameters(), other])
    sl.fit(model, DATA, optimizer=optimizer, steps=2, progress=False)
    with pytest.raises(ValueError, match="got 1 others in it, which a checkpoint would not keep"):
        sl.fit(model, DATA, optimizer=optimizer, steps=2, progress=False, checkpoint=tmp_path / "c")


def test_a_teacher_that_draws_draws_from_the_seed_when_it_is_asked_for_its_scale():
    teacher = sl.Teacher(nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 1)), X)
    loss, before = sl.SobolevLoss(1, normalize=True), torch.get_rng_state()
    losses = [sl.fit(net(), teacher, loss=loss, steps=3, progress=False).train["loss"][-1] for _ in range(2)]
    assert losses[0] == losses[1] and torch.equal(torch.get_rng_state(), before)


def test_the_regressor_takes_missing_values_in_series_too():
    pandas = pytest.importorskip("pandas")
    values = DATA.values.double().numpy().copy()
    values[3] = float("nan")
    fitted = [sl.SobolevRegressor(hidden=8, steps=5, random_state=0).fit(X.double().numpy(), y, DATA.jacobian.double().numpy())
              for y in (values, pandas.Series(values), list(values))]
    assert all((each.predict(X.numpy()) == fitted[0].predict(X.numpy())).all() for each in fitted)


def test_a_checkpoint_that_another_run_has_begun_to_write_stays(tmp_path):
    path, kept = tmp_path / "c", []
    settings = {"steps": 20, "evaluate_every": 5, "checkpoint": path, "progress": False}

    def meanwhile(step, model):
        sl.fit(net(1), DATA, seed=1, **settings)
        kept.append(path.read_bytes())

    with pytest.raises(ValueError, match="belongs to another run"):
        sl.fit(net(0), DATA, seed=0, on_step=meanwhile, report=[2], **settings)
    assert path.read_bytes() == kept[0]


@pytest.mark.parametrize("scale", [1e-24, 1e22])
def test_labels_whose_squares_leave_the_range_are_refused_where_they_are_to_be_normalised(scale):
    data = sl.SobolevData(X, DATA.values * scale, DATA.jacobian * scale)
    with pytest.raises(ValueError, match="normalize: expected values whose squares torch.float32 can hold"):
        sl.fit(net(), data, loss=sl.SobolevLoss(1, normalize=True), steps=2, progress=False)
    sl.fit(sl.Standardized(net(), data), data, loss=sl.SobolevLoss(1, normalize=True), steps=2, progress=False)


def test_one_point_of_a_teacher_is_no_teacher():
    teacher = sl.Teacher(net(), X)
    for wrong in (3, torch.tensor(3)):
        with pytest.raises(TypeError, match="teacher: expected a slice or an array of indices"):
            teacher[wrong]


def test_what_callbacks_return_is_checked():
    with pytest.raises(ValueError, match="on_step: expected it to return None or one item per model, 1, got 5"):
        sl.fit_many([net()], DATA, steps=4, on_step=lambda step, models: 5, report=[2], progress=False)
    for train in (sl.fit, lambda model, data, **more: sl.fit_many([model], data, **more)):
        with pytest.raises(ValueError, match="weights: expected finite numbers >= 0"):
            train(net(), DATA, steps=4, weight_schedule=lambda progress: (1.0, -1.0), progress=False)


def test_fit_many_looks_at_labels_a_part_at_a_time(monkeypatch):
    sizes, predict = [], sl.SobolevLoss.predict
    monkeypatch.setattr(runs, "ROWS", 8)
    monkeypatch.setattr(sl.SobolevLoss, "predict", lambda loss, *asked: sizes.append(len(asked[1].inputs)) or predict(loss, *asked))
    sl.fit_many([net()], DATA, steps=1, progress=False)
    assert sizes[:3] == [8, 8, 4]


class Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, x):
        return (x * self.weight.detach()).sum(1, keepdim=True)


@pytest.mark.parametrize("order", [0, 1])
def test_networks_that_learn_nothing_are_refused_as_by_fit(order):
    for train in (sl.fit, lambda model, data, **more: sl.fit_many([model], data, **more)):
        with pytest.raises(ValueError, match="one without a gradient: does the model detach"):
            train(Detached(), DATA, loss=sl.SobolevLoss(order), steps=3, progress=False)
