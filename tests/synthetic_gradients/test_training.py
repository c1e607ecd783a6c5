"""Training decoupled networks: the same steps as by hand, resumed runs, several processes."""
import math
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sobolev_lib.synthetic_gradients import DecoupledNetwork, InMemory, evaluate, train, training
from sobolev_lib.synthetic_gradients.images import Images


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def images(n=60, classes=3):
    """Small pictures whose brightest column says the class."""
    labels = torch.randint(classes, (n,), generator=seeded(0))
    pictures = torch.randint(60, (n, 1, 6, 6), generator=seeded(1), dtype=torch.uint8)
    pictures[torch.arange(n), 0, :, labels] += 120
    return Images("stripes", classes, (pictures[:-15], labels[:-15]), (pictures[-15:], labels[-15:]), "folder")


def cut(method="sobolev", seed=0, norm=False, device="cpu", **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(OrderedDict(
            one=nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4) if norm else nn.Identity(), nn.Tanh()),
            two=nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Tanh()), three=nn.Linear(8, 3)))
    return DecoupledNetwork(network, ["one", "two"], method, example=torch.zeros(2, 1, 6, 6), width=6,
                            generator=seeded(seed), **options).to(device)


def vector(model):
    return torch.cat([tensor.detach().flatten().double() for tensor in model.state_dict().values()])


def run(model, steps=8, device="cpu", augmented=False, **options):
    batches = InMemory(images(), 10, seed=3, augmented=augmented, device=device)
    return train(model, batches, steps=steps, progress=False, **{"lr": 1e-2, "synthetic_lr": 2e-2, **options})


# --- the steps --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_steps_are_those_of_two_optimisers_with_falling_rates(name, device):
    model, plain = cut(device=device), cut(device=device)
    run(model, device=device, optimizer=name, weight_decay=0.01)
    make = (lambda p: torch.optim.Adam(p, lr=1e-2, weight_decay=0.01)) if name == "adam" else \
        (lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, nesterov=True, weight_decay=0.01))
    optimizers = [make(plain.network.parameters()), torch.optim.Adam(plain.synthetic.parameters(), lr=2e-2)]
    stream = InMemory(images(), 10, seed=3, device=device)(0)
    for step in range(8):
        for optimizer, rate in zip(optimizers, (1e-2, 2e-2)):
            optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * step / 8)) / 2
            optimizer.zero_grad()
        plain.objective(*next(stream))[0].backward()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(vector(model), vector(plain), rtol=1e-4, atol=1e-6)


def test_small_batches_make_the_step_of_a_large_one(device):
    """The network's own gradient is a mean over rows, so halves average to the whole."""
    models = [cut("backprop", device=device), cut("backprop", device=device)]
    data = images()
    for model, size, accumulate in zip(models, (20, 10), (1, 2)):
        train(model, InMemory(data, size, seed=3, device=device), steps=2, lr=1e-2, accumulate=accumulate, progress=False)
    torch.testing.assert_close(vector(models[0]), vector(models[1]), rtol=1e-4, atol=1e-6)


def test_a_run_learns_and_its_history_says_so(device):
    model, data = cut(device=device), images()
    history = run(model, steps=60, device=device, report_every=20, test_every=30, test=InMemory(data, 10).test)
    assert history.steps == [20, 40, 60] and history.test_steps == [30, 60] and history.seconds > 0
    assert history.loss[-1] < history.loss[0] and history.test_accuracy[-1] > 0.8 > 1 / 3
    assert (history.test_loss[-1], history.test_accuracy[-1], history.test_top5[-1]) == \
        evaluate(model, InMemory(data, 10).test())
    assert len(history.cuts) == 2
    for found in history.cuts:
        assert set(found) == {"cosine", "norm_ratio", "gradient_error", "loss_error", "asymmetry"}
        assert all(len(values) == 3 and all(map(math.isfinite, values)) for values in found.values())


def test_evaluation_is_over_all_rows_in_evaluation_mode(device):
    model, data = cut(norm=True, device=device), images()
    run(model, device=device)
    (x, y), = InMemory(data, 10, device=device).test()
    assert len(x) == 15 and torch.equal(y.cpu(), data.test[1])
    assert model.training
    loss, accuracy, top5 = evaluate(model, zip(x.split(4), y.split(4)))
    assert model.training, "the mode was not put back"
    model.eval()
    logits = model(x).detach()
    assert loss == pytest.approx(F.cross_entropy(logits, y).item(), rel=1e-5)
    assert accuracy == pytest.approx((logits.argmax(1) == y).float().mean().item()) and top5 == 1


def test_the_five_best_are_counted():
    logits = torch.randn(40, 9, generator=seeded(0))
    y = torch.randint(9, (40,), generator=seeded(1))

    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.zeros(()))

        def forward(self, x):
            return x + self.shift

    _, accuracy, top5 = evaluate(Fixed(), [(logits[:25], y[:25]), (logits[25:], y[25:])])
    rank = (logits > logits.gather(1, y.unsqueeze(1))).sum(1)
    assert accuracy == pytest.approx((rank == 0).double().mean().item())
    assert top5 == pytest.approx((rank < 5).double().mean().item()) and accuracy < top5 < 1


def test_lower_precision_learns_too(device):
    model = cut(device=device)
    history = run(model, steps=60, device=device, bfloat16=True, report_every=20)
    assert history.loss[-1] < history.loss[0] and vector(model).isfinite().all()
    other = cut(device=device)
    run(other, steps=60, device=device)
    assert not torch.equal(vector(model), vector(other)), "the precision was not used"


# --- going on ---------------------------------------------------------------------------------------------------

class Stop(Exception):
    pass


