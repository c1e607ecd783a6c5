"""The chapter on black boxes: sentences that follow the records, and an exercise that takes right answers only."""
import copy

import numpy as np
import pytest
import torch
from cells import cell, defined
from scipy.stats import t

import sobolev_lib as sl
from sobolev_lib.experiments import black_box_peers
from sobolev_lib.experiments.black_box_peers import DIFFERENCES, DIRECTIONS, OURS, VALUES
from sobolev_lib.formats import listed
from sobolev_lib.records import load_record

PAGE = "black_boxes"


def functions_of(name, constants=(), **known):
    """What is known after the imports and the functions of a cell, which is not run, and its constants of these names."""
    return defined(PAGE, [name], {"sl": sl, **known}, constants)


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
    assert functions_of("black-boxes-hurt")["lost_said"](flipped).endswith(
        f"clearly lose to values in 0 of {len(inputs) * len(levels)} cells.")
    for each in flipped["results"].values():
        each["all differences"]["test_mse"] = [10.0 * max(each["values"]["1"]["test_mse"])] * len(worth["seeds"])
    text = known["worth_said"](flipped["results"])
    assert "it clearly pays (with its whole interval) nowhere here; if five, nowhere here." in text
    total = len(inputs) * len(levels)
    medians = {unit: [np.median(each[way]["test_mse"] if way in each else each["values"][way]["test_mse"])
                      for way in ("all differences", "1")] for unit, each in flipped["results"].items()}
    unit, factor = max(((unit, told / alone) for unit, (told, alone) in medians.items()), key=lambda each: each[1])
    text = functions_of("black-boxes-hurt")["lost_said"](flipped)
    assert f"lose to values in {total} of {total} cells." in text and f"make the squared error larger in {total}, at most " in text
    assert text.endswith(f"{factor:.1f} times (d = {unit.split('/')[0]}, noise of {100 * float(unit.split('/')[1]):g} %).")


@pytest.mark.parametrize("factor, place, count", [(0.0, "at d = {}", "{}"), (1e6, "nowhere", "0")])
def test_where_slopes_pay_is_counted_by_noise(worth, factor, place, count):
    inputs, levels = [d for d in worth["config"]["inputs"] if d < 12], worth["config"]["noises"]    # 13 values are the most
    flipped = copy.deepcopy(worth)
    for each in flipped["results"].values():
        for way in ("all differences", "one difference"):
            each[way]["test_mse"] = [factor + 1e-12 for _ in worth["seeds"]]
    known = functions_of("black-boxes-worth", inputs=inputs, noise_levels=levels, cells=flipped["results"])
    noisy = len(inputs) * (len(levels) - 1)
    expected = f"{place}, and with noise in {count} of {noisy} cells".format(", ".join(map(str, inputs)), noisy)
    assert known["paid"]() == f"With exact calls all differences pay {expected}; one difference pays {expected}"


def test_scipys_differences_lie_on_the_curves():
    """By another package, at its own step, with other draws of the noise."""
    known = defined(PAGE, ["black-boxes-step"], {"sl": sl}, ("LEVELS", "places", "noises", "its_step"))
    assert known["its_step"] == pytest.approx(1.49e-8, rel=1e-2)
    for noise in known["LEVELS"]:
        assert known["scipys"](noise) == pytest.approx(known["off"](known["its_step"], noise), rel=0.25)


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


def biased(record, process, networks=1.0, longer=1.0, along=1.0):
    """The record, with errors from differences this many times those from values, times likewise, and those along directions."""
    changed = copy.deepcopy(record)
    for kind, factor in (("GPyTorch", process), ("our network", networks)):
        for box in black_box_peers.boxes_of(record, f"{kind}, differences"):
            alone, told = (changed["results"][f"{box}/{kind}, {each}"]["runs"] for each in ("values", "differences"))
            for one, other in zip(alone, told):
                other["error"] = factor * one["error"] * (1 + 1e-3 * one["seed"])
                if "valid_time" in one:
                    other["valid_time"] = longer * one["valid_time"]
        for box in black_box_peers.boxes_of(record, f"{kind}, random directions"):
            told, other = (changed["results"][f"{box}/{kind}, {each}"]["runs"] for each in ("differences", "random directions"))
            for one, two in zip(told, other):
                two["error"] = along * one["error"] * (1 + 1e-3 * one["seed"])
    return changed


def ratios_in(record):
    return functions_of("black-boxes-directions", ("METHODS", "ALONG"), peers=record)


