"""Table 1's experiments: the same start and the same budget for all, nothing tuned on test images, resumed runs."""
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sobolev_lib import records
from sobolev_lib.experiments import (
    decoupled_parts, runner, synthetic_gradients_bootstrapping, synthetic_gradients_cifar10, synthetic_gradients_imagenet, table_1,
)
from sobolev_lib.experiments.table_1 import Config
from sobolev_lib.synthetic_gradients import training

TINY = Config("digits", "small_conv", width=8, cuts=(("block2",), ("block1", "block3")), lrs=(1e-3, 4e-3),
              synthetic_lrs=(1e-3, 2e-3, 3e-3), epochs=2, tuning_epochs=1, batch_size=20, train_images=100,
              validation_images=60, synthetic_width=8)
EXPERIMENTS = (synthetic_gradients_cifar10, synthetic_gradients_imagenet)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for module in (records, runner, table_1):
        monkeypatch.setattr(module, "records_folder", lambda: tmp_path)
    for cached in (table_1.images_of, table_1._backprop_lr):
        cached.cache_clear()
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    yield tmp_path
    torch.set_flush_denormal(False)


def without_times(result):
    return {**result, "runs": [{key: value for key, value in run.items() if key != "seconds"} for run in result["runs"]]}


def test_a_record_holds_every_method_target_and_way_to_cut(folder, monkeypatch):
    monkeypatch.setitem(synthetic_gradients_cifar10.PRESETS, "quick", replace(
        TINY, methods=("backprop", "noprop", "direct", "critic"), tuned_for=("backprop", "each")))
    path = runner.run("synthetic-gradients-cifar10", "quick", 2, "cpu", progress=False)
    record = json.loads(path.read_text())
    found = record["results"]
    predicted = [f"{count}/{method}/{targets}" for count in (1, 2) for method in ("direct", "critic")
                 for targets in ("true", "bootstrapped")]
    rivals = [*predicted, "1/noprop", "2/noprop"]
    assert set(found) == {"backprop", *rivals, *[f"{unit}/each" for unit in rivals]}
    assert record["config"]["cuts"] == [["block2"], ["block1", "block3"]]
    for unit, result in found.items():
        assert result["method"] in unit and len(result["runs"]) == 2
        assert result["targets"] == ("bootstrapped" if "bootstrapped" in unit else "true")
        assert result["tuned_for"] == ("each" if unit.endswith("each") else "backprop")
        predicts = result["method"] not in ("backprop", "noprop")
        for seed, run in enumerate(result["runs"]):
            assert run["seed"] == seed and 0 <= run["test_accuracy"] <= run["test_top5"] <= 1
            assert run["curve"]["steps"] == [2, 4, 6, 8, 10] and run["curve"]["test_accuracy"][-1] == run["test_accuracy"]
            cuts = run["diagnostics"]["cuts"]
            assert len(cuts) == len(result["cuts"]) and len(cuts[0]["cosine"]) == len(run["diagnostics"]["steps"])
            assert len(run["asymmetry"]) == (len(cuts) if predicts else 0)
        assert (result["parameters"]["synthetic"] > 0) == predicts
    assert not (folder / ".unfinished" / "table-1").exists() or not any((folder / ".unfinished" / "table-1").iterdir())


def test_all_methods_get_as_many_trials_and_backprops_learning_rate():
    backprop = table_1.run_unit("backprop", TINY, [0], "cpu")["tuned"]
    assert [trial["lr"] for trial in backprop["trials"]] == [1e-3, 4e-3]
    noprop = table_1.run_unit("2/noprop", TINY, [0], "cpu")["tuned"]
    assert noprop == {"lr": backprop["lr"], "synthetic_lr": 0.0, "trials": []}
    for method in ("direct", "sobolev"):
        tuned = table_1.run_unit(f"2/{method}/bootstrapped", TINY, [0], "cpu")["tuned"]
        assert [(trial["lr"], trial["synthetic_lr"]) for trial in tuned["trials"]] == [(backprop["lr"], rate)
                                                                                     for rate in TINY.synthetic_lrs]
        best = max(tuned["trials"], key=lambda trial: trial["validation_accuracy"])
        assert tuned["synthetic_lr"] == best["synthetic_lr"]
    each = table_1.run_unit("2/sobolev/true/each", TINY, [0], "cpu")["tuned"]
    assert len(each["trials"]) == 6


