"""The chapter on black boxes: sentences that follow the records, and an exercise that takes right answers only."""
import copy

import numpy as np
import pytest
import torch
from cells import cell, defined

import sobolev_lib as sl
from sobolev_lib.experiments import black_box_peers
from sobolev_lib.experiments.black_box_peers import DIFFERENCES, VALUES
from sobolev_lib.records import load_record

PAGE = "black_boxes"


def functions_of(name, **known):
    """What is known after the imports and the functions of a cell, which is not run."""
    return defined(PAGE, [name], {"sl": sl, **known})


@pytest.fixture(scope="module")
def lorenz():
    return load_record("learned-simulator")


@pytest.fixture(scope="module")
def worth():
    return load_record("gradient-worth")


@pytest.mark.parametrize("factor, said", [(2, "worth their calls. "), (1, "can't tell"), (0.5, "not worth their calls")])
def test_the_answer_follows_the_rollouts(lorenz, factor, said):
    record, calls = copy.deepcopy(lorenz), lorenz["config"]["shown_calls"]
    alone = record["results"][f"{calls}/values"]["valid_time"]
    record["results"][f"{calls}/all differences"]["valid_time"] = [
        factor * time * (1 + 0.1 * (-1) ** k) for k, time in enumerate(alone)]
    known = functions_of("black-boxes-rollout", CALLS=calls, config=lorenz["config"])
    text = known["simulator_said"](record)
    assert said in text and ("were worth" in text) == (factor == 2) and f"geometric mean of {len(alone)} seeds" in text


def test_what_an_adjoint_would_pay_follows_the_record(worth):
    inputs, levels = worth["config"]["inputs"], worth["config"]["noises"]
    known = functions_of("black-boxes-worth", inputs=inputs, noise_levels=levels)
    flipped = copy.deepcopy(worth)
    for each in flipped["results"].values():
        each["all differences"]["test_mse"] = [float(each["values"]["13"]["test_mse"][0] / 10)] * len(worth["seeds"])
    text = known["worth_said"](flipped["results"])
    assert f"three exact calls in all, it clearly pays (with its whole interval) at d = {', '.join(map(str, inputs))}; if five, at d = 1, 2" in text
    assert "slopes never hurt" in text
    for each in flipped["results"].values():
        each["all differences"]["test_mse"] = [10.0 * max(each["values"]["1"]["test_mse"])] * len(worth["seeds"])
    text = known["worth_said"](flipped["results"])
    assert "it clearly pays (with its whole interval) nowhere here; if five, nowhere here." in text
    assert "Slopes can hurt, too: at d = 1 with noise of 0 %" in text


@pytest.mark.parametrize("factor, said", [(1.1, "hardly help any more in these trainings"), (2.5, "More values still help there")])
def test_what_more_values_bring_follows_the_record(lorenz, factor, said):
    few, many = lorenz["config"]["calls"][-2:]
    record = copy.deepcopy(lorenz)
    alone = record["results"][f"{few}/values"]["valid_time"]
    record["results"][f"{many}/values"]["valid_time"] = [factor * time for time in alone]
    text = functions_of("black-boxes-simulator", config=lorenz["config"])["more_values_said"](record)
    assert said in text and f"{factor:.2f} times as long" in text
    assert (", and slopes do." in text) == (factor == 1.1) and (", and slopes don't." in text) == (factor == 2.5)


@pytest.fixture(scope="module")
def peers():
    return load_record("black-box-peers")


def biased(record, factor, longer=1.0):
    """The record, with the process' errors from differences this many times those from values, and such times."""
    changed = copy.deepcopy(record)
    for box in black_box_peers.boxes(record["config"]):
        alone, told = (changed["results"][f"{box}/{method}"]["runs"] for method in (VALUES, DIFFERENCES))
        for one, other in zip(alone, told):
            other["error"] = factor * one["error"]
            if "valid_time" in one:
                other["valid_time"] = longer * one["valid_time"]
    return changed


