"""The protocol of figure 2, shared by the experiments that measure regular against Sobolev training on the seven functions.

The same for both methods. A trial is a choice of hyper-parameters: learning rates for regular training; learning rates
times derivative weights, as many in all, for Sobolev training. Every trial runs on the tuning seeds, and the one with the
lowest mean log validation MSE wins. The winner runs again on fresh seeds, and only these runs meet the test points. A
seed fixes the training points, the initial weights and the order of the batches; Adam, with a learning rate that decays
to zero along a cosine. Errors are reported in the function's own units.
"""
import math
import statistics
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from sobolev_lib import functions
from sobolev_lib.data import SobolevData
from sobolev_lib.errors import errors as measured_errors
from sobolev_lib.experiments.intervals import Interval, interval
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.fast import train_many
from sobolev_lib.labelling import label
from sobolev_lib.losses import SobolevLoss
from sobolev_lib.models import MLP
from sobolev_lib.scaling import Standardized

TRAININGS = ("regular", "sobolev")
DIVERGED = 1e99                                            # stands for an error that is no finite number, in JSON


@dataclass(frozen=True)
class Config:
    functions: tuple[str, ...] = tuple(f.name for f in functions.BENCHMARKS)
    sizes: tuple[int, ...] = (20, 100, 10_000)             # training points
    hidden: tuple[int, ...] = (256, 256)
    steps: int = 10_000
    batch_size: int = 128                                  # all points where there are no more than this
    regular_lrs: tuple[float, ...] = tuple(float(f"{lr:.3g}") for lr in np.geomspace(1e-4, 1e-2, 9))
    sobolev_lrs: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    derivative_weights: tuple[float, ...] = (0.1, 1.0, 10.0)
    tuning_seeds: tuple[int, ...] = (1000, 1001)
    validation_points: int = 1_000
    test_points: int = 10_000
    curve_points: int = 25                                 # test errors recorded along training
    compile: bool = True

    # What some experiments change; they make fields of these.
    activation = "relu"
    standardized = True                                    # inputs and values z-scored on the training points
    normalized = True                                      # each loss term divided by its labels' mean square
    early_stopping = False                                 # of a run counts the recorded step with the lowest validation MSE
    side_by_side = False                                   # all functions as one computation, to fill a GPU

    def reports(self) -> list[int]:
        """The steps after which errors are recorded."""
        return sorted({int(s) for s in np.geomspace(min(10, self.steps), self.steps, self.curve_points)})

    def trials(self, method: str) -> list[tuple[float, float]]:
        """Learning rates and derivative weights to choose from."""
        if method == "regular":
            return [(lr, 0.0) for lr in self.regular_lrs]
        return [(lr, weight) for lr in self.sobolev_lrs for weight in self.derivative_weights]


class Run(NamedTuple):
    """One network to train."""

    function: str
    lr: float
    derivative_weight: float
    seed: int


class Measured(NamedTuple):
    """A method on one function: all trials, the winner's settings, and its networks, one a seed, with their data.

    ``curve`` has the "steps" and, at each, the seeds' "test_mse", with early stopping the "validation_mse" too.
    """

    lr: float
    derivative_weight: float
    trials: list[dict]
    models: list[nn.Module]
    sets: list[SobolevData]
    curve: dict

    def test_mse(self, config: Config, name: str, device: str) -> list[float]:
        """Of each seed: at the end, or where early stopping would have stopped."""
        if config.early_stopping:
            best = np.argmin(self.curve["validation_mse"], axis=0)
            return [self.curve["test_mse"][step][k] for k, step in enumerate(best)]
        test = points(getattr(functions, name), config.test_points, 7, device)
        return [errors(model, test)["value_mse"] for model in self.models]

    def settings(self) -> dict:
        return {"lr": self.lr, "derivative_weight": self.derivative_weight, "trials": self.trials}


def measure(names: list[str], size: int, method: str, config: Config, seeds: list[int], device: str,
            keep: Keep | None = None) -> dict[str, Measured]:
    """Tune one method on each function, then train the winners on fresh seeds; all networks at once."""
    keep = keep or Keep()
    tuned = _tune(names, size, method, config, device, keep)
    best = {name: min(tuned[name], key=lambda trial: trial["log10_validation_mse"]) for name in names}
    runs = [Run(name, best[name]["lr"], best[name]["derivative_weight"], seed) for name in names for seed in seeds]
    models, sets, curve = _train(runs, size, method, config, device, keep, f"{method}-seeds", curve=True)
    found = {}
    for k, name in enumerate(names):
        own = slice(k * len(seeds), (k + 1) * len(seeds))
        curves = {what: rows if what == "steps" else [row[own] for row in rows] for what, rows in curve.items()}
        found[name] = Measured(best[name]["lr"], best[name]["derivative_weight"], tuned[name], models[own], sets[own],
                               curves)
    return found


