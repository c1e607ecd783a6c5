"""What a record of Table 1 answers, in sentences for a page: can parts learn from guessed gradients, and from which?"""
from statistics import mean, median
from typing import Sequence

from sobolev_lib.experiments import decoupled_parts
from sobolev_lib.experiments.table_1_verdict import NAMES, ORDER, accuracies, difference
from sobolev_lib.formats import listed, number, with_interval
from sobolev_lib.records import runs_of

WITH_A_CLASSIFIER = ("critic", "sobolev")                  # guesses whose module is a classifier with a loss
ELSEWHERE = 0.3                                            # a cosine below it: more than 70 degrees away
LITTLE, MUCH = 5, 20                                       # points between training and test images: overfitting
GUESSES = ORDER[1:]                                        # the methods that guess a gradient
ALONE = "backprop, one thread"                             # a way of ``decoupled-parts``
PAPER = {"backprop": (94.3, 0.0), "noprop": (54.5, 1.15), "direct": (79.2, 0.01), "vfbn": (88.5, 2.70),
         "critic": (93.2, 0.02), "sobolev": (93.5, 0.01)}  # Table 1, CIFAR-10: mean and standard deviation, in per cent


def points(record: dict, better: str, worse: str, targets: str = "true") -> list[float]:
    """Mean and 95 % interval of a difference, in percentage points."""
    return [100 * value for value in difference(record, better, worse, targets)]


def ranking(record: dict, targets: str = "true") -> list[str]:
    """The methods by mean test accuracy, best first.

    >>> ranking(record)[-1]                                                                    # doctest: +SKIP
    'noprop'
    """
    return sorted(NAMES, key=lambda method: -mean(accuracies(record, method, targets)))


def answer(record: dict, parts: dict, targets: str = "true") -> str:
    """Whether guesses teach the lower parts, how much, and how far from backprop they end: in one process, and in two.

    The best method isn't named: on the page the reader guesses it first.
    """
    above = {method: difference(record, method, "noprop", targets) for method in GUESSES}
    helped = [NAMES[method] for method, gap in above.items() if gap.side() == "above"]
    start = {len(GUESSES): "It can learn from a guess of its gradient.",
             0: "No kind of guess is clearly better than none."}.get(
        len(helped), f"{len(helped)} of {len(GUESSES)} kinds of guess are clearly better than none.")
    if len(record["seeds"]) < 2:
        start = "One seed cannot tell whether guesses teach anything."
    gaps = [100 * gap.mean for gap in above.values()]
    best = next(method for method in ranking(record, targets) if method in GUESSES)
    from_what = {"bootstrapped": "With guesses that only the parts above correct", "true": "With guesses corrected by the true "
                 "gradient"}[targets]
    return (f"**{start}** Against lower layers that never learn, four kinds of guess gain {number(min(gaps), '.1f')} to "
            f"{number(max(gaps), '.1f')} points on unseen images. {from_what}, the best method ends "
            f"{beside(-points(record, best, 'backprop', targets)[0], '.1f')} backpropagation in one process. In another run, of a "
            f"larger network with one cut, two processes that really do not wait end {beside(decoupled_parts.lost(parts, ALONE))}.")


def beside(short: float, spec: str = ".0f") -> str:
    """By how many points something lies below, or above where ``short`` is negative.

    >>> beside(11.8), beside(-1.24, ".1f")
    ('12 points below', '1.2 points above')
    """
    return f"{number(abs(short), spec)} points {'below' if short > 0 else 'above'}"


def gains(record: dict, targets: str = "true") -> str:
    """What guesses gain against none with one kind of target, and what each supervision adds."""
    found = [100 * difference(record, method, "noprop", targets).mean for method in GUESSES]
    return (f"With {targets} targets guesses gain {number(min(found), '.1f')} to {number(max(found), '.1f')} points against "
            f"none; {adds(record, targets)}")


def adds(record: dict, targets: str = "true") -> str:
    """What each supervision adds to the other: Sobolev against critic and against VFBN."""
    told = []
    for other, what in (("critic", "the gradient to the loss"), ("vfbn", "the loss to the gradient")):
        side = {"above": "helps", "below": "hurts", "around": "makes no clear difference"}[
            difference(record, "sobolev", other, targets).side()]
        told.append(f"adding {what} {side} ({with_interval(points(record, 'sobolev', other, targets), '+.1f')} points)")
    return f"{told[0]}, and {told[1]}."


