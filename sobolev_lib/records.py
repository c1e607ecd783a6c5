"""Recorded runs: where they lie and what they hold."""
import contextlib
import datetime
import json
import math
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np

from sobolev_lib.files import write_whole

PRESETS = ("quick", "cpu", "gpu", "paper")
_elsewhere: Path | None = None
_PACKAGES = ("torch", "numpy", "safetensors", "scikit-learn", "ale-py")


class MissingResults(ValueError):
    """A record holds nothing of what is asked of it: a unit that was not run, or no runs in it."""


def records_folder() -> Path:
    """The folder of the records: ``book/records`` in a checkout, else the copy that was installed with the library."""
    if _elsewhere is not None:
        return _elsewhere
    package = Path(__file__).resolve().parent
    checkout = package.parent / "book" / "records"
    return checkout if checkout.is_dir() else package / "recorded"


@contextlib.contextmanager
def records_in(folder: Path) -> Iterator[Path]:
    """Within it, records are read and written in another folder, which is made if it is missing.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, records_in(Path(folder) / "again") as place:
    ...     place.is_dir(), list(place.iterdir())
    (True, [])

    Raises ``ValueError`` for what can't be made a folder.
    """
    global _elsewhere
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"folder: expected one that is there or can be made, got {folder}: {error}") from error
    before, _elsewhere = _elsewhere, folder
    try:
        yield folder
    finally:
        _elsewhere = before


def load_record(experiment: str, preset: str | None = None) -> dict:
    """The record of an experiment; without a preset the best one present (paper, gpu, cpu, quick).

    >>> record = load_record("seven-functions")
    >>> record["preset"], record["config"]["steps"], record["provenance"]["device"]  # doctest: +SKIP

    Raises ``FileNotFoundError`` naming the command that makes it, ``ValueError`` naming the file if it holds no such record.
    """
    if preset is not None and preset not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {preset!r}")
    for candidate in [preset] if preset else reversed(PRESETS):
        path = records_folder() / f"{experiment}-{candidate}.json"
        if path.exists():
            return _checked(path, experiment, candidate)
    raise FileNotFoundError(f"no record of {experiment!r}; make one with: {command(experiment, preset or 'cpu')}")


def result(record: dict, unit: str) -> dict:
    """The results of one unit of a record.

    >>> result({"experiment": "step-cost", "preset": "cpu", "results": {"outputs": {"1": 0.5}}}, "outputs")
    {'1': 0.5}

    Raises ``MissingResults`` naming the unit, and the command that runs it.
    """
    if unit not in record["results"]:
        name, preset = (str(record.get(key, "?")) for key in ("experiment", "preset"))
        raise MissingResults(f"record: expected results of {unit!r} in {name}, preset {preset}, got none; make them with: "
                             f"{command(name, preset)}")
    return record["results"][unit]


def runs_of(record: dict, unit: str) -> list[dict]:
    """The runs of one unit, by seed; raises ``MissingResults`` where there are none."""
    runs = result(record, unit).get("runs")
    if not runs:
        raise MissingResults(f"record: expected runs of {unit!r}, got none")
    return sorted(runs, key=lambda run: run["seed"])


def command(experiment: str, preset: str, seeds: int | None = None) -> str:
    """The command that makes a record.

    >>> command("step-cost", "cpu", 3)
    'python -m sobolev_lib.experiments run step-cost --preset cpu --seeds 3'
    """
    return (f"python -m sobolev_lib.experiments run {experiment} --preset {preset}"
            + (f" --seeds {seeds}" if seeds is not None else ""))


def _checked(path: Path, experiment: str, preset: str) -> dict:
    try:
        record = json.loads(path.read_text(), parse_constant=_refuse)
    except (OSError, RecursionError, ValueError) as error:  # a folder; brackets without end; no JSON
        raise ValueError(f"record: expected JSON in {path}, got something else: {error}") from error
    if not isinstance(record, dict) or not {"config", "seeds", "results", "provenance"} <= record.keys():
        raise ValueError(f"record: expected one with config, seeds, results and provenance in {path}, got "
                         f"{sorted(record) if isinstance(record, dict) else type(record).__name__}")
    found = record.get("experiment"), record.get("preset")
    if found != (experiment, preset):
        raise ValueError(f"record: expected {experiment!r}, preset {preset!r} in {path}, got {found[0]!r}, preset {found[1]!r}")
    return record


def _refuse(constant: str):
    raise ValueError(f"{constant} is no number")           # Python would read NaN, which no record holds


def save_record(experiment: str, preset: str, *, config: dict, seeds: list[int], results, probe: dict,
                wall_seconds: float, peak_memory: int, device: str) -> Path:
    """Write a record with its provenance, atomically; returns its path."""
    from sobolev_lib import __version__

    record = {
        "experiment": experiment, "preset": preset, "config": config, "seeds": seeds, "results": results, "probe": probe,
        "provenance": {
            "code_version": __version__, "python": platform.python_version(),
            "packages": _versions(), "device": device,
            "wall_seconds": round(wall_seconds), "peak_memory_bytes": peak_memory,
            "date": datetime.date.today().isoformat(),
        },
    }
    path = records_folder() / f"{experiment}-{preset}.json"
    write_whole(path, json.dumps(rounded(record), allow_nan=False) + "\n")
    return path


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass  # an extra that isn't installed, so that had no part in the run
    return found


def rounded(value):
    """Numbers as records hold them: six digits are beyond what seeds reproduce, and keep the files small.

    >>> rounded({"mse": [0.123456789]})
    {'mse': [0.123457]}

    Raises ``ValueError`` for NaN and infinity.
    """
    if isinstance(value, np.generic):
        return rounded(value.item())
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"record: expected finite numbers, got {value}")
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return value