def test_tuning_sees_neither_the_test_images_nor_the_runs_seeds(monkeypatch):
    images, (pixels, labels) = table_1.images_of(TINY)
    assert len(labels) == 60 and len(images.train[1]) == 100 and len(images.test[1]) == 355
    seen = {picture.numpy().tobytes() for picture in images.train[0]}
    assert not seen & {picture.numpy().tobytes() for picture in pixels}, "held out, yet trained on"
    calls, original = [], table_1.fit

    def fit(config, images, *arguments, **options):
        calls.append((config.epochs, images.test[0], arguments[-2] if options or len(arguments) < 8 else arguments[-3]))
        return original(config, images, *arguments, **options)

    monkeypatch.setattr(table_1, "fit", fit)
    table_1.run_unit("1/critic/true", TINY, [0, 1], "cpu")
    trials = [call for call in calls if call[0] == TINY.tuning_epochs]
    runs = [call for call in calls if call[0] == TINY.epochs]
    assert len(runs) == 2 and len(trials) == 5
    assert all(torch.equal(test, pixels) and seed == table_1.TUNING_SEED for _, test, seed in trials)
    assert all(torch.equal(test, images.test[0]) for _, test, _ in runs) and [seed for *_, seed in runs] == [0, 1]


def test_every_method_starts_from_the_same_weights_and_cuts_do_not_matter():
    images, _ = table_1.images_of(TINY)
    first, *others = [table_1.build(TINY, images, cuts, method, "true", seed=3).network.state_dict()
                      for cuts in TINY.cuts for method in TINY.methods]
    for other in others:
        assert all(torch.equal(value, other[name]) for name, value in first.items())
    another = table_1.build(TINY, images, TINY.cuts[0], "critic", "true", seed=4).network.state_dict()
    assert any(not torch.equal(value, another[name]) for name, value in first.items())


@pytest.mark.parametrize("kill_at", [2, 4, 7])
def test_a_run_killed_within_a_unit_goes_on_with_the_same_result(kill_at, monkeypatch):
    whole = table_1.run_unit("2/sobolev/true", TINY, [0, 1], "cpu")
    original, written = training.save_checkpoint, []

    def save(*arguments, **options):
        original(*arguments, **options)
        written.append(arguments[0])
        if len(written) == kill_at:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "save_checkpoint", save)
    with pytest.raises(KeyboardInterrupt):
        table_1.run_unit("2/sobolev/true", TINY, [0, 1], "cpu")
    again = table_1.run_unit("2/sobolev/true", TINY, [0, 1], "cpu")
    assert len(written) == 10 and without_times(again) == without_times(whole)


def test_asymmetry_is_that_of_the_trained_fields():
    images, _ = table_1.images_of(TINY)
    found = {}
    for method in ("direct", "sobolev", "noprop"):
        model, _ = table_1.fit(TINY, images, TINY.cuts[1], method, "true", 1e-3, 3e-3, 0, "cpu")
        found[method] = table_1.asymmetry(model, images, "cpu")
    assert found["noprop"] == [] and len(found["direct"]) == 2
    assert max(found["sobolev"]) < 1e-3 < 0.1 < min(found["direct"])


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_presets_name_what_is_there(experiment):
    for config in experiment.PRESETS.values():
        assert hasattr(table_1.networks, config.network)
        assert len({len(cuts) for cuts in config.cuts}) == len(config.cuts), "a unit names its cuts by their number"
        units = experiment.units(config)
        assert len(units) == len(set(units))
        for unit in units:
            assert "/".join(part for part in unit.split("/")) and table_1._parse(unit)[1] in config.methods


def test_a_change_of_the_shared_protocol_makes_both_records_stale(tmp_path, monkeypatch):
    before = [runner.code_hash(experiment) for experiment in EXPERIMENTS]
    copy = tmp_path / "table_1.py"
    copy.write_text(Path(table_1.__file__).read_text() + "\nCHANGED = 1\n")
    original = runner.inspect.getsourcefile
    monkeypatch.setattr(runner.inspect, "getsourcefile", lambda thing: str(copy) if thing is table_1.run_unit else original(thing))
    assert all(runner.code_hash(experiment) != old for experiment, old in zip(EXPERIMENTS, before))


