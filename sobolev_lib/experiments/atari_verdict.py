"""Figure 4's verdict: students of one seed compared in pairs, and what becomes of those that died.

A student that has learned nothing tells nothing about slopes, so a pair with a dead one has no ratio. That it died is an
outcome all the same: no cell is better where more students die with slopes than without.
"""
import math
from collections.abc import Iterable

from sobolev_lib.experiments.intervals import interval
from sobolev_lib.experiments.verdicts import Verdict
from sobolev_lib.records import MissingResults

LONGER = "kl_longer"                                       # KL alone, with more steps
DEAD = 0.9                                                 # of the first measured test KL; who has that much has learned nothing
FLOOR = 1e-9                                               # rounding can leave a divergence of zero, or one just below


def cells(record: dict) -> list[tuple[str, float]]:
    """Games and shares of the record.

    >>> cells(record)[0]                                                                       # doctest: +SKIP
    ('pong', 0.01)
    """
    named = [cell.split("/") for cell, found in record["results"].items() if "runs" in found]
    return [(game, float(share)) for game, share in named]


def students(record: dict, game: str, share: float, method: str) -> list[dict]:
    """The runs of a method in a cell, by seed.

    >>> students(record, "pong", 0.01, "kl")[0]["kl"]                                          # doctest: +SKIP
    0.726
    """
    runs = record["results"].get(f"{game}/{share}", {}).get("runs", ())
    return sorted((run for run in runs if run["method"] == method), key=lambda run: run["seed"])


def is_dead(run: dict) -> bool:
    """Whether a student has learned nothing: its test KL ends where it began, or higher.

    >>> is_dead({"kl": 1.8, "curve": {"kl": [1.9, 1.8]}}), is_dead({"kl": 0.2, "curve": {"kl": [1.9, 0.2]}})
    (True, False)

    One measurement alone doesn't tell.
    """
    curve = run["curve"]["kl"]
    return len(curve) > 1 and run["kl"] >= DEAD * curve[0]


def deaths(runs: Iterable[dict]) -> int:
    return sum(map(is_dead, runs))


def pairs(record: dict, game: str, share: float, against: str = "kl", method: str = "sobolev") -> list[tuple[dict, dict]]:
    """Students of one seed: of the method ``against``, and of ``method``."""
    other, mine = ({run["seed"]: run for run in students(record, game, share, one)} for one in (against, method))
    return [(other[seed], mine[seed]) for seed in sorted(set(other) & set(mine))]


def log_ratios(record: dict, game: str, share: float, against: str = "kl", method: str = "sobolev") -> dict[int, float]:
    """By seed, the logarithm of a pair's test KL with ``against`` over that with ``method``; living pairs only."""
    return {a["seed"]: math.log(max(a["kl"], FLOOR) / max(b["kl"], FLOOR))
            for a, b in pairs(record, game, share, against, method) if not (is_dead(a) or is_dead(b))}


def comparisons(record: dict, against: str = "kl") -> list[dict]:
    """How KL + Sobolev compares with another method in each cell that has both; intervals over seeds, at 95 %.

    ``ratio``: the other's test KL over Sobolev's in living pairs, the exponential of the mean of logarithms, or None where
    no pair lives; ``error``: the difference of their action errors. ``better``, ``undecided`` or ``worse`` says of KL, and
    ``error_answer`` of the action error, on which side of no difference the interval lies; better is neither where more
    students died with slopes, and where no pair is left because of that, both are worse. Both methods saw the same
    batches: seeds are compared one by one.
    """
    answer, found = {"above": "better", "around": "undecided", "below": "worse"}, []
    for game, share in cells(record):
        both = pairs(record, game, share, against)
        if not both:
            continue
        dead = [deaths(side) for side in zip(*both)]
        logs = list(log_ratios(record, game, share, against).values())
        errors = [a["action_error"] - b["action_error"] for a, b in both if not (is_dead(a) or is_dead(b))]
        ratio = [math.exp(end) for end in interval(logs)] if logs else None
        answers = [answer[interval(values).side()] if values else "undecided" for values in (logs, errors)]
        if dead[1] > dead[0]:
            answers = ["worse" if not logs or one == "worse" else "undecided" for one in answers]
        found.append({"game": game, "share": share, "seeds": len(both), "dead": dead, "ratio": ratio, "answer": answers[0],
                      "error": list(interval(errors)) if errors else None, "error_answer": answers[1]})
    return found


RULE = ("A cell is better where the 95 % interval over seeds of log(KL alone / KL + Sobolev) lies above 0, worse where it "
        "lies below. Pairs with a dead student are left out, and a cell where more students die with slopes is not better; "
        "it is worse where no pair is left. Confirmed: every cell is better, in KL and in action error. In direction: more "
        "than half are better in KL, and none is worse. Contradicted: more than half are worse. Open otherwise.")


def verdict(record: dict) -> Verdict:
    """Whether Sobolev students are more like their teachers, by ``RULE``."""
    found = comparisons(record)
    if not found:
        raise MissingResults("record: expected students with and without slopes in some cell, got none")
    better, worse = [[cell for cell in found if cell["answer"] == answer] for answer in ("better", "worse")]
    errors = [cell for cell in found if cell["error_answer"] == "better"]
    if len(better) == len(errors) == len(found):
        status = "confirmed"
    elif len(better) > len(found) / 2 and not worse:
        status = "confirmed in direction"
    else:
        status = "contradicted" if len(worse) > len(found) / 2 else "open"
    ratios, config = [cell["ratio"][0] for cell in found if cell["ratio"]], record["config"]
    seeds = sorted({cell["seeds"] for cell in found})
    dead = [sum(cell["dead"][side] for cell in found) for side in (0, 1)]
    return Verdict(
        claim="In all scenarios the Sobolev distilled networks are significantly more similar to the target policy, in "
              "KL divergence and in action error, most of all where there are few states.",
        measured=f"Test KL is lower with Sobolev in {len(better)} of {len(found)} cells (game and share), undecided in "
                 f"{len(found) - len(better) - len(worse)} and higher in {len(worse)}"
                 + (f"; KL alone has {min(ratios):.2f} to {max(ratios):.2f} times as much" if ratios else "")
                 + f". The action error is lower in {len(errors)}."
                 + (f" Dead students: {dead[0]} with KL alone, {dead[1]} with Sobolev." if any(dead) else ""),
        scale=f"{len(config['games'])} games, {', '.join(f'{share:.0%}' for share in config['shares'])} of "
              f"{config['states']:,} states, {config['steps']:,} steps of {config['batch_size']}, "
              f"{' to '.join(map(str, seeds))} seeds a cell.",
        status=status, rule=RULE)
