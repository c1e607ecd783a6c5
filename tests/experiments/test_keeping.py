"""What a unit keeps: finished steps, checkpoints, an account; and a run that is killed or paused for real."""
import gc
import json
import shutil
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import small_experiment
from forks import fork

from sobolev_lib.experiments import keeping, memory
from sobolev_lib.experiments.keeping import Keep, TimeIsUp


def noted(keep):
    return json.loads((keep.folder / "progress.json").read_text())


def test_peak_memory_is_in_bytes(monkeypatch):
    # this process holds PyTorch: more than 50 MB, less than a terabyte
    assert 50e6 < memory.peak_memory_bytes() < 1e12
    # Windows has no such module, and psutil there tells the peak in bytes
    process = SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=123_456_789))
    monkeypatch.setattr(memory, "resource", None)
    monkeypatch.setitem(sys.modules, "psutil", SimpleNamespace(Process=lambda: process))
    assert memory.peak_memory_bytes() == 123_456_789


# --- a unit's folder --------------------------------------------------------------------------------------------

def test_a_step_is_computed_once_and_read_back_later(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"lr": (1e-3, 2e-3), 5: None}

    first = Keep(tmp_path / "unit").once("tuning", compute)
    assert first == Keep(tmp_path / "unit").once("tuning", compute) == {"lr": [1e-3, 2e-3], "5": None} and len(calls) == 1
    Keep(tmp_path / "other").once("tuning", compute)
    assert len(calls) == 2


def test_a_step_that_fails_or_gives_no_json_leaves_nothing(tmp_path):
    keep = Keep(tmp_path)
    for result, error in ((float("nan"), ValueError), ({1, 2}, TypeError)):
        with pytest.raises(error):
            keep.once("tuning", lambda: result)
    with pytest.raises(ZeroDivisionError):
        keep.once("tuning", lambda: 1 / 0)
    assert not list(tmp_path.iterdir()) and keep.once("tuning", lambda: 3) == 3
    with pytest.raises(ValueError, match="another one than 'progress'"):
        keep.once("progress", lambda: 3)


def test_the_checkpoint_of_a_finished_step_goes(tmp_path):
    keep = Keep(tmp_path)

    def train():
        assert keep.checkpoint("seed-0") == tmp_path / "seed-0.safetensors"
        keep.checkpoint("seed-0").write_bytes(b"weights")
        keep.reached(20, 100)
        assert noted(keep) | {"at": "seed-0", "step": 20, "steps": 100} == noted(keep)
        return 1

    keep.checkpoint("seed-1").write_bytes(b"weights")
    keep.once("seed-0", train)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["progress.json", "seed-0.json", "seed-1.safetensors"]
    assert noted(keep)["at"] == "seed-0" and "step" not in noted(keep)


def test_time_is_up_only_where_nothing_is_lost(tmp_path):
    keep = Keep(tmp_path, until=time.monotonic() - 1)
    with pytest.raises(TimeIsUp):
        keep.once("tuning", lambda: 3)
    assert Keep(tmp_path).once("tuning", lambda: 4) == 3 == keep.once("tuning", lambda: 4), "what is there costs no time"
    with pytest.raises(TimeIsUp):
        keep.reached(1, 2)
    assert noted(keep)["step"] == 1
    Keep(tmp_path, until=time.monotonic() + 60).reached(2, 2)


def test_the_account_is_of_all_resumptions_and_devices(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=100.0, perf_counter=lambda: clock.now, monotonic=lambda: clock.now)
    monkeypatch.setattr(keeping, "time", clock)
    for device, seconds in (("CPU", 5), ("card", 7), ("CPU", 0)):
        keep = Keep(tmp_path, device=device)
        clock.now += seconds
        keep.reached(1, 2)
        clock.now += 1000                                  # lost, as nothing was kept of it
    clock.now -= 997
    assert keep.account()["seconds"] == 5 + 7 + 3 and keep.account()["devices"] == ["CPU", "card"]
    (tmp_path / "progress.json").write_text(json.dumps(noted(keep) | {"peak_memory": 10**12}))
    assert Keep(tmp_path).account()["peak_memory"] == 10**12 > keep.account()["peak_memory"] > 50e6


