"""Trials: plans that are trained on some of the points, and judged by values and slopes of those held out."""
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import numpy as np
from torch import Tensor

from sobolev_lib.data import SobolevData
from sobolev_lib.models import MLP
from sobolev_lib.regressor.answers import Answers
from sobolev_lib.regressor.plans import Plan
from sobolev_lib.scaling import ZScores
from sobolev_lib.training.estimating import LEAST_SIZE, output_sizes

EXACT = 0.003                                              # an error share for which no other plan need be tried
HOPELESS = 0.5                                             # error shares of values and slopes that longer training does not mend
LARGE = 0.5                                                # a gain, as a share of the error, that noise in the labels never leaves
SURE, SURER, FEW = 1.0, 2.0, 20                            # standard errors that a gain must have; where that is so, and the last's of few
FAR_LESS = 0.25                                            # those of a trial, of them after training on all points: then that one failed


class Trained(Protocol):
    """Networks, their scaling and the weight of slopes, as a plan has trained them."""

    networks_: list[MLP]
    scaling_: ZScores
    derivative_weight_: float | np.ndarray


T = TypeVar("T", bound=Trained)
Train = Callable[[Plan, SobolevData, ZScores], T]


class Trials(Generic[T]):
    """Plans that were trained on most points, and their errors on the others."""

    def __init__(self, train: Train, data: SobolevData, parts: tuple[Tensor, Tensor]):
        self.train, self.data, self.split, self.scaling = train, data, parts, ZScores.of(data)
        self.points, self.held = (data[part] for part in parts)
        self.known = [*map(_known, self.held.derivatives[:2]), 0.0]
        self.values_known = (~self.held.values.isnan()).double().reshape(len(self.held), -1).mean(dim=0).numpy()
        self.trained: dict[str, T] = {}
        self.found: dict[str, tuple[float | None, float | None]] = {}
        self.errors: dict[str, np.ndarray] = {}            # squared, of values and slopes, by point
        self.missed: dict[str, np.ndarray] = {}            # of values, shares by output; NaN where none is known
        self.failure: FloatingPointError | None = None

    def run(self, plans: Sequence[Plan]) -> None:
        tried: list[Plan] = []
        for plan in sorted(plans, key=lambda plan: not plan.solved):
            if plan is plans[-1] and any(each.solved for each in plans) and self.hopeless(tried):      # whose noise is the likeliest
                break
            try:
                # what the plan leaves out the data lack already, and what is left is not to be trimmed once more
                one = self.train(replace(plan, trims=False, doubts_zeros=False, values_alone=()), self.points, self.scaling)
            except FloatingPointError as error:
                self.failure = error
                continue
            tried.append(plan)
            self.judge(plan, one)
            if max(error or 0.0 for error in self.found[plan.name]) < EXACT:
                break

    def judge(self, plan: Plan, one: T) -> None:
        values, slopes = _errors(one, self.held, self.scaling, self.data)
        both = [None if part is None or not share else part / share for part, share in zip((values.mean(axis=1), slopes), self.known)]
        with np.errstate(invalid="ignore"):
            self.missed[plan.name] = np.sqrt(values.mean(axis=0) / self.values_known)
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

    trials: Trials[T]
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
    """Squared errors of values (N, q) and of slopes (N,), over their labels' sizes and times the points' weights; missing labels
    count as right."""
    found = Answers(one.networks_, one.scaling_, held.inputs.numpy(), gradient=held.order > 0, std=False)
    n, q = found.values.shape
    std = scaling.output_std.reshape(q).numpy()
    weights = np.ones(n) if held.weights is None else held.weights.numpy() / float(held.weights.mean())
    errors = (found.values - held.values.reshape(n, q).numpy()) / std
    values = weights[:, None] * np.nan_to_num(errors**2)
    if held.order < 1:
        return values, None
    scaled = scaling.standardize(data)
    assert isinstance(scaled, SobolevData) and held.jacobian is not None
    sizes = np.maximum(output_sizes(scaled), LEAST_SIZE)
    errors = (found.gradients - held.jacobian.reshape(n, q, -1).numpy()) * scaling.input_std.numpy() / std[:, None]
    return values, weights * (np.nan_to_num(errors**2).sum(axis=2) / sizes).mean(axis=1)
