"""train_many: ``fit_many`` for the recorded experiments, whose batches are drawn with replacement and rates fall to zero."""
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from sobolev_lib._arguments import integer, number, several, several_numbers
from sobolev_lib.checkpoint import load_checkpoint, save_checkpoint, taken_over
from sobolev_lib.data import SobolevData
from sobolev_lib.files import check_writable
from sobolev_lib.identity import digest
from sobolev_lib.losses import Loss, SobolevLoss
from sobolev_lib.training.alike import bounds_of, check_alike, that_fit
from sobolev_lib.training.batches import WithReplacement
from sobolev_lib.training.rates import Cosine
from sobolev_lib.training.steps import backward_of, side_by_side
from sobolev_lib.training.together import Together

__all__ = ["backward_of", "side_by_side", "train_many"]


def train_many(models: Sequence[nn.Module], data: Sequence[SobolevData], *, loss: SobolevLoss, steps: int,
               lr: Sequence[float], weights: Sequence[Sequence[float]], seeds: Sequence[int],
               batch_size: int | None = None, compile: bool = False, at_once: int | None = None,
               on_step: Callable[[int, list[nn.Module]], object] | None = None, report: Sequence[int] = (),
               checkpoint: str | Path | None = None, on_checkpoint: Callable[[int, int], None] | None = None,
               checkpoint_seconds: float = 60) -> list:
    """Train model k on data set k with its own learning rate, loss weights and batch order; in place.

    >>> f, mlp = sobolev_lib.functions.booth, sobolev_lib.models.MLP
    >>> models, data = [mlp(2, 16, 1), mlp(2, 16, 1)], [sobolev_lib.label(f, f.sample(20)) for _ in range(2)]
    >>> train_many(models, data, loss=SobolevLoss(1), steps=5, lr=[1e-3, 1e-2], weights=[(1, 0), (1, 1)], seeds=[0, 1])
    []

    Use ``sobolev_lib.fit_many``: it keeps the rate that it is given, or takes ``fit``'s schedules, shuffles epochs, and stops
    early. Here it is Adam, learning rate decayed to zero along a cosine. Same results as one by one, to rounding. ``batch_size`` points
    a step, drawn with replacement; all of them if None or not fewer than the data. Multilayer perceptrons take the
    closed form of the step at order 0 and 1, other models ``torch.func``.

    ``compile=True`` fuses the step (seconds of compilation for each new shape). On a GPU the step is one CUDA graph.
    ``at_once`` networks share a computation, by default as many as half of the free memory holds.
    ``on_step(step, models)`` is called after the steps in ``report``, with the weights written back; what it returned is
    returned, in a list. ``checkpoint`` names a file written every ``checkpoint_seconds``, after which
    ``on_checkpoint(step, steps)`` is called: the same call goes on from it, on any device, and ends on the same one bit for
    bit where an uninterrupted run ends. What ``on_step`` returned before is kept there, as JSON. What makes two calls the
    same is what ``fit`` says, but initial weights and data are compared up to rounding, since devices differ in that.

    Raises ``ValueError`` if the lists differ in length, the models in architecture, the data in shape, a model has buffers
    or frozen parameters, a number is out of range, or the checkpoint belongs to another call. Warns of networks whose
    weights are no longer finite at the end.
    """
    steps, lr, weights, seeds = _check(models, data, loss, steps, lr, weights, seeds)
    batch_size, at_once = [None if value is None else integer(value, name)
                           for name, value in (("batch_size", batch_size), ("at_once", at_once))]
    number(checkpoint_seconds, "checkpoint_seconds", "a number >= 0", zero=True)
    for name, value, needed, other in (("report", len(report), on_step, "on_step"),
                                       ("on_checkpoint", on_checkpoint, checkpoint, "checkpoint")):
        if value and needed is None:
            raise ValueError(f"{name}: expected {other} beside it, got none; it would have no effect")
    if checkpoint is not None:
        check_writable(checkpoint)
    tables = [d.up_to(loss.order).tables for d in data]
    size = len(data[0]) if batch_size is None else min(batch_size, len(data[0]))
    kept, progress = {}, {"reported": []}
    mark, sums = {}, {}
    if checkpoint is not None:
        mark = _fingerprint(models[0], tables, loss, steps, lr, weights, seeds, size, at_once, report)
        sums = {"data": _sums(tables), "initial weights": _sums([list(model.parameters()) for model in models])}
    if checkpoint is not None and Path(checkpoint).exists():
        # the rows hold all that is to be kept of models and optimiser
        kept, progress = load_checkpoint(Path(checkpoint), model=nn.Identity(), optimizer=[], fingerprint=mark)
        with taken_over(Path(checkpoint)):
            theirs, _, _ = progress["sums"], progress["reported"], progress["parts"]
        _check_same(sums, theirs, Path(checkpoint))
    bounds = progress.get("bounds") or bounds_of(len(models), at_once or that_fit(models[0], tables[0], size))
    gradients = side_by_side(models[0], loss, extras=data[0].up_to(loss.order).extras, compile=compile)
    pool = torch.cuda.graph_pool_handle() if tables[0][0].is_cuda else None
    parts = [_part(models[a:b], tables[a:b], gradients, steps, lr[a:b], weights[a:b], seeds[a:b], size, pool)
             for a, b in zip(bounds, bounds[1:])]
    for k, part in enumerate(parts):
        if kept:
            with taken_over(Path(checkpoint)):
                part.restore({name: kept[f"{k}.{name}"] for name in part.state()[0]}, progress["parts"][k])
    reported, saved = progress["reported"], time.monotonic()
    reports = sorted({step for step in report if 0 < step <= steps}) if on_step is not None else []
    for step in sorted({*reports[len(reported):], steps}):
        for part in parts:
            while part.done < step:
                part.run(step)
                if checkpoint is not None and time.monotonic() - saved >= checkpoint_seconds:
                    _save(Path(checkpoint), parts, {"reported": reported, "bounds": bounds, "sums": sums}, mark)
                    saved = time.monotonic()
                    if on_checkpoint is not None:
                        on_checkpoint(sum(each.done for each in parts) // len(parts), steps)
            part.write_back()
        if step in reports[len(reported):]:
            reported.append(on_step(step, list(models)))
    lost = [k for k, model in enumerate(models) if not all(bool(p.isfinite().all()) for p in model.parameters())]
    if lost:
        warnings.warn(f"train_many: the weights of networks {lost} are no longer finite; a lower learning rate or smaller "
                      "derivative weight may help", stacklevel=2)
    return reported


def _save(path: Path, parts: Sequence[Together], progress: dict, mark: str) -> None:
    states = [part.state() for part in parts]
    tensors = {f"{k}.{name}": tensor for k, (found, _) in enumerate(states) for name, tensor in found.items()}
    save_checkpoint(path, model=nn.Identity(), optimizer=[], tensors=tensors, fingerprint=mark,
                    progress=progress | {"parts": [numbers for _, numbers in states]})


def _fingerprint(model, tables, loss, steps, lr, weights, seeds, size, at_once, report) -> dict[str, str]:
    """Shared by two calls that describe the same run, whatever the device, by more than the last bits of numbers."""
    scales = [[f"{float(tensor.double().nan_to_num().square().mean()):.1e}" for tensor in table] for table in tables]
    return digest(**{"model": model, "loss": loss, "data": [[tuple(t.shape) for t in tables[0]], scales],
                     "lr, weights or seeds": [lr, weights, seeds],
                     "settings": [steps, size, at_once, sorted(set(report))]})


@torch.no_grad()
def _sums(tables) -> list[list[float]]:
    """Of each data set's tensors a weighted mean, in units of their size: other points or labels have another one."""
    found = []
    for tensors in zip(*tables):
        whole = torch.stack(tensors).flatten(1).double().nan_to_num() if tensors[0].ndim else torch.stack(tensors)[:, None]
        pattern = torch.cos(torch.arange(1, whole.shape[1] + 1, dtype=torch.float64, device=whole.device))
        found.append(((whole @ pattern) / (whole.norm(dim=1) * pattern.norm() + 1e-300)).tolist())
    return found


def _check_same(expected: dict, got: dict, path: Path) -> None:
    """Raises unless the sums are those of the same numbers, whose last bits differ between devices."""
    differing = [name for name in expected if not torch.allclose(torch.tensor(expected[name]), torch.tensor(got[name]),
                                                                 rtol=0, atol=1e-5)]
    if differing:
        raise ValueError(f"checkpoint: {path} belongs to another run ({', '.join(differing)} differ); expected the same "
                         "call that made it. Choose another path or delete the file")


def _part(models, tables, gradients, steps, lr, weights, seeds, size, pool) -> Together:
    return Together(models, tables, gradients, WithReplacement(len(tables[0][0]), size, seeds),
                    Cosine(sorted(set(lr)), steps), steps=steps, lr=lr, weights=lambda step: weights, pool=pool)


def _check(models, data, loss, steps, lr, weights, seeds) -> tuple[int, list[float], list[tuple[float, ...]], list[int]]:
    """Steps, rates, weights and seeds as plain numbers; raises ``ValueError`` for what doesn't fit together."""
    if not isinstance(loss, Loss) or loss.draws or not loss.by_input:
        raise TypeError(f"loss: expected a SobolevLoss, got {type(loss).__name__}")
    steps, count = integer(steps, "steps"), len(models)
    if not count:
        raise ValueError("models: expected at least one, got none")
    data, lr, weights, seeds = [several(items, name, f"a list of one per model, {count}") for name, items in (
        ("data", data), ("lr", lr), ("weights", weights), ("seeds", seeds))]
    for name, items in (("data", data), ("lr", lr), ("weights", weights), ("seeds", seeds)):
        if len(items) != count:
            raise ValueError(f"{name}: expected one per model, {count}, got {len(items)}")
    lr, seeds = [number(rate, "lr") for rate in lr], [integer(seed, "seeds", "integers", least=-2**63) for seed in seeds]
    weights = [several_numbers(row, "weights", loss.order + 1, f"{loss.order + 1} numbers for a loss of order {loss.order}",
                               "finite numbers >= 0", zero=True) for row in weights]
    check_alike(models, data, loss.order, "; of a Standardized model pass the inner .model and standardized data")
    return steps, lr, weights, seeds
