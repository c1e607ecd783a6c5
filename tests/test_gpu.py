"""What runs on a machine with a GPU: pytest -m device where little is installed, and scripts/gpu.sh, here on the CPU."""
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import gpu_results  # scripts/gpu_results.py
import pytest
from arcade import recording

from sobolev_lib.atari import pack_states

ROOT = Path(__file__).parents[1]
MISSING = ("ale_py", "gymnasium", "matplotlib", "plotly", "playwright", "jupyter", "IPython", "nbformat", "yaml", "bs4",
           "anywidget", "ipywidgets", "datasets")

# a first step that takes longer than the time the first run is given; the result says which process computed which
COUNTING = '''
import os, time
from dataclasses import dataclass
from pathlib import Path

import spare

NAME, SHOWS = "atari-counting", "nothing"

@dataclass(frozen=True)
class Config:
    pass

PRESETS = {"gpu": Config()}

def units(config):
    return ["ab", "c"]

def compute(name):
    time.sleep(4 if name == "a" else 0)
    return os.getpid()

def run_unit(unit, config, seeds, device, keep):
    recordings = [path.name for path in (Path(os.environ["SOBOLEV_CACHE"]) / "atari").iterdir()]
    return {"processes": [keep.once(name, lambda: compute(name)) for name in unit], "device": device, "recordings": recordings}

def describe(config):
    return {}

def probe():
    return {"number": spare.NUMBER}
'''
WHEEL = {"spare.py": "NUMBER = 1.0\n", "spare-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: spare\nVersion: 1.0\n",
         "spare-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
         "spare-1.0.dist-info/RECORD": ""}


@pytest.mark.slow
def test_tests_for_a_gpu_are_collected_where_little_is_installed():
    code = f"import sys, pytest; sys.modules.update(dict.fromkeys({MISSING}))\nsys.exit(pytest.main(sys.argv[1:]))"
    arguments = ["-m", "device", "--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(ROOT / "tests")]
    found = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
                           capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    files = {line.split("::")[0].rpartition("/")[2] for line in found.stdout.splitlines() if "::" in line}
    for part in ("losses", "derivatives", "closed_form", "fast", "training", "stochastic", "regressor", "network",
                 "distillation", "products"):
        assert f"test_{part}.py" in files
    assert not files & {"test_site.py", "test_envs.py", "test_widgets.py"}


# --- scripts/gpu.sh ---------------------------------------------------------------------------------------------

def checkout(folder):
    """A copy of what runs, with an experiment that takes seconds, and what it needs beside it: states and a wheel."""
    for part in ("sobolev_lib", "scripts"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "book" / "records").mkdir(parents=True)
    experiments = folder / "sobolev_lib" / "experiments"
    (experiments / "counting.py").write_text(COUNTING)
    before, names, after = (experiments / "runner.py").read_text().partition("EXPERIMENTS = {")
    assert names, "the list of experiments is written otherwise now"
    (experiments / "runner.py").write_text(f'{before}{names}"atari-counting": "counting", {after}')
    (folder / "gpu-data").mkdir()
    pack_states(recording(folder / "recorded", [3, 2]), folder / "gpu-data" / "alley.states")
    (folder / "gpu-wheels").mkdir()
    with zipfile.ZipFile(folder / "gpu-wheels" / "spare-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in WHEEL.items():
            wheel.writestr(name, content)
    return folder


def script(folder, *arguments, out=None):
    # without the repository's own path: a copy must run on what it brings
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "OUT")}
    env |= {"PYTHON": sys.executable} | ({"OUT": str(out)} if out else {})
    return subprocess.run(["bash", folder / "scripts" / "gpu.sh", *arguments], env=env, capture_output=True, text=True)


@pytest.mark.slow
def test_a_run_ends_in_time_and_goes_on_where_its_results_are_collected(tmp_path):
    away, home, out = checkout(tmp_path / "away"), checkout(tmp_path / "home"), tmp_path / "out"
    found = script(away, "atari-counting", "--device", "cpu", "--minutes", "0.05", "--seeds", "2", out=out)
    assert found.returncode == 0, found.stdout + found.stderr
    assert not (away / "book" / "records" / "atari-counting-gpu.json").exists()
    names = sorted(path.name for path in out.iterdir() if path.name != "gpu-use.csv")
    assert names == ["log.txt", "results.zip.0"] and "atari-counting --preset gpu" in (out / "log.txt").read_text()

    assert script(home, "collect", out).returncode == 0
    found = script(home, "atari-counting", "--device", "cpu", "--seeds", "2")
    assert found.returncode == 0, found.stdout + found.stderr
    record = json.loads((home / "book" / "records" / "atari-counting-gpu.json").read_text())
    (a, b), (c,) = [record["results"][unit]["processes"] for unit in ("ab", "c")]
    assert a != b == c, "the first step was to come from the first run, and the others from the second"
    assert record["seeds"] == [0, 1] and record["results"]["ab"]["device"] == "cpu"
    packed, = record["results"]["c"]["recordings"]
    assert packed.startswith("alley-5")

    # and the finished record travels back, where nothing is unfinished any more
    assert script(away, "collect", home / "gpu-results").returncode == 0
    assert json.loads((away / "book" / "records" / "atari-counting-gpu.json").read_text()) == record
    assert [path.name for path in (away / "book" / "records").rglob("*") if path.is_file()] == ["atari-counting-gpu.json"]


