"""train_many against a plain loop with torch.optim.Adam, one network at a time."""
import copy
import math
from pathlib import Path

import numpy as np
import pytest
import reference
import torch
from forks import fork, kill_at, run_code

import sobolev_lib as sl
from sobolev_lib import SobolevLoss, functions, label
from sobolev_lib.fast import train_many
from sobolev_lib.models import MLP
from sobolev_lib.scaling import Standardized
from sobolev_lib.training.together import WARM_UP

DOUBLE = torch.float64
STEPS = 12
# a CUDA graph holds its learning rates in single precision
TOLERANCE = {"cpu": {"rtol": 1e-8, "atol": 1e-9}, "cuda": {"rtol": 1e-6, "atol": 1e-7}}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def networks(count=3, activation="tanh", outputs=1, device=None):
    return [MLP(2, 6, outputs, activation=activation, generator=seeded(k), dtype=DOUBLE, device=device)
            for k in range(count)]


def sets(count=3, n=12, order=1, device="cpu"):
    f = sl.functions.styblinski_tang
    scaled = lambda x: f(x) / 50
    return [sl.label(scaled, f.sample(n, generator=seeded(10 + k), dtype=DOUBLE, device=device), order)
            for k in range(count)]


def one_by_one(model, data, order, lr, weights, seed, batch_size):
    """The same training in the plainest form: Adam, a cosine from lr to 0, the loss from the slow reference."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 0.5 * (1 + math.cos(math.pi * t / STEPS)))
    generator = seeded(seed)
    for _ in range(STEPS):
        rows = torch.arange(len(data))
        if batch_size is not None and batch_size < len(data):
            rows = torch.randint(len(data), (batch_size,), generator=generator)
        optimizer.zero_grad()
        labels = [tensor[rows] for tensor in data.derivatives[:order + 1]]
        reference.loss(lambda x: model(x)[:, 0], data.inputs[rows], labels, weights).backward()
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("order, activation", [(0, "relu"), (1, "relu"), (1, "tanh"), (2, "tanh")])
@pytest.mark.parametrize("batch_size", [None, 4, 12])
def test_equals_training_one_by_one(order, activation, batch_size, device):
    """On a GPU too, where all steps but the first few are a CUDA graph's."""
    assert STEPS > 3 * WARM_UP
    n = 12 if order < 2 else 5
    models, data = networks(activation=activation, device=device), sets(n=n, order=max(order, 1), device=device)
    plain = copy.deepcopy(models)
    lr, seeds = [1e-2, 3e-3, 1e-3], [5, 6, 5]
    weights = [(1.0, 0.5, 0.1)[:order + 1], (0.3, 0.0, 0.0)[:order + 1], (1, 2, 3)[:order + 1]]
    train_many(models, data, loss=SobolevLoss(order), steps=STEPS, lr=lr, weights=weights, seeds=seeds,
               batch_size=batch_size)
    for k, model in enumerate(plain):
        before = copy.deepcopy(model.state_dict())
        one_by_one(model, data[k], order, lr[k], weights[k], seeds[k], batch_size)
        for name, tensor in model.state_dict().items():
            torch.testing.assert_close(models[k].state_dict()[name], tensor, **TOLERANCE[device])
        assert any((before[name] - tensor).abs().max() > 1e-3 for name, tensor in model.state_dict().items())


def test_it_is_fit_with_a_rate_that_falls_along_a_cosine():
    """All that sets it apart from ``fit`` and ``fit_many`` where a step takes all points: they keep the rate they are given."""
    data, start = sets(1)[0], networks(1)[0]
    trained, with_cosine, constant = (copy.deepcopy(start) for _ in range(3))
    train_many([trained], [data], loss=sl.SobolevLoss(1), steps=60, lr=[1e-2], weights=[(1.0, 1.0)], seeds=[0])
    options = dict(loss=sl.SobolevLoss(1), steps=60, lr=1e-2, progress=False)
    sl.fit(with_cosine, data, scheduler=lambda adam: torch.optim.lr_scheduler.CosineAnnealingLR(adam, 60), **options)
    sl.fit_many([constant], data, **options)
    for name, weight in trained.named_parameters():
        torch.testing.assert_close(weight, with_cosine.get_parameter(name), rtol=1e-8, atol=1e-10)
    assert max((weight - constant.get_parameter(name)).abs().max() for name, weight in trained.named_parameters()) > 1e-3


