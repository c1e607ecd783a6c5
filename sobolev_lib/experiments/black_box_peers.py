"""Black boxes by other people's code: is a call for a value still the better bargain, with methods that are not this library's?

Black boxes, points, calls, seeds and measures are those of ``gradient_worth`` and ``learned_simulator``, and so is the tuning:
as many trials, chosen by validation error on the same seeds. A Gaussian process of ``gpytorch`` is told values, or values and
all differences at fewer points, or a slope along a random direction a point, by equally many calls; ``MLPRegressor`` of
scikit-learn is told values, and ``jenn`` differences. The networks of ``black_box`` are told all of these beside them. The
packages are needed for a new record alone.
"""
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product

import numpy as np
import torch

from sobolev_lib.data import SobolevData
from sobolev_lib.experiments import gradient_worth, learned_simulator
from sobolev_lib.experiments.black_box import RANDOM, WAYS, calls_a_point, measured
from sobolev_lib.experiments.figure_2 import log_ratio
from sobolev_lib.experiments.gradient_process import gaussian_process
from sobolev_lib.experiments.intervals import Interval
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.own_peers import by, finite, jenn, mlp_regressor
from sobolev_lib.experiments.verdicts import Verdict, status_of
from sobolev_lib.formats import listed
from sobolev_lib.records import MissingResults, runs_of

NAME = "black-box-peers"
SHOWS = "Section 5, black boxes, by other people's code"
DEVICE = "cpu"                                             # all that other packages know
VALUES, DIFFERENCES, DIRECTIONS = (f"GPyTorch, {told}" for told in ("values", "differences", "random directions"))
OURS = tuple(f"our network, {told}" for told in ("values", "differences", "random directions"))
METHODS = {VALUES: gaussian_process, DIFFERENCES: gaussian_process, DIRECTIONS: gaussian_process,
           "MLPRegressor, values": mlp_regressor, "JENN, differences": jenn}
_TOLD = {"values": "values", "differences": WAYS[2], "random directions": RANDOM}


def _grid(**values: Sequence) -> list[dict]:
    return [dict(zip(values, each)) for each in product(*values.values())]


# six each, as the networks have
_PROCESS = _grid(length=(0.5, 1.5, 5.0), noise=(1e-4, 1e-2))
TRIALS = {VALUES: _PROCESS, DIFFERENCES: _PROCESS, DIRECTIONS: _PROCESS,
          "MLPRegressor, values": _grid(hidden=((32, 32),), alpha=(1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)),
          "JENN, differences": _grid(hidden=((12, 12), (24, 24), (32, 32)), alpha=(0.02, 0.05))}


@dataclass(frozen=True)
class Config:
    trials: dict = field(default_factory=lambda: TRIALS)   # by method, of other people's
    waves: gradient_worth.Config = replace(gradient_worth.Config(), noises=(0.0, 0.02))
    lorenz: learned_simulator.Config = learned_simulator.Config()
    directions: tuple[int, ...] = (2, 3, 5, 8)             # inputs of the waves that are asked along random directions, too
    process_calls: int = 800                               # of the simulator: from more, a process would take hours