def against_the_paper(record: dict, targets: str = "true") -> str:
    """Both orders, the paper's and ours."""
    theirs = sorted(PAPER, key=lambda method: -PAPER[method][0])
    ours = ranking(record, targets)
    said = "the same" if ours == theirs else "another"
    return (f"From best to worst the paper has {', '.join(NAMES[method] for method in theirs)}. Here the order of the means is "
            f"{said}{'' if ours == theirs else ': ' + ', '.join(NAMES[method] for method in ours)}.")


def overfitting(record: dict) -> str:
    """What backprop's accuracy is on the images it learned from, beside that on new ones."""
    own, new = (100 * mean(accuracies(record, "backprop", what=what)) for what in ("train_accuracy", "test_accuracy"))
    gap = own - new
    return (f"Backpropagation ends with {own:.0f}% of its training images right and {new:.0f}% of the test images. "
            + ("So part of what is measured is who overfits least." if gap > MUCH else
               "It overfits a little; that is part of what is measured." if gap > LITTLE else
               "It does not overfit, so methods are compared by what they learn."))


def cosine(record: dict, method: str, cut: int, targets: str = "true") -> float:
    """Of the guess with the true gradient at the end, a mean over seeds; cuts count from 0, the lowest."""
    return mean(run["diagnostics"]["cuts"][cut]["cosine"][-1] for run in runs_of(record, f"3/{method}/{targets}"))


def aim(record: dict, targets: str = "true") -> str:
    """How well each guess points at the lowest cut, and whether who aims better ends better; whether a classifier is needed."""
    found = {method: cosine(record, method, 0, targets) for method in GUESSES}
    right = {method: 100 * mean(accuracies(record, method, targets)) for method in GUESSES}
    told = listed([f"{number(value, '.2f')} for {NAMES[method]}" for method, value in found.items()])
    # pairs of which the one aims better and ends lower; the one with the largest difference in aim speaks for all
    against = [(found[a] - found[b], a, b) for a in GUESSES for b in GUESSES if found[a] > found[b] and right[a] < right[b]]
    if against:
        _, a, b = max(against)
        last = (f"Aim alone does not explain who ends where: {NAMES[a]} aims better than {NAMES[b]} and ends lower "
                f"({right[a]:.1f}% of the test images right against {right[b]:.1f}%).")
    else:
        last = "Among these four, who aims better ends better."
    gains = {method: difference(record, method, "noprop", targets) for method in GUESSES}
    teaching = [method for method in WITH_A_CLASSIFIER if found[method] < ELSEWHERE and gains[method].side() == "above"]
    if teaching:
        method = min(teaching, key=found.__getitem__)
        last += (f" So a slope that points elsewhere can teach: {NAMES[method]} has a cosine of {number(found[method], '.2f')} and "
                 f"gains {number(100 * gains[method].mean, '.1f')} points against no guess.")
    if gains["direct"].side() == "above":
        last += (f" Nor does the classifier explain it all: direct has none, its cosine is {number(found['direct'], '.2f')}, and "
                 f"it still gains {number(100 * gains['direct'].mean, '.1f')} points against no guess.")
    none = 100 * mean(accuracies(record, "noprop", targets))
    for method, gain in gains.items():
        if gain.side() == "below":
            last += (f" And {NAMES[method]} ends below no guess, with {right[method]:.1f}% against {none:.1f}%. Why, this record does "
                     "not say.")
    return f"At the lowest cut the cosine with the true gradient ends at {told}. {last}"


def asymmetries(record: dict) -> str:
    """How far the trained fields are from gradients, means over seeds and cuts."""
    def of(method):
        return mean(value for run in runs_of(record, f"3/{method}/true") for value in run["asymmetry"])

    others = max(of(method) for method in ("vfbn", "critic", "sobolev"))
    return (f"{of('direct'):.2f} for direct modules, and at most {number(others, '.0e')} for the others"
            f"{', which is rounding' if others < 1e-5 else ''}")


