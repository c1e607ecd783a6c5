"""Black boxes by other people's code: is a call for a value still the better bargain, with methods that are not this library's?

Black boxes, points, calls, seeds and measures are those of ``gradient_worth`` and ``learned_simulator``, and so is the tuning:
as many trials, chosen by validation error on the same seeds. A Gaussian process of ``gpytorch`` is told values, or values and
all differences at fewer points, by equally many calls; ``MLPRegressor`` of scikit-learn is told values, and ``jenn``
differences. The packages are needed for a new record alone.
"""
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product

import numpy as np
import torch

from sobolev_lib.data import SobolevData
from sobolev_lib.experiments import gradient_worth, learned_simulator
from sobolev_lib.experiments.black_box import WAYS, calls_a_point
from sobolev_lib.experiments.figure_2 import log_ratio
from sobolev_lib.experiments.gradient_process import gaussian_process
from sobolev_lib.experiments.intervals import Interval
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.own_peers import by, finite, jenn, mlp_regressor
from sobolev_lib.experiments.verdicts import Verdict, status_of
from sobolev_lib.records import MissingResults, runs_of

NAME = "black-box-peers"
SHOWS = "Section 5, black boxes, by other people's code"
DEVICE = "cpu"                                             # all that other packages know
VALUES, DIFFERENCES = "GPyTorch, values", "GPyTorch, differences"
METHODS = {VALUES: gaussian_process, DIFFERENCES: gaussian_process, "MLPRegressor, values": mlp_regressor,
           "JENN, differences": jenn}


def _grid(**values: Sequence) -> list[dict]:
    return [dict(zip(values, each)) for each in product(*values.values())]


# six each, as the networks have
_PROCESS = _grid(length=(0.5, 1.5, 5.0), noise=(1e-4, 1e-2))
TRIALS = {VALUES: _PROCESS, DIFFERENCES: _PROCESS,
          "MLPRegressor, values": _grid(hidden=((32, 32),), alpha=(1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)),
          "JENN, differences": _grid(hidden=((12, 12), (24, 24), (32, 32)), alpha=(0.02, 0.05))}


@dataclass(frozen=True)
class Config:
    trials: dict = field(default_factory=lambda: TRIALS)   # by method
    waves: gradient_worth.Config = gradient_worth.Config()
    lorenz: learned_simulator.Config = replace(learned_simulator.Config(), calls=(200, 800))   # what a process can bear


PRESETS = {
    "quick": Config(trials={VALUES: _PROCESS[:1], DIFFERENCES: _PROCESS[:1]}, waves=gradient_worth.PRESETS["quick"],
                    lorenz=replace(learned_simulator.PRESETS["quick"], calls=(40,))),
    "cpu": Config(),
}


def boxes(config: dict) -> list[str]:
    """The black boxes of a configuration as ``describe`` gives it: waves by inputs and noise, the simulator by calls.

    >>> boxes(describe(PRESETS["quick"]))
    ['waves/2/0', 'lorenz/40']
    """
    waves, lorenz = config["waves"], config["lorenz"]
    return [f"waves/{unit}" for unit in gradient_worth.named(waves["inputs"], waves["noises"])] \
        + [f"lorenz/{calls}" for calls in lorenz["calls"]]


def units(config: Config) -> list[str]:
    """One a black box and a method."""
    return [f"{box}/{method}" for box in boxes(describe(config)) for method in config.trials]


