"""Recorded states in a file small enough to send: about 50 bytes a screen in place of 7,056."""
import hashlib
import json
import lzma
import math
import os
from pathlib import Path

import numpy as np

from sobolev_lib.atari.envs import HEIGHT, WIDTH
from sobolev_lib.atari.states import RecordedStates, cache_folder, recording_folder
from sobolev_lib.files import hold, remove_abandoned, write_whole

_KIND = "sobolev_lib.atari.RecordedStates"


def pack_states(states: RecordedStates, path: str | Path) -> Path:
    """Write a recording as one file, each screen as what changed since the one before; returns the path.

    >>> pack_states(states, "pong.states")                     # doctest: +SKIP
    >>> unpack_states("pong.states").about["game"]             # doctest: +SKIP
    'pong'
    """
    screens = np.asarray(states.screens)
    changes = screens.copy()
    changes[1:] ^= screens[:-1]
    head = {"kind": _KIND, "about": states.about, "shape": screens.shape, "sha256": hashlib.sha256(changes).hexdigest()}
    write_whole(Path(path), json.dumps(head).encode() + b"\n" + lzma.compress(changes, preset=1))
    return Path(path)


def unpack_states(path: str | Path, folder: str | Path | None = None) -> RecordedStates:
    """Put a packed recording where ``record_states`` looks for it, and open it.

    >>> states = unpack_states("pong.states")                  # doctest: +SKIP

    ``folder``: where recordings lie, as for ``record_states``. Raises ``ValueError`` naming the file if it holds anything
    else, or is damaged.
    """
    try:
        head, _, packed = Path(path).read_bytes().partition(b"\n")
        head = json.loads(head)
        shape, about, expected = tuple(head["shape"]), head["about"], head["sha256"]
        changes, starts = lzma.decompress(packed), list(about["starts"])
        place = recording_folder(about, Path(folder) if folder is not None else cache_folder())
        # the head has no sum of its own: each of its parts must fit the others
        fits = (head["kind"] == _KIND and hashlib.sha256(changes).hexdigest() == expected
                and shape == (about["count"], HEIGHT, WIDTH) and len(changes) == math.prod(shape)
                and [0, *sorted({*starts} - {0})] == starts and starts[-1] < shape[0] and len(starts) == len(about["scores"])
                and place.name.startswith(f"{about['game']}-{about['count']}-"))
    except (ValueError, KeyError, TypeError, lzma.LZMAError) as error:
        raise ValueError(f"path: expected states that pack_states wrote, got {path}: {error}") from None
    if not fits:
        raise ValueError(f"path: expected states that pack_states wrote, got {path}, which is something else or damaged")
    if not (place / "about.json").exists():
        place.mkdir(parents=True, exist_ok=True)
        remove_abandoned(place, "screens.*.npy")
        unfinished = place / f"screens.{os.getpid()}.npy"
        screens = np.frombuffer(changes, np.uint8).reshape(shape)
        try:
            with open(unfinished, "wb") as file:
                hold(file)
                np.save(file, np.bitwise_xor.accumulate(screens, axis=0))
            os.replace(unfinished, place / "screens.npy")
        finally:
            unfinished.unlink(missing_ok=True)
        write_whole(place / "about.json", json.dumps(about) + "\n")         # last: a recording without it is not there
    return RecordedStates(place)
