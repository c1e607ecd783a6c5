"""Recorded runs: where they lie, what they hold, and writing them whole or not at all."""
import contextlib
import datetime
import fcntl
import glob
import json
import math
import os
import platform
import resource
import secrets
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

PRESETS = ("quick", "cpu", "gpu", "paper")
ABANDONED = 2                                              # seconds until a file that nobody holds is taken as left behind
_PACKAGES = ("torch", "numpy", "safetensors", "scikit-learn", "ale-py")


def records_folder() -> Path:
    """The folder of the records: ``book/records`` in a checkout, else the copy that was installed with the library."""
    package = Path(__file__).resolve().parent
    checkout = package.parent / "book" / "records"
    return checkout if checkout.is_dir() else package / "recorded"


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


def command(experiment: str, preset: str, seeds: int | None = None) -> str:
    """The command that makes a record.

    >>> command("step-cost", "cpu", 3)
    'python -m sobolev_lib.experiments run step-cost --preset cpu --seeds 3'
    """
    return (f"python -m sobolev_lib.experiments run {experiment} --preset {preset}"
            + (f" --seeds {seeds}" if seeds is not None else ""))


def _checked(path: Path, experiment: str, preset: str) -> dict:
    try:
        record = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"record: expected JSON in {path}, got something else: {error}") from error
    if not isinstance(record, dict) or not {"config", "seeds", "results", "provenance"} <= record.keys():
        raise ValueError(f"record: expected one with config, seeds, results and provenance in {path}, got "
                         f"{sorted(record) if isinstance(record, dict) else type(record).__name__}")
    found = record.get("experiment"), record.get("preset")
    if found != (experiment, preset):
        raise ValueError(f"record: expected {experiment!r}, preset {preset!r} in {path}, got {found[0]!r}, preset {found[1]!r}")
    return record


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


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a crash, never sees half of it.

    Where ``path`` is a symbolic link, the file that it points to is written. New files get the permissions that the
    process gives to its files. What killed processes have left beside the file goes.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    remove_abandoned(path.parent, f".{glob.escape(path.name)}-*")
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as file:
            hold(file)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if path.exists():
                os.chmod(temporary, path.stat().st_mode & 0o7777)
            os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def hold(file) -> None:
    """Mark an open file as one that this process still writes, until it is closed or the process ends."""
    with contextlib.suppress(OSError):                     # some network drives know no locks
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_abandoned(folder: Path, pattern: str) -> None:
    """Delete files that were being written by processes which have ended since; those of ``hold``."""
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):                 # held, or gone already
            if time.time() - path.stat().st_mtime < ABANDONED:
                continue                                   # perhaps made just now, and not held yet
            with open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def check_writable(path: str | Path) -> None:
    """Raises ``ValueError`` unless a file can be written at ``path``: before hours of work, not after."""
    path = Path(os.path.realpath(path))
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ValueError(f"checkpoint: expected a file that can be written, got {path}: {error}") from None


def peak_memory_bytes() -> int:
    """The most memory this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux kilobytes


def rounded(value):
    """Numbers as records hold them: six digits are beyond what seeds reproduce, and keep the files small.

    >>> rounded({"mse": [0.123456789]})
    {'mse': [0.123457]}

    Raises ``ValueError`` for NaN and infinity.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"record: expected finite numbers, got {value}")
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return value