def test_each_network_is_independent_of_its_neighbours(device):
    data = sets(device=device)
    together, alone = networks(device=device), networks(device=device)
    options = dict(loss=SobolevLoss(1, normalize=True), steps=STEPS, batch_size=5)
    train_many(together, data, lr=[1e-2] * 3, weights=[(1, 1)] * 3, seeds=[0, 1, 2], **options)
    train_many(alone[1:2], data[1:2], lr=[1e-2], weights=[(1, 1)], seeds=[1], **options)
    for a, b in zip(together[1].parameters(), alone[1].parameters()):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


def test_reports_come_after_the_steps_asked_for_with_current_weights(device):
    models, seen = networks(device=device), []
    start = [model[0].weight.detach().clone() for model in models]

    def on_step(step, reported):
        seen.append(step)
        assert [id(model) for model in reported] == [id(model) for model in models]
        moved = (models[0][0].weight - start[0]).abs().max()
        # Adam moves a weight by lr in its first step, whatever the gradient
        assert (moved < 1.01e-2) == (step == 1)

    train_many(models, sets(device=device), loss=SobolevLoss(), steps=10, lr=[1e-2] * 3, weights=[(1, 1)] * 3, seeds=[0] * 3,
               on_step=on_step, report=[1, 4, 10])
    assert seen == [1, 4, 10]


# --- checkpoints ------------------------------------------------------------------------------------------------

def resumable(at_once=None, batch_size=5, device="cpu", **options):
    """Five networks, in chunks and in blocks of batches that end at other steps than reports do."""
    models = networks(5, device=device)
    seen = train_many(models, sets(5, device=device), loss=SobolevLoss(1, normalize=True), steps=75, lr=[1e-2, 3e-3, 1e-2, 1e-3, 1e-3],
                      weights=[(1, 1)] * 5, seeds=[0, 1, 2, 3, 0], batch_size=batch_size, at_once=at_once,
                      on_step=lambda step, models: [step, float(models[0][0].weight.detach().sum())], report=[7, 20, 35, 75],
                      **options)
    return seen, [p.detach() for model in models for p in model.parameters()]


KILLED = """
import sys, time
sys.path[:0] = sys.argv[3:]
from test_fast import resumable

def on_checkpoint(step, steps):
    print(step, flush=True)
    if step >= int(sys.argv[2]):
        time.sleep(250)             # wait here to be killed

resumable(at_once=2, checkpoint=sys.argv[1], checkpoint_seconds=0, on_checkpoint=on_checkpoint)
"""


def test_a_killed_process_loses_nothing_and_the_result_is_bit_for_bit_the_same(tmp_path):
    """At one step; what is stopped anywhere goes on by the next test."""
    at, path, output = 25, tmp_path / "run.safetensors", tmp_path / "output"
    kill_at(fork(run_code, KILLED, path, at, Path(__file__).parent, output=output), at, output)
    steps = []
    seen, weights = resumable(at_once=2, checkpoint=path, checkpoint_seconds=0,
                              on_checkpoint=lambda step, steps_: steps.append(step))
    assert steps[0] >= at and steps == sorted(steps), "it began again from the start"
    whole_seen, whole = resumable(at_once=2)
    assert seen == whole_seen and [step for step, _ in seen] == [7, 20, 35, 75]
    assert all(torch.equal(a, b) for a, b in zip(weights, whole))


@pytest.mark.parametrize("batch_size", [None, 5])
def test_stopping_at_a_checkpoint_changes_nothing(batch_size, tmp_path, device):
    path, count, seen = tmp_path / "run.safetensors", 0, None

    def stop(step, steps):
        assert steps == 75 and 0 < step <= 75
        raise KeyboardInterrupt

    while seen is None:
        count += 1
        try:
            seen, weights = resumable(batch_size=batch_size, device=device, checkpoint=path, checkpoint_seconds=0,
                                      on_checkpoint=stop)
        except KeyboardInterrupt:
            pass
    assert count > 5
    whole_seen, whole = resumable(batch_size=batch_size, device=device)
    assert seen == whole_seen and all(torch.equal(a, b) for a, b in zip(weights, whole))


def test_a_checkpoint_of_another_call_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    resumable(checkpoint=path, checkpoint_seconds=0)
    for other in (dict(at_once=2), dict(batch_size=4)):
        with pytest.raises(ValueError, match="belongs to another run"):
            resumable(checkpoint=path, **other)


