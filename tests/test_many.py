"""fit_many: the same as fit one by one, to rounding, in all that fit does."""
import copy
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import sobolev_lib as sl
from sobolev_lib.training.rates import Scheduled

F, DOUBLE = sl.functions.styblinski_tang, torch.float64
LR, SEEDS = [1e-2, 3e-3, 1e-2], [5, 6, 5]
# a CUDA graph holds its learning rates in single precision
TOLERANCE = {"cpu": {"rtol": 1e-8, "atol": 1e-9}, "cuda": {"rtol": 1e-5, "atol": 1e-6}}
SCHEDULES = {"none": None, "cosine": lambda adam: torch.optim.lr_scheduler.CosineAnnealingLR(adam, 20),
             "one-cycle": lambda adam: torch.optim.lr_scheduler.OneCycleLR(adam, 1e-2, total_steps=31)}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def networks(count=3, activation="tanh", hidden=(6,), device=None):
    return [sl.models.MLP(2, *hidden, 1, activation=activation, generator=seeded(k), dtype=DOUBLE, device=device)
            for k in range(count)]


def sets(count=3, n=10, order=1, device="cpu", first=10):
    return [sl.label(F, F.sample(n, generator=seeded(first + k), dtype=DOUBLE, device=device), order) for k in range(count)]


def alone(models, sources, losses, validations=(None,) * 3, **options):
    """fit, one by one; what is given in lists is each one's own."""
    return [sl.fit(model, source, loss=loss, lr=lr, seed=seed, validation=validation, progress=False, **options)
            for model, source, loss, lr, seed, validation in zip(models, sources, losses, LR, SEEDS, validations)]


def together(models, sources, losses, **options):
    return sl.fit_many(models, sources, **{"loss": losses, "lr": LR, "seed": SEEDS, "progress": False} | options)


