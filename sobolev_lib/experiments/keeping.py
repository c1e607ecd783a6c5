"""What a unit of an experiment keeps while it runs, so that a killed or paused run goes on where it was."""
import json
import time
from collections.abc import Callable
from pathlib import Path

from sobolev_lib.records import write_whole


class TimeIsUp(Exception):
    """A run has used the time it was given. What it had is kept; the same command goes on from there."""


class Keep:
    """A unit's own folder: results of its finished steps, and checkpoints of the step that runs.

    >>> keep = Keep(folder, until=time.monotonic() + 540)                                      # doctest: +SKIP
    >>> tuned = keep.once("tuning", lambda: {"lr": 1e-3})      # computed once, read back later     # doctest: +SKIP
    >>> train(..., checkpoint=keep.checkpoint("seed-0"), on_checkpoint=keep.reached)           # doctest: +SKIP

    The folder holds JSON and safetensors only and names no machine: copied to another one, the unit goes on there.
    ``until`` is a time of ``time.monotonic``, in seconds; None runs to the end.
    """

    def __init__(self, folder: Path, until: float | None = None):
        self.folder, self.until = Path(folder), until

    def once(self, name: str, compute: Callable[[], object]):
        """What ``compute`` returns, as JSON gives it back; computed if no earlier run has left it here."""
        path = self.folder / f"{name}.json"
        if not path.exists():
            write_whole(path, json.dumps(compute(), allow_nan=False))
            self.pause()
        return json.loads(path.read_text())

    def checkpoint(self, name: str) -> Path:
        """Where the step called ``name`` keeps its checkpoint."""
        return self.folder / f"{name}.safetensors"

    def reached(self, step: int, steps: int) -> None:
        """Called after each checkpoint: notes how far the present step has come, and stops if the time is up."""
        write_whole(self.folder / "reached.json", json.dumps({"step": step, "steps": steps}))
        self.pause()

    def pause(self) -> None:
        """Raise ``TimeIsUp`` if it is; to be called only where nothing would be lost."""
        if self.until is not None and time.monotonic() >= self.until:
            raise TimeIsUp
