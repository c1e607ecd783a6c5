"""The chapter on internal derivatives: sentences that follow the record, and an exercise that knows right from wrong."""
import ast
import copy

import numpy as np
import pytest
from cells import cell, defined

import sobolev_lib as sl
import sobolev_lib.notebook  # a chapter's setup imports it
from sobolev_lib.experiments import internal_matching
from sobolev_lib.experiments.internal_verdict import cells, chosen
from sobolev_lib.experiments.internal_ways import INPUT, INTERNAL, REFERENCE, WAYS
from sobolev_lib.records import load_record

PAGE = "internal_derivatives"


@pytest.fixture(scope="module")
def record():
    return load_record("internal-matching")


def names():
    """The ways' names on the page, from the cell that sets them."""
    tree = ast.parse(cell(PAGE, "internal-derivatives-look"))
    return next(ast.literal_eval(part.value) for part in tree.body if isinstance(part, ast.Assign)
                and getattr(part.targets[0], "id", "") == "NAMES")


def functions_of(record, name):
    """What is known after the imports and the functions of a cell, which is not run."""
    known = {"record": record, "COUNT": record["config"]["tuning_images"], "NAMES": names(),
             "cell_name": lambda cell: f"{cell[1]:,} {cell[0]}"}
    return defined(PAGE, [name], known)


def changed(record, factor, sets=("digits", "shapes"), over=INPUT):
    """The record, had the chosen internal way erred ``factor`` times as much as the chosen one of ``over``."""
    record = copy.deepcopy(record)
    for name in sets:
        mine, theirs = (record["results"][f"{name}/{chosen(record, name, ways)}"]["runs"] for ways in (INTERNAL, over))
        for run, other in zip(mine, theirs):
            assert (run["seed"], run["images"], run["equal"]) == (other["seed"], other["images"], other["equal"])
            run["kl"] = factor * other["kl"] * (1 + 0.01 * (-1) ** run["seed"])
    return record


def test_every_way_has_a_name_on_the_page():
    assert set(names()) == {*WAYS, REFERENCE} and len(set(names().values())) == len(names())


@pytest.mark.parametrize("factor, said", [
    (0.5, "**Slopes inside: they win everywhere.**"), (2.0, "**Slopes by the pixels: they beat slopes inside in every cell.**"),
    (1.0, "**Neither wins everywhere.** At equal time the chosen internal way is clearly nearer to the teacher than "
          "matching at the input in 0 of 4 cells, and clearly farther in 0.")])
def test_the_answer_follows_the_record(record, factor, said):
    assert functions_of(record, "internal-derivatives-result")["answer"](changed(record, factor)).startswith(said)


def test_one_set_alone_does_not_decide(record):
    mixed = changed(changed(record, 2.0), 0.5, ["shapes"])
    answer = functions_of(record, "internal-derivatives-result")["answer"]
    assert "in 1 of 4 cells, and clearly farther in 3." in answer(mixed) and answer(mixed).startswith("**Neither")
    unclear = changed(changed(record, 2.0), 1.0, ["shapes"])
    assert answer(unclear).startswith("**No cell speaks for slopes inside, most speak against.**")


def test_the_prose_argues_for_what_was_found(record):
    """The section "Why" and the rule of thumb are written for this answer."""
    assert functions_of(record, "internal-derivatives-result")["answer"](record).startswith(("**Slopes by the pixels", "**No cell"))
    assert "ask for slopes by the input first" in cell(PAGE, "internal-derivatives-05")


@pytest.mark.parametrize("ways, said", [
    (INTERNAL, "the chosen internal way is clearly nearer in 4 and clearly farther in 0"),
    (INPUT, "the chosen one by the pixels is clearly nearer in 4 and clearly farther in 0.")])
def test_answers_alone_are_the_measure_of_both(record, ways, said):
    better = copy.deepcopy(record)
    for name in better["config"]["images"]:
        runs, plain = (better["results"][f"{name}/{way}"]["runs"] for way in (chosen(record, name, ways), "answers"))
        for run, other in zip(runs, plain):
            run["kl"] = 0.5 * other["kl"] * (1 + 0.01 * run["seed"])
    assert said in functions_of(record, "internal-derivatives-result")["answer"](better)


