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
from sobolev_lib.regressor.outliers import Outlying, flat, outlying, without, without_flat_slopes
from sobolev_lib.regressor.plans import LEAST, Plan
from sobolev_lib.scaling import ZScores
from sobolev_lib.training.estimating import LEAST_SIZE, output_sizes, split

SHARE, MOST = 0.2, 2_000                                   # of the points, held out for trials: a share, and at most
LESS, MUCH_LESS = 0.99, 0.01                               # squared errors without labels that outweigh all others: of them, and of few points
FAR_LESS = 0.25                                            # those of a trial, of them after training on all points: then that one failed
FEWEST, SHARE_OF_FEW = 6, 1 / 3                            # of fewer points than LEAST: at least, and the share that is held out
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
    """Networks, their scaling and the weight of slopes, as a plan has trained them."""

    networks_: list[MLP]
    scaling_: ZScores
    derivative_weight_: float | np.ndarray


KEPT = " Trained on all points it met these worse, so it was left as it was tried."
T = TypeVar("T", bound=Trained)
Train = Callable[[Plan, SobolevData, ZScores], T]


def choose(plans: Sequence[Plan], train: Train, data: SobolevData, seed: int) -> tuple[Choice, "Tried[T] | None"]:
    """Compare plans, the simplest first; a later one must be better than the best so far by a standard error, or by half of it.

    What is solved costs least, so it is tried before the others, and spares them if it is ``EXACT``; the last costs most,
    and is spared if the others are ``HOPELESS``. ``train``: plan, data (N, d), scaling -> what it has trained; the trial of the
    choice is returned with it, None if it was not tried.

    Where a few labels outweigh all others (``outliers``), what is solved is tried without them, and so is the best if it is not
    ``FINE``, and then taken unless it is worse; so is what is solved, if it is as near and lets all other slopes count more. If one of
    these is taken, all plans are tried so. Of fewer than ``LEAST`` points nothing else is tried.
    Where slopes along an input are zero at all points, and values are not met, it is tried what comes of not believing these.

    What is compared is the logarithm of the mean squared error of values plus that of slopes: the labels' likelihood, where
    the noise of each is as large as a plan leaves it. So where values and slopes contradict each other, a plan that follows the
    one exactly beats one that misses both. The difference of two plans is taken point by point. A plan whose training does not
    stay finite is out; if all are, raises the last one's ``FloatingPointError``. A plan that was given is not tried.
    """
    scaled = ZScores.of(data).standardize(data)
    assert isinstance(scaled, SobolevData)
    far = outlying(scaled)
    doubt = f" {_capital(far.said(data.inputs))}, would outweigh all others: are they right?" if far.points.any() else ""
    zeros = bool(flat(data).any())
    if plans[0].name == "given":
        return Choice(plans[0], message="Trained as told." + doubt), None
    if few := len(data) < LEAST:
        if not (doubt or zeros) or len(data) < FEWEST:
            return Choice(plans[0], message=UNTRIED + doubt), None
    # labels that outweigh all others are trained on, unless they are many: else nobody sees what they do
    keep = far.points if few or int(far.points.sum()) * SHARE < 1 else None
    trials = _Trials[T](train, data, split(data, SHARE_OF_FEW if few else min(SHARE, MOST / len(data)), seed, keep))
    trials.run(plans)
    best = trials.best(plans)
    found = dict(trials.found)
    if doubt:
        trials, best = _without_outliers(trials, plans, best, far, few)
        found = found | trials.found if best.trims else found
    value, _ = trials.found[best.name]
    if zeros and value is not None and value > FINE:
        trials, best = _without_flat_slopes(trials, plans, best, few)
        found = found | trials.found
    if few and not (best.trims or best.doubts_zeros):
        return Choice(plans[0], message=UNTRIED + doubt), None
    tried_all = any(plans[-1].name in name for name in found)
    message = _message(best, found, far.said(data.inputs), None if tried_all else plans[-1])
    return Choice(best, found, message), Tried(trials, best)


def _without_outliers(trials: "_Trials[T]", plans: Sequence[Plan], best: Plan, far: Outlying, few: bool) -> tuple["_Trials[T]", Plan]:
    """The best plan, with outlying labels or without, and trials that are judged by all others; those without are the same at less."""
    fine = max(error or 0.0 for error in trials.found[best.name]) <= FINE
    fair = _Trials[T](trials.train, without(trials.data, far), trials.split)
    fair.judge(best, trials.trained[best.name])
    first = [plan for plan in plans if plan.solved or plan is best and not fine]
    fair.run([plan.without_outliers() for plan in first])
    tried = [plan.without_outliers() for plan in first if plan.without_outliers().name in fair.found]
    # where all miss, and neither is surely better, those without them are: what is held out tells little of a few steep places
    chosen = fair.best(sorted([best, *tried], key=lambda plan: plan.kind != best.kind or plan.trims == fine))
    if chosen.trims and (few or fine) and not fair.less(chosen, best, MUCH_LESS if few else LESS):
        chosen = best
    if chosen is best and best.solved and tried and not fair.less(best, tried[0], LESS) and fair.believes_more(tried[0], best):
        chosen = tried[0]                                  # of two that are as near, the one for whose sake the other slopes count
    if chosen.trims and not few and max(error or 0.0 for error in fair.found[chosen.name]) >= EXACT:
        every = [plan.without_outliers() for plan in plans]
        fair.run([plan for plan in every if plan.name not in fair.found])
        chosen = fair.best([plan for plan in every if plan.name in fair.found])
    return fair, chosen


