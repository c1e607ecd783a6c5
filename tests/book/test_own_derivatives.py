"""The chapter on your own derivatives: sentences that follow the record, a guide whose lines run, and an exercise."""
import ast
import copy

import numpy as np
import pytest
from cells import cell, defined

import sobolev_lib as sl
import sobolev_lib.notebook  # a chapter's setup imports it
from sobolev_lib.experiments import own_derivatives
from sobolev_lib.records import load_record

PAGE = "own_derivatives"


@pytest.fixture(scope="module")
def record():
    return load_record("own-derivatives")


def functions_of(record, *names):
    """What is known after the imports and the functions of these cells, which are not run."""
    cases = list(record["config"]["trials"])
    known = {"sl": sl, "record": record, "results": record["results"], "CASES": cases, "CASE_NAMES": own_derivatives.CASES,
             "NAMES": {}, "SEEDS": len(record["seeds"]),
             "CURVES": {f"{case}/slopes": own_derivatives.CASES[case] for case in cases}}
    known["CURVES"]["cluster/slopes, invariant"] = "forces, from distances"
    return defined(PAGE, names, known)


def changed(record, factor, case="engine", over="values"):
    """The record, had slopes erred ``factor`` times as much as another method."""
    record = copy.deepcopy(record)
    runs = record["results"][f"{case}/{over}"]["runs"]
    for run, other in zip(record["results"][f"{case}/slopes"]["runs"], runs):
        run["value"] = factor * other["value"] * (1 + 0.01 * (-1) ** other["seed"])
    return record


@pytest.mark.parametrize("factor, said", [(0.5, "Slopes make the error 2 times smaller than with values alone"),
                                          (1.0, "Slopes make no clear difference to the error, compared to values alone"),
                                          (3.0, "Slopes make the error 3 times larger than with values alone")])
def test_what_slopes_do_follows_the_record(record, factor, said):
    assert functions_of(changed(record, factor), "own-derivatives-cases")["stands"]("engine").startswith(said)


def test_the_table_begins_with_the_best(record):
    order = own_derivatives.ranked(changed(record, 1e-3), "engine")
    assert order[0] == "slopes" and set(order) == set(own_derivatives.TRIALS["engine"])


def test_the_choice_of_a_weight_is_told_as_it_was(record):
    record = copy.deepcopy(record)
    for case in record["config"]["trials"]:
        for k, trial in enumerate(record["results"][f"{case}/slopes"]["trials"]):
            trial["log10_validation_error"], trial["test_error"] = float(k), [1.0 + k]
    said = functions_of(record, "own-derivatives-weight")["weights_said"]
    for unit in (*[f"{case}/slopes" for case in record["config"]["trials"]], "cluster/slopes, invariant"):
        record["results"][unit]["chosen"]["derivative_weight"] = 0.1
    assert said(record["results"]) == ("On one tuning seed, one fit per weight, validation values chose the best weight in 4 of 4 "
                                       "cases; at worst the choice cost a factor of 1.00 in test error. They chose 0.1 (jet engine deck), 0.1 (forces of a metal "
                                       "cluster), 0.1 (option prices) and 0.1 (a teacher network).")
    for unit, weight in (("engine/slopes", 100.0), ("cluster/slopes, invariant", 1000.0), ("teacher/slopes", 100.0)):
        record["results"][unit]["chosen"]["derivative_weight"] = weight
    assert said(record["results"]).endswith("For jet engine deck and forces, from distances that was the largest weight tried: "
                                            "more may be better.")
    record["results"]["engine/slopes"]["trials"][0]["test_error"] = [4.0]
    assert "best weight in 3 of 4 cases" in said(record["results"]) and "a factor of 2.00 in" in said(record["results"])


@pytest.mark.parametrize("fault, said", [("nothing", "No other reading"), ("the sign", "wrong sign"),
                                         ("the unit: twice too large", "Multiply dy by about 0.5"),
                                         ("the rows: last one first", "reversed"),
                                         ("noise, as large as the slopes", "scatter about the slopes")])
def test_the_spoilt_labels_are_found_where_there_are_points_enough(record, fault, said):
    source = cell(PAGE, "own-derivatives-check-live")
    known = functions_of(record)
    exec(source[:source.index("explorer =")], known)
    assert said in known["checked"](fault, 40)[0].caption
    assert known["checked"](fault, 5)[0].caption.startswith("Nothing to tell")


def test_the_summary_counts_what_the_record_holds(record):
    worse = changed(changed(record, 3.0), 3.0, "teacher")
    known = functions_of(worse, "own-derivatives-short")
    counts = [own_derivatives.against(worse, case, "slopes", "values").side() for case in known["CASES"]]
    assert f"clearly smaller in {counts.count('below')} of 4 cases" in known["short_said"](worse)
    assert counts.count("above") >= 2


def test_every_call_of_the_guide_is_one_that_runs():
    """Each choice's settings are parameters of the regressor, and the guide's texts are Python."""
    tree = ast.parse(cell(PAGE, "own-derivatives-guide"))
    parameters = set(sl.SobolevRegressor().get_params()) | {"X", "y", "dy"}
    call, = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "Guide"]
    tables = [node for node in ast.walk(call) if isinstance(node, ast.Tuple) and len(node.elts) == 2]
    settings = [ast.literal_eval(node.elts[1]) for node in tables if isinstance(node.elts[1], ast.Dict)]
    assert len(settings) > 10 and {name for each in settings for name in each} <= parameters
    for each in settings:
        for text in each.values():
            assert text is None or ast.parse(text, mode="eval")
    X = np.random.default_rng(0).uniform(size=(30, 2))
    for each in settings:
        values = {name: ast.literal_eval(text) for name, text in each.items()
                  if text is not None and name not in ("X", "y", "dy")}
        y, dy = X.prod(1), X[:, ::-1]
        if isinstance(values.get("derivative_weight"), list):                               # a row for each of two outputs
            y, dy = np.stack([y, 2 * y], 1), np.stack([dy, 2 * dy], 1)
        sl.SobolevRegressor(**values | {"steps": 2, "epochs": None}).fit(X, y, dy.copy())


RIGHT = """
def labels(positions, energies, forces):
    n = len(positions)
    return positions.reshape(n, -1), energies, -forces.reshape(n, -1)
"""


@pytest.mark.parametrize("change, said", [
    (RIGHT, "right"), (RIGHT.replace("energies, -", "energies.tolist(), -"), "right"),
    (RIGHT.replace("-forces", "forces"), "these are forces: which sign"),
    (RIGHT.replace("-forces.reshape(n, -1)", "-forces.transpose(0, 2, 1).reshape(n, -1)"), "dy is not in the order of X's columns"),
    (RIGHT.replace("energies, -", "-energies, -"), "X or y differ"), (RIGHT.replace("-forces.reshape(n, -1)", "-forces"), "expected X, y and dy")])
def test_the_exercise_takes_right_answers_and_names_what_is_wrong(change, said, capsys):
    empty = "def labels(positions, energies, forces):\n    return None  # your answer: X (N, d), y (N,), dy (N, d)\n"
    source = cell(PAGE, "own-derivatives-exercise")
    assert empty in source
    exec(source.replace(empty, change), {"sl": sl, "np": np, "cluster": sl.datasets.metal_cluster()})
    assert capsys.readouterr().out.strip().startswith(said)
