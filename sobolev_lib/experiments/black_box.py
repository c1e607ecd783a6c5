"""Labels that a black box gives by finite differences, and the protocol by which experiments train with them.

The same for every way to spend the calls. A trial is a learning rate, with slopes times a derivative weight, as many trials
for each way. Every trial runs on the tuning seeds, the lowest mean log validation error wins, and the winner runs again on
fresh seeds. A seed fixes the points, the noise, the initial weights and the batches. Adam, with a rate that falls to zero
along a cosine; inputs and values are z-scored, each loss term is divided by its labels' mean square.
"""
import math
import statistics
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from sobolev_lib.data import SobolevData
from sobolev_lib.directions import random_directions
from sobolev_lib.errors import errors
from sobolev_lib.experiments.figure_2 import DIVERGED
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.labelling import label
from sobolev_lib.losses import SobolevLoss
from sobolev_lib.models import MLP
from sobolev_lib.scaling import Standardized
from sobolev_lib.training import fit_many

WAYS = ("values", "one difference", "all differences")     # how calls are spent
RANDOM = "random direction"                                # and one more: a difference that moves all inputs at once


@dataclass(frozen=True)
class Protocol:
    """What the experiments with black boxes have in common."""

    hidden: tuple[int, ...] = (32, 32)
    activation: str = "silu"
    steps: int = 2_000
    batch_size: int = 256
    value_lrs: tuple[float, ...] = tuple(float(f"{lr:.2g}") for lr in np.geomspace(3e-3, 1e-1, 6))
    slope_lrs: tuple[float, ...] = (5e-3, 1.5e-2, 5e-2)
    derivative_weights: tuple[float, ...] = (0.1, 1.0)
    tuning_seeds: tuple[int, ...] = (1000, 1001)
    validation_points: int = 500
    test_points: int = 2_000

    def trials(self, way: str) -> list[tuple[float, ...]]:
        """A learning rate, and a derivative weight where there are slopes."""
        if way == "values":
            return [(lr,) for lr in self.value_lrs]
        return [(lr, weight) for lr in self.slope_lrs for weight in self.derivative_weights]


def calls_a_point(way: str, inputs: int) -> int:
    """What a point costs: one call for its value, one more for each difference.

    >>> [calls_a_point(way, inputs=3) for way in (*WAYS, RANDOM)]
    [1, 2, 4, 2]
    """
    return {"values": 1, "one difference": 2, RANDOM: 2, "all differences": 1 + inputs}[way]


def asked(call: Callable[[Tensor], Tensor], x: Tensor, way: str, step: float,
          generator: torch.Generator | None = None) -> SobolevData:
    """Values at the points x (N, d), and with them forward differences over ``step``: of each input, of one in turn, or along
    a random direction, which moves all inputs at once by ``step`` up or down (``generator`` draws it).

    >>> data = asked(lambda x: x.square().sum(1), torch.ones(2, 2, dtype=torch.float64), "one difference", step=0.5)
    >>> data.directions.tolist(), data.products.tolist()
    ([[[1.0, 0.0]], [[0.0, 1.0]]], [[2.5], [2.5]])

    ``call`` maps (N, d) to (N,) or (N, q). Raises ``ValueError`` for another way, and as ``label`` does.
    """
    if way == "values":
        return label(call, x, order=0, method="finite-difference")
    count, inputs = x.shape
    if way == "all differences":
        directions = None
    elif way == "one difference":
        directions = torch.eye(inputs, dtype=x.dtype)[torch.arange(count) % inputs].unsqueeze(1)
    elif way == RANDOM:
        directions = random_directions(x, distribution="rademacher", generator=generator)
    else:
        raise ValueError(f"way: expected one of {', '.join((*WAYS, RANDOM))}, got {way!r}")
    return label(call, x, method="forward-difference", step=step, directions=directions)


def tuned(way: str, data: Callable[[int], SobolevData], validation: Callable[[int], SobolevData], protocol: Protocol,
          device: str, keep: Keep, name: str) -> list[dict]:
    """Every trial with its mean log10 validation error over the tuning seeds, the winner first.

    ``data`` and ``validation`` give the labelled points of a seed; ``name`` is what ``keep`` calls the results.
    """
    trials = protocol.trials(way)

    def scores(seed: int) -> list[float]:
        networks = trained([data(seed)] * len(trials), trials, [seed] * len(trials), protocol, device)
        return [float(np.log10(value_mse(network, validation(seed).to(device)))) for network in networks]

    logs = [keep.once(f"{name}-tuning-{seed}", lambda: scores(seed)) for seed in protocol.tuning_seeds]
    found = [{"lr": trial[0], "derivative_weight": trial[1] if len(trial) > 1 else 0.0,
              "log10_validation_mse": statistics.mean(each)} for trial, each in zip(trials, zip(*logs))]
    return sorted(found, key=lambda trial: trial["log10_validation_mse"])


def measured(way: str, data: Callable[[int], SobolevData], validation: Callable[[int], SobolevData], seeds: Sequence[int],
             protocol: Protocol, device: str, keep: Keep, name: str) -> tuple[list[dict], list[nn.Module]]:
    """The trials of ``tuned``, and the winner's networks, one a seed."""
    found = tuned(way, data, validation, protocol, device, keep, name)
    winner = (found[0]["lr"],) if way == "values" else (found[0]["lr"], found[0]["derivative_weight"])
    return found, trained([data(seed) for seed in seeds], [winner] * len(seeds), seeds, protocol, device)


def value_mse(network: nn.Module, data: SobolevData) -> float:
    """A network's mean squared error in values; ``DIVERGED`` where that is no finite number."""
    found = float(errors(network, data)["value_mse"])
    return found if math.isfinite(found) else DIVERGED


def trained(sets: Sequence[SobolevData], trials: Sequence[tuple[float, ...]], seeds: Sequence[int], protocol: Protocol,
            device: str) -> list[nn.Module]:
    """A network in original units for each set, trial and seed, trained side by side."""
    networks, losses = [], []
    for data, trial, seed in zip(sets, trials, seeds):
        inner = MLP(data.inputs.shape[1], *protocol.hidden, *(data.values.shape[1:] or (1,)), activation=protocol.activation,
                    generator=torch.Generator().manual_seed(seed))
        networks.append(Standardized(inner, data).to(device))
        losses.append(SobolevLoss(data.order, weights=(1.0, *trial[1:]), normalize=True))
    with warnings.catch_warnings():
        # a trial that diverges says so by its error, and loses
        warnings.filterwarnings("ignore", message="fit_many: the losses of networks")
        fit_many(networks, list(sets), loss=losses, steps=protocol.steps, batch_size=protocol.batch_size,
                 lr=[trial[0] for trial in trials], seed=list(seeds), device=device, progress=False,
                 scheduler=lambda adam: CosineAnnealingLR(adam, protocol.steps))
    return networks
