"""Sentences about Atari students follow from the record: with another outcome they say something else."""
import copy
import re

import pytest

from sobolev_lib import records
from sobolev_lib.experiments import atari_numbers, atari_players, atari_students, atari_trials, atari_verdict


@pytest.fixture(params=["gpu", "cpu"])
def record(request):
    return records.load_record("atari-distillation", request.param)


def swapped(record):
    """The same record with the outcomes of the two methods exchanged."""
    other = copy.deepcopy(record)
    for cell in other["results"].values():
        for run in cell.get("runs", ()):
            run["method"] = {"kl": "sobolev", "sobolev": "kl"}.get(run["method"], run["method"])
    return other


def with_dead(record, game, share, method, count):
    other = copy.deepcopy(record)
    living = [run for run in atari_verdict.students(other, game, share, method) if not atari_verdict.is_dead(run)]
    for run in living[:count]:
        run["kl"] = run["train_kl"] = run["curve"]["kl"][0]
        run["gradient_similarity"] = 0.0
    return other


def test_the_answer_turns_with_the_record(record):
    said, turned = atari_students.answer(record), atari_students.answer(swapped(record))
    assert "brings the student closer to its teacher's policy in all 3 games" in said and "away" not in said
    assert "leads the student away from its teacher's policy in all 3 games" in turned and "closer" not in turned


def test_the_answer_says_how_the_student_plays(record):
    """The bold part is about policies; games are won or lost."""
    assert "still plays worse than its teacher on Pong and Breakout (mean score" in atari_students.answer(record)
    other = copy.deepcopy(record)
    for k, run in enumerate(atari_verdict.students(other, "pong", 0.01, "sobolev")):
        run["scores"] = [90.0 + k]
    assert "the student plays better than its teacher on Pong (mean score 9" in atari_students.answer(other)


def test_numbers_are_the_records(record):
    a, b = ([run["kl"] for run in atari_verdict.students(record, "pong", 0.01, method)] for method in ("kl", "sobolev"))
    mean = 1.0
    for x, y in zip(a, b):
        mean *= (x / y) ** (1 / len(a))
    assert f"{mean:.1f} times as large on Pong" in atari_students.answer(record)


def test_the_dead_are_named_and_left_out(record):
    seeds = len(atari_verdict.students(record, "pong", 0.01, "sobolev"))
    dead = atari_verdict.deaths(atari_verdict.students(record, "pong", 0.01, "sobolev"))
    other = with_dead(record, "pong", 0.01, "sobolev", 1)
    name = f"{dead + 1} of {seeds} with KL + Sobolev on Pong at 1%"
    left_out = re.search(r"Pairs with a dead student are left out: ([^.]*)[.]", atari_students.answer(other))
    assert left_out is not None and name in left_out[1]
    assert name not in atari_students.answer(record) and ("left out" in atari_students.answer(record)) == (dead > 0)
    assert name in atari_numbers.dead(other) and name in atari_students.with_more_states(other)
    assert 0 not in atari_verdict.log_ratios(other, "pong", 0.01)
    everyone = with_dead(record, "pong", 0.01, "sobolev", seeds)
    assert "leads the student away from its teacher's policy on Pong" in atari_students.answer(everyone)
    assert atari_students.by_heart(everyone).count("2 games") == 2


def test_a_method_that_kills_more_students_is_not_clearly_better(record):
    assert "makes no clear difference on Pong" in atari_students.answer(with_dead(record, "pong", 0.01, "sobolev", 1))


def test_the_dead_among_those_that_trained_longer_are_named():
    record = records.load_record("atari-distillation", "gpu")
    runs = atari_verdict.students(record, "pong", 0.05, "kl_longer")
    assert "left out" not in atari_students.at_equal_time(record)
    said = atari_students.at_equal_time(with_dead(record, "pong", 0.05, "kl_longer", 2))
    assert f"left out: 2 of {len(runs)} with KL only for longer on Pong at 5%." in said


def test_who_fits_more_closely_turns_with_the_record(record):
    assert "closer to the teacher in all 3 games" in atari_students.by_heart(record)
    assert "closer to the teacher in none of 3 games" in atari_students.by_heart(swapped(record))


def test_more_states_count_the_cells(record):
    said, turned = atari_students.with_more_states(record), atari_students.with_more_states(swapped(record))
    counts = [re.search(r"help clearly in (\d+) of \d+ cells .*? hurt clearly in (\d+)", each).groups() for each in (said, turned)]
    assert counts[0] == counts[1][::-1] and int(counts[0][0]) > int(counts[0][1])
    assert "shrinks on all 3 games" in said and "shrinks on none of 3 games" in turned
    dead = with_dead(record, "breakout", max(record["config"]["shares"]), "kl", len(record["seeds"]))
    assert "Breakout by a single living pair" not in said + atari_students.with_more_states(dead)
    for run in atari_verdict.students(dead, "breakout", max(record["config"]["shares"]), "kl")[:1]:
        run.update(next(one for one in atari_verdict.students(record, "breakout", max(record["config"]["shares"]), "kl")
                        if one["seed"] == run["seed"]))
    assert "Breakout by a single living pair" in atari_students.with_more_states(dead)


def test_play_turns_with_the_scores(record):
    other = copy.deepcopy(record)
    for run in atari_verdict.students(other, "pong", 0.01, "sobolev"):
        run["scores"] = [20.0 + 0.001 * run["seed"]] * 3
    for run in atari_verdict.students(other, "pong", 0.01, "kl"):
        run["scores"] = [-20.0] * 3
    assert atari_players.played(other).startswith("Students with slopes score more on Pong")
    assert "hey score less on Pong" in atari_players.played(swapped(other))


