"""fit(): what it minimises, resume, early stopping, schedules, z-scores, seeds, errors."""
import copy
import json

import pytest
import torch
from safetensors import safe_open
from torch import nn

import sobolev_lib as sl

F = sl.functions.styblinski_tang


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


def killed_at(step, make):
    """A schedule that ends the process, so to speak, in the middle of training."""
    def scheduler(optimizer):
        schedule, original, calls = make(optimizer), None, [0]
        original = schedule.step

        def counted(*args):
            calls[0] += 1
            if calls[0] == step:
                raise Killed
            original(*args)

        schedule.step = counted
        return schedule
    return scheduler


SCHEDULES = {
    "one-cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 1e-2, total_steps=61),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 60),
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, 25, gamma=0.3),
    "lambda": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + t)),
}
OPTIMIZERS = {
    "adam": None,
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9),
    "adamw-amsgrad": lambda p: torch.optim.AdamW(p, lr=1e-3, amsgrad=True),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_resumed_run_ends_bit_for_bit_where_the_uninterrupted_one_does(tmp_path, schedule, optimizer, device):
    data, validation = labelled(50), labelled(60, seed=1)

    def make():
        # dropout draws from the global generator, batches and projections from their own: all must come back
        hidden = sl.models.MLP(2, 16, 16, generator=torch.Generator().manual_seed(0))
        last = sl.models.MLP(16, 1, generator=torch.Generator().manual_seed(1))
        return sl.Standardized(nn.Sequential(hidden, nn.Tanh(), nn.Dropout(0.2), last), data)

    settings = dict(loss=sl.StochasticSobolevLoss(1, distribution="gaussian"), steps=60, batch_size=16, patience=50,
                    validation=validation, metric="value_mse", evaluate_every=7, optimizer=OPTIMIZERS[optimizer],
                    device=device, progress=False)
    whole = make()
    expected = sl.fit(whole, data, scheduler=SCHEDULES[schedule], **settings)
    path = tmp_path / "run.safetensors"
    with pytest.raises(Killed):
        sl.fit(make(), data, scheduler=killed_at(40, SCHEDULES[schedule]), checkpoint=path, **settings)
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
    count = lambda progress: calls.append(progress) or (1.0, 1.0)
    with pytest.raises(Killed):
        sl.fit(network(), labelled(20), steps=40, evaluate_every=10, checkpoint=path, progress=False,
               weight_schedule=count, scheduler=killed_at(25, SCHEDULES["step"]))
    calls.clear()
    sl.fit(network(), labelled(20), steps=40, evaluate_every=10, checkpoint=path, progress=False, weight_schedule=count,
           scheduler=SCHEDULES["step"])
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


def test_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    settings = dict(steps=20, checkpoint=path, progress=False)
    sl.fit(network(), labelled(20), **settings)
    for changed in (dict(seed=1), dict(batch_size=5), dict(lr=2e-3), dict(steps=30), dict(loss=sl.SobolevLoss(0))):
        with pytest.raises(ValueError, match="belongs to another run"):
            sl.fit(network(), labelled(20), **settings | changed)
    with pytest.raises(ValueError, match="belongs to another run"):
        sl.fit(network(), labelled(20, seed=5), **settings)


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
    (dict(validation=labelled(5), metric="accuracy", patience=3), ValueError, "metric: expected one of .* got 'accuracy'"),
    (dict(validation=labelled(5).inputs), TypeError, "validation: expected SobolevData"),
    (dict(loss=nn.MSELoss()), TypeError, "loss: expected a SobolevLoss"),
    (dict(loss=sl.SobolevLoss(2)), ValueError, "expected labels up to the hessian"),
    (dict(optimizer=lambda p: "adam"), TypeError, "optimizer: expected a torch.optim.Optimizer"),
    (dict(optimizer=torch.optim.LBFGS), TypeError, "needs no closure"),
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
    (network(), labelled(5).inputs, TypeError, "data: expected SobolevData"),
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
