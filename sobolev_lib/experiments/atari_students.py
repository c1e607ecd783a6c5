"""What a record of ``atari-distillation`` says of its students, in numbers and in sentences for a page.

Students are compared in pairs of one seed. A pair with a dead student has no ratio: it is left out, and named.
"""
import math
from collections import Counter
from statistics import mean, median
from typing import Sequence

from sobolev_lib.experiments.atari_verdict import LONGER, comparisons, deaths, is_dead, log_ratios, pairs, students
from sobolev_lib.experiments.intervals import Interval, interval
from sobolev_lib.formats import listed, number, percent, ratio

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


def answer(record: dict) -> str:
    """Whether slopes help where there are fewest states, by how much, and how the students then play beside their teacher.

    >>> answer(record)                                                                         # doctest: +SKIP
    "**With 1% of the states, telling slopes brings the student closer to its teacher's policy in all 3 games.** ..."
    """
    share = fewest(record)
    found = {game: gain(record, game, share) for game in games(record)}
    sides: dict[str, list[str]] = {"better": [], "undecided": [], "worse": []}
    for (game, _), side in sided(record, share).items():
        sides[side].append(TITLES[game])
    said = [text.format(f"in all {len(names)} games" if len(names) == len(found) else f"on {listed(names)}")
            for text, names in (("brings the student closer to its teacher's policy {}", sides["better"]),
                                ("makes no clear difference {}", sides["undecided"]),
                                ("leads the student away from its teacher's policy {}", sides["worse"])) if names]
    told = listed([f"{number(math.exp(each.mean), '.1f')} times{'' if k else ' as large'} on {TITLES[game]}"
                   for k, (game, each) in enumerate((game, each) for game, each in found.items() if each)])
    return (f"**With {percent(share)} of the states, telling slopes {listed(said)}.** Without slopes the divergence from the "
            f"teacher, on states that no student has seen, ends {told}.{left_out(record, [share])} {beside_the_teacher(record)}")


def teachers_scores(record: dict, game: str) -> list[float]:
    """Of the episodes in which the states were recorded."""
    return record["results"][f"{game}/price"]["teacher"]["scores"]


def beside_the_teacher(record: dict) -> str:
    """Whether students with slopes play as well as their teacher, where there are fewest states; intervals over seeds."""
    share, sides = fewest(record), {"below": [], "around": [], "above": []}
    for game in games(record):
        teacher = mean(teachers_scores(record, game))
        scores = [mean(run["scores"]) for run in students(record, game, share, "sobolev")]
        side = interval([score - teacher for score in scores]).side() if scores else "around"
        if scores:
            sides[side].append((TITLES[game], f"{number(mean(scores), ',.0f')} against {number(teacher, ',.0f')}"))
    said = [f"{text} on {listed([name for name, _ in found])} (mean score {listed([pair for _, pair in found])})"
            for text, found in (("told slopes, the student still plays worse than its teacher", sides["below"]),
                                ("no difference from the teacher can be told", sides["around"]),
                                ("the student plays better than its teacher", sides["above"])) if found]
    told = "; ".join(said)
    return f"{told[:1].upper()}{told[1:]}."


def left_out(record: dict, shares: Sequence[float], against: str = "kl") -> str:
    """A sentence that names the dead among students with and without slopes, or nothing."""
    told = dead(record, shares, (against, "sobolev"))
    return f" Pairs with a dead student are left out: {told}." if told else ""


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


def fits_closer(record: dict) -> str:
    """Who fits its own states more closely in most games, "kl" or "sobolev"."""
    found = medians(record, "train_kl").values()
    return "kl" if sum(alone < both for alone, both in found) > len(found) / 2 else "sobolev"


