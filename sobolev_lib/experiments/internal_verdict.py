"""What a record of internal derivatives says: do they beat matching at the input?"""
import math
import statistics
from collections.abc import Sequence

from sobolev_lib.experiments.figure_2 import log_ratio
from sobolev_lib.experiments.internal_ways import INPUT, INTERNAL, SETS
from sobolev_lib.experiments.intervals import Interval
from sobolev_lib.experiments.verdicts import Verdict, status_of
from sobolev_lib.records import MissingResults, result, runs_of

SEEDS, CELLS = 5, 3                                        # fewer say too little


def cells(record: dict) -> list[tuple[str, int]]:
    """A set of images and how many of them, for all that the record's settings name."""
    found = [(name, count) for name, counts in record["config"]["images"].items() for count in counts]
    if not found:
        raise MissingResults("record: expected sets of images, got none")
    return found


def numbers(record: dict, cell: tuple[str, int], way: str, equal: str = "time", what: str = "kl") -> dict[int, float]:
    """A way's test results by seed: "kl", "accuracy", "agreement" or "slope"; equal "steps" or equal "time"."""
    name, count = cell
    found = {run["seed"]: run[what] for run in runs_of(record, f"{name}/{way}")
             if (run["images"], run["equal"]) == (count, equal)}
    if not found:
        raise MissingResults(f"record: expected runs of {name}/{way} on {count} images, by equal {equal}, got none")
    return found


def chosen(record: dict, name: str, ways: Sequence[str]) -> str:
    """Of these ways the one with the lowest validation divergence on the tuning seed."""
    least = {way: min(trial["validation_kl"] for trial in result(record, f"{name}/{way}")["trials"])
             for way in ways if way in record["config"]["trials"]}
    if not least:
        raise MissingResults(f"record: expected trials of {' or '.join(ways)}, got none")
    return min(least, key=lambda way: least[way])


def against(record: dict, cell: tuple[str, int], way: str, other: str, equal: str = "time") -> Interval:
    """log10 of a way's test divergence over another's, paired by seeds: below zero the way is better."""
    mine, theirs = (numbers(record, cell, each, equal) for each in (way, other))
    seeds = sorted(set(mine) & set(theirs))
    if not seeds:
        raise MissingResults(f"record: expected seeds that {way} and {other} share on {cell}, got none")
    return log_ratio([mine[seed] for seed in seeds], [theirs[seed] for seed in seeds])


def inside_against_input(record: dict, cell: tuple[str, int], equal: str = "time") -> Interval:
    """The chosen internal way over the chosen one at the input."""
    return against(record, cell, chosen(record, cell[0], INTERNAL), chosen(record, cell[0], INPUT), equal)


RULE = ("A student's error is the divergence of its answers from the teacher's (KL) on test images; ratios are paired by "
        "seed, with a 95 % interval of their logarithm. Of the internal ways, and of the two at the input, validation on "
        "the tuning seed chooses one for each set of images. At equal time of the processor: confirmed if the internal one "
        "errs less in every cell with an interval below 1; confirmed in direction if so in more than half; contradicted if "
        "it errs more in every cell with intervals above 1. Open otherwise, and with fewer than "
        f"{SEEDS} seeds, {CELLS} cells or two sets.")


def verdict(record: dict) -> Verdict:
    """By ``RULE``."""
    every = cells(record)
    gains = {cell: inside_against_input(record, cell) for cell in every}
    sides = [gain.side() for gain in gains.values()]
    pairs = [len(numbers(record, cell, chosen(record, cell[0], ways))) for cell in every for ways in (INPUT, INTERNAL)]
    thin = min(pairs) < SEEDS or len(every) < CELLS or len({name for name, _ in every}) < 2
    plain = {cell: against(record, cell, chosen(record, cell[0], INTERNAL), "answers") for cell in every}
    steps = [inside_against_input(record, cell, "steps").side() for cell in every]
    return Verdict(
        claim="An unexplored path is to apply Sobolev Training to internal derivatives (section 5). Asked here: do they "
              "beat derivatives by the input?",
        measured=f"Divergence of the chosen internal way over that of matching at the input, at equal time: {_told(gains)}. "
                 f"At equal steps it is clearly larger in {steps.count('above')} and clearly smaller in "
                 f"{steps.count('below')} of {len(every)} cells. Over answers alone, at equal time: {_told(plain)}.",
        scale=f"{_named(record).capitalize()}, multilayer perceptrons, {record['config']['steps']:,} steps, "
              f"{statistics.mode(len(trials) for trials in record['config']['trials'].values())} trials a way, "
              f"{min(pairs)} seeds.",
        status="open" if thin else status_of(sides, better="below"), rule=RULE)


def times(log: Interval) -> str:
    """A ratio in words.

    >>> times(Interval(0.0, -0.1, 0.1))
    '1 times (0.79 to 1.3)'
    """
    mean, low, high = (f"{10**end:.2g}" if math.isfinite(end) else "" for end in log)
    return f"{mean} times ({low} to {high})" if low and high else f"{mean} times (one seed)"


def _told(gains: dict) -> str:
    return "; ".join(f"from {count:,} {SETS[name]} {times(gain)}" for (name, count), gain in gains.items())


def _named(record: dict) -> str:
    return " and ".join(f"{SETS[name]} ({', '.join(f'{count:,}' for count in counts)} images{' only' * (len(counts) == 1)})"
                        for name, counts in record["config"]["images"].items())
