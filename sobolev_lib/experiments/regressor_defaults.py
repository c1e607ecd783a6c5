"""The regressor left alone, beside four others as their makers set them, on cases that its defaults were not chosen by.

``regressor_cases`` has two halves. Defaults were chosen on the one; this runs the other, or both. Nothing is tuned. A seed
fixes the points, their noise and the initial weights. Errors are shares of the truth's own size on points that nobody was
shown (0 is exact, 1 as good as a constant, or as no slopes); times are the processor's seconds of one fit.
"""
import statistics
import time
import warnings
from dataclasses import asdict, dataclass

from sobolev_lib.experiments import own_peers, regressor_cases, regressor_peers
from sobolev_lib.experiments.figure_2 import log_ratio
from sobolev_lib.experiments.intervals import Interval
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.records import MissingResults, result

NAME = "regressor-defaults"
SHOWS = "Section 5, where derivatives are known: the regressor's defaults beside four others, nothing tuned"
DEVICE = "cpu"                                             # all that other packages know; times are compared
OURS, TOLD = "ours", "ours, 250 steps"                     # left alone; and told how long to train, which is no peer
NEVER_ABOVE, MOSTLY = 1.1, 2 / 3                           # what is asked of the defaults


@dataclass(frozen=True)
class Config:
    cases: tuple[str, ...] = tuple(case.name for case in regressor_cases.CASES if case.half == regressor_cases.REPORTING)
    methods: tuple[str, ...] = tuple(regressor_peers.METHODS)


PRESETS = {"quick": Config(cases=("booth, 30", "mccormick, 30"), methods=(OURS, "twin network")), "cpu": Config()}


def units(config: Config) -> list[str]:
    """One a case and a method."""
    return [f"{case}/{method}" for case in config.cases for method in config.methods]


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Fit a method to a case, for each seed; no runs where the case is not for it."""
    keep, (case, method) = keep or Keep(), unit.split("/")
    code = own_peers.by(method)
    runs = [keep.once(f"seed-{seed}", lambda: _fitted(case, method, seed)) for seed in seeds]
    return {"by": code, "runs": [{"seed": seed, **run} for seed, run in zip(seeds, runs) if run]}


def _fitted(case: str, method: str, seed: int) -> dict:
    train, (X, *truth) = regressor_cases.find(case).draw(seed)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                    # of packages that are not ours, too; what fails shows in its error
        predict = regressor_peers.METHODS[method](*train, seed)
        if predict is None:
            return {}
        seconds = time.process_time() - start
        plan = {"plan": predict.plan} if hasattr(predict, "plan") else {}
        return {**own_peers.error_shares(X, predict(X), tuple(truth)), "seconds": seconds, **plan}


def describe(config: Config) -> dict:
    return asdict(config)


def probe() -> dict:
    """Points and labels of generated cases, a small fit, and what the regressor chooses where a kink's slopes outweigh all others."""
    found = {}
    for name in ("basket of 5, correlation 0.95, 8192", "greeks, 30 % missing, 1000", "engine deck, 600"):
        (_, y, dy), (_, y_test, dy_test) = regressor_cases.find(name).draw(0)
        found[name] = [float(abs(part[part == part]).mean()) for part in (y, dy, y_test, dy_test)]
    run = _fitted("JENN's sinusoid, 4", "twin network", 0)
    return found | {"twin network": [run["value"], run["slope"]], OURS: _fitted("bukin, 100", OURS, 0)["plan"]}


# --- what a record says -----------------------------------------------------------------------------------------------

def errors_of(record: dict, case: str, method: str, what: str = "value") -> list[float]:
    """A method's errors, one a seed; of values, of slopes ("slope"), or seconds; none where it takes no part."""
    runs = result(record, f"{case}/{method}")["runs"]
    return [run[what] for run in sorted(runs, key=lambda run: run["seed"]) if what in run]


def best_peer(record: dict, case: str, what: str = "value") -> str:
    """The peer with the lowest geometric mean of errors over seeds."""
    means = {method: statistics.geometric_mean(found) for method in record["config"]["methods"]
             if method not in (OURS, TOLD) and (found := errors_of(record, case, method, what))}
    if not means:
        raise MissingResults(f"record: expected peers' errors in {case}, got none")
    return min(means, key=means.__getitem__)


def against(record: dict, case: str, peer: str, what: str = "value") -> Interval:
    """log10 of our error over that of a peer, paired by seeds: below zero ours is smaller.

    Raises ``MissingResults`` where the record lacks either, or they are not of the same seeds.
    """
    ours, theirs = errors_of(record, case, OURS, what), errors_of(record, case, peer, what)
    if not ours or len(ours) != len(theirs):
        raise MissingResults(f"record: expected as many runs of {case}/{OURS} as of {case}/{peer}, {len(theirs)}, got "
                             f"{len(ours) or 'none'}")
    return log_ratio(ours, theirs)


def against_best(record: dict, case: str, what: str = "value") -> Interval:
    """The same over the best peer."""
    return against(record, case, best_peer(record, case, what), what)


RULE = (f"Errors on unseen points, geometric means over seeds. Kept if no case has more than {NEVER_ABOVE} times the error of the "
        "best of the others, and two thirds of the cases or more have the smallest of all.")


def kept(record: dict, what: str = "value") -> dict[str, list[str]]:
    """The cases in which ours has the smallest error ("ahead"), at most ``NEVER_ABOVE`` the best peer's ("level"), or more ("behind").

    >>> kept(load_record("regressor-defaults"))                                                # doctest: +SKIP
    {'ahead': ['rosenbrock, 50', ...], 'level': [...], 'behind': [...]}
    """
    sides: dict[str, list[str]] = {"ahead": [], "level": [], "behind": []}
    for case in record["config"]["cases"]:
        ratio = 10 ** against_best(record, case, what).mean
        sides["ahead" if ratio < 1 else "level" if ratio <= NEVER_ABOVE else "behind"].append(case)
    return sides


def is_kept(record: dict, what: str = "value") -> bool:
    """Whether the defaults keep what ``RULE`` asks."""
    sides = kept(record, what)
    return not sides["behind"] and len(sides["ahead"]) >= MOSTLY * sum(map(len, sides.values()))
