"""Who says how far a prediction may be off: a mean and a standard deviation at each input, learned in several ways.

"curvature" and "free energy" are told the error bar of each point as a second derivative: an energy E(x, y), minus the log
density of y but for a constant, has slope 0 by y at its lowest place and curvature 1 / sigma^2. "bars as values" is told the
same bars, as values of a second output. "two outputs" (Nix and Weigend 1994) and the "ensemble" of five of these
(Lakshminarayanan and others 2017) see no error bars and learn the noise from the scatter; both are rebuilt here from the
papers. What other packages make of the same points is in ``bell_peers``.
"""
import math
import statistics
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sobolev_lib.data import SobolevData
from sobolev_lib.derivatives import value_and_derivatives
from sobolev_lib.losses import SobolevLoss
from sobolev_lib.models import MLP
from sobolev_lib.training import fit_many

NETWORKS = ("curvature", "free energy", "bars as values", "two outputs", "ensemble")
TRUTH = "truth"
MEMBERS = 5                                                # of the ensemble
TOLERANCE = 0.1                                            # of a curvature, as a share of it

Bell = tuple[np.ndarray, np.ndarray]                       # means and standard deviations, (n,) each
Predict = Callable[[np.ndarray], Bell]


@dataclass(frozen=True)
class Points:
    """Places x, measured values y and their error bars, (N,) each."""

    x: np.ndarray
    y: np.ndarray
    bars: np.ndarray


class Bowl(nn.Module):
    """An energy with the shape of a bowl in y: points (N, 2) of x and y -> (N,), half the square of (y - m(x)) / s(x).

    >>> energy = Bowl(MLP(1, 8, 2, activation="silu"))
    >>> energy(torch.rand(5, 2)).shape
    torch.Size([5])

    ``network`` puts out m and the logarithm of 1 / s.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, points: Tensor) -> Tensor:
        middle, steepness = self.network(points[:, :1]).unbind(1)
        return 0.5 * ((points[:, 1] - middle) * steepness.exp()).square()


@torch.no_grad()
def begin(network: MLP, second: float) -> None:
    """Let the second of a network's two outputs begin near a number, and depend little on the input.

    >>> network = MLP(1, 8, 2, activation="silu")
    >>> begin(network, 1.5)
    >>> network[-1].bias.tolist()
    [0.0, 1.5]
    """
    network[-1].weight[1].mul_(0.1)
    network[-1].bias[1] = second


def energy_labels(points: Points) -> SobolevData:
    """What error bars say of an energy E(x, y) at the points (x, y): slope 0 by y, curvature 1 / bar^2; all else is unknown.

    >>> data = energy_labels(Points(np.zeros(1), np.ones(1), np.array([0.5])))
    >>> data.jacobian.tolist(), data.hessian.tolist()
    ([[nan, 0.0]], [[[nan, nan], [nan, 4.0]]])

    The point is not the lowest place, but off it by the noise: its slope is off by a bar times the curvature, 1 / bar. That
    is given as the labels' noise level, so that a bowl's middle is fitted by least squares with weights 1 / bar^2.
    """
    count = len(points.x)
    precision = 1 / points.bars**2
    slope, curvature = np.full((count, 2), np.nan), np.full((count, 2, 2), np.nan)
    slope[:, 1], curvature[:, 1, 1] = 0, precision
    slope_noise, curvature_noise = np.ones((count, 2)), np.ones((count, 2, 2))
    slope_noise[:, 1], curvature_noise[:, 1, 1] = 1 / points.bars, TOLERANCE * precision
    tables = np.stack([points.x, points.y], 1), np.full(count, np.nan), slope, curvature
    noise = np.ones(count), slope_noise, curvature_noise
    return SobolevData(*map(_float32, tables), noise=tuple(map(_float32, noise)))


def valley(energy: nn.Module, x: np.ndarray, low: float, high: float, places: int = 81) -> Bell:
    """Laplace's bells: where an energy is lowest from ``low`` to ``high``, and one over the root of its curvature.

    >>> energy = lambda points: 2 * (points[:, 1] - points[:, 0]).square()                 # curvature 4
    >>> [each.round(3).tolist() for each in valley(energy, np.array([0.1, 0.2]), -1, 1)]
    [[0.1, 0.2], [0.5, 0.5]]

    For each x the lowest of some places, then two steps of Newton's method. Where the energy is flatter than a bell as wide
    as the whole range, or no bowl at all, that width is what is returned.
    """
    grid, given = torch.linspace(low, high, places), _float32(x)
    mesh = torch.stack(torch.broadcast_tensors(given[:, None], grid), 2)
    with torch.no_grad():
        lowest = grid[energy(mesh.reshape(-1, 2)).reshape(len(x), places).argmin(1)]
    least, reach = 1 / (high - low)**2, (high - low) / (places - 1)
    for _ in range(3):
        _, slopes, curvatures = value_and_derivatives(energy, torch.stack([given, lowest], 1), 2)
        slope, curvature = slopes.reshape(-1, 2)[:, 1].detach(), curvatures.reshape(-1, 2, 2)[:, 1, 1].detach()
        found = lowest
        lowest = (found - torch.where(curvature > least, slope / curvature, 0).clamp(-reach, reach)).clamp(low, high)
    return found.double().numpy(), curvature.clamp_min(least).double().numpy()**-0.5


def scatter_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Minus the log density of y under a bell, but for a constant: outputs (N, 2) are its mean and log standard deviation.

    >>> scatter_loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 3.0]]))
    tensor([2.])

    ``target`` (N, 2) holds y twice. Source: Nix and Weigend 1994, equation 3.
    """
    mean, spread = prediction.unbind(1)
    return 0.5 * ((target[:, 0] - mean) * (-spread).exp()).square() + spread