@pytest.mark.parametrize("factor, said", [(0.5, "0.5 times"), (3.0, "3 times")])
def test_the_prediction_is_answered_by_the_record(record, factor, said):
    flipped = changed(record, factor, over=("answers",))
    told = functions_of(flipped, "internal-derivatives-guess")["told"](flipped)
    assert f"the chosen internal way ends at {said}" in told
    flipped = changed(record, factor)
    assert f"and at {said}" in functions_of(flipped, "internal-derivatives-guess")["told"](flipped)


@pytest.mark.parametrize("power, word", [(1, "So it is, roughly"), (-1, "It is not so")])
def test_the_reason_is_as_good_as_the_correlation(record, power, word):
    flipped = copy.deepcopy(record)
    for found in flipped["results"].values():
        for run in found["runs"]:
            if "slope" in run:
                run["slope"] = run["kl"] ** power
    said = functions_of(flipped, "internal-derivatives-why")["why_said"](flipped)
    assert said.startswith(word) and f"{power:.2f} (50 digits)" in said
    signed = f"{power:.2f}".replace("-", "−")
    assert f"don't ask about pixels, by {signed}, {signed}, {signed} and {signed}: high in {4 * (power > 0)} of 4 cells" in said
    assert ("the reverse in 4" in said) == (power < 0)
    mixed = flipped | {"results": {unit: found if unit.startswith("digits") else record["results"][unit]
                                   for unit, found in flipped["results"].items()}}
    assert f"{power:.2f} (1,000 digits)" in functions_of(mixed, "internal-derivatives-why")["why_said"](mixed)


def test_prices_are_those_of_the_record(record):
    flipped = copy.deepcopy(record)
    for unit, found in flipped["results"].items():
        if "price" in found:
            found["price"] = {"answers": 0.25, "layer 1": 1.5}.get(unit.split("/")[1], 1.0)
        for run in found["runs"]:
            run["seconds"] = 1.25 if unit.endswith("/between") else 1.0
    said = functions_of(flipped, "internal-derivatives-table")["price_said"](flipped)
    assert "takes 1 to 1.5 times as long" in said and "answers alone 0.25 times" in said
    assert "took 1 to 1.2 times as long" in said


def test_what_validation_chose_is_told(record):
    flipped = copy.deepcopy(record)
    for unit, found in flipped["results"].items():
        for trial in found["trials"]:
            trial["validation_kl"] = 9.0
        if unit.split("/")[1] in ("between", "input"):
            weight = {"between": 0.02, "input": 0.5}[unit.split("/")[1]]
            found["chosen"], found["trials"][0]["validation_kl"] = {"weight": weight}, 1.0
    said = functions_of(record, "internal-derivatives-table")["chosen_said"](flipped)
    assert "for shapes “slopes of layer 2 by layer 1” (weight 0.02) and “slopes by pixels” (weight 0.5), " in said
    assert ", where 0.02 is the smallest that was tried. One" in said and "0.5 is" not in said


@pytest.mark.parametrize("factor, count", [(0.1, 4), (10.0, 0)])
def test_how_the_reference_stands_follows_the_record(record, factor, count):
    flipped = copy.deepcopy(record)
    for name in flipped["config"]["images"]:
        runs, plain = (flipped["results"][f"{name}/{way}"]["runs"] for way in (REFERENCE, "answers"))
        for run, other in zip(runs, plain):
            run["kl"] = factor * other["kl"] * (1 + 0.01 * run["seed"])
    said = functions_of(flipped, "internal-derivatives-table")["reference_said"](flipped)
    assert f"answers alone in {count} of 4 cells, and than the chosen internal way in {count}." in said


def test_the_tables_hold_every_way_and_number(record):
    rows_of = functions_of(record, "internal-derivatives-table")["rows_of"]
    for each in cells(record):
        rows = rows_of(record, each)
        assert [row[0] for row in rows] == list(names().values()) and {len(row) for row in rows} == {7}
        assert rows[1][5] == str(record["config"]["steps"])
        assert all(" to " in row[3] for row in rows) and [" to " in row[6] for row in rows] == [True] * (len(rows) - 1) + [False]


