"""fit(): what it minimises, resume, early stopping, schedules, z-scores, seeds, errors."""
import contextlib
import copy
import functools
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from forks import fork, run_code
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from tqdm import tqdm

import sobolev_lib as sl
from sobolev_lib.training import fitting

F = sl.functions.styblinski_tang


@functools.cache
def labelled(n, seed=0, order=1, dtype=torch.float32):
    return sl.label(F, F.sample(n, generator=torch.Generator().manual_seed(seed), dtype=dtype), order=order)


def network(seed=0, *, activation="tanh", dtype=None):
    return sl.models.MLP(2, 16, 1, activation=activation, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))


def test_equals_a_plain_adam_loop(device):
    data = labelled(30, dtype=torch.float64).to(device)
    model, reference = [network(dtype=torch.float64).to(device) for _ in range(2)]
    history = sl.fit(model, data, loss=sl.SobolevLoss(1, weights=(1.0, 0.5)), steps=20, lr=1e-2, progress=False)
    adam = torch.optim.Adam(reference.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        x = data.inputs.clone().requires_grad_()
        y = reference(x)[:, 0]
        gradient, = torch.autograd.grad(y.sum(), x, create_graph=True)
        loss = (y - data.values).square().mean() + 0.5 * (gradient - data.jacobian).square().sum(1).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    torch.testing.assert_close(torch.tensor(history.train["loss"]), torch.tensor(losses), rtol=1e-10, atol=0)
    for a, b in zip(model.parameters(), reference.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


MINIMISED = {
    "weighted": sl.SobolevLoss(1, weights=(0.3, 2.0)), "regular": sl.SobolevLoss(0, value_loss="huber"),
    "normalised": sl.SobolevLoss(1, weights=(1.0, 0.1), normalize=(50.0, 700.0), derivative_loss="norm"),
    "order two": sl.SobolevLoss(2, weights=(1.0, 0.5, 0.2), normalize=True),
    "stochastic": sl.StochasticSobolevLoss(1, 2, weights=(0.5, 3.0), normalize=(50.0, 700.0)),
}


@pytest.mark.parametrize("source", ["data", "teacher"])
@pytest.mark.parametrize("kind", MINIMISED)
def test_a_step_minimises_what_the_loss_says(kind, source, device):
    """``loss(model, data)`` and nothing else: one step of SGD goes down its gradient, and records its value."""
    loss, table = MINIMISED[kind], labelled(12, order=2, dtype=torch.float64).to(device)
    source = table if source == "data" else sl.Teacher(F, table.inputs)
    model, twin = [network(dtype=torch.float64).to(device) for _ in range(2)]
    history = sl.fit(model, source, loss=loss, steps=1, optimizer=lambda p: torch.optim.SGD(p, lr=0.1), seed=4, progress=False)
    value = loss(twin, source, generator=torch.Generator().manual_seed(5))       # vectors have a seed of their own
    value.backward()
    assert history.train["loss"][0] == pytest.approx(float(value.detach()), rel=1e-12)
    for moved, start in zip(model.parameters(), twin.parameters()):
        slope = torch.zeros_like(start) if start.grad is None else start.grad
        torch.testing.assert_close(moved.detach(), start.detach() - 0.1 * slope, rtol=1e-10, atol=1e-12)


def test_default_loss_uses_all_labels_there_are():
    model = network()
    history = sl.fit(model, labelled(10, order=2), steps=2, progress=False)
    assert set(history.train) == {"loss", "values", "jacobian", "hessian"}
    assert set(sl.fit(network(), labelled(10, order=0), steps=2, progress=False).train) == {"loss", "values"}


def test_weight_zero_is_plain_regression(device):
    zero, plain = network(), network()
    sl.fit(zero, labelled(20), loss=sl.SobolevLoss(1, weights=(1.0, 0.0)), steps=15, device=device, progress=False)
    sl.fit(plain, labelled(20), loss=sl.SobolevLoss(0), steps=15, device=device, progress=False)
    for a, b in zip(zero.parameters(), plain.parameters()):
        torch.testing.assert_close(a, b)


class Killed(Exception):
    pass


@contextlib.contextmanager
def killed_at(step):
    """Ends the process, so to speak, in the middle of training: the progress bar is what is called in each step."""
    class Bar(tqdm):
        def update(self, n=1):
            super().update(n)
            if self.n == step:
                raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(fitting, "tqdm", functools.partial(Bar, file=io.StringIO()))
        patch.setattr(Bar, "__init__", lambda self, *args, disable, **kwargs: tqdm.__init__(self, *args, **kwargs))
        yield


def hyperbola(t):
    return 1 / (1 + t)


SCHEDULES = {
    "one-cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 1e-2, total_steps=25),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 24),
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, 10, gamma=0.3),
    "lambda": lambda o: torch.optim.lr_scheduler.LambdaLR(o, hyperbola),
    "warm-up, then cosine": lambda o: torch.optim.lr_scheduler.SequentialLR(o, [
        torch.optim.lr_scheduler.LinearLR(o, 0.1, total_iters=4), torch.optim.lr_scheduler.CosineAnnealingLR(o, 20)], [4]),
    "two at once": lambda o: torch.optim.lr_scheduler.ChainedScheduler([
        torch.optim.lr_scheduler.ConstantLR(o, 0.5, total_iters=18), torch.optim.lr_scheduler.ExponentialLR(o, 0.97)], o),
    "nested": lambda o: torch.optim.lr_scheduler.ChainedScheduler([
        torch.optim.lr_scheduler.SequentialLR(o, [torch.optim.lr_scheduler.ConstantLR(o, 0.5, total_iters=3),
                                                  torch.optim.lr_scheduler.ExponentialLR(o, 0.9)], [6]),
        torch.optim.lr_scheduler.StepLR(o, 5)], o),
}
OPTIMIZERS = {
    "adam": None,
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9),
    "adamw-amsgrad": lambda p: torch.optim.AdamW(p, lr=1e-3, amsgrad=True),
    "adam with a tensor as rate": lambda p: torch.optim.Adam(p, lr=torch.tensor(1e-3)),
}


