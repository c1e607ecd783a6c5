"""What looks at a training from outside its loop: validation with early stopping, on_step, the checkpoint."""
import copy
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from sobolev_lib._arguments import integer, several
from sobolev_lib.checkpoint import load_checkpoint, save_checkpoint, taken_over
from sobolev_lib.data import SobolevData
from sobolev_lib.errors import errors, evaluating
from sobolev_lib.losses import Loss
from sobolev_lib.scaling import Standardized
from sobolev_lib.training.batches import Epochs
from sobolev_lib.training.history import History, told
from sobolev_lib.training.optimizers import options, replay


class EarlyStopping:
    """Measures a model on validation data, remembers its best weights, and says when to stop.

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> model, history = sobolev_lib.models.MLP(2, 8, 1), sobolev_lib.History(steps=[10])
    >>> EarlyStopping(model, data, sobolev_lib.SobolevLoss(1), "value_mse", patience=None, history=history).look()
    >>> history.best_step, sorted(history.validation)
    (10, ['jacobian_mse', 'loss', 'value_mse'])

    Without ``patience`` it measures only, and keeps no weights; without data it does nothing.
    """

    def __init__(self, model: nn.Module, data: SobolevData | None, loss: Loss, metric: str, patience: int | None,
                 history: History, seed: int = 0):
        self.model, self.data, self.loss, self.metric, self.patience = model, data, loss, metric, patience
        self.history, self.seed = history, seed
        self.best: dict[str, Tensor] = {}

    def look(self) -> None:
        if self.data is None:
            return
        for name, number in self._measured().items():
            self.history.validation.setdefault(name, []).append(number)
        numbers = self.history.validation[self.metric]
        if math.isnan(numbers[-1]):
            labels = self.data.up_to(self.loss.order).tensors[1:]
            if not any(bool(table.isnan().all()) for table in labels):
                raise FloatingPointError(f"validation: {self.metric} is no longer finite at step {self.history.steps[-1]}; a "
                                         "lower learning rate or smaller derivative weight may help")
            raise ValueError(f"metric: expected validation data with labels for {self.metric!r}, or another metric; got NaN")
        winner = min(range(len(numbers)), key=numbers.__getitem__)
        self.history.best_step = self.history.steps[winner]
        if self.patience is not None:
            self.history.stopped_early = len(numbers) - 1 - winner >= self.patience
            if winner == len(numbers) - 1:
                self.best = copy.deepcopy(self.model.state_dict())

    def restore(self) -> None:
        """Give the model its best weights back, if any were kept."""
        if self.best:
            self.model.load_state_dict(self.best)

    def _measured(self) -> dict[str, float]:
        with evaluating(self.model):
            network, scaled = inside(self.model, self.data)
            # a loss that draws is measured on the same vectors each time, and takes none from the training
            value = self.loss(network, scaled, generator=torch.Generator().manual_seed(self.seed))
        return {"loss": float(value.detach()), **errors(self.model, self.data.up_to(self.loss.order))}


class Reports:
    """Calls ``on_step(step, model)`` after chosen steps, and keeps in the history what it returns.

    >>> reports = Reports(lambda step, model: step * model, [2, 4], steps=4, every=1, history=sobolev_lib.History())
    >>> for step in range(1, 5): reports(step, 10)
    >>> reports.history.reported
    [20, 40]

    ``report=None`` stands for each evaluation: every so many steps, and the last.
    """

    def __init__(self, on_step: Callable | None, report: Sequence[int] | None, steps: int, every: int, history: History):
        self.on_step, self.history, self.steps = on_step, history, report_steps(on_step, report, steps, every)

    def __call__(self, step: int, model) -> None:
        if step in self.steps:
            answer = self.on_step(step, model)
            if answer is not None:
                self.history.reported.append(answer)


def report_steps(on_step: Callable | None, report: Sequence[int] | None, steps: int, every: int) -> frozenset[int]:
    """After which steps ``on_step`` is called."""
    if report is not None and on_step is None:
        raise ValueError("report: expected on_step beside it, got none; it would have no effect")
    if on_step is None:
        return frozenset()
    if report is None:
        return frozenset([*range(every, steps + 1, every), steps])
    rule = f"steps from 1 to {steps}"
    chosen = frozenset(integer(step, "report", rule) for step in several(report, "report", rule))
    if any(step > steps for step in chosen):
        raise ValueError(f"report: expected {rule}, got {max(chosen)}")
    return chosen


class Checkpoint:
    """All that ``fit`` needs to go on where it was, in one file; only the same call takes it up again."""

    def __init__(self, path: str | Path, mark: dict[str, str], *, model: nn.Module, optimizer: Optimizer,
                 scheduler: LRScheduler | None, batches: Epochs, vectors: torch.Generator, history: History,
                 stopping: EarlyStopping, place: torch.device, steps: int):
        self.path, self.mark, self.model, self.optimizer, self.scheduler = Path(path), mark, model, optimizer, scheduler
        self.batches, self.vectors, self.history, self.stopping, self.place = batches, vectors, history, stopping, place
        self.steps = steps

    def restore(self) -> int:
        """Put all back as the file has it; returns the number of steps that were made, 0 without a file."""
        if not self.path.exists():
            return 0
        fresh = options(self.optimizer)
        tensors, done = load_checkpoint(self.path, model=self.model, optimizer=self.optimizer, fingerprint=self.mark)
        with taken_over(self.path):
            vars(self.history).update(vars(told(done["history"])))
            step = self.history.steps[-1]
            self.batches.restore(tensors["random.batches"], integer(done["position"], "position", least=-1))
            self.vectors.set_state(tensors["random.vectors"])
            torch.set_rng_state(tensors["random.cpu"])
            if self.place.type == "cuda":
                torch.cuda.set_rng_state(tensors["random.cuda"], self.place)
            best = {name.removeprefix("best."): tensor.to(self.place) for name, tensor in tensors.items()
                    if name.startswith("best.")}
            if best and shapes_of(best) != shapes_of(self.model.state_dict()):
                raise ValueError("best weights: expected those of the model, got others")
            self.stopping.best = best
            if not 0 < step <= self.steps:
                raise ValueError(f"step: expected at most {self.steps}, got {step}")
            replay(self.scheduler, self.optimizer, fresh, step)
        return step

    def save(self) -> None:
        tensors = {"random.cpu": torch.get_rng_state(), "random.vectors": self.vectors.get_state(),
                   "random.batches": self.batches.epoch_state}
        if self.place.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.place)
        save_checkpoint(self.path, model=self.model, optimizer=self.optimizer, fingerprint=self.mark,
                        tensors=tensors | {f"best.{name}": tensor for name, tensor in self.stopping.best.items()},
                        progress={"history": vars(self.history), "step": self.history.steps[-1],
                                  "position": self.batches.position})


def shapes_of(weights: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items()}


def inside(model: nn.Module, source) -> tuple[nn.Module, object]:
    """The network that is trained, and the source as it sees it: in z-scores if the model is ``Standardized``."""
    return (model.model, model.standardize(source)) if isinstance(model, Standardized) else (model, source)
