"""What a record of ``atari-distillation`` says of its teachers, and of how students play beside them."""
import math
from statistics import mean

from sobolev_lib.experiments.atari_numbers import TITLES, fewest, gain, games
from sobolev_lib.experiments.atari_verdict import pairs, students
from sobolev_lib.experiments.intervals import interval
from sobolev_lib.formats import listed, number, percent
from sobolev_lib.records import result


def teachers_scores(record: dict, game: str) -> list[float]:
    """Of the episodes in which the states were recorded."""
    return result(record, f"{game}/price")["teacher"]["scores"]


def recorded_teachers(record: dict) -> list[str]:
    """The games whose teacher's scores and decisions the record holds."""
    return [game for game in games(record) if f"{game}/price" in record["results"]]


def beside_the_teacher(record: dict) -> str:
    """Whether students with slopes play as well as their teacher, where there are fewest states; intervals over seeds."""
    share, sides = fewest(record), {"below": [], "around": [], "above": []}
    for game in recorded_teachers(record):
        teacher = mean(teachers_scores(record, game))
        scores = [mean(run["scores"]) for run in students(record, game, share, "sobolev")]
        if scores:
            side = interval([score - teacher for score in scores]).side()
            sides[side].append((TITLES[game], f"{number(mean(scores), ',.0f')} against {number(teacher, ',.0f')}"))
    said = [f"{text} on {listed([name for name, _ in found])} (mean score {listed([pair for _, pair in found])})"
            for text, found in (("told slopes, the student still plays worse than its teacher", sides["below"]),
                                ("it can't be told apart from its teacher", sides["around"]),
                                ("the student plays better than its teacher", sides["above"])) if found]
    return sentence("; ".join(said))


def played(record: dict) -> str:
    """Whether students with slopes score more where there are fewest states, game by game."""
    share, sides = fewest(record), {"above": [], "below": [], "around": []}
    for game in games(record):
        both = [mean(b["scores"]) - mean(a["scores"]) for a, b in pairs(record, game, share)]
        if both:
            sides[interval(both).side()].append(TITLES[game])
    said = [text.format(listed(names)) for text, names in (
        ("students with slopes score more on {}", sides["above"]), ("they score less on {}", sides["below"]),
        ("on {} the seeds differ too much to say who scores more", sides["around"])) if names]
    return sentence("; ".join(said))


def undecided(record: dict, game: str) -> float:
    """The share of states in which the teacher's entropy is above nine tenths of a uniform policy's."""
    facts = result(record, f"{game}/price")["teacher"]
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
    gains = {game: each.mean for game, each in found.items() if each and game in recorded_teachers(record)}
    if len(gains) < 2:
        return ""
    least = max(gains, key=lambda game: undecided(record, game))
    place = {min(gains.values()): "least", max(gains.values()): "most"}.get(gains[least], "neither most nor least")
    return (f"The teacher of {TITLES[least]} is undecided most often, in {percent(undecided(record, least))} of its states; there "
            f"slopes help {place}{'.' if place == 'least' else ', so this is not seen here.'}")


def sentence(told: str) -> str:
    """With a capital and a full stop; nothing stays nothing.

    >>> sentence("they score less on Pong"), sentence("")
    ('They score less on Pong.', '')
    """
    return f"{told[:1].upper()}{told[1:]}." if told else ""