# every schedule with a rate of either kind; every optimiser with two schedules, one of which moves its momentum, too
@pytest.mark.parametrize("schedule, optimizer", [
    *[(schedule, "adam") for schedule in SCHEDULES],
    *[pytest.param(schedule, "adam with a tensor as rate", marks=pytest.mark.slow) for schedule in SCHEDULES],
    *[(schedule, optimizer) for schedule in ("one-cycle", "nested") for optimizer in ("sgd", "adamw-amsgrad")]])
def test_resumed_run_ends_bit_for_bit_where_the_uninterrupted_one_does(tmp_path, schedule, optimizer, device):
    data, validation = labelled(50), labelled(60, seed=1)

    def make():
        # dropout draws from the global generator, batches and projections from their own: all must come back
        hidden = sl.models.MLP(2, 16, 16, generator=torch.Generator().manual_seed(0))
        last = sl.models.MLP(16, 1, generator=torch.Generator().manual_seed(1))
        return sl.Standardized(nn.Sequential(hidden, nn.Tanh(), nn.Dropout(0.2), last), data)

    settings = dict(loss=sl.StochasticSobolevLoss(1, distribution="gaussian"), steps=24, batch_size=16, patience=20,
                    validation=validation, metric="value_mse", evaluate_every=3, optimizer=OPTIMIZERS[optimizer],
                    device=device, progress=False)
    whole = make()
    expected = sl.fit(whole, data, scheduler=SCHEDULES[schedule], **settings)
    path = tmp_path / "run.safetensors"
    with killed_at(16):
        sl.fit(make(), data, scheduler=SCHEDULES[schedule], checkpoint=path, **settings)
    resumed = make()
    history = sl.fit(resumed, data, scheduler=SCHEDULES[schedule], checkpoint=path, **settings)
    assert same_weights(whole, resumed)
    assert history.train == expected.train and history.validation == expected.validation
    assert history.steps == expected.steps and history.best_step == expected.best_step
    # asked again, a finished run has nothing left to do
    again = make()
    assert sl.fit(again, data, scheduler=SCHEDULES[schedule], checkpoint=path, **settings).steps == expected.steps
    assert same_weights(whole, again)


def test_resume_is_not_the_same_as_starting_over(tmp_path):
    # guards the test above: a checkpoint that was ignored would pass it too
    path, calls = tmp_path / "run.safetensors", []

    def count(progress):
        calls.append(progress)
        return 1.0, 1.0

    settings = dict(steps=40, evaluate_every=10, checkpoint=path, progress=False, weight_schedule=count,
                    scheduler=SCHEDULES["step"])
    with killed_at(25):
        sl.fit(network(), labelled(20), **settings)
    calls.clear()
    sl.fit(network(), labelled(20), **settings)
    assert len(calls) == 20


def test_checkpoint_is_plain_and_whole(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    settings = dict(steps=20, evaluate_every=10, checkpoint=path, progress=False)
    sl.fit(network(), labelled(20), **settings)
    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["sobolev_lib"])["progress"]["step"] == 20
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    path_2 = tmp_path / "other.safetensors"
    with pytest.raises(OSError, match="disk full"):
        sl.fit(network(), labelled(20), **{**settings, "checkpoint": path_2})
    assert path.read_bytes() == before and sorted(tmp_path.iterdir()) == [path]


# --- which run a checkpoint belongs to: sobolev_lib.identity has the kinds of things, this the arguments of fit ---

def steep(prediction, target):
    return STEEPNESS * (prediction - target).square().flatten(1).sum(1) if prediction.ndim > 1 else (prediction - target).square()


STEEPNESS = 2.0


def gentle(prediction, target):
    return (prediction - target).abs().reshape(len(target), -1).sum(1)


