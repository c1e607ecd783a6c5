"""The chapter on the defaults: its sentences follow the record, its line and its exercise work."""
import ast
import copy

import numpy as np
import pytest
from cells import cell, defined

import sobolev_lib as sl
import sobolev_lib.notebook  # a chapter's setup imports it
from sobolev_lib.experiments import regressor_defaults
from sobolev_lib.records import load_record

PAGE = "defaults"


@pytest.fixture(scope="module")
def record():
    return load_record("regressor-defaults")


def functions_of(record, *names):
    """What is known after the imports and the functions of these cells, which are not run."""
    known = {"sl": sl, "record": record, "CASES": record["config"]["cases"]}
    return defined(PAGE, names, known)


def changed(record, factors):
    """The record, had the line erred so many times as much as the best peer in these cases."""
    record = copy.deepcopy(record)
    for case, factor in factors.items():
        for what in ("value", "slope"):
            peer = regressor_defaults.errors_of(record, case, regressor_defaults.best_peer(record, case, what), what)
            for run, error in zip(record["results"][f"{case}/ours"]["runs"], peer):
                run[what] = factor * error
    return record


def test_what_is_said_follows_the_record(record):
    first, second, *others = record["config"]["cases"]
    total = len(others) + 2
    known = functions_of(record, "defaults-values", "defaults-short")
    all_ahead = changed(record, dict.fromkeys(record["config"]["cases"], 0.5))
    assert known["standing_said"](all_ahead, "value") == f"By errors of values the command has the smallest of all in {total} of {total} cases (in {total} with the whole interval of the ratio)."
    assert known["bar_said"](all_ahead).endswith("by values they do, by slopes they do.")
    behind = changed(all_ahead, {first: 3.0, second: 1.05})
    said = known["standing_said"](behind, "value")
    assert f"in {total - 2} of {total} cases (in {total - 2} with" in said
    assert f"the ratio), at most 1.1 times the best of the others in 1, and more in 1: {first} (3 times that of" in said
    assert said.endswith(", 3 to 3).")
    assert known["bar_said"](behind).endswith("by values they do not, by slopes they do not.")
    assert (f"By values it was nearest the truth in {total - 2} of {total} cases, at most 1.1 times as far off as the nearest in 1 more, and "
            f"farther off in 1; by slopes in {total - 2}, 1 and 1.") in known["short_said"](behind)


def scaled(record, factors, what="seconds"):
    """The record, had a method taken so many times as long, or erred so many times as much, as each seed of the line."""
    record = copy.deepcopy(record)
    for (case, method), factor in factors.items():
        ours = record["results"][f"{case}/ours"]["runs"]
        for run, own in zip(record["results"][f"{case}/{method}"]["runs"], ours):
            run[what] = factor * own[what]
    return record


def seconds_said(record):
    return functions_of(record, "defaults-seconds")["seconds_said"]()


def test_seconds_are_told_as_they_are_beside_each_of_the_others(record):
    cases = record["config"]["cases"]
    both = [case for case in cases if regressor_defaults.errors_of(record, case, "JENN")]
    said = seconds_said(scaled(record, {(case, "JENN"): 2.0 for case in both} | {(both[0], "JENN"): 0.05}
                               | {(case, "MLPRegressor"): 0.5 for case in cases}))
    assert said.startswith("A fit takes ")
    assert f"JENN in {len(both) - 1} of {len(both)} cases (at most 20 times as much)" in said
    assert f"and MLPRegressor, values alone in 0 of {len(cases)} cases (at most 2 times as much)." in said


def test_what_haste_costs_is_told(record):
    told, cases = regressor_defaults.TOLD, record["config"]["cases"]
    both = [case for case in cases if regressor_defaults.errors_of(record, case, "JENN")]
    quick = scaled(record, {(case, told): 0.1 for case in cases} | {(cases[0], told): 3.0} | {(case, "JENN"): 0.2 for case in both})
    worse = scaled(quick, {(case, told): 6.0 for case in cases} | {(cases[1], told): 900.0} | {(case, "JENN"): 7.0 for case in both}, "value")
    said = seconds_said(worse)
    left = len(both) - (cases[0] in both)
    assert f"no more time than JENN in {left} of {len(both)} cases, and is no farther off in {len(both) - (cases[1] in both)} by values" in said
    assert f"are 6 times those of the command left alone in the median case, 900 times in *{cases[1]}*; in *{cases[0]}* it even takes longer." in said
    assert "even takes longer" not in seconds_said(scaled(worse, {(cases[0], told): 0.1}))


def test_the_plan_that_was_chosen_most_often_is_told(record):
    record, case = copy.deepcopy(record), record["config"]["cases"][0]
    for run, plan in zip(record["results"][f"{case}/ours"]["runs"], ["brief", "waves", "waves", "waves", "exact"]):
        run["plan"] = plan
    record["results"][f"{case}/ours"]["runs"] = record["results"][f"{case}/ours"]["runs"][:5]
    assert functions_of(record, "defaults-seconds")["plan_of"](case) == "waves"


