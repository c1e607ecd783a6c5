"""Your own derivatives: four real cases, each beside what its field uses, from the same points with the same tuning.

A jet engine's deck, energies and forces of a metal cluster, option prices by simulated paths, and a network that copies
another. Every method has as many trials; each trial is fitted to the tuning seeds' points, and the one with the lowest mean
log error on validation points, of which values alone are known, is fitted again for every seed. A seed fixes the split or the
draw of the points, and the initial weights. Errors are shares of the truth's own size on points that nobody was shown, times
are the processor's seconds of one fit. Peers' numbers come from their own packages (``own_peers``), in the same run.
"""
import functools
import math
import statistics
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from sobolev_lib import datasets
from sobolev_lib.datasets.table import Table
from sobolev_lib.experiments import own_peers
from sobolev_lib.experiments.figure_2 import log_ratio
from sobolev_lib.experiments.intervals import Interval
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.verdicts import Verdict, status_of
from sobolev_lib.records import MissingResults, result

NAME = "own-derivatives"
SHOWS = "Section 5, where derivatives are known: four real cases beside what their fields use"
DEVICE = "cpu"                                             # all that other packages know; times are compared
OURS = ("slopes", "values", "slopes, invariant")           # every other method is a peer
TRUTH = "truth"                                            # a unit that compares the truth with somebody else's formula
CASES = {"engine": "jet engine deck", "cluster": "forces of a metal cluster", "options": "option prices",
         "teacher": "a teacher network"}

_WEIGHTS = (0.1, 1.0, 10.0, 100.0)
_HEAVY_WEIGHTS = (1.0, 10.0, 100.0, 1000.0)               # where validation took the largest of the others
_RATES = (1e-3, 3e-3, 1e-2, 3e-2)
_SIZES = ((10, 10), (20, 20), (40, 40), (64, 64))
_NETWORK = {"hidden": (64, 64), "steps": 1000, "lr": 1e-2}
_CURVED = {"optimizer": "lbfgs", "dtype": "float64", "steps": 200}                         # few points: curvature pays
_COORDINATES = _CURVED | {"hidden": (64, 64)}
_TANH = _CURVED | {"hidden": (20, 20), "activation": "tanh"}
_SOFTPLUS = {"hidden": (20, 20, 20, 20), "activation": "softplus", "steps": 400, "batch_size": 1024, "lr": 5e-2}
_SPLINE = {"regularization_weight": 1e-14, "nonlinear_maxiter": 10, "approx_order": 2}


def _each(base: dict, name: str, values: Sequence) -> list[dict]:
    return [base | {name: value} for value in values]


def _sizes_and_rates(**rest) -> list[dict]:
    return [{"hidden": hidden, "alpha": alpha, **rest} for hidden in ((12, 12), (24, 24)) for alpha in (0.02, 0.05)]


TRIALS = {
    "engine": {
        "slopes": _each(_NETWORK, "derivative_weight", _WEIGHTS), "values": _each(_NETWORK, "lr", _RATES),
        "JENN": _sizes_and_rates(),
        "RMTB": [_SPLINE | {"num_ctrl_pts": n, "energy_weight": w} for n in (6, 8) for w in (1e-4, 1e-2)],
        "RMTC": [_SPLINE | {"num_elements": n, "energy_weight": w} for n in (3, 4) for w in (1e-4, 1e-2)],
        "GEKPLS": [{"n_comp": 3, "extra_points": n, "n_start": 1, "nugget": w} for n in (2, 3) for w in (1e-10, 1e-6)]},
    "cluster": {
        "slopes": _each(_COORDINATES, "derivative_weight", _WEIGHTS), "values": _each(_COORDINATES, "hidden", _SIZES),
        "slopes, invariant": _each({"steps": 200}, "derivative_weight", _HEAVY_WEIGHTS), "JENN": _sizes_and_rates(),
        "GPMin": _each({"noise": 1e-3}, "scale", (1.5, 2.5, 4.0, 6.0)), "sGDML": _each({}, "sigma", (4, 8, 16, 32))},
    "options": {
        "slopes": _each(_SOFTPLUS, "derivative_weight", _HEAVY_WEIGHTS), "values": _each(_SOFTPLUS, "lr", _RATES),
        "twin network": [{"rate": rate, "weight": weight} for rate in (0.3, 1.0) for weight in (1.0, 3.0)],
        "JENN": _sizes_and_rates(max_iter=150)},
    "teacher": {
        "slopes": _each(_TANH, "derivative_weight", _HEAVY_WEIGHTS), "values": _each(_TANH, "hidden", _SIZES),
        "JENN": _sizes_and_rates(),
        "MLPRegressor": [{"hidden": (64, 64), "alpha": alpha} for alpha in (1e-3, 1e-1, 1.0, 10.0)],
        "Gaussian process": _each({}, "nu", (0.5, 1.5, 2.5, None))},
}


