"""What the record of ``gradient-worth`` says of random directions: one call a point against d calls for a whole gradient.

Compared are test errors at equally many calls: whole gradients at ``points``, a slope along a random direction at
(d + 1) / 2 times as many, values alone at d + 1 times as many. And at equally many points, where both cost two calls, a
random direction against a difference of one input in turn.
"""
from sobolev_lib.experiments.black_box import RANDOM, WAYS
from sobolev_lib.experiments.gradient_worth import (
    AS_MANY_CALLS,
    LEAST_SEEDS,
    Worth,
    middle,
    named,
    scale,
    values_for_as_many_calls,
)
from sobolev_lib.experiments.verdicts import Verdict
from sobolev_lib.formats import listed
from sobolev_lib.records import MissingResults, result


def against_gradients(cell: dict) -> Worth:
    """Test error from random directions over that from whole gradients, at as many calls, seed by seed."""
    return _over(cell[AS_MANY_CALLS], cell[WAYS[2]])


def against_values(cell: dict, inputs: int) -> Worth:
    """Test error from random directions over that from values alone, at as many calls."""
    return _over(cell[AS_MANY_CALLS], values_for_as_many_calls(cell, inputs))


def against_one_input(cell: dict) -> Worth:
    """Test error from random directions over that from one difference, at as many points and calls."""
    return _over(cell[RANDOM], cell[WAYS[1]])


def side(found: Worth) -> str:
    """Is an error clearly smaller than another, "below", larger, "above", or neither, "around"?

    >>> side(Worth(0.5, 0.4, 0.6)), side(Worth(0.5, 0.4, 1.2))
    ('below', 'around')
    """
    return "below" if found.high < 1 else "above" if found.low > 1 else "around"


def _over(one: dict, other: dict) -> Worth:
    return middle([a / b for a, b in zip(one["test_mse"], other["test_mse"])])


RULE = ("The ratio of test errors at as many calls, random directions over whole gradients, seed by seed: its median and 95 % "
        "interval. A cell is a number of inputs, two or more, and a noise. Confirmed if in every cell the interval lies below "
        "1. Confirmed in direction if it does in more than half and lies above 1 in none. Contradicted if it lies above 1 in "
        "more than half and below 1 in none. Open otherwise, and with fewer than six seeds.")


def cells(record: dict) -> dict[str, dict]:
    """The record's cells of two and more inputs; with one, all directions are the same."""
    config = record["config"]
    found = {unit: result(record, unit) for unit in named([d for d in config["inputs"] if d > 1], config["noises"])}
    if not found:
        raise MissingResults("record: expected numbers of inputs above one, and noises, got none")
    return found


def verdict(record: dict) -> Verdict:
    """By ``RULE``."""
    ratios = {unit: against_gradients(cell) for unit, cell in cells(record).items()}
    sides = [side(found) for found in ratios.values()]
    better, worse = sides.count("below"), sides.count("above")
    if len(record["seeds"]) < LEAST_SEEDS:
        status = "open"
    elif better == len(sides):
        status = "confirmed"
    elif 2 * better > len(sides) and not worse:
        status = "confirmed in direction"
    else:
        status = "contradicted" if 2 * worse > len(sides) and not better else "open"
    told = []
    for noise in record["config"]["noises"]:
        medians = [found.median for unit, found in ratios.items() if unit.endswith(f"/{noise:g}")]
        told.append(f"{min(medians):.2g} to {max(medians):.2g} with "
                    + (f"noise of {100 * noise:g} %" if noise else "exact calls"))
    return Verdict(
        claim="Finite differences could stand in for true derivatives (section 5, in one sentence). Asked here: is one call "
              "along a random direction a better bargain than d calls for a whole gradient?",
        measured=f"At as many calls random directions are clearly better in {better} of {len(sides)} cells, whole gradients in "
                 f"{worse}. Squared error with random directions over that with gradients: {listed(told)}.",
        scale=scale(record), status=status, rule=RULE)