def test_what_is_not_learned_is_told(record):
    first, *others = record["config"]["cases"]
    learned = copy.deepcopy(record)
    for case in record["config"]["cases"]:
        for run in learned["results"][f"{case}/ours"]["runs"]:
            run["slope"] = 0.7 if case == first else 0.1
    said = functions_of(learned, "defaults-values")["not_learned_said"]
    assert said(learned) == f" Of slopes it misses half or more in *{first}* (0.7)."
    for run in learned["results"][f"{first}/ours"]["runs"]:
        run["slope"] = 0.4
    assert said(learned) == ""


def test_slopes_of_three_points_are_met_by_the_solved_network_and_the_trained_one():
    known = {"np": np, "sl": sl}
    tree = ast.parse(cell(PAGE, "defaults-wave"))
    exec(compile(ast.Module([part for part in tree.body if getattr(part, "name", "") == "wave"], []), "wave", "exec"), known)
    X = np.random.default_rng(3).uniform(-np.pi, np.pi, (3, 1))
    y, dy = known["wave"](X)
    fits = [sl.SobolevRegressor(**how).fit(X, y, dy) for how in ({}, {"hidden": (64, 64), "optimizer": "lbfgs", "steps": 300})]
    left_alone, trained = [np.abs(fit.predict_gradient(X) - dy).max() for fit in fits]
    assert left_alone < 1e-6 and trained < 0.05


def test_the_line_says_what_it_found():
    known = {"np": np, "sl": sl, "Markdown": lambda text: None}
    tree = ast.parse(cell(PAGE, "defaults-wave"))
    exec(compile(ast.Module([part for part in tree.body if getattr(part, "name", "") == "wave"], []), "wave", "exec"), known)
    exec(cell(PAGE, "defaults-line"), known)
    assert "\"waves\" was chosen" in known["net"].choice_.message
    X = np.linspace(-3, 3, 50)[:, None]
    assert np.abs(known["net"].predict(X) - known["wave"](X)[0]).max() < 0.01


def test_constants_in_the_text_are_those_of_the_code():
    from sobolev_lib.regressor import choosing, outliers, plans, trials

    text = " ".join((cell(PAGE, "defaults-02") + cell(PAGE, "defaults-02b")).split())
    assert f"It holds out a fifth of the points, {choosing.MOST:,} at most." in text and choosing.SHARE == 1 / 5
    assert f"at most {plans.POINTS:,} points and four outputs: where they miss less than {100 * trials.EXACT:g} %" in text and plans.OUTPUTS == 4
    assert f"{plans.LEAST_SINES} to {plans.SINES:,} sines for each output" in text
    assert (outliers.FAR, outliers.MINORITY, outliers.FAR_VALUE, outliers.FEW_VALUES) == (3, 1 / 5, 30, 1 / 20)
    assert (choosing.MUCH_LESS, plans.LEAST, choosing.CLOSER, choosing.MISSED, choosing.SHARE_OF_FEW) == (1 / 100, 20, 1 / 100, 0.3, 1 / 3)
    assert "Of fewer than twenty points a third is held out, and the solved network is taken. Where it is off there by more than 30 %" in text
    assert (f"three times the median or more, at most a fifth of the points, and hold {100 * outliers.MUCH:.0f} % of all squares. Values are doubted where they "
            "lie thirty times the median distance from their median: at most a twentieth of the points, or a fifth if what they say is one number.") in text
    assert "Among fewer than twenty points the squared errors must fall to a hundredth." in text


def test_a_spoiled_row_is_told_and_left_out():
    known = {"np": np, "sl": sl, "Markdown": lambda text: text}
    tree = ast.parse(cell(PAGE, "defaults-wave"))
    exec(compile(ast.Module([part for part in tree.body if getattr(part, "name", "") == "wave"], []), "wave", "exec"), known)
    exec(cell(PAGE, "defaults-line") + "\n" + cell(PAGE, "defaults-spoiled"), known)
    message, X = known["careful"].choice_.message, np.linspace(-3, 3, 50)[:, None]
    assert "The slopes of 1 point, at (" in message and "left out" in message
    assert np.abs(known["careful"].predict(X) - known["wave"](X)[0]).max() < 0.01


@pytest.mark.parametrize("answer, said", [
    ("None", "not yet"), ("np.zeros(3)", "expected"), ("np.linalg.lstsq(np.sin(x[:, None] * w + b), y)[0]", "this fits the values alone"),
    ("np.zeros(5)", "the loss can be"),
    ("np.linalg.lstsq(np.concatenate([np.sin(x[:, None] * w + b), np.cos(x[:, None] * w + b) * w]), np.concatenate([y, dy]))[0]", "right")])
def test_the_exercise_tells_right_from_wrong(answer, said, capsys):
    known = {"np": np, "sl": sl}
    exec(cell(PAGE, "defaults-exercise").replace("return None  # your answer: (K,) from x, y, dy (N,) and w, b (K,)", f"return {answer}"), known)
    assert said in capsys.readouterr().out
