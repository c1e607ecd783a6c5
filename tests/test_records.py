"""Records hold their provenance, a killed write leaves the old one, and the best preset is found."""
import importlib.metadata
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from forks import fork, run_code

import sobolev_lib
from sobolev_lib import records

ROOT = Path(sobolev_lib.__file__).resolve().parents[1]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "records_folder", lambda: tmp_path)
    return tmp_path


def save(preset="quick", results=None, **changes):
    given = dict(config={"steps": 5}, seeds=[0, 1], results=results if results is not None else {"mse": [0.5]},
                 probe={"loss": 0.25}, wall_seconds=1.6, peak_memory=123, device="CPU") | changes
    return records.save_record("some-figure", preset, **given)


def test_the_folder_is_the_checkouts():
    assert records.records_folder() == ROOT / "book" / "records"


def test_a_record_holds_what_it_takes_to_repeat_the_run(folder):
    path = save()
    assert path == folder / "some-figure-quick.json" and os.listdir(folder) == [path.name]
    record = records.load_record("some-figure", "quick")
    assert record == json.loads(path.read_text())
    assert (record["experiment"], record["preset"], record["seeds"]) == ("some-figure", "quick", [0, 1])
    assert record["config"] == {"steps": 5} and record["results"] == {"mse": [0.5]}
    provenance = record["provenance"]
    assert provenance["code_version"] == sobolev_lib.__version__ and record["probe"] == {"loss": 0.25}
    assert {"torch", "numpy"} <= set(provenance["packages"]) and provenance["device"] == "CPU"
    assert provenance["wall_seconds"] == 2 and provenance["peak_memory_bytes"] == 123
    assert len(provenance["date"]) == 10 and provenance["python"].startswith("3.")


def test_packages_that_are_not_installed_had_no_part_in_the_run(folder, monkeypatch):
    assert "ale-py" in records._PACKAGES
    monkeypatch.setattr(records, "_PACKAGES", ("torch", "no-such-package"))
    path = save()
    assert json.loads(path.read_text())["provenance"]["packages"] == {"torch": importlib.metadata.version("torch")}


def test_anyone_may_read_the_file(folder):
    assert save().stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("present, best", [
    (["quick"], "quick"), (["cpu", "quick"], "cpu"), (["quick", "paper"], "paper"),
    (["quick", "cpu", "paper"], "paper"), (["cpu", "gpu", "quick"], "gpu"), (["gpu", "paper"], "paper"),
])
def test_the_best_record_present_is_loaded(folder, present, best):
    for preset in present:
        save(preset)
    assert records.load_record("some-figure")["preset"] == best
    assert records.load_record("some-figure", "quick")["preset"] == "quick" if "quick" in present else True


def test_a_missing_record_names_the_command_that_makes_it(folder):
    save("quick")
    with pytest.raises(FileNotFoundError, match="run some-figure --preset paper"):
        records.load_record("some-figure", "paper")
    with pytest.raises(FileNotFoundError, match="experiments run other-figure --preset"):
        records.load_record("other-figure")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), np.float64("nan"),
                                   [1.0, [float("nan")]], {"a": float("nan")}], ids=str)
def test_nan_and_infinity_are_refused_and_leave_the_old_record(folder, value):
    save(results={"mse": 1.0})
    with pytest.raises(ValueError, match="finite numbers, got (nan|inf|-inf)"):
        save(results={"mse": value})
    assert records.load_record("some-figure")["results"] == {"mse": 1.0}
    assert len(os.listdir(folder)) == 1


def test_numbers_keep_six_digits_and_whole_numbers_all(folder):
    save(results={"a": 0.123456789, "b": 1.23456789e-12, "c": 123456789, "d": (0.5, -2.0), "e": True, "f": None,
                  "g": np.float64(1 / 3)})
    assert records.load_record("some-figure")["results"] == {
        "a": 0.123457, "b": 1.23457e-12, "c": 123456789, "d": [0.5, -2.0], "e": True, "f": None, "g": 0.333333}


def broken(**changes):
    record = {"experiment": "some-figure", "preset": "quick", "config": {}, "seeds": [0], "results": {}, "provenance": {}}
    return json.dumps({key: value for key, value in (record | changes).items() if value != "gone"})


@pytest.mark.parametrize("content, message", [
    ("null", "expected one with config, seeds, results and provenance"), ("3.5", "got float"), ("[]", "got list"),
    ("{}", "got \\[\\]"), (broken(provenance="gone"), "provenance"),
    ('{"experiment": ', "expected JSON"), ("", "expected JSON"),
    (broken(experiment="other-figure"), "expected 'some-figure', preset 'quick' .* got 'other-figure', preset 'quick'"),
    (broken(preset="cpu"), "got 'some-figure', preset 'cpu'"),
], ids=lambda value: value[:30])
@pytest.mark.parametrize("preset", ["quick", None])
def test_a_file_that_holds_no_such_record_is_refused_by_name(folder, content, message, preset):
    (folder / "some-figure-quick.json").write_text(broken())
    assert records.load_record("some-figure", preset)["results"] == {}
    (folder / "some-figure-quick.json").write_text(content)
    with pytest.raises(ValueError, match=message) as raised:
        records.load_record("some-figure", preset)
    assert str(folder / "some-figure-quick.json") in str(raised.value)


@pytest.mark.parametrize("path", sorted((ROOT / "book" / "records").glob("*.json")), ids=lambda path: path.stem)
def test_every_shipped_record_can_be_loaded(path):
    name, _, preset = path.stem.rpartition("-")
    assert records.load_record(name, preset)["provenance"]["wall_seconds"] > 0


def test_a_process_killed_while_writing_leaves_the_old_record(folder, tmp_path_factory):
    save(results={"mse": 1.0})
    script = ("import os, signal\nfrom pathlib import Path\nfrom sobolev_lib import files, records\n"
              f"records.records_folder = lambda: Path({str(folder)!r})\n"
              "files.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
              "records.save_record('some-figure', 'quick', config={}, seeds=[0], results={'mse': 2.0}, probe={}, "
              "wall_seconds=1, peak_memory=1, device='CPU')\n")
    killed = fork(run_code, script, output=tmp_path_factory.mktemp("output") / "output")
    killed.join(60)
    assert killed.exitcode == -signal.SIGKILL
    assert records.load_record("some-figure")["results"] == {"mse": 1.0}
    # what the kill left behind is hidden, and the next write succeeds beside it
    save(results={"mse": 3.0})
    assert records.load_record("some-figure")["results"] == {"mse": 3.0}
    assert [name for name in os.listdir(folder) if not name.startswith(".")] == ["some-figure-quick.json"]


@pytest.mark.parametrize("content", ["null", "3", "[]", "{", "", '{"config": 1}'])
def test_what_is_no_record_is_refused_by_name(folder, content):
    save(results={"mse": 1.0})
    (folder / "some-figure-quick.json").write_text(content)
    with pytest.raises(ValueError, match="record: expected .* in .*some-figure-quick.json"):
        records.load_record("some-figure", "quick")
