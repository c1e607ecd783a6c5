"""Figure 2 (right) and figure 3: seven functions, three training sizes, regular against Sobolev training.

The protocol is in ``figure_2``: nine learning rates for regular training, three learning rates times three derivative
weights for Sobolev training, inputs and values z-scored on the training points, each loss term divided by its labels'
mean square. The preset "paper" has twenty trials a method.
"""
from dataclasses import asdict, dataclass

import numpy as np
import torch

from sobolev_lib import functions
from sobolev_lib.derivatives import value_and_derivatives
from sobolev_lib.experiments.figure_2 import TRAININGS, Config, errors, log_ratio, measure, points, scales
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.verdicts import Verdict
from sobolev_lib.records import MissingResults

NAME = "seven-functions"
SHOWS = "Figure 2 (right), figure 3"
GRID, ARROWS = 33, 12                                      # resolution of the recorded surfaces and gradient fields


@dataclass(frozen=True)
class SideBySide(Config):
    side_by_side: bool = True


PRESETS = {
    "quick": Config(functions=("styblinski_tang",), sizes=(20, 100), hidden=(64, 64), steps=600,
                    regular_lrs=(3e-3, 1e-2), sobolev_lrs=(3e-3,), derivative_weights=(0.1, 1.0), tuning_seeds=(1000,),
                    test_points=2_000, curve_points=10, compile=False),
    "cpu": Config(),
    # the paper names no steps and no settings: the same length as above, and a grid twice as dense and wider.
    # Two cores take a night for it.
    "paper": Config(regular_lrs=tuple(float(f"{lr:.3g}") for lr in np.geomspace(3e-5, 3e-2, 20)),
                    sobolev_lrs=(3e-4, 1e-3, 3e-3, 1e-2), derivative_weights=(0.04, 0.2, 1.0, 5.0, 25.0)),
    # thirty times as long, for the size where length counts; four trials a method, on one seed
    "gpu": SideBySide(sizes=(10_000,), steps=300_000, regular_lrs=(1e-3, 2e-3, 4e-3, 8e-3), sobolev_lrs=(1e-3, 3e-3),
                      derivative_weights=(0.2, 1.0), tuning_seeds=(1000,), compile=False),
}


def units(config: Config) -> list[str]:
    """Names of the independent parts of the run: one a function, size and method. The cheap ones come first.

    Side by side all functions are one unit, with a + between their names.
    """
    groups = ["+".join(config.functions)] if config.side_by_side else config.functions
    return [f"{group}/{size}/{method}" for size in config.sizes for method in TRAININGS for group in groups]


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Tune one method on one function and size, then measure the winner on fresh seeds; of several functions a dict."""
    names, size, method = unit.split("/")
    names = names.split("+")
    found = {name: _result(name, measured, config, seeds, device)
             for name, measured in measure(names, int(size), method, config, seeds, device, keep).items()}
    return found if len(names) > 1 else found[names[0]]


def _result(name, measured, config, seeds, device) -> dict:
    function = getattr(functions, name)
    test = points(function, config.test_points, 7, device)
    found = [errors(model, test) for model in measured.models]
    middle = sorted(range(len(seeds)), key=lambda k: found[k]["value_mse"])[len(seeds) // 2]
    return {
        **measured.settings(),
        "test_mse": [m["value_mse"] for m in found], "test_gradient_mse": [m["gradient_mse"] for m in found],
        "train_mse": [errors(model, data)["value_mse"] for model, data in zip(measured.models, measured.sets)],
        "curve": measured.curve, "shown_seed": seeds[middle],
        "training_points": measured.sets[middle].inputs[:200].tolist(),
        "surface": _surface(function, measured.models[middle], device),
    }


def describe(config: Config) -> dict:
    """What the record says of the run, the test set's own scale included."""
    return {**asdict(config), "scales": scales(config)}


def cells(record: dict) -> dict[tuple[str, int], dict[str, dict]]:
    """A record's results by function and size, then by method; of those that have both methods.

    Raises ``MissingResults`` where there are none.
    """
    found = {}
    for unit, result in record["results"].items():
        names, size, method = unit.split("/")
        for name in names.split("+"):
            found.setdefault((name, int(size)), {})[method] = result[name] if "+" in names else result
    found = {cell: methods for cell, methods in found.items() if set(TRAININGS) <= set(methods)}
    if not found:
        raise MissingResults("record: expected functions and sizes with both methods, got none")
    return found


def probe() -> dict:
    """The numbers of a few steps by each method, and the test sets' scales."""
    config = Config(functions=("rosenbrock", "ackley"), sizes=(6, 12), hidden=(8, 8), steps=12, batch_size=8,
                    regular_lrs=(1e-2, 3e-2), sobolev_lrs=(1e-2,), derivative_weights=(0.1, 1.0), tuning_seeds=(1000,),
                    validation_points=20, test_points=20, curve_points=3, compile=False)
    found = {unit: run_unit(unit, config, [0, 1], "cpu") for unit in units(config)}
    for result in found.values():
        surface = result.pop("surface")                    # rounded for the eye, and a thousand numbers: their size will do
        result["surface"] = {what: float(np.abs(numbers).mean()) for what, numbers in surface.items()}
    return {"units": found, "scales": scales(Config(test_points=20))}


RULE = ("R is the test MSE of regular over that of Sobolev training, per seed; each cell, a function and a size, has the "
        "95 % interval of the mean log10 R over seeds. Counted are the cells of the six functions that the paper says "
        "improve, all but Ackley. Confirmed if the mean R is at least 10, and its interval above 1, in more than half of "
        "them. Confirmed in direction if the interval lies above 1 in more than half, and below 1 in no more than a "
        "tenth. Contradicted if it lies below 1 in more than half. Open otherwise.")


def verdict(record: dict) -> Verdict:
    """By ``RULE``."""
    found = {cell: log_ratio(*(methods[method]["test_mse"] for method in TRAININGS))
             for cell, methods in cells(record).items()}
    counted = [ratio for (name, _), ratio in found.items() if name != "ackley"]
    above, below = (sum(ratio.side() == side for ratio in counted) for side in ("above", "below"))
    large = sum(ratio.side() == "above" and ratio.mean >= 1 for ratio in counted)
    if 2 * large > len(counted):
        status = "confirmed"
    elif 2 * above > len(counted) and 10 * below <= len(counted):
        status = "confirmed in direction"
    else:
        status = "contradicted" if 2 * below > len(counted) else "open"
    (name, size), largest = max(found.items(), key=lambda item: item[1].mean)
    better, clear = sum(ratio.mean > 0 for ratio in found.values()), sum(ratio.side() == "above" for ratio in found.values())
    config = record["config"]
    return Verdict(
        claim="Sobolev Training reduces the test error on six of seven functions, by orders of magnitude (section 4.1).",
        measured=f"The test error is lower in {better} of {len(found)} cells, with an interval that says so in {clear}; the "
                 f"largest mean R is {10 ** largest.mean:.1f} ({getattr(functions, name).title}, {size:,} points)"
                 + (f", and {large} of {len(counted)} cells without Ackley reach 10." if counted else "."),
        scale=f"{len(config['functions'])} functions, {' / '.join(f'{n:,}' for n in config['sizes'])} points, networks of "
              f"{' x '.join(map(str, config['hidden']))} ReLU, {config['steps']:,} steps, {len(config['regular_lrs'])} "
              f"trials a method, {len(record['seeds'])} seeds.",
        status=status, rule=RULE)


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
