"""How a regressor trains its networks: optimiser and schedule by name, held-out points, several networks side by side."""
import functools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import LBFGS, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from sobolev_lib._arguments import integer, number
from sobolev_lib.data import SobolevData
from sobolev_lib.losses import Loss, SobolevLoss
from sobolev_lib.losses.pointwise import EntryWeights
from sobolev_lib.training.fitting import fit
from sobolev_lib.training.history import History
from sobolev_lib.training.many import fit_many

OPTIMIZERS, SCHEDULES = ("adam", "lbfgs"), ("one-cycle", "cosine", "constant")
TRIES = 100                                                # splits, until no output is without a value in the larger part
LEAST_SIZE = 0.01                                          # of squared slopes per z-score: smaller ones hardly matter to the values
ITERATIONS = 10                                            # of L-BFGS in one step of fit, on the same points anyway


@dataclass(frozen=True)
class Settings:
    """What ``estimate`` is told about a training; names and defaults as in ``SobolevRegressor``.

    >>> Settings(steps=100).steps_for(30)                      # of 30 points, all of them at each step
    100
    >>> Settings(epochs=5, batch_size=10).steps_for(30)
    15
    """

    steps: int = 2000
    epochs: int | None = None
    batch_size: int | None = 256
    lr: float = 3e-3
    optimizer: str | type[Optimizer] | Callable[..., Optimizer] = "adam"
    schedule: str | Callable[[Optimizer], LRScheduler] = "one-cycle"
    weight_decay: float = 0.0
    patience: int = 20
    device: torch.device | str | None = None
    progress: bool = False

    def __post_init__(self):
        integer(self.steps, "steps")
        for name in ("epochs", "batch_size"):
            if getattr(self, name) is not None:
                integer(getattr(self, name), name)
        integer(self.patience, "patience")
        number(self.lr, "lr")
        decay = number(self.weight_decay, "weight_decay", "a number >= 0", zero=True)
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            value = getattr(self, name)
            if value not in known if isinstance(value, str) else not callable(value):
                raise ValueError(f"{name}: expected one of {', '.join(known)} or a callable, got {value!r}")
        if decay and self.optimizer != "adam":
            raise ValueError(f"weight_decay: expected 0 beside optimizer={self.optimizer!r}, got {decay}; it is Adam's. A "
                             "callable optimizer can bring its own")

    def steps_for(self, n: int) -> int:
        """The number of steps for n points."""
        return int(self.steps) if self.epochs is None else int(self.epochs) * self.steps_in_epoch(n)

    def steps_in_epoch(self, n: int) -> int:
        if self.optimizer == "lbfgs":
            return ITERATIONS
        return -(-n // min(int(self.batch_size or n), n))


def output_sizes(data: SobolevData) -> np.ndarray:
    """The mean squared norm of each output's gradients, (q,), over the entries that are known; their mean where none is.

    >>> output_sizes(sobolev_lib.label(lambda x: torch.stack([x[:, 0], 3 * x[:, 1]], dim=1), torch.rand(20, 2))).tolist()
    [1.0, 9.0]

    No less than 1e-4 of the largest, so that labels of almost no slope don't count without end.
    """
    assert data.jacobian is not None
    n, d = len(data), data.in_shape[0]
    slopes = data.jacobian.reshape(n, -1, d).double().cpu().numpy()
    known = ~np.isnan(slopes)
    weights = np.ones(n) if data.weights is None else data.weights.double().cpu().numpy()
    counts = (known * weights[:, None, None]).sum(axis=0)
    squares = (np.nan_to_num(slopes)**2 * weights[:, None, None]).sum(axis=0)
    sizes = np.divide(squares, counts, out=np.zeros_like(squares), where=counts > 0).sum(axis=1)
    return np.maximum(sizes, 1e-4 * sizes.max()) if sizes.max() > 0 else np.ones_like(sizes)


def loss_of(derivative_weight, data: SobolevData, emphasis: float = 1.0, sizes: np.ndarray | None = None) -> SobolevLoss:
    """The loss of z-scored data (N, d), each term over its labels' mean square, with a weight for gradients or their entries.

    Of several outputs each one's gradients count alike, whatever their ``sizes``, those of ``data`` if None; all count
    ``emphasis`` times. Only sizes below ``LEAST_SIZE`` count less, by as much: rounding of slopes that are nearly zero must
    not outweigh the values.

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> loss_of(0.5, data).weights, loss_of([1.0, 0.0], data).weights
    ((1.0, 0.5), (1.0, 1.0))
    """
    d, q = data.in_shape[0], 1 if data.out_shape == () else data.out_shape[0]
    rule = f"a number >= 0, or ({d},) of them, one an input, or ({q}, 1), one an output, or ({q}, {d})"
    try:
        weight = np.asarray(derivative_weight, dtype=np.float64)
    except (TypeError, ValueError):
        weight = np.full(1, np.nan)
    if weight.ndim == 0:
        weight = np.float64(number(derivative_weight, "derivative_weight", rule, zero=True))
        if data.order < 1:
            return SobolevLoss(0, normalize=True)
        if q == 1:
            felt = (output_sizes(data) if sizes is None else sizes)[0] / LEAST_SIZE
            return SobolevLoss(1, weights=(1.0, float(weight) * emphasis * min(1.0, float(felt))), normalize=True)
    elif weight.shape not in ((q, d), (d,), (q, 1)) or not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError(f"derivative_weight: expected {rule}, got {derivative_weight!r}")
    if data.order:
        sizes = output_sizes(data) if sizes is None else sizes
        weight = weight * (sizes.mean() / np.maximum(sizes, LEAST_SIZE))[:, None]
    each = torch.as_tensor(np.broadcast_to(emphasis * weight, (q, d)).copy()).reshape(*data.out_shape, d)
    return SobolevLoss(data.order, derivative_loss=EntryWeights(each), normalize=True)


def held_out(data: SobolevData, fraction: float, seed: int) -> tuple[SobolevData, SobolevData | None]:
    """The data in two parts at random, to train on and to watch: of N points round(fraction N) are held out, at least one.

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> [len(part) for part in held_out(data, 0.25, seed=0)]
    [15, 5]
    """
    if not 0 <= number(fraction, "validation_fraction", "a number from 0 to below 1", zero=True) < 1:
        raise ValueError(f"validation_fraction: expected a number from 0 to below 1, got {fraction!r}")
    if fraction == 0:
        return data, None
    points, held = split(data, fraction, seed)
    return data[points], data[held]


def split(data: SobolevData, fraction: float, seed: int, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The points of ``held_out``'s two parts; those (N,) that are to be kept are not held out.

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> points, held = split(data, 0.25, seed=0, keep=torch.arange(20) < 10)
    >>> len(points), len(held), int(held.min()) >= 10
    (15, 5, True)
    """
    count = max(1, round(fraction * len(data)))
    if count >= len(data):
        raise ValueError(f"validation_fraction: expected to leave points to train on, got {fraction!r} of {len(data)}")
    generator, known = torch.Generator().manual_seed(seed), ~data.values.isnan().cpu()
    for _ in range(TRIES):                                 # the values may be few, and what is trained on needs one of each output
        order = torch.randperm(len(data), generator=generator)
        if known[order[count:]].any(dim=0).all():
            break
    order = order.to(data.inputs.device)
    if keep is not None:
        order = order[torch.sort(keep[order].byte(), stable=True).indices]
    return order[count:].sort().values, order[:count].sort().values


def estimate(networks: Sequence[nn.Module], data: SobolevData, held: SobolevData | None, loss: Loss, settings: Settings,
             seeds: Sequence[int]) -> list[History]:
    """Train networks, in place, each with its own seed; with ``held`` points, until these are no longer fitted better.

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> networks = [sobolev_lib.models.MLP(2, 8, 1) for _ in range(3)]
    >>> histories = estimate(networks, data, None, sobolev_lib.SobolevLoss(1), Settings(steps=20), seeds=[0, 1, 2])
    >>> len(histories)
    3

    Several networks share one computation where Adam trains them; other optimisers take them one after another.
    Raises ``FloatingPointError`` if a loss stops being finite.
    """
    how = {"steps": settings.steps_for(len(data)), "batch_size": settings.batch_size, "device": settings.device,
           "progress": settings.progress, "scheduler": _scheduler(settings, settings.steps_for(len(data)))}
    if held is not None:
        how |= {"validation": held, "patience": settings.patience}
    lr = float(settings.lr)
    if settings.optimizer == "adam" and not settings.weight_decay:
        if len(networks) > 1:
            return _together(networks, data, loss=loss, seed=list(seeds), lr=lr, **how)
        how |= {"lr": lr}
    elif settings.optimizer == "adam":
        how |= {"optimizer": functools.partial(AdamW, lr=lr, weight_decay=float(settings.weight_decay))}
    elif settings.optimizer == "lbfgs":
        # the line search finds its step; on other points at each it would be misled
        how |= {"optimizer": functools.partial(LBFGS, lr=1.0, max_iter=ITERATIONS, history_size=50,
                                               line_search_fn="strong_wolfe"),
                "steps": -(-how["steps"] // ITERATIONS), "batch_size": None, "scheduler": None}
    else:
        how |= {"optimizer": settings.optimizer}
        if isinstance(settings.optimizer, type) and issubclass(settings.optimizer, Optimizer):
            how |= {"lr": lr}
    return [fit(network, data, loss=loss, seed=seed, **how) for network, seed in zip(networks, seeds)]


def _together(networks, data, **how) -> list[History]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="fit_many: the losses of networks")
        histories = fit_many(networks, data, **how)
    lost = [k for k, network in enumerate(networks) if not all(p.isfinite().all() for p in network.parameters())]
    if lost:
        raise FloatingPointError(f"loss of network {lost[0]} is no longer finite; a lower learning rate or smaller "
                                 "derivative weight may help")
    return histories


def _scheduler(settings: Settings, steps: int) -> Callable[[Optimizer], LRScheduler] | None:
    if callable(settings.schedule):
        return settings.schedule
    return {"one-cycle": functools.partial(_one_cycle, steps), "constant": None,
            "cosine": functools.partial(CosineAnnealingLR, T_max=steps)}[settings.schedule]


def _one_cycle(steps: int, optimizer: Optimizer) -> LRScheduler:
    # some optimisers have no momentum that could go with the rate
    return OneCycleLR(optimizer, [float(group["lr"]) for group in optimizer.param_groups], steps + 1,
                      cycle_momentum=bool({"momentum", "betas"} & set(optimizer.defaults)))
