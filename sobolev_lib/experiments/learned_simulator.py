"""A simulator learned from its calls: section 5 suggests finite differences for a generative temporal model.

The black box moves a state of the Lorenz system on by ``gap``. Networks learn that step from equally many calls, spent on
values alone, on values with one difference, or on values with the differences of all three inputs; and, for a comparison
that is not fair, from values alone at as few points as the last way has. Then each network's answer is fed back to it, and
one measures for how long it stays near the truth. The protocol is that of ``black_box``.
"""
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from sobolev_lib.data import SobolevData
from sobolev_lib.experiments.black_box import WAYS, Protocol, asked, calls_a_point, measured, value_mse
from sobolev_lib.experiments.figure_2 import log_ratio
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.verdicts import Verdict
from sobolev_lib.models import MLP
from sobolev_lib.records import MissingResults, result

NAME = "learned-simulator"
SHOWS = "Section 5, a generative temporal model from a black box"
SAME_POINTS = "values at as few points"                    # as all differences have


@dataclass(frozen=True)
class Config(Protocol):
    calls: tuple[int, ...] = (200, 800, 3_200)
    gap: float = 0.1                                       # time units between a state and the next
    step: float = 1e-3                                     # of the differences
    rollouts: int = 100
    rollout_steps: int = 200
    threshold: float = 0.4                                 # of the states' scale: so far off, a rollout has lost the way
    shown_calls: int = 800                                 # whose networks the page rolls out


PRESETS = {
    "quick": Config(calls=(200,), steps=200, value_lrs=(1e-2,), slope_lrs=(1e-2,), derivative_weights=(1.0,),
                    tuning_seeds=(1000,), rollouts=10, shown_calls=200),
    "cpu": Config(),
}


def simulator(states: Tensor, time: float, step: float = 0.01) -> Tensor:
    """States (N, 3) of the Lorenz system moved on by ``time``, by the classical Runge-Kutta method.

    >>> simulator(torch.zeros(1, 3), time=0.1)             # the origin stays where it is
    tensor([[0., 0., 0.]])
    """
    def slope(state: Tensor) -> Tensor:
        x, y, z = state.unbind(1)
        return torch.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], dim=1)

    for _ in range(round(time / step)):
        a = slope(states)
        b = slope(states + step / 2 * a)
        c = slope(states + step / 2 * b)
        d = slope(states + step * c)
        states = states + step / 6 * (a + 2 * b + 2 * c + d)
    return states


class Problem:
    """The simulator's step as a black box: what its calls answer for a seed, and the truth at other states."""

    def __init__(self, config: Config):
        self.gap, self.step = config.gap, config.step
        self.variance = float(self.clean(config.test_points, 7).values.var(0).mean())      # mean of the outputs

    def asked(self, way: str, count: int, seed: int) -> SobolevData:
        """Labels at ``count`` states, by calls spent in a ``way``."""
        return asked(lambda x: simulator(x, self.gap), states(count, seed), way, self.step)

    def clean(self, count: int, seed: int) -> SobolevData:
        """Values at ``count`` other states."""
        return self.asked("values", count, 10_000 + seed)


def states(count: int, seed: int) -> Tensor:
    """States of the attractor, (count, 3): from random places, after ten time units."""
    generator = torch.Generator().manual_seed(seed)
    return simulator(8 * torch.randn(count, 3, generator=generator, dtype=torch.float64) + torch.tensor([0.0, 0.0, 25.0]), 10)


def units(config: Config) -> list[str]:
    """One a number of calls and a way to spend them."""
    return [f"{calls}/{way}" for calls in config.calls for way in (*WAYS, SAME_POINTS)]


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Tune a way, train its winner on fresh seeds, measure one step and many."""
    keep, (calls, way) = keep or Keep(), unit.split("/")
    priced, way = (WAYS[-1], "values") if way == SAME_POINTS else (way, way)
    count, problem = int(calls) // calls_a_point(priced, inputs=3), Problem(config)

    def data(seed: int) -> SobolevData:
        return problem.asked(way, count, seed).to(device, torch.float32)

    def validation(seed: int) -> SobolevData:
        return problem.clean(config.validation_points, seed).to(device, torch.float32)

    trials, networks = measured(way, data, validation, seeds, config, device, keep, "way")
    test = problem.clean(config.test_points, 7).to(device, torch.float32)
    found = {"points": count, "trials": trials, "test_mse": [value_mse(network, test) for network in networks],
             "valid_time": [valid_time(network, config, device) for network in networks]}
    if int(calls) == config.shown_calls:
        middle = sorted(range(len(seeds)), key=lambda k: found["valid_time"][k])[len(seeds) // 2]
        found |= {"shown_seed": seeds[middle], "network": weights(networks[middle])}
    return found


def valid_time(network: Callable[[Tensor], Tensor], config: Config, device: str) -> float:
    """The median time, over rollouts from fresh states, until one is a ``threshold`` of the states' scale off."""
    truth = states(config.rollouts, 20_000)
    scale = float(truth.std(dim=0).square().sum().sqrt())
    now, off = truth.to(device, torch.float32), []
    with torch.no_grad():
        for _ in range(config.rollout_steps):
            truth, now = simulator(truth, config.gap), network(now)
            off.append(~((now.double().cpu() - truth).norm(dim=1) <= config.threshold * scale))   # so far off, or no number
    lost = torch.stack(off)                                # (steps, rollouts); where none is lost, all steps count
    first = torch.where(lost.any(0), lost.int().argmax(0), config.rollout_steps)
    return config.gap * float(first.double().median())