def _without_flat_slopes(trials: "_Trials[T]", plans: Sequence[Plan], best: Plan, few: bool) -> tuple["_Trials[T]", Plan]:
    """The best plan, believing that slopes are zero along some inputs or not, and trials judged by all other labels."""
    fair = _Trials[T](trials.train, without_flat_slopes(trials.data), trials.split)
    fair.judge(best, trials.trained[best.name])
    solved = [plan.without_outliers() if best.trims else plan for plan in plans if plan.solved and not best.solved]
    others = [plan.without_flat_slopes() for plan in [*solved, best]]
    fair.run(others)
    chosen = fair.best([best, *[plan for plan in others if plan.name in fair.found]])
    return fair, best if few and not fair.less(chosen, best, MUCH_LESS) else chosen


class _Trials(Generic[T]):
    """Plans that were trained on most points, and their errors on the others."""

    def __init__(self, train: Train, data: SobolevData, parts: tuple[Tensor, Tensor]):
        self.train, self.data, self.split, self.scaling = train, data, parts, ZScores.of(data)
        self.points, self.held = (data[part] for part in parts)
        self.known = [*map(_known, self.held.derivatives[:2]), 0.0]
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
                # the points are trimmed already, and those that are left are not to be trimmed once more
                one = self.train(replace(plan, trims=False, doubts_zeros=False), self.points, self.scaling)
            except FloatingPointError as error:
                self.failure = error
                continue
            tried.append(plan)
            self.judge(plan, one)
            if max(error or 0.0 for error in self.found[plan.name]) < EXACT:
                break

    def judge(self, plan: Plan, one: T) -> None:
        both = [None if part is None or not share else part / share
                for part, share in zip(_errors(one, self.held, self.scaling, self.data), self.known)]
        value, slope = (None if part is None else float(np.sqrt(part.mean())) for part in both)
        self.trained[plan.name], self.found[plan.name] = one, (value, slope)
        told = [part for part in both if part is not None]
        self.errors[plan.name] = np.array(told).reshape(len(told), len(self.held))

    def less(self, new: Plan, old: Plan, share: float) -> bool:
        """Whether its squared errors, of values times those of slopes, are less than a share of the other's."""
        before, after = ((self.errors[plan.name].mean(axis=1) + EXACT**2).prod() for plan in (old, new))
        return bool(after < share * before)

    def believes_more(self, new: Plan, old: Plan) -> bool:
        """Whether it gives slopes more weight."""
        weights = [float(np.min(self.trained[plan.name].derivative_weight_)) for plan in (new, old)]
        return weights[0] > weights[1]

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


@dataclass
class Tried(Generic[T]):
    """A plan's trial."""

    trials: _Trials[T]
    plan: Plan

    @property
    def trained(self) -> T:
        return self.trials.trained[self.plan.name]

    def is_far_better_than(self, final: T) -> bool:
        """Whether points that the trial had not seen are missed by what was trained on them, too: then that training failed."""
        whole = replace(self.plan, name=f"{self.plan.name}, of all points")
        self.trials.judge(whole, final)
        return self.trials.less(self.plan, whole, FAR_LESS)


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


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _message(plan: Plan, found: dict, far: str, spared: Plan | None) -> str:
    parts = [f"{_percent(error)} of the {name}' size" for name, error in zip(("values", "slopes"), found[plan.name])
             if error is not None]
    first = f"Of {len(found)} plans" if len(found) > 1 else "Without trying others,"
    tried = f"{first} \"{plan.name}\" was chosen: it predicts held-out points to {' and '.join(parts)}."
    value, slope = found[plan.name]
    if plan.trims:
        tried = f"{tried} {_capital(far)}, would outweigh all others and were left out: are they right?"
    if plan.doubts_zeros:
        return (f"{tried} Slopes along some input are zero at all points, but values change along it: these are followed, and slopes of "
                "zero were left out. NaN is for slopes that are not known.")
    if plan.trims:
        return tried
    if value is not None and slope is not None and max(value, slope) > NOISY and max(value, slope) > UNLIKE * min(value, slope):
        what = ("values are not: they hold noise, or jumps that no slope tells" if value > slope else
                "slopes are not: they are noisy or wrong, or the function is finer than the points")
        return f"{tried} {'Slopes' if value > slope else 'Values'} are followed, {what}."
    if plan.kind in ("smooth", "waves", "brief") and max(error or 0.0 for error in found[plan.name]) > NOISY:
        if spared is not None:
            return (f"{tried} All that were tried miss so much that \"{spared.name}\" was not: the labels are noisy, or the function is "
                    "finer than the points.")
        return (f"{tried} Following the labels closely would predict no better: the labels are noisy, or the function is finer "
                "than the points.")
    return tried
