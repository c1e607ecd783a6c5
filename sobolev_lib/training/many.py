"""fit_many(): fit for many networks side by side, as one computation."""
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from sobolev_lib._arguments import check_callable, integer, several
from sobolev_lib._warnings import warn_outside
from sobolev_lib.checkpoint import load_checkpoint, save_checkpoint, taken_over
from sobolev_lib.data import SobolevData
from sobolev_lib.files import check_writable
from sobolev_lib.identity import digest, weights as weights_of
from sobolev_lib.losses import Loss
from sobolev_lib.teacher import Teacher
from sobolev_lib.training.alike import bounds_of, that_fit
from sobolev_lib.training.batches import EpochsOfAll
from sobolev_lib.training.checks import not_finite
from sobolev_lib.training.history import History, told
from sobolev_lib.training.modes import with_gradients
from sobolev_lib.training.rates import Scheduled
from sobolev_lib.training.runs import Run, runs_of
from sobolev_lib.training.schedules import scheduled
from sobolev_lib.training.steps import side_by_side
from sobolev_lib.training.together import Together
from sobolev_lib.training.watching import report_steps, shapes_of


@with_gradients
def fit_many(models: Sequence[nn.Module], source: SobolevData | Teacher | Sequence[SobolevData | Teacher], *,
             loss: Loss | Sequence[Loss] | None = None, steps: int = 1000, batch_size: int | None = None,
             lr: float | Sequence[float] = 1e-3, scheduler: Callable[[Optimizer], LRScheduler] | None = None,
             weight_schedule: Callable[[float], Sequence[float]] | None = None,
             validation: SobolevData | Sequence[SobolevData] | None = None, metric: str = "loss",
             patience: int | None = None, evaluate_every: int | None = None,
             on_step: Callable[[int, list[nn.Module]], Sequence | None] | None = None, report: Sequence[int] | None = None,
             seed: int | Sequence[int] = 0, device: torch.device | str | None = None, compile: bool = False,
             at_once: int | None = None, progress: bool = True, checkpoint: str | Path | None = None) -> list[History]:
    """Train many networks of one architecture side by side, each as ``fit`` would; returns a ``History`` each.

    >>> f, weights = sobolev_lib.functions.booth, (0.0, 0.1, 1.0)
    >>> data = sobolev_lib.label(f, f.sample(20))
    >>> models = [sobolev_lib.Standardized(sobolev_lib.models.MLP(2, 16, 1), data) for _ in weights]
    >>> losses = [sobolev_lib.SobolevLoss(1, weights=(1.0, w), normalize=True) for w in weights]
    >>> histories = fit_many(models, data, loss=losses, steps=50, lr=1e-2, progress=False)
    >>> [len(history.train["loss"]) for history in histories]
    [50, 50, 50]

    The results are those of ``fit`` one by one with Adam, to rounding: the same batches, schedules, measurements and
    early stopping. Small networks take a fraction of the time; on a GPU a step is one CUDA graph. Multilayer perceptrons
    take the closed form at order 0 and 1, other models ``torch.func``.

    ``source``, ``loss``, ``lr``, ``seed`` and ``validation`` are one for all, or a list of one per model. Sources have
    equal shapes, inputs (N, *in) and values (N, *out); a ``Teacher`` is asked once, for all its points. Losses differ in
    weights and divisors only, and draw nothing: ``StochasticSobolevLoss`` is for ``fit``. ``models`` hold trainable
    parameters only, and nothing that draws, as dropout; ``Standardized`` ones are trained on z-scored data. A model that
    has stopped early has its best weights and no more reports, while the others go on.

    ``on_step(step, models)`` is called after the steps in ``report``, or after each evaluation; what it returns, one item a
    model, is kept in each ``History.reported``. ``at_once`` networks share a computation, by default as many as half of
    the free memory holds. ``checkpoint`` names a file written at each evaluation, from which the same call goes on, and
    ends bit for bit where an uninterrupted run ends. ``History.seconds`` are those of all. All else as in ``fit``.

    Raises ``ValueError``/``TypeError`` for settings that don't fit together, models of several architectures, sources of
    several shapes, or a checkpoint of another call. Warns of networks whose loss is no longer finite: they stop there, and
    the others go on. Source: equation 1.
    """
    start = time.perf_counter()
    steps = integer(steps, "steps")
    batch_size, patience, evaluate_every, at_once = [None if value is None else integer(value, name) for name, value in (
        ("batch_size", batch_size), ("patience", patience), ("evaluate_every", evaluate_every), ("at_once", at_once))]
    evaluate_every = evaluate_every or max(1, steps // 100)
    check_callable(on_step, "on_step", "a function of step and models")
    check_callable(weight_schedule, "weight_schedule", "a function from progress in [0, 1] to the loss weights")
    reports = report_steps(on_step, report, steps, evaluate_every)
    if checkpoint is not None:
        check_writable(checkpoint)
    runs = runs_of(models, source, loss, lr, seed, validation, metric, patience, device)
    first, size = runs[0], min(batch_size or len(runs[0].data), len(runs[0].data))
    gradients = side_by_side(first.network, first.loss, extras=first.data.extras, compile=compile)
    pool = torch.cuda.graph_pool_handle() if first.place.type == "cuda" else None
    keeper = None
    if checkpoint is not None:
        settings = [steps, batch_size, metric, patience, evaluate_every, compile, at_once, first.place.type, sorted(reports)]
        keeper = _Checkpoint(checkpoint, _mark(runs, scheduler, weight_schedule, settings), runs)
    bounds = (keeper and keeper.bounds) or bounds_of(
        len(runs), at_once or that_fit(first.network, first.data.tensors, size))
    parts = [_together(runs[a:b], gradients, steps, batch_size, scheduler, weight_schedule, pool)
             for a, b in zip(bounds, bounds[1:])]
    if keeper is not None:
        keeper.restore(parts)
    earlier, evaluations = first.history.seconds, {*range(evaluate_every, steps + 1, evaluate_every), steps}
    watched = any(run.stopping.data is not None for run in runs)
    bar = tqdm(total=steps, initial=parts[0].done, disable=not progress, desc="fit_many")
    try:
        for step in sorted(at for at in evaluations | reports if at > parts[0].done):
            if not any(run.learns for run in runs):
                break
            for part in parts:
                while part.done < step:
                    part.run(step)
                if step in reports or watched:             # else nobody looks at the models
                    part.write_back()
            for run in runs:
                run.rest()
            if step in reports:
                _distribute(on_step(step, [run.model for run in runs]), runs)
                for part in parts:
                    part.read_back()
            if step in evaluations:
                for run, terms in zip(runs, [row for part in parts for row in part.terms.tolist()]):
                    run.look(step, terms, scheduled(run.loss, weight_schedule, step, steps).weights)
                    run.history.seconds = earlier + time.perf_counter() - start
                if keeper is not None:
                    keeper.save(parts)
            bar.update(step - bar.n)
    finally:                                               # an interruption loses nothing, either
        for part in parts:
            part.write_back()
        for run in runs:
            run.stopping.restore()
    bar.close()
    lost = [k for k, run in enumerate(runs) if run.lost or not_finite(run.model)]
    if lost:
        warn_outside(f"fit_many: the losses of networks {lost} are no longer finite; a lower learning rate or smaller derivative "
                     "weight may help")
    return [run.history for run in runs]


def _together(runs: Sequence[Run], gradients, steps, batch_size, scheduler, weight_schedule, pool) -> Together:
    lr, losses, order = [run.lr for run in runs], [run.loss for run in runs], runs[0].loss.order
    divided = any(loss.normalize is not False for loss in losses)
    return Together([run.network for run in runs], [run.data.tables for run in runs], gradients,
                    EpochsOfAll(len(runs[0].data), batch_size, [run.seed for run in runs]),
                    Scheduled(sorted(set(lr)), scheduler), steps=steps, lr=lr, fixed=weight_schedule is None, kept=True,
                    weights=lambda step: [tuple(scheduled(loss, weight_schedule, step, steps).weights) for loss in losses],
                    divisors=[loss.normalize or (1.0,) * (order + 1) for loss in losses] if divided else None, pool=pool)


def _distribute(answers, runs: Sequence[Run]) -> None:
    if answers is None:
        return
    rule = f"it to return None or one item per model, {len(runs)}"
    answers = several(answers, "on_step", rule)
    if len(answers) != len(runs):
        raise ValueError(f"on_step: expected {rule}, got {len(answers)}")
    for answer, run in zip(answers, runs):
        if run.learns and answer is not None:
            run.history.reported.append(answer)


def _mark(runs: Sequence[Run], scheduler, weight_schedule, settings) -> dict[str, str]:
    """What makes a run this one, as for ``fit``."""
    place = runs[0].place.type
    watched = [None if run.stopping.data is None else run.stopping.data.tables for run in runs]
    return digest(**{
        "initial weights": [weights_of(run.model) for run in runs], "model": runs[0].model,
        "data": [run.data.tables for run in runs], "validation": watched, "loss": [run.loss for run in runs],
        "lr": [run.lr for run in runs], "seed": [run.seed for run in runs],
        "scheduler": Scheduled([1.0], scheduler).schedules, "weight_schedule": weight_schedule, "settings": settings,
        "autocast": [torch.is_autocast_enabled(place), torch.get_autocast_dtype(place)]})


class _Checkpoint:
    """All that ``fit_many`` needs to go on where it was, in one file; ``bounds`` are where its parts begin."""

    def __init__(self, path: str | Path, mark: dict[str, str], runs: Sequence[Run]):
        self.path, self.mark, self.runs, self.tensors, self.progress = Path(path), mark, runs, {}, None
        if self.path.exists():                             # the rows hold all that is to be kept of models and optimiser
            self.tensors, self.progress = load_checkpoint(self.path, model=nn.Identity(), optimizer=[], fingerprint=mark)

    @property
    def bounds(self) -> list[int] | None:
        if self.progress is None:
            return None
        with taken_over(self.path):
            bounds = [integer(bound, "bounds", least=0) for bound in self.progress["bounds"]]
            if bounds != sorted({0, *bounds, len(self.runs)}):
                raise ValueError(f"bounds: expected rising ones from 0 to {len(self.runs)}, got {bounds}")
        return bounds

    def restore(self, parts: Sequence[Together]) -> None:
        if self.progress is None:
            return
        with taken_over(self.path):
            for k, part in enumerate(parts):
                part.restore({name: self.tensors[f"{k}.{name}"] for name in part.state()[0]}, self.progress["parts"][k])
            for k, run in enumerate(self.runs):
                kept, start = self.progress["runs"][k], f"best.{k}."
                vars(run.history).update(vars(told(kept["history"])))
                run.lost = bool(kept["lost"])
                run.stopping.best = {name.removeprefix(start): tensor.to(run.place) for name, tensor in self.tensors.items()
                                     if name.startswith(start)}
                if run.stopping.best and shapes_of(run.stopping.best) != shapes_of(run.model.state_dict()):
                    raise ValueError("best weights: expected those of the model, got others")

    def save(self, parts: Sequence[Together]) -> None:
        states = [part.state() for part in parts]
        tensors = {f"{k}.{name}": tensor for k, (found, _) in enumerate(states) for name, tensor in found.items()}
        tensors |= {f"best.{k}.{name}": tensor for k, run in enumerate(self.runs)
                    for name, tensor in run.stopping.best.items()}
        bounds = [0]
        for part in parts:
            bounds.append(bounds[-1] + len(part.models))
        progress = {"bounds": bounds, "parts": [numbers for _, numbers in states],
                    "runs": [{"history": vars(run.history), "lost": run.lost} for run in self.runs]}
        save_checkpoint(self.path, model=nn.Identity(), optimizer=[], tensors=tensors, progress=progress,
                        fingerprint=self.mark)