def test_a_checkpoint_of_other_networks_or_losses_is_refused(tmp_path):
    """Even of networks that print alike: train_many knows a model by all that is in it."""
    def train(seed=0, loss=SobolevLoss(1), function=torch.tanh, **options):
        models = [MLP(2, 4, 4, 1, generator=seeded(seed + k)) for k in (0, 1)]
        for model in models:
            model[1] = Applied(function)
        found = [label(functions.booth, functions.booth.sample(30, generator=seeded(k))) for k in (0, 1)]
        options = dict(lr=[1e-3] * 2, weights=[(1, 1)] * 2, seeds=[0, 1], checkpoint=path, checkpoint_seconds=0) | options
        train_many(models, found, loss=loss, steps=3, batch_size=5, **options)
        return torch.cat([p.detach().flatten() for model in models for p in model.parameters()])

    path = tmp_path / "run.safetensors"
    whole = train()
    for other, what in ((dict(seed=5), "initial weights"), (dict(function=torch.sin), "model"),
                        (dict(loss=SobolevLoss(1, derivative_loss="norm")), "loss"),
                        (dict(loss=SobolevLoss(1, derivative_loss=absolute)), "loss"),
                        (dict(lr=[1e-3, 2e-3]), "lr, weights or seeds")):
        with pytest.raises(ValueError, match=rf"belongs to another run \({what} differ\)"):
            train(**other)
    for unnamed in (dict(loss=SobolevLoss(1, value_loss=lambda p, t: (p - t).square())), dict(function=lambda z: z.tanh())):
        with pytest.raises(ValueError, match="got a lambda; write it with def"):
            train(**unnamed)
    assert torch.equal(train(), whole)


class Applied(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, z):
        return self.function(z)


def absolute(prediction, target):
    return (prediction - target).abs().flatten(1).sum(1)


def test_networks_that_print_alike_but_compute_differently_are_refused():
    for functions_ in ((torch.tanh, torch.sin), (lambda z: z.tanh(), lambda z: z.sin()), (scaled_by(1.0), scaled_by(2.0))):
        models = networks(2)
        for model, function in zip(models, functions_):
            model[1] = Applied(function)
        assert repr(models[0]) == repr(models[1])
        options = dict(loss=SobolevLoss(1), steps=2, lr=[1e-2] * 2, weights=[(1, 1)] * 2, seeds=[0, 1])
        with pytest.raises(ValueError, match="expected one architecture with the same constants"):
            train_many(models, sets(2), **options)
        models[1][1] = Applied(functions_[0])
        train_many(models, sets(2), **options)


def scaled_by(factor):
    return lambda z: (factor * z).tanh()


@pytest.mark.parametrize("order", [0, 1])
def test_a_checkpoint_of_other_data_is_refused(order, tmp_path):
    """Even of data that look alike: standardised, all have the same mean square."""
    def train(function, seed, **options):
        models, sets = [MLP(2, 4, 1, generator=seeded(k)) for k in (0, 1)], []
        for k, model in enumerate(models):
            raw = label(function, function.sample(30, generator=seeded(seed + k)))
            sets.append(Standardized(model, raw).standardize(raw))
        train_many(models, sets, loss=SobolevLoss(order), steps=3, lr=[1e-3] * 2, weights=[(1, 1)[:order + 1]] * 2,
                   seeds=[0, 1], batch_size=5, checkpoint=tmp_path / "run.safetensors", checkpoint_seconds=0, **options)

    train(functions.booth, 0)
    for function, seed in ((functions.booth, 5), (functions.rosenbrock, 0)):
        with pytest.raises(ValueError, match="belongs to another run"):
            train(function, seed)
    train(functions.booth, 0)


def test_batches_drawn_ahead_are_those_drawn_one_by_one():
    for n, size, steps in ((7, 3, 5), (10_000, 128, 32)):
        ahead, single = seeded(3), seeded(3)
        block = torch.randint(n, (steps, size), generator=ahead)
        assert torch.equal(block, torch.stack([torch.randint(n, (size,), generator=single) for _ in range(steps)]))
        assert torch.equal(ahead.get_state(), single.get_state())


def test_models_train_in_place_and_keep_no_graph(device):
    models = networks(device=device)
    before = [[p.detach().clone() for p in model.parameters()] for model in models]
    addresses = [p.data_ptr() for model in models for p in model.parameters()]
    train_many(models, sets(device=device), loss=SobolevLoss(), steps=5, lr=[1e-2] * 3, weights=[(1, 1)] * 3, seeds=[0] * 3)
    assert [p.data_ptr() for model in models for p in model.parameters()] == addresses
    for model, old in zip(models, before):
        for p, q in zip(model.parameters(), old):
            assert p.requires_grad and p.is_leaf and p.grad is None and not torch.equal(p, q)


