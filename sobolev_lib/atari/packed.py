"""Recorded states in a file small enough to send: about 50 bytes a screen in place of 7,056."""
import hashlib
import json
import lzma
import os
from pathlib import Path

import numpy as np

from sobolev_lib.atari.envs import HEIGHT, WIDTH
from sobolev_lib.atari.states import RecordedStates, cache_folder, recording_folder
from sobolev_lib.records import write_whole

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

    ``folder``: where recordings lie, as for ``record_states``. Raises ``ValueError`` naming the file if it holds anything
    else, or is damaged.
    """
    try:
        head, _, packed = Path(path).read_bytes().partition(b"\n")
        head = json.loads(head)
        shape, about, expected = tuple(head["shape"]), head["about"], head["sha256"]
        changes = lzma.decompress(packed)
    except (ValueError, KeyError, TypeError, lzma.LZMAError) as error:
        raise ValueError(f"path: expected states that pack_states wrote, got {path}: {error}") from None
    if head.get("kind") != _KIND or shape[1:] != (HEIGHT, WIDTH) or hashlib.sha256(changes).hexdigest() != expected:
        raise ValueError(f"path: expected states that pack_states wrote, got {path}, which is something else or damaged")
    place = recording_folder(about, Path(folder) if folder is not None else cache_folder())
    if not (place / "about.json").exists():
        place.mkdir(parents=True, exist_ok=True)
        unfinished = place / f"screens.{os.getpid()}.npy"
        screens = np.frombuffer(changes, np.uint8).reshape(shape)
        np.save(unfinished, np.bitwise_xor.accumulate(screens, axis=0))
        os.replace(unfinished, place / "screens.npy")
        write_whole(place / "about.json", json.dumps(about) + "\n")         # last: a recording without it is not there
    return RecordedStates(place)