def _tune(names, size, method, config, device, keep) -> dict[str, list[dict]]:
    trials = config.trials(method)
    logs = [keep.once(f"{method}-tuning-{seed}", lambda: _scores(names, trials, seed, size, method, config, device, keep))
            for seed in config.tuning_seeds]
    means = [statistics.mean(of_seeds) for of_seeds in zip(*logs)]
    return {name: [{"lr": lr, "derivative_weight": weight, "log10_validation_mse": mean}
                   for (lr, weight), mean in zip(trials, means[k * len(trials):])] for k, name in enumerate(names)}


def _scores(names, trials, seed, size, method, config, device, keep) -> list[float]:
    """Log validation errors of all trials on one seed, function by function."""
    runs = [Run(name, *trial, seed) for name in names for trial in trials]
    models, _, curve = _train(runs, size, method, config, device, keep, f"{method}-tuning-{seed}",
                              curve=config.early_stopping)
    if config.early_stopping:
        found = np.min(curve["validation_mse"], axis=0).tolist()
    else:
        sets = {name: _validation(name, seed, config, device) for name in names}
        found = [errors(model, sets[run.function])["value_mse"] for model, run in zip(models, runs)]
    return [float(np.log10(error)) for error in found]


def _train(runs, size, method, config, device, keep, step, curve=False):
    """Train one network a run; all of them at once. ``step`` is what the checkpoint is called."""
    models, sets = [], []
    for run in runs:
        function, generator = getattr(functions, run.function), torch.Generator().manual_seed(run.seed)
        data = label(function, function.sample(size, generator=generator, device=device))
        network = MLP(2, *config.hidden, 1, activation=config.activation, generator=generator).to(device)
        models.append(Standardized(network, data) if config.standardized else network)
        sets.append(data)
    order = 0 if method == "regular" else 1
    names = dict.fromkeys(run.function for run in runs)
    tests = {name: points(getattr(functions, name), config.test_points, 7, device) for name in names}
    watched = {"test_mse": [tests[run.function] for run in runs]}
    if config.early_stopping:
        watched["validation_mse"] = [_validation(run.function, run.seed, config, device) for run in runs]
    reports = config.reports() if curve else []
    with warnings.catch_warnings():
        # a trial that diverges says so by its error, and loses
        warnings.filterwarnings("ignore", message="train_many: the weights")
        found = train_many(
            [model.model if config.standardized else model for model in models],
            [model.standardize(data) if config.standardized else data for model, data in zip(models, sets)],
            loss=SobolevLoss(order, normalize=config.normalized), steps=config.steps, lr=[run.lr for run in runs],
            weights=[(1.0, run.derivative_weight)[:order + 1] for run in runs], seeds=[run.seed for run in runs],
            batch_size=config.batch_size, compile=config.compile, report=reports,
            on_step=lambda *_: {what: [_value_mse(model, data) for model, data in zip(models, sets_)]
                                for what, sets_ in watched.items()},
            checkpoint=keep.checkpoint(step), on_checkpoint=keep.reached)
    return models, sets, {"steps": reports} | {what: [report[what] for report in found] for what in watched}


def points(function, n: int, seed: int, device: str) -> SobolevData:
    """Labelled points to measure errors on."""
    # drawn in float64: float32 labels of Rosenbrock or Beale carry rounding errors near their minima
    x = function.sample(n, generator=torch.Generator().manual_seed(10_000 + seed), dtype=torch.float64)
    return label(function, x).to(device, torch.float32)


def _validation(name, seed, config, device) -> SobolevData:
    return points(getattr(functions, name), config.validation_points, 100 + seed, device)


def _value_mse(model, data) -> float:
    return _finite(measured_errors(model, SobolevData(data.inputs, data.values))["value_mse"])


def errors(model, data: SobolevData) -> dict[str, float]:
    """Mean squared errors of values and of gradients, in the data's units."""
    found = measured_errors(model, data)
    return {"value_mse": _finite(found["value_mse"]), "gradient_mse": _finite(found["jacobian_mse"])}


def _finite(error: float) -> float:
    # a network whose error no float32 holds has diverged
    return error if error <= torch.finfo(torch.float32).max else DIVERGED


def scales(config: Config) -> dict[str, dict[str, float]]:
    """Of each function's test points: errors mean little without it."""
    found = {}
    for name in config.functions:
        test = points(getattr(functions, name), config.test_points, 7, "cpu")
        found[name] = {"value_variance": float(test.values.var(correction=0)),
                       "gradient_mean_square": float(test.jacobian.square().sum(1).mean())}
    return found


def power(log10: float) -> float:
    """10 to a logarithm's power; infinite where no number is as large, as interval ends are that take in a ``DIVERGED``."""
    return 10 ** log10 if log10 < 308 else math.inf


def log_ratio(regular: list[float], sobolev: list[float]) -> Interval:
    """log10 of R, the test MSE of regular over that of Sobolev training, paired by seeds, with its 95 % interval.

    >>> log_ratio([1.0, 2.0, 3.0], [0.1, 0.2, 0.3]).side()
    'above'
    """
    return interval(np.log10(regular) - np.log10(sobolev))