class Sine(nn.Module):
    def __init__(self, frequency=1.0, function=torch.sin):
        super().__init__()
        self.frequency, self.function = frequency, function
        self.inner, self.outer = nn.Linear(2, 8), nn.Linear(8, 1)
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator))

    def forward(self, x):
        return self.outer(self.function(self.frequency * self.inner(x)))


def seeded(module, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module


def dropped(share):
    return seeded(nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Dropout(share), nn.Linear(8, 1)))


def by_group(rate):
    def make(model):
        return torch.optim.SGD([{"params": list(model.parameters())[:2]}, {"params": list(model.parameters())[2:], "lr": rate}],
                               lr=1e-3)
    return make


LR = torch.optim.lr_scheduler
STOCHASTIC = functools.partial(sl.StochasticSobolevLoss, 1)
CHANGES = {                                                # what fit was given first, and what a call of another run has
    "another initial seed": (dict(model=lambda: network(0)), dict(model=lambda: network(1))),
    "another activation": (dict(model=lambda: network(0)), dict(model=lambda: network(0, activation="softplus"))),
    "another activation's constant": [dict(model=lambda slope=slope: seeded(nn.Sequential(
        nn.Linear(2, 8), nn.LeakyReLU(slope), nn.Linear(8, 1)))) for slope in (0.1, 0.2)],
    "another dropout rate": [dict(model=lambda share=share: dropped(share)) for share in (0.1, 0.2)],
    "another constant in the model": [dict(model=lambda k=k: Sine(k)) for k in (1.0, 2.0)],
    "another function in the model": [dict(model=lambda f=f: Sine(function=f)) for f in (torch.sin, torch.tanh)],
    "a part in evaluation mode": (dict(model=lambda: dropped(0.1)), dict(model=lambda: dropped(0.1).eval())),
    "a frozen layer": (dict(model=network), dict(model=lambda: network().requires_grad_(True).append(nn.Identity())[:-1])),
    "other scales": [dict(model=lambda n=n: sl.Standardized(network(), labelled(n, seed=3))) for n in (20, 21)],
    "another buffer": [dict(model=lambda p=p: seeded(nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8, momentum=p),
                                                                   nn.Linear(8, 1))).eval()) for p in (0.1, 0.2)],
    "other weights": [dict(loss=sl.SobolevLoss(1, weights=(1, w))) for w in (1.0, 0.5)],
    "another value loss": [dict(loss=sl.SobolevLoss(1, value_loss=name)) for name in ("mse", "huber")],
    "another derivative loss": [dict(loss=sl.SobolevLoss(1, derivative_loss=name)) for name in ("mse", "norm")],
    "another loss of one's own": [dict(loss=sl.SobolevLoss(1, derivative_loss=own)) for own in (steep, gentle)],
    "other divisors": [dict(loss=sl.SobolevLoss(1, normalize=(1.0, d))) for d in (1.0, 2.0)],
    "more projections": [dict(loss=STOCHASTIC(projections=p)) for p in (1, 2)],
    "another distribution": [dict(loss=STOCHASTIC(distribution=name)) for name in ("sphere", "rademacher")],
    "another kind of loss": (dict(loss=sl.SobolevLoss(1)), dict(loss=STOCHASTIC())),
    "another schedule": [dict(scheduler=make) for make in (lambda o: LR.StepLR(o, 5), lambda o: LR.CosineAnnealingLR(o, 20))],
    "a schedule's constant": [dict(scheduler=lambda o, k=k: LR.StepLR(o, k)) for k in (5, 6)],
    "a schedule within one": [dict(scheduler=lambda o, k=k: LR.SequentialLR(o, [LR.LinearLR(o, total_iters=5), LR.StepLR(o, k)],
                                                                           [5])) for k in (5, 6)],
    "a schedule more": (dict(), dict(scheduler=lambda o: LR.StepLR(o, 30))),
    "another weight schedule": [dict(weight_schedule=sl.linear_weights((1, w), (1, 0))) for w in (1.0, 0.5)],
    "a weight schedule more": (dict(), dict(weight_schedule=sl.linear_weights((1, 1), (1, 0)))),
    "a group's rate": [dict(optimizer=by_group(rate)) for rate in (1e-3, 1e-2)],
    "another optimizer": [dict(optimizer=lambda m, make=make: make(m.parameters(), lr=1e-3))
                          for make in (torch.optim.SGD, torch.optim.Adam)],
    "an optimizer's constant": [dict(optimizer=lambda m, b=b: torch.optim.SGD(m.parameters(), lr=1e-3, momentum=b))
                                for b in (0.8, 0.9)],
    "other validation data": [dict(validation=labelled(9, seed=seed)) for seed in (1, 2)],
    "other data": [dict(data=labelled(20, seed=seed)) for seed in (0, 5)],
    "data of another order": [dict(data=labelled(20, order=order), loss=sl.SobolevLoss(1)) for order in (1, 2)],
    "another seed": [dict(seed=seed) for seed in (0, 1)], "another batch": [dict(batch_size=n) for n in (4, 5)],
    "another rate": [dict(lr=lr) for lr in (1e-3, 2e-3)], "more steps": [dict(steps=n) for n in (4, 6)],
}


