"""The folder of an unfinished run: a file for each finished unit, folders of those that are begun, and the probe.

It lies in ``.unfinished`` beside the records and is named by the experiment, the preset, and a hash of config and seeds:
no device and no code is in it, so that a copy goes on on another machine. Whether the library still computes the same is
for the probe to say.
"""
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open

from sobolev_lib.experiments.keeping import PROGRESS, Keep
from sobolev_lib.experiments.probes import differences, told
from sobolev_lib.files import write_whole

PROBE = "probe.json"
_RESULT = {"unit", "results", "date", "seconds", "peak_memory", "devices"}
_HELD = {PROBE: {"probe", "seeds", "units"}, PROGRESS: {"at", "seconds", "peak_memory", "devices"}}


class Unfinished:
    """One run's folder.

    >>> begun = Unfinished(records_folder(), "seven-functions", "cpu", config, seeds, units)   # doctest: +SKIP
    >>> begun.progress()                                                                       # doctest: +SKIP
    '3 of 42 units done; at booth/20/regular'

    ``config`` is the run's settings as JSON holds them. Raises ``ValueError`` where the folder can't be made, and for
    files in it that are broken or no part of this run, naming them.
    """

    def __init__(self, records: Path, name: str, preset: str, config: dict, seeds: list[int], units: list[str]):
        key = hashlib.sha256(json.dumps([config, seeds]).encode()).hexdigest()[:12]
        self.folder, self.units = records / ".unfinished" / f"{name}-{preset}-{key}", units
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for place in (records, self.folder):
                with tempfile.TemporaryFile(dir=place):
                    pass
        except OSError as error:
            raise ValueError(f"records: expected a folder that can be written, got {records}: {error}") from error
        self._check()

    def path(self, unit: str) -> Path:
        """The file of a finished unit."""
        return self.folder / f"{unit.replace('/', '~')}.json"

    def keep(self, unit: str, until: float | None, device: str) -> Keep:
        """The folder of a begun one."""
        return Keep(self.path(unit).with_suffix(""), until, device)

    def is_done(self, unit: str) -> bool:
        return self.path(unit).exists()

    def is_empty(self) -> bool:
        """Nothing was done here yet, or another process has taken all of it."""
        return not any(self.folder.iterdir())

    def finish(self, unit: str, result: dict) -> None:
        """Keep a unit's result in the place of what it kept on the way."""
        write_whole(self.path(unit), json.dumps({"unit": unit, **result}, allow_nan=False))
        shutil.rmtree(self.path(unit).with_suffix(""), ignore_errors=True)

    def probed(self, seeds: list[int], probe: Callable[[], dict]) -> None:
        """Leave the probe here, or compare it with the one that is; raises ``ValueError`` if they differ."""
        # each process leaves its probe before it does anything else: what is done was done beside one
        path, begun = self.folder / PROBE, any(self.folder.glob("[!.]*"))
        if begun and not path.exists():
            raise ValueError(f"probe: expected {path} beside what is done, got none: nothing says which code did it. "
                             "Delete or rename that folder to begin anew")
        got = probe()
        if not path.exists():
            write_whole(path, json.dumps({"seeds": len(seeds), "units": len(self.units), "probe": got}))
        lines = differences(json.loads(path.read_text())["probe"], got)
        if lines:
            raise ValueError(f"probe: the library now computes something else than when {self.folder} was begun "
                             f"({told(lines)}). Delete or rename that folder to begin anew")

    def results(self) -> tuple[dict, dict[str, dict]] | None:
        """The probe, and each unit's file; None while units are missing, or if another process has taken them already."""
        try:
            parts = {unit: json.loads(self.path(unit).read_text()) for unit in self.units}
            return json.loads((self.folder / PROBE).read_text())["probe"], parts
        except FileNotFoundError:
            return None

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def progress(self) -> str:
        """What is done and what has been begun, in words."""
        return progress(self.folder, len(self.units))

    def _check(self) -> None:
        """All files here can be read, and belong here."""
        names = {self.path(unit).name: unit for unit in self.units}
        # unlike rglob, walk passes over folders that another process removes meanwhile
        for path in sorted(Path(place) / file for place, _, files in os.walk(self.folder) for file in files):
            own, top = path.parent == self.folder, path.relative_to(self.folder).parts[0]
            if top.startswith(".") or path.name.startswith("."):
                continue                                   # hidden: what a kill left of a file half written
            if own and top not in (PROBE, *names):
                raise ValueError(f"unfinished: expected files of this run's {len(names)} units, got {path}; move it away")
            content = _read(path, _RESULT if own else set())
            if own and top != PROBE and content is not None and content["unit"] != names[top]:
                raise ValueError(f"unfinished: expected unit {names[top]!r} in {path}, got {content['unit']!r}; delete it")


def progress(folder: Path, units: int) -> str:
    """How far the run in ``folder`` has come."""
    found = [f"{sum(path.name != PROBE for path in folder.glob('*.json'))} of {units} units done"]
    for path in sorted(folder.glob(f"*/{PROGRESS}")):
        noted = _read(path)
        if noted is None:
            continue                                       # the unit has ended meanwhile
        step = f", step {noted['step']:,} of {noted['steps']:,}" if "step" in noted else ""
        found.append(f"at {path.parent.name.replace('~', '/')}: {noted['at']}{step}")
    return "; ".join(found)


def unfinished(records: Path, name: str, preset: str) -> list[str]:
    """A line for each unfinished run of an experiment and preset."""
    lines = []
    for path in sorted((records / ".unfinished").glob(f"{name}-{preset}-{'?' * 12}/{PROBE}")):
        begun = _read(path)
        if begun is None:
            continue                                       # its record has been written meanwhile
        seeds = f"{begun['seeds']} seed{'s' if begun['seeds'] > 1 else ''}"
        lines.append(f"{progress(path.parent, begun['units'])} ({seeds}, {path.parent.name})")
    return lines


def _read(path: Path, wanted: set[str] = frozenset()):
    """A file's JSON, which holds what is ``wanted``, or a tensor file's header; None if it has gone meanwhile."""
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return file.metadata()
        content = json.loads(path.read_text(), parse_constant=_refuse)
    except FileNotFoundError:
        return None                                        # its process has finished with it
    except (ValueError, SafetensorError) as error:
        raise ValueError(f"unfinished: expected a whole file, got a broken one in {path}: {error}; delete it") from error
    wanted = _HELD.get(path.name, wanted)
    if wanted and not (isinstance(content, dict) and wanted <= content.keys()
                       and isinstance(content.get("seconds", 0), (int, float))):
        raise ValueError(f"unfinished: expected {', '.join(sorted(wanted))} in {path}, got others; delete it")
    return content


def _refuse(constant: str):
    raise ValueError(f"{constant} is no number")           # Python would read NaN, which nothing here writes
