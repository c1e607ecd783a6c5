"""The two Atari experiments: run end to end, tuned by the same budget, tested on episodes that nobody trained on."""
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
from sobolev_lib.atari import GAMES, Games, Plan, Run, actor_critic, agreement, distillation, envs, load_teacher
from sobolev_lib.atari import Student, Teacher, record_states, save_teacher, states, teachers
from sobolev_lib.experiments import atari_distillation, atari_reasons, atari_teachers, runner

play = importlib.import_module("sobolev_lib.atari.play")  # the package's function hides the module of that name
PLAN = Plan("pong", steps=100, games=4, horizon=8, epochs=1, minibatch=16)
TINY = atari_distillation.Config(
    games=("pong",), states=200, recorded_games=3, shares=(0.1, 0.3), noise_shares=(0.1, 0.3), jacobian_cells=(("pong", 0.1),), steps=24,
    batch_size=5, kl_lrs=(1e-3, 5e-3), lrs=(2e-3, 1e-2), alphas=(0.1,), noises=(0.02,), tuning_share=0.2, tuning_steps=3,
    test_states=30, curve_points=3, episodes=2, timing_steps=1, picture_share=0.3, pictures=2)
MEASURES = {"action_error", "kl", "kl_teacher_first"}


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
    for experiment in (atari_distillation, atari_reasons, atari_teachers):
        monkeypatch.setattr(experiment, "probe", lambda: {}, raising=False)  # it has tests of its own
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
                     lrs=(1e-3,), recorded_games=2, steps=2, tuning_steps=1, episodes=1, test_states=10, batch_size=2)
    record = run(atari_distillation, config, monkeypatch, seeds=1)
    assert [run["method"] for run in record["results"]["breakout/0.3"]["runs"]] == ["kl", "sobolev", "noise", "jacobian"]
    assert record["results"]["breakout/price"]["teacher"]["num_actions"] == 4


def test_a_record_of_the_distillation_holds_every_cell(folder, monkeypatch):
    record = run(atari_distillation, TINY, monkeypatch)
    assert set(record["results"]) == {"pong/price", "pong/0.1", "pong/0.3"} and record["seeds"] == [0, 1]
    assert [path.name for path in (folder / "records").rglob("*") if path.is_file()] == ["atari-distillation-quick.json"]
    price = record["results"]["pong/price"]
    assert set(price["seconds_per_step"]) == set(distillation.METHODS) and min(price["seconds_per_step"].values()) > 0
    quantiles = price["teacher"]["entropy_quantiles"]
    assert quantiles == sorted(quantiles) and 0 <= quantiles[0] <= price["teacher"]["mean_entropy"] <= quantiles[-1]
    assert quantiles[-1] <= math.log(3) + 1e-6 and price["teacher"]["num_actions"] == 3
    for share, methods in (("0.1", ("kl", "sobolev", "noise", "jacobian")), ("0.3", ("kl", "sobolev", "noise"))):
        cell = record["results"][f"pong/{share}"]
        assert sorted((r["method"], r["seed"]) for r in cell["runs"]) == sorted((m, s) for m in methods for s in (0, 1))
        assert cell["report_steps"] == [20, 21, 24], "the last report must be of the finished student"
        for found in cell["runs"]:
            assert set(found["curve"]) == MEASURES and {len(curve) for curve in found["curve"].values()} == {3}
            assert all(found[name] == found["curve"][name][-1] for name in MEASURES)
            assert 0 <= found["action_error"] <= 1 and found["kl"] > 0 and found["train_kl"] > 0
            assert -1 <= found["gradient_similarity"] <= 1 and len(found["scores"]) == 2
            method = "sobolev" if found["method"] == "jacobian" else found["method"]
            assert (found["lr"], found["strength"]) == tuple(cell["tuned"][method][key] for key in ("lr", "strength"))
        assert ("pictures" in cell) == (share == "0.3")


