"""Choosing a plan: each is tried on some of the points, and judged by values and slopes of those held out."""
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sobolev_lib.data import SobolevData
from sobolev_lib.formats import listed
from sobolev_lib.regressor.outliers import (
    Outlying,
    flat,
    outlying,
    tell_without_slopes,
    without,
    without_flat_slopes,
    without_slopes,
)
from sobolev_lib.regressor.plans import LEAST, Plan
from sobolev_lib.regressor.trials import EXACT, HOPELESS, T, Train, Trials, Tried
from sobolev_lib.scaling import ZScores
from sobolev_lib.training.estimating import split

SHARE, MOST = 0.2, 2_000                                   # of the points, held out for trials: a share, and at most
LESS, MUCH_LESS = 0.99, 0.01                               # squared errors without labels that outweigh all others: of them, and of few points
FEWEST, SHARE_OF_FEW = 6, 1 / 3                            # of fewer points than LEAST: at least, and the share that is held out
UNTRIED = f"Fewer than {LEAST} points: too few to compare plans by."
MISSED, CLOSER = 0.3, 0.01                                 # an error share, and, of few points, the squared errors of what is far better
ALONE, SEVERAL, TOO_FEW = 0.25, 6, 3                       # squared errors without slopes, of those with them; values that tell it
FINE = 0.05                                                # an error share for which no trimming need be tried
NOISY = 0.15                                               # an error share on held-out points that is worth a word
JUMPS = "jumps, of which no slope tells: fit(X, y) may come closer there"
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


KEPT = " Trained on all points it met these worse, so it was left as it was tried."


