"""What happened during training."""
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from sobolev_lib.data import SobolevData, derivative_name
from sobolev_lib.errors import error_names


@dataclass(repr=False)
class History:
    """What happened during ``fit``: losses and validation errors against steps.

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> history = sobolev_lib.fit(sobolev_lib.models.MLP(2, 16, 1), data, steps=20, progress=False)
    >>> len(history.steps) == len(history.train["loss"])
    True
    >>> sobolev_lib.History(steps=[10, 20], train={"loss": [0.5, 0.25]}, seconds=1.0)
    History(20 steps in 1.0 s, loss 0.25 at the end)

    ``train`` has "loss" and each unweighted term ("values", "jacobian", ...) on the batch of that step, in the units
    the network was trained in; ``validation`` has "loss" and, in original units, the mean squared errors of
    ``sobolev_lib.errors`` ("value_mse", "jacobian_mse", ...). ``plot()`` draws them. ``path`` says how the network's
    derivatives were found: "closed form", or "autograd" and why. ``reported`` is what ``on_step`` returned, without Nones.
    """

    steps: list[int] = field(default_factory=list)
    train: dict[str, list[float]] = field(default_factory=dict)
    validation: dict[str, list[float]] = field(default_factory=dict)
    best_step: int | None = None
    stopped_early: bool = False
    seconds: float = 0.0
    path: str = ""
    reported: list = field(default_factory=list)

    def __repr__(self) -> str:                             # in a notebook all its numbers would fill the screen
        last = f", loss {self.train['loss'][-1]:.3g} at the end" if self.train.get("loss") else ""
        return f"History({self.steps[-1] if self.steps else 0} steps in {self.seconds:.1f} s{last})"

    def plot(self, **kwargs):
        """Learning curves on a logarithmic axis; keyword arguments as in ``plotting.learning_curves``."""
        from sobolev_lib import plotting  # needs matplotlib, which training does not

        return plotting.learning_curves({"fit": self}, **kwargs)


def told(found: dict) -> History:
    """The history that a file holds; raises ``TypeError`` or ``ValueError`` for what is none.

    >>> told({"steps": [5], "seconds": 1.5}).seconds
    1.5
    """
    history = History(**found)
    for name, fresh in vars(History()).items():
        kinds = (int, type(None)) if fresh is None else (int, float) if isinstance(fresh, float) else type(fresh)
        if not isinstance(getattr(history, name), kinds):
            raise TypeError(f"history: expected another kind of {name}, got {getattr(history, name)!r}")
    if not all(isinstance(step, int) for step in history.steps):
        raise TypeError(f"history: expected steps that are integers, got {history.steps}")
    if not all(isinstance(curve, list) for curve in [*history.train.values(), *history.validation.values()]):
        raise TypeError("history: expected a list for each curve, got something else")
    return history


def joined(before: History, after: History) -> History:
    """Two trainings of one model as one: steps are counted on, times add up.

    >>> both = joined(History(steps=[10], seconds=1.0), History(steps=[5], seconds=2.0))
    >>> both.steps, both.seconds
    ([10, 15], 3.0)
    """
    last = before.steps[-1] if before.steps else 0
    nothing = [[math.nan] * len(history.steps) for history in (before, after)]       # where only one of the two measured it
    both = lambda a, b: {name: a.get(name, nothing[0]) + b.get(name, nothing[1]) for name in {**a, **b}}
    return History(before.steps + [last + step for step in after.steps], both(before.train, after.train),
                   both(before.validation, after.validation), None, False, before.seconds + after.seconds, after.path,
                   before.reported + after.reported)


def record(history: History, step: int, total: float, terms: Sequence[float]) -> None:
    """Append the loss and its terms; raises ``FloatingPointError`` if the loss is no longer finite."""
    if not math.isfinite(total):
        raise FloatingPointError(f"loss is {total} at step {step}; a lower learning rate or smaller derivative weight may "
                                 "help")
    history.steps.append(step)
    for name, number in [("loss", total), *[(derivative_name(k), term) for k, term in enumerate(terms)]]:
        history.train.setdefault(name, []).append(number)


def measured_names(order: int, data: SobolevData | None = None) -> list[str]:
    """What is measured on validation ``data`` for a loss of that order."""
    return ["loss", *error_names(order, data)]