def test_the_summary_counts_what_the_records_hold(lorenz, worth, peers):
    known = functions_of("black-boxes-short", config=lorenz["config"])
    flipped = copy.deepcopy(lorenz)
    for calls in lorenz["config"]["calls"]:
        flipped["results"][f"{calls}/all differences"]["valid_time"] = [
            0.5 * time for time in flipped["results"][f"{calls}/values"]["valid_time"]]
    assert "network of a simulator whole gradients paid at 0 of 3" in known["short_said"](flipped, worth, peers)
    assert f"of {len(worth['results'])} cells" in known["short_said"](lorenz, worth, peers)
    boxes = len(black_box_peers.boxes_of(peers, VALUES))
    for factor, by_values, by_differences in ((3.0, boxes, 0), (0.3, 0, boxes)):
        text = known["short_said"](lorenz, worth, biased(peers, factor))
        assert f"when told values in {by_values} of {boxes} cases, when told differences in {by_differences}." in text


@pytest.mark.parametrize("process, networks, said", [
    (3.0, 3.0, "So mostly it is not the network"), (0.3, 0.3, "Both make more of gradients"), (3.0, 0.3, "depends on the method"),
    (0.3, 3.0, "depends on the method")])
def test_whether_it_is_the_network_follows_the_record(peers, process, networks, said):
    known = functions_of("black-boxes-peers", ("SPENT",))
    told = ratios_in(biased(peers, process, networks))
    text = known["peers_said"]({name: told["ratios_of"](*(f"{called}, {each}" for each in known["SPENT"]))
                                for name, (_, called) in told["METHODS"].items()})
    total = len(black_box_peers.boxes_of(peers, VALUES)) - 2                               # but for the simulator's
    counts = [f"when told values in {total * (each > 1)} of {total} cells, when told differences in {total * (each < 1)}"
              for each in (process, networks)]
    assert said in text and f"the process errs clearly less {counts[0]}; the networks {counts[1]}." in text
    assert ("The two part ways at d = 1 with exact calls and" in text) == (process != networks)


@pytest.mark.parametrize("factor, better, worse", [(0.5, 8, 0), (2.0, 0, 8)])
def test_directions_of_both_methods_are_counted(peers, factor, better, worse):
    told = f"in {better} of 8 cells (gradients in {worse})"
    assert ratios_in(biased(peers, 1.0, along=factor))["along_said"]() == f"for the Gaussian process {told} and for the networks {told}"


def test_the_shares_of_all_methods_are_the_records_and_the_least_is_named(peers):
    known = functions_of("black-boxes-peers")
    changed = biased(peers, 4.0)
    for box in black_box_peers.boxes_of(peers, VALUES):
        for run in changed["results"][f"{box}/{DIFFERENCES}"]["runs"]:
            run["error"] /= 1 + 1e-3 * run["seed"]
    found = known["shares"](changed)
    assert list(found) == [*peers["config"]["trials"], *OURS]
    for d in peers["config"]["waves"]["inputs"]:
        assert found[DIFFERENCES][d] == pytest.approx(2 * found[VALUES][d])                # the ends of its interval, too
        logs = np.log([run["error"] for run in changed["results"][f"waves/{d}/0/{OURS[0]}"]["runs"]]) / 2
        reach = t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / len(logs) ** 0.5
        assert found[OURS[0]][d] == pytest.approx(100 * np.exp(logs.mean() + np.array([0, -reach, reach])))
    assert [*found[DIRECTIONS]] == [*found[OURS[2]]] == peers["config"]["directions"]
    made = {"one": {1: [2.0], 2: [1.0], 3: [1.0]}, "other": {1: [1.0], 2: [2.0]}}
    assert known["nearest_said"](made) == "Least: other at d = 1; one at d = 2, 3"


def test_networks_of_the_record_of_other_peoples_methods_are_those_of_their_own(worth, peers, lorenz):
    """Two runs of the same code on the same points: one record could stand for the other."""
    for box in black_box_peers.boxes_of(peers, OURS[0]):
        kind, *unit = box.split("/")
        for name, way in zip(OURS, ("values", "all differences", "random direction, as many calls")):
            if box not in black_box_peers.boxes_of(peers, name):
                continue
            if kind == "waves":
                cell = worth["results"]["/".join(unit)]
                own = np.array((cell["values"][str(int(unit[0]) + 1)] if way == "values" else cell[way])["test_mse"]) / cell["variance"]
                found = black_box_peers.errors_of(peers, box, name)
            else:
                own = lorenz["results"][f"{unit[0]}/{way}"]["valid_time"]
                found = black_box_peers.errors_of(peers, box, name, "valid_time")
            assert np.mean(np.log10(found)) == pytest.approx(np.mean(np.log10(own)), abs=0.1), (box, name)


