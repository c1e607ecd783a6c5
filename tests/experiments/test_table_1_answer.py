"""The answer of the chapter on synthetic gradients follows from the record: another outcome, another sentence."""
import copy
from statistics import mean

import pytest

from sobolev_lib import records
from sobolev_lib.experiments import table_1_answer

# mean test accuracies; critic aims worse than Sobolev and ends higher, direct aims nowhere and helps
RIGHT = {"true": {"direct": 0.56, "vfbn": 0.66, "critic": 0.68, "sobolev": 0.67},
         "bootstrapped": {"direct": 0.52, "vfbn": 0.6, "critic": 0.62, "sobolev": 0.62}}
COSINE = {"direct": 0.01, "vfbn": 0.3, "critic": 0.15, "sobolev": 0.35}
SEEDS = {"critic": (0, 0.004, -0.004)}                     # what each seed adds to the mean


def unit(method, right, targets="true"):
    cuts = [{"cosine": [0.0, COSINE.get(method, 1.0)]} for _ in range(3)]
    more = SEEDS.get(method, (0.002, -0.002, 0))
    return {"method": method, "targets": targets,
            "runs": [{"seed": seed, "test_accuracy": right + more[seed], "train_accuracy": right + 0.01,
                      "asymmetry": [0.5] * 3 if method == "direct" else [1e-8] * 3, "diagnostics": {"cuts": copy.deepcopy(cuts)}}
                     for seed in range(3)]}


@pytest.fixture
def record():
    """One of ours that nobody has measured: it shall not matter to these tests what the next run gives."""
    guesses = {f"3/{method}/{targets}": unit(method, right, targets) for targets, found in RIGHT.items()
               for method, right in found.items()}
    return {"experiment": "synthetic-gradients-cifar10", "preset": "cpu", "config": {"targets": list(RIGHT)}, "seeds": [0, 1, 2],
            "results": {"backprop": unit("backprop", 0.75), "3/noprop": unit("noprop", 0.5), **guesses,
                        "cost": {"images_per_second": {"backprop": 1.0}}}}


@pytest.fixture
def parts():
    return records.load_record("decoupled-parts")


def test_the_recorded_answer_is_whole(parts):
    recorded = records.load_record("synthetic-gradients-cifar10")
    for targets in recorded["config"]["targets"]:
        for said in (table_1_answer.answer(recorded, parts, targets), table_1_answer.gains(recorded, targets),
                     table_1_answer.aim(recorded, targets)):
            assert "nan" not in said and said.endswith(".")
    assert table_1_answer.overfitting(recorded) and table_1_answer.in_short(recorded, parts)


def with_accuracy(record, unit, values, what="test_accuracy"):
    other = copy.deepcopy(record)
    for run, value in zip(other["results"][unit]["runs"], values):
        run[what] = value
    return other


def shifted(record, unit, by, of="3/critic/true"):
    """Accuracies of a unit a fixed way from those of another, on every seed."""
    values = [run["test_accuracy"] + by + 1e-4 * k for k, run in enumerate(record["results"][of]["runs"])]
    return with_accuracy(record, unit, values)


def test_yes_no_and_in_part(record, parts):
    low = [run["test_accuracy"] - 0.05 for run in record["results"]["3/noprop"]["runs"]]
    none = record
    for method in table_1_answer.GUESSES:
        none = with_accuracy(none, f"3/{method}/true", low)
    assert table_1_answer.answer(record, parts).startswith("**It can learn from a guess of its gradient.")
    assert table_1_answer.answer(none, parts).startswith("**No kind of guess is clearly better than none.")
    some = with_accuracy(record, "3/direct/true", low)
    assert table_1_answer.answer(some, parts).startswith("**3 of 4 kinds of guess are clearly better than none.")


def with_parts(parts, way, accuracy):
    other = copy.deepcopy(parts)
    other["results"][f"accuracy/{way}"]["test_accuracy"] = [accuracy] * len(parts["seeds"])
    return other


def test_the_answer_tells_one_process_from_two_and_names_no_best(record, parts):
    said = table_1_answer.answer(record, parts, "bootstrapped")
    assert "in one process. In another run, of a larger network with one cut, two processes that really do not wait end 12 points below." in said
    assert not any(name in said for name in ("VFBN", "critic", "Sobolev", "direct"))
    other = with_parts(parts, "sobolev, two processes", 0.99)
    assert "that really do not wait end 30 points above." in table_1_answer.answer(record, other)