def by_heart(record: dict) -> str:
    """How divergences on the students' own states and on new ones compare, where there are fewest states."""
    own, new = medians(record, "train_kl"), medians(record, "kl")
    if not own:
        return "No student lives where there are fewest states."
    times = [test / max(train, 1e-6) for game in own for train, test in zip(own[game], new[game])]
    looser, closer = sum(a < b for a, b in own.values()), sum(a > b for a, b in new.values())
    low, high = (ratio(float(f"{end:.2g}")) for end in (min(times), max(times)))       # their digits are chance
    return (f"On new states the divergence is {low} to {high} times that on "
            f"the students' own. On their own, the students with slopes fit less closely in {counted(looser, len(own))}; on new "
            f"states they are closer to the teacher in {counted(closer, len(own))}.")


def with_more_states(record: dict) -> str:
    """How the cells beyond the smallest share came out, where all pairs lose, and whether the gain shrinks."""
    shares = [share for share in record["config"]["shares"] if share > fewest(record)]
    sides = Counter(side for (_, share), side in sided(record).items() if share in shares)
    total = sum(sides.values())
    if not total:
        return ""
    shown = listed([percent(share) for share in shares])
    text = (f"With {shown} of the states, slopes help clearly in {sides['better']} of {total} cells (a game and a share), hurt "
            f"clearly in {sides['worse']}, and {sides['undecided']} cannot be told.{all_lose(record)}")
    both = [(gain(record, game, fewest(record)), gain(record, game, max(shares))) for game in games(record)]
    both = [(few, many) for few, many in both if few and many]
    if both:
        shrinks = sum(few.mean > many.mean for few, many in both)
        text += (f" From {percent(fewest(record))} to {percent(max(shares))} the gain shrinks on "
                 f"{counted(shrinks, len(both), 'game')}.")
    gone = dead(record)
    return text + (f" Dead students: {gone}." if gone else "")


def losing(record: dict) -> dict[tuple[str, float], int]:
    """Cells in which each living pair, of two or more, is closer to the teacher without slopes; how many pairs those are."""
    found = {cell: log_ratios(record, *cell).values() for cell in sided(record)}
    return {cell: len(each) for cell, each in found.items() if len(each) > 1 and max(each) < 0}


def all_lose(record: dict) -> str:
    """A sentence on ``losing`` cells whose interval still holds zero, or nothing.

    >>> all_lose(record)                                                                       # doctest: +SKIP
    ' Yet slopes lose in both living pairs on Breakout at 20%: too few seeds to call it clear.'
    """
    told = []
    sides = sided(record)
    for (game, share), count in losing(record).items():
        if sides[game, share] == "undecided":
            whole = len(pairs(record, game, share)) == count
            told.append(f"{f'all {count}' if whole and count > 2 else 'both' if count == 2 else count}"
                        f"{'' if whole else ' living'} pairs on {TITLES[game]} at {percent(share)}")
    return f" Yet slopes lose in {listed(told)}: too few seeds to call it clear." if told else ""


def not_run(record: dict, other: dict) -> str:
    """What the longer of two records leaves out of the other's shares: a sentence, or nothing."""
    missing = [share for share in other["config"]["shares"] if share not in record["config"]["shares"]]
    if not missing or record["config"]["steps"] <= other["config"]["steps"]:
        return ""
    return f" {record['config']['steps']:,} steps were not run with {listed([percent(share) for share in missing])} of the states."


def noise_cells(record: dict) -> list[tuple[str, float]]:
    """Games and shares at which students with noise on their screens were trained."""
    return [(game, share) for share in record["config"]["shares"] for game in games(record)
            if students(record, game, share, "noise")]


def mean_kl(record: dict, game: str, share: float, method: str) -> str:
    """Of living students, with the count of the dead."""
    runs = students(record, game, share, method)
    alive = [run["kl"] for run in runs if not is_dead(run)]
    gone = f" ({len(runs) - len(alive)} of {len(runs)} dead)" if len(alive) < len(runs) else ""
    return (number(mean(alive), ".2g") if alive else "none lives") + gone


