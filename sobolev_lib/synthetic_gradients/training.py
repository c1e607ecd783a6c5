"""Training a decoupled network: two optimisers, a history along the way, a checkpoint to go on from."""
import contextlib
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterable, Iterator

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from sobolev_lib._arguments import integer, number
from sobolev_lib.checkpoint import load_checkpoint, save_checkpoint, taken_over
from sobolev_lib.files import check_writable
from sobolev_lib.synthetic_gradients.network import DecoupledNetwork, StepReport

Batches = Callable[[int], Iterator[tuple[Tensor, Tensor]]]
OPTIMIZERS = {"adam": lambda parameters, lr, decay: torch.optim.Adam(parameters, lr=lr, weight_decay=decay),
              "sgd": lambda parameters, lr, decay: torch.optim.SGD(parameters, lr=lr, momentum=0.9, nesterov=True,
                                                                   weight_decay=decay)}


@dataclass
class TrainingHistory:
    """What happened during ``train``.

    >>> history = train(model, batches, steps=100)                                             # doctest: +SKIP
    >>> history.test_accuracy[-1], history.cuts[0]["cosine"][-1]                               # doctest: +SKIP
    (0.97, 0.41)

    ``steps``: where ``loss``, ``accuracy``, ``synthetic_loss`` and each cut's measures (see ``CutReport``) were noted;
    ``test_steps``: where ``test_loss``, ``test_accuracy`` and ``test_top5`` (right among the five best) were.
    """

    steps: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    synthetic_loss: list[float] = field(default_factory=list)
    cuts: list[dict[str, list[float]]] = field(default_factory=list)
    test_steps: list[int] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)
    test_top5: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def note(self, step: int, report: StepReport) -> None:
        """Add a step's report."""
        self.steps.append(step)
        for name in ("loss", "accuracy", "synthetic_loss"):
            getattr(self, name).append(float(getattr(report, name)))
        self.cuts = self.cuts or [{} for _ in report.cuts]
        for found, cut in zip(self.cuts, report.cuts):
            for name, value in vars(cut).items():
                if value is not None:
                    found.setdefault(name, []).append(float(value))