@dataclass(frozen=True)
class Config:
    trials: dict = field(default_factory=lambda: TRIALS)   # by case and method
    points: dict = field(default_factory=lambda: {"engine": 150, "cluster": 150, "options": 4096, "teacher": 200})
    validation_points: int = 150
    test_points: int = 300
    tuning_seeds: tuple[int, ...] = (1000,)
    truth: bool = True                                     # compare option prices with QuantLib's


PRESETS = {
    "quick": Config(trials={"engine": {"slopes": [_NETWORK | {"steps": 300}], "values": [_NETWORK | {"steps": 300}]}}, truth=False),
    "cpu": Config(),
}


def units(config: Config) -> list[str]:
    """One a case and a method, and one for the truth."""
    found = [f"{case}/{method}" for case, methods in config.trials.items() for method in methods]
    return [*found, f"options/{TRUTH}"] if config.truth else found


def split(case: str, seed: int, config: Config) -> tuple[Table, Table, Table]:
    """Points to learn from, to choose by, and to test on; of a deck or a cluster three parts of one table.

    >>> [len(part) for part in split("cluster", 0, Config())]
    [150, 150, 300]
    """
    sizes = config.points[case], config.validation_points, config.test_points
    if case in ("engine", "cluster"):
        table = datasets.engine_deck() if case == "engine" else datasets.metal_cluster()
        order, ends = np.random.default_rng([seed, 1]).permutation(len(table)), np.cumsum(sizes)
        train, validation, test = np.split(order[:ends[-1]], ends[:-1])
        return table[train], table[validation], table[test]
    makes = [datasets.teacher_answers] * 3
    if case == "options":                                  # what is tested on is the truth
        makes = [datasets.option_prices] * 2 + [functools.partial(datasets.option_prices, exact=True)]
    train, validation, test = [make(size, 3 * seed + k) for k, (make, size) in enumerate(zip(makes, sizes))]
    return train, validation, test


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Tune a method on a case, and fit its winner for each seed."""
    keep, (case, method) = keep or Keep(), unit.split("/")
    if method == TRUTH:
        return keep.once("truth", own_peers.differs_from_quantlib)
    trials, code = config.trials[case][method], own_peers.by(method)
    tried = [[keep.once(f"trial-{k}-{seed}", lambda: _tried(case, method, seed, trial, config)) for seed in config.tuning_seeds]
             for k, trial in enumerate(trials)]
    found = [{"settings": trial, "log10_validation_error": statistics.mean(math.log10(each["validation"]) for each in runs),
              "test_error": [each["value"] for each in runs]} for trial, runs in zip(trials, tried)]
    winner = min(found, key=lambda trial: trial["log10_validation_error"])["settings"]
    runs = [{"seed": seed, **keep.once(f"seed-{seed}", lambda: _fitted(case, method, seed, winner, config))} for seed in seeds]
    return {"by": code, "trials": found, "chosen": winner, "runs": runs}


def _tried(case: str, method: str, seed: int, trial: dict, config: Config) -> dict:
    train, validation, test = split(case, seed, config)
    predict, seconds = _fit(method, train, seed, trial)
    return {"validation": _shares(predict, validation)["value"], "value": _shares(predict, test)["value"], "seconds": seconds}


def _fitted(case: str, method: str, seed: int, trial: dict, config: Config) -> dict:
    train, _, test = split(case, seed, config)
    predict, seconds = _fit(method, train, seed, trial)
    found = {**_shares(predict, test), "seconds": seconds}
    if case == "cluster":
        # the same clusters, turned in space: their energies do not change
        found["turned"] = own_peers.error_shares(test.X, (predict(turned(test.X, seed))[0], None), (test.y, test.dy))["value"]
        found["path"] = [own_peers.finite(energy) for energy in predict(datasets.metal_cluster_path().X)[0]]
    return found


def _fit(method: str, train: Table, seed: int, trial: dict):
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                    # of packages that are not ours, too; what fails shows in its error
        predict = own_peers.METHODS[method](train.X, train.y, train.dy, seed, **trial)
    return predict, time.process_time() - start


def _shares(predict, table: Table) -> dict[str, float]:
    return own_peers.error_shares(table.X, predict(table.X), (table.y, table.dy))


def turned(X: np.ndarray, seed: int) -> np.ndarray:
    """Positions (N, 3 atoms), each row turned about the origin in a way of its own.

    >>> far = lambda X: np.linalg.norm(X[:, :3] - X[:, 3:], axis=1)
    >>> X = np.random.default_rng(0).normal(size=(4, 6))
    >>> bool(np.allclose(far(turned(X, 1)), far(X))), bool(np.allclose(turned(X, 1), X))
    (True, False)
    """
    q = np.random.default_rng([seed, 2]).normal(size=(len(X), 4))
    w, x, y, z = (q / np.linalg.norm(q, axis=1, keepdims=True)).T                          # unit quaternions
    rotations = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
                          2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
                          2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], axis=1).reshape(-1, 3, 3)
    return (X.reshape(len(X), -1, 3) @ rotations).reshape(X.shape)


def describe(config: Config) -> dict:
    return asdict(config)


def probe() -> dict:
    """The numbers of a few steps of each method that needs no other package."""
    small = {"steps": 12, "hidden": (8,)}
    trials = {"engine": {"slopes": [small], "values": [small]}, "cluster": {"slopes, invariant": [small]},
              "options": {"slopes": [small], "twin network": [{}]}, "teacher": {"slopes": [small]}}
    config = Config(trials=trials, points={"engine": 40, "cluster": 20, "options": 128, "teacher": 30},
                    validation_points=20, test_points=20, truth=False)
    return {unit: _timeless(run_unit(unit, config, [0], "cpu")) for unit in units(config)}


def _timeless(found: dict) -> dict:
    return found | {"runs": [{key: part for key, part in run.items() if key != "seconds"} for run in found["runs"]]}


# --- what a record says -----------------------------------------------------------------------------------------------

def errors_of(record: dict, case: str, method: str, what: str = "value") -> list[float]:
    """A method's test errors, one a seed; of values, of slopes ("slope"), or of values of turned clusters ("turned")."""
    runs = result(record, f"{case}/{method}")["runs"]
    if not runs:
        raise MissingResults(f"record: expected runs of {case}/{method}, got none")
    return [run[what] for run in sorted(runs, key=lambda run: run["seed"])]


