"""When slopes hurt: labels that are noisy, wrong or too fine for the points, and what they do to other people's methods.

A curve of one input is told by its values, and by values and slopes, to a plain network of ours, to one of the package
``jenn``, to a Gaussian process of ``gpytorch``, and to our regressor by its defaults. Test errors with slopes over those
without are compared seed by seed. Networks weigh slopes by 1, ``jenn`` once as their noise deserves; the process finds the
noise of values and of slopes by its likelihood. And networks are told right slopes, and stopped after few steps. Networks and
process have six trials for each way of being told, chosen by validation error on seeds of their own; the regressor chooses
for itself. The chapter teaches the same labels to networks that train in the page. The packages are needed for a new record
alone.
"""
import statistics
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR

from sobolev_lib.data import SobolevData
from sobolev_lib.experiments.figure_2 import log_ratio
from sobolev_lib.experiments.gradient_process import gaussian_process
from sobolev_lib.experiments.intervals import Interval
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.own_peers import by, finite, jenn, ours
from sobolev_lib.experiments.verdicts import Verdict, status_of
from sobolev_lib.labelling import label
from sobolev_lib.losses import SobolevLoss
from sobolev_lib.models import MLP
from sobolev_lib.records import MissingResults, runs_of
from sobolev_lib.training import fit

NAME = "harmful-slopes"
SHOWS = "Section 2, equation 1 where its slopes mislead: noisy, wrong or too fine ones, told to other people's methods"
DEVICE = "cpu"                                             # all that other packages know
POINTS, REACH, SIGMA, RIPPLE = 30, 3.0, 0.2, 0.05          # inputs lie in [-REACH, REACH]; noise of values; height of a ripple
WEIGHED = "slopes by the formula"                          # the weight that the noise deserves
TOLD = {"network": ("values", "slopes"), "JENN": ("values", "slopes", WEIGHED), "GPyTorch": ("values", "slopes"),
        "SobolevRegressor": ("values", "slopes")}
DESCENTS = ("network", "JENN")                             # can be stopped early
_SIZES = ((12, 12), (24, 24), (32, 32))
TRIALS = {"network": [{"hidden": hidden, "lr": lr} for hidden in _SIZES for lr in (1e-2, 3e-2)],
          "JENN": [{"hidden": hidden, "alpha": alpha} for hidden in _SIZES for alpha in (0.02, 0.05)],
          "GPyTorch": [{"length": length, "noise": noise} for length in (0.3, 1.0, 3.0) for noise in (1e-4, 1e-2)],
          "SobolevRegressor": [{}]}


@dataclass(frozen=True)
class Config:
    cases: tuple[str, ...] = ("noise/1", "noise/4", "noise/16", "factor/1", "factor/1.25", "factor/2", "factor/-1", "ripple/5",
                              "ripple/20", "ripple/80", "steps/10", "steps/30", "steps/100")
    methods: tuple[str, ...] = tuple(TOLD)
    tuning_seeds: tuple[int, ...] = (500, 501, 502, 503)
    validation_points: int = 200


PRESETS = {"quick": Config(cases=("noise/16", "factor/-1"), methods=("SobolevRegressor",)), "cpu": Config()}


# --- the labels -------------------------------------------------------------------------------------------------------

def curve(x: Tensor) -> Tensor:
    """What is to be learned: x (N, 1) to (N,)."""
    return torch.sin(2 * x[:, 0]) + 0.5 * torch.cos(3 * x[:, 0])


def target(case: str) -> Callable[[Tensor], Tensor]:
    """The curve, with a ripple of the frequency that "ripple/80" names.

    >>> target("ripple/80")(torch.zeros(1, 1)) == curve(torch.zeros(1, 1))
    tensor([True])
    """
    kind, number = kind_of(case)
    return curve if kind != "ripple" else lambda x: curve(x) + RIPPLE * torch.sin(number * x[:, 0])