def test_the_summary_counts_what_the_records_hold(lorenz, worth, peers):
    known = functions_of("black-boxes-short", config=lorenz["config"])
    flipped = copy.deepcopy(lorenz)
    for calls in lorenz["config"]["calls"]:
        flipped["results"][f"{calls}/all differences"]["valid_time"] = [
            0.5 * time for time in flipped["results"][f"{calls}/values"]["valid_time"]]
    assert "network of a simulator whole gradients paid at 0 of 3" in known["short_said"](flipped, worth, peers)
    assert f"of {len(worth['results'])} cells" in known["short_said"](lorenz, worth, peers)
    boxes = len(black_box_peers.boxes(peers["config"]))
    for factor, by_values, by_differences in ((3.0, boxes, 0), (0.3, 0, boxes)):
        text = known["short_said"](lorenz, worth, biased(peers, factor))
        assert f"by values in {by_values} of {boxes} cases, the simulator's among them, by differences in {by_differences}." in text


@pytest.mark.parametrize("process, networks, said", [
    (3.0, 3.0, "So mostly it is not the network"), (0.3, 0.3, "Both make more of gradients"), (3.0, 0.3, "depends on the method"),
    (0.3, 3.0, "depends on the method")])
def test_whether_it_is_the_network_follows_the_records(worth, peers, process, networks, said):
    changed = copy.deepcopy(worth)
    for unit, each in changed["results"].items():
        alone = each["values"][str(int(unit.split("/")[0]) + 1)]["test_mse"]
        each["all differences"]["test_mse"] = [networks * error for error in alone]
    known = functions_of("black-boxes-peers")
    text = known["peers_said"](known["waves_ratios"](biased(peers, process), changed))
    total = len(worth["results"])
    counts = [f"by values in {total * (each > 1)} of {total} cells and by differences in {total * (each < 1)}"
              for each in (process, networks)]
    assert said in text and f"the process errs clearly less {counts[0]}; the networks {counts[1]}." in text
    assert ("The two part ways at d = 1 with exact calls and" in text) == (process != networks)


def test_the_shares_of_all_methods_are_the_records_and_the_least_is_named(worth, peers):
    known = functions_of("black-boxes-peers")
    changed = biased(peers, 4.0)
    found = known["shares"](changed, worth)
    for d in worth["config"]["inputs"]:
        mine = worth["results"][f"{d}/0"]
        assert found[DIFFERENCES][d] == pytest.approx(2 * found[VALUES][d])
        mean = np.exp(np.mean(np.log(np.array(mine["values"][str(d + 1)]["test_mse"]) / mine["variance"])))
        assert found["our networks, values"][d] == pytest.approx(100 * mean ** 0.5)
    made = {"one": {1: 2.0, 2: 1.0, 3: 1.0}, "other": {1: 1.0, 2: 2.0, 3: 3.0}}
    assert known["nearest_said"](made) == "Least: other at d = 1; one at d = 2, 3"


@pytest.mark.parametrize("longer, last, said", [
    (0.5, 50.0, "not well spent. So slopes help"), (1.0, 50.0, "no clear difference. So slopes help"), (2.0, 50.0, "gains by differences."),
    (0.5, 0.5, "not well spent.")])
def test_how_long_the_process_lasts_follows_the_records(lorenz, peers, longer, last, said):
    changed, calls = biased(peers, 1.0, longer), max(peers["config"]["lorenz"]["calls"])
    for method, factor in ((VALUES, 1.0), (DIFFERENCES, longer)):
        for k, run in enumerate(changed["results"][f"lorenz/{calls}/{method}"]["runs"]):
            run["valid_time"] = last * factor + 0.01 * (-1) ** (k + (method == VALUES))
    known = functions_of("black-boxes-simulator", config=lorenz["config"])
    text = known["process_said"](changed, lorenz)
    assert f"From {calls:,} calls a Gaussian process lasts {last:.1f} time units by values and {last * longer:.1f}" in text
    assert said in text and ("So slopes help" in text) == ("So slopes" in said)
    assert "`MLPRegressor` by values lasts 3.2 and JENN by differences 1.9." in text
    assert known["peer_times"](changed, VALUES, 10 ** 6) == []