def test_prices_and_pixels_are_the_records(record):
    assert "with one random direction" in atari_students.price(record)
    a, b = ([run["gradient_similarity"] for run in atari_verdict.students(record, "breakout", 0.01, method)]
            for method in ("kl", "sobolev"))
    assert f"{sum(a) / len(a):.2f} against {sum(b) / len(b):.2f} on Breakout" in atari_students.same_pixels(record)


def test_a_method_that_was_not_run_is_not_told():
    record = records.load_record("atari-distillation", "cpu")
    assert atari_students.at_equal_time(record).startswith("Give the student without slopes 3 times as many steps")
    for cell in [cell for cell in record["results"].values() if "runs" in cell]:
        cell["runs"] = [run for run in cell["runs"] if run["method"] != "kl_longer"]
    assert atari_verdict.pairs(record, "pong", 0.05, "kl_longer") == [] and atari_students.at_equal_time(record) == ""


def test_the_summary_turns_with_the_record(record):
    assert "clearly closer to their teacher in all 3 games" in atari_students.in_short(record)
    assert "clearly closer to their teacher in none of 3 games" in atari_students.in_short(swapped(record))


def test_all_pairs_that_lose_are_named():
    record = records.load_record("atari-distillation", "cpu")
    assert atari_numbers.losing(record) == {("breakout", 0.5): 3} and atari_students.all_lose(record) == ""    # it is clear
    other = swapped(record)
    assert "all 3 pairs on Space Invaders at 50%" in atari_students.with_more_states(other)
    one_dead = with_dead(other, "space_invaders", 0.5, "kl", 1)
    assert "both living pairs on Space Invaders at 50%" in atari_students.with_more_states(one_dead)
    run = atari_verdict.students(other, "space_invaders", 0.5, "sobolev")[0]
    run["kl"] = 1e-4
    assert "Space Invaders at 50%" not in atari_students.all_lose(other)
    assert atari_students.not_run(records.load_record("atari-distillation", "gpu"), record) == (
        " 4,000 steps were not run with 20% and 50% of the states.")
    assert atari_students.not_run(record, record) == ""


def test_noise_is_told_where_it_was_run():
    record = records.load_record("atari-distillation", "cpu")
    said = atari_students.cheap_twin(record)
    assert "was clearly better than KL alone on none of 3 games (5% of the states, 2,000 steps, 5 seeds)" in said
    assert "Slopes were clearly better than noise on Space Invaders." in said
    some = with_dead(record, "breakout", 0.05, "noise", 1)
    assert "(1 of 5 dead)" in atari_numbers.mean_kl(some, "breakout", 0.05, "noise")
    other = copy.deepcopy(record)
    for run, base in zip(atari_verdict.students(other, "pong", 0.05, "noise"),
                         atari_verdict.students(other, "pong", 0.05, "kl")):
        run["kl"] = base["kl"] / (10 + run["seed"])
    assert "was clearly better than KL alone on Pong (" in atari_students.cheap_twin(other)
    assert atari_students.cheap_twin(records.load_record("atari-distillation", "gpu")) == ""


def test_weights_and_undecided_teachers_are_the_records():
    record = records.load_record("atari-distillation", "gpu")
    assert atari_trials.smallest_weight(record).startswith("The smallest weight that was tried did best in all 3 games, so")
    assert atari_trials.largest_weight(record).endswith("worse than without slopes on Breakout.")
    assert "slopes help most, so this is not seen here" in atari_players.where_nobody_cares(record)
    other = copy.deepcopy(record)
    for game in atari_numbers.games(record):
        for trial in atari_trials.trials(other, game, "sobolev"):
            trial["validation_kl"] = 1 / trial["strength"]
    assert atari_trials.smallest_weight(other) == "The smallest weight that was tried did best in none of 3 games."
    assert "in no game worse" not in atari_trials.largest_weight(other)
    for run in atari_verdict.students(other, "space_invaders", 0.01, "sobolev"):
        run["kl"] = 9.0 * run["kl"] if run["kl"] < 0.02 else run["kl"]
    assert "slopes help least." in atari_players.where_nobody_cares(other)


def test_equal_time_names_the_games():
    record = records.load_record("atari-distillation", "gpu")
    assert "So at equal time they help on Pong at 5%, not clearly on Breakout at 5%." in atari_students.at_equal_time(record)
    other = copy.deepcopy(record)
    for run in atari_verdict.students(other, "breakout", 0.05, "sobolev"):
        run["kl"] *= 0.5
    assert "they help on Pong at 5% and Breakout at 5%." in atari_students.at_equal_time(other)
    assert re.search(r"its test divergence is 1\.\d times as large on Pong at 5% and .* as that of the student with slopes",
                     atari_students.at_equal_time(other))


def test_how_much_states_are_learned_by_heart_is_told_in_two_digits(record):
    low, high = re.search(r"is ([\d,.]+) to ([\d,.]+) times that on the students' own", atari_students.by_heart(record)).groups()
    assert all(len(end.replace(",", "").replace(".", "").strip("0")) <= 2 for end in (low, high))


def test_overfitting_is_told_as_the_reproduction_tells_it(record):
    assert "times the training KL" in atari_students.overfitted(record)