def check_same(models, others, histories, other_histories, device="cpu"):
    for model, other, history, expected in zip(models, others, histories, other_histories, strict=True):
        torch.testing.assert_close(dict(model.state_dict()), dict(other.state_dict()), **TOLERANCE[device])
        assert history.steps == expected.steps and history.best_step == expected.best_step
        assert history.stopped_early == expected.stopped_early and history.path == expected.path
        for ours, theirs in ((history.train, expected.train), (history.validation, expected.validation)):
            assert ours.keys() == theirs.keys()
            for name in ours:
                assert ours[name] == pytest.approx(theirs[name], rel=1e-6 if device == "cpu" else 1e-3, abs=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("batch_size", [None, 4, 5, 10])
def test_equals_fit_one_by_one_in_batches_and_schedules(batch_size, schedule, device):
    """Epochs of 4, 4 and 2 points, of 5 and 5, and all 10; 20 steps, most of them a CUDA graph's where there is a GPU."""
    models, data = networks(device=device), sets(device=device)
    plain, losses = copy.deepcopy(models), [sl.SobolevLoss(1, weights=(1.0, w)) for w in (0.0, 0.1, 1.0)]
    options = dict(steps=20, batch_size=batch_size, evaluate_every=7, scheduler=SCHEDULES[schedule])
    start = models[0][0].weight.detach().clone()
    histories = together(models, data, losses, **options)
    check_same(models, plain, histories, alone(plain, data, losses, **options), device)
    assert histories[0].steps == [7, 14, 20] and (models[0][0].weight - start).abs().max() > 1e-2


@pytest.mark.parametrize("order, activation, options", [
    (0, "relu", {}), (1, "relu", {"normalize": True}), (2, "tanh", {"normalize": True}), (1, "relu", {"derivative_loss": "huber"}),
    (1, "tanh", {"normalize": (3.0, 5.0), "value_loss": "l1"})])
def test_equals_fit_for_each_loss(order, activation, options, device):
    models = [sl.Standardized(model, data) for model, data in zip(networks(activation=activation), sets(order=2))]
    models = [model.to(device) for model in models]
    data, plain = sets(order=2, device=device), copy.deepcopy(models)
    losses = [sl.SobolevLoss(order, weights=(1.0, w, 0.1)[:order + 1], **options) for w in (0.2, 0.5, 2.0)]
    settings = dict(steps=12, batch_size=4, weight_schedule=sl.linear_weights((1.0, 1.0, 0.0)[:order + 1], (0.5, 0.0, 1.0)[:order + 1]))
    for extra in ({}, settings):
        histories = together(models, data, losses, **{"steps": 12} | extra)
        check_same(models, plain, histories, alone(plain, data, losses, **{"steps": 12} | extra), device)


@pytest.mark.parametrize("metric", ["loss", "value_mse", pytest.param("jacobian_mse", marks=pytest.mark.slow)])
def test_equals_fit_in_validation_and_early_stopping(metric, device):
    """They stop at different steps, each with its own best weights, in original units."""
    data, validations = sets(n=8, device=device), sets(n=40, first=20, device=device)
    models = [sl.Standardized(model, own).to(device) for model, own in zip(networks(hidden=(16,), device=device), data)]
    plain, losses = copy.deepcopy(models), [sl.SobolevLoss(1, weights=(1.0, w), normalize=True) for w in (0.0, 0.1, 1.0)]
    options = dict(steps=400, batch_size=3, metric=metric, patience=4, evaluate_every=5)
    histories = together(models, data, losses, validation=validations, **options)
    check_same(models, plain, histories, alone(plain, data, losses, validations, **options), device)
    assert len({history.steps[-1] for history in histories}) > 1 and any(history.stopped_early for history in histories)
    for model, history, validation in zip(models, histories, validations):
        if metric != "loss":
            assert sl.errors(model, validation)[metric] == pytest.approx(min(history.validation[metric]), rel=1e-6)


def test_one_of_each_serves_all_and_parts_change_nothing():
    data, validation = sets(1)[0], sets(1, first=30)[0]
    models = [sl.Standardized(model, data) for model in networks(5)]
    plain = copy.deepcopy(models)
    options = dict(steps=8, batch_size=4, progress=False)
    histories = sl.fit_many(models, data, lr=1e-2, seed=3, validation=validation, at_once=2, **options)
    expected = [sl.fit(model, data, lr=1e-2, seed=3, validation=validation, **options) for model in plain]
    check_same(models, plain, histories, expected)


def test_a_teacher_is_asked_once_for_all_its_points():
    data, models, asked = sets(), networks(), []

    def f(x):
        asked.append(len(x))
        return F(x)

    plain, teachers = copy.deepcopy(models), [sl.Teacher(f, own.inputs) for own in data]
    losses = [sl.SobolevLoss(1)] * 3
    asked.clear()
    histories = together(models, teachers, losses, steps=9, batch_size=4)
    assert asked == [10, 10, 10]
    check_same(models, plain, histories, alone(plain, teachers, losses, steps=9, batch_size=4))


def test_models_without_a_closed_form(device):
    def make():
        return [nn.Sequential(nn.Linear(2, 6, dtype=DOUBLE), Square(), nn.Linear(6, 1, dtype=DOUBLE)).to(device) for _ in range(3)]

    models, data, losses = make(), sets(device=device), [sl.SobolevLoss(1, normalize=True)] * 3
    plain = copy.deepcopy(models)
    check_same(models, plain, together(models, data, losses, steps=12, batch_size=4), alone(plain, data, losses, steps=12,
                                                                                           batch_size=4), device)


class Square(nn.Module):
    def forward(self, x):
        return x.square()


# --- on_step, and checkpoints -----------------------------------------------------------------------------------

def test_on_step_sees_current_weights_and_each_answer_goes_to_its_own_history():
    seen = []

    def on_step(step, given):
        seen.append((step, given[1][0].weight.detach().clone()))
        return [f"{step} of {k}" for k in range(3)] if step != 4 else None

    models, data, losses = networks(), sets(), [sl.SobolevLoss(1)] * 3
    histories = together(models, data, losses, steps=12, evaluate_every=5, on_step=on_step, report=[1, 4, 12])
    assert [step for step, _ in seen] == [1, 4, 12] and histories[0].steps == [5, 10, 12]
    assert [history.reported for history in histories] == [[f"1 of {k}", f"12 of {k}"] for k in range(3)]
    for step, weight in seen:
        again = networks()[1]
        sl.fit(again, data[1], loss=losses[1], lr=LR[1], seed=SEEDS[1], steps=step, progress=False)
        torch.testing.assert_close(weight, again[0].weight.detach())
    with pytest.raises(ValueError, match="on_step: expected it to return None or one item per model, 3, got 2"):
        together(networks(), data, losses, steps=2, on_step=lambda step, models: [1, 2])


class Stopped(Exception):
    pass


@pytest.mark.parametrize("schedule", [pytest.param(name, marks=pytest.mark.slow if name == "cosine" else ()) for name in SCHEDULES])
@pytest.mark.parametrize("batch_size", [pytest.param(None, marks=pytest.mark.slow), 4])
def test_a_run_that_is_stopped_again_and_again_ends_bit_for_bit_the_same(batch_size, schedule, tmp_path, device):
    data, path = sets(device=device), tmp_path / "run.safetensors"
    losses = [sl.SobolevLoss(1, weights=(1.0, w), normalize=True) for w in (0.0, 0.1, 1.0)]

    def train(stop=False, **changed):
        calls = 0

        def on_step(step, models):
            nonlocal calls
            calls += 1
            if stop and calls == 3:                        # two evaluations further each time, in the middle of a block
                raise Stopped
            return [step + k for k in range(3)]

        models = [sl.Standardized(model, own) for model, own in zip(networks(device=device), data)]
        options = dict(steps=80, batch_size=batch_size, evaluate_every=9, scheduler=SCHEDULES[schedule] and named_schedule[schedule],
                       validation=sets(n=20, first=30, device=device), metric="value_mse", patience=6, on_step=on_step, at_once=2,
                       weight_schedule=sl.linear_weights((1, 0), (0, 1)))
        return models, together(models, data, losses, **options | changed)

    whole, expected = train()
    count = 0
    while True:
        try:
            models, histories = train(stop=True, checkpoint=path)
            break
        except Stopped:
            count += 1
    assert count >= 3
    for _ in range(2):                                     # and asked again, a finished run has nothing left to do
        for model, other, history, wanted in zip(models, whole, histories, expected):
            assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values()))
            assert (history.train, history.validation, history.reported, history.best_step) == \
                (wanted.train, wanted.validation, wanted.reported, wanted.best_step)
        models, histories = train(checkpoint=path)
    for changed, what in ((dict(lr=[1e-2, 1e-3, 1e-3]), "lr"), (dict(seed=0), "seed"), (dict(batch_size=3), "settings"),
                          (dict(at_once=3), "settings"), (dict(scheduler=named_other), "scheduler"),
                          (dict(loss=losses[0]), "loss"), (dict(validation=sets(n=20, first=31, device=device)), "validation"),
                          (dict(weight_schedule=None), "weight_schedule")):
        with pytest.raises(ValueError, match=rf"belongs to another run \({what} differ\)"):
            train(checkpoint=path, **changed)


