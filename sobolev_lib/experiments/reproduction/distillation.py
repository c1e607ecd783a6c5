"""Section 4.2: figure 4 and what the text says of it, from the record of the Atari students.

Ratios are test KL of KL alone over that of KL + Sobolev, seed by seed; their logarithms are averaged over cells (a game
and a share of the states) for each seed, and intervals, at 95 %, taken over the seeds.
"""
import math
from statistics import median

import numpy as np

from sobolev_lib.experiments.atari_verdict import RULE, cells, comparisons, log_ratios, students, verdict
from sobolev_lib.experiments.intervals import Interval, interval
from sobolev_lib.experiments.reproduction.claim import Claim, Found, NotRun
from sobolev_lib.formats import percent, ratio

SCALE = "3 games, 100,000 states; steps, tuning and seeds are not given in the main text; the supplement was not consulted"
SIDES = {"above": "confirmed", "around": "open", "below": "contradicted"}
PAIR = ("kl", "sobolev")
LITTLE = 0.1                                               # how much a test error may end above its lowest
WIDE = 2                                                   # times the training KL: a larger test KL is more than minor overfitting

Cell = tuple[str, float]                                   # a game, and a share of the states


def _students(record: dict) -> dict[Cell, dict[str, dict[int, dict]]]:
    """Runs by cell, then by method and seed; cells that have both methods."""
    found = {cell: {method: {run["seed"]: run for run in students(record, *cell, method)} for method in PAIR}
             for cell in cells(record)}
    found = {cell: runs for cell, runs in found.items() if all(runs.values())}
    if not found:
        raise NotRun("The record has no students of both kinds.")
    return found


def _logs(record: dict) -> dict[Cell, dict[int, float]]:
    """Log ratios by cell and seed, of pairs that live."""
    found = {cell: log_ratios(record, *cell) for cell in _students(record)}
    found = {cell: logs for cell, logs in found.items() if logs}
    if not found:
        raise NotRun("No two students of one seed live.")
    return found


def _mean(logs: list[dict[int, float]]) -> dict[int, float]:
    """Over cells, for the seeds that all of them have."""
    seeds = sorted(set.intersection(*(set(one) for one in logs)))
    if not seeds:
        raise NotRun("In no seed all students live.")
    return {seed: float(np.mean([one[seed] for one in logs])) for seed in seeds}


def _difference(a: dict[int, float], b: dict[int, float]) -> Interval:
    both = sorted(set(a) & set(b))
    if not both:
        raise NotRun("No seed has students that live in both.")
    return interval([a[seed] - b[seed] for seed in both])


def _times(logs: dict[int, float]) -> str:
    return ratio(math.exp(np.mean(list(logs.values()))))


def _ends(found: Interval) -> str:
    return " to ".join(ratio(math.exp(min(end, 700))) for end in (found.low, found.high))


def _scale(record: dict) -> str:
    config, found = record["config"], _students(record)
    shares = ", ".join(percent(share) for share in sorted({share for _, share in found}))
    return (f"{len({game for game, _ in found})} games, {shares} of {config['states']:,} states, {config['steps']:,} steps, "
            f"at most {len(record['seeds'])} seeds")


def figure_4(record: dict) -> Found:
    logs, found = _mean(list(_logs(record).values())), comparisons(record)
    better, errors = (sum(cell[what] == "better" for cell in found) for what in ("answer", "error_answer"))
    return Found.of(verdict(record),
                    f"{_times(logs)} times the test KL without Sobolev, a mean of all cells; Sobolev is clearly better in "
                    f"{better} of {len(found)} cells in KL, in {errors} in action error",
                    _ends(interval(list(logs.values()))))


def few_states(record: dict) -> Found:
    logs = _logs(record)
    shares = sorted({share for _, share in logs})
    if len(shares) < 2:
        raise NotRun("The record has one share of the states only.")
    few, many = (_mean([one for (_, share), one in logs.items() if share == end]) for end in (shares[0], shares[-1]))
    found = _difference(few, many)
    return Found(f"ratio of test KL {_times(few)} at {percent(shares[0])}, {_times(many)} at {percent(shares[-1])}; "
                 f"quotient {ratio(math.exp(found.mean))}", SIDES[found.side()], _scale(record), _ends(found))


