"""The chapter on curvature as uncertainty: sentences that follow the record, an exercise that takes right answers only."""
import ast
import copy
import math
import re

import numpy as np
import pytest
from cells import cell, defined

import sobolev_lib as sl
import sobolev_lib.notebook  # a chapter's setup imports it
from sobolev_lib.experiments import curvature
from sobolev_lib.records import load_record

PAGE = "curvature"


@pytest.fixture(scope="module")
def record():
    return load_record("curvature")


def functions_of(record, *names):
    """What is known after the imports, and the functions and constants of these cells, which show nothing."""
    known = {"sl": sl, "record": record, "CASES": record["config"]["cases"], "SEEDS": len(record["seeds"])}
    return defined(PAGE, ("curvature-head-verdict", "curvature-guess", *names), known, constants=("NAMES", "SHOWN", "PHRASES"))


def changed(record, case, method, **values):
    """The record with other numbers of a method in a case; ``coverage`` is one number for all levels."""
    record = copy.deepcopy(record)
    runs = record["results"][f"{case}/{method}"]["runs"]
    for k, run in enumerate(runs):
        for name, value in values.items():
            # seeds differ a little, but their mean is the number asked for
            run[name] = [value] * len(curvature.LEVELS) if name == "coverage" else value + 1e-3 * (k - (len(runs) - 1) / 2)
    return record


def test_a_wide_posterior_has_a_wide_bell():
    """Laplace's width of a share of heads, against the formula; of two tops one is seen."""
    known = {"np": np, "chance": np.linspace(0.002, 0.998, 499), "root": np.linspace(-1, 1, 499)}
    tree = ast.parse(cell(PAGE, "curvature-laplace"))
    functions = [part for part in tree.body if isinstance(part, ast.FunctionDef)]
    exec(compile(ast.Module(functions, []), "laplace", "exec"), known)
    for case, share, tosses in (("half heads", 0.5, 128), ("one head in eight", 0.125, 512),
                                ("one head in eight", 0.125, 8)):
        top, width = known["laplace"](*known["log_density"](case, tosses))
        assert top == pytest.approx(share, abs=2e-3)
        assert width == pytest.approx(math.sqrt(share * (1 - share) / tosses), rel=0.03)
    top, width = known["laplace"](*known["log_density"]("only a square is measured", 128))
    assert top == pytest.approx(0.5, abs=0.01) and width == pytest.approx(0.3 / math.sqrt(128), rel=0.03)


def test_the_coin_s_information_is_the_formula_s():
    """At the top, in the mean over draws, and by the formula: one number; a single draw gives another."""
    known = {"np": np, "chance": np.linspace(0.002, 0.998, 499), "root": np.linspace(-1, 1, 499)}
    for name in ("curvature-laplace", "curvature-fisher"):
        functions = [part for part in ast.parse(cell(PAGE, name)).body if isinstance(part, ast.FunctionDef)]
        exec(compile(ast.Module(functions, []), name, "exec"), known)
    for tosses in (32, 128):
        told = re.search(r"top is (\d+)\. Over 10,000 .* it is (\d+) in the mean, from (\d+) to (\d+) .* chance, it is (\d+)\.",
                         known["fisher_said"](tosses))
        top, mean, low, high, exact = map(int, told.groups())
        assert exact == round(tosses * 64 / 7) and mean == pytest.approx(exact, rel=0.01) and top == pytest.approx(exact, rel=0.05)
        assert low < 0.9 * exact and high > 1.1 * exact


def test_who_is_nearest_follows_the_record(record):
    for method, share in (("curvature", 0.5), ("two outputs", 0.93), ("ensemble", 0.8)):
        record = changed(record, "few", method, coverage=share)
    assert functions_of(record)["nearest_said"](record, "few").endswith(
        "two outputs 93 % (93 to 93), ensemble 80 % (80 to 80), curvature 50 % (50 to 50)")


def test_coverage_is_told_as_it_is_with_its_interval(record):
    say = functions_of(record, "curvature-calibration")["calibration_said"]
    record = changed(record, "few", "curvature", coverage=0.31)
    assert "the bowl's intervals of 90 % hold 31 % (31 to 31) from 20 points, " in say(record)
    for run in record["results"]["few/curvature"]["runs"]:
        run["coverage"] = [0.1 + 0.8 * (run["seed"] % 2)] * len(curvature.LEVELS)
    reach = 2.045 * 0.4 * (30 / 29)**0.5 / 30**0.5         # Student's, of halves at 0.1 and 0.9
    assert len(record["seeds"]) == 30
    assert f"hold 50 % ({100 * (0.5 - reach):.0f} to {100 * (0.5 + reach):.0f}) from 20 points, " in say(record)


