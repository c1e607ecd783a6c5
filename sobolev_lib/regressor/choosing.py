"""Choosing a plan: each is tried on some of the points, and judged by values and slopes of those held out."""
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

import numpy as np
from torch import Tensor

from sobolev_lib.data import SobolevData
from sobolev_lib.formats import listed
from sobolev_lib.models import MLP
from sobolev_lib.regressor.answers import Answers
from sobolev_lib.regressor.outliers import FAR, outlying
from sobolev_lib.regressor.plans import LEAST, Plan
from sobolev_lib.scaling import ZScores
from sobolev_lib.training.estimating import LEAST_SIZE, held_out, output_sizes

SHARE, MOST = 0.2, 2_000                                   # of the points, held out for trials: a share, and at most
LARGE = 0.5                                                # a gain, as a share of the error, that noise in the labels never leaves
UNTRIED = f"Fewer than {LEAST} points: nothing was held out or tried."
HOPELESS = 0.5                                             # error shares of values and slopes that longer training does not mend
SURE, SURER, FEW = 1.0, 2.0, 20                            # standard errors that a gain must have; where that is so, and the last's of few
EXACT, FINE = 0.003, 0.05                                  # error shares for which no other plan, and no trimming, need be tried
NOISY = 0.15                                               # an error share on held-out points that is worth a word
UNLIKE = 10                                                # times the other's: values and slopes contradict each other


@dataclass(frozen=True)
class Choice:
    """The plan that was trained, and why.

    >>> Choice(Plan("given"))
    Choice(plan='given', held_out={})

    ``held_out``: for each plan that was tried the errors of values and slopes on held-out points, as shares of the labels'
    own size: 0 is exact, 1 as good as a constant or as no slopes; None where no label is known. ``message`` says what was
    found and done.
    """

    plan: Plan
    held_out: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    message: str = "Trained as told."

    def __repr__(self) -> str:
        return f"Choice(plan={self.plan.name!r}, held_out={self.held_out})"

    def __str__(self) -> str:
        return self.message


class Trained(Protocol):
    """Networks and their scaling, as a plan has trained them."""

    networks_: list[MLP]
    scaling_: ZScores


T = TypeVar("T", bound=Trained)


def choose(plans: Sequence[Plan], train: Callable[[Plan, SobolevData], T], data: SobolevData,
           seed: int) -> tuple[Choice, T | None]:
    """Compare plans, the simplest first; a later one must be better than the best so far by a standard error, or by half of it.

    What is solved costs least, so it is tried before the others, and spares them if it is ``EXACT``; the last costs most,
    and is spared if the others are ``HOPELESS``. If the best is not ``FINE`` and a few slopes outweigh all others, it is tried
    again without these, and must be better with them. ``train``: plan, data (N, d) -> what it has trained; that of the choice
    is returned with it, None if it was not tried.

    What is compared is the logarithm of the mean squared error of values plus that of slopes: the labels' likelihood, where
    the noise of each is as large as a plan leaves it. So where values and slopes contradict each other, a plan that follows the
    one exactly beats one that misses both. The difference of two plans is taken point by point. A plan whose training does not
    stay finite is out; if all are, raises the last one's ``FloatingPointError``. A single plan is not tried.
    """
    if len(plans) == 1:
        return Choice(plans[0]) if plans[0].name == "given" else Choice(plans[0], message=UNTRIED), None
    trials = _Trials(train, data, seed)
    trials.run(plans)
    best = trials.best(plans)
    far = 0
    if max(error or 0.0 for error in trials.found[best.name]) > FINE:
        scaled = trials.scaling.standardize(data)
        assert isinstance(scaled, SobolevData)
        far = int(outlying(scaled).sum())
    if far:
        other = best.without_outliers()
        trials.run([other])
        best = trials.best([other, best])
    return Choice(best, trials.found, _message(best, trials.found, far)), trials.trained[best.name]


class _Trials(Generic[T]):
    """Plans that were trained on most points, and their errors on the others."""

    def __init__(self, train: Callable[[Plan, SobolevData], T], data: SobolevData, seed: int):
        self.train, self.data, self.scaling = train, data, ZScores.of(data)
        self.points, held = held_out(data, min(SHARE, MOST / len(data)), seed)
        assert held is not None
        self.held, self.known = held, [*map(_known, held.derivatives[:2]), 0.0]
        self.trained: dict[str, T] = {}
        self.found: dict[str, tuple[float | None, float | None]] = {}
        self.errors: dict[str, np.ndarray] = {}            # squared, of values and slopes, by point
        self.failure: FloatingPointError | None = None

    def run(self, plans: Sequence[Plan]) -> None:
        tried: list[Plan] = []
        for plan in sorted(plans, key=lambda plan: not plan.solved):
            if plan is plans[-1] and any(each.solved for each in plans) and self.hopeless(tried):      # whose noise is the likeliest
                break
            try:
                one = self.train(plan, self.points)
            except FloatingPointError as error:
                self.failure = error
                continue
            tried.append(plan)
            both = [None if part is None or not share else part / share
                    for part, share in zip(_errors(one, self.held, self.scaling, self.data), self.known)]
            value, slope = (None if part is None else float(np.sqrt(part.mean())) for part in both)
            self.trained[plan.name], self.found[plan.name] = one, (value, slope)
            told = [part for part in both if part is not None]
            self.errors[plan.name] = np.array(told).reshape(len(told), len(self.held))
            if max(value or 0.0, slope or 0.0) < EXACT:
                break

    def hopeless(self, plans: Sequence[Plan]) -> bool:
        """Whether all plans that were tried miss half of the values and half of the slopes: noise, or too few points."""
        found = [self.found[plan.name] for plan in plans if plan.name in self.found]
        return bool(found) and all(error is None or error > HOPELESS for errors in found for error in errors)

    def best(self, plans: Sequence[Plan]) -> Plan:
        best, doubtful = None, self.hopeless(plans)
        for plan in plans:                                 # the last follows noise the most closely
            sure = SURER if doubtful or plan is plans[-1] and len(self.held) < FEW else SURE
            if plan.name in self.errors and (best is None or _surely_less(self.errors[plan.name], self.errors[best.name], sure)):
                best = plan
        if best is None:
            assert self.failure is not None
            raise self.failure
        return best