def pong(record: dict) -> Found:
    logs = _logs(record)
    mine, others = ([one for (game, _), one in logs.items() if (game == "pong") == wanted] for wanted in (True, False))
    if not mine or not others:
        raise NotRun("The record lacks Pong, or has nothing else.")
    mine, others = _mean(mine), _mean(others)
    found = _difference(others, mine)
    return Found(f"ratio of test KL {_times(mine)} on Pong, {_times(others)} on the other games; quotient "
                 f"{ratio(math.exp(found.mean))}",
                 SIDES[found.side()], _scale(record), _ends(found))


def _rise(runs: dict[int, dict]) -> float:
    """The last test KL over the lowest on the way, of medians over the seeds."""
    curve = np.median([run["curve"]["kl"] for run in runs.values()], axis=0)
    return float(curve[-1] / curve.min())


def _end(rise: float) -> str:
    """Where a test error ends that is ``rise`` times as high as its lowest on the way.

    >>> _end(1.001), _end(1.02), _end(1.5)
    ('at its lowest', 'within 2% of its lowest', 'at up to 1.5 times its lowest')
    """
    if rise > 1 + LITTLE:
        return f"at up to {ratio(rise)} times its lowest"
    return "at its lowest" if rise < 1.005 else f"within {percent(rise - 1)} of its lowest"


def _gap(runs: dict[int, dict]) -> float:
    """Test over training KL, of medians over the seeds."""
    test, train = (median(run[what] for run in runs.values()) for what in ("kl", "train_kl"))
    return test / max(train, 1e-9)


def overfitting(record: dict) -> Found:
    found = _students(record).values()
    alone, sobolev = ([_rise(runs[method]) for runs in found] for method in PAIR)
    gaps = [_gap(runs["sobolev"]) for runs in found]
    smaller, count = sum(_gap(runs["sobolev"]) < _gap(runs["kl"]) for runs in found), len(gaps)
    wide = sum(gap > WIDE for gap in gaps)
    if not wide and max(sobolev) <= 1 + LITTLE:
        status = "confirmed"
    else:
        status = "contradicted" if 2 * wide > count else "open"
    return Found(f"{'Sobolev students overfit, too' if wide else 'Sobolev students hardly overfit'}: their test KL is "
                 f"{ratio(min(gaps))} to {ratio(max(gaps))} times the training KL; that is less than without slopes in "
                 f"{smaller} of {count} cells. The test KL ends {_end(max(sobolev))}, without slopes {_end(max(alone))}",
                 status, _scale(record))


def _claim(place: str, says: str, paper: str, look, rule: str) -> Claim:
    return Claim(place, says, paper, look, "atari-distillation", rule, SCALE)


FIGURES = (
    _claim("Figure 4", "In all scenarios the Sobolev distilled networks are significantly more similar to the target "
                       "policy, in action error and in KL.", "curves", figure_4, RULE),
)
TEXT = (
    _claim("Section 4.2, few states", "The network generalises more effectively, especially with few states.", "stronger",
           few_states,
           "The quotient of the ratios of test KL at the smallest and at the largest share. Confirmed if its interval lies "
           "above 1, contradicted if below, else open."),
    _claim("Section 4.2, Pong", "The performance gap on Pong is small, since its optimal policy is degenerate.", "small",
           pong,
           "The quotient of the other games' ratio of test KL and Pong's. Confirmed if its interval lies above 1, "
           "contradicted if below, else open."),
    _claim("Section 4.2, overfitting", "There is minor to no overfitting.", "minor to none", overfitting,
           f"Confirmed if in every cell the test KL of Sobolev students ends within {percent(LITTLE)} of its lowest, and at "
           f"{WIDE} times their training KL at most. Contradicted if it ends higher than {WIDE} times the training KL in more "
           "than half of the cells. Open otherwise."),
)