def spread(record, directions, one_input=1.0):
    """The record, with errors of random directions this many times those of gradients, and of one input's differences."""
    changed = copy.deepcopy(record)
    for each in changed["results"].values():
        each["random direction, as many calls"] = {"test_mse": [directions * e for e in each["all differences"]["test_mse"]]}
        each["random direction"] = {"test_mse": [one_input * e for e in each["one difference"]["test_mse"]]}
    return changed


def test_what_random_directions_bring_follows_the_record(worth):
    say = functions_of("black-boxes-directions")["directions_said"]
    total = 2 * (len(worth["config"]["inputs"]) - 1)
    told = say(spread(worth, 0.5))
    assert "random directions come out ahead**" in told and f"better in {total} of {total} cells, whole gradients in 0." in told
    assert f"not clearly different in 0 of {total} cells" not in told
    assert "in 2 of 2 cells the interval excludes one, at a ratio of 0.5" in told
    told = say(spread(worth, 2.0, one_input=0.5))
    assert "whole gradients come out ahead**" in told and f"better in 0 of {total} cells, whole gradients in {total}." in told
    assert f"not clearly different in 0 of {total} cells" in told
    told = say(spread(worth, 1.0))
    assert "neither comes out ahead**" in told and "no interval there excludes one" in told
    poor = spread(worth, 1.0)
    for each in poor["results"].values():
        each["random direction, as many calls"] = {"test_mse": [1e3] * len(worth["seeds"])}
    assert f"clearly beat the random directions in {total} of {total}, and clearly lose to them in 0." in say(poor)


@pytest.mark.parametrize("factor, counts", [(0.5, "clearly better than they in 10 of 10 cells, clearly worse in 0"),
                                            (2.0, "clearly better than they in 0 of 10 cells, clearly worse in 10")])
def test_the_summary_counts_random_directions(lorenz, worth, peers, factor, counts):
    assert counts in functions_of("black-boxes-short", config=lorenz["config"])["short_said"](lorenz, spread(worth, factor), peers)


# --- the exercise -----------------------------------------------------------------------------------------------

RIGHT = """
def one_difference(call, x, step):
    rows = torch.arange(len(x))
    columns = rows % x.shape[1]
    moved = x.clone()
    moved[rows, columns] += step
    values = call(x)
    jacobian = torch.full(x.shape, torch.nan, dtype=x.dtype)
    jacobian[rows, columns] = (call(moved) - values) / step
    return values, jacobian
"""


def answered(change, capsys):
    source = cell(PAGE, "black-boxes-exercise").replace(
        "def one_difference(call, x, step):\n    return None  # your answer: values (N,), Jacobian (N, d)\n", change)
    known = {}
    exec(cell(PAGE, "black-boxes-setup"), known)
    exec(source, known | {"sl": sl, "torch": torch})
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize("change, said", [
    (RIGHT, "right"), (RIGHT.replace("return values, jacobian", "return [values.tolist(), jacobian.numpy()]"), "right"),
    (RIGHT.replace("torch.nan", "0.0"), "entries that were not asked for must be NaN"),
    (RIGHT.replace("/ step", ""), "a difference is wrong: which input moves, and by how much?"),
    (RIGHT.replace("values = call(x)", "values = call(x + 1)"), "the values differ from call(x)"),
    (RIGHT.replace("return values, jacobian", "return values"), "expected values and a Jacobian"),
    (RIGHT.replace("values, jacobian", "values, jacobian.T"), "the Jacobian has shape (2, 5), expected (5, 2)"),
    (RIGHT.replace("    values = call(x)", "    call(x); call(x)\n    values = call(x)"), "right, but with 20 calls; 10 will do")])
def test_the_exercise_takes_right_answers_and_names_what_is_wrong(change, said, capsys):
    assert answered(change, capsys).startswith(said)


def test_the_exercise_waits_for_an_answer(capsys):
    exec(cell(PAGE, "black-boxes-setup") + "\nimport sobolev_lib as sl\n" + cell(PAGE, "black-boxes-exercise"), {})
    assert capsys.readouterr().out.strip() == "not yet"
