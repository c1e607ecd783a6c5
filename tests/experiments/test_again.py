"""All quick experiments at once, and a record beside the same run made anew."""
import json
import os
import time

import pytest
import torch

from sobolev_lib import records
from sobolev_lib.experiments import __main__ as command_line, again, runner, seven_functions, step_cost
from sobolev_lib.experiments.reproduction import rows
from sobolev_lib.experiments.verdicts import Verdict

TINY = seven_functions.Config(functions=("booth",), sizes=(6,), hidden=(4,), steps=4, batch_size=4, regular_lrs=(1e-3,),
                              sobolev_lrs=(1e-2,), derivative_weights=(0.1,), tuning_seeds=(1000,), validation_points=20,
                              test_points=30, curve_points=2, compile=False)
MADE = {"provenance": {"device": "CPU"}}


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A folder of records that holds one tiny run, and in which records are looked for."""
    monkeypatch.setattr(runner, "EXPERIMENTS", {"seven-functions": "seven_functions", "step-cost": "step_cost"})
    monkeypatch.setattr(seven_functions, "probe", lambda: {"loss": 0.25})
    monkeypatch.setitem(seven_functions.PRESETS, "quick", TINY)
    monkeypatch.setitem(seven_functions.PRESETS, "cpu", TINY)
    monkeypatch.setattr(seven_functions, "GRID", 5)
    monkeypatch.setattr(seven_functions, "ARROWS", 3)
    with records.records_in(tmp_path / "recorded") as folder:
        runner.run("seven-functions", "cpu", 2, "cpu", progress=False)
        yield folder
    torch.set_flush_denormal(False)


def test_the_same_run_gives_the_same_record(recorded, tmp_path):
    before = (recorded / "seven-functions-cpu.json").read_bytes()
    found = again.run_again("seven-functions", "cpu", tmp_path / "again", "cpu", progress=False)
    assert found.holds and found.lines == [] and found.numbers > 20
    assert f"{found.numbers:,} of {found.numbers:,} results agree" in found.told()
    assert (recorded / "seven-functions-cpu.json").read_bytes() == before
    assert (tmp_path / "again" / "seven-functions-cpu.json").exists()


def test_another_number_is_told_and_the_verdict_decides(recorded, tmp_path, capsys):
    path = recorded / "seven-functions-cpu.json"
    record = json.loads(path.read_text())
    unit = next(unit for unit in record["results"] if unit.endswith("sobolev"))
    record["results"][unit]["test_mse"] = [value * 1e-6 for value in record["results"][unit]["test_mse"]]
    path.write_text(json.dumps(record))
    folder = str(tmp_path / "again")
    status = command_line.main(["again", "seven-functions", "--preset", "cpu", "--device", "cpu", "--folder", folder])
    told = capsys.readouterr().out
    assert f"{unit}/test_mse/0: expected" in told
    assert status == int("now          " + seven_functions.verdict(record).status not in told)


def test_a_record_whose_preset_has_changed_and_a_missing_one_are_refused(recorded, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(seven_functions.PRESETS, "cpu", seven_functions.Config(functions=("booth",)))
    with pytest.raises(ValueError, match="expected the settings that seven-functions, cpu was recorded with"):
        again.run_again("seven-functions", "cpu", tmp_path / "again")
    assert command_line.main(["again", "seven-functions", "--preset", "paper", "--folder", str(tmp_path / "again")]) == 2
    assert "no record of 'seven-functions'" in capsys.readouterr().err


def verdict_of(record):
    gain = record["results"]["gain"]
    return Verdict("It helps.", f"{gain} times", "one run", "confirmed" if gain > 1 else "open", "The gain.")


@pytest.mark.parametrize("gain, holds, differing", [(2.0, True, 0), (2.001, True, 0), (3.0, True, 1), (0.5, False, 1)])
def test_a_comparison_holds_while_the_verdict_does(gain, holds, differing):
    found = again.compared({"results": {"gain": 2.0}} | MADE, {"results": {"gain": gain}} | MADE, verdict_of)
    assert (found.holds, len(found.lines), found.numbers) == (holds, differing, 1)


def test_without_a_verdict_all_numbers_count():
    assert again.compared({"results": {"a": [1, 2]}} | MADE, {"results": {"a": [1, 2]}} | MADE).holds
    found = again.compared({"results": {"a": list(range(20))}} | MADE, {"results": {"a": list(range(1, 21))}} | MADE)
    assert not found.holds and "and 10 more" in found.told() and "0 of 20 results" in found.told()


def test_all_quick_experiments_run_though_one_cannot(recorded, tmp_path, monkeypatch, capsys):
    def broken(*arguments):
        raise ModuleNotFoundError("No module named 'ale_py'")

    monkeypatch.setattr(step_cost, "units", lambda config: ["one"])
    monkeypatch.setattr(step_cost, "run_unit", broken)
    monkeypatch.setattr(step_cost, "probe", dict)
    monkeypatch.setattr(again, "rows", list)
    assert command_line.main(["all", "--seeds", "2", "--device", "cpu", "--folder", str(tmp_path / "again")]) == 1
    told = capsys.readouterr().out
    assert "ModuleNotFoundError: No module named 'ale_py'" in told and "seven-functions" in told
    assert [path.name for path in (tmp_path / "again" / "quick").glob("*.json")] == ["seven-functions-quick.json"]
    assert not (recorded / "seven-functions-quick.json").exists()


def test_claims_are_looked_at_in_both_places(recorded, tmp_path, monkeypatch):
    """One claim that needs a record and one that is computed: the tests of the reproduction look at all of them."""
    monkeypatch.setattr(again, "rows", lambda: rows(["figure-2-right", "theorem-2"]))
    with records.records_in(tmp_path / "again"):
        runner.run("seven-functions", "quick", 2, "cpu", progress=False)
    (recorded / "seven-functions-cpu.json").unlink()
    found = {each.key: each for each in again.outcomes(tmp_path / "again")}
    assert found["figure-2-right"].recorded == "not run" != found["figure-2-right"].quick
    assert found["theorem-2"].recorded == found["theorem-2"].quick == "confirmed"


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_record_that_is_there_is_neither_overwritten_nor_compared(recorded, tmp_path, capsys):
    folder = tmp_path / "again"
    again.run_again("seven-functions", "cpu", folder, "cpu", progress=False)
    (folder / "another-cpu.json").write_text("{}")
    for place in (folder, recorded):                       # the second: where the record itself lies
        before = files(place)
        assert command_line.main(["again", "seven-functions", "--device", "cpu", "--folder", str(place)]) == 2
        assert f"expected none with a record of seven-functions, cpu, got {place}" in capsys.readouterr().err
        assert files(place) == before
    (folder / "seven-functions-cpu.json").unlink()         # other records may stay
    assert again.run_again("seven-functions", "cpu", folder, "cpu", progress=False).holds


def test_of_several_processes_the_last_may_find_the_record(recorded, tmp_path, monkeypatch):
    folder = tmp_path / "again"
    again.run_again("seven-functions", "cpu", folder, "cpu", progress=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    before = files(folder)
    assert again.run_again("seven-functions", "cpu", folder, "cpu", progress=False) is None
    assert files(folder) == before
    hour_ago = time.time() - 3_600
    os.utime(folder / "seven-functions-cpu.json", (hour_ago, hour_ago))
    with pytest.raises(ValueError, match="expected none with a record of seven-functions"):
        again.run_again("seven-functions", "cpu", folder, "cpu", progress=False)


def test_quick_runs_want_a_folder_of_their_own(recorded, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, "EXPERIMENTS", {"seven-functions": "seven_functions"})
    monkeypatch.setattr(seven_functions, "run_unit", lambda *arguments: pytest.fail("something was run"))
    with records.records_in(tmp_path / "again" / "quick") as place:
        for name in ("seven-functions-quick.json", "seven-functions-cpu.json"):
            (place / name).write_bytes((recorded / "seven-functions-cpu.json").read_bytes())
        before = files(place)
    assert command_line.main(["all", "--device", "cpu", "--folder", str(tmp_path / "again")]) == 2
    told = capsys.readouterr()
    assert told.out == "" and f"expected a new or an empty one for the quick runs, got {place}" in told.err
    assert files(place) == before


@pytest.mark.parametrize("seeds", ["0", "-1"])
def test_no_seeds_are_refused_before_anything_runs(tmp_path, monkeypatch, capsys, seeds):
    monkeypatch.setattr(runner, "run", lambda *_, **__: pytest.fail("an experiment was run"))
    assert command_line.main(["all", "--seeds", seeds, "--folder", str(tmp_path / "again")]) == 2
    shown = capsys.readouterr()
    assert shown.err == f"seeds: expected a positive number of seeds, got {seeds}\n" and shown.out == ""
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("command", [["all"], ["again", "seven-functions"]])
def test_a_file_is_no_folder(recorded, tmp_path, capsys, command):
    (tmp_path / "again").write_text("kept")
    assert command_line.main([*command, "--device", "cpu", "--folder", str(tmp_path / "again")]) == 2
    assert "folder: expected" in capsys.readouterr().err and (tmp_path / "again").read_text() == "kept"
