"""Loss weights that change during training."""
import functools
from collections.abc import Callable, Sequence

from sobolev_lib._arguments import several
from sobolev_lib.losses import Loss


def linear_weights(start: Sequence[float], end: Sequence[float]) -> Callable[[float], tuple[float, ...]]:
    """A weight schedule from ``start`` to ``end`` in a straight line, for ``fit(weight_schedule=...)``.

    >>> schedule = linear_weights(start=(0.1, 1.0), end=(1.0, 0.1))       # derivative-heavy to value-heavy
    >>> schedule(0.0), schedule(1.0)
    ((0.1, 1.0), (1.0, 0.1))

    One weight an order, value first. Raises ``ValueError`` if the lengths differ.
    """
    if len(start) != len(end):
        raise ValueError(f"end: expected {len(start)} weights as in start, got {len(end)}")
    return functools.partial(_between, tuple(start), tuple(end))


def _between(start: Sequence[float], end: Sequence[float], progress: float) -> tuple[float, ...]:
    return tuple((1 - progress) * a + progress * b for a, b in zip(start, end))


def scheduled(loss: Loss, schedule: Callable[[float], Sequence[float]] | None, step: int, steps: int) -> Loss:
    """The loss of a step, 1 to ``steps``."""
    if schedule is None:
        return loss
    weights = several(schedule((step - 1) / max(1, steps - 1)), "weight_schedule", f"it to return {loss.order + 1} weights")
    if len(weights) != loss.order + 1:
        raise ValueError(f"weight_schedule: expected {loss.order + 1} weights, got {weights!r}")
    return loss.weighted(weights)
