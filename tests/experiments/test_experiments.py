"""Experiments resume, share work between processes, notice stale records."""
import datetime
import inspect
import json
import re
import shutil
import time
from dataclasses import replace
from functools import cache

import pytest
import shared_experiment
import torch
from forks import fork_group
from safetensors.torch import save_file

from sobolev_lib import records
from sobolev_lib.experiments import __main__ as command_line, runner, seven_functions, unfinished
from sobolev_lib.experiments.keeping import TimeIsUp

NAME, PROBE = "seven-functions", 0.25
TINY = seven_functions.Config(functions=("booth", "rosenbrock"), sizes=(6,), hidden=(4,), steps=4, batch_size=4,
                              regular_lrs=(1e-3, 1e-2), sobolev_lrs=(1e-2,), derivative_weights=(0.1, 1.0),
                              tuning_seeds=(1000,), validation_points=20, test_points=30, curve_points=2, compile=False)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Records go to a folder of their own, every preset is tiny, and one unit's surfaces are small."""
    for module in (records, runner, command_line):
        monkeypatch.setattr(module, "records_folder", lambda: tmp_path)
    monkeypatch.setattr(seven_functions, "probe", lambda: {"loss": PROBE})
    for preset in records.PRESETS:
        monkeypatch.setitem(seven_functions.PRESETS, preset, TINY)
    monkeypatch.setattr(seven_functions, "GRID", 5)
    monkeypatch.setattr(seven_functions, "ARROWS", 3)
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    yield tmp_path
    torch.set_flush_denormal(False)  # a run turns it on for the whole process


def run(seeds=2, preset="quick", minutes=None):
    return runner.run(NAME, preset, seeds, "cpu", minutes, progress=False)


def results(path):
    """What must not depend on when or how often the run was interrupted."""
    record = json.loads(path.read_text())
    return {key: record[key] for key in ("experiment", "preset", "config", "seeds", "results")}


@cache
def uninterrupted():
    """The results of a run that nothing stops, made once: its record goes, as it would be taken up."""
    path = run()
    found = results(path)
    path.unlink()
    return found


def fail_at(monkeypatch, count, error=KeyboardInterrupt):
    """Have the ``count``-th unit from now on stop the run, as a kill would."""
    original, started = seven_functions.run_unit, []

    def run_unit(unit, *arguments):
        started.append(unit)
        if len(started) == count:
            raise error
        return original(unit, *arguments)

    monkeypatch.setattr(seven_functions, "run_unit", run_unit)
    return started


# --- running ----------------------------------------------------------------------------------------------------

def test_a_run_leaves_one_record_and_no_leftovers(folder):
    path = run()
    assert path == folder / f"{NAME}-quick.json"
    record = json.loads(path.read_text())
    assert set(record["results"]) == {f"{f}/6/{m}" for f in TINY.functions for m in seven_functions.TRAININGS}
    assert record["seeds"] == [0, 1] and record["config"]["steps"] == 4 and record["probe"] == {"loss": PROBE}
    assert record["provenance"]["device"].startswith("CPU") and record["provenance"]["peak_memory_bytes"] > 0
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == [path.name]


@pytest.mark.parametrize("killed_at", [1, 2, 4])
def test_a_killed_run_resumes_to_the_same_record(folder, monkeypatch, killed_at):
    whole = uninterrupted()
    with monkeypatch.context() as context:
        fail_at(context, killed_at)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert not (folder / f"{NAME}-quick.json").exists()
    started = fail_at(monkeypatch, None)
    assert results(run()) == whole
    assert len(started) == 4 - (killed_at - 1), "finished units ran again"


def test_other_settings_do_not_share_unfinished_units(folder, monkeypatch):
    with monkeypatch.context() as context:
        fail_at(context, 2)
        with pytest.raises(KeyboardInterrupt):
            run(seeds=2)
    started = fail_at(monkeypatch, None)
    assert len(results(run(seeds=1))["results"]["booth/6/regular"]["test_mse"]) == 1
    assert len(started) == 4
    monkeypatch.setitem(seven_functions.PRESETS, "quick", replace(TINY, steps=5))
    run(seeds=2)
    assert len(started) == 8


# --- pausing, and unfinished work -------------------------------------------------------------------------------

