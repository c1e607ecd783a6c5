"""The optimiser's settings at each step, for networks that train side by side, by learning rate."""
import math
from collections.abc import Callable, Sequence

import torch
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from sobolev_lib.training.optimizers import scheduler_for


class Cosine:
    """Rates that fall to zero along a cosine.

    >>> Cosine([1.0, 2.0], steps=4).take(2, count=1)
    [[{'lr': 0.5}, {'lr': 1.0}]]

    ``take(done, count)`` gives the settings of the steps after ``done``, one dictionary for each learning rate.
    """

    def __init__(self, lrs: Sequence[float], steps: int):
        self.lrs, self.steps = lrs, steps

    def take(self, done: int, count: int) -> list[list[dict]]:
        return [[{"lr": lr * (0.5 * (1 + math.cos(math.pi * t / self.steps)))} for lr in self.lrs]
                for t in range(done, done + count)]


class Scheduled:
    """What a PyTorch schedule makes of each learning rate; all steps alike without one.

    >>> halved = Scheduled([1.0, 2.0], lambda adam: torch.optim.lr_scheduler.ExponentialLR(adam, 0.5))
    >>> halved.take(0, count=2)
    [[{'lr': 1.0}, {'lr': 2.0}], [{'lr': 0.5}, {'lr': 1.0}]]

    A schedule may change other settings of Adam too, as the one-cycle one does; those are named from the step on at which
    they first differ from Adam's own.
    """

    def __init__(self, lrs: Sequence[float], scheduler: Callable[[Optimizer], LRScheduler] | None):
        self.lrs, self.scheduler = lrs, scheduler
        self._begin()

    def _begin(self) -> None:
        # a schedule wants an optimiser, which here holds nothing
        self.optimizers = [Adam([torch.zeros(1)], lr=lr) for lr in self.lrs]
        self.schedules = [scheduler_for(self.scheduler, optimizer) for optimizer in self.optimizers]
        for optimizer in self.optimizers:
            optimizer.step()                               # or schedules would warn that they came first
        self.done, self.changed = 0, set()
        self._note()

    def take(self, done: int, count: int) -> list[list[dict]]:
        if done < self.done:
            self._begin()
        while self.done < done:                            # a run that is taken up again
            self._advance()
        found = []
        for _ in range(count):
            found.append([self._settings(optimizer) for optimizer in self.optimizers])
            self._advance()
        return found

    def _advance(self) -> None:
        for schedule in filter(None, self.schedules):
            schedule.step()
        self.done += 1
        self._note()

    def _note(self) -> None:
        self.changed |= {name for optimizer in self.optimizers for name in ("betas", "eps", "weight_decay")
                         if optimizer.param_groups[0][name] != optimizer.defaults[name]}

    def _settings(self, optimizer: Adam) -> dict:
        group, = optimizer.param_groups
        return {"lr": float(group["lr"])} | {name: group[name] for name in sorted(self.changed)}