def labels(case: str, seed: int) -> SobolevData:
    """Points that a seed draws, with the values and slopes that they are told.

    >>> labels("factor/-1", 0).jacobian.shape
    torch.Size([30, 1])

    "noise/4": values with noise of standard deviation ``SIGMA``, slopes with four times as much. "factor/2": the true values,
    and slopes twice as large as the true ones. "ripple/80" and "steps/30": all as it is.
    """
    kind, number = kind_of(case)
    generator = torch.Generator().manual_seed(1000 + seed)
    clean = label(target(case), 2 * REACH * torch.rand(POINTS, 1, generator=generator) - REACH)
    values, slopes = clean.values, clean.jacobian
    if kind == "noise":
        values = values + SIGMA * torch.randn(POINTS, generator=generator)
        slopes = slopes + number * SIGMA * torch.randn(POINTS, 1, generator=generator)
    return SobolevData(clean.inputs, values, slopes * number if kind == "factor" else slopes)


def kind_of(case: str) -> tuple[str, float]:
    """Raises ``ValueError`` for a case that there is not.

    >>> kind_of("noise/16")
    ('noise', 16.0)
    """
    kind, _, number = case.partition("/")
    try:
        found = float(number)
    except ValueError:
        found = np.nan
    if kind not in ("noise", "factor", "ripple", "steps") or not np.isfinite(found):
        raise ValueError(f"case: expected noise, factor, ripple or steps and a number, as in noise/16, got {case!r}")
    return kind, found


# --- the runs ---------------------------------------------------------------------------------------------------------

def units(config: Config) -> list[str]:
    """One a case, a method, and what it is told."""
    return [f"{case}/{method}/{told}" for case in config.cases for method in config.methods for told in ways(case, method)]


def ways(case: str, method: str) -> list[str]:
    """What a method is told in a case: weights by the formula only where the noise is known, and a few steps only of descent.

    >>> ways("noise/4", "JENN"), ways("steps/30", "GPyTorch")
    (['values', 'slopes', 'slopes by the formula'], [])
    """
    kind, _ = kind_of(case)
    return [told for told in TOLD[method] if (told != WEIGHED or kind == "noise") and (method in DESCENTS or kind != "steps")]


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Tune a method on a case, fit its winner for each seed, measure test errors."""
    keep, (case, method, told) = keep or Keep(), unit.rsplit("/", 2)

    def fitted(seed: int, trial: dict):
        return _fitted(method, told, case, seed, trial)

    def tried(seed: int, trial: dict) -> float:
        generator = torch.Generator().manual_seed(seed)
        return _error(fitted(seed, trial), case, 2 * REACH * torch.rand(config.validation_points, 1, generator=generator) - REACH)

    def measured(seed: int) -> dict:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            predict = fitted(seed, winner)
        return {"seed": seed, "error": _error(predict, case, torch.linspace(-REACH, REACH, 601).unsqueeze(1)),
                "warned": any("check_labels" in str(each.message) for each in caught)}

    every = TRIALS[method]
    found = [{"settings": trial, "log10_validation_error": statistics.mean(
        float(np.log10(keep.once(f"trial-{k}-{seed}", lambda: tried(seed, trial)))) for seed in config.tuning_seeds)}
        for k, trial in enumerate(every)] if len(every) > 1 else []
    winner = min(found, key=lambda each: each["log10_validation_error"])["settings"] if found else every[0]
    return {"by": by(method), "trials": found, "chosen": winner, "runs": [keep.once(f"seed-{seed}", lambda: measured(seed))
                                                                           for seed in seeds]}


def _fitted(method: str, told: str, case: str, seed: int, trial: dict):
    data = labels(case, seed)
    X, y, dy = (table.double().numpy() for table in data.tables)
    kind, number = kind_of(case)
    if method == "network":
        return _network(data if told == "slopes" else SobolevData(data.inputs, data.values), seed,
                        steps=int(number) if kind == "steps" else 500, **trial)
    if method == "JENN":                                   # it weighs on its own scale, that of z-scores
        weight = {"values": 0.0, "slopes": 1.0, WEIGHED: number**-2}[told]
        return jenn(X, y, dy, seed, gamma=weight / X.var(), max_iter=int(number) if kind == "steps" else 1000, **trial)
    if method == "GPyTorch":
        return gaussian_process(X, y, None if told == "values" else dy, seed, **trial)
    return ours(X, y, None if told == "values" else dy, seed)


def _network(data: SobolevData, seed: int, *, hidden: Sequence[int], lr: float, steps: int):
    model = MLP(1, *hidden, 1, activation="tanh", generator=torch.Generator().manual_seed(seed))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*See sobolev_lib.check_labels")                # they are meant to be wrong
        fit(model, data, loss=SobolevLoss(data.order), steps=steps, lr=lr, seed=seed, progress=False,
            scheduler=partial(CosineAnnealingLR, T_max=steps))
    return lambda X: (model(torch.as_tensor(X, dtype=torch.float32)).detach()[:, 0].double().numpy(), None)


def _error(predict, case: str, x: Tensor) -> float:
    """The mean squared test error, against the truth without noise."""
    return finite(np.square(predict(x.double().numpy())[0] - target(case)(x).numpy()).mean())


def describe(config: Config) -> dict:
    return asdict(config)


def probe() -> dict:
    """What is told, and fits of ours; the rest is other people's code."""
    found = {case: [float(table.abs().mean()) for table in labels(case, 3).tables] for case in Config().cases}
    predict = _network(labels("noise/16", 0), 0, hidden=(12, 12), lr=1e-2, steps=20)
    found["network"] = [_error(predict, "noise/16", torch.linspace(-REACH, REACH, 21).unsqueeze(1))]
    # of seed 1's points: those of seed 0 leave a wide gap, and what is said of it hangs on a number's last digit
    return found | {told: run_unit(f"noise/16/SobolevRegressor/{told}", PRESETS["quick"], [1], "cpu")["runs"][0]["error"]
                    for told in TOLD["SobolevRegressor"]}


