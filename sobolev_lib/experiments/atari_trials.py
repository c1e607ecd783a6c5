"""What a record of ``atari-distillation`` says of the trials: learning rates, and the weight of the slopes."""
from sobolev_lib.experiments.atari_numbers import TITLES, counted, games
from sobolev_lib.formats import listed, number
from sobolev_lib.records import MissingResults

NO_TRIALS = "No weights have been tried."


def trials(record: dict, game: str, method: str) -> list[dict]:
    """The tuning runs of a method; they are the same for all shares of a game."""
    found = next((found["tuned"][method]["trials"] for cell, found in record["results"].items()
                  if cell.startswith(f"{game}/") and method in found.get("tuned", ())), None)
    if not found:
        raise MissingResults(f"record: expected trials of {method!r} on {game}, got none")
    return found


def tuned(record: dict) -> list[str]:
    """The games of which the record holds trials."""
    return [game for game in games(record)
            if any(cell.startswith(f"{game}/") and "tuned" in found for cell, found in record["results"].items())]


def best_by_weight(record: dict, game: str) -> dict[float, float]:
    """The lowest validation KL with each weight alpha that was tried, over the learning rates."""
    found: dict[float, list[float]] = {}
    for trial in trials(record, game, "sobolev"):
        found.setdefault(trial["strength"], []).append(trial["validation_kl"])
    return {alpha: min(found[alpha]) for alpha in sorted(found)}


def smallest_weight(record: dict) -> str:
    """In how many games the smallest weight that was tried won, and what follows."""
    found = {game: best_by_weight(record, game) for game in tuned(record)}
    if not found:
        return NO_TRIALS
    won = sum(min(each, key=each.__getitem__) == min(each) for each in found.values())
    return (f"The smallest weight that was tried did best in {counted(won, len(found))}"
            f"{', so a smaller one may do better still' if won else ''}.")


def largest_weight(record: dict) -> str:
    """What the largest weight does beside the best one, and beside none."""
    told, worse = [], []
    for game in tuned(record):
        each = best_by_weight(record, game)
        told.append(f"{number(each[max(each)] / min(each.values()), '.1f')} times{'' if told else ' as large'} on {TITLES[game]}")
        if each[max(each)] > min(trial["validation_kl"] for trial in trials(record, game, "kl")):
            worse.append(TITLES[game])
    if not told:
        return NO_TRIALS
    than_none = f"worse than without slopes on {listed(worse)}" if worse else "in no game worse than without slopes"
    return (f"In the trials the divergence with the largest weight, α = {max(record['config']['alphas']):g}, ends {listed(told)}, "
            f"compared with the best weight; {than_none}.")
