"""Records that lack cells: what reads them says what is missing, or leaves it out; nothing fails in another way."""
import json
import re
from collections import defaultdict

import pytest

from sobolev_lib import records
from sobolev_lib.experiments import (
    atari_numbers,
    atari_players,
    atari_students,
    atari_trials,
    atari_verdict,
    decoupled_parts,
    regressor_defaults,
    runner,
    table_1_answer,
    table_1_verdict,
)
from sobolev_lib.experiments.reproduction import CLAIMS, NOT_RUN, row_of

RECORDED = [name for name in runner.EXPERIMENTS if any((records.records_folder() / f"{name}-{preset}.json").exists()
                                                       for preset in records.PRESETS)]
# whose records take longest to thin, and whose sentences are made as the others' are
LONG = {"black-box-peers", "curvature", "harmful-slopes", "internal-matching", "seven-functions"}
# a number that is none, nothing where a name or number belongs, counts of nothing
HOLLOW = re.compile(r"\bnan\b| \.|  |\bof 0(?![.\d]| %)|\ball 0\b|^\.|\bon\.|slopes \*\*")


def weekly(name):
    return pytest.param(name, marks=pytest.mark.slow) if name in LONG else name


def lighter(record):
    """Without what is there to be drawn, and takes most of the space."""
    if isinstance(record, dict):
        return {name: lighter(part) for name, part in record.items() if name not in ("surface", "pictures", "training_points")}
    return record