# before, at and after an evaluation; before the first, between two and before the last
@pytest.mark.parametrize("killed_at, name", [(3, "adam"), (4, "adam"), (7, "sgd"), *[
    pytest.param(*case, marks=pytest.mark.slow) for case in ((3, "sgd"), (4, "sgd"), (7, "adam"))]])
def test_a_killed_run_ends_where_an_uninterrupted_one_does(tmp_path, name, killed_at, device):
    whole = cut(norm=True, device=device)
    expected = run(whole, device=device, optimizer=name, test_every=2, test=InMemory(images(), 10).test, report_every=1)

    def dying(first):
        for step, found in enumerate(InMemory(images(), 10, seed=3, device=device)(first), first):
            if step == killed_at:
                raise Stop
            yield found

    options = dict(steps=8, lr=1e-2, synthetic_lr=2e-2, optimizer=name, test_every=2, test=InMemory(images(), 10).test,
                   report_every=1, checkpoint=tmp_path / "run.safetensors", checkpoint_seconds=0, progress=False)
    with pytest.raises(Stop):
        train(cut(norm=True, device=device), dying, **options)
    model = cut(norm=True, seed=5, device=device)          # its weights come from the file
    history = train(model, InMemory(images(), 10, seed=3, device=device), **options)
    assert torch.equal(vector(model), vector(whole))
    assert {**vars(history), "seconds": 0} == {**vars(expected), "seconds": 0}


def test_checkpoints_come_by_the_clock_and_a_run_can_be_ended_after_any(tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 10))                     # seconds: ten from one look to the next
    monkeypatch.setattr(training.time, "perf_counter", lambda: next(clock))
    path, reached = tmp_path / "run.safetensors", []

    def note(step, steps):
        assert path.exists()
        reached.append((step, steps))

    run(cut(), checkpoint=path, checkpoint_seconds=25, on_checkpoint=note)
    assert reached == [(3, 8), (6, 8), (8, 8)]

    def stop(step, steps):
        raise Stop

    whole, model = cut(), cut()
    run(whole, augmented=True)
    path.unlink()
    for _ in range(8):                                     # each call gets one step further
        with pytest.raises(Stop):
            run(model, checkpoint=path, checkpoint_seconds=0, on_checkpoint=stop, augmented=True)
    run(model, checkpoint=path, checkpoint_seconds=0, on_checkpoint=stop, augmented=True)
    assert torch.equal(vector(model), vector(whole))


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    run(cut(), checkpoint=path, fingerprint="stripes")
    kept = path.read_bytes()
    for other in (dict(steps=9), dict(lr=1e-3), dict(synthetic_lr=1e-3), dict(optimizer="sgd"), dict(weight_decay=0.1),
                  dict(bfloat16=True), dict(fingerprint="dots")):
        with pytest.raises(ValueError, match="belongs to another run"):
            run(cut(), checkpoint=path, **{"fingerprint": "stripes", **other})
    with pytest.raises(ValueError, match="belongs to another run"):
        run(cut("critic"), checkpoint=path, fingerprint="stripes")
    assert path.read_bytes() == kept


def test_an_unknown_optimiser_is_named():
    with pytest.raises(ValueError, match="optimizer: expected one of adam, sgd, got 'adagrad'"):
        run(cut(), optimizer="adagrad")


# --- batches ----------------------------------------------------------------------------------------------------

def test_batches_can_be_taken_up_at_any_step(device):
    batches = InMemory(images(), 10, seed=1, augmented=True, device=device)
    stream = batches(0)
    seen = [next(stream) for _ in range(11)]               # 45 images: four batches an epoch
    for first in (1, 4, 9):
        x, y = next(batches(first))
        assert torch.equal(x, seen[first][0]) and torch.equal(y, seen[first][1])
    assert not torch.equal(seen[0][1], seen[4][1]), "each epoch has an order of its own"
    other, _ = next(InMemory(images(), 10, seed=2, augmented=True, device=device)(0))
    torch.testing.assert_close(seen[0][0].cpu(), next(InMemory(images(), 10, seed=1, augmented=True)(0))[0])
    assert not torch.equal(other, seen[0][0])


def test_an_epoch_takes_no_image_twice_and_ranks_share_it():
    data = images()
    data.train[0][:, 0, 0, 0] = torch.arange(45, dtype=torch.uint8)
    taken = []
    for rank in (0, 1):
        batches = InMemory(data, 5, seed=1, rank=rank, world=2)
        assert batches.steps_an_epoch == 4
        stream = batches(0)
        for _ in range(4):
            x, _ = next(stream)
            taken += (x[:, 0, 0, 0] * data.std[0] * 255 + data.mean[0] * 255).round().int().tolist()
    assert len(taken) == len(set(taken)) == 40


def test_too_few_images_for_a_batch():
    with pytest.raises(ValueError, match="batch_size: expected at most 22 for 2 ranks, got 23"):
        InMemory(images(), 23, world=2)


@pytest.mark.parametrize("wrong, message", [
    (dict(lr=float("nan")), "lr: expected a number >= 0"), (dict(synthetic_lr=-1.0), "synthetic_lr: expected a number >= 0"),
    (dict(steps=0), "steps: expected a positive integer"), (dict(accumulate=0), "accumulate: expected a positive integer"),
    (dict(weight_decay=-0.1), "weight_decay: expected a number >= 0"), (dict(report_every=0), "report_every: expected"),
    (dict(checkpoint="/proc/no/such/file"), "checkpoint: expected a file that can be written"),
])
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        run(cut(), **wrong)


def test_a_run_that_diverges_says_so():
    with pytest.raises(FloatingPointError, match="loss is .* at step .*; a lower learning rate may help"):
        run(cut(), lr=1e38, optimizer="sgd", report_every=1)