def _known(labels: Tensor) -> float:
    return float((~labels.isnan()).double().mean())


def _surely_less(new: np.ndarray, old: np.ndarray, sure: float) -> bool:
    """Of squared errors (values and slopes, N); what is below ``EXACT`` hardly counts."""
    before, after = (errors.mean(axis=1, keepdims=True) + EXACT**2 for errors in (old, new))
    gain, each = float(np.log(before / after).sum()), (old / before - new / after).sum(axis=0)
    return gain > min(sure * float(each.std()) / math.sqrt(len(each)), -math.log(LARGE) * len(old))


def _errors(one: Trained, held: SobolevData, scaling: ZScores, data: SobolevData) -> tuple[np.ndarray, np.ndarray | None]:
    """Squared errors (N,) of values and of slopes, over their labels' sizes and times the points' weights; missing labels count
    as right."""
    found = Answers(one.networks_, one.scaling_, held.inputs.numpy(), gradient=held.order > 0, std=False)
    n, q = found.values.shape
    std = scaling.output_std.reshape(q).numpy()
    weights = np.ones(n) if held.weights is None else held.weights.numpy() / float(held.weights.mean())
    errors = (found.values - held.values.reshape(n, q).numpy()) / std
    values = weights * np.nan_to_num(errors**2).mean(axis=1)
    if held.order < 1:
        return values, None
    scaled = scaling.standardize(data)
    assert isinstance(scaled, SobolevData) and held.jacobian is not None
    sizes = np.maximum(output_sizes(scaled), LEAST_SIZE)
    errors = (found.gradients - held.jacobian.reshape(n, q, -1).numpy()) * scaling.input_std.numpy() / std[:, None]
    return values, weights * (np.nan_to_num(errors**2).sum(axis=2) / sizes).mean(axis=1)


def weighed(choice: Choice, weight) -> Choice:
    """The choice, and a word on the weight of slopes, a number or one an output (q, 1), where the likeliest is not 1.

    >>> weighed(Choice(Plan("waves")), np.array([[0.0625]])).message
    'Trained as told. Slopes are noisier for their size than values: slopes count 0.0625 times as much.'
    """
    found = np.ravel(weight)
    if (found == 1).all():
        return choice
    if len(found) > 1:
        said = "By the noise of each output"
    else:
        said = ("Slopes are noisier for their size than values" if found[0] < 1 else
                "Values are noisier for their size than slopes")
    return replace(choice, message=f"{choice.message} {said}: slopes count {listed(f'{each:.3g}' for each in found)} times as much.")


def _percent(share: float) -> str:
    return "0.01 % or less" if share < 1.5e-4 else f"{100 * share:.2g} %"


def _message(plan: Plan, found: dict, far: int = 0) -> str:
    parts = [f"{_percent(error)} of the {name}' size" for name, error in zip(("values", "slopes"), found[plan.name])
             if error is not None]
    first = f"Of {len(found)} plans" if len(found) > 1 else "Without trying others,"
    tried = f"{first} \"{plan.name}\" was chosen: it predicts held-out points to {' and '.join(parts)}."
    value, slope = found[plan.name]
    if plan.trims:
        return (f"{tried} The slopes of {far} {'point' if far == 1 else 'points'}, {FAR:.0f} times the median or more, would outweigh "
                "all others and were left out: are they right?")
    if value is not None and slope is not None and max(value, slope) > NOISY and max(value, slope) > UNLIKE * min(value, slope):
        what = ("values are not: they hold noise, or jumps that no slope tells" if value > slope else
                "slopes are not: they are noisy or wrong, or the function is finer than the points")
        return f"{tried} {'Slopes' if value > slope else 'Values'} are followed, {what}."
    if plan.name in ("smooth", "waves", "brief") and max(error or 0.0 for error in found[plan.name]) > NOISY:
        return (f"{tried} Following the labels closely would predict no better: the labels are noisy, or the function is finer "
                "than the points.")
    return tried