def thinned(record):
    """The record without single units, a dozen of them, without each kind of unit, without each method's runs, without runs, with nothing."""
    whole = {name: part for name, part in record.items() if name != "results"}

    def of(results):
        return json.loads(json.dumps(whole | {"results": results}))        # a copy, in a fraction of copy.deepcopy's time

    record = lighter(record)

    results, kinds = record["results"], defaultdict(list)
    yield "whole", of(results)
    yield "nothing", of({})
    for unit in list(results)[::max(1, len(results) // 12)]:
        yield f"without {unit}", of({other: found for other, found in results.items() if other != unit})
    for unit in results:
        for part in unit.split("/"):
            kinds[part].append(unit)
    for kind, units in kinds.items():
        if 1 < len(units) < len(results):
            yield f"without {kind}", of({unit: found for unit, found in results.items() if unit not in units})
            yield f"only {kind}", of({unit: results[unit] for unit in units})
    cells = {unit: found["runs"] for unit, found in results.items() if isinstance(found, dict) and "runs" in found}
    for method in {run.get("method") for runs in cells.values() for run in runs}:
        kept = {unit: {**results[unit], "runs": [run for run in runs if method is not None and run["method"] != method]}
                for unit, runs in cells.items()}
        yield f"without runs of {method or 'any method'}", of(results | kept)
    for unit in cells:
        yield f"without runs of {unit}", of(results | {unit: {**results[unit], "runs": []}})
    if cells:
        yield "one run each", of(results | {unit: {**results[unit], "runs": runs[:1]} for unit, runs in cells.items()})


def check(record, readers):
    """Each reader gives whole sentences of each thinned record, or says that something is missing."""
    told = 0
    for what, thin in thinned(record):
        for name, read in readers.items():
            try:
                found = read(thin)
            except records.MissingResults as error:
                assert len(str(error)) > 20, (what, name)
                continue
            told += 1
            if isinstance(found, str):
                assert not HOLLOW.search(found), (what, name, found)
    assert told


@pytest.mark.parametrize("name", [weekly(name) for name in RECORDED])
def test_no_verdict_comes_of_nothing(name):
    experiment, record = runner.find(name), records.load_record(name)
    if not hasattr(experiment, "verdict"):
        # the paper says nothing of teachers, or of a regressor's defaults
        assert name in ("atari-teachers", "regressor-defaults")
        return
    assert experiment.verdict(record)
    with pytest.raises(records.MissingResults, match="record: expected .* got none"):
        experiment.verdict(record | {"results": {}})
    check(record, {"measured": lambda record: experiment.verdict(record).measured,
                   "scale": lambda record: experiment.verdict(record).scale})


def test_no_standing_comes_of_nothing():
    record = records.load_record("regressor-defaults")
    with pytest.raises(records.MissingResults, match="got none"):
        regressor_defaults.kept(record | {"results": {}})
    check(record, {what: lambda record, what=what: regressor_defaults.kept(record, what) for what in ("value", "slope")})


@pytest.mark.parametrize("name", [weekly(name) for name in RECORDED if any(claim.experiment == name for claim in CLAIMS)])
def test_a_row_of_the_reproduction_is_whole_or_not_run(name, tmp_path, monkeypatch):
    record, claims = records.load_record(name), [claim for claim in CLAIMS if claim.experiment == name]
    with records.records_in(tmp_path):                     # of the others there is none
        for what, thin in thinned(record):
            monkeypatch.setattr("sobolev_lib.experiments.reproduction.claim.load_record", lambda name: thin)
            for claim in claims:
                row = row_of(claim)
                assert not HOLLOW.search(row.ours), (what, claim.key, row.ours)
                assert what != "nothing" or (row.status, row.ours) == (NOT_RUN, ""), claim.key


@pytest.mark.parametrize("preset", ["gpu", pytest.param("cpu", marks=pytest.mark.slow)])
def test_sentences_on_atari_students(preset):
    record = records.load_record("atari-distillation", preset)
    games, shares = record["config"]["games"], record["config"]["shares"]
    sentences = [getattr(module, name) for module, names in (
        (atari_students, ("answer", "fits_closer", "by_heart", "with_more_states", "all_lose", "cheap_twin", "overfitted",
                          "same_pixels", "at_equal_time", "price", "in_short")),
        (atari_players, ("beside_the_teacher", "played", "where_nobody_cares")),
        (atari_trials, ("smallest_weight", "largest_weight")), (atari_numbers, ("dead", "losing", "noise_cells", "sided")),
        (atari_verdict, ("comparisons", "cells"))) for name in names]
    numbers = {"gain": lambda record: [atari_numbers.gain(record, game, share) for game in games for share in shares],
               "mean_kl": lambda record: [atari_numbers.mean_kl(record, game, share, method) for game in games
                                          for share in shares for method in atari_numbers.NAMES],
               "scores": lambda record: [atari_players.teachers_scores(record, game) for game in games],
               "undecided": lambda record: [atari_players.undecided(record, game) for game in games],
               "weights": lambda record: [atari_trials.best_by_weight(record, game) for game in games],
               "trials": lambda record: [atari_trials.trials(record, game, "kl") for game in games]}
    check(record, {read.__name__: read for read in sentences} | numbers)


def test_where_no_student_was_trained_the_sentences_say_so():
    record = records.load_record("atari-distillation")
    few, none = f"{min(record['config']['shares']):.0%}", record | {"results": {}}
    assert atari_students.answer(none) == f"**No students with and without slopes have been trained on {few} of the states.**"
    assert "students with and without slopes have not been compared." in atari_students.in_short(none)
    assert atari_students.same_pixels(none) == "not known: no students of both kinds live"
    assert atari_trials.largest_weight(none) == atari_trials.smallest_weight(none) == "No weights have been tried."
    assert atari_players.beside_the_teacher(none) == atari_players.played(none) == ""


def test_where_the_teachers_facts_are_missing_the_rest_is_told():
    record = records.load_record("atari-distillation")
    games = record["config"]["games"]
    thin = record | {"results": {unit: found for unit, found in record["results"].items() if unit != f"{games[0]}/price"}}
    title = atari_numbers.TITLES[games[0]]
    assert title in atari_players.beside_the_teacher(record) and title not in atari_players.beside_the_teacher(thin)
    with pytest.raises(records.MissingResults, match=f"record: expected results of '{games[0]}/price' in atari-distillation, "
                                                     "preset .*, got none; make them with: python -m"):
        atari_players.teachers_scores(thin, games[0])


def test_sentences_on_table_1():
    record, parts = records.load_record("synthetic-gradients-cifar10"), records.load_record("decoupled-parts")
    both = [(name, targets) for name in ("ranking", "gains", "adds", "against_the_paper", "aim")
            for targets in record["config"]["targets"]]
    readers = {f"{name} {targets}": lambda record, name=name, targets=targets: getattr(table_1_answer, name)(record, targets)
               for name, targets in both}
    readers |= {f"chosen {method}": lambda record, method=method: table_1_answer.chosen(record, method)
                for method in table_1_answer.GUESSES}
    readers |= {name: getattr(table_1_answer, name) for name in ("overfitting", "asymmetries", "both_kinds")}
    readers |= {"answer": lambda record: table_1_answer.answer(record, parts),
                "in_short": lambda record: table_1_answer.in_short(record, parts), "status": table_1_verdict.status}
    check(record, readers)
    check(parts, {"answer": lambda parts: table_1_answer.answer(record, parts), "decoupled": table_1_answer.decoupled,
                  "speeds": lambda parts: decoupled_parts.speeds(parts, decoupled_parts.RIVALS[0])})