def weights(network: nn.Module) -> dict:
    """A network as numbers: what is z-scored, and weights and biases layer by layer, six digits each; SiLU between them."""
    inner = network.model
    if not isinstance(inner, MLP) or len(inner.sizes) > 2 and inner.activation != "silu":
        kind = f"one with {inner.activation}" if isinstance(inner, MLP) else f"a {type(inner).__name__}"
        raise ValueError(f"network: expected an MLP with SiLU between its layers, got {kind}")

    def numbers(tensor: Tensor):
        return np.vectorize(lambda value: float(f"{value:.6g}"))(tensor.detach().cpu().double().numpy()).tolist()

    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    return {"layers": [{"weight": numbers(layer.weight), "bias": numbers(layer.bias)} for layer in layers],
            **{name: numbers(tensor) for name, tensor in vars(network.scores).items()}}


def describe(config: Config) -> dict:
    return asdict(config)


def probe() -> dict:
    """The numbers of a few steps by each way."""
    config = replace(PRESETS["quick"], calls=(40,), hidden=(8,), steps=12, validation_points=20, test_points=20,
                     rollouts=3, rollout_steps=5, threshold=0.01)
    return {unit: run_unit(unit, config, [0, 1], "cpu") for unit in units(config)}


def gain(record: dict, calls: int, way: str, over: str = "values"):
    """log10 of how many times longer a way's rollouts stay near the truth than another's, paired by seeds, an ``Interval``."""
    return log_ratio(*(_times(record, calls, one) for one in (way, over)))


def _times(record, calls, way) -> list[float]:
    # a rollout that is lost at once has half a step of time
    return [max(time, record["config"]["gap"] / 2) for time in result(record, f"{calls}/{way}")["valid_time"]]


RULE = ("A network's time is the median over rollouts until it is 0.4 of the states' scale off; ratios of times are paired "
        "by seed, with a 95 % interval of their logarithm. Confirmed if, at every number of calls, differences of all inputs "
        "or of one last longer than values alone with an interval above 1. Confirmed in direction if so at more than half "
        "of the numbers. Contradicted if at every one both last less long, with intervals below 1. Open otherwise.")


def verdict(record: dict) -> Verdict:
    """By ``RULE``."""
    config = record["config"]
    if not config["calls"]:
        raise MissingResults("record: expected numbers of calls, got none")
    sides = [{gain(record, calls, way).side() for way in WAYS[1:]} for calls in config["calls"]]
    helped = sum("above" in each for each in sides)
    if helped == len(sides):
        status = "confirmed"
    elif 2 * helped > len(sides):
        status = "confirmed in direction"
    else:
        status = "contradicted" if all(each == {"below"} for each in sides) else "open"

    def told(way: str, over: str = "values") -> str:
        found = [gain(record, calls, way, over) for calls in config["calls"]]
        return ", ".join(f"{10 ** each.mean:.2f} ({10 ** each.low:.2f} to {10 ** each.high:.2f})" for each in found)

    return Verdict(
        claim="Finite differences could help when learning a generative temporal model from a black box (section 5).",
        measured=f"Our networks' times near the truth over those of values alone, at {' / '.join(f'{calls:,}' for calls in config['calls'])} "
                 f"calls: one difference {told(WAYS[1])}; all differences {told(WAYS[2])}. At equally many points, where "
                 f"differences cost four times the calls: {told(WAYS[2], SAME_POINTS)}.",
        scale=f"Lorenz system, steps of {config['gap']:g}, networks of {' x '.join(map(str, config['hidden']))}, "
              f"{config['steps']:,} training steps, {len(config['value_lrs'])} trials a way, {len(record['seeds'])} seeds.",
        status=status, rule=RULE)