def trained(method: str, sets: Sequence[Points], rates: Sequence[float], seeds: Sequence[int], steps: Sequence[int],
            hidden: Sequence[int], look: Callable[[int, list[Predict]], object]) -> None:
    """Networks of one of ``NETWORKS``, one a set, rate and seed, side by side.

    ``look(step, predictions)`` is called after each of ``steps``.
    """
    if method not in NETWORKS:
        raise ValueError(f"method: expected one of {', '.join(NETWORKS)}, got {method!r}")
    members = MEMBERS if method == "ensemble" else 1
    energies = method in ("curvature", "free energy")

    def network(seed: int, points: Points) -> nn.Module:
        sizes = (2, *hidden, 1) if method == "free energy" else (1, *hidden, 2)
        inner = MLP(*sizes, activation="silu", generator=torch.Generator().manual_seed(seed))
        if method == "free energy":
            return inner
        # a width that begins far off can stay so: begin at what is known of it, the bars or the spread of the values
        known = np.log(points.y.std()) if method in ("two outputs", "ensemble") else np.log(points.bars).mean()
        begin(inner, -known if method == "curvature" else known)
        return Bowl(inner) if method == "curvature" else inner

    def data(points: Points) -> SobolevData:
        if energies:
            return energy_labels(points)
        inputs, y = _float32(points.x)[:, None], _float32(points.y)
        if method != "bars as values":
            return SobolevData(inputs, y[:, None].expand(-1, 2))
        bars = _float32(points.bars)                       # a curvature's tolerance is twice that of a width
        return SobolevData(inputs, torch.stack([y, bars.log()], 1),
                           noise=(torch.stack([bars, torch.full_like(bars, TOLERANCE / 2)], 1),))

    def predict(networks: list[nn.Module], points: Points) -> Predict:
        if not energies:
            return lambda x: one_bell([_outputs(network, x) for network in networks])
        margin = points.y.std()
        return lambda x: valley(networks[0], x, points.y.min() - margin, points.y.max() + margin)

    networks = [network(10_000 * k + seed, points) for points, seed in zip(sets, seeds) for k in range(members)]
    each = [points for points in sets for _ in range(members)]
    groups = [networks[k:k + members] for k in range(0, len(networks), members)]
    loss = SobolevLoss(2, weights=(0.0, 1.0, 1.0)) if energies else SobolevLoss(0)
    if method in ("two outputs", "ensemble"):
        loss = SobolevLoss(0, value_loss=scatter_loss)

    def on_step(step: int, models: list[nn.Module]) -> None:
        look(step, [predict(group, points) for group, points in zip(groups, sets)])

    with warnings.catch_warnings():
        # a trial that diverges says so by its error, and loses
        warnings.filterwarnings("ignore", message="fit_many: the losses of networks")
        fit_many(networks, [data(points) for points in each], loss=loss, steps=max(steps), report=list(steps),
                 lr=[rate for rate in rates for _ in range(members)], seed=[seed for seed in seeds for _ in range(members)],
                 on_step=on_step, evaluate_every=max(steps), progress=False)


def one_bell(bells: Sequence[Bell]) -> Bell:
    """The mean and standard deviation of an even mixture of bells.

    >>> one = np.ones(1)
    >>> [float(each[0]) for each in one_bell([(-3 * one, 4 * one), (3 * one, 4 * one)])]
    [0.0, 5.0]
    """
    means, widths = (np.stack(each) for each in zip(*bells))
    middle = means.mean(0)
    return middle, np.sqrt((widths**2).mean(0) + means.var(0))


def _outputs(network: nn.Module, x: np.ndarray) -> Bell:
    with torch.no_grad():
        mean, spread = network(_float32(x)[:, None]).double().unbind(1)
    return mean.numpy(), spread.exp().numpy()


def _float32(table) -> Tensor:
    return torch.as_tensor(np.asarray(table, dtype=np.float32)) if not isinstance(table, Tensor) else table.float()


def log_loss(y: np.ndarray, bell: Bell) -> float:
    """Mean of minus the log density of y under the bells; 1e9 where that is no number.

    >>> round(log_loss(np.zeros(1), (np.zeros(1), np.ones(1))), 3)
    0.919
    """
    mean, width = bell
    with np.errstate(all="ignore"):
        found = float(np.mean(0.5 * ((y - mean) / width)**2 + np.log(width)) + 0.5 * math.log(2 * math.pi))
    return found if math.isfinite(found) and found < 1e9 else 1e9


def within(y: np.ndarray, bell: Bell, level: float) -> float:
    """The share of y in the central intervals that hold ``level`` of each bell.

    >>> within(np.array([0.0, 1.0, 2.0, 3.0]), (np.zeros(4), np.ones(4)), 0.9)
    0.5
    """
    mean, width = bell
    return float(np.mean(np.abs(y - mean) <= statistics.NormalDist().inv_cdf((1 + level) / 2) * width))