@pytest.mark.slow
def test_on_digits_the_order_is_the_papers():
    """Issue: critic and sobolev above noprop beyond the spread of three seeds, sobolev within three points of backprop."""
    torch.set_flush_denormal(True)
    config = synthetic_gradients_cifar10.PRESETS["quick"]
    found = {unit: [run["test_accuracy"] for run in table_1.run_unit(unit, config, [0, 1, 2], "cpu")["runs"]]
             for unit in table_1.units(config) if "direct" not in unit and "vfbn" not in unit}
    assert min(found["3/critic/true"]) > max(found["3/noprop"]) and min(found["3/sobolev/true"]) > max(found["3/noprop"])
    assert sum(found["3/sobolev/true"]) / 3 > sum(found["backprop"]) / 3 - 0.03


# --- one change at a time ---------------------------------------------------------------------------------------

def test_each_change_changes_one_thing_and_reaches_training(folder, monkeypatch):
    seen, original = [], table_1.train

    def train(model, batches, **options):
        seen.append({"method": model.method, "targets": model.targets, **options})
        return original(model, batches, **options)

    monkeypatch.setattr(table_1, "train", train)
    small = replace(TINY, cuts=(("block2",),), epochs=2, resumable=False)
    config = replace(synthetic_gradients_bootstrapping.PRESETS["cpu"], table=small)
    monkeypatch.setitem(synthetic_gradients_bootstrapping.PRESETS, "quick", config)
    record = json.loads(runner.run("synthetic-gradients-bootstrapping", "quick", 1, "cpu", progress=False).read_text())
    assert list(record["results"]) == list(config.changes)
    asked = {key: [options[key] for options in seen if options["method"] == "sobolev"]
             for key in ("targets", "lr", "synthetic_lr", "steps", "warmup", "synthetic_steps", "clip")}
    assert asked == {
        "targets": ["bootstrapped", "true", *["bootstrapped"] * 6], "lr": [*[3e-3] * 3, 1e-3, *[3e-3] * 4],
        "synthetic_lr": [1e-3, 1e-3, 3e-3, *[1e-3] * 5], "steps": [*[10] * 7, 30], "warmup": [*[0] * 4, 1, 0, 0, 0],
        "synthetic_steps": [*[1] * 6, 3, 1], "clip": [*[None] * 5, 0.5, None, None]}
    for change, found in record["results"].items():
        assert [run["method"] for run in found["runs"]] == ["noprop", "critic", "sobolev"]
        assert all(len(run["cosine"]) == 1 and 0 <= run["test_accuracy"] <= 1 for run in found["runs"])
    for config in synthetic_gradients_bootstrapping.PRESETS.values():
        first, *others = config.changes.values()
        assert first == {} and all(len(change) == 1 for change in others)


# --- parts in processes -----------------------------------------------------------------------------------------

def test_decoupled_parts_are_timed_in_turns_and_trained_to_their_end(folder, monkeypatch):
    small = replace(decoupled_parts.PRESETS["quick"], steps=30, timed_steps=5)
    monkeypatch.setitem(decoupled_parts.PRESETS, "quick", small)
    record = json.loads(runner.run("decoupled-parts", "quick", 1, "cpu", progress=False).read_text())
    speed = record["results"]["speed"]
    assert list(speed) == list(decoupled_parts.WAYS)
    for way, (method, processes, _) in decoupled_parts.WAYS.items():
        found = speed[way]
        assert len(found["images_per_second"]) == 1 and found["images_per_second"][0] > 0
        assert len(found["busy"][0]) == processes and all(0 < share <= 1 for share in found["busy"][0])
        assert {part for part, *_ in found["work"]} == (set() if processes == 1 else {1, 2})
        assert all(begin <= end for *_, begin, end in found["work"])
    accuracy = {unit: result["test_accuracy"][0] for unit, result in record["results"].items() if unit != "speed"}
    assert len(accuracy) == 4 and min(accuracy.values()) > 0.3, "ten classes: a tenth is chance"
    alone, pipeline = [accuracy[f"accuracy/{way}"] for way in ("backprop, one thread", "backprop, pipeline of two processes")]
    assert abs(alone - pipeline) < 0.05, "a pipeline takes the steps of backpropagation"
