"""At equal time, who is ahead? Section 4.1 compares at equal steps; a Sobolev step costs more.

The protocol is that of ``figure_2``. The price of a step of each method is measured in turns, and Sobolev training gets as
many steps as regular training has time for: both plans take equally long, and both learning rates decay to zero along a
cosine over their own plan. So no clock runs while networks train, and what else the machine does disturbs no curve. A test
error at one instant is luck: curves are running means, and what counts in the end is the mean over the last tenth.
"""
import statistics
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from sobolev_lib import functions
from sobolev_lib.experiments import figure_2, step_cost
from sobolev_lib.experiments.figure_2 import TRAININGS, log_ratio, measure, power, scales
from sobolev_lib.experiments.intervals import Interval
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.verdicts import Verdict
from sobolev_lib.records import MissingResults

NAME = "equal-time-race"
SHOWS = "Section 4.1, at equal time"
WINDOW = 0.1                                               # of the recorded errors: what a running mean takes together


@dataclass(frozen=True)
class Config(figure_2.Config):
    functions: tuple[str, ...] = ("styblinski_tang", "rosenbrock", "ackley")
    sizes: tuple[int, ...] = (1_000,)
    activations: tuple[str, ...] = ("relu", "silu")
    steps: int = 5_000                                     # of regular training
    batch_size: int = 256
    regular_lrs: tuple[float, ...] = (3e-4, 6e-4, 1e-3, 2e-3, 3e-3, 6e-3)
    sobolev_lrs: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    derivative_weights: tuple[float, ...] = (0.1, 1.0)
    tuning_seeds: tuple[int, ...] = (1000,)
    curve_points: int = 100
    compile: bool = False
    turns: int = 15                                        # of measuring the price of a step
    seconds: float = 0.2                                   # of each method in each turn

    def reports(self) -> list[int]:
        """Evenly spaced, as time is."""
        return sorted({int(s) for s in np.linspace(self.steps / self.curve_points, self.steps, self.curve_points)})


@dataclass(frozen=True)
class _Plan(Config):
    activation: str = "relu"


PRESETS = {
    "quick": Config(functions=("styblinski_tang",), sizes=(100,), hidden=(64, 64), steps=200, regular_lrs=(3e-3,),
                    sobolev_lrs=(3e-3,), derivative_weights=(1.0,), test_points=1_000, curve_points=20, turns=7,
                    seconds=0.05),
    "cpu": Config(),
}


def units(config: Config) -> list[str]:
    """One an activation and function."""
    return [f"{activation}/{name}" for activation in config.activations for name in config.functions]


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Measure what a step costs, then let both methods train for as long as regular training's steps take."""
    activation, keep = unit.split("/")[0], keep or Keep()
    seconds = keep.once("seconds", lambda: seconds_of_a_step(activation, config, device))
    return race(unit, seconds, config, seeds, device, keep)


def seconds_of_a_step(activation: str, config: Config, device: str) -> dict[str, list[float]]:
    """Of the paper's network, each method's as ``step_cost`` times it; one number a turn."""
    cost = step_cost.Config(width=config.hidden[0], turns=config.turns, seconds=config.seconds, compile=False)
    ways = step_cost.steps(cost, device, batch=config.batch_size, depth=len(config.hidden), activation=activation)
    found = step_cost.in_turns({way: ways[way] for way in ("regular", "closed form")}, cost, device)
    return {"regular": found["regular"], "sobolev": found["closed form"]}


def race(unit: str, seconds: dict[str, list[float]], config: Config, seeds: list[int], device: str,
         keep: Keep | None = None) -> dict:
    """Both methods, each with the steps that regular training's time allows at these prices."""
    activation, name = unit.split("/")
    price = statistics.median(b / a for a, b in zip(seconds["regular"], seconds["sobolev"]))
    steps = {"regular": config.steps, "sobolev": max(config.curve_points, round(config.steps / price))}
    found = {"seconds": seconds, "price": price}
    for method in TRAININGS:
        plan = _Plan(**asdict(replace(config, steps=steps[method])), activation=activation)
        measured = measure([name], config.sizes[0], method, plan, seeds, device, keep)[name]
        found[method] = {**measured.settings(), "steps": steps[method], "curve": measured.curve}
    return found


