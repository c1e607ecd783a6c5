"""What a record of ``atari-distillation`` says of its students, in sentences for a page."""
import math
from collections import Counter
from statistics import mean

from sobolev_lib.experiments.atari_numbers import (
    TITLES,
    counted,
    dead,
    fewest,
    gain,
    games,
    left_out,
    losing,
    medians,
    noise_cells,
    sided,
)
from sobolev_lib.experiments.atari_players import beside_the_teacher
from sobolev_lib.experiments.atari_verdict import LONGER, is_dead, log_ratios, pairs, students
from sobolev_lib.formats import listed, number, percent, ratio
from sobolev_lib.records import MissingResults


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
    if not said:
        return f"**No students with and without slopes have been trained on {percent(share)} of the states.**"
    told = listed([f"{number(math.exp(each.mean), '.1f')} times{'' if k else ' as large'} on {TITLES[game]}"
                   for k, (game, each) in enumerate((game, each) for game, each in found.items() if each)])
    text = f"**With {percent(share)} of the states, telling slopes {listed(said)}.**"
    if told:
        text += (f" Without slopes the divergence from the teacher, on states that no student has seen, ends {told}."
                 f"{left_out(record, [share])}")
    return f"{text} {beside_the_teacher(record)}".rstrip()


def fits_closer(record: dict) -> str:
    """Who fits its own states more closely in most games, "kl" or "sobolev"."""
    found = medians(record, "train_kl").values()
    if not found:
        raise MissingResults("record: expected living students with and without slopes, got none")
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
            f"clearly in {sides['worse']}, and in {sides['undecided']} neither can be said.{all_lose(record)}")
    both = [(gain(record, game, fewest(record)), gain(record, game, max(shares))) for game in games(record)]
    both = [(few, many) for few, many in both if few and many]
    if both:
        shrinks = sum(few.mean > many.mean for few, many in both)
        single = [TITLES[game] for game in games(record) if len(log_ratios(record, game, max(shares))) == 1]
        text += (f" From {percent(fewest(record))} to {percent(max(shares))} the gain shrinks on "
                 f"{counted(shrinks, len(both), 'game')}"
                 f"{f', on {listed(single)} by a single living pair' if single else ''}.")
    gone = dead(record)
    return text + (f" Dead students: {gone}." if gone else "")


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
    return f"{listed(told)} (policy only, against policy and slopes)" if told else "not known: no students of both kinds live"


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
    if not told:
        raise MissingResults("record: expected times of a step with and without slopes, got none")
    return f"A step without slopes takes 1 unit of time, {listed(told)}"


def in_short(record: dict) -> str:
    """Three sentences that sum the experiment up."""
    share, found = fewest(record), sided(record)
    clear = {cell for cell, side in found.items() if side == "better"}
    few = [cell in clear for cell in found if cell[1] == share]
    first = (f"students that match slopes too end clearly closer to their teacher in {counted(sum(few), len(few))}." if few else
             "students with and without slopes have not been compared.")
    cells = [cell for cell in found if cell[1] > share]
    last = (f" With more states that is clear in {sum(cell in clear for cell in cells)} of {len(cells)} cells, a game and a "
            "share each.") if cells else ""
    return ("A teacher network gives its reasons away with its decisions: one backward pass yields the slope of its policy at "
            f"every pixel. With {percent(share)} of the states, {first}{last}")