def trained(path, model=network, optimizer=None, **changed):
    model = model()
    settings = dict(data=labelled(20), steps=4, checkpoint=path, progress=False) | changed
    return sl.fit(model, settings.pop("data"), optimizer=optimizer and optimizer(model), **settings)


@pytest.mark.parametrize("what", CHANGES)
def test_checkpoint_of_another_run_is_refused(what, tmp_path):
    path, (first, other) = tmp_path / "run.safetensors", CHANGES[what]
    if what == "a frozen layer":
        def frozen():
            model = network()
            model[0].requires_grad_(False)
            return model
        other = dict(model=frozen)
    steps = trained(path, **first).steps
    with pytest.raises(ValueError, match="belongs to another run"):
        trained(path, **other)
    assert trained(path, **first).steps == steps           # and the run's own call goes on, with all made anew


def test_the_message_says_what_differs(tmp_path):
    path = tmp_path / "run.safetensors"
    trained(path)
    with pytest.raises(ValueError, match=r"run.safetensors belongs to another run \(initial weights, loss differ\).*delete"):
        trained(path, model=lambda: network(1), loss=sl.SobolevLoss(0))


@pytest.mark.parametrize("settings, where", [
    (dict(loss=sl.SobolevLoss(1, value_loss=lambda p, t: (p - t).square())), r"loss\.\w+"),
    (dict(scheduler=lambda o: LR.LambdaLR(o, lambda t: 1.0)), r"scheduler\.lr_lambdas\[0\]"),
    (dict(weight_schedule=lambda progress: (1.0, 1.0)), "weight_schedule"),
    (dict(model=lambda: Sine(function=lambda z: z.sin())), r"model\.function"),
])
def test_what_has_no_name_is_refused_and_the_message_says_how_to_name_it(settings, where, tmp_path):
    with pytest.raises(ValueError, match=rf"expected a function with a name at {where}.*got a lambda; write it with def"):
        trained(tmp_path / "run.safetensors", **settings)
    trained(None, **settings)                              # without a checkpoint nothing needs a name
    assert not any(tmp_path.iterdir())


def test_an_earlier_versions_checkpoint_is_refused_with_the_reason(tmp_path):
    path = tmp_path / "run.safetensors"
    trained(path)
    with safe_open(path, framework="pt") as file:
        about, tensors = json.loads(file.metadata()["sobolev_lib"]), {name: file.get_tensor(name) for name in file.keys()}
    about["fingerprint"] = "0123456789abcdef"
    save_file(tensors, path, metadata={"sobolev_lib": json.dumps(about)})
    with pytest.raises(ValueError, match="an earlier version wrote it, which noted too little"):
        trained(path)


RUN = """
import sys
sys.path[:0] = sys.argv[3:]
import test_training as t
for steepness in map(float, sys.argv[2].split(",")):
    t.STEEPNESS = steepness
    t.trained(sys.argv[1], model=lambda: t.Sine(2.0), loss=t.sl.SobolevLoss(1, value_loss="huber", derivative_loss=t.steep),
              scheduler=t.SCHEDULES["nested"], weight_schedule=t.sl.linear_weights((1, 1), (1, 0)))
    print("ended with", steepness, flush=True)
"""


@pytest.mark.slow
def test_another_process_takes_up_its_own_run_and_no_other(tmp_path):
    """Names, sets and addresses differ between processes; a number that a function reads from its file counts."""
    here, path = Path(__file__).parent, tmp_path / "run.safetensors"
    first = fork(run_code, RUN, path, "2", here, output=tmp_path / "output")
    first.join(250)
    assert first.exitcode == 0, (tmp_path / "output").read_text()
    # a fork's seed of hashes is its parent's: the second process has one of its own
    second = subprocess.run([sys.executable, "-c", RUN, path, "2,3", here, here.parent], text=True, capture_output=True,
                            env={**os.environ, "PYTHONHASHSEED": "1"})
    assert second.stdout == "ended with 2.0\n" and "belongs to another run (loss differ)" in second.stderr


# --- the rest ---------------------------------------------------------------------------------------------------

def test_early_stopping_returns_the_best_weights(device):
    data, validation = labelled(8).to(device), labelled(200, seed=1).to(device)
    model = sl.Standardized(network(activation="relu"), data)
    history = sl.fit(model, data, loss=sl.SobolevLoss(0), steps=3000, lr=1e-2, validation=validation, patience=5,
                     metric="value_mse", evaluate_every=10, device=device, progress=False)
    assert history.stopped_early and history.steps[-1] < 3000
    assert len(history.steps) - 1 - history.steps.index(history.best_step) == 5
    with torch.no_grad():
        error = (model(validation.inputs)[:, 0] - validation.values).square().mean().item()
    assert error == pytest.approx(min(history.validation["value_mse"]), rel=1e-5)


