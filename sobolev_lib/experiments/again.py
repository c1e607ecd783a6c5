"""Repeat what is recorded: all quick experiments and the claims that they support, or one record beside its like."""
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sobolev_lib.experiments import runner
from sobolev_lib.experiments.probes import TOLERANCE, differences
from sobolev_lib.experiments.reproduction import rows
from sobolev_lib.formats import percent
from sobolev_lib.records import load_record, records_in

FOLDER = Path("again")                                     # in the working directory: what is recorded stays as it is


@dataclass(frozen=True)
class QuickRun:
    """One experiment's run with the preset "quick": its seconds, and why it could not run, empty if it did."""

    name: str
    seconds: float
    failed: str


@dataclass(frozen=True)
class Outcome:
    """A claim of the paper: the verdict of the records that come with the library, and that of the quick runs."""

    key: str
    recorded: str
    quick: str


def run_quick(folder: Path, seeds: int, device: str = "auto", progress: bool = True) -> Iterator[QuickRun]:
    """Run each experiment that has a quick preset; its record goes to the folder.

    >>> [run.name for run in run_quick(Path("again/quick"), seeds=3) if run.failed]             # doctest: +SKIP
    []

    One that lacks a package or data is told, and the others go on. Raises ``ValueError`` for no seeds, and for a folder that
    holds something: of what lies there, nothing is overwritten or taken for what was run now.
    """
    runner.check_seeds(seeds)
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"folder: expected a new or an empty one for the quick runs, got {folder}; "
                         "move it away, or name another with --folder")
    with records_in(folder):
        for name in runner.EXPERIMENTS:
            if "quick" in runner.find(name).PRESETS:
                started, failed = time.monotonic(), ""
                try:
                    runner.run(name, "quick", seeds, device, progress=progress)
                except (ImportError, OSError, ValueError) as error:
                    failed = f"{type(error).__name__}: {error}"
                yield QuickRun(name, time.monotonic() - started, failed)


def outcomes(folder: Path) -> list[Outcome]:
    """Each claim with both verdicts, in the order of the paper; what needs no record is computed here and now.

    >>> [outcome.quick for outcome in outcomes(Path("again/quick")) if outcome.key == "figure-3"]   # doctest: +SKIP
    ['confirmed']
    """
    recorded = rows()
    with records_in(folder):
        return [Outcome(old.key, old.status, new.status) for old, new in zip(recorded, rows())]


@dataclass(frozen=True)
class Comparison:
    """A record and what the same run gave now.

    ``numbers``: how many the recorded results hold; ``lines``: one for each that is another now, beyond a relative
    ``TOLERANCE``; ``verdicts``: of the record and of the new run, None where the experiment has no verdict.
    """

    numbers: int
    lines: list[str]
    verdicts: tuple | None
    devices: tuple[str, str]

    @property
    def holds(self) -> bool:
        """The verdict is the same; without a verdict, all numbers are."""
        return self.verdicts[0].status == self.verdicts[1].status if self.verdicts else not self.lines

    def told(self, most: int = 10) -> str:
        """What a reader wants to know, in lines."""
        text = [f"recorded on  {self.devices[0]}", f"run now on   {self.devices[1]}"]
        for when, verdict in zip(("recorded", "now"), self.verdicts or ()):
            text.append(f"{when:12} {verdict.status}: {verdict.measured}")
        text.append(f"{self.numbers - len(self.lines):,} of {self.numbers:,} results agree to {percent(TOLERANCE)}")
        text += [f"    {line}" for line in self.lines[:most]]
        return "\n".join(text + ([f"    and {len(self.lines) - most} more"] if len(self.lines) > most else []))


def run_again(name: str, preset: str, folder: Path, device: str = "auto", minutes: float | None = None,
              progress: bool = True) -> Comparison | None:
    """Run what a record was made with, its seeds too, and compare; None while other processes still work on it.

    >>> run_again("step-cost", "cpu", Path("again")).holds                                      # doctest: +SKIP
    True

    Times, and what a graphics card computes, are never quite the same again: the verdict decides. Raises
    ``FileNotFoundError`` for a record that is missing, ``ValueError`` if the preset has changed since or the folder holds
    this record already, ``TimeIsUp`` after ``minutes``: the same call goes on from there.
    """
    old = load_record(name, preset)
    if runner.state(name, preset) == "stale":
        raise ValueError(f"preset: expected the settings that {name}, {preset} was recorded with, got others; "
                         "the record has to be made anew")
    with records_in(folder):
        path = folder / f"{name}-{preset}.json"
        # of several processes, the fastest may have ended before the last one begins
        if path.exists() and not runner.made_just_now(name, preset, len(old["seeds"])):
            raise ValueError(f"folder: expected none with a record of {name}, {preset}, got {path}; "
                             "move it away, or name another with --folder")
        if runner.run(name, preset, len(old["seeds"]), device, minutes, progress) is None:
            return None
        new = load_record(name, preset)
    return compared(old, new, getattr(runner.find(name), "verdict", None))


def compared(old: dict, new: dict, verdict=None) -> Comparison:
    """Compare two records of the same run; ``verdict`` is the experiment's.

    >>> made = {"provenance": {"device": "CPU"}}
    >>> found = compared({"results": {"a": [1.0, 2.0]}} | made, {"results": {"a": [1.0, 3.0]}} | made)
    >>> found.numbers, found.lines
    (2, ['a/1: expected 2.0, got 3.0'])
    """
    verdicts = None if verdict is None else (verdict(old), verdict(new))
    return Comparison(_count(old["results"]), differences(old["results"], new["results"]), verdicts,
                      (old["provenance"]["device"], new["provenance"]["device"]))


def _count(value) -> int:
    """How many single values there are."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 1 if inner is None else sum(map(_count, inner))