def cheap_twin(record: dict) -> str:
    """Whether noise on the screens does as well as slopes, or better than nothing; a sentence, or nothing where it wasn't run."""
    cells = noise_cells(record)
    if not cells:
        return ""
    helped, beaten = [], []
    for game, share in cells:
        for better, each in ((helped, gain(record, game, share, "kl", "noise")), (beaten, gain(record, game, share, "noise"))):
            if each is not None and each.side() == "above":
                better.append(TITLES[game])
    seeds = len({run["seed"] for game, share in cells for run in students(record, game, share, "noise")})
    shares = listed([percent(share) for share in sorted({share for _, share in cells})])
    scale = f"{shares} of the states, {record['config']['steps']:,} steps, {seeds} seeds"
    first = (f"was clearly better than KL alone on {listed(helped)}" if helped else
             f"was clearly better than KL alone on none of {len(cells)} games")
    return (f"Noise on the screens, the cheap twin of slopes, {first} ({scale}). "
            + (f"Slopes were clearly better than noise on {listed(beaten)}." if beaten else
               "Nor were slopes clearly better than noise."))


def trials(record: dict, game: str, method: str) -> list[dict]:
    """The tuning runs of a method; they are the same for all shares of a game."""
    return next(found["tuned"][method]["trials"] for cell, found in record["results"].items()
                if cell.startswith(f"{game}/") and "tuned" in found)


def best_by_weight(record: dict, game: str) -> dict[float, float]:
    """The lowest validation KL with each weight alpha, over the learning rates."""
    return {alpha: min(trial["validation_kl"] for trial in trials(record, game, "sobolev") if trial["strength"] == alpha)
            for alpha in sorted(record["config"]["alphas"])}


def smallest_weight(record: dict) -> str:
    """In how many games the smallest weight that was tried won, and what follows."""
    found = {game: best_by_weight(record, game) for game in games(record)}
    won = sum(min(each, key=each.__getitem__) == min(each) for each in found.values())
    return (f"The smallest weight that was tried did best in {counted(won, len(found))}"
            f"{', so a smaller one may do better still' if won else ''}.")


def largest_weight(record: dict) -> str:
    """What the largest weight does beside the best one, and beside none."""
    told, worse = [], []
    for game in games(record):
        each = best_by_weight(record, game)
        told.append(f"{number(each[max(each)] / min(each.values()), '.1f')} times{'' if told else ' as large'} on {TITLES[game]}")
        if each[max(each)] > min(trial["validation_kl"] for trial in trials(record, game, "kl")):
            worse.append(TITLES[game])
    than_none = f"worse than without slopes on {listed(worse)}" if worse else "in no game worse than without slopes"
    return (f"In the trials the divergence with the largest weight, α = {max(record['config']['alphas']):g}, ends {listed(told)}, "
            f"compared with the best weight; {than_none}.")


def undecided(record: dict, game: str) -> float:
    """The share of states in which the teacher's entropy is above nine tenths of a uniform policy's."""
    facts = record["results"][f"{game}/price"]["teacher"]
    quantiles = facts["entropy_quantiles"]
    level = 0.9 * math.log(facts["num_actions"])
    below = [k for k, value in enumerate(quantiles) if value <= level]
    if not below:
        return 1.0
    k = below[-1]
    if k == len(quantiles) - 1:
        return 0.0
    return 1 - (k + (level - quantiles[k]) / (quantiles[k + 1] - quantiles[k])) / (len(quantiles) - 1)


def where_nobody_cares(record: dict) -> str:
    """Whether slopes help least where the teacher is undecided most often."""
    found = {game: gain(record, game, fewest(record)) for game in games(record)}
    gains = {game: each.mean for game, each in found.items() if each}
    if len(gains) < 2:
        return ""
    least = max(gains, key=lambda game: undecided(record, game))
    place = {min(gains.values()): "least", max(gains.values()): "most"}.get(gains[least], "neither most nor least")
    return (f"The teacher of {TITLES[least]} is undecided most often, in {percent(undecided(record, least))} of its states; there "
            f"slopes help {place}{'.' if place == 'least' else ', so this is not seen here.'}")


def overfitted(record: dict) -> str:
    """How far divergences on new states lie above those on the students' own, in all cells; as the reproduction tells it."""
    from sobolev_lib.experiments.reproduction.distillation import overfitting  # here: the reproduction computes much else

    return overfitting(record).ours