def test_noise_runs_only_where_it_is_asked_for(folder):
    config = replace(TINY, steps=2, noise_shares=(0.1,), jacobian_cells=())
    for share, methods in (("0.1", ["kl", "sobolev", "noise"]), ("0.3", ["kl", "sobolev"])):
        cell = atari_distillation.run_unit(f"pong/{share}", config, [0], "cpu")
        assert [found["method"] for found in cell["runs"]] == methods and set(cell["tuned"]) == {"kl", "sobolev", "noise"}


def test_a_cell_is_repeatable_and_is_what_distill_gives(folder):
    config = replace(TINY, steps=6, jacobian_cells=())
    cell = atari_distillation.run_unit("pong/0.1", config, [3], "cpu")
    shutil.rmtree(folder / "cache")
    assert atari_distillation.run_unit("pong/0.1", config, [3], "cpu") == cell
    # by hand: the same student, measured on all that was set aside for its seed
    made, teacher = the_states(), load_teacher("pong")
    train, _, test = made.split(0.1, seed=3)
    test = states.evenly(test, 30)
    found = next(r for r in cell["runs"] if (r["method"], r["seed"]) == ("sobolev", 3))
    student, = distillation.distill([Run("sobolev", found["lr"], found["strength"], 3)], teacher, made, {3: train},
                                    steps=6, batch_size=5, progress=False)
    measured = agreement(student, distillation.logits_of(teacher, made, test), made, test)
    assert asdict(measured) == {name: found[name] for name in MEASURES}
    few = states.evenly(train, 30)
    assert found["train_kl"] == agreement(student, distillation.logits_of(teacher, made, few), made, few).kl


# --- the protocol -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("preset", ["cpu", "paper"])
def test_every_tuned_method_gets_the_same_number_of_trials(preset):
    config = atari_distillation.PRESETS[preset]
    assert len(config.kl_lrs) == len(config.lrs) * len(config.alphas) == len(config.lrs) * len(config.noises) >= 6
    # and KL alone the same span of learning rates, or more
    assert min(config.kl_lrs) <= min(config.lrs) and max(config.kl_lrs) >= max(config.lrs)
    assert config.games == GAMES and config.states == 100_000 and config.tuning_seed not in range(100)
    assert config.tuning_share in config.shares and config.picture_share in config.shares
    assert {game for game, _ in config.jacobian_cells} <= set(config.games)
    assert {share for _, share in config.jacobian_cells} <= set(config.shares)


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
    trained, measured, slopes = [watch(monkeypatch, n) for n in ("distill", "agreement", "gradient_similarity")]
    made, config = the_states(), replace(TINY, steps=2)
    for share in (0.1, 0.3):
        atari_distillation.run_unit(f"pong/{share}", config, [0, 1], "cpu")
    tuning, *cells = trained  # the first call tunes, and the second cell takes over what it found
    assert len(cells) == 2, "one call for all methods and seeds of a cell, so that all get the same"
    splits = {seed: made.split(0.3, seed=seed) for seed in (0, 1)}
    for ((runs, teacher, _, train), settings, _), methods, size in zip(cells, (4, 3), (20, 60)):
        assert len({(run.method, run.seed) for run in runs}) == len(runs) == 2 * methods
        assert set(train) == {run.seed for run in runs} == {0, 1} and settings["steps"] == 2
        assert torch.equal(teacher.head.weight, load_teacher("pong").head.weight)
        for seed in (0, 1):
            assert len(train[seed]) == size and not episodes(made, train[seed]) & episodes(made, splits[seed][2])
    # what students are measured on: test states of their seed, and once a student (train_kl) training states
    on = [tuple(args[3]) for args, _, _ in measured[6:]]
    tests = [set(splits[seed][2].tolist()) for seed in (0, 1)]
    assert len(on) == (8 + 6) * 2 and len(set(on)) == 1 + 4
    assert sum(any(set(indices) <= test for test in tests) for indices in on) == 8 + 6
    assert len(slopes) == 8 + 6 and all(any(set(args[3].tolist()) <= test for test in tests) for args, _, _ in slopes)


