"""What a record of ``atari-distillation`` says of its students, in numbers: gains, who died, what is clear.

Students are compared in pairs of one seed. A pair with a dead student has no ratio: it is left out, and named.
"""
from collections.abc import Sequence
from statistics import mean, median

from sobolev_lib.experiments.atari_verdict import LONGER, comparisons, deaths, is_dead, log_ratios, students
from sobolev_lib.experiments.intervals import Interval, interval
from sobolev_lib.formats import listed, number, percent

TITLES = {"pong": "Pong", "breakout": "Breakout", "space_invaders": "Space Invaders"}
NAMES = {"kl": "KL only", LONGER: "KL only for longer", "sobolev": "KL + Sobolev", "noise": "KL with noise",
         "jacobian": "KL + full Jacobian"}


def gain(record: dict, game: str, share: float, against: str = "kl", method: str = "sobolev") -> Interval | None:
    """The interval of the logarithm of a method's gain in test KL, over living pairs; None where there are none."""
    logs = list(log_ratios(record, game, share, against, method).values())
    return interval(logs) if logs else None


def sided(record: dict, share: float | None = None, against: str = "kl") -> dict[tuple[str, float], str]:
    """Of each cell, or those of one share: "better", "undecided" or "worse" with slopes, as the verdict has it."""
    return {(cell["game"], cell["share"]): cell["answer"] for cell in comparisons(record, against)
            if share in (None, cell["share"])}


def games(record: dict) -> list[str]:
    return list(record["config"]["games"])


def fewest(record: dict) -> float:
    """The smallest share of the states."""
    return min(record["config"]["shares"])


def dead(record: dict, shares: Sequence[float] | None = None, methods: Sequence[str] = tuple(NAMES)) -> str:
    """The dead students: "2 of 5 with KL + Sobolev on Pong at 5%", one a cell; or nothing."""
    found = []
    for share in shares or record["config"]["shares"]:
        for game in games(record):
            for method in methods:
                runs = students(record, game, share, method)
                gone = deaths(runs)
                if gone:
                    found.append(f"{gone} of {len(runs)} with {NAMES[method]} on {TITLES[game]} at {percent(share)}")
    return listed(found)


def left_out(record: dict, shares: Sequence[float], against: str = "kl") -> str:
    """A sentence that names the dead among students with and without slopes, or nothing."""
    told = dead(record, shares, (against, "sobolev"))
    return f" Pairs with a dead student are left out: {told}." if told else ""


def medians(record: dict, what: str) -> dict[str, tuple[float, float]]:
    """Of living students where there are fewest states, without slopes and with, by game; games where both live.

    ``what``: "kl" on new states, "train_kl" on their own.
    """
    found = {}
    for game in games(record):
        both = [[run[what] for run in students(record, game, fewest(record), method) if not is_dead(run)]
                for method in ("kl", "sobolev")]
        if all(both):
            found[game] = (median(both[0]), median(both[1]))
    return found


def mean_kl(record: dict, game: str, share: float, method: str) -> str:
    """Of living students, with the count of the dead."""
    runs = students(record, game, share, method)
    alive = [run["kl"] for run in runs if not is_dead(run)]
    gone = f" ({len(runs) - len(alive)} of {len(runs)} dead)" if len(alive) < len(runs) else ""
    return (number(mean(alive), ".2g") if alive else "none lives") + gone


def losing(record: dict) -> dict[tuple[str, float], int]:
    """Cells in which each living pair, of two or more, is closer to the teacher without slopes; how many pairs those are."""
    found = {cell: log_ratios(record, *cell).values() for cell in sided(record)}
    return {cell: len(each) for cell, each in found.items() if len(each) > 1 and max(each) < 0}


def noise_cells(record: dict) -> list[tuple[str, float]]:
    """Games and shares at which students with noise on their screens were trained."""
    return [(game, share) for share in record["config"]["shares"] for game in games(record)
            if students(record, game, share, "noise")]


def counted(found: int, total: int, noun: str = "game") -> str:
    """ "all 3 games", "none of 3 games", "2 of 3 games"."""
    return f"{'all' if found == total else 'none of' if not found else f'{found} of'} {total} {noun}s"