def test_validation_errors_are_in_original_units(device):
    data = labelled(40).to(device)
    model = sl.Standardized(network(), data)
    history = sl.fit(model, data, steps=10, validation=data, device=device, progress=False)
    y, jacobian = sl.value_and_derivatives(model, data.inputs)
    assert history.validation["value_mse"][-1] == pytest.approx((y[:, 0] - data.values).square().mean().item(), rel=1e-5)
    error = (jacobian[:, 0] - data.jacobian).square().sum(1).mean().item()
    assert history.validation["jacobian_mse"][-1] == pytest.approx(error, rel=1e-5)


def test_normalisation_uses_all_labels_not_the_batch():
    data = labelled(64)
    history = sl.fit(network(), data, loss=sl.SobolevLoss(1, normalize=True), steps=1, batch_size=8, progress=False)
    batch = data[torch.randperm(64, generator=torch.Generator().manual_seed(0))[:8]]
    raw = sl.SobolevLoss(1).terms(network(), batch)
    expected = float(raw[0].detach() / data.values.square().mean())
    assert history.train["values"][0] == pytest.approx(expected, rel=1e-5)
    stochastic = sl.StochasticSobolevLoss(1, normalize=True)     # one output: its projections are the gradient itself
    again = sl.fit(network(), data, loss=stochastic, steps=1, batch_size=8, progress=False)
    for name in ("values", "jacobian"):
        assert again.train[name][0] == pytest.approx(history.train[name][0], rel=1e-5)


def test_epochs_visit_every_point_once():
    data, seen = labelled(10), []

    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x):
            if not isinstance(x, torch.nn.Parameter):
                seen.append(x.shape[0])
            return self.net(x)

    sl.fit(Spy(), data, loss=sl.SobolevLoss(0), steps=6, batch_size=4, progress=False)
    assert seen == [4, 4, 2, 4, 4, 2]


def test_weight_schedule_hands_over_from_derivatives_to_values():
    used = []

    def schedule(progress):
        used.append((progress, sl.linear_weights((0.0, 1.0), (1.0, 0.0))(progress)))
        return used[-1][1]

    history = sl.fit(network(), labelled(10), steps=11, weight_schedule=schedule, progress=False)
    assert used[0] == (0.0, (0.0, 1.0)) and used[-1] == (1.0, (1.0, 0.0))
    assert history.train["loss"][0] == pytest.approx(history.train["jacobian"][0])
    assert history.train["loss"][-1] == pytest.approx(history.train["values"][-1])


def test_seed_decides_and_global_state_is_left_alone(device):
    data, runs = labelled(40), []
    for seed in (0, 0, 1):
        model = network()
        torch.manual_seed(12345)
        sl.fit(model, data, loss=sl.StochasticSobolevLoss(1), steps=10, batch_size=8, seed=seed, device=device,
               progress=False)
        after = torch.rand(1), torch.rand(1, device=device)
        torch.manual_seed(12345)
        assert after == (torch.rand(1), torch.rand(1, device=device))
        runs.append(model)
    assert same_weights(runs[0], runs[1]) and not same_weights(runs[0], runs[2])


def test_convolutional_model_with_image_inputs(device):
    def f(x):
        return x.square().sum(dim=(1, 2, 3)) + x[:, 0, 1, 1]

    generator = torch.Generator().manual_seed(0)
    data = sl.label(f, torch.randn(24, 1, 6, 6, generator=generator))
    conv = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(64, 1))
    history = sl.fit(sl.Standardized(conv, data), data, steps=60, lr=1e-2, batch_size=12, device=device, progress=False)
    assert history.train["jacobian"][-1] < 0.7 * history.train["jacobian"][0]


@pytest.mark.parametrize("report, expected", [(None, [3, 6, 8]), ([1, 4, 8], [1, 4, 8]), ([2], [2])])
def test_on_step_is_called_after_the_steps_asked_for_with_their_weights(report, expected):
    data, seen = labelled(12), []

    def on_step(step, model):
        seen.append((step, model[0].weight.detach().clone()))
        return step * 10 if step != 4 else None

    model = network()
    history = sl.fit(model, data, steps=8, evaluate_every=3, on_step=on_step, report=report, progress=False)
    assert [step for step, _ in seen] == expected and history.reported == [10 * step for step in expected if step != 4]
    for step, weight in seen:
        again = network()
        sl.fit(again, data, steps=step, progress=False)
        assert torch.equal(again[0].weight, weight)