@pytest.mark.parametrize("longer, last, said", [
    (0.5, 50.0, "not well spent. So slopes help"), (1.0, 50.0, "no clear difference. So slopes help"), (2.0, 50.0, "gains by differences."),
    (0.5, 0.5, "not well spent.")])
def test_how_long_the_process_lasts_follows_the_record(lorenz, peers, longer, last, said):
    changed, calls = copy.deepcopy(peers), peers["config"]["process_calls"]
    for method, factor in ((VALUES, 1.0), (DIFFERENCES, longer)):
        for k, run in enumerate(changed["results"][f"lorenz/{calls}/{method}"]["runs"]):
            run["valid_time"] = last * factor + 0.01 * (-1) ** (k + (method == VALUES))
    known = functions_of("black-boxes-simulator", config=lorenz["config"])
    text = known["process_said"](changed)
    assert f"From {calls:,} calls a Gaussian process lasts {last:.1f} time units by values and {last * longer:.1f}" in text
    assert f"our network with differences lasts {known['lasted'](peers, OURS[1], calls).mean:.1f}.**" in text
    assert said in text and ("So slopes help" in text) == ("So slopes" in said)


def test_times_have_intervals_over_seeds_and_what_was_not_run_has_none(lorenz, peers):
    known = functions_of("black-boxes-simulator", config=lorenz["config"])
    times = np.array([run["valid_time"] for run in peers["results"][f"lorenz/800/{OURS[1]}"]["runs"]])
    reach = t.ppf(0.975, len(times) - 1) * times.std(ddof=1) / len(times) ** 0.5
    found = known["lasted"](peers, OURS[1], 800)
    assert found == pytest.approx((times.mean(), times.mean() - reach, times.mean() + reach))
    assert known["lasted"](peers, VALUES, 3_200) is None and known["lasted"](peers, "JENN, differences", 3_200) is not None
    (row,), header = known["table_of"]({"one": [found, None, found]}, "times").rows, known["table_of"]({}, "times").header
    assert row[2] == "–" and row[1] == row[3] and row[1].startswith(f"{times.mean():.2f} (") and header[3] == "3,200 calls"


def spread(record, directions, one_input=1.0):
    """The record, with errors of random directions this many times those of gradients, and of one input's differences."""
    changed = copy.deepcopy(record)
    for each in changed["results"].values():
        each["random direction, as many calls"] = {"test_mse": [directions * e for e in each["all differences"]["test_mse"]]}
        each["random direction"] = {"test_mse": [one_input * e for e in each["one difference"]["test_mse"]]}
    return changed


def test_what_random_directions_bring_follows_the_record(worth):
    say = functions_of("black-boxes-directions")["directions_said"]
    total, control = len(worth["config"]["noises"]) * (len(worth["config"]["inputs"]) - 1), len(worth["config"]["noises"])
    told = say(spread(worth, 0.5))
    assert "random directions come out ahead.**" in told and f"better in {total} of {total} cells, whole gradients in 0." in told
    assert f"not clearly different in 0 of {total} cells" not in told
    assert f"in {control} of {control} cells the interval excludes one, at {listed(['0.5'] * control)}: luck" in told
    told = say(spread(worth, 2.0, one_input=0.5))
    assert "whole gradients come out ahead.**" in told and f"better in 0 of {total} cells, whole gradients in {total}." in told
    assert f"not clearly different in 0 of {total} cells" in told
    told = say(spread(worth, 1.0))
    assert "neither comes out ahead.**" in told and "no interval there excludes one" in told
    poor = spread(worth, 1.0)
    for each in poor["results"].values():
        each["random direction, as many calls"] = {"test_mse": [1e3] * len(worth["seeds"])}
    assert f"clearly beat the random directions in {total} of {total}, and clearly lose to them in 0." in say(poor)


@pytest.mark.parametrize("factor, counts", [(0.5, "clearly better than they in 20 of 20 cells, clearly worse in 0"),
                                            (2.0, "clearly better than they in 0 of 20 cells, clearly worse in 20")])
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
