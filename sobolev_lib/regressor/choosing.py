"""Choosing a plan: each is tried on some of the points, and judged by values and slopes of those held out."""
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from sobolev_lib.data import SobolevData
from sobolev_lib.models import MLP
from sobolev_lib.regressor.answers import Answers
from sobolev_lib.regressor.plans import Plan
from sobolev_lib.scaling import ZScores
from sobolev_lib.training.estimating import held_out, output_sizes

LEAST, SHARE, MOST = 20, 0.2, 2_000                        # points for a trial; held out of them: a share, and at most
NOISY = 0.15                                               # an error share on held-out points that is worth a word


@dataclass(frozen=True)
class Choice:
    """The plan that was trained, and why.

    >>> Choice(Plan("given"))
    Choice(plan='given', held_out={})

    ``held_out``: for each plan that was tried the errors of values and slopes on held-out points, as shares of the labels'
    own size: 0 is exact, 1 as good as a constant or as no slopes; slopes None where there are none. ``message`` says what
    was found and done.
    """

    plan: Plan
    held_out: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    message: str = "Trained as told."

    def __repr__(self) -> str:
        return f"Choice(plan={self.plan.name!r}, held_out={self.held_out})"

    def __str__(self) -> str:
        return self.message


def choose(plans: Sequence[Plan], train: Callable[[Plan, SobolevData], tuple[list[MLP], ZScores]], data: SobolevData, seed: int) -> Choice:
    """Try plans, the simplest first; a later one must be better than the best so far by more than a standard error.

    ``train``: plan, data (N, d) -> networks and their scaling. What is compared is a point's squared error of values plus
    that of slopes, each over its labels' size; the difference of two plans is taken point by point. A plan whose training
    does not stay finite is out; if all are, raises the last one's ``FloatingPointError``.
    """
    points, held = held_out(data, min(SHARE, MOST / len(data)), seed)
    assert held is not None
    scaling, best, found, failure = ZScores.of(data), None, {}, None
    for plan in plans:
        try:
            networks, own = train(plan, points)
        except FloatingPointError as error:
            failure = error
            continue
        values, slopes = _errors(networks, own, held, scaling, data)
        both = values if slopes is None else values + slopes
        found[plan.name] = (float(np.sqrt(values.mean())), None if slopes is None else float(np.sqrt(slopes.mean())))
        if best is None or _surely_less(both, best[1]):
            best = plan, both
    if best is None:
        assert failure is not None
        raise failure
    return Choice(best[0], found, _message(best[0], found))


def _surely_less(new: np.ndarray, old: np.ndarray) -> bool:
    gain = old - new
    return bool(gain.mean() > gain.std() / math.sqrt(len(gain)))


def _errors(networks: list[MLP], own: ZScores, held: SobolevData, scaling: ZScores,
            data: SobolevData) -> tuple[np.ndarray, np.ndarray | None]:
    """Squared errors (N,) of values and of slopes, times the points' weights; missing labels count as right."""
    found = Answers(networks, own, held.inputs.numpy(), gradient=held.order > 0, std=False)
    n, q = found.values.shape
    std = scaling.output_std.reshape(q).numpy()
    weights = np.ones(n) if held.weights is None else held.weights.numpy() / float(held.weights.mean())
    errors = (found.values - held.values.reshape(n, q).numpy()) / std
    values = weights * np.nan_to_num(errors**2).mean(axis=1)
    if held.order < 1:
        return values, None
    scaled = scaling.standardize(data)
    assert isinstance(scaled, SobolevData) and held.jacobian is not None
    sizes = output_sizes(scaled)
    errors = (found.gradients - held.jacobian.reshape(n, q, -1).numpy()) * scaling.input_std.numpy() / std[:, None]
    return values, weights * (np.nan_to_num(errors**2).sum(axis=2) / sizes).mean(axis=1)


def _message(plan: Plan, found: dict) -> str:
    value, slope = found[plan.name]
    told = f"{100 * value:.2g} % of the values' size" + ("" if slope is None else f" and {100 * slope:.2g} % of the slopes'")
    tried = f"Of {len(found)} plans \"{plan.name}\" was chosen: it predicts held-out points to {told}."
    if plan.name in ("smooth", "brief") and max(value, slope or 0.0) > NOISY:
        return (f"{tried} Longer training predicts them no better: the labels are noisy, or the function is finer than the "
                "points. So a brief training was done.")
    return tried