def test_what_on_step_returned_outlives_a_kill(tmp_path):
    settings = dict(steps=40, evaluate_every=10, on_step=lambda step, model: [step, float(model[0].weight.detach().sum())],
                    report=[4, 12, 25, 33], progress=False)
    whole = sl.fit(network(), labelled(20), **settings)
    path = tmp_path / "run.safetensors"
    with killed_at(28):
        sl.fit(network(), labelled(20), checkpoint=path, **settings)
    resumed = sl.fit(network(), labelled(20), checkpoint=path, **settings)
    assert resumed.reported == whole.reported and [step for step, _ in whole.reported] == [4, 12, 25, 33]
    with pytest.raises(ValueError, match="settings differ"):
        sl.fit(network(), labelled(20), checkpoint=path, **{**settings, "report": [5]})


# --- a teacher that is asked at each batch, and optimisers that ask again ------------------------------------------

@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("standardized", [False, True])
@pytest.mark.parametrize("loss", [sl.SobolevLoss(1, weights=(1.0, 0.2)), sl.SobolevLoss(0), sl.StochasticSobolevLoss(1, 2)], ids=repr)
def test_a_teacher_teaches_what_its_labels_would(loss, standardized, normalize, device):
    x = F.sample(30, generator=torch.Generator().manual_seed(0), dtype=torch.float64, device=device)
    table, models = sl.label(F, x), []
    loss = type(loss)(order=loss.order, weights=loss.weights, normalize=normalize)
    for source in (table, sl.Teacher(F, x)):
        model = network(dtype=torch.float64).to(device)
        model = sl.Standardized(model, table) if standardized else model
        history = sl.fit(model, source, loss=loss, steps=12, batch_size=8, lr=1e-2, validation=table, progress=False)
        models.append((model, history))
    (one, first), (other, second) = models
    torch.testing.assert_close(dict(one.state_dict()), dict(other.state_dict()), rtol=1e-7, atol=1e-9)
    for name, numbers in first.validation.items():
        assert second.validation[name] == pytest.approx(numbers, rel=1e-6)


def test_a_teacher_is_asked_at_each_batch_and_only_there():
    rows = []

    def f(x):
        rows.append(len(x))
        return F(x)

    teacher = sl.Teacher(f, labelled(10).inputs)
    rows.clear()
    sl.fit(network(), teacher, loss=sl.SobolevLoss(0), steps=4, batch_size=4, progress=False)
    assert rows == [4, 4, 2, 4]
    assert set(sl.fit(network(), teacher, steps=1, progress=False).train) == {"loss", "values", "jacobian"}


def test_a_checkpoint_of_another_teacher_is_refused(tmp_path):
    path, x = tmp_path / "run.safetensors", labelled(20).inputs
    steps = trained(path, data=sl.Teacher(network(5), x)).steps
    assert trained(path, data=sl.Teacher(network(5), x)).steps == steps
    for other in (sl.Teacher(network(6), x), sl.Teacher(network(5), x + 1), labelled(20)):
        with pytest.raises(ValueError, match=r"belongs to another run \(data differ\)"):
            trained(path, data=other)


@pytest.mark.parametrize("source", ["data", "teacher"])
@pytest.mark.parametrize("loss", [sl.SobolevLoss(1), sl.StochasticSobolevLoss(1)], ids=["exact", "stochastic"])
def test_an_optimizer_that_needs_a_closure(loss, source, device):
    """L-BFGS asks several times a step, of one batch and one set of vectors; what is recorded is where it began."""
    table = labelled(40, dtype=torch.float64).to(device)
    data = table if source == "data" else sl.Teacher(F, table.inputs)
    model, twin = [sl.Standardized(network(dtype=torch.float64), table).to(device) for _ in range(2)]
    history = sl.fit(model, data, loss=loss, steps=3, optimizer=torch.optim.LBFGS, lr=0.5, progress=False)
    z = twin.standardize(table)
    lbfgs = torch.optim.LBFGS(twin.parameters(), lr=0.5)
    begun = []
    for _ in range(3):                                     # one output: its projections are the gradient itself
        def closure():
            lbfgs.zero_grad()
            value = sl.SobolevLoss(1)(twin.model, z)
            value.backward()
            return value.detach()
        begun.append(float(closure()))
        lbfgs.step(closure)
    assert history.train["loss"] == pytest.approx(begun, rel=1e-6)
    torch.testing.assert_close(dict(model.state_dict()), dict(twin.state_dict()), rtol=1e-5, atol=1e-7)


def test_a_run_of_lbfgs_resumes_bit_for_bit(tmp_path):
    make = lambda p: torch.optim.LBFGS(p, lr=0.3, history_size=5, max_iter=4, line_search_fn="strong_wolfe")
    settings = dict(steps=20, batch_size=16, evaluate_every=3, optimizer=make, progress=False)
    whole, resumed, path = network(), network(), tmp_path / "run.safetensors"
    sl.fit(whole, labelled(50), **settings)
    with killed_at(11):
        sl.fit(network(), labelled(50), checkpoint=path, **settings)
    sl.fit(resumed, labelled(50), checkpoint=path, **settings)
    assert same_weights(whole, resumed)