def train(model: DecoupledNetwork, batches: Batches, *, steps: int, lr: float = 1e-3, synthetic_lr: float = 1e-3,
          optimizer: str = "adam", weight_decay: float = 0.0,
          test: Callable[[], Iterable[tuple[Tensor, Tensor]]] | None = None,
          report_every: int = 50, test_every: int | None = None, bfloat16: bool = False, accumulate: int = 1,
          checkpoint: str | Path | None = None, checkpoint_seconds: float = 60.0,
          on_checkpoint: Callable[[int, int], None] | None = None, fingerprint: str = "",
          progress: bool = True) -> TrainingHistory:
    """Train a decoupled network in place; returns the ``TrainingHistory``.

    >>> images = load_images("digits")                                                         # doctest: +SKIP
    >>> history = train(model, InMemory(images, batch_size=50), steps=300)                     # doctest: +SKIP

    ``batches(first)`` yields inputs (N, ...) and labels (N,) from step ``first`` on. ``optimizer`` ("adam", or "sgd"
    with Nesterov momentum) moves the network; the synthetic gradients always have an Adam of their own, with
    ``synthetic_lr``. Both learning rates fall to zero along half a cosine. ``test()`` gives the test set's batches,
    every ``test_every`` steps. ``accumulate`` batches make a step. ``bfloat16`` runs both passes in that precision.
    Where ``torch.distributed`` is initialised, every process works on its own batches and gradients are averaged.
    ``checkpoint`` names a file written every ``checkpoint_seconds`` and at the end; the same call goes on from it, to
    the very same result. ``on_checkpoint(step, steps)`` is called each time; what it raises ends the run, and nothing is
    lost. ``fingerprint`` says what else makes a run this run (data, seeds): a file with another one is refused with a
    ``ValueError``, as are settings out of range. Raises ``FloatingPointError`` if the loss stops being finite.
    """
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer: expected one of {', '.join(OPTIMIZERS)}, got {optimizer!r}")
    steps, accumulate, report_every = [integer(value, name) for name, value in (
        ("steps", steps), ("accumulate", accumulate), ("report_every", report_every))]
    for name, value in (("lr", lr), ("synthetic_lr", synthetic_lr), ("weight_decay", weight_decay)):
        number(value, name, "a number >= 0", zero=True)
    if checkpoint is not None:
        check_writable(checkpoint)
    test_every = test_every or steps
    place = next(model.parameters()).device
    optimizers = [OPTIMIZERS[optimizer](model.network_parameters(), lr, weight_decay)]
    if model.synthetic_parameters():
        optimizers.append(torch.optim.Adam(model.synthetic_parameters(), lr=synthetic_lr))
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(each, steps) for each in optimizers]
    mark = (f"{fingerprint} {model.method} {model.cuts} {model.targets} {steps} {lr} {synthetic_lr} {optimizer} {weight_decay} "
            f"{bfloat16} {accumulate}")
    history, first = TrainingHistory(), 0
    if checkpoint is not None and Path(checkpoint).exists():
        _, saved = load_checkpoint(Path(checkpoint), model=model, optimizer=optimizers, fingerprint=mark)
        with taken_over(Path(checkpoint)):
            history, first = TrainingHistory(**saved["history"]), integer(saved["step"], "step")
            for schedule, state in zip(schedules, saved["schedules"], strict=True):
                schedule.load_state_dict(state)
    objective = _Objective(model)
    parallel = dist.is_available() and dist.is_initialized()
    if parallel:
        # without propagation most parameters take no part in the loss
        objective = DistributedDataParallel(objective, device_ids=[place] if place.type == "cuda" else None,
                                            find_unused_parameters=model.method == "noprop")
    leads = not parallel or dist.get_rank() == 0
    start, earlier = time.perf_counter(), history.seconds
    written = start
    stream = iter(batches(first * accumulate))
    model.train()
    bar = tqdm(total=steps, initial=first, disable=not progress or not leads, desc=model.method)
    for step in range(first + 1, steps + 1):
        noted = step % report_every == 0 or step == steps
        for each in optimizers:
            each.zero_grad(set_to_none=True)
        for turn in range(1, accumulate + 1):
            x, y = next(stream)
            with objective.no_sync() if parallel and turn < accumulate else contextlib.nullcontext(), \
                    torch.autocast(place.type, torch.bfloat16, enabled=bfloat16):  # gradients are averaged once a step
                loss, report = objective(x.to(place), y.to(place), noted and turn == accumulate)
            (loss / accumulate).backward()
        for each in optimizers:
            each.step()
        for schedule in schedules:
            schedule.step()
        if noted:
            history.note(step, report)
            if not math.isfinite(history.loss[-1]):
                raise FloatingPointError(f"loss is {history.loss[-1]} at step {step}; a lower learning rate may help")
            bar.set_postfix(loss=f"{history.loss[-1]:.3g}", accuracy=f"{history.accuracy[-1]:.0%}")
        if test is not None and (step % test_every == 0 or step == steps):
            found = evaluate(model, test())
            history.test_steps.append(step)
            for name, value in zip(("test_loss", "test_accuracy", "test_top5"), found):
                getattr(history, name).append(value)
        bar.update()
        now = time.perf_counter()
        history.seconds = earlier + now - start
        if checkpoint is not None and leads and (now - written >= checkpoint_seconds or step == steps):
            save_checkpoint(Path(checkpoint), model=model, optimizer=optimizers, fingerprint=mark, tensors={},
                            progress={"history": vars(history), "step": step,
                                      "schedules": [schedule.state_dict() for schedule in schedules]})
            written = time.perf_counter()
            if on_checkpoint is not None:
                on_checkpoint(step, steps)
    bar.close()
    return history


@torch.no_grad()
def evaluate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[float, float, float]:
    """Mean cross entropy, accuracy and top-5 accuracy over batches of inputs (N, ...) and labels (N,), in evaluation mode.

    >>> loss, accuracy, top5 = evaluate(model, InMemory(images, 100).test())                   # doctest: +SKIP

    Where ``torch.distributed`` is initialised every process brings its own share, and all get the result for the whole.
    """
    training, place = model.training, next(model.parameters()).device
    model.eval()
    sums = torch.zeros(4, dtype=torch.float64, device=place)         # loss, right, right among five, rows
    for x, y in batches:
        logits, y = model(x.to(place)).float(), y.to(place)
        best = logits.topk(min(5, logits.shape[1]), dim=1).indices == y.unsqueeze(1)
        sums += torch.stack([F.cross_entropy(logits, y, reduction="sum"), best[:, 0].sum(), best.sum(),
                             y.new_tensor(len(y))]).double()
    model.train(training)
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(sums)
    loss, right, among_five = (sums[:3] / sums[3]).tolist()
    return loss, right, among_five


class _Objective(nn.Module):
    """``model.objective`` as a forward pass, which is what ``DistributedDataParallel`` wraps."""

    def __init__(self, model: DecoupledNetwork):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, y: Tensor, diagnose: bool) -> tuple[Tensor, StepReport]:
        return self.model.objective(x, y, diagnose=diagnose)