def same_pixels(record: dict) -> str:
    """The cosine with the teacher's gradient where there are fewest states."""
    share, told = fewest(record), []
    for game in games(record):
        two = [[run["gradient_similarity"] for run in students(record, game, share, method) if not is_dead(run)]
               for method in ("kl", "sobolev")]
        if all(two):
            told.append(f"{number(mean(two[0]), '.2f')} against {number(mean(two[1]), '.2f')} on {TITLES[game]}")
    return f"{listed(told)} (policy only, against policy and slopes)"


def at_equal_time(record: dict) -> str:
    """What KL alone makes of more steps, or nothing where that was not run."""
    answers = sided(record, against=LONGER)
    if not answers:
        return ""
    found = {cell: gain(record, *cell, LONGER) for cell in answers}
    told = listed(f"{number(math.exp(each.mean), '.1f')} times as large on {TITLES[game]} at {percent(share)}"
                  for (game, share), each in found.items() if each)
    without = left_out(record, sorted({share for _, share in answers}), LONGER)
    if not told:
        return without.strip()
    sides: dict[str, list[str]] = {"better": [], "undecided": [], "worse": []}
    for (game, share), side in answers.items():
        sides[side].append(f"{TITLES[game]} at {percent(share)}")
    said = [text.format(listed(names)) for text, names in (
        ("they help on {}", sides["better"]), ("not clearly on {}", sides["undecided"]), ("hurt on {}", sides["worse"])) if names]
    return (f"Give the student without slopes {record['config']['longer']} times as many steps, about as long on the clock: then "
            f"its test divergence is {told} as that of the student with slopes. So at equal time {', '.join(said)}.{without}")


def price(record: dict) -> str:
    """Times of a step over that of KL alone, the smallest and the largest of the games."""
    told = []
    for method, name in (("sobolev", "one random direction"), ("jacobian", "the whole Jacobian")):
        times = [found["seconds_per_step"][method] / found["seconds_per_step"]["kl"] for cell, found in record["results"].items()
                 if cell.endswith("/price") and method in found["seconds_per_step"]]
        if times:
            told.append(f"{number(min(times), '.1f')} to {number(max(times), '.1f')} with {name}")
    return f"A step without slopes takes 1 unit of time, {listed(told)}" if told else ""


def played(record: dict) -> str:
    """Whether students with slopes score more where there are fewest states, game by game."""
    share, sides = fewest(record), {"above": [], "below": [], "around": []}
    for game in games(record):
        both = [mean(b["scores"]) - mean(a["scores"]) for a, b in pairs(record, game, share)]
        sides[interval(both).side() if both else "around"].append(TITLES[game])
    said = [text.format(listed(names)) for text, names in (
        ("students with slopes score more on {}", sides["above"]), ("they score less on {}", sides["below"]),
        ("on {} the seeds differ too much to say who scores more", sides["around"])) if names]
    told = "; ".join(said)
    return f"{told[:1].upper()}{told[1:]}."


def in_short(record: dict) -> str:
    """Three sentences that sum the experiment up."""
    share, found = fewest(record), sided(record)
    clear = {cell for cell, side in found.items() if side == "better"}
    few = sum((game, share) in clear for game in games(record))
    cells = [cell for cell in found if cell[1] > share]
    last = (f" With more states that is clear in {sum(cell in clear for cell in cells)} of {len(cells)} cells, a game and a "
            "share each.") if cells else ""
    return ("A teacher network gives its reasons away with its decisions: one backward pass yields the slope of its policy at "
            f"every pixel. With {percent(share)} of the states, students that match slopes too end clearly closer to their "
            f"teacher in {counted(few, len(games(record)))}.{last}")


def counted(found: int, total: int, noun: str = "game") -> str:
    """ "all 3 games", "none of 3 games", "2 of 3 games"."""
    return f"{'all' if found == total else 'none of' if not found else f'{found} of'} {total} {noun}s"
