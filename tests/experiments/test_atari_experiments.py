"""The two Atari experiments: run end to end, tuned by the same budget, tested on episodes that nobody trained on."""
import copy
import importlib
import json
import math
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from arcade import Tiny, count_games, recording, tiny

from sobolev_lib import records
from sobolev_lib.atari import (
    GAMES,
    Answers,
    Games,
    Plan,
    Run,
    Student,
    Teacher,
    actor_critic,
    agreement,
    distillation,
    envs,
    gradient_similarity,
    input_gradient,
    load_teacher,
    logits_of,
    record_states,
    save_teacher,
    states,
    teachers,
)
from sobolev_lib.experiments import atari_distillation, atari_teachers, atari_verdict, gradient_pictures, runner
from sobolev_lib.experiments.gradient_pictures import Pictures
from sobolev_lib.experiments.keeping import Keep, TimeIsUp

play = importlib.import_module("sobolev_lib.atari.play")  # the package's function hides the module of that name
PLAN = Plan("pong", steps=100, games=4, horizon=8, epochs=1, minibatch=16)
TINY = atari_distillation.Config(
    games=("pong",), states=200, recorded_games=3, shares=(0.1, 0.3), few_seeds=2, few_seeds_shares=(0.3,), noise_shares=(0.1, 0.3),
    jacobian_cells=(("pong", 0.1),), longer_cells=(("pong", 0.1),), longer=2, steps=24, batch_size=5, warmup=4, kl_lrs=(1e-3, 5e-3),
    lrs=(2e-3, 1e-2), alphas=(0.1,), noises=(0.02,), tuning_share=0.2, tuning_steps=3, test_states=30, gradient_states=10,
    curve_points=3, episodes=4, timing_steps=1, picture_share=0.3, pictures=2, final_seeds=())