def begin(monkeypatch, units=2, **options):
    """Leave a run after so many units; returns its folder."""
    with monkeypatch.context() as context:
        fail_at(context, units + 1)
        with pytest.raises(KeyboardInterrupt):
            run(**options)
    found, = (records.records_folder() / ".unfinished").iterdir()
    return found


def test_a_run_whose_time_is_up_says_what_is_left_and_goes_on(folder, monkeypatch):
    whole = uninterrupted()
    clock, original = [0.0], seven_functions.run_unit

    def run_unit(*arguments):
        clock[0] += 60
        return original(*arguments)

    monkeypatch.setattr(seven_functions, "run_unit", run_unit)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with pytest.raises(TimeIsUp, match="time is up: 2 of 4 units done; at .*The same command goes on"):
        run(minutes=2.5)
    assert not (folder / f"{NAME}-quick.json").exists()
    with pytest.raises(TimeIsUp, match="3 of 4 units done"):
        run(minutes=1.5)
    assert results(run(minutes=5)) == whole


def test_unfinished_work_travels_to_another_folder_and_device(folder, monkeypatch, tmp_path_factory):
    whole = uninterrupted()
    begun, elsewhere = begin(monkeypatch), tmp_path_factory.mktemp("elsewhere")
    assert str(folder) not in "".join(path.read_text() for path in begun.rglob("*.json"))
    shutil.copytree(begun, elsewhere / ".unfinished" / begun.name)
    for module in (records, runner):
        monkeypatch.setattr(module, "records_folder", lambda: elsewhere)
    here = runner.device_name("cpu")
    monkeypatch.setattr(runner, "device_name", lambda device: "another device")
    started = fail_at(monkeypatch, None)
    path = run()
    assert results(path) == whole and len(started) == 2
    assert json.loads(path.read_text())["provenance"]["device"] == f"{here}; another device"


def test_seconds_are_those_of_all_units_and_resumptions(folder, monkeypatch):
    begun = begin(monkeypatch)
    for path in begun.glob("*~*.json"):
        part = json.loads(path.read_text())
        assert part["seconds"] > 0 and part["date"] and part["peak_memory"] > 50e6 and part["devices"]
        path.write_text(json.dumps(part | {"seconds": 1000.0, "peak_memory": 10**12}))
    provenance = json.loads(run().read_text())["provenance"]
    assert 2000 <= provenance["wall_seconds"] < 2100 and provenance["peak_memory_bytes"] == 10**12


def test_unfinished_work_of_other_code_is_not_gone_on_with(folder, monkeypatch):
    begun = begin(monkeypatch)
    monkeypatch.setattr(seven_functions, "probe", lambda: {"loss": PROBE * 1.0001})
    assert begin(monkeypatch, units=0) == begun
    monkeypatch.setattr(seven_functions, "probe", lambda: {"loss": PROBE * 1.01})
    started = fail_at(monkeypatch, None)
    with pytest.raises(ValueError, match="now computes something else .*loss: expected 0.25, got 0.2525.*Delete") as raised:
        run()
    assert str(begun) in str(raised.value) and not started
    begun.rename(folder / "kept")
    assert json.loads(run().read_text())["probe"] == {"loss": 0.2525} and len(started) == 4


ANOTHER = json.dumps({"unit": "booth/6/sobolev", "results": {}, "date": "2026-01-01", "seconds": 1, "peak_memory": 1,
                      "devices": []})


@pytest.mark.parametrize("place, content, message", [
    ("booth~6~regular.json", '{"unit": "bo', "broken"), ("booth~6~regular.json", "null", "expected date, devices"),
    ("booth~6~regular.json", '{"results": {}}', "expected date, devices"),
    ("booth~6~regular.json", ANOTHER, "expected unit 'booth/6/regular'"),
    ("ackley~6~regular.json", ANOTHER, "expected files of this run's 4 units"),
    ("notes.txt", "hello", "expected files of this"),
    ("ackley~tuning/seed-0.json", "{", "broken"), ("probe.json", "[]", "expected probe, seeds, units"),
    ("booth~6~sobolev/tuning.json", "{", "broken"), ("booth~6~sobolev/progress.json", "{}", "expected at, devices"),
    ("booth~6~sobolev/seed-0.safetensors", "\x03", "broken"), ("booth~6~sobolev/seed-0.json", "[NaN]", "NaN is no number"),
    ("booth~6~sobolev/progress.json", '{"at": "", "seconds": "", "peak_memory": 0, "devices": []}', "expected at, devices"),
])
def test_broken_and_foreign_files_stop_the_run_before_any_work(folder, monkeypatch, place, content, message):
    begun = begin(monkeypatch, units=1)
    (begun / place).parent.mkdir(exist_ok=True)
    (begun / place).write_text(content)
    started = fail_at(monkeypatch, None)
    with pytest.raises(ValueError, match=message) as raised:
        run()
    assert str(begun / place) in str(raised.value) and not started


