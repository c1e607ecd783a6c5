"""What is a gradient worth? Section 5 suggests finite differences for black boxes; each costs a call that could give a value.

Networks learn a sum of waves in d inputs from ``points`` values with gradients, and from more and more values alone. A
gradient's worth is the factor by which the values alone must be more numerous for the same test error. It pays where it
costs fewer calls than that: forward differences cost d more a point, one difference costs one, an adjoint as much as a
handful of calls for any d. With noise each call is disturbed, and the differences' step balances noise against curvature.

A random direction costs one call, too, and tells about all inputs a little (simultaneous perturbation). So at equal calls
there is a second choice: whole gradients at few points, or a slope along a random direction at (d + 1) / 2 times as many.
The protocol is that of ``black_box``.
"""
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sobolev_lib.data import SobolevData
from sobolev_lib.directions import random_directions
from sobolev_lib.experiments.black_box import RANDOM, WAYS, Protocol, asked, calls_a_point, measured, value_mse
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.verdicts import Verdict
from sobolev_lib.formats import listed
from sobolev_lib.records import MissingResults, result

NAME = "gradient-worth"
SHOWS = "Section 5, black boxes: what a gradient is worth"
AS_MANY_CALLS = "random direction, as many calls"          # at more points, as whole gradients at ``points``
LEAST_SEEDS = 6                                            # fewer give a median no 95 % interval


@dataclass(frozen=True)
class Config(Protocol):
    inputs: tuple[int, ...] = (1, 2, 3, 5, 8, 12)
    noises: tuple[float, ...] = (0.0, 0.005, 0.02, 0.1)    # of a call, as a share of the values' standard deviation
    points: int = 40                                       # with slopes
    factors: tuple[float, ...] = (1, 1.5, 2, 3, 4, 6, 9, 13)    # times as many values alone
    waves: int = 20
    frequency: float = 2.5                                 # of the waves, root mean square over the cube's diagonal


PRESETS = {
    "quick": Config(inputs=(2,), noises=(0.0,), factors=(1, 3), steps=200, value_lrs=(1e-2,), slope_lrs=(1e-2,),
                    derivative_weights=(1.0,), tuning_seeds=(1000,)),
    "cpu": Config(),
}


def waves(inputs: int, config: Config) -> Callable[[Tensor], Tensor]:
    """A smooth function on the cube [-1, 1]^d, of points (N, d)."""
    generator = torch.Generator().manual_seed(100 + inputs)
    directions = torch.randn(config.waves, inputs, generator=generator, dtype=torch.float64)
    directions *= config.frequency / math.sqrt(inputs)
    phases = 2 * math.pi * torch.rand(config.waves, generator=generator, dtype=torch.float64)
    height = math.sqrt(2 / config.waves)

    def function(x: Tensor) -> Tensor:
        return height * torch.cos(x @ directions.T + phases).sum(-1)

    return function


def curvature(function: Callable[[Tensor], Tensor], x: Tensor, along: Tensor | None = None, step: float = 1e-3) -> float:
    """The root mean square of a function's second derivatives at the points x (N, d): along single inputs, or ``along`` (N, d).

    >>> round(curvature(lambda x: x.square().sum(1), torch.rand(5, 2, dtype=torch.float64)), 3)
    2.0
    """
    moves = step * (torch.eye(x.shape[1], dtype=x.dtype) if along is None else along.unsqueeze(0))
    second = [(function(x + move) - 2 * function(x) + function(x - move)) / step ** 2 for move in moves]
    return float(torch.stack(second).square().mean().sqrt())


def best_step(noise: float, curvature: float) -> float:
    """The step of forward differences at which noise and curvature together disturb least.

    >>> round(best_step(noise=0.01, curvature=1.0), 3)
    0.168

    A difference has a noise error of mean square 2 noise^2 / step^2 and a curvature error of (step curvature / 2)^2.
    """
    return max((8 * noise ** 2 / curvature ** 2) ** 0.25, 1e-4)