def test_intervals_of_the_divergence_follow_the_record(record):
    same = copy.deepcopy(record)
    for found in same["results"].values():
        for run in found["runs"]:
            run["kl"] = 0.25 + (run["seed"] % 2 - 0.5) * 1e-9
    rows = functions_of(same, "internal-derivatives-table")["rows_of"](same, ("digits", 50))
    assert {row[3] for row in rows} == {"0.25 (0.25 to 0.25)"}
    thin = copy.deepcopy(same)
    for run in thin["results"]["digits/answers"]["runs"]:
        run["kl"] += 0.1 * (run["seed"] == 0)
    assert functions_of(thin, "internal-derivatives-table")["rows_of"](thin, ("digits", 50))[0][3] != "0.25 (0.25 to 0.25)"


def test_what_is_tuned_is_what_the_text_says(record):
    """All tune their term's weight, answers alone the learning rate; one set has one number of images."""
    tried = record["config"]["trials"]
    assert {len(trials) for trials in tried.values()} == {4}
    for way in WAYS:
        weights, rates = ({trial[name] for trial in tried[way]} for name in ("weight", "lr"))
        assert (len(weights), len(rates)) == ((1, 4) if way == "answers" else (4, 1))
    text = cell(PAGE, "internal-derivatives-03")
    assert "of its term's weight, or for answers alone, which have none, of the learning rate" in text
    assert len(record["config"]["images"]["shapes"]) == 1 and "these with one number of images only" in text
    assert "(200 images only)" in internal_matching.verdict(record).scale


def test_the_summary_counts_what_the_record_holds(record):
    short = functions_of(record, "internal-derivatives-short")["short_said"]
    assert "in 0 of 4 cells, and stayed behind in 4; at equal steps in 0 and 4." in short(changed(record, 2.0))
    assert "in 4 of 4 cells, and stayed behind in 0; at equal steps in 4 and 0." in short(changed(record, 0.5))


def test_the_verdict_turns_with_the_record(record):
    statuses = [internal_matching.verdict(changed(record, factor)).status for factor in (0.5, 1.0, 2.0)]
    assert statuses == ["confirmed", "open", "contradicted"]
    mixed = changed(changed(record, 0.5), 2.0, ["shapes"])
    assert internal_matching.verdict(mixed).status == "confirmed in direction"


# --- the exercise -----------------------------------------------------------------------------------------------

RIGHT = "def by_layer(W1, W2, z):\n    return (W2 * (1 - np.tanh(z) ** 2)) @ W1\n"


@pytest.mark.parametrize("change, said", [
    (None, "not yet"), (RIGHT, "right"), (RIGHT.replace("W1\n", "W1.tolist()\n"), "right"),
    (RIGHT.replace("return (W2", "return ((W2").replace("W1\n", "W1).T\n"), "turned"),
    ("def by_layer(W1, W2, z):\n    return W2 @ W1\n", "the slope of tanh is missing"),
    (RIGHT.replace("(1 - np.tanh(z) ** 2)", "np.tanh(z)"), "that is tanh itself"),
    (RIGHT.replace("** 2", ""), "it differs from differences"),
    (RIGHT.replace(" @ W1", ""), "expected shape (2, 3), got (2, 4)"),
    ("def by_layer(W1, W2, z):\n    return 'W2'\n", "expected a table of numbers")])
def test_the_exercise_takes_right_answers_and_names_what_is_wrong(change, said, capsys):
    empty = "def by_layer(W1, W2, z):\n    return None  # your answer: (outputs, units of h)\n"
    source = cell(PAGE, "internal-derivatives-exercise")
    assert empty in source
    exec(source.replace(empty, change or empty), {"sl": sl, "np": np})
    assert capsys.readouterr().out.strip().startswith(said)


def test_the_printed_solution_is_right():
    solution = cell(PAGE, "internal-derivatives-06").split("```python\n")[1].split("```")[0]
    assert solution == RIGHT