MEASURES = {"action_error", "kl", "kl_teacher_first", "gradient_similarity", "train_kl", "train_action_error"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Records, recordings and weights have folders of their own; games and networks are the smallest there are."""
    for module in (records, runner):
        monkeypatch.setattr(module, "records_folder", lambda: tmp_path / "records")
    for module in (teachers, atari_teachers, atari_distillation):
        monkeypatch.setattr(module, "shipped_weights", lambda: tmp_path / "weights")
    monkeypatch.setenv("SOBOLEV_CACHE", str(tmp_path / "cache"))
    for module in (actor_critic, play, states):
        count_games(monkeypatch, module)
    for module in (actor_critic, teachers):
        monkeypatch.setattr(module, "Teacher", Tiny)
    monkeypatch.setattr(distillation, "Student", Tiny)
    for experiment in (atari_distillation, atari_teachers):
        monkeypatch.setattr(experiment, "probe", dict, raising=False)  # it has tests of its own
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    save_teacher(tiny(seed=9), "pong", tmp_path / "weights" / "pong.safetensors")
    return tmp_path


def run(experiment, config, monkeypatch, seeds=2):
    monkeypatch.setitem(experiment.PRESETS, "quick", config)
    path = runner.run(experiment.NAME, "quick", seeds, "cpu", progress=False)
    return json.loads(path.read_text())


def watch(monkeypatch, name):
    """A list of (arguments, named arguments, result) of the calls that the distillation experiment makes of ``name``."""
    original, calls = getattr(atari_distillation, name), []

    def watched(*args, **kwargs):
        result = original(*args, **kwargs)
        calls.append((args, kwargs, result))
        return result

    monkeypatch.setattr(atari_distillation, name, watched)
    return calls


def the_states():
    return record_states(load_teacher("pong"), "pong", count=TINY.states, games=TINY.recorded_games, progress=False)


def episodes(made, indices):
    return set((np.searchsorted(made.starts, indices, side="right") - 1).tolist())


# --- end to end -------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_both_run_end_to_end_with_an_emulator_and_whole_networks(folder, monkeypatch):
    monkeypatch.setattr(envs, "MAX_FRAMES", 100)  # an episode is 25 steps at most
    for module in (actor_critic, play, states):
        monkeypatch.setattr(module, "Games", Games)
    for module in (actor_critic, teachers):
        monkeypatch.setattr(module, "Teacher", Teacher)
    monkeypatch.setattr(distillation, "Student", Student)
    plan = replace(PLAN, game="breakout", games=2, horizon=32, minibatch=32, steps=64)
    record = run(atari_teachers, atari_teachers.Config((plan,), episodes=1), monkeypatch, seeds=1)
    found = record["results"]["breakout"]
    assert found["agent_steps"] == 64 and found["frames"] == 256 and len(found["curve"]["score"]) == 1
    assert load_teacher("breakout").num_actions == 4
    config = replace(TINY, games=("breakout",), jacobian_cells=(("breakout", 0.3),), shares=(0.3,), noise_shares=(0.3,), kl_lrs=(1e-3,),
                     longer_cells=(), lrs=(1e-3,), recorded_games=2, steps=2, tuning_steps=1, episodes=1, test_states=10,
                     batch_size=2)
    record = run(atari_distillation, config, monkeypatch, seeds=1)
    assert [run["method"] for run in record["results"]["breakout/0.3"]["runs"]] == ["kl", "sobolev", "noise", "jacobian"]
    assert record["results"]["breakout/price"]["teacher"]["num_actions"] == 4


@pytest.mark.slow
def test_a_record_of_the_distillation_holds_every_cell(folder, monkeypatch):
    record = run(atari_distillation, TINY, monkeypatch, seeds=3)
    assert set(record["results"]) == {"pong/price", "pong/0.1", "pong/0.3"} and record["seeds"] == [0, 1, 2]
    assert [path.name for path in (folder / "records").rglob("*") if path.is_file()] == ["atari-distillation-quick.json"]
    price = record["results"]["pong/price"]
    assert set(price["seconds_per_step"]) == set(distillation.OBJECTIVES) and min(price["seconds_per_step"].values()) > 0
    quantiles = price["teacher"]["entropy_quantiles"]
    assert quantiles == sorted(quantiles) and 0 <= quantiles[0] <= price["teacher"]["mean_entropy"] <= quantiles[-1]
    assert quantiles[-1] <= math.log(3) + 1e-6 and price["teacher"]["num_actions"] == 3
    for share, seeds, methods in (("0.1", 3, ("kl", "sobolev", "noise", "jacobian", "kl_longer")),
                                  ("0.3", 2, ("kl", "sobolev", "noise"))):
        cell = record["results"][f"pong/{share}"]
        assert sorted((r["method"], r["seed"]) for r in cell["runs"]) == sorted((m, s) for m in methods for s in range(seeds))
        assert cell["report_steps"] == [20, 21, 24], "the last report must be of the finished student"
        assert cell["longer_report_steps"] == [20, 30, 48]
        for found in cell["runs"]:
            assert set(found["curve"]) == MEASURES and {len(curve) for curve in found["curve"].values()} == {3}
            assert all(found[name] == found["curve"][name][-1] for name in MEASURES)
            assert 0 <= found["action_error"] <= 1 and found["kl"] > 0 and found["train_kl"] > 0
            assert -1 <= found["gradient_similarity"] <= 1 and "pictures" not in found
            assert len(found["scores"]) * seeds >= TINY.episodes > (len(found["scores"]) - 1) * seeds
            method = {"jacobian": "sobolev", "kl_longer": "kl"}.get(found["method"], found["method"])
            assert (found["lr"], found["strength"]) == tuple(cell["tuned"][method][key] for key in ("lr", "strength"))
        assert ("pictures" in cell) == (share == "0.3")
    for picture in record["results"]["pong/0.3"]["pictures"]:
        assert set(picture) == {"screen", "action", "teacher", "kl", "sobolev"}


@pytest.mark.slow
def test_noise_runs_only_where_it_is_asked_for(folder):
    config = replace(TINY, steps=2, noise_shares=(0.1,), jacobian_cells=(), longer_cells=())
    for share, methods in (("0.1", ["kl", "sobolev", "noise"]), ("0.3", ["kl", "sobolev"])):
        cell = atari_distillation.run_unit(f"pong/{share}", config, [0], "cpu", Keep())
        assert [found["method"] for found in cell["runs"]] == methods and set(cell["tuned"]) == {"kl", "sobolev", "noise"}
    cell = atari_distillation.run_unit("pong/0.1", replace(config, noise_shares=()), [0], "cpu", Keep())
    assert set(cell["tuned"]) == {"kl", "sobolev"}, "what runs nowhere is not tuned"


@pytest.mark.slow
def test_a_cell_is_repeatable_and_is_what_distill_gives(folder):
    config = replace(TINY, steps=6, jacobian_cells=())
    cell = atari_distillation.run_unit("pong/0.1", config, [3], "cpu", Keep())
    shutil.rmtree(folder / "cache")
    assert atari_distillation.run_unit("pong/0.1", config, [3], "cpu", Keep()) == cell
    # by hand: the same student, measured on all that was set aside for its seed
    made, teacher = the_states(), load_teacher("pong")
    train, _, test = made.split(0.1, seed=3)
    test, few = states.evenly(test, 30), states.evenly(train, 30)
    answers = {3: Answers(teacher, made, train, jacobian=True)}
    for method, steps in (("sobolev", 6), ("kl", 6), ("kl_longer", 12)):
        found = next(r for r in cell["runs"] if (r["method"], r["seed"]) == (method, 3))
        own = Run(method.removesuffix("_longer"), found["lr"], found["strength"], 3)
        student, = distillation.distill([own], answers, steps=steps, batch_size=5, warmup=4, clip=1.0, progress=False)
        measured = asdict(agreement(student, logits_of(teacher, made, test), made, test))
        assert measured == pytest.approx({name: found[name] for name in measured}, rel=1e-5)
        assert found["train_kl"] == pytest.approx(agreement(student, logits_of(teacher, made, few), made, few).kl, rel=1e-5)
        cosine = gradient_similarity(student, teacher, made, states.evenly(test, 10))
        assert found["gradient_similarity"] == pytest.approx(cosine, abs=1e-5)


@pytest.mark.slow
def test_a_cell_that_is_paused_again_and_again_ends_as_if_it_had_not_been(folder, monkeypatch):
    config = replace(TINY, steps=8, jacobian_cells=())
    whole = atari_distillation.run_unit("pong/0.1", config, [0, 1], "cpu", Keep())
    original = atari_distillation.distill
    monkeypatch.setattr(atari_distillation, "distill", lambda *args, **kwargs: original(*args, checkpoint_seconds=0, **kwargs))
    pauses, stopped, found = 0, 0, None

    class Pausing(Keep):
        def pause(self):
            nonlocal pauses
            pauses += 1
            if pauses % 4 == 0:
                raise TimeIsUp

    while found is None:
        try:
            found = atari_distillation.run_unit("pong/0.1", config, [0, 1], "cpu", Pausing(folder / "unit" / "pong~0.1"))
        except TimeIsUp:
            stopped += 1
    assert stopped > 5 and found == whole


# --- the protocol -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("preset", ["cpu", "gpu", "paper"])
def test_every_tuned_method_gets_the_same_number_of_trials(preset):
    config = atari_distillation.PRESETS[preset]
    assert len(config.kl_lrs) == len(config.lrs) * len(config.alphas) == len(config.lrs) * len(config.noises) >= 16
    assert len(config.alphas) >= 4 and len(set(config.kl_lrs)) == len(config.kl_lrs)
    # and KL alone the same span of learning rates, or more
    assert min(config.kl_lrs) <= min(config.lrs) and max(config.kl_lrs) >= max(config.lrs)
    assert config.games == GAMES and config.states == 100_000 and config.tuning_seed not in range(100)
    # one seed more than once would be no evidence; the gpu preset's record was made before there were finals
    assert len({config.tuning_seed, *config.final_seeds} - set(range(100))) == (1 if preset == "gpu" else 4)
    assert config.tuning_share in config.shares and config.picture_share in (None, *config.shares)
    assert config.steps >= 2_000 and 2 * config.tuning_steps >= config.steps and config.few_seeds >= 3
    assert {game for game, _ in config.jacobian_cells} <= set(config.games)
    assert {share for _, share in (*config.jacobian_cells, *config.longer_cells)} <= set(config.shares)


def test_the_papers_preset_runs_the_full_jacobian_everywhere_and_for_longer():
    cpu, paper = [atari_distillation.PRESETS[name] for name in ("cpu", "paper")]
    assert set(paper.jacobian_cells) == {(game, share) for game in paper.games for share in paper.shares}
    assert paper.noise_shares == paper.shares and set(cpu.noise_shares) <= set(cpu.shares)
    assert paper.steps >= 10 * cpu.steps and paper.tuning_steps >= 10 * cpu.tuning_steps


def test_a_unit_is_a_cell_and_prices_come_first():
    config = atari_distillation.PRESETS["cpu"]
    units = atari_distillation.units(config)
    assert units[:3] == [f"{game}/price" for game in GAMES] and len(units) == 3 + 3 * len(config.shares)
    assert {float(unit.split("/")[1]) for unit in units[3:]} == set(config.shares)


def test_test_episodes_are_never_trained_on_and_methods_differ_in_nothing_else(monkeypatch):
    trained, measured = watch(monkeypatch, "distill"), watch(monkeypatch, "Measures")
    made, config = the_states(), replace(TINY, steps=2)
    for share in (0.1, 0.3):
        atari_distillation.run_unit(f"pong/{share}", config, [0, 1], "cpu", Keep())
    splits = {seed: made.split(0.3, seed=seed) for seed in (0, 1, 1000)}
    by_run, tests = {}, [set(split[2].tolist()) for split in splits.values()]
    assert tests[0] == tests[1] == tests[2]
    for (runs, answers), settings, _ in trained:
        for run in runs:
            asked = answers[run.seed]
            by_run.setdefault((run.seed, len(asked), settings["steps"]), []).append((run.method, settings))
            assert not episodes(made, asked.indices) & episodes(made, splits[run.seed][2])
            assert torch.equal(asked.teacher.head.weight, load_teacher("pong").head.weight)
            assert np.array_equal(asked.indices, made.split(len(asked) / 200, seed=run.seed)[0])
            assert (asked.jacobian is not None) == any(run.method in ("sobolev", "jacobian") for run in runs)
    for (seed, size, steps), found in by_run.items():
        methods = sorted(method for method, _ in found)
        if seed == 1000:
            assert (size, steps) == (40, 3) and methods == sorted(2 * ["kl", "noise", "sobolev"] * 2)   # tuned twice, for two folders
        elif steps == 4:
            assert size == 20 and methods == ["kl"], "KL alone, for longer"
        else:
            assert methods == {20: ["jacobian", "kl", "noise", "sobolev"], 60: ["kl", "noise", "sobolev"]}[size]
        assert len({(settings["batch_size"], settings["warmup"], settings["clip"]) for _, settings in found}) == 1
    for args, _, _ in measured:                            # held-out states of final runs: test; of tuning: validation
        _, _, held_out, train, *_ = args
        part = splits[1000][1] if 1000 in train else splits[0][2]
        assert set(held_out.tolist()) <= set(part.tolist()) and len(held_out) == min(30, len(part))


def tune(config, keep):
    return atari_distillation._tuned("pong", load_teacher("pong"), the_states(), config, "cpu", keep)


def test_tuning_picks_the_lowest_validation_divergence_and_never_looks_at_test_states(monkeypatch):
    trained = watch(monkeypatch, "distill")
    made, teacher = the_states(), load_teacher("pong")
    tuned = tune(TINY, Keep())
    runs = [run for (runs, _), _, _ in trained for run in runs]
    assert {run.seed for run in runs} == {1000} and {settings["steps"] for _, settings, _ in trained} == {3}
    assert [run.method for run in runs] == ["kl"] * 2 + ["sobolev"] * 2 + ["noise"] * 2 and len(tuned) == 3
    train, validation, _ = made.split(TINY.tuning_share, seed=1000)
    validation = states.evenly(validation, TINY.test_states)
    assert all(np.array_equal(answers[1000].indices, train) for (_, answers), _, _ in trained)
    assert not any(episodes(made, validation) & episodes(made, made.split(0.1, seed=seed)[2]) for seed in range(5))
    answers = logits_of(teacher, made, validation)
    expected = {(run.method, run.lr, run.strength): agreement(student, answers, made, validation).kl
                for (runs, _), _, students in trained for run, student in zip(runs, students)}
    for method, found in tuned.items():
        divergences = {(t["lr"], t["strength"]): t["validation_kl"] for t in found["trials"]}
        assert divergences == pytest.approx({key[1:]: kl for key, kl in expected.items() if key[0] == method}, rel=1e-5)
        assert min(divergences, key=divergences.get) == (found["lr"], found["strength"])
        assert len(divergences) == 2 and {strength for _, strength in divergences} == \
            {"kl": {0.0}, "sobolev": {0.1}, "noise": {0.02}}[method]


def test_finalists_run_on_more_seeds_and_the_lowest_mean_wins(monkeypatch):
    trained = watch(monkeypatch, "distill")
    made, teacher = the_states(), load_teacher("pong")
    config = replace(TINY, kl_lrs=(1e-3, 5e-3, 1e-2), lrs=(1e-3, 5e-3, 1e-2), finalists=2, final_seeds=(1001, 1002))
    tuned = tune(config, Keep())
    assert [len({run.seed for run in runs}) for (runs, _), _, _ in trained] == [1, 2] and len(trained[1][0][0]) == 3 * 2 * 2
    answers = trained[1][0][1]
    assert all(np.array_equal(answers[seed].indices, made.split(0.2, seed=seed)[0]) for seed in (1001, 1002))
    validation = states.evenly(made.split(0.2)[1], TINY.test_states)
    logits = logits_of(teacher, made, validation)
    expected = {(run.method, run.lr, run.seed): agreement(student, logits, made, validation).kl
                for (runs, _), _, students in trained for run, student in zip(runs, students)}
    for method, found in tuned.items():
        first = sorted(found["trials"], key=lambda trial: trial["validation_kl"])
        assert [final["lr"] for final in found["finals"]] == [trial["lr"] for trial in first[:2]]
        for final in found["finals"]:
            assert final["validation_kl"] == pytest.approx([expected[method, final["lr"], seed] for seed in (1000, 1001, 1002)], rel=1e-5)
        assert found["lr"] == min(found["finals"], key=lambda final: sum(final["validation_kl"]))["lr"]


def test_a_rate_that_kills_students_on_other_seeds_does_not_win(monkeypatch):
    def made_up(runs, *args, **kwargs):
        return [{**asdict(run), "action_error": 0.5, "kl": 1.8 if run.lr == 1e-2 and run.seed == 1002 else 0.2 - 10 * run.lr}
                for run in runs]

    monkeypatch.setattr(atari_distillation, "trained", made_up)
    config = replace(TINY, kl_lrs=(1e-3, 5e-3, 1e-2), lrs=(1e-3, 5e-3, 1e-2))
    assert {found["lr"] for found in tune(config, Keep()).values()} == {1e-2}
    assert {found["lr"] for found in tune(replace(config, final_seeds=(1001, 1002)), Keep()).values()} == {5e-3}


def test_what_was_tuned_is_kept_for_the_other_cells_of_the_game(folder, monkeypatch):
    trained = watch(monkeypatch, "distill")
    tuned = tune(TINY, Keep(folder / "unit" / "pong~0.1"))
    assert len(trained) == 1
    assert tune(TINY, Keep(folder / "unit" / "pong~0.3")) == tuned and len(trained) == 1
    assert tune(TINY, Keep(folder / "other" / "pong~0.1")) == tuned and len(trained) == 2


@pytest.mark.slow
def test_jacobians_are_kept_where_there_is_room_for_all(monkeypatch):
    trained, bytes_a_seed = watch(monkeypatch, "distill"), 20 * 3 * 28_224 * 2
    for room, seeds, kept in ((2 * bytes_a_seed, 2, True), (2 * bytes_a_seed - 1, 2, False), (2 * bytes_a_seed - 1, 1, True)):
        config = replace(TINY, steps=1, kept_jacobians=room)
        atari_distillation.run_unit("pong/0.1", config, list(range(seeds)), "cpu", Keep())
        # by whether slopes are asked for, and of the final runs: tuning has a seed of its own
        final = {any(run.method in ("sobolev", "jacobian") for run in runs): {asked.jacobian is not None for asked in answers.values()}
                 for (runs, answers), _, _ in trained if 1000 not in answers}
        assert final == {True: {kept}, False: {False}}, "KL alone, for longer, needs none"
        trained.clear()


# --- what the numbers say ---------------------------------------------------------------------------------------

def told(ratios, errors=0.05, share="0.05"):
    """A record in which KL alone has ``ratios`` times the divergence of KL + Sobolev, a game a row, a seed a column."""
    results = {f"{game}/price": {} for game in GAMES}
    for game, row in zip(GAMES, ratios):
        results[f"{game}/{share}"] = {"runs": [
            {"method": method, "seed": seed, "kl": 0.1 * (ratio if method == "kl" else 1), "curve": {"kl": [1e6, 0.1]},
             "action_error": 0.2 + (errors + 0.001 * seed if method == "kl" else 0)}
            for seed, ratio in enumerate(row) for method in ("kl", "sobolev")]}
    return {"results": results, "config": asdict(replace(atari_distillation.PRESETS["cpu"], shares=(float(share),)))}


UP, DOWN, AROUND = (1.4, 1.5, 1.6), (0.5, 0.6, 0.7), (0.7, 1.5, 1.0)


@pytest.mark.parametrize("ratios, errors, status", [
    ((UP, UP, UP), 0.05, "confirmed"), ((UP, UP, UP), -0.05, "confirmed in direction"),
    ((UP, UP, AROUND), 0.05, "confirmed in direction"), ((UP, UP, DOWN), 0.05, "open"), ((UP, AROUND, AROUND), 0.05, "open"),
    ((AROUND, AROUND, AROUND), 0.05, "open"), ((DOWN, DOWN, UP), 0.05, "contradicted"), ((DOWN, DOWN, DOWN), -0.05, "contradicted")])
def test_the_verdict_follows_its_rule(ratios, errors, status):
    record = told(ratios, errors)
    found = atari_verdict.verdict(record)
    assert found.status == status
    cells = atari_verdict.comparisons(record)
    assert [cell["answer"] for cell in cells] == [{UP: "better", DOWN: "worse", AROUND: "undecided"}[row] for row in ratios]
    assert {cell["error_answer"] for cell in cells} == {"better" if errors > 0 else "worse"}
    better = sum(row == UP for row in ratios)
    assert f"lower with Sobolev in {better} of 3 cells" in found.measured and "3 games, 5% of 100,000 states" in found.scale


def test_a_comparison_is_over_seeds_one_by_one():
    """Seeds that differ much among themselves but not in their ratio settle the question."""
    record = told((UP,) * 3)
    runs = record["results"]["pong/0.05"]["runs"]
    for run in runs:
        run["kl"] *= 100 ** run["seed"]
    cell = atari_verdict.comparisons(record)[0]
    assert cell["ratio"][0] == pytest.approx((1.4 * 1.5 * 1.6) ** (1 / 3)) and cell["answer"] == "better" and cell["seeds"] == 3
    assert cell["ratio"][1] < cell["ratio"][0] < cell["ratio"][2] and cell["error"][0] == pytest.approx(0.051)
    assert atari_verdict.comparisons(record, against="noise") == []
    runs[1]["kl"] = -1e-12                                 # rounding
    assert atari_verdict.comparisons(record)[0]["ratio"][0] > 100


def with_dead(record, game, method, count):
    for run in [run for run in record["results"][f"{game}/0.05"]["runs"] if run["method"] == method][:count]:
        run["kl"] = run["curve"]["kl"][0]
    return record


def test_a_pair_with_a_dead_student_has_no_ratio_and_more_dead_with_slopes_are_not_better():
    assert atari_verdict.is_dead({"kl": 1.0, "curve": {"kl": [1.0]}}) is False, "one measurement does not tell"
    alone, slopes, all_dead = (atari_verdict.comparisons(with_dead(told((UP,) * 3), "pong", method, count))[0]
                               for method, count in (("kl", 1), ("sobolev", 1), ("sobolev", 3)))
    assert alone["dead"] == [1, 0] and alone["seeds"] == 3
    assert alone["ratio"][0] == pytest.approx((1.5 * 1.6) ** 0.5) == slopes["ratio"][0]
    five = told(((1.4, 1.5, 1.6, 1.5, 1.55),) * 3)
    assert atari_verdict.comparisons(with_dead(copy.deepcopy(five), "pong", "kl", 1))[0]["answer"] == "better"
    found = atari_verdict.comparisons(with_dead(five, "pong", "sobolev", 1))[0]
    assert found["answer"] == "undecided" == found["error_answer"] and found["ratio"][1] > 1
    assert all_dead["ratio"] is None and all_dead["answer"] == "worse" == all_dead["error_answer"]
    said = atari_verdict.verdict(with_dead(told((UP,) * 3), "pong", "sobolev", 3))
    assert said.status == "open" and "Dead students: 0 with KL alone, 3 with Sobolev." in said.measured
    nobody = told((UP,) * 3)
    for game in GAMES:
        with_dead(with_dead(nobody, game, "sobolev", 3), game, "kl", 3)
    assert atari_verdict.verdict(nobody).status == "open"


def test_a_record_says_which_teachers_were_distilled(folder, monkeypatch):
    monkeypatch.setitem(atari_distillation.PRESETS, "quick", TINY)
    described = [atari_distillation.describe(TINY)]
    for teacher in (load_teacher("pong"), tiny(seed=10)):
        save_teacher(teacher, "pong", folder / "weights" / "pong.safetensors")
        described.append(atari_distillation.describe(TINY))
    assert described[0] == described[1] != described[2], "the same weights, written again, are the same teacher"
    assert set(described[0]["teachers"]) == {"pong"} and described[0]["states"] == 200
    assert atari_distillation.describe(replace(TINY, games=GAMES))["teachers"] == described[2]["teachers"]
    assert atari_distillation.describe(TINY)["teachers"]["pong"] == the_states().about["teacher"]


# --- measures ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("n, count, expected", [(10, 3, [0, 4, 9]), (3, 10, [0, 1, 2]), (5, 5, [0, 1, 2, 3, 4]),
                                                (0, 4, [])])
def test_states_are_taken_at_equal_distances(n, count, expected):
    assert states.evenly(np.arange(n) + 7, count).tolist() == [index + 7 for index in expected]


def test_pictures_show_held_out_screens_and_each_policys_own_gradient(tmp_path):
    made, policies = recording(tmp_path / "made", [20] * 3), {"teacher": tiny(seed=9), "kl": tiny(seed=1)}
    indices = np.arange(10, 40)
    found = Pictures(policies["teacher"], made, indices, 4)
    pictures = [screen | {name: found.of(policy)[k] for name, policy in policies.items()}
                for k, screen in enumerate(found.screens)]
    logits = logits_of(policies["teacher"], made, indices)
    sure = logits.softmax(1).max(1).values
    assert len(pictures) == 4
    for picture in pictures:
        screen = gradient_pictures.unpack(picture["screen"])
        index = next(k for k in range(60) if np.array_equal(made.screens[k], screen))
        row = indices.tolist().index(index)
        assert sure[row] >= sure.median() and picture["action"] == logits[row].argmax()
        assert picture["teacher"]["cosine"] == pytest.approx(1, abs=1e-5)
        for name, policy in policies.items():
            slope = input_gradient(policy, made[[index]], torch.tensor([picture["action"]]))[0, -1].numpy()
            limit = np.quantile(np.abs(slope), 0.995)
            shown = gradient_pictures.unpack_gradient(picture[name]["gradient"])
            assert np.abs(shown - (slope / limit).clip(-1, 1)).max() <= 0.5 / 20 + 1e-3  # half a step of opacity
            probability = policy(made[[index]]).softmax(1)[0, picture["action"]].item()
            assert picture[name]["probability"] == pytest.approx(probability, rel=1e-4)


def test_a_packed_picture_comes_back():
    codes = np.random.default_rng(0).integers(0, 256, (84, 84), dtype=np.uint8)
    assert np.array_equal(gradient_pictures.unpack(gradient_pictures.pack(codes)), codes)


# --- the teachers -----------------------------------------------------------------------------------------------

def test_a_record_of_the_teachers_is_of_the_weights_that_were_written(folder, monkeypatch):
    scored = []
    original = atari_teachers.play
    monkeypatch.setattr(atari_teachers, "play", lambda policy, *args, **kwargs: scored.append((policy, kwargs))
                        or original(policy, *args, **kwargs))
    before = (folder / "weights" / "pong.safetensors").read_bytes()
    record = run(atari_teachers, atari_teachers.Config((PLAN,), episodes=7), monkeypatch)
    found = record["results"]["pong"]
    assert len(found["scores"]) == 7 and found["mean_score"] == pytest.approx(np.mean(found["scores"]), rel=1e-5)
    assert found["agent_steps"] == 128 and found["frames"] == 512, "training ends with a whole batch"
    assert found["curve"]["steps"][-1] == 128 and found["resumed"] == 0
    assert {len(curve) for curve in found["curve"].values()} == {len(found["curve"]["steps"])}
    assert record["config"]["plans"] == [asdict(PLAN)]
    shipped = load_teacher("pong")
    assert all(torch.equal(policy.head.weight, shipped.head.weight) for policy, _ in scored)
    assert [settings["greedy"] for _, settings in scored] == [False, True] and len(found["greedy_scores"]) == 7
    assert (folder / "weights" / "pong.safetensors").read_bytes() != before
    assert all(settings["seed"] not in range(PLAN.seed, PLAN.seed + 1000) for _, settings in scored), "scored on the episodes it was trained on"


def test_a_trial_run_does_not_touch_the_shipped_weights(folder, monkeypatch):
    before = (folder / "weights" / "pong.safetensors").read_bytes()
    run(atari_teachers, atari_teachers.Config((PLAN,), episodes=1, ship=False), monkeypatch)
    assert (folder / "weights" / "pong.safetensors").read_bytes() == before


def test_a_trial_run_and_a_long_one_do_not_share_a_checkpoint(folder, monkeypatch):
    """Their plans differ in length alone, and a checkpoint is good for plans of any length that has not been passed."""
    trial = atari_teachers.Config((PLAN,), episodes=1, ship=False)
    whole = atari_teachers.Config((replace(PLAN, steps=200),), episodes=1)
    for config, steps in ((trial, 128), (whole, 224), (trial, 128)):
        found = run(atari_teachers, config, monkeypatch)["results"]["pong"]
        assert found["agent_steps"] == found["curve"]["steps"][-1] == steps and found["replanned"] == []


def test_a_run_that_was_killed_while_playing_does_not_train_again(folder, monkeypatch):
    config = atari_teachers.Config((PLAN, replace(PLAN, game="breakout")), episodes=1)
    trained = count_games(monkeypatch, actor_critic)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(atari_teachers, "play", killed)
        with pytest.raises(KeyboardInterrupt):
            run(atari_teachers, config, monkeypatch)
    updates = []
    original = actor_critic._update
    monkeypatch.setattr(actor_critic, "_update", lambda *args: updates.append(1) or original(*args))
    record = run(atari_teachers, config, monkeypatch)
    assert len(updates) == 4, "only the game that had not been trained has updates left: 100 steps in batches of 32"
    assert [record["results"][game]["resumed"] for game in ("pong", "breakout")] == [0, 0]
    assert {games.game for games in trained} == {"pong", "breakout"}


def test_presets_train_the_papers_games():
    for preset in ("cpu", "gpu", "paper"):
        config = atari_teachers.PRESETS[preset]
        assert sorted(atari_teachers.units(config)) == sorted(GAMES) and config.ship and config.episodes >= 30
    steps = [[plan.steps for plan in atari_teachers.PRESETS[name].plans] for name in ("quick", "cpu", "gpu", "paper")]
    assert all(max(less) < min(more) for less, more in zip(steps, steps[1:])) and not atari_teachers.PRESETS["quick"].ship
    assert {4 * step for step in steps[2]} == {40_000_000}, "frames"
    for config in atari_teachers.PRESETS.values():
        for plan in config.plans:
            assert plan.batch % plan.minibatch == 0, "the last minibatch would weigh more than its share"