class Problem:
    """A unit's black box, a sum of waves: what its calls answer for a seed, and the truth, on points of the cube."""

    def __init__(self, unit: str, config: Config):
        self.inputs, noise = int(unit.split("/")[0]), float(unit.split("/")[1])
        self.function = waves(self.inputs, config)
        self.variance = float(self.clean(config.test_points, 7).values.float().var())
        self.sigma = noise * self.variance ** 0.5
        generator = torch.Generator().manual_seed(20_000)
        places = cube(1_000, self.inputs, generator)
        # all inputs move at once along a random direction: that is further, and through more curvature
        along = random_directions(places, distribution="rademacher", generator=generator)[:, 0]
        step, shorter = [best_step(self.sigma, curvature(self.function, places, each)) for each in (None, along)]
        self.steps = dict.fromkeys(WAYS, step) | {RANDOM: shorter}

    def asked(self, way: str, count: int, seed: int) -> SobolevData:
        """Noisy labels at ``count`` points, by calls spent in a ``way``."""
        generator = torch.Generator().manual_seed(seed)

        def call(x: Tensor) -> Tensor:
            return self.function(x) + self.sigma * torch.randn(len(x), generator=generator, dtype=torch.float64)

        return asked(call, cube(count, self.inputs, generator), way, self.steps[way], generator)

    def clean(self, count: int, seed: int) -> SobolevData:
        """True values at ``count`` other points."""
        x = cube(count, self.inputs, torch.Generator().manual_seed(10_000 + seed))
        return SobolevData(x, self.function(x))


def units(config: Config) -> list[str]:
    """One a number of inputs and a noise."""
    return named(config.inputs, config.noises)


def named(inputs: Sequence[int], noises: Sequence[float]) -> list[str]:
    """The units of these numbers of inputs and noises.

    >>> named([1, 2], [0.02])
    ['1/0.02', '2/0.02']
    """
    return [f"{count}/{noise:g}" for noise in noises for count in inputs]


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Tune and measure each kind of slopes at ``points``, and values alone at each multiple of them."""
    keep, problem = keep or Keep(), Problem(unit, config)
    test = problem.clean(config.test_points, 7).to(device, torch.float32)

    def data(way: str, count: int, seed: int) -> SobolevData:
        return problem.asked(way, count, seed).to(device, torch.float32)

    def validation(seed: int) -> SobolevData:
        return problem.clean(config.validation_points, seed).to(device, torch.float32)

    def spent(way: str, count: int) -> dict:
        trials, networks = measured(way, lambda seed: data(way, count, seed), validation, seeds, config, device, keep,
                                    f"{way}-{count}".replace(" ", "-"))
        return {"trials": trials, "test_mse": [value_mse(network, test) for network in networks]}

    found = {way: keep.once(f"{way}-seeds".replace(" ", "-"), lambda: spent(way, config.points)) for way in (*WAYS[1:], RANDOM)}
    more = config.points * calls_a_point(WAYS[2], problem.inputs) // calls_a_point(RANDOM, problem.inputs)
    found[AS_MANY_CALLS] = keep.once("as-many-calls-seeds", lambda: spent(RANDOM, more))
    alone = {str(factor): keep.once(f"values-{factor}-seeds", lambda: spent("values", round(factor * config.points)))
             for factor in config.factors}
    return {"step": problem.steps[WAYS[2]], "step_along": problem.steps[RANDOM], "variance": problem.variance, "values": alone,
            **found}


def cube(count: int, inputs: int, generator: torch.Generator) -> Tensor:
    """Points drawn evenly from [-1, 1]^d, (count, d)."""
    return 2 * torch.rand(count, inputs, generator=generator, dtype=torch.float64) - 1


def describe(config: Config) -> dict:
    return asdict(config)


def probe() -> dict:
    """The numbers of a few steps."""
    config = replace(PRESETS["quick"], noises=(0.0, 0.1), hidden=(8,), steps=12, points=10, validation_points=20, test_points=20)
    return {unit: run_unit(unit, config, [0, 1], "cpu") for unit in units(config)}


class Worth(NamedTuple):
    """A factor: the median of the seeds, and the ends of its 95 % interval, which are seeds of their own; of fewer than
    ``LEAST_SEEDS`` the lowest and the highest, which is less than 95 %."""

    median: float
    low: float
    high: float


def worth(cell: dict, way: str) -> Worth:
    """The factor by which values alone must be more numerous for the same error as points with this way's slopes.

    Between two factors that were run, logarithms of error and factor are joined by a straight line. A seed whose slopes
    beat the largest factor counts as that factor, one whose slopes lose to equally many values as the smallest: a median
    bears that, a mean would not.
    """
    factors = np.log10([float(factor) for factor in cell["values"]])
    alone = np.log10([each["test_mse"] for each in cell["values"].values()])               # (factors, seeds)
    steady = np.minimum.accumulate(alone.mean(axis=1))     # of all seeds, as more values never hurt but by luck
    found = [10 ** float(np.interp(-error, -steady, factors)) for error in np.log10(cell[way]["test_mse"])]
    return middle(found)


def middle(found: list[float]) -> Worth:
    """The median of one number a seed, and its interval."""
    found, beyond = sorted(found), _beyond(len(found))
    return Worth(statistics.median(found), found[beyond], found[-1 - beyond])


def _beyond(count: int) -> int:
    """How many of the seeds lie outside a 95 % interval of their median, on either side; none where there are few.

    >>> [_beyond(count) for count in (3, 6, 10, 20)]
    [0, 0, 1, 5]
    """
    beyond = 0
    while 2 * sum(math.comb(count, k) for k in range(beyond + 2)) <= 0.05 * 2 ** count:
        beyond += 1
    return beyond


def values_for_as_many_calls(cell: dict, inputs: int) -> dict:
    """What values alone gave for as many calls as whole gradients cost: at d + 1 times the points."""
    factor = next((factor for factor in cell["values"] if float(factor) == inputs + 1), None)
    if factor is None:
        raise MissingResults(f"record: expected values alone at {inputs + 1} times the points, got {', '.join(cell['values'])}")
    return cell["values"][factor]


def hurt(cell: dict, way: str) -> float:
    """Test error of points with slopes over that of as many values alone, the ratio of the seeds' medians."""
    alone = cell["values"][min(cell["values"], key=float)]["test_mse"]
    return statistics.median(cell[way]["test_mse"]) / statistics.median(alone)