def named_other(adam):
    return torch.optim.lr_scheduler.StepLR(adam, 7)


named_schedule = {"cosine": lambda adam: torch.optim.lr_scheduler.CosineAnnealingLR(adam, 80),
                  "one-cycle": lambda adam: torch.optim.lr_scheduler.OneCycleLR(adam, 1e-2, total_steps=81)}


# --- what goes wrong --------------------------------------------------------------------------------------------

def test_a_network_that_diverges_is_told_and_leaves_the_others_alone():
    models, data, losses = networks(), sets(), [sl.SobolevLoss(1, weights=(1.0, w)) for w in (1.0, 1e200, 1.0)]
    plain = copy.deepcopy(models)
    with pytest.warns(UserWarning, match=r"fit_many: the losses of networks \[1\] are no longer finite"):
        histories = together(models, data, losses, steps=20, lr=[1e-2, 1e150, 1e-2], evaluate_every=5)
    assert [len(history.steps) for history in histories][::2] == [4, 4] and len(histories[1].steps) < 4
    for k in (0, 2):
        sl.fit(plain[k], data[k], loss=losses[k], lr=1e-2, seed=SEEDS[k], steps=20, progress=False)
        torch.testing.assert_close(dict(models[k].state_dict()), dict(plain[k].state_dict()))


def test_labels_that_are_surely_wrong_are_told():
    x = F.sample(300, generator=seeded(0), dtype=DOUBLE)
    right = sl.label(F, x)
    wrong = sl.SobolevData(x, right.values, -right.jacobian)
    with pytest.warns(UserWarning, match="sign"), warnings.catch_warnings():
        sl.fit_many(networks(2), wrong, steps=1, progress=False)