_QUICK = dict.fromkeys((VALUES, DIFFERENCES, DIRECTIONS), _PROCESS[:1])
PRESETS = {
    "quick": Config(trials=_QUICK, waves=gradient_worth.PRESETS["quick"], directions=(2,),
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


def methods(config: dict, box: str) -> list[str]:
    """Who learned a black box: other people's methods, then our networks.

    >>> methods(describe(PRESETS["quick"]), "lorenz/40")
    ['GPyTorch, values', 'GPyTorch, differences', 'our network, values', 'our network, differences']
    """
    kind, size = box.split("/")[:2]
    waves, few = kind == "waves", kind == "waves" or int(size) <= config["process_calls"]
    return [method for method in (*config["trials"], *OURS) if (few or not method.startswith("GPyTorch"))
            and (not method.endswith("directions") or waves and int(size) in config["directions"])]


def units(config: Config) -> list[str]:
    """One a black box and a method."""
    described = describe(config)
    return [f"{box}/{method}" for box in boxes(described) for method in methods(described, box)]


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
    """Tune a method on a black box, fit its winner for each seed, measure all methods alike."""
    keep, (name, method) = keep or Keep(), unit.rsplit("/", 1)
    box = Box(name, config)
    whose, told = method.split(", ")
    way, test = _TOLD[told], box.clean(box.protocol.test_points, 7)

    def fitted(seed: int, trial: dict):
        data, more = box.asked(way, seed), {}
        slopes = data.jacobian.numpy() if way == WAYS[2] else None
        if way == RANDOM:
            slopes, more = data.products[..., 0].numpy(), {"directions": data.directions[:, 0].numpy()}
        return METHODS[method](data.inputs.numpy(), data.values.numpy(), slopes, seed, **more, **trial)

    def share(predict, truth: SobolevData) -> float:
        """Mean squared error over the variance."""
        error = np.square(predict(truth.inputs.numpy())[0] - truth.values.numpy()).mean()
        return finite(error / box.variance)

    def tried(seed: int, trial: dict) -> float:
        return share(fitted(seed, trial), box.clean(box.protocol.validation_points, seed))

    def measure(seed: int, predict) -> dict:
        found = {"seed": seed, "error": share(predict, test)}
        if name.startswith("lorenz"):
            found["valid_time"] = learned_simulator.valid_time(_network(predict), config.lorenz, device)
        return found

    if method in OURS:
        def small(data: SobolevData) -> SobolevData:
            return data.to(device, torch.float32)

        found, networks = measured(way, lambda seed: small(box.asked(way, seed)),
                                   lambda seed: small(box.clean(box.protocol.validation_points, seed)),
                                   seeds, box.protocol, device, keep, "network")
        scale = float(np.log10(box.variance * test.values[0].numel()))                     # of a mean square, summed over outputs
        trials = [{"settings": {name: value for name, value in trial.items() if name != "log10_validation_mse"},
                   "log10_validation_error": trial["log10_validation_mse"] - scale} for trial in found]   # the winner first
        runs = [measure(seed, _predict(network, test.out_shape)) for seed, network in zip(seeds, networks)]
        winner = trials[0]["settings"]
    else:
        trials = [{"settings": trial, "log10_validation_error": statistics.mean(
            float(np.log10(keep.once(f"trial-{k}-{seed}", lambda: tried(seed, trial)))) for seed in box.protocol.tuning_seeds)}
            for k, trial in enumerate(config.trials[method])]
        winner = min(trials, key=lambda each: each["log10_validation_error"])["settings"]
        runs = [keep.once(f"seed-{seed}", lambda: measure(seed, fitted(seed, winner))) for seed in seeds]
    return {"by": by(whose), "points": len(box.asked(way, 0)), "trials": trials, "chosen": winner, "runs": runs}


def _predict(network: torch.nn.Module, out_shape: Sequence[int]):
    """Our network's answers as other packages give theirs, from array to array."""
    def predict(X: np.ndarray) -> tuple[np.ndarray, None]:
        with torch.no_grad():
            values = network(torch.as_tensor(X, dtype=torch.float32)).double().cpu()
        return values.reshape(len(X), *out_shape).numpy(), None
    return predict


def _network(predict):
    """A peer's answers as the rollouts ask for them, from tensor to tensor."""
    return lambda states: torch.as_tensor(predict(states.double().numpy())[0])


def describe(config: Config) -> dict:
    return asdict(config)


def probe() -> dict:
    """What is asked of black boxes, and a few steps of our networks; the rest is other people's code."""
    waves = replace(gradient_worth.PRESETS["quick"], noises=(0.0, 0.02), hidden=(8,), steps=12, points=10, validation_points=20,
                    test_points=20)
    small = Config(waves=waves, lorenz=replace(learned_simulator.Config(), calls=(40,), test_points=20))
    found = {}
    for name in boxes(describe(small)):
        box = Box(name, small)
        for way in ("values", WAYS[2], RANDOM) if name.startswith("waves") else ("values", WAYS[2]):
            data = box.asked(way, 0)
            found[f"{name}/{way}"] = [box.variance, len(data), *(float(table.abs().mean()) for table in data.tables)]
    return found | {method: run_unit(f"waves/2/0/{method}", small, [0, 1], "cpu") for method in OURS}


# --- what a record says -----------------------------------------------------------------------------------------------

def errors_of(record: dict, box: str, method: str, what: str = "error") -> list[float]:
    """A method's errors on a black box, one a seed: mean squares over the variance; or its times near the truth, "valid_time"."""
    found = [run[what] for run in runs_of(record, f"{box}/{method}")]
    least = record["config"]["lorenz"]["gap"] / 2          # a rollout that is lost at once has half a step of time
    return [max(each, least) for each in found] if what == "valid_time" else found


def against(record: dict, box: str, method: str = DIFFERENCES, other: str = VALUES, what: str = "error") -> Interval:
    """log10 of a method's errors over another's, or of times, at as many calls and paired by seeds."""
    return log_ratio(*(errors_of(record, box, each, what) for each in (method, other)))


def boxes_of(record: dict, method: str) -> list[str]:
    """The black boxes that a method learned."""
    config = record["config"]
    return [box for box in boxes(config) if method in methods(config, box)]


RULE = ("A Gaussian process of another package, told values and all differences, over the same told values alone, at as many "
        "calls: ratios of squared test errors, paired by seed, with a 95 % interval of their logarithm. Confirmed if "
        "differences err less in every case, with intervals below 1. Confirmed in direction if so in more than half. "
        "Contradicted if values err less in every one. Open otherwise. What the other methods give is told, and decides nothing.")


def verdict(record: dict) -> Verdict:
    """By ``RULE``."""
    found = {box: against(record, box) for box in boxes_of(record, DIFFERENCES)}
    if not found:
        raise MissingResults("record: expected black boxes, got none")
    sides = [each.side() for each in found.values()]
    along = [against(record, box, DIRECTIONS, DIFFERENCES).side() for box in boxes_of(record, DIRECTIONS)]
    times, trials = [], len(record["config"]["trials"][VALUES])
    for box in found:
        if box.startswith("lorenz"):
            longer = against(record, box, what="valid_time")
            times.append(f"{10**longer.mean:.2f} times as long ({10**longer.low:.2f} to {10**longer.high:.2f}) from "
                         f"{int(box.split('/')[1]):,} calls")
    return Verdict(
        claim="Finite differences could help where a black box has no derivatives (section 5). Asked here of other people's "
              "code.",
        measured=f"At as many calls a Gaussian process errs clearly less with differences in {sides.count('below')} of "
                 f"{len(sides)} cases, and clearly more in {sides.count('above')}."
                 + (f" Slopes along random directions serve it clearly better than whole gradients in {along.count('below')} of "
                    f"{len(along)} cases, and clearly worse in {along.count('above')}." if along else "")
                 + (f" With differences its rollouts of the simulator stay near the truth {listed(times)}." if times else ""),
        scale=f"{len(sides) - len(times)} sums of waves, and a simulator by {len(times)} number{'s' * (len(times) != 1)} of "
              f"calls, {trials} trial{'s' * (trials > 1)} a method, {len(record['seeds'])} seeds.",
        status=status_of(sides, better="below"), rule=RULE)