# --- what a record says -----------------------------------------------------------------------------------------------

def against(record: dict, case: str, method: str, told: str = "slopes") -> Interval:
    """log10 of a method's errors with slopes over those without, paired by seeds."""
    return log_ratio(*([run["error"] for run in runs_of(record, f"{case}/{method}/{each}")] for each in (told, "values")))


def warned(record: dict, case: str) -> int:
    """By how many seeds the regressor warned of the slopes that it was told."""
    return sum(run["warned"] for run in runs_of(record, f"{case}/SobolevRegressor/slopes"))


def harmful(cases: Sequence[str]) -> list[str]:
    """Those cases in which slopes should not count as much as values.

    >>> harmful(Config().cases)
    ['noise/4', 'noise/16', 'factor/1.25', 'factor/2', 'factor/-1', 'ripple/20', 'ripple/80']

    They carry more noise than values, or a wrong factor, or a ripple half of whose wave is shorter than the mean gap between
    points. To be stopped early takes nothing from what slopes are worth.
    """
    half_a_wave = np.pi * POINTS / (2 * REACH)
    found = []
    for case in cases:
        kind, number = kind_of(case)
        if kind == "noise" and number > 1 or kind == "factor" and number != 1 or kind == "ripple" and number > half_a_wave:
            found.append(case)
    return found


RULE = ("A network of another package, told values and slopes of weight 1, over the same told values alone: ratios of squared test "
        "errors, paired by seed, with a 95 % interval of their logarithm. Cases count in which slopes carry more noise than values, "
        "a wrong factor, or a ripple half of whose wave is shorter than the mean gap between points. Confirmed if slopes err more in "
        "each, with intervals above 1. Confirmed in direction if so in more than half. Contradicted if they err less in each. Open "
        "otherwise. What the other methods give is told, and decides nothing.")


def verdict(record: dict) -> Verdict:
    """By ``RULE``."""
    cases = harmful(record["config"]["cases"])
    if not cases:
        raise MissingResults("record: expected cases in which slopes deserve less than values, got none")
    own, network, process, left_alone = ([against(record, case, method).side() for case in cases]
                                         for method in ("network", "JENN", "GPyTorch", "SobolevRegressor"))
    return Verdict(
        claim="No word on this; its targets are exact. Asked here: slopes with more weight than they deserve hurt others, too.",
        measured=f"Told slopes of weight 1, JENN's network errs clearly more in {network.count('above')} of {len(cases)} cases, "
                 f"and clearly less in {network.count('below')}; a plain network of ours in {own.count('above')} and "
                 f"{own.count('below')}. A Gaussian process that finds the noise by its likelihood errs clearly "
                 f"more in {process.count('above')} and less in {process.count('below')}; our regressor by its defaults in "
                 f"{left_alone.count('above')} and {left_alone.count('below')}.",
        scale=f"{len(record['config']['cases'])} cases of a curve of one input, of which {len(cases)} count; {POINTS} points; "
              f"{len(TRIALS['JENN'])} trials for networks and process, while the regressor chooses for itself; "
              f"{len(record['seeds'])} seeds.",
        status=status_of(network, better="above"), rule=RULE)