def chosen(record: dict, method: str, targets: str = "true") -> str:
    """Where a guess stands among the four, and which of them stands first."""
    order = [other for other in ranking(record, targets) if other in GUESSES]
    right = {other: f"{100 * mean(accuracies(record, other, targets)):.1f}%" for other in order}
    name = {other: NAMES[other][:1].upper() + NAMES[other][1:] for other in order}
    first = f"{name[order[0]]} has most images right, {right[order[0]]}."
    if method == order[0]:
        return first
    place = ("first", "second", "third", "last")[order.index(method)]
    return f"{name[method]} has {right[method]} right and comes {place}. {first}"


def scales(shown: Sequence[float], ours: Sequence[float]) -> str:
    """A warning for two pictures with different axes, in per cent: the paper's and ours."""
    return ("Mind the axes: the paper's runs from {:.0f} to {:.0f}%, ours from {:.0f} to {:.0f}%.".format(*shown, *ours))


def decoupled(record: dict) -> str:
    """From a record of ``decoupled-parts``: two processes beside a pipeline of two, two threads, one thread; does it pay?"""
    threads, pipeline = decoupled_parts.RIVALS
    ratios = decoupled_parts.speeds(record, pipeline)
    right = {way: decoupled_parts.right(record, way) for way in (decoupled_parts.OURS, pipeline)}
    fewer = decoupled_parts.lost(record, pipeline)
    shared = median(decoupled_parts.speeds(record, threads))
    pays = min(ratios) > 1 and fewer <= 1
    return (f"Against a pipeline of the same two processes with true gradients, the decoupled ones are {min(ratios):.2f} to "
            f"{max(ratios):.2f} times as fast. After as many steps they have {right[decoupled_parts.OURS]:.0f}% of the test "
            f"images right, the pipeline {right[pipeline]:.0f}%: they end {beside(fewer)}. "
            f"{'So here it pays.' if pays else 'So here it does not pay.'} Where both threads share one machine, plain "
            f"backpropagation on two threads is {'faster' if shared < 1 else 'slower'} still: the decoupled parts are "
            f"{shared:.2f} times as fast as that, and {median(decoupled_parts.speeds(record, ALONE)):.2f} times as fast as one "
            "thread.")


def saturated(noprop: float, backprop: float) -> str:
    """What a data set can show, from the accuracies with random lower layers and with all layers trained.

    >>> saturated(0.94, 0.98)[:43]
    'With random lower layers 94% are recognised'
    """
    room = 100 * (backprop - noprop)
    return (f"With random lower layers {noprop:.0%} are recognised, by backpropagation {backprop:.0%}: "
            + (f"only {room:.0f} points lie between learning nothing below and learning all. Digits are saturated. Read the "
               "cosines here, and leave the accuracies to the record." if room < 15 else
               f"{room:.0f} points lie between learning nothing below and learning all."))


def in_short(record: dict, parts: dict) -> str:
    """The chapter summed up in a few sentences."""
    first, *_, last = (method for method in ranking(record) if method in GUESSES)
    order = ("The paper's best method, Sobolev, came first here, too" if first == "sobolev" else
             f"The paper's order did not hold: {NAMES[first]} came first")
    if difference(record, last, "noprop").side() == "below":
        order += f", and {NAMES[last]} ended below no guess at all"
    return ("A part of a network that guesses its gradient need not wait for the true one. The guess is the slope of a guessed "
            f"loss, so it is a gradient of something. Correcting the gradient beside the loss {listed(both_kinds(record))}. {order}. "
            f"In another run, two processes that really do not wait end {beside(decoupled_parts.lost(parts, ALONE))} backpropagation.")


def both_kinds(record: dict) -> list[str]:
    """What the gradient adds to the loss, with each kind of target: "cost 0.9 points with true targets (3 seeds)"."""
    told = []
    for targets in record["config"]["targets"]:
        found = difference(record, "sobolev", "critic", targets)
        worth = f"{number(100 * abs(found.mean), '.1f')} points"
        told.append({"above": f"gained {worth}", "below": f"cost {worth}", "around": "made no clear difference"}[found.side()]
                    + f" with {targets} {'targets' if not told else 'ones'}" + ("" if told else f" ({len(record['seeds'])} seeds)"))
    return told