@pytest.mark.parametrize("wrong, error, message", [
    (dict(lr=[1e-2, 1e-2]), ValueError, "lr: expected one for all, or one per model, 3, got 2"),
    (dict(lr=-1.0), ValueError, "lr: expected a positive number, got -1.0"),
    (dict(seed=[0, 1, 0.5]), ValueError, "seed: expected an integer, got 0.5"),
    (dict(loss=[sl.SobolevLoss(1), sl.SobolevLoss(1), sl.SobolevLoss(0)]), ValueError, "loss: expected losses that differ in weights"),
    (dict(loss=sl.StochasticSobolevLoss(1)), TypeError, "loss: expected a SobolevLoss, got StochasticSobolevLoss, which draws"),
    (dict(loss=nn.MSELoss()), TypeError, "loss: expected a SobolevLoss"),
    (dict(source=sets(2)), ValueError, "source: expected one for all, or one per model, 3, got 2"),
    (dict(source=[*sets(2), *sets(1, n=7)]), ValueError, "data: expected data sets of equal shapes"),
    (dict(source=sets(1)[0].inputs), TypeError, "source: expected SobolevData .* or a Teacher, got Tensor"),
    (dict(models=[]), ValueError, "models: expected at least one, got none"),
    (dict(models=[*networks(2), *networks(1, "relu")]), ValueError, "models: expected one architecture"),
    (dict(models=[nn.Sequential(nn.Linear(2, 4, dtype=DOUBLE), nn.Dropout(0.5), nn.Linear(4, 1, dtype=DOUBLE))] * 3), ValueError,
     "models: expected none that draws at random, got Dropout; train such ones with fit"),
    (dict(models=[lambda x: x] * 3), TypeError, "model: expected an nn.Module"),
    (dict(patience=2), ValueError, "patience: expected validation data to watch"),
    (dict(metric="value_mse"), ValueError, "metric: expected validation data to measure 'value_mse' on"),
    (dict(steps=0), ValueError, "steps: expected a positive integer, got 0"),
    (dict(at_once=0), ValueError, "at_once: expected a positive integer, got 0"),
    (dict(report=[1]), ValueError, "report: expected on_step beside it, got none"),
    (dict(checkpoint=Path(__file__).parent), ValueError, "checkpoint: expected a file that can be written"),
    (dict(scheduler=lambda adam: torch.optim.lr_scheduler.ReduceLROnPlateau(adam)), TypeError, "schedule of steps alone"),
    (dict(weight_schedule=lambda progress: (1.0,)), ValueError, "weight_schedule: expected 2 weights"),
])
def test_wrong_calls(wrong, error, message):
    models, source = wrong.pop("models", None), wrong.pop("source", None)
    with pytest.raises(error, match=message):
        sl.fit_many(networks() if models is None else models, sets() if source is None else source,
                    **{"steps": 3, "progress": False} | wrong)


def test_settings_of_a_schedule_are_taken_up_anywhere():
    make = lambda: Scheduled([1e-3, 1e-2], SCHEDULES["one-cycle"])
    whole = make().take(0, 30)
    assert make().take(12, 18) == whole[12:] and {"lr", "betas"} == set(whole[5][0])
    again = make()
    again.take(0, 20)
    assert again.take(3, 4) == whole[3:7]


def test_numpy_lists_are_lists():
    one, other = networks(), networks()
    together(one, sets(), [sl.SobolevLoss(1)] * 3, steps=3)
    sl.fit_many(other, sets(), loss=sl.SobolevLoss(1), lr=np.array(LR), seed=np.array(SEEDS), steps=np.int64(3), progress=False)
    assert all(torch.equal(a, b) for m, n in zip(one, other) for a, b in zip(m.parameters(), n.parameters()))


@pytest.mark.slow
def test_chapters_train_one_network_and_many_in_the_same_way():
    """The first chapter's networks, in single precision: fit, fit_many alone and beside others end with the same errors."""
    def f(x):
        return torch.sin(2 * x[:, 0]) * torch.cos(x[:, 1]) + 0.5 * x[:, 0] * x[:, 1]

    points, far = (4 * torch.rand(n, 2, generator=seeded(seed)) - 2 for n, seed in ((20, 0), (2_000, 1_000)))
    data, test, loss = sl.label(f, points), sl.label(f, far), sl.SobolevLoss(1, normalize=True)

    def network(seed):
        return sl.Standardized(sl.models.MLP(2, 32, 32, 1, activation="silu", generator=seeded(seed)), data)

    alone, single, beside = network(0), network(0), [network(1), network(0)]
    options = dict(loss=loss, steps=300, lr=0.02, progress=False)
    sl.fit(alone, data, **options)
    sl.fit_many([single], data, **options)
    sl.fit_many(beside, data, **options)
    expected = sl.errors(alone, test)
    for model in (single, beside[1]):
        assert sl.errors(model, test) == pytest.approx(expected, rel=1e-3)
    assert sl.errors(beside[0], test) != pytest.approx(expected, rel=1e-2)