class Box:
    """A black box: ``asked(way, seed)`` gives labels by equally many calls whatever the way, ``clean(count, seed)`` the truth."""

    def __init__(self, box: str, config: Config):
        kind, name = box.split("/", 1)
        if kind == "waves":
            self.protocol, problem = config.waves, gradient_worth.Problem(name, config.waves)
            self.inputs, self.calls = problem.inputs, config.waves.points * calls_a_point(WAYS[2], problem.inputs)
        else:
            self.protocol, problem = config.lorenz, learned_simulator.Problem(config.lorenz)
            self.inputs, self.calls = 3, int(name)
        self.variance, self.clean, self._asked = problem.variance, problem.clean, problem.asked

    def asked(self, way: str, seed: int) -> SobolevData:
        return self._asked(way, self.calls // calls_a_point(way, self.inputs), seed)


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Tune a method on a black box, fit its winner for each seed, measure as the networks were measured."""
    keep, (name, method) = keep or Keep(), unit.rsplit("/", 1)
    box = Box(name, config)
    way = "values" if method.endswith("values") else WAYS[2]

    def fitted(seed: int, trial: dict):
        data = box.asked(way, seed)
        tables = [data.inputs.numpy(), data.values.numpy(), data.jacobian.numpy() if data.order else None]
        return METHODS[method](*tables, seed, **trial)

    def share(predict, truth: SobolevData) -> float:
        """Mean squared error over the variance."""
        error = np.square(predict(truth.inputs.numpy())[0] - truth.values.numpy()).mean()
        return finite(error / box.variance)

    def tried(seed: int, trial: dict) -> float:
        return share(fitted(seed, trial), box.clean(box.protocol.validation_points, seed))

    def measured(seed: int) -> dict:
        predict = fitted(seed, winner)
        found = {"seed": seed, "error": share(predict, box.clean(box.protocol.test_points, 7))}
        if name.startswith("lorenz"):
            found["valid_time"] = learned_simulator.valid_time(_network(predict), config.lorenz, device)
        return found

    trials = [{"settings": trial, "log10_validation_error": statistics.mean(
        float(np.log10(keep.once(f"trial-{k}-{seed}", lambda: tried(seed, trial)))) for seed in box.protocol.tuning_seeds)}
        for k, trial in enumerate(config.trials[method])]
    winner = min(trials, key=lambda each: each["log10_validation_error"])["settings"]
    return {"by": by(method.split(",")[0]), "points": len(box.asked(way, 0)),
            "trials": trials, "chosen": winner, "runs": [keep.once(f"seed-{seed}", lambda: measured(seed)) for seed in seeds]}


def _network(predict):
    """A peer's answers as the rollouts ask for them, from tensor to tensor."""
    return lambda states: torch.as_tensor(predict(states.double().numpy())[0])


def describe(config: Config) -> dict:
    return asdict(config)


def probe() -> dict:
    """What is asked of black boxes; the rest is other people's code."""
    small = Config(waves=replace(gradient_worth.Config(), inputs=(2,), points=10, test_points=20),
                   lorenz=replace(learned_simulator.Config(), calls=(40,), test_points=20))
    found = {}
    for name in boxes(describe(small)):
        box = Box(name, small)
        for way in ("values", WAYS[2]):
            data = box.asked(way, 0)
            found[f"{name}/{way}"] = [box.variance, len(data), *(float(table.abs().mean()) for table in data.tables)]
    return found


# --- what a record says -----------------------------------------------------------------------------------------------

def errors_of(record: dict, box: str, method: str, what: str = "error") -> list[float]:
    """A method's errors on a black box, one a seed: mean squares over the variance; or its times near the truth, "valid_time"."""
    found = [run[what] for run in runs_of(record, f"{box}/{method}")]
    least = record["config"]["lorenz"]["gap"] / 2          # a rollout that is lost at once has half a step of time
    return [max(each, least) for each in found] if what == "valid_time" else found


def against(record: dict, box: str, method: str = DIFFERENCES, other: str = VALUES, what: str = "error") -> Interval:
    """log10 of a method's errors over another's, or of times, at as many calls and paired by seeds."""
    return log_ratio(*(errors_of(record, box, each, what) for each in (method, other)))


RULE = ("A Gaussian process of another package, told values and all differences, over the same told values alone, at as many "
        "calls: ratios of squared test errors, paired by seed, with a 95 % interval of their logarithm. Confirmed if "
        "differences err less in every case, with intervals below 1. Confirmed in direction if so in more than half. "
        "Contradicted if values err less in every one. Open otherwise. What the other methods give is told, and decides nothing.")


def verdict(record: dict) -> Verdict:
    """By ``RULE``."""
    found = {box: against(record, box) for box in boxes(record["config"])}
    if not found:
        raise MissingResults("record: expected black boxes, got none")
    sides = [each.side() for each in found.values()]
    times = []
    for box in found:
        if box.startswith("lorenz"):
            longer = against(record, box, what="valid_time")
            times.append(f"{10**longer.mean:.2f} times as long ({10**longer.low:.2f} to {10**longer.high:.2f}) from "
                         f"{int(box.split('/')[1]):,} calls")
    config = record["config"]
    return Verdict(
        claim="Finite differences could help where a black box has no derivatives (section 5). Asked here of other people's "
              "code.",
        measured=f"At as many calls a Gaussian process errs clearly less with differences in {sides.count('below')} of "
                 f"{len(sides)} cases, and clearly more in {sides.count('above')}."
                 + (f" With differences its rollouts of the simulator stay near the truth {', '.join(times)}." if times else ""),
        scale=f"{len(sides) - len(times)} sums of waves, and a simulator by {len(times)} number{'s' * (len(times) != 1)} of "
              f"calls, {len(config['trials'][VALUES])} trial{'s' * (len(config['trials'][VALUES]) > 1)} a method, "
              f"{len(record['seeds'])} seeds.",
        status=status_of(sides, better="below"), rule=RULE)