def methods(record: dict, case: str) -> list[str]:
    """The methods of a case, in the order of the record's settings."""
    return list(record["config"]["trials"].get(case, {}))


def ranked(record: dict, case: str) -> list[str]:
    """The methods of a case, by the mean logarithm of their test errors: the best first."""
    return sorted(methods(record, case), key=lambda name: statistics.mean(map(math.log10, errors_of(record, case, name))))


def best(record: dict, case: str, ours: bool) -> str:
    """Of this library's methods that are told slopes, or of the peers, the first of ``ranked``."""
    names = [name for name in ranked(record, case) if name != "values" and (name in OURS) == ours]
    if not names:
        raise MissingResults(f"record: expected {'methods of ours' if ours else 'peers'} in {case}, got none")
    return names[0]


def against(record: dict, case: str, method: str, other: str) -> Interval:
    """log10 of a method's test error over another's, paired by seeds: below zero the method is better."""
    return log_ratio(errors_of(record, case, method), errors_of(record, case, other))


RULE = ("Errors of values on unseen points; ratios are paired by seed, with a 95 % interval of their logarithm. Confirmed if "
        "in every case the regressor that is told slopes errs less than the one told values alone, tuned by as many trials, "
        "with an interval below 1. Confirmed in direction if so in more than half of the cases. Contradicted if it errs more in every case, "
        "with intervals above 1. Open otherwise. How the best of ours stands to the best peer, both by test error, is told, "
        "and decides nothing.")


def verdict(record: dict) -> Verdict:
    """By ``RULE``."""
    cases = list(record["config"]["trials"])
    if not cases:
        raise MissingResults("record: expected cases, got none")
    gains = {case: against(record, case, "slopes", "values") for case in cases}
    sides = [gain.side() for gain in gains.values()]
    told = "; ".join(f"{CASES[case]} {10 ** -gain.mean:.3g} times smaller ({10 ** -gain.high:.3g} to {10 ** -gain.low:.3g})"
                     for case, gain in gains.items())
    beside = [f"{CASES[case]}: {beside_peers(record, case)}" for case in cases if set(methods(record, case)) - set(OURS)]
    return Verdict(
        claim="Derivatives of the target, where they are known, improve generalisation (abstract).",
        measured=f"Errors with slopes against our regressor told values alone: {told}."
                 + (f" Beside the best of the others, {'; '.join(beside)}." if beside else ""),
        scale=f"{len(cases)} cases, {_counts(record)} points, {len(record['seeds'])} seeds, as many trials for each method. "
              "With one number of points a case, data efficiency is not measured.",
        status=status_of(sides, better="below"), rule=RULE)


def beside_peers(record: dict, case: str) -> str:
    """How the best of our methods stands to the best peer, in words.

    >>> beside_peers(load_record("own-derivatives"), "engine")                                 # doctest: +SKIP
    'behind JENN, 1.2 times its error (1.1 to 1.4)'
    """
    two = lambda log: f"{10**log:#.2g}".rstrip(".")
    peer = best(record, case, ours=False)
    found = against(record, case, best(record, case, ours=True), peer)
    word = {"below": "ahead of", "above": "behind", "around": "level with"}[found.side()]
    article = "the " if " " in peer else ""
    return f"{word} {article}{peer}, {two(found.mean)} times its error ({two(found.low)} to {two(found.high)})"


def _counts(record: dict) -> str:
    return ", ".join(f"{record['config']['points'][case]:,}" for case in record["config"]["trials"])