def test_what_units_share_lies_beside_them_and_counts_for_the_one_that_computes_it(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=100.0, perf_counter=lambda: clock.now, monotonic=lambda: clock.now)
    monkeypatch.setattr(keeping, "time", clock)
    keep = Keep(tmp_path / "one", until=1000.0, device="CPU")

    def tune():
        clock.now += 50
        return 3

    assert keep.beside("tuning").once("best", tune) == 3 == Keep(tmp_path / "two").beside("tuning").once("best", tune)
    assert (tmp_path / "tuning" / "best.json").exists() and clock.now == 150
    again = Keep(tmp_path / "one")
    assert again.account()["seconds"] == 50 and noted(again)["at"] == "tuning"
    clock.now = 2000
    with pytest.raises(TimeIsUp):
        keep.beside("tuning").reached(1, 2)


def test_what_several_want_is_computed_by_one_while_the_others_wait(tmp_path):
    computed = []

    def compute():
        computed.append(1)
        time.sleep(0.3)
        return len(computed)

    def work(_):
        with Keep(tmp_path / "shared").alone():
            return Keep(tmp_path / "shared").once("tuning", compute)

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, range(3))) == [1, 1, 1] and len(computed) == 1


def test_without_a_folder_things_are_kept_as_long_as_the_keep():
    keep, other = Keep(), Keep()
    folder = keep.folder.parent
    assert keep.once("a", lambda: 1) == 1 == keep.once("a", lambda: 2) and other.once("a", lambda: 2) == 2
    keep.beside("b").once("a", lambda: 3)
    assert folder in keep.checkpoint("c").parents and len(list(folder.rglob("a.json"))) == 2
    keep.reached(1, 2)
    del keep
    gc.collect()
    assert not folder.exists() and other.once("a", lambda: 3) == 2


# --- killed and paused runs -------------------------------------------------------------------------------------

def start(folder, *options):
    return fork(small_experiment.main, folder, "run", "small", "--seeds", "2", "--device", "cpu", *options,
                output=folder / "output")


def finish(process, folder):
    process.join(250)
    told = (folder / "output").read_text()
    assert process.exitcode == 0, told
    return told


def results(folder):
    record = json.loads((folder / "small-quick.json").read_text())
    return {key: value for key, value in record.items() if key != "provenance"}


def progress(folder):
    """Units finished, and the step that the present one has reached."""
    begun, = (folder / ".unfinished").iterdir()
    steps = [json.loads(path.read_text()).get("step", 0) for path in begun.glob("*/progress.json")]
    return len(list(begun.glob("*.json"))) - 1, max(steps, default=0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    finish(start(folder), folder)
    return results(folder)


def kill_at(folder, units, step):
    """Kill a run with no warning, where it stands."""
    process, until = start(folder), time.monotonic() + 250
    while time.monotonic() < until and process.is_alive():
        try:
            if progress(folder) >= (units, step):
                break
        except (ValueError, FileNotFoundError):            # not begun, or a folder that goes as one looks
            pass
        time.sleep(0.01)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, "the run was over before it could be killed"
    return progress(folder)


@pytest.mark.slow
def test_a_run_killed_within_a_unit_goes_on_there_and_ends_with_the_same_record(whole, tmp_path):
    done, step = kill_at(tmp_path, 0, 100)
    assert done == 0 and 100 <= step < 1_280
    moved = tmp_path / "moved"                             # the rest happens in another place
    moved.mkdir()
    shutil.move(tmp_path / ".unfinished", moved / ".unfinished")
    told = finish(start(moved, "--minutes", "1e-9"), moved)
    assert "time is up: 0 of 2 units done" in told and progress(moved) == (0, step), "it stops before it begins"
    done, further = kill_at(moved, 1, 100)
    assert done == 1 and 100 <= further < 1_280, "the second unit, too, is under way"
    assert str(moved / "small-quick.json") in finish(start(moved), moved)
    assert results(moved) == whole and not list((moved / ".unfinished").iterdir())


@pytest.mark.slow
def test_a_run_in_short_goes_ends_with_the_same_record(whole, tmp_path):
    def reached():
        units, step = progress(tmp_path)
        return units, len(list(tmp_path.glob(".unfinished/*/*/seed-*.json"))), step     # after the first come these

    lines, at, minutes = [], [(0, 0, 0)], 0.002            # a tenth of a second, then more and more of them
    while not (tmp_path / "small-quick.json").exists():
        if lines:
            at.append(reached())
        lines.append(finish(start(tmp_path, "--minutes", str(minutes)), tmp_path).strip().splitlines()[-1])
        minutes *= 4
    assert at == sorted(set(at)) and len(at) > 1, f"each goes further than the one before: {at}"
    assert all(line.startswith("time is up: ") and "of 2 units done" in line for line in lines[:-1])
    assert "at first/one: together, step" in lines[0]
    assert results(tmp_path) == whole
    assert json.loads((tmp_path / "small-quick.json").read_text())["provenance"]["wall_seconds"] >= 1