def test_history_plots_itself():
    matplotlib = pytest.importorskip("matplotlib", reason="plot extra not installed")
    matplotlib.use("Agg")
    history = sl.fit(network(), labelled(10), steps=5, validation=labelled(10, seed=1), progress=False)
    assert history.plot() is not None


@pytest.mark.parametrize("settings, error, message", [
    (dict(steps=0), ValueError, "steps: expected a positive integer, got 0"),
    (dict(steps=2.5), ValueError, "steps: expected a positive integer, got 2.5"),
    (dict(batch_size=0), ValueError, "batch_size: expected a positive integer"),
    (dict(lr=-1.0), ValueError, "lr: expected a positive number"),
    (dict(patience=3), ValueError, "patience: expected validation data"),
    (dict(metric="nonsense"), ValueError, "metric: expected one of loss, value_mse, jacobian_mse, got 'nonsense'"),
    (dict(metric="value_mse"), ValueError, "metric: expected validation data to measure 'value_mse' on"),
    (dict(validation=labelled(5, order=0)), ValueError, "validation: expected .* up to the jacobian"),
    (dict(validation=labelled(5)[:0]), ValueError, "validation: expected points"),
    (dict(validation=labelled(5, dtype=torch.float64)), TypeError, "validation: expected torch.float32"),
    (dict(validation=sl.SobolevData(torch.rand(4, 3), torch.rand(4), torch.rand(4, 3))), ValueError,
     r"validation: expected inputs of shape \(2,\) .* got \(3,\)"),
    (dict(steps=True), ValueError, "steps: expected a positive integer, got True"),
    (dict(seed=0.5), ValueError, "seed: expected an integer, got 0.5"),
    (dict(lr=float("nan")), ValueError, "lr: expected a positive number"),
    (dict(optimizer=lambda p: torch.optim.SGD(p, lr=1.0), lr=0.1), ValueError, "lr: expected none beside an optimizer"),
    (dict(scheduler=LR.StepLR(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0), 5)), ValueError,
     "scheduler: expected one of the optimizer that is given here"),
    (dict(checkpoint="/proc/no/such/folder/run.safetensors"), ValueError, "checkpoint: expected a file that can be written"),
    (dict(checkpoint=Path(__file__).parent), ValueError, "checkpoint: expected a file that can be written.*it is a folder"),
    (dict(validation=labelled(5), metric="accuracy", patience=3), ValueError, "metric: expected one of .* got 'accuracy'"),
    (dict(validation=labelled(5).inputs), TypeError, "validation: expected SobolevData"),
    (dict(loss=nn.MSELoss()), TypeError, "loss: expected a SobolevLoss"),
    (dict(loss=sl.SobolevLoss(2)), ValueError, "expected labels up to the hessian"),
    (dict(optimizer=lambda p: "adam"), TypeError, "optimizer: expected a torch.optim.Optimizer"),
    (dict(report=[1]), ValueError, "report: expected on_step beside it"),
    (dict(report=[0], on_step=print), ValueError, "report: expected steps from 1 to 1000, got 0"),
    (dict(report=[5, 11], on_step=print, steps=10), ValueError, "report: expected steps from 1 to 10, got 11"),
    (dict(report=5, on_step=print), ValueError, "report: expected steps from 1 to 1000, got 5"),
    (dict(optimizer=torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)), ValueError, "holds none of them"),
    (dict(scheduler=lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o)), TypeError, "schedule of steps alone"),
    (dict(weight_schedule=lambda t: (1.0,)), ValueError, "weight_schedule: expected 2 weights"),
    (dict(lr=1e30, steps=50), FloatingPointError, "a lower learning rate"),
])
def test_bad_settings(settings, error, message):
    with pytest.raises(error, match=message):
        sl.fit(network(activation="relu"), labelled(10), progress=False, **settings)


@pytest.mark.parametrize("model, data, error, message", [
    (lambda x: x, labelled(5), TypeError, "model: expected an nn.Module"),
    (nn.Identity(), labelled(5), ValueError, "expected parameters to train"),
    (network(), labelled(5).inputs, TypeError, "source: expected SobolevData .* or a Teacher"),
    (network(), labelled(5, dtype=torch.float64), TypeError, "expected parameters of dtype torch.float64"),
    (sl.models.MLP(2, 8, 3), labelled(5), ValueError, r"expected outputs of shape \(5,\).* got \(5, 3\)"),
])
def test_bad_model_or_data(model, data, error, message):
    with pytest.raises(error, match=message):
        sl.fit(model, data, steps=1, progress=False)


@pytest.mark.parametrize("model", [sl.models.MLP(2, 32, 1, activation="silu"),
                                   torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.Mish(), torch.nn.Linear(32, 1))])