@pytest.mark.parametrize("by, said", [(0.03, "helps (+3.0"), (-0.03, "hurts (−3.0")])
def test_what_the_gradient_adds_turns(record, by, said):
    other = shifted(record, "3/sobolev/true", by)
    assert f"adding the gradient to the loss {said}" in table_1_answer.adds(other)


def test_what_cannot_be_told_is_said_to_be_so(record):
    own = [run["test_accuracy"] for run in record["results"]["3/critic/true"]["runs"]]
    other = with_accuracy(record, "3/sobolev/true", [own[0] + 0.02, own[1] - 0.02, *own[2:]])
    assert "adding the gradient to the loss makes no clear difference" in table_1_answer.adds(other)
    assert "made no clear difference with true targets (3 seeds)" in table_1_answer.in_short(
        other, records.load_record("decoupled-parts"))


@pytest.mark.parametrize("by, said", [(0.03, "gained 3.0 points with true targets"), (-0.03, "cost 3.0 points with true targets")])
def test_the_summary_tells_each_kind_of_target(record, parts, by, said):
    told = table_1_answer.in_short(shifted(record, "3/sobolev/true", by), parts)
    assert said in told and "made no clear difference with bootstrapped ones" in told
    turned = shifted(record, "3/sobolev/bootstrapped", by, of="3/critic/bootstrapped")
    assert "made no clear difference with bootstrapped ones" not in table_1_answer.in_short(turned, parts)


def test_the_best_guess_may_lie_below_or_above_backprop(record, parts):
    high = [0.99 + 1e-4 * k for k in range(len(record["seeds"]))]
    assert "points below backpropagation" in table_1_answer.answer(with_accuracy(record, "backprop", high), parts)
    assert "points above backpropagation" in table_1_answer.answer(with_accuracy(record, "3/vfbn/true", high), parts)


def test_a_choice_is_told_where_it_stands(record):
    first, *_, last = [method for method in table_1_answer.ranking(record) if method in table_1_answer.GUESSES]
    assert table_1_answer.chosen(record, first).lower().startswith(f"{table_1_answer.NAMES[first]} has most images right".lower())
    assert "comes last" in table_1_answer.chosen(record, last)
    other = with_accuracy(record, f"3/{last}/true", [0.99] * len(record["seeds"]))
    assert table_1_answer.chosen(other, last).lower() == f"{table_1_answer.NAMES[last]} has most images right, 99.0%.".lower()
    assert "comes second" in table_1_answer.chosen(other, first)


def test_the_order_is_the_records(record):
    assert table_1_answer.ranking(record) == sorted(
        table_1_answer.NAMES, key=lambda method: -mean(table_1_answer.accuracies(record, method)))
    other = record
    for place, method in enumerate(sorted(table_1_answer.PAPER, key=lambda name: table_1_answer.PAPER[name][0])):
        unit = {"backprop": "backprop", "noprop": "3/noprop"}.get(method, f"3/{method}/true")
        other = with_accuracy(other, unit, [0.5 + 0.05 * place] * len(record["seeds"]))
    assert "the order of the means is the same." in table_1_answer.against_the_paper(other)


def test_overfitting_is_told_by_the_gap(record):
    high, low = ([value] * len(record["seeds"]) for value in (0.99, 0.55))
    assert "who overfits least" in table_1_answer.overfitting(with_accuracy(record, "backprop", high, "train_accuracy"))
    assert "It does not overfit" in table_1_answer.overfitting(with_accuracy(record, "backprop", low, "train_accuracy"))
    some = [run["test_accuracy"] + 0.12 for run in record["results"]["backprop"]["runs"]]
    assert "overfits a little" in table_1_answer.overfitting(with_accuracy(record, "backprop", some, "train_accuracy"))


def test_seeds_are_compared_one_by_one_whatever_their_order(record):
    other = copy.deepcopy(record)
    other["results"]["3/sobolev/true"]["runs"].reverse()
    assert table_1_answer.difference(other, "sobolev", "critic") == table_1_answer.difference(record, "sobolev", "critic")
    del other["results"]["3/critic/true"]["runs"][0]
    without = copy.deepcopy(record)
    for unit in ("3/sobolev/true", "3/critic/true"):
        del without["results"][unit]["runs"][0]
    assert table_1_answer.difference(other, "sobolev", "critic") == table_1_answer.difference(without, "sobolev", "critic")