def test_tuning_picks_the_lowest_validation_divergence_and_never_looks_at_test_states(monkeypatch):
    trained, measured = watch(monkeypatch, "distill"), watch(monkeypatch, "agreement")
    made, teacher = the_states(), load_teacher("pong")
    tuned = atari_distillation._tuned("pong", teacher, made, TINY, "cpu")
    ((trials, _, _, train), settings, _), = trained
    assert {run.seed for run in trials} == {1000} and settings["steps"] == 3
    assert [run.method for run in trials] == ["kl"] * 2 + ["sobolev"] * 2 + ["noise"] * 2 and len(tuned) == 3
    split = made.split(TINY.tuning_share, seed=1000)
    assert np.array_equal(train[1000], split[0])
    assert len(measured) == 6
    for args, _, _ in measured:
        assert set(args[3].tolist()) <= set(split[1].tolist())
        assert not any(episodes(made, args[3]) & episodes(made, made.split(0.1, seed=seed)[2]) for seed in range(5))
    for method, found in tuned.items():
        divergences = {(t["lr"], t["strength"]): t["validation_kl"] for t in found["trials"]}
        assert min(divergences, key=divergences.get) == (found["lr"], found["strength"])
        assert len(divergences) == 2 and all(value > 0 for value in divergences.values())
        assert {strength for _, strength in divergences} == {"kl": {0.0}, "sobolev": {0.1}, "noise": {0.02}}[method]


def test_what_was_tuned_is_kept_for_the_other_cells_of_the_game(folder, monkeypatch):
    made, teacher = the_states(), load_teacher("pong")
    trained = watch(monkeypatch, "distill")
    tuned = atari_distillation._tuned("pong", teacher, made, TINY, "cpu")
    assert atari_distillation._tuned("pong", teacher, made, TINY, "cpu") == tuned and len(trained) == 1
    atari_distillation._tuned("pong", teacher, made, replace(TINY, tuning_steps=4), "cpu")
    other = tiny(seed=8)
    theirs = record_states(other, "pong", count=TINY.states, games=3, progress=False)
    assert atari_distillation._tuned("pong", other, theirs, TINY, "cpu") != tuned
    assert len(trained) == 3, "another setting or teacher must be tuned for itself"


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

def test_gradient_similarity_is_a_mean_of_cosines(tmp_path):
    made, student, teacher = recording(tmp_path / "made", [150] * 2), tiny(seed=1), tiny(seed=9)
    indices = np.arange(5, 260)  # more than one part of 100
    actions, slopes = teacher(made[indices]).argmax(1), []
    for policy in (student, teacher):
        x = (made[indices] / 255).requires_grad_()
        policy(x).log_softmax(1)[torch.arange(255), actions].sum().backward()
        slopes.append(x.grad.flatten(1).double())
    cosines = [float(a @ b / a.norm() / b.norm()) for a, b in zip(*slopes)]
    found = distillation.gradient_similarity(student, teacher, made, indices)
    assert found == pytest.approx(np.mean(cosines), abs=1e-5) and abs(found) < 0.9
    assert distillation.gradient_similarity(teacher, teacher, made, indices) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("n, count, expected", [(10, 3, [0, 4, 9]), (3, 10, [0, 1, 2]), (5, 5, [0, 1, 2, 3, 4]),
                                                (0, 4, [])])
def test_states_are_taken_at_equal_distances(n, count, expected):
    assert states.evenly(np.arange(n) + 7, count).tolist() == [index + 7 for index in expected]


def test_pictures_show_held_out_screens_and_each_policys_own_gradient(tmp_path):
    made, policies = recording(tmp_path / "made", [20] * 3), {"teacher": tiny(seed=9), "kl": tiny(seed=1)}
    indices = np.arange(10, 40)
    pictures = atari_distillation._pictures(policies, made, indices, 4)
    logits = distillation.logits_of(policies["teacher"], made, indices)
    sure = logits.softmax(1).max(1).values
    assert len(pictures) == 4
    for picture in pictures:
        screen = atari_distillation.unpack(picture["screen"])
        index = next(k for k in range(60) if np.array_equal(made.screens[k], screen))
        row = indices.tolist().index(index)
        assert sure[row] >= sure.median() and picture["action"] == logits[row].argmax()
        assert picture["teacher"]["cosine"] == pytest.approx(1, abs=1e-5)
        for name, policy in policies.items():
            slope = distillation.input_gradient(policy, made[[index]], torch.tensor([picture["action"]]))[0, -1].numpy()
            limit = np.quantile(np.abs(slope), 0.995)
            shown = atari_distillation.unpack_gradient(picture[name]["gradient"])
            assert np.abs(shown - (slope / limit).clip(-1, 1)).max() <= 0.5 / 20 + 1e-3  # half a step of opacity
            probability = policy(made[[index]]).softmax(1)[0, picture["action"]].item()
            assert picture[name]["probability"] == pytest.approx(probability, rel=1e-4)