def test_bands_of_calibration_are_those_intervals(record):
    wide = changed(record, "few", "ensemble", coverage=0.5)
    for run in wide["results"]["few/ensemble"]["runs"]:
        run["coverage"] = [0.4 + 0.2 * (run["seed"] % 2)] * len(curvature.LEVELS)
    panel, = functions_of(wide, "curvature-calibration")["panels"]("20 points")
    assert set(panel.curves) == set(panel.bands) and "free energy, curvature told" not in panel.curves
    low, high = panel.bands["ensemble"]
    found = curvature.coverage(wide, "few", "ensemble", 0.9)
    assert (low[17], high[17]) == pytest.approx((100 * (found.low - 0.9), 100 * (found.high - 0.9))) and high[17] - low[17] > 5
    assert all((panel.bands[name][0] <= panel.curves[name]).all() for name in panel.curves)


def test_choices_at_an_end_are_counted(record):
    say = functions_of(record, "curvature-table")["ends_said"]
    ends = copy.deepcopy(record)
    for unit, found in ends["results"].items():
        case, method = unit.split("/")
        found["chosen"] = {"truth": [], "Gaussian process": [None, 1.5], "NGBoost": [2, 800]}.get(method, [0.001, 150])
        if method == "curvature" and case in ("few", "many"):
            found["chosen"] = [0.01, 3200]
    told = say(ends)
    assert "lie 23 of 25 learning rates, 2 of 25 numbers of steps, 0 of 5 depths of trees, 5 of 5 numbers of trees, " in told
    assert told.endswith("0 of 5 smoothnesses and 0 of 5 smoothnesses of the process for the bars; of the bowl's steps 2 of 5.")


def test_other_people_s_code_is_named(record):
    named = copy.deepcopy(record)
    for unit, found in named["results"].items():
        found["by"] = {"NGBoost": "ngboost 7.7", "Gaussian process": "scikit-learn 8.8"}.get(unit.split("/")[1], "sobolev_lib")
    told = functions_of(record, "curvature-table")["code_said"](named)
    assert told == "Others' code: NGBoost by ngboost 7.7 and the Gaussian process by scikit-learn 8.8."


@pytest.mark.parametrize("loss, word", [(-50.0, "worse than"), (50.0, "better than")])
def test_how_the_bowl_stands_follows_the_record(record, loss, word):
    for case in ("few", "more", "many"):
        for method in ("free energy", "bars as values", "two outputs", "ensemble", "NGBoost", "Gaussian process"):
            record = changed(record, case, method, log_loss=loss)
    known = functions_of(record, "curvature-table")
    told = known["ranking_said"](record)
    counts = "(20, 60, 180 points)"
    assert told == (f"Where the bars are right, paired by seed, the bowl is clearly {word} a free energy {counts}, the same bars as "
                    f"values {counts}, two outputs {counts}, an ensemble {counts}, NGBoost {counts} and the Gaussian process {counts}.")


def test_a_draw_is_told_as_a_draw(record):
    same = copy.deepcopy(record)
    for method in ("free energy", "bars as values", "two outputs", "ensemble", "NGBoost", "Gaussian process"):
        for case in ("few", "more", "many"):
            runs = same["results"][f"{case}/curvature"]["runs"]
            same["results"][f"{case}/{method}"]["runs"] = [
                run | {"log_loss": run["log_loss"] + 0.1 * (-1)**run["seed"]} for run in runs]
    told = functions_of(same, "curvature-table")["ranking_said"](same)
    assert "not told apart from a free energy (20, 60, 180 points)" in told and "better" not in told and "worse" not in told


@pytest.mark.parametrize("scatter, values, word", [
    (50.0, 50.0, "It works, and beats the same bars told as plain values."),
    (50.0, -50.0, "It works, and telling the same bars as values works as well."),
    (-50.0, 50.0, "It does not win throughout.")])
def test_the_answer_follows_the_record(record, scatter, values, word):
    for case in ("few", "more", "many"):
        for method, loss in (("two outputs", scatter), ("ensemble", scatter), ("bars as values", values)):
            record = changed(record, case, method, log_loss=loss)
    told = functions_of(record)["answer_said"](record)
    assert told.startswith(f"**{word}**") and f"in {6 * (scatter > 0)} of 6 comparisons" in told
    assert f"win in {3 * (values > 0)} of 3, and lose in {3 * (values < 0)}. scikit-learn" in told


