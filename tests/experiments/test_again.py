"""All quick experiments at once, and a record beside the same run made anew."""
import json

import pytest
import torch

from sobolev_lib import records
from sobolev_lib.experiments import __main__ as command_line, again, runner, seven_functions, step_cost
from sobolev_lib.experiments.verdicts import Verdict

TINY = seven_functions.Config(functions=("booth",), sizes=(6,), hidden=(4,), steps=12, batch_size=4, regular_lrs=(1e-3,),
                              sobolev_lrs=(1e-2,), derivative_weights=(0.1,), tuning_seeds=(1000,), validation_points=20,
                              test_points=30, curve_points=3, compile=False)
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


def test_claims_are_looked_at_in_both_places(recorded, tmp_path):
    with records.records_in(tmp_path / "again"):
        runner.run("seven-functions", "quick", 2, "cpu", progress=False)
    (recorded / "seven-functions-cpu.json").unlink()
    found = {each.key: each for each in again.outcomes(tmp_path / "again")}
    assert found["figure-2-right"].recorded == "not run" != found["figure-2-right"].quick
    assert found["theorem-2"].recorded == found["theorem-2"].quick == "confirmed"