def test_what_was_done_without_a_probe_is_not_taken_up(folder, monkeypatch):
    with monkeypatch.context() as patched:
        fail_at(patched, 2)
        with pytest.raises(KeyboardInterrupt):
            run()
    place, = (folder / ".unfinished").iterdir()
    (place / "probe.json").unlink()
    with pytest.raises(ValueError, match="probe: expected .*probe.json beside what is done, got none"):
        run()
    assert len(list(place.glob("*.json"))) == 1


@pytest.mark.parametrize("place", ["probe.json", "booth~6~regular/progress.json"])
def test_files_that_go_while_they_are_looked_at_stop_nothing(folder, monkeypatch, place):
    """As when another process ends its unit, or writes the record, at this very moment."""
    with monkeypatch.context() as patched:
        fail_at(patched, 2)
        with pytest.raises(KeyboardInterrupt):
            run()
    begun, = (folder / ".unfinished").iterdir()
    (begun / place).parent.mkdir(exist_ok=True)
    (begun / place).write_text((begun / "probe.json").read_text())
    read = unfinished._read

    def late(path, *wanted):
        return read(path.with_name("gone.json") if path == begun / place else path, *wanted)

    monkeypatch.setattr(unfinished, "_read", late)
    unfinished.unfinished(folder, NAME, "quick")
    assert "units done" in unfinished.progress(begun, 4)
    assert run() == folder / f"{NAME}-quick.json"


@pytest.mark.parametrize("content", ["[]", "{}", "null", "3"])
def test_status_names_a_broken_file(folder, capsys, content):
    place = folder / ".unfinished" / f"{NAME}-quick-{'0' * 12}" / "probe.json"
    place.parent.mkdir(parents=True)
    place.write_text(content)
    assert command_line.main(["status"]) == 2 and str(place) in capsys.readouterr().err


def test_what_a_kill_left_half_written_is_no_foreign_file(folder, monkeypatch):
    begun = begin(monkeypatch, units=1)
    (begun / ".booth~6~sobolev.json-abc").write_text('{"ha')
    (begun / "booth~6~sobolev").mkdir()
    (begun / "booth~6~sobolev" / ".tuning.json-abc").write_text('{"ha')
    save_file({"a": torch.zeros(2)}, begun / "booth~6~sobolev" / "seed-0.safetensors")
    started = fail_at(monkeypatch, None)
    run()
    assert len(started) == 3


def test_a_folder_that_cannot_be_written_is_noticed_before_the_work(folder, monkeypatch, capsys):
    started, place = fail_at(monkeypatch, None), folder / "file" / "records"
    monkeypatch.setattr(runner, "records_folder", lambda: place)
    (folder / "file").write_text("in the way")
    assert command_line.main(["run", NAME, "--device", "cpu"]) == 2
    assert f"expected a folder that can be written, got {place}" in capsys.readouterr().err

    def refuse(**_):
        raise PermissionError("read-only file system")

    monkeypatch.setattr(runner, "records_folder", lambda: folder)
    monkeypatch.setattr(unfinished.tempfile, "TemporaryFile", refuse)
    with pytest.raises(ValueError, match="can be written, got .*: read-only file system"):
        run()
    assert not started


# --- several processes ------------------------------------------------------------------------------------------

