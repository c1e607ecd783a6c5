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
    assert f"nearest the truth in {total - 2} of {total}, and more than 1.1 times as far as the best in 1; its slopes in {total - 2} and 1." in known["short_said"](behind)


def test_seconds_are_told_as_they_are(record):
    known = functions_of(record, "defaults-seconds")
    both = [case for case in record["config"]["cases"] if regressor_defaults.errors_of(record, case, "JENN")]
    slow = copy.deepcopy(record)
    for case in both:
        for run in slow["results"][f"{case}/ours"]["runs"]:
            run["seconds"], run["value"] = 1e6, 1e6
    said = known["seconds_said"](slow)
    assert said.startswith(f"Beside JENN the command, left alone, takes no more time in 0 of {len(both)} cases, and at most ")
    assert "; its values err no more in 0. **In a hurry**" in said
    for error, cases in ((0.0099, len(both)), (1e6, 1)):    # in the first case it is as good, and as quick, as JENN
        for case in both:
            theirs = slow["results"][f"{case}/JENN"]["runs"]
            slow["results"][f"{case}/{regressor_defaults.TOLD}"] = {"by": "sobolev_lib", "runs": [
                {"seed": run["seed"], **{what: run[what] if case == both[0] else error * run[what] for what in ("seconds", "value", "slope")}}
                for run in theirs]}
        assert (f"takes no more time than JENN in {cases} of {len(both)} cases; its values err no more in {cases}, its slopes in "
                f"{cases}. (We took 250 after a look") in known["seconds_said"](slow)


def test_seconds_name_the_longest(record):
    slow, case = copy.deepcopy(record), next(case for case in record["config"]["cases"] if regressor_defaults.errors_of(record, case, "JENN"))
    for run in slow["results"][f"{case}/ours"]["runs"]:
        run["seconds"] = 1e3 * np.exp(np.mean(np.log(regressor_defaults.errors_of(record, case, "JENN", "seconds"))))
    assert "at most 1,000 times as much" in functions_of(record, "defaults-seconds")["seconds_said"](slow).replace("1e+03", "1,000")


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


@pytest.mark.parametrize("answer, said", [
    ("None", "not yet"), ("np.zeros(3)", "expected"), ("np.linalg.lstsq(np.sin(x[:, None] * w + b), y)[0]", "this fits the values alone"),
    ("np.zeros(5)", "the loss can be"),
    ("np.linalg.lstsq(np.concatenate([np.sin(x[:, None] * w + b), np.cos(x[:, None] * w + b) * w]), np.concatenate([y, dy]))[0]", "right")])
def test_the_exercise_tells_right_from_wrong(answer, said, capsys):
    known = {"np": np, "sl": sl}
    exec(cell(PAGE, "defaults-exercise").replace("return None  # your answer: (K,) from x, y, dy (N,) and w, b (K,)", f"return {answer}"), known)
    assert said in capsys.readouterr().out