def test_it_learns(device):
    f = sl.functions.booth
    data = [sl.label(lambda x: f(x) / 500, f.sample(50, generator=seeded(k), device=device)) for k in range(2)]
    models = [MLP(2, 32, 1, activation="tanh", generator=seeded(k), device=device) for k in range(2)]
    before = [float(SobolevLoss()(m, d).detach()) for m, d in zip(models, data)]
    train_many(models, data, loss=SobolevLoss(), steps=300, lr=[1e-2] * 2, weights=[(1, 1)] * 2, seeds=[0, 1])
    for model, own, start in zip(models, data, before):
        assert float(SobolevLoss()(model, own).detach()) < 0.02 * start


@pytest.mark.parametrize("wrong, message", [
    (dict(lr=[1e-2]), r"lr: expected one per model, 3, got 1"),
    (dict(weights=[(1, 1)] * 4), r"weights: expected one per model, 3, got 4"),
    (dict(seeds=[]), r"seeds: expected one per model, 3, got 0"),
    (dict(weights=[(1, 1), (1,), (1, 1)]), r"weights: expected 2 numbers for a loss of order 1, got \(1,\)"),
    (dict(data=sets(2)), r"data: expected one per model, 3, got 2"),
    (dict(data=sets(2) + sets(1, n=7)), r"data: expected data sets of equal shapes, got"),
    (dict(lr=[1e-2, math.nan, 1e-2]), r"lr: expected a positive number, got nan"),
    (dict(lr=[1e-2, -1e-2, 1e-2]), r"lr: expected a positive number, got -0.01"),
    (dict(lr={1e-2, 1e-3, 1e-4}), r"lr: expected a list of one per model, 3, got {"),
    (dict(weights=[(1, 1), (1, math.nan), (1, 1)]), r"weights: expected finite numbers >= 0, got \(1, nan\)"),
    (dict(weights=[(1, 1), (1, -1), (1, 1)]), r"weights: expected finite numbers >= 0, got \(1, -1\)"),
    (dict(weights=[(1, 1), {1, 0.5}, (1, 1)]), r"weights: expected 2 numbers for a loss of order 1, got {"),
    (dict(steps=-3), r"steps: expected a positive integer, got -3"),
    (dict(steps=math.nan), r"steps: expected a positive integer, got nan"),
    (dict(batch_size=0), r"batch_size: expected a positive integer, got 0"),
    (dict(at_once=0), r"at_once: expected a positive integer, got 0"),
    (dict(seeds=[0, 1.5, 2]), r"seeds: expected integers, got 1.5"),
    (dict(report=[1]), r"report: expected on_step beside it, got none"),
    (dict(on_checkpoint=print), r"on_checkpoint: expected checkpoint beside it, got none"),
    (dict(checkpoint_seconds=-1), r"checkpoint_seconds: expected a number >= 0, got -1"),
    (dict(checkpoint=Path(__file__).parent), r"checkpoint: expected a file that can be written"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_lists_that_do_not_fit(wrong, message):
    options = dict(data=sets(), loss=SobolevLoss(), steps=2, lr=[1e-2] * 3, weights=[(1, 1)] * 3, seeds=[0] * 3) | wrong
    with pytest.raises(ValueError, match=message):
        train_many(networks(), **options)


def test_numpy_numbers_train_the_same():
    one, other = networks(), networks()
    options = dict(loss=SobolevLoss(), batch_size=5)
    train_many(one, sets(), steps=4, lr=[1e-2] * 3, weights=[(1, 0.5)] * 3, seeds=[0, 1, 2], **options)
    train_many(other, sets(), steps=np.int64(4), lr=np.full(3, 1e-2), weights=np.array([[1, 0.5]] * 3), seeds=np.arange(3),
               **options)
    assert all(torch.equal(a, b) for pair in zip(one, other) for a, b in zip(*[model.parameters() for model in pair]))


def test_a_network_that_diverges_is_told_and_its_neighbours_go_on():
    models = networks(2)
    with pytest.warns(UserWarning, match=r"networks \[1\] are no longer finite"):
        train_many(models, sets(2), loss=SobolevLoss(), steps=50, lr=[1e-3, 1e300], weights=[(1, 1)] * 2, seeds=[0, 1])
    assert all(p.isfinite().all() for p in models[0].parameters())


def test_models_whose_state_would_be_lost_are_refused():
    frozen = networks()
    frozen[1][0].weight.requires_grad_(False)
    scaled = [sl.Standardized(model, data) for model, data in zip(networks(), sets())]
    for models, name in ((frozen, "0.weight"), (scaled, "input_mean")):
        with pytest.raises(ValueError, match=f"expected trainable parameters only, got .*{name}"):
            train_many(models, sets(), loss=SobolevLoss(), steps=2, lr=[1e-2] * 3, weights=[(1, 1)] * 3, seeds=[0] * 3)


@pytest.fixture
def quick_compiler(monkeypatch):
    """The same graph, run without the minutes that its C++ would take to build."""
    compile = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **options: compile(function, backend="aot_eager", **options))


def _many(models, data, order, compile):
    train_many(models, data, loss=SobolevLoss(order), steps=5, lr=[1e-2, 1e-3], weights=[(1.0, 0.5, 0.1)[:order + 1]] * 2,
               seeds=[0, 1], compile=compile)


def _fit(models, data, order, compile):
    for model, own in zip(models, data):
        sl.fit(model, own, loss=SobolevLoss(order), steps=5, batch_size=4, progress=False, compile=compile)


def _fit_many(models, data, order, compile):
    """In epochs of two widths, each of which is compiled, with divisors that are each network's own."""
    sl.fit_many(models, data, loss=SobolevLoss(order, normalize=True), steps=4, batch_size=3, progress=False, compile=compile)


@pytest.mark.parametrize("train, order, activation, outputs", [
    *[pytest.param(train, *case, marks=pytest.mark.slow)
      for train in (_many, _fit, _fit_many) for case in ((0, "relu", 1), (2, "tanh", 1)) if (train, case[0]) != (_many, 2)],
    (_many, 2, "tanh", 1), pytest.param(_many, 1, "tanh", 2, marks=pytest.mark.slow), (_fit, 1, "relu", 1), (_fit_many, 1, "tanh", 2)])
def test_compiled_training_is_the_same(train, order, activation, outputs, device, quick_compiler):
    models = networks(2, activation, outputs, device)
    f = sl.functions.styblinski_tang
    function = f if outputs == 1 else lambda x: torch.stack([f(x) / 50, x[:, 0] ** 2], dim=1)
    data = [sl.label(function, f.sample(8, generator=seeded(k), dtype=DOUBLE, device=device), max(order, 1))
            for k in range(2)]
    count = 1 if train is _fit else 2                      # each of fit's networks has a step of its own to compile
    plain, compiled = copy.deepcopy(models[:count]), copy.deepcopy(models[:count])
    train(plain, data, order, compile=False)
    train(compiled, data, order, compile=True)
    for a, b, start in zip(plain, compiled, models):
        assert not torch.equal(a[0].weight, start[0].weight)
        torch.testing.assert_close(dict(a.state_dict()), dict(b.state_dict()), rtol=1e-8, atol=1e-10)


@pytest.mark.slow
def test_compiled_training_under_autocast(device, quick_compiler):
    model = MLP(2, 16, 1, generator=seeded(0), device=device)
    data = sets(1, device=device)[0].to(torch.float32)
    with torch.autocast(device, torch.bfloat16):
        history = sl.fit(model, data, steps=30, lr=1e-2, evaluate_every=1, progress=False, compile=True)
    assert model[0].weight.dtype == torch.float32 and history.train["loss"][-1] < history.train["loss"][0]


def test_where_compilation_fails_the_message_says_what_to_do(monkeypatch):
    def broken(graph, inputs):
        raise OSError("no C++ compiler")

    compile = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **options: compile(function, backend=broken, **options))
    with pytest.raises(RuntimeError, match="(?s)needs a C.. compiler.*without compile the result is the same.*no C.. compiler"):
        sl.fit(networks(1)[0], sets(1)[0], steps=2, progress=False, compile=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")          # PyTorch's own
@pytest.mark.parametrize("order", [0, 1])
def test_compiled_training_is_the_same_with_the_real_compiler(order):
    models, data = networks(2, "relu"), sets(2)
    for train in (_many, _fit, _fit_many):
        plain, compiled = copy.deepcopy(models), copy.deepcopy(models)
        train(plain, data, order, compile=False)
        train(compiled, data, order, compile=True)
        for a, b in zip(plain, compiled):
            torch.testing.assert_close(dict(a.state_dict()), dict(b.state_dict()), rtol=1e-8, atol=1e-10)