def test_a_process_that_comes_late_does_not_run_again_what_another_has_joined(folder, monkeypatch):
    """All units were done when the run was killed: the first process to start makes the record at once."""
    with monkeypatch.context() as context:
        context.setattr(runner, "save_record", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run()
    started = fail_at(monkeypatch, None)
    with monkeypatch.context() as context:
        context.setenv("WORLD_SIZE", "2")
        for rank, made in (("0", True), ("1", False)):
            context.setenv("RANK", rank)
            assert (run() is not None) == made
        assert not started and not list((folder / ".unfinished").iterdir())
    run()
    assert len(started) == 4, "one process alone does what it is told"


def test_what_is_begun_beside_a_record_just_made_is_not_lost(folder, monkeypatch):
    """A checkout, too, makes a record new."""
    run()
    with monkeypatch.context() as context:
        fail_at(context, 3, RuntimeError("killed"))
        with pytest.raises(RuntimeError, match="killed"):
            run()
    started = fail_at(monkeypatch, None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    made = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        made.append(run())
    assert len(started) == 2 and made[1] is not None, "what was done before was done again"


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_the_units_and_the_last_one_writes_the_record(folder, monkeypatch, world):
    whole = uninterrupted()
    started = fail_at(monkeypatch, None)
    monkeypatch.setenv("WORLD_SIZE", str(world))
    for rank in range(world):
        assert not (folder / f"{NAME}-quick.json").exists()
        monkeypatch.setenv("RANK", str(rank))
        path = run()
        assert (path is None) == (rank < world - 1)
    assert results(path) == whole
    assert sorted(started) == sorted(seven_functions.units(TINY)), "a unit ran twice or never"


@pytest.mark.slow
def test_two_processes_of_a_group_make_one_record(tmp_path_factory):
    """As torchrun starts them; that it gives a process its rank, the tests of synthetic gradients show."""
    shared = tmp_path_factory.mktemp("shared")
    processes = fork_group(shared_experiment.main, TINY, shared, output=shared)
    for rank, process in enumerate(processes):
        process.join(200)
        assert process.exitcode == 0, (shared / f"output{rank}").read_text()
    said = [(shared / f"output{rank}").read_text() for rank in (0, 1)]
    assert any("wrote True" in text for text in said)
    theirs, ours = results(shared / f"{NAME}-quick.json"), uninterrupted()
    assert theirs["config"] == ours["config"] and theirs["seeds"] == ours["seeds"]
    assert list(theirs["results"]) == list(ours["results"])
    for unit, result in ours["results"].items():
        assert theirs["results"][unit]["test_mse"] == pytest.approx(result["test_mse"], rel=1e-4)


def test_a_failing_unit_stops_the_run_and_keeps_the_others(monkeypatch):
    with monkeypatch.context() as context:
        fail_at(context, 3, RuntimeError("out of memory"))
        with pytest.raises(RuntimeError, match="out of memory"):
            run()
    started = fail_at(monkeypatch, None)
    run()
    assert len(started) == 2


# --- status -----------------------------------------------------------------------------------------------------

def test_status_knows_missing_recorded_and_stale(folder, monkeypatch):
    assert runner.state(NAME, "quick") == "missing"
    path = run(seeds=1)
    assert runner.state(NAME, "quick") == "recorded" and runner.state(NAME, "cpu") == "missing"
    with monkeypatch.context() as context:
        context.setitem(seven_functions.PRESETS, "quick", replace(TINY, steps=5))
        assert runner.state(NAME, "quick") == "stale"
    record = json.loads(path.read_text())
    record["config"]["scales"]["booth"]["value_variance"] *= 1.000001  # rounding on another machine
    path.write_text(json.dumps(record))
    assert runner.state(NAME, "quick") == "recorded"
    assert not [key for key in record["provenance"] if "hash" in key]


# --- the command line -------------------------------------------------------------------------------------------

def test_list_and_status_print_every_experiment(capsys):
    assert command_line.main(["list"]) == 0
    listed = capsys.readouterr().out
    assert command_line.main(["status"]) == 0
    status = capsys.readouterr().out
    for name in runner.EXPERIMENTS:
        assert name in listed and runner.find(name).SHOWS in listed
        for preset in runner.find(name).PRESETS:
            assert any(line.split()[:3] == [name, preset, "missing"] for line in status.splitlines())


def test_status_shows_age_device_and_what_is_unfinished(folder, monkeypatch, capsys):
    path = run()
    record = json.loads(path.read_text())
    then = datetime.date.today() - datetime.timedelta(days=3)
    record["provenance"] |= {"date": then.isoformat(), "device": "a fast one"}
    path.write_text(json.dumps(record))
    begun = begin(monkeypatch, preset="cpu")
    (begun / "booth~6~sobolev").mkdir()
    (begun / "booth~6~sobolev" / "progress.json").write_text(json.dumps(
        {"at": "seed-1", "step": 1200, "steps": 2000, "seconds": 5, "peak_memory": 1, "devices": []}))
    assert command_line.main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = next(k for k, line in enumerate(lines) if line.startswith(NAME))
    assert lines[first].split() == [NAME, "quick", "recorded", "3", "days", "old", "a", "fast", "one"]
    assert lines[first + 1].split() == [NAME, "cpu", "missing"]
    assert lines[first + 2].strip() == ("unfinished: 2 of 4 units done; at booth/6/sobolev: seed-1, step 1,200 of 2,000 "
                                        f"(2 seeds, {begun.name})")


def test_a_check_names_what_is_computed_differently(folder, monkeypatch, capsys):
    for name in runner.EXPERIMENTS:
        if name != NAME:                                   # nothing is recorded of the others
            monkeypatch.setattr(runner.find(name), "probe", lambda: 1 / 0, raising=False)
    path = run()
    assert command_line.main(["status", "--check"]) == 0
    assert f"{NAME:34} quick  recorded" in capsys.readouterr().out
    monkeypatch.setattr(seven_functions, "probe", lambda: {"loss": 0.5, "more": [1]})
    assert command_line.main(["status", "--check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    first = next(k for k, line in enumerate(lines) if line.startswith(f"{NAME:34} quick  stale"))
    assert lines[first + 1:first + 3] == ["    more: not expected", "    loss: expected 0.25, got 0.5"]
    record = json.loads(path.read_text())
    del record["probe"]
    path.write_text(json.dumps(record))
    assert runner.check(NAME) == {"quick": ["the record holds no probe"]}
    path.write_text("null")
    assert command_line.main(["status"]) == 2 and str(path) in capsys.readouterr().err


def test_run_prints_the_record_it_wrote(folder, capsys, monkeypatch):
    assert command_line.main(["run", NAME, "--preset", "quick", "--seeds", "1", "--device", "cpu"]) == 0
    path = folder / f"{NAME}-quick.json"
    assert capsys.readouterr().out.strip() == str(path) and path.exists()
    assert command_line.main(["status"]) == 0
    assert f"{NAME:34} quick  recorded" in capsys.readouterr().out
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert command_line.main(["run", NAME, "--preset", "cpu", "--seeds", "1", "--device", "cpu"]) == 0
    assert "this process is done" in capsys.readouterr().out


@pytest.mark.parametrize("arguments, message", [
    ([], "required"), (["run"], "required"), (["run", "no-such"], "no-such"), (["erase"], "erase"),
    (["run", NAME, "--preset", "huge"], "huge"), (["run", NAME, "--seeds", "many"], "many"),
    (["run", NAME, "--minutes", "0"], "minutes: expected a positive number, got 0"),
    (["run", "synthetic-gradients-imagenet", "--preset", "quick"], "for synthetic-gradients-imagenet, got 'quick'"),
    (["run", NAME, "--seeds", "0"], "positive number of seeds, got 0"),
    (["run", NAME, "--device", "gpu"], "device: expected auto, cpu, or a cuda or cuda:N that this machine has, got 'gpu'"),
    (["run", NAME, "--device", "meta"], "got 'meta'"), (["run", NAME, "--device", "cuda:99"], "got 'cuda:99'"),
    (["run", NAME, "--minutes", "nan"], "minutes: expected a positive number, got nan"),
], ids=" ".join)
def test_wrong_arguments_exit_with_2_and_say_why(arguments, message, capsys):
    try:
        code = command_line.main(arguments)
    except SystemExit as stop:
        code = stop.code
    assert code == 2 and message in capsys.readouterr().err


# --- every experiment -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", runner.EXPERIMENTS)
def test_an_experiment_has_what_the_runner_needs(name):
    experiment = runner.find(name)
    assert experiment.NAME == name and re.search("[Ff]igure|[Tt]able|[Ss]ection", experiment.SHOWS)
    assert set(experiment.PRESETS) <= set(records.PRESETS)
    for config in experiment.PRESETS.values():
        units = experiment.units(config)
        assert units and len(set(units)) == len(units)
        json.dumps(experiment.describe(config), allow_nan=False)
    assert list(inspect.signature(experiment.run_unit).parameters) == ["unit", "config", "seeds", "device", "keep"]
    assert not inspect.signature(experiment.probe).parameters
