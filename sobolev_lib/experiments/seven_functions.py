"""Figure 2 (right) and figure 3: seven functions, three training sizes, regular against Sobolev training.

Protocol, the same for both methods. A trial is a choice of hyper-parameters: nine learning rates for regular
training; three learning rates times three derivative weights for Sobolev training. Every trial runs on the tuning
seeds, and the one with the lowest mean log validation MSE wins. The winner runs again on fresh seeds, and only these
runs meet the test points. A seed fixes the training points, the initial weights and the order of the batches.
Inputs and values are z-scored on the training points; each loss term is divided by its labels' mean square; errors
are reported in the function's own units.
"""
import statistics
from dataclasses import asdict, dataclass

import numpy as np
import torch

from sobolev_lib import functions
from sobolev_lib.data import SobolevData, label
from sobolev_lib.derivatives import value_and_derivatives
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.fast import train_many
from sobolev_lib.losses import SobolevLoss
from sobolev_lib.models import MLP
from sobolev_lib.scaling import Standardized

NAME = "seven-functions"
SHOWS = "Figure 2 (right), figure 3"
METHODS = ("regular", "sobolev")
GRID, ARROWS = 33, 12                                      # resolution of the recorded surfaces and gradient fields


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


PRESETS = {
    "quick": Config(functions=("styblinski_tang",), sizes=(20, 100), hidden=(64, 64), steps=600,
                    regular_lrs=(3e-3, 1e-2), sobolev_lrs=(3e-3,), derivative_weights=(0.1, 1.0), tuning_seeds=(1000,),
                    test_points=2_000, curve_points=10, compile=False),
    "cpu": Config(),
    # the paper names no steps and no settings: the same length as above, and a grid twice as dense and wider.
    # Two cores take a night for it.
    "paper": Config(regular_lrs=tuple(float(f"{lr:.3g}") for lr in np.geomspace(3e-5, 3e-2, 20)),
                    sobolev_lrs=(3e-4, 1e-3, 3e-3, 1e-2), derivative_weights=(0.04, 0.2, 1.0, 5.0, 25.0)),
}


def units(config: Config) -> list[str]:
    """Names of the independent parts of the run: one a function, size and method. The cheap ones come first."""
    return [f"{name}/{size}/{method}" for size in config.sizes for method in METHODS for name in config.functions]


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Tune one method on one function and size, then measure the winner on fresh seeds."""
    name, size, method = unit.split("/")
    function = getattr(functions, name)
    tuned = _tune(function, int(size), method, config, device)
    best = min(tuned, key=lambda trial: trial["log10_validation_mse"])
    models, sets, curve = _train(function, int(size), method, [(best["lr"], best["derivative_weight"], s) for s in seeds],
                                 config, device, curve=True)
    test = _points(function, config.test_points, 7, device)
    measured = [_errors(model, test) for model in models]
    middle = sorted(range(len(seeds)), key=lambda k: measured[k]["value_mse"])[len(seeds) // 2]
    return {
        "lr": best["lr"], "derivative_weight": best["derivative_weight"], "trials": tuned,
        "test_mse": [m["value_mse"] for m in measured], "test_gradient_mse": [m["gradient_mse"] for m in measured],
        "train_mse": [_errors(model, data)["value_mse"] for model, data in zip(models, sets)],
        "curve": curve, "shown_seed": seeds[middle], "training_points": sets[middle].inputs[:200].tolist(),
        "surface": _surface(function, models[middle], device),
    }


def describe(config: Config) -> dict:
    """What the record says of the run, the test set's own scale included: errors mean little without it."""
    scales = {}
    for name in config.functions:
        test = _points(getattr(functions, name), config.test_points, 7, "cpu")
        scales[name] = {"value_variance": float(test.values.var(correction=0)),
                        "gradient_mean_square": float(test.jacobian.square().sum(1).mean())}
    return {**asdict(config), "scales": scales}