@pytest.mark.parametrize("loss", [sl.SobolevLoss(0), sl.SobolevLoss(1, normalize=True)], ids=["regular", "sobolev"])
def test_a_whole_fit_within_autocast_learns(model, loss, device):
    """Autocast keeps its short copies of the weights for the length of the block: they must not go stale."""
    f, model = sl.functions.booth, copy.deepcopy(model)
    data = sl.label(f, f.sample(50, generator=torch.Generator().manual_seed(0), device=device))
    model = sl.Standardized(model, data)
    with torch.autocast(device, torch.bfloat16):
        history = sl.fit(model, data, loss=loss, steps=300, lr=1e-2, device=device, progress=False)
    assert history.train["loss"][-1] < 0.1 * history.train["loss"][0]
    assert (model(data.inputs)[:, 0] - data.values).square().mean() < 0.1 * data.values.var()


# --- arguments that must have an effect, and modes that must have none ----------------------------------------------

def test_the_rate_reaches_the_class_of_an_optimizer():
    expected, model = network(), network()
    sl.fit(expected, labelled(20), optimizer=lambda p: torch.optim.SGD(p, lr=0.01), steps=5, progress=False)
    sl.fit(model, labelled(20), optimizer=torch.optim.SGD, lr=0.01, steps=5, progress=False)
    assert same_weights(model, expected)
    own, model = network(), network()
    sl.fit(own, labelled(20), optimizer=lambda p: torch.optim.SGD(p), steps=5, progress=False)
    sl.fit(model, labelled(20), optimizer=torch.optim.SGD, steps=5, progress=False)
    assert same_weights(model, own)
    with pytest.raises(ValueError, match="lr: expected none beside an optimizer that brings its own, got 0.1"):
        sl.fit(model, labelled(20), optimizer=torch.optim.SGD(model.parameters()), lr=0.1, steps=5, progress=False)


@pytest.mark.parametrize("steps", [np.int64(12), np.uint8(12)])
def test_numpy_numbers_are_numbers(steps):
    one, other = network(), network()
    sl.fit(one, labelled(20), steps=12, lr=0.5, batch_size=5, seed=3, loss=sl.SobolevLoss(1, weights=(1, 0.5)), progress=False)
    sl.fit(other, labelled(20), steps=steps, lr=np.float64(0.5), batch_size=np.int32(5), seed=np.int64(3),
           loss=sl.SobolevLoss(np.int64(1), weights=np.array([1, 0.5])), progress=False)
    assert same_weights(one, other)


def batch_normalised():
    return seeded(nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 1)))


@pytest.mark.parametrize("part", [1, 3])
def test_validation_leaves_each_module_in_its_mode(part):
    """A batch normalisation that was frozen by eval() stays so: validating changes nothing in the training."""
    weights = []
    for validation in (None, labelled(9, seed=1)):
        model = batch_normalised()
        model[part].eval()
        sl.fit(model, labelled(20), loss=sl.SobolevLoss(0), steps=10, evaluate_every=2, validation=validation, progress=False)
        assert [module.training for module in model] == [k != part for k in range(5)]
        weights.append(model)
    assert same_weights(*weights)


def test_modes_come_back_after_an_exception():
    model = seeded(nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 1)))

    def fails(prediction, target):
        if not model.training:
            raise KeyboardInterrupt
        return (prediction - target).square()

    with pytest.raises(KeyboardInterrupt):
        sl.fit(model, labelled(20), loss=sl.SobolevLoss(0, value_loss=fails), steps=2, validation=labelled(5), progress=False)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("broken", ["cut short", "empty", "text", "another kind", "a bit"])
def test_a_broken_checkpoint_is_refused_by_name(broken, tmp_path):
    path = tmp_path / "run.safetensors"
    trained(path)
    whole = path.read_bytes()
    at = len(whole) - 40                                   # within a tensor
    path.write_bytes({"cut short": whole[:-7], "empty": b"", "text": b"{}", "another kind": whole,
                      "a bit": whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1:]}[broken])
    if broken == "another kind":
        save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="checkpoint: expected .*run.safetensors"):
        trained(path)


@pytest.mark.parametrize("outputs", [1, 2, 3, 7])
@pytest.mark.parametrize("order", [0, 1])
def test_gradients_lie_in_order_for_optimisers_that_flatten_them(outputs, order):
    # L-BFGS takes views of gradients; of three outputs the last layer's were transposed, and it failed
    model = sl.models.MLP(2, 8, 8, outputs, activation="tanh")
    data = sl.label(lambda x: torch.stack([(k * x[:, 0]).sin() + x[:, 1] for k in range(1, outputs + 1)], dim=1), torch.rand(20, 2))
    history = sl.fit(model, data, loss=sl.SobolevLoss(order), steps=3, progress=False,
                     optimizer=lambda p: torch.optim.LBFGS(p, line_search_fn="strong_wolfe"))
    assert history.train["loss"][-1] < history.train["loss"][0]
    assert all(p.grad.is_contiguous() for p in model.parameters())