def test_a_packed_picture_comes_back():
    codes = np.random.default_rng(0).integers(0, 256, (84, 84), dtype=np.uint8)
    assert np.array_equal(atari_distillation.unpack(atari_distillation.pack(codes)), codes)


# --- one change at a time ---------------------------------------------------------------------------------------

REASONS = atari_reasons.Config(
    game="pong", states=200, recorded_games=3, batch_size=5, base=atari_reasons.Setting(share=0.1, steps=6, lr=2e-3),
    changes={"as it was": {}, "more": {"steps": 9, "alpha": 0.5}, "other way": {"divergence": "kl_teacher_first"},
             "mixed": {"projections": 2, "derivative_loss": "mse", "lr": 1e-3}}, test_states=30, curve_points=3)


def test_a_change_is_all_that_sets_two_units_apart(monkeypatch):
    trained = watch_reasons(monkeypatch)
    record = run(atari_reasons, REASONS, monkeypatch)
    assert set(record["results"]) == set(REASONS.changes) == set(atari_reasons.units(REASONS))
    made, base = the_states(), asdict(REASONS.base)
    for (name, change), ((runs, _, _, train), settings) in zip(REASONS.changes.items(), trained):
        found = record["results"][name]
        assert found["setting"] == base | change
        assert [(r["method"], r["seed"]) for r in found["runs"]] == [(m, s) for s in (0, 1) for m in ("kl", "sobolev")]
        assert {run.lr for run in runs} == {found["setting"]["lr"]} and settings["steps"] == found["setting"]["steps"]
        assert {run.strength for run in runs} == {0.0, found["setting"]["alpha"]}
        assert all(settings[key] == found["setting"][key] for key in ("projections", "derivative_loss", "divergence"))
        assert all(np.array_equal(train[seed], made.split(0.1, seed=seed)[0]) for seed in (0, 1))
        assert found["report_steps"][-1] == found["setting"]["steps"]
        for r in found["runs"]:
            assert r["kl"] == r["curve"]["kl"][-1] > 0 and -1 <= r["gradient_similarity"] <= 1
    kl = [record["results"][name]["runs"][0]["kl"] for name in REASONS.changes]
    assert len(set(kl)) == 4, "every change here but that of the Sobolev term's own settings touches KL alone too"


def watch_reasons(monkeypatch):
    original, calls = atari_reasons.distill, []

    def watched(*args, **kwargs):
        calls.append((args, kwargs))
        return original(*args, **kwargs)

    monkeypatch.setattr(atari_reasons, "distill", watched)
    return calls


def test_each_change_names_a_setting_and_the_first_changes_nothing():
    for config in atari_reasons.PRESETS.values():
        (_, first), *rest = config.changes.items()
        assert first == {} and all(change for _, change in rest)
        for change in config.changes.values():
            replace(config.base, **change)


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
    for preset in ("cpu", "paper"):
        config = atari_teachers.PRESETS[preset]
        assert atari_teachers.units(config) == list(GAMES) and config.ship and config.episodes >= 30
    steps = [[plan.steps for plan in atari_teachers.PRESETS[name].plans] for name in ("quick", "cpu", "paper")]
    assert steps[0][0] < min(steps[1]) < max(steps[1]) < min(steps[2]) and not atari_teachers.PRESETS["quick"].ship
    for config in atari_teachers.PRESETS.values():
        for plan in config.plans:
            assert plan.batch % plan.minibatch == 0, "the last minibatch would weigh more than its share"