@pytest.mark.parametrize("better", [0, 2, 3])
def test_a_process_that_is_better_is_told_in_the_answer(record, better):
    cases = curvature.honest(record)
    for k, case in enumerate(cases):
        record = changed(record, case, curvature.PROCESS, log_loss=-50.0 if k < better else 50.0)
    told = functions_of(record)["process_said"](record)
    assert told.endswith(f"clearly better than the bowl in {better} of 3 cases, and clearly worse in {3 - better}.")


def test_bands_that_leave_the_picture_are_named(record):
    say = functions_of(record, "curvature-table", "curvature-outside")["runs_out"]
    assert say(record, "more", -1e9, 1e9) == ""
    flat = copy.deepcopy(record)
    for method in ("curvature", "two outputs", "Gaussian process"):
        means, widths = flat["results"][f"more/{method}"]["runs"][0]["bands"]
        flat["results"][f"more/{method}"]["runs"][0]["bands"] = [[0.0] * len(means), [1.0] * len(widths)]
    assert say(flat, "more", -4, 4) == " Cut off: the band of an ensemble." and say(flat, "more", -1.6, 4).count("outputs") == 1


def test_what_holds_outside_follows_the_record(record):
    say = functions_of(record, "curvature-table", "curvature-outside")["outside_said"]
    for method in ("curvature", "two outputs", "ensemble", "Gaussian process"):
        record = changed(record, "more", method, outside=0.3)
    assert "None of them stays near what it promises." in say(record, "more")
    honest = changed(record, "more", "Gaussian process", outside=0.89)
    assert "89 % (89 to 89) by the Gaussian process" in say(honest, "more") and say(honest, "more").endswith(
        "Far from what they promise: the bowl, two outputs and an ensemble.")


@pytest.mark.parametrize("loss, said", [(-50.0, "behind"), (50.0, "ahead of")])
def test_what_wrong_bars_do_follows_the_record(record, loss, said):
    short = changed(changed(record, "bars too short", "two outputs", log_loss=loss), "bars too short", "ensemble", coverage=0.77)
    told = functions_of(short, "curvature-table", "curvature-fails")["fails_said"](
        changed(short, "two branches", "truth", coverage=0.07))
    assert f"by log loss it is {said} two outputs and " in told and "of the ensemble 77 % (77 to 77);" in told
    assert told.endswith("with the true width 7 % (7 to 7).")


def test_the_summary_counts_what_the_record_holds(record):
    for case in ("few", "more", "many"):
        record = changed(record, case, "ensemble", log_loss=-50.0)
        record = changed(record, case, "two outputs", log_loss=50.0)
        record = changed(record, case, "bars as values", log_loss=-50.0)
    told = functions_of(record, "curvature-short")["short_said"](record)
    assert "in 3 of 6 comparisons, and a higher one in 3; against the same bars told as values, " in told
    assert "lower in 0 of 3 and higher in 3." in told


RIGHT = """
def laplace_width(heads, tosses):
    top = heads / tosses
    return (top * (1 - top) / tosses) ** 0.5
"""


@pytest.mark.parametrize("change, said", [
    (RIGHT, "right"), (RIGHT.replace("** 0.5", "** 0.5 * np.ones(1)"), "right"),
    (RIGHT.replace("** 0.5", ""), "1 of 8: this is the variance"),
    (RIGHT.replace("** 0.5", "** -1"), "1 of 8: this is the curvature"),
    (RIGHT.replace("(1 - top)", "1"), "1 of 8: expected 0.117, got 0.125"),
    (RIGHT.replace("(top * (1 - top) / tosses) ** 0.5", "'wide'"), "1 of 8: expected one number, got 'wide'"),
    (RIGHT.replace("(top * (1 - top) / tosses) ** 0.5", "None"), "not yet")])
def test_the_exercise_takes_right_answers_and_names_what_is_wrong(change, said, capsys):
    empty = "def laplace_width(heads, tosses):\n    return None  # your answer, a number\n"
    source = cell(PAGE, "curvature-exercise")
    assert empty in source
    exec(source.replace(empty, change), {"sl": sl, "np": np})
    assert capsys.readouterr().out.strip().startswith(said)


def test_the_question_with_a_number_knows_the_answer():
    call = ast.parse(cell(PAGE, "curvature-number")).body[0].value
    told = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    assert told["number"] == pytest.approx(0.05**-2) and set(told["hints"]) == {20, 0.0025}