@pytest.mark.slow
def test_what_fails_says_so_and_leaves_its_log(tmp_path):
    folder = checkout(tmp_path / "copy")
    shutil.rmtree(folder / "gpu-wheels")                   # not needed for that
    for minutes in (("--minutes=0.05",), ("--minutes", "0.05")):
        assert script(folder, "no-such-item", *minutes).returncode == 2
        log = (folder / "gpu-results" / "log.txt").read_text()
        assert "no-such-item" in log and "--minutes 0.05 " in log.splitlines()[0], "what the time limit is taken from"
    assert "ITEM" in script(folder).stderr and "results.zip.0" in script(folder, "collect", tmp_path).stderr


# --- archives ---------------------------------------------------------------------------------------------------

@pytest.fixture
def place(tmp_path, monkeypatch):
    """Somewhere else than this checkout's records."""
    monkeypatch.setattr(gpu_results, "ROOT", tmp_path)
    monkeypatch.setattr(gpu_results, "RECORDS", tmp_path / "book" / "records")
    monkeypatch.setattr(gpu_results, "WEIGHTS", tmp_path / "weights")
    gpu_results.WEIGHTS.mkdir()
    return gpu_results.RECORDS


def put(path, content, age=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_an_archive_holds_what_is_new_in_pieces_and_leaves_out_the_oldest_checkpoints(place, tmp_path):
    noise = os.urandom(30_000)                             # can't be compressed
    folder, out = place / ".unfinished" / "item-gpu-abc", tmp_path / "out"
    out.mkdir()
    put(folder / "probe.json", b"{}", age=100)             # was here before
    put(place / ".unfinished" / "other-gpu-abc" / "unit.json", b"{}")
    put(folder / "unit.json", b'{"a": 1}', age=3)
    for k, age in enumerate((2, 5, 1)):
        put(folder / "next" / f"{k}.safetensors", noise, age=age)
    put(gpu_results.WEIGHTS / "pong.safetensors", noise, age=4)
    began = {"time": 1e9 - 50, "folders": ["item-gpu-abc", "item-gpu-done"]}
    left_out = gpu_results.pack("item", out, began, piece=31_500)
    assert left_out == ["book/records/.unfinished/item-gpu-abc/next/1.safetensors"]
    pieces = sorted(out.iterdir())
    assert len(pieces) > 1 and all(path.stat().st_size <= 31_500 for path in pieces) and len(pieces) <= gpu_results.PIECES

    # elsewhere: an older state of the same run, of which the other machine has used up one file, and a run it finished
    shutil.rmtree(place)
    put(folder / "next" / "0.safetensors", b"old")
    put(folder / "next" / "used.json", b"{}")
    put(folder / "probe.json", b"{}")
    put(place / ".unfinished" / "item-gpu-done" / "unit" / "step.json", b"{}")
    other = put(place / ".unfinished" / "other-gpu-abc" / "unit.json", b"[]")
    gpu_results.collect(out)
    assert (folder / "next" / "0.safetensors").read_bytes() == (folder / "next" / "2.safetensors").read_bytes() == noise
    assert (folder / "unit.json").read_bytes() == b'{"a": 1}' and (folder / "probe.json").exists()
    assert not (folder / "next" / "used.json").exists() and not (place / ".unfinished" / "item-gpu-done").exists()
    assert other.read_bytes() == b"[]", "another experiment's run"


def test_an_archive_writes_nowhere_else(place, tmp_path):
    with zipfile.ZipFile(tmp_path / "results.zip.0", "w") as zipped:
        zipped.writestr("book/records/../../elsewhere.json", "{}")
        zipped.writestr(gpu_results.MANIFEST, "{}")
    with pytest.raises(ValueError, match="elsewhere"):
        gpu_results.collect(tmp_path)
    assert not (tmp_path / "elsewhere.json").exists()
    with pytest.raises(FileNotFoundError, match="results.zip.0"):
        gpu_results.collect(place)


@pytest.mark.parametrize("manifest", ['{"..": []}', '{".": []}', '{"": []}', '{"item-gpu-abc/..": []}', "[1]", "half", None])
def test_an_archive_that_is_not_sound_changes_nothing(place, tmp_path, manifest):
    kept = put(place / "record-cpu.json", b"{}"), put(place / ".unfinished" / "other-gpu-abc" / "unit.json", b"{}")
    with zipfile.ZipFile(tmp_path / "results.zip.0", "w") as zipped:
        zipped.writestr("book/records/new-gpu.json", "{}")
        if manifest is not None:
            zipped.writestr(gpu_results.MANIFEST, manifest)
    with pytest.raises(ValueError, match="results: expected"):
        gpu_results.collect(tmp_path)
    assert all(path.read_bytes() == b"{}" for path in kept) and not (place / "new-gpu.json").exists()


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_piece_that_is_lost_is_missed_before_anything_is_written(place, tmp_path, lost):
    out = tmp_path / "out"
    out.mkdir()
    for k in range(3):
        put(place / f"record-{k}.json", os.urandom(20_000))
    gpu_results.pack("item", out, {"time": 0, "folders": []}, piece=25_000)
    shutil.rmtree(place)
    (out / f"results.zip.{lost}").unlink()
    with pytest.raises(ValueError, match="results: expected all pieces"):
        gpu_results.collect(out)
    assert not place.exists()