def pays(cell: dict, way: str, inputs: int) -> str:
    """Is a way's worth "above" the calls that a point costs with it, "below", or not clearly either, "around"?"""
    found, price = worth(cell, way), calls_a_point(way, inputs)
    # the largest factor may be the price itself, up to rounding: that says neither
    return "above" if found.low > 1.001 * price else "below" if found.high < 0.999 * price else "around"


def told(cell: dict, way: str) -> str:
    """A worth in words: at the ends of the factors "13 or more", "1 or less"."""
    found, factors = worth(cell, way).median, [float(factor) for factor in cell["values"]]
    if found > 0.999 * max(factors):
        return f"{max(factors):g} or more"
    return f"{min(factors):g} or less" if found < 1.001 * min(factors) else f"{found:.1f}"


RULE = ("A way's worth is the factor by which values alone must be more numerous for the same test error: the median of the "
        "seeds, with its 95 % interval. It pays where that lies above the calls that a point costs with it, and loses where "
        "it lies below. A cell is a number of inputs and a noise. Confirmed if differences of all inputs, or of one, pay in "
        "every cell. Confirmed in direction if one of the two pays in more than half. Contradicted if both lose in every "
        "cell, as the paper says no more than \"could\". Open otherwise, and with fewer than six seeds.")


def verdict(record: dict) -> Verdict:
    """By ``RULE``."""
    config = record["config"]
    cells = {unit: result(record, unit) for unit in named(config["inputs"], config["noises"])}
    if not cells:
        raise MissingResults("record: expected numbers of inputs and noises, got none")
    sides = {way: [pays(cell, way, int(unit.split("/")[0])) for unit, cell in cells.items()] for way in WAYS[1:]}
    paid, lost = ({way: each.count(side) for way, each in sides.items()} for side in ("above", "below"))
    if any(count == len(cells) for count in paid.values()):
        status = "confirmed"
    elif any(2 * count > len(cells) for count in paid.values()):
        status = "confirmed in direction"
    else:
        status = "contradicted" if all(count == len(cells) for count in lost.values()) else "open"
    status = status if len(record["seeds"]) >= LEAST_SEEDS else "open"
    counts = "; ".join(f"{way} pay{'' if way.startswith('all') else 's'} in {paid[way]} of {len(cells)} cells and "
                     f"lose{'' if way.startswith('all') else 's'} in {lost[way]}" for way in WAYS[1:])
    best = ", ".join(f"{told(cell, 'all differences')} at d = {unit.split('/')[0]}"
                     for unit, cell in cells.items() if unit.endswith("/0"))
    return Verdict(
        claim="Finite differences can stand in for the gradients of a black box, and could help (section 5).",
        measured=f"When each call could give a value instead, {counts}."
                 + (f" With exact calls a point with its gradient is worth, in values: {best}." if best else ""),
        scale=scale(record), status=status, rule=RULE)


def scale(record: dict) -> str:
    """How much was run, in words."""
    config = record["config"]
    return (f"Sums of {config['waves']} waves, {config['points']} points with slopes, networks of "
            f"{' x '.join(map(str, config['hidden']))}, {config['steps']:,} steps, {len(config['value_lrs'])} trials a way, "
            f"{len(record['seeds'])} seeds, noise of {listed(f'{100 * noise:g} %' for noise in config['noises'])}.")