def describe(config: Config) -> dict:
    """What the record says of the run, the test set's own scale included."""
    return {**asdict(config), "scales": scales(config), "threads": torch.get_num_threads()}


def probe() -> dict:
    """The numbers of a few steps by each method, at a made-up price."""
    config = replace(PRESETS["quick"], hidden=(8, 8), steps=12, sizes=(12,), batch_size=8, validation_points=20,
                     test_points=20, curve_points=3)
    found = {unit: race(unit, {"regular": [1.0], "sobolev": [1.5]}, config, [0, 1], "cpu") for unit in units(config)}
    return {"units": found, "scales": scales(config)}


def curves(result: dict, method: str, scale: float = 1.0) -> tuple[list[float], np.ndarray]:
    """Times as shares of the race, and the seeds' running means of the test error over ``scale``, (seeds, times).

    A running mean takes a tenth of the recorded errors together, and stands at the end of what it takes.
    """
    errors, window = _errors(result, method, scale)
    sums = np.cumsum(np.pad(errors, ((0, 0), (1, 0))), axis=1)
    times = np.array(result[method]["curve"]["steps"]) / result[method]["steps"]
    return times[window - 1:].tolist(), (sums[:, window:] - sums[:, :-window]) / window


def final(result: dict, method: str, scale: float = 1.0) -> list[float]:
    """Each seed's mean test error over the last tenth of the race."""
    errors, window = _errors(result, method, scale)
    return errors[:, -window:].mean(axis=1).tolist()


def _errors(result, method, scale):
    errors = np.array(result[method]["curve"]["test_mse"]).T / scale                      # (seeds, times)
    return errors, max(1, round(WINDOW * errors.shape[1]))


def gain(result: dict) -> Interval:
    """log10 of the final error of regular over that of Sobolev training, paired by seeds, with its 95 % interval."""
    return log_ratio(*(final(result, method) for method in TRAININGS))


RULE = ("R is the mean test error over the last tenth of the race, of regular over that of Sobolev training, per seed; "
        "each race, a function and an activation, has the 95 % interval of the mean log10 R over seeds. Confirmed if it "
        "lies above 1 in all races. Confirmed in direction if it does in more than half, and below 1 in fewer than half "
        "as many. Contradicted if it lies below 1 in more than half. Open otherwise.")


def verdict(record: dict) -> Verdict:
    """By ``RULE``."""
    races, config = record["results"], record["config"]
    if not races:
        raise MissingResults("record: expected races, got none")
    gains = {unit: gain(result) for unit, result in races.items()}
    above, below = (sum(found.side() == side for found in gains.values()) for side in ("above", "below"))
    if above == len(gains):
        status = "confirmed"
    elif 2 * above > len(gains) and 2 * below < above:
        status = "confirmed in direction"
    else:
        status = "contradicted" if 2 * below > len(gains) else "open"
    told = ", ".join(f"{getattr(functions, unit.split('/')[1]).title} {unit.split('/')[0]} {power(found.mean):.3g} "
                     f"({power(found.low):.3g} to {power(found.high):.3g})" for unit, found in gains.items())
    return Verdict(
        claim="Sobolev trained networks have the smaller test error (section 4.1; the paper reports no times).",
        measured=f"At equal time Sobolev training is ahead in {above} of {len(gains)} races and behind in {below}; error of "
                 f"regular over Sobolev: {told}.",
        scale=f"{len(config['functions'])} functions, {config['sizes'][0]:,} points, "
              f"{' x '.join(map(str, config['hidden']))} units, {config['steps']:,} regular steps, as much time for Sobolev, "
              f"{len(config['regular_lrs'])} trials a method, {len(record['seeds'])} seeds.",
        status=status, rule=RULE)