def choose(plans: Sequence[Plan], train: Train, data: SobolevData, seed: int, *,
           may_drop_slopes: bool = True) -> tuple[Choice, Tried[T] | None]:
    """Compare plans, the simplest first; a later one must be better than the best so far by a standard error, or by half of it.

    What is solved costs least, so it is tried before the others, and spares them if it is ``EXACT``; the last costs most,
    and is spared if the others are ``HOPELESS``. ``train``: plan, data (N, d), scaling -> what it has trained; the trial of the
    choice is returned with it, None if it was not tried.

    Where a few labels outweigh all others (``outliers``), what is solved is tried without them, and so is the best if it is not
    ``FINE``, and then taken unless it is worse; so is what is solved, if it is as near and lets all other slopes count more. If one of
    these is taken, all plans are tried so. Of fewer than ``LEAST`` points nothing else is tried, unless what is solved has ``MISSED``
    those held out: then what stands by is, and is taken where it is far ``CLOSER``. Where slopes along an input are zero at all
    points, and values are not met, it is tried what comes of not believing these. Where the best has ``MISSED`` the values of
    an output, they are followed ``ALONE`` if they are far nearer so, with plans that they choose, unless ``may_drop_slopes`` says no.

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
        plans, standing_by = plans[:1], plans[1:]
        if len(data) < FEWEST or not (doubt or zeros or standing_by):
            return Choice(plans[0], message=UNTRIED + doubt), None
    # labels that outweigh all others are trained on, unless they are many: else nobody sees what they do
    keep = far.points if few or int(far.points.sum()) * SHARE < 1 else None
    trials = Trials[T](train, data, split(data, SHARE_OF_FEW if few else min(SHARE, MOST / len(data)), seed, keep))
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
    if may_drop_slopes and data.order > 0:
        trials, best = _without_slopes(trials, plans, best, few, trims=bool(doubt))
        found = trials.found | found if best.values_alone else found
    if few and not (best.trims or best.doubts_zeros or best.values_alone):
        best = _far_closer(trials, plans[0], standing_by)
        if best is plans[0]:
            return Choice(best, message=UNTRIED + doubt), None
        found = dict(trials.found)
    tried_all = any(plans[-1].name in name for name in found)
    message = _message(best, found, far.said(data.inputs), None if tried_all else plans[-1])
    return Choice(best, found, message), Tried(trials, best)


def _without_outliers(trials: Trials[T], plans: Sequence[Plan], best: Plan, far: Outlying, few: bool) -> tuple[Trials[T], Plan]:
    """The best plan, with outlying labels or without, and trials that are judged by all others; those without are the same at less."""
    fine = max(error or 0.0 for error in trials.found[best.name]) <= FINE
    fair = Trials[T](trials.train, without(trials.data, far), trials.split)
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


def _far_closer(trials: Trials[T], solved: Plan, standing_by: Sequence[Plan]) -> Plan:
    """Of few points, the solved plan, unless it misses what was held out and a trained one comes far closer, as at a kink."""
    if solved.name in trials.found and max(error or 0.0 for error in trials.found[solved.name]) > MISSED:
        trials.run(standing_by)
        for plan in standing_by:
            if plan.name in trials.found and trials.less(plan, solved, CLOSER):
                return plan
    return solved


def _without_flat_slopes(trials: Trials[T], plans: Sequence[Plan], best: Plan, few: bool) -> tuple[Trials[T], Plan]:
    """The best plan, believing that slopes are zero along some inputs or not, and trials judged by all other labels."""
    fair = Trials[T](trials.train, without_flat_slopes(trials.data), trials.split)
    fair.judge(best, trials.trained[best.name])
    solved = [plan.without_outliers() if best.trims else plan for plan in plans if plan.solved and not best.solved]
    others = [plan.without_flat_slopes() for plan in [*solved, best]]
    fair.run(others)
    chosen = fair.best([best, *[plan for plan in others if plan.name in fair.found]])
    return fair, best if few and not fair.less(chosen, best, MUCH_LESS) else chosen


def _without_slopes(trials: Trials[T], plans: Sequence[Plan], best: Plan, few: bool, trims: bool) -> tuple[Trials[T], Plan]:
    """The best plan, or the best without slopes of some outputs, if what is solved, or what follows labels most closely, is far
    nearer to their values so.

    Fewer held-out values, or values that are not missed by much, must say so more clearly; one or two say nothing. ``trims``: the
    trials' data lack what is outlying.
    """
    q, before = len(trials.values_known), trials.missed[best.name]
    points, held = ((~part.values.isnan()).reshape(len(part), q).sum(dim=0).numpy() for part in (trials.points, trials.held))
    missed = [k for k in range(q) if min(points[k], held[k]) >= TOO_FEW and before[k] > FINE]
    if not missed:
        return trials, best
    noisy = trials.hopeless(plans)                         # else what follows labels most closely shows what values tell

    @functools.cache
    def leaving_out(*outputs: int) -> tuple[Trials[T], list[Plan], Plan]:
        known = tell_without_slopes(trials.data, outputs)
        places = known.cumsum(0) - 1                       # among those that are left
        points, held = (places[part[known[part]]] for part in trials.split)
        alone = Trials[T](trials.train, without_slopes(trials.data, outputs), (points, held))
        every = [(plan.without_outliers() if trims else plan).without_slopes(outputs, q) for plan in plans]
        first = next((plan for plan in every if plan.solved), every[0 if noisy else -1])
        alone.run([first])
        return alone, every, first

    def is_nearer(k: int, after: float) -> bool:
        clear = few or held[k] < SEVERAL or before[k] <= MISSED
        return bool(after <= HOPELESS and after**2 + EXACT**2 < (MUCH_LESS if clear else ALONE) * (before[k]**2 + EXACT**2))

    alone, every, first = leaving_out(*missed)
    if first.name not in alone.found:                      # its training did not stay finite
        return trials, best
    nearer = [k for k in missed if is_nearer(k, alone.missed[first.name][k])]
    # where outputs share a network, wrong slopes of one spoil another: those of the worst go first, and others only if need be
    outputs: list[int] = []
    now = before
    for k in sorted(nearer, key=lambda k: -before[k]):
        if now[k] > FINE:
            outputs = sorted([*outputs, k])
            alone, every, first = leaving_out(*outputs)
            now = alone.missed.get(first.name, before)
    if not outputs or first.name not in alone.found:
        return trials, best
    if not few and max(error or 0.0 for error in alone.found[first.name]) >= EXACT:
        alone.run([plan for plan in every if plan is not first])
    return alone, alone.best([plan for plan in every if plan.name in alone.found])


def weighed(choice: Choice, weight, few: bool = False) -> Choice:
    """The choice, and a word on the weight of slopes, a number or one an output (q, 1), where the likeliest is not 1.

    >>> weighed(Choice(Plan("waves")), np.array([[0.0625]])).message
    'Trained as told. Slopes are noisier for their size than values: slopes count 0.0625 times as much.'
    """
    found = np.ravel(weight)
    if (found == 1).all():
        return choice
    if few:                                                # which tell little of noise
        said = "By what makes so few labels likeliest"
    elif len(found) > 1:
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
    if plan.values_alone:
        s = "s" if len(plan.values_alone) > 1 else ""
        of = "" if plan.name.endswith("values alone") else f" of output{s} {listed(map(str, plan.values_alone))}"
        return (f"{tried} With slopes{of} values were missed: slopes are wrong, or the function has jumps, of which none tells. So they "
                "were left out.")
    if plan.trims:
        return tried
    if value is not None and slope is not None and max(value, slope) > NOISY and max(value, slope) > UNLIKE * min(value, slope):
        what = (f"values are not: they hold noise, or {JUMPS}" if value > slope else
                "slopes are not: they are noisy or wrong, or the function is finer than the points")
        return f"{tried} {'Slopes' if value > slope else 'Values'} are followed, {what}."
    if plan.kind in ("smooth", "waves", "brief") and max(error or 0.0 for error in found[plan.name]) > NOISY:
        why = "the labels are noisy, or the function is finer than the points"
        if value is not None and slope is not None and value > NOISY:
            why = f"{why}, or has {JUMPS}"
        if spared is not None:
            return f"{tried} All that were tried miss so much that \"{spared.name}\" was not: {why}."
        return f"{tried} Following the labels closely would predict no better: {why}."
    return tried