def test_one_seed_cannot_tell(record, parts):
    one = copy.deepcopy(record)
    one["seeds"] = [0]
    for each in one["results"].values():
        if "runs" in each:                                 # not what a step costs
            del each["runs"][1:]
    assert table_1_answer.answer(one, parts).startswith("**One seed cannot tell whether guesses teach anything.**")


def test_who_aims_better_need_not_end_better(record):
    said = table_1_answer.aim(record)
    assert "Sobolev aims better than critic and ends lower" in said and "Nor does the classifier explain it all" in said
    other = copy.deepcopy(record)
    order = [method for method in table_1_answer.ranking(record) if method in table_1_answer.GUESSES]
    for place, method in enumerate(order):
        for run in other["results"][f"3/{method}/true"]["runs"]:
            run["diagnostics"]["cuts"][0]["cosine"][-1] = 0.9 - 0.1 * place
    assert "Among these four, who aims better ends better." in table_1_answer.aim(other)
    none = with_accuracy(record, "3/direct/true", [run["test_accuracy"] for run in record["results"]["3/noprop"]["runs"]])
    assert "classifier" not in table_1_answer.aim(none)


def test_a_slope_that_points_elsewhere_may_teach_and_a_guess_may_be_worse_than_none(record, parts):
    other = copy.deepcopy(record)
    for run in other["results"]["3/critic/true"]["runs"]:
        run["diagnostics"]["cuts"][0]["cosine"][-1] = 0.1
    gain = 100 * table_1_answer.difference(record, "critic", "noprop").mean
    assert f"So a slope that points elsewhere can teach: critic has a cosine of 0.10 and gains {gain:.1f} points" in table_1_answer.aim(other)
    assert "below no guess" not in table_1_answer.aim(record) + table_1_answer.in_short(record, parts)
    low = with_accuracy(record, "3/direct/true", [run["test_accuracy"] - 0.1 for run in record["results"]["3/noprop"]["runs"]])
    assert "And direct ends below no guess, with " in table_1_answer.aim(low)
    assert "and direct ended below no guess at all." in table_1_answer.in_short(low, parts)


def test_the_sum_says_whether_the_papers_order_held(record, parts):
    best = with_accuracy(record, "3/sobolev/true", [0.99] * 3)
    assert "The paper's best method, Sobolev, came first here, too" in table_1_answer.in_short(best, parts)
    other = with_accuracy(record, "3/vfbn/true", [0.99] * 3)
    assert "The paper's order did not hold: VFBN came first" in table_1_answer.in_short(other, parts)


def test_asymmetries_are_the_records(record):
    values = [value for run in record["results"]["3/direct/true"]["runs"] for value in run["asymmetry"]]
    assert table_1_answer.asymmetries(record).startswith(f"{mean(values):.2f} for direct modules")


def test_speed_and_its_price_turn(parts):
    said = table_1_answer.decoupled(parts)
    rates = parts["results"]["speed"]
    quotients = [a / b for a, b in zip(rates["sobolev, two processes"]["images_per_second"],
                                       rates["backprop, pipeline of two processes"]["images_per_second"])]
    assert f"the decoupled ones are {min(quotients):.2f} to {max(quotients):.2f} times as fast" in said
    assert "they end 11 points below. So here it does not pay." in said and "on two threads is faster still" in said
    other = with_parts(parts, "sobolev, two processes", 0.99)
    fast = other["results"]["speed"]["backprop, two threads"]
    fast["images_per_second"] = [0.1 * rate for rate in fast["images_per_second"]]
    turned = table_1_answer.decoupled(other)
    assert "slower still" in turned and "points above. So here it pays." in turned


def test_unlike_axes_are_named():
    assert table_1_answer.scales((50, 100), (41.9, 54.4)) == (
        "Mind the axes: the paper's runs from 50 to 100%, ours from 42 to 54%.")


def test_a_saturated_set_is_named_so():
    assert "Digits are saturated" in table_1_answer.saturated(0.94, 0.98)
    assert "saturated" not in table_1_answer.saturated(0.4, 0.9)


def test_gains_name_their_targets(record):
    for targets in record["config"]["targets"]:
        said = table_1_answer.gains(record, targets)
        assert said.startswith(f"With {targets} targets guesses gain") and table_1_answer.adds(record, targets) in said
