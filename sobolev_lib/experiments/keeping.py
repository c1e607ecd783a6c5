"""What a unit of an experiment keeps while it runs, so that a killed or paused run goes on where it was."""
import json
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from sobolev_lib.experiments.memory import peak_memory_bytes
from sobolev_lib.files import write_whole

PROGRESS = "progress.json"


class TimeIsUp(Exception):
    """A run has used the time it was given. What it had is kept; the same command goes on from there.

    >>> raise TimeIsUp                                                                         # doctest: +SKIP
    """


class Keep:
    """A unit's own folder: results of its finished steps, and checkpoints of the step that runs.

    >>> keep = Keep(folder, until=time.monotonic() + 540)                                      # doctest: +SKIP
    >>> tuned = keep.once("tuning", lambda: {"lr": 1e-3})      # computed once, read back later     # doctest: +SKIP
    >>> train(..., checkpoint=keep.checkpoint("seed-0"), on_checkpoint=keep.reached)           # doctest: +SKIP

    The folder holds JSON and safetensors only and decides by no machine's name: copied to another one, the unit goes on
    there. ``until`` is a time of ``time.monotonic``, in seconds; None runs to the end. ``device`` is a name, kept for the
    record. Without a folder it keeps everything as long as it lives: for a unit that is run by hand.
    """

    def __init__(self, folder: Path | None = None, until: float | None = None, device: str = ""):
        if folder is None:
            outer = tempfile.mkdtemp()
            weakref.finalize(self, shutil.rmtree, outer, ignore_errors=True)
            folder = Path(outer) / "unit"
        self.folder, self.until, self.device = Path(folder), until, device
        self._start, self._name, self._outer = time.perf_counter(), "", None
        self._earlier = {"seconds": 0.0, "peak_memory": 0, "devices": []}
        if (self.folder / PROGRESS).exists():
            noted = json.loads((self.folder / PROGRESS).read_text())
            self._earlier = {key: noted[key] for key in self._earlier}

    def once(self, name: str, compute: Callable[[], object]):
        """What ``compute`` returns, as JSON gives it back; computed if no earlier run has left it here."""
        path = self.folder / f"{name}.json"
        if path == self.folder / PROGRESS:
            raise ValueError(f"name: expected another one than {name!r}, which the progress has")
        if not path.exists():
            self._name = name
            write_whole(path, json.dumps(compute(), allow_nan=False))
            self.checkpoint(name).unlink(missing_ok=True)  # of the training whose result is here now
            self.note(name)
            self.pause()
        return json.loads(path.read_text())

    def checkpoint(self, name: str) -> Path:
        """Where the step called ``name`` keeps its checkpoint."""
        self._name = name
        return self.folder / f"{name}.safetensors"

    def beside(self, name: str) -> "Keep":
        """A folder that all units of the run share, for what is computed once for several of them."""
        shared = Keep(self.folder.parent / name, self.until, self.device)
        shared._outer = self
        return shared

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within it no other process works in this folder: one that wants to waits, and finds the results there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):              # goes with the process that holds it, however that ends
            yield

    def reached(self, step: int, steps: int) -> None:
        """Called after each checkpoint: notes how far the present step has come, and stops if the time is up."""
        self.note(self._name, step=step, steps=steps)
        self.pause()

    def pause(self) -> None:
        """Raise ``TimeIsUp`` if it is; to be called only where nothing would be lost."""
        if self.until is not None and time.monotonic() >= self.until:
            raise TimeIsUp

    def account(self) -> dict:
        """Seconds of all resumptions up to their last note, of this one up to now; the devices, and the most memory."""
        devices = self._earlier["devices"]
        return {"seconds": self._earlier["seconds"] + time.perf_counter() - self._start,
                "peak_memory": max(self._earlier["peak_memory"], peak_memory_bytes()),
                "devices": devices if self.device in devices else [*devices, self.device]}

    def note(self, name: str, **reached: int) -> None:
        """Leave word of where the unit is, and its account, which a later run adds to."""
        write_whole(self.folder / PROGRESS, json.dumps({"at": name, **reached, **self.account()}))
        if self._outer is not None:
            self._outer.note(self.folder.name)