def probe() -> dict:
    """The numbers of a few steps by each method, and the test sets' scales."""
    config = Config(functions=("rosenbrock", "ackley"), sizes=(6, 12), hidden=(8, 8), steps=12, batch_size=8,
                    regular_lrs=(1e-2, 3e-2), sobolev_lrs=(1e-2,), derivative_weights=(0.1, 1.0), tuning_seeds=(1000,),
                    validation_points=20, test_points=20, curve_points=3, compile=False)
    found = {unit: run_unit(unit, config, [0, 1], "cpu") for unit in units(config)}
    for result in found.values():
        surface = result.pop("surface")                    # rounded for the eye, and a thousand numbers: their size will do
        result["surface"] = {what: float(np.abs(numbers).mean()) for what, numbers in surface.items()}
    return {"units": found, "scales": describe(Config(test_points=20))["scales"]}


def _tune(function, size, method, config, device) -> list[dict]:
    if method == "regular":
        trials = [(lr, 0.0) for lr in config.regular_lrs]
    else:
        trials = [(lr, weight) for lr in config.sobolev_lrs for weight in config.derivative_weights]
    logs = {trial: [] for trial in trials}
    for seed in config.tuning_seeds:
        models, _, _ = _train(function, size, method, [(*trial, seed) for trial in trials], config, device)
        validation = _points(function, config.validation_points, 100 + seed, device)
        for trial, model in zip(trials, models):
            logs[trial].append(float(np.log10(_errors(model, validation)["value_mse"])))
    return [{"lr": lr, "derivative_weight": weight, "log10_validation_mse": statistics.mean(logs[lr, weight])}
            for lr, weight in trials]


def _train(function, size, method, runs, config, device, curve=False):
    """Train one network a run (lr, derivative weight, seed); all of them at once."""
    models, sets = [], []
    for _, _, seed in runs:
        generator = torch.Generator().manual_seed(seed)
        data = label(function, function.sample(size, generator=generator, device=device))
        models.append(Standardized(MLP(2, *config.hidden, 1, generator=generator).to(device), data))
        sets.append(data)
    order = 0 if method == "regular" else 1
    test = _points(function, config.test_points, 7, device)
    report = sorted({int(s) for s in np.geomspace(10, config.steps, config.curve_points)}) if curve else []
    errors = []
    train_many([m.model for m in models], [m.standardize(data) for m, data in zip(models, sets)],
               loss=SobolevLoss(order, normalize=True), steps=config.steps, lr=[lr for lr, _, _ in runs],
               weights=[(1.0, weight)[:order + 1] for _, weight, _ in runs], seeds=[seed for _, _, seed in runs],
               batch_size=config.batch_size, compile=config.compile, report=report,
               on_step=lambda step, _: errors.append([_value_mse(model, test) for model in models]))
    return models, sets, {"steps": report, "test_mse": errors}


def _points(function, n, seed, device) -> SobolevData:
    # drawn in float64: float32 labels of Rosenbrock or Beale carry rounding errors near their minima
    x = function.sample(n, generator=torch.Generator().manual_seed(10_000 + seed), dtype=torch.float64)
    return label(function, x).to(device, torch.float32)


@torch.no_grad()
def _value_mse(model, data) -> float:
    return float((model(data.inputs)[:, 0] - data.values).square().mean())


def _errors(model, data) -> dict:
    values, gradient = [tensor.detach() for tensor in value_and_derivatives(model, data.inputs)]
    return {"value_mse": float((values[:, 0] - data.values).square().mean()),
            "gradient_mse": float((gradient[:, 0] - data.jacobian).square().sum(1).mean())}


def _surface(function, model, device) -> dict:
    """Values on a GRID x GRID lattice and gradients on an ARROWS x ARROWS one; first index along the second input."""
    values, _ = value_and_derivatives(model, lattice(function, GRID).to(device))
    _, gradient = value_and_derivatives(model, lattice(function, ARROWS).to(device))
    return {"values": _compact(values[:, 0].reshape(GRID, GRID)),
            "gradient": _compact(gradient[:, 0].reshape(ARROWS, ARROWS, 2))}


def lattice(function, n: int) -> torch.Tensor:
    """The n x n regular points of a function's domain, (n n, 2); the first input varies fastest."""
    (x_low, x_high), (y_low, y_high) = function.domain
    y, x = torch.meshgrid(torch.linspace(y_low, y_high, n), torch.linspace(x_low, x_high, n), indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def _compact(tensor: torch.Tensor):
    # a surface is drawn, not measured: four digits keep the record's size down
    return np.vectorize(lambda v: float(f"{v:.4g}"))(tensor.detach().cpu().double().numpy()).tolist()
