"""Recorded states: a teacher's episodes on disk, each screen once, stacks of four rebuilt on access."""
import hashlib
import json
import os
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from sobolev_lib._arguments import integer
from sobolev_lib.atari.envs import HEIGHT, HISTORY, WIDTH, Games, check_game, emulator_version
from sobolev_lib.atari.rollout import rollout
from sobolev_lib.files import hold, remove_abandoned, write_whole
from sobolev_lib.identity import tensor_bytes

TEST, VALIDATION = 0.35, 0.10                              # shares of the states; whole episodes


class RecordedStates:
    """States that a teacher met, in the order it met them, episode after episode.

    >>> states = RecordedStates(folder)                      # doctest: +SKIP
    >>> len(states), states[[0, 1, 2]].shape                 # doctest: +SKIP
    (100000, torch.Size([3, 4, 84, 84]))

    ``states[indices]`` is a uint8 tensor (n, 4, 84, 84), rebuilt exactly as the teacher saw it: the last four screens,
    black before the episode's first. ``starts`` holds the index of each episode's first state. The file is memory-mapped:
    opening is instant, and only what is touched is read (7 kB a state). Raises ``ValueError`` naming the folder if its
    files are damaged or don't belong together.
    """

    def __init__(self, folder: str | Path):
        self.folder = folder = Path(folder)
        if not (folder / "about.json").exists():
            raise FileNotFoundError(f"no recorded states in {folder}; make them with: python -m sobolev_lib.atari record GAME")
        try:
            self.about = json.loads((folder / "about.json").read_text())
            self.starts = np.array(self.about["starts"], dtype=np.int64)
            self.screens = np.load(folder / "screens.npy", mmap_mode="r")
            fits = self.screens.shape == (self.about["count"], HEIGHT, WIDTH) and self.screens.dtype == np.uint8
            fits = fits and self.starts[0] == 0 and (np.diff(self.starts) > 0).all() and self.starts[-1] < len(self.screens)
        except (ValueError, KeyError, TypeError, IndexError, EOFError, OSError) as error:
            raise ValueError(f"folder: expected recorded states in {folder}, got broken files: {error}; delete it") from None
        if not fits:
            raise ValueError(f"folder: expected recorded states in {folder}, got screens that its about.json doesn't "
                             "describe; delete it")

    def __len__(self) -> int:
        return len(self.screens)

    def __getitem__(self, indices) -> Tensor:
        indices = np.asarray(indices)
        if indices.ndim != 1 or not np.issubdtype(indices.dtype, np.integer):
            raise TypeError(f"states: expected a list or vector of integers, got {indices.dtype} of shape {indices.shape}")
        if len(indices) and (indices.min() < 0 or indices.max() >= len(self)):
            raise IndexError(f"states: expected indices from 0 to {len(self) - 1}, got {indices.min()} to {indices.max()}")
        indices = indices.astype(np.int64)                 # unsigned ones would wrap below zero
        first = self.starts[np.searchsorted(self.starts, indices, side="right") - 1]
        stacks = np.zeros((len(indices), HISTORY, HEIGHT, WIDTH), dtype=np.uint8)
        for back in range(HISTORY):
            there = indices - back >= first
            stacks[there, HISTORY - 1 - back] = self.screens[indices[there] - back]
        return torch.from_numpy(stacks)

    def split(self, share: float, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Indices for training, validation and test; no episode has states in two of them.

        >>> train, validation, test = states.split(0.05)     # doctest: +SKIP
        >>> len(train)                                       # doctest: +SKIP
        5000

        Test takes whole episodes, picked at random, until it has 35% of the states, validation 10%. They are the same for
        every share and seed, so that nothing is tuned on what is tested later. ``seed`` shuffles the other episodes, and
        training takes exactly the ``share`` asked for, the last of its episodes cut short; a larger share holds every
        smaller one. Raises ``ValueError`` if there are not enough.
        """
        bounds = [*self.starts.tolist(), len(self)]
        order = np.random.default_rng(0).permutation(len(self.starts)).tolist()
        parts: list[list[int]] = [[], []]
        for part, size in zip(parts, (TEST, VALIDATION)):
            while order and sum(bounds[e + 1] - bounds[e] for e in part) < size * len(self):
                part.append(order.pop())
        np.random.default_rng(seed).shuffle(order)
        pool = [index for e in order for index in range(bounds[e], bounds[e + 1])]
        wanted = round(share * len(self))
        if not 0 < wanted <= len(pool):
            raise ValueError(f"share: expected above 0 and at most {len(pool) / len(self):.3f} here ({len(self)} states in "
                             f"{len(self.starts)} episodes, test and validation set aside), got {share!r}")
        test, validation = [np.concatenate([np.arange(bounds[e], bounds[e + 1]) for e in sorted(part)]) for part in parts]
        return np.array(pool[:wanted]), validation, test


def record_states(teacher: nn.Module, game: str, *, count: int = 100_000, seed: int = 0, games: int = 16,
                  folder: str | Path | None = None, progress: bool = True) -> RecordedStates:
    """Let ``teacher`` play and keep ``count`` states; instant if the same recording is there already.

    >>> states = record_states(sobolev_lib.atari.load_teacher("pong"), "pong", count=2_000)   # doctest: +SKIP

    Actions are drawn from the softmax of the teacher's logits (N, actions); scores and starts are in ``.about``. Same
    teacher, ``seed``, ``games`` and version of ale-py: same states (on the same kind of device). A recording that another
    version of ale-py made is used with a warning. Each game's episodes are kept whole, in the order in which they end;
    only the last one is cut, to make exactly ``count``. ``folder``: where recordings lie,
    by default ``~/.cache/sobolev_lib/atari``, or what the environment variable ``SOBOLEV_CACHE`` names. 100,000 states
    take 0.7 GB.

    Source: section 4.2 (100K recorded states a game).
    """
    check_game(game)
    about = {"game": game, "count": integer(count, "count", "a positive number of states"),
             "seed": integer(seed, "seed", "an integer >= 0", least=0), "games": integer(games, "games", "a positive number"),
             "teacher": weights_digest(teacher)}
    place = recording_folder(about, Path(folder) if folder is not None else cache_folder())
    emulator = emulator_version()
    if (place / "about.json").exists():
        recorded = RecordedStates(place)
        made_with = recorded.about.get("ale_py")           # None in recordings of this library's first versions
        if made_with and emulator and made_with != emulator:
            warnings.warn(f"record_states: {place} was recorded with ale-py {made_with}, and {emulator} is installed; "
                          "delete it to record it again", stacklevel=2)
        return recorded
    about["ale_py"] = emulator
    place.mkdir(parents=True, exist_ok=True)
    remove_abandoned(place, "screens.*.npy")
    unfinished = place / f"screens.{os.getpid()}.npy"
    try:
        lengths, scores = _record(teacher, about, unfinished, progress)
        os.replace(unfinished, place / "screens.npy")
    finally:
        unfinished.unlink(missing_ok=True)
    starts = np.cumsum([0, *lengths[:-1]]).tolist()
    # written last: a recording without it is not there
    write_whole(place / "about.json", json.dumps({**about, "starts": starts, "scores": scores}) + "\n")
    return RecordedStates(place)


def recording_folder(about: dict, place: Path) -> Path:
    """Where a recording lies in ``place``: its name says what decides which states are in it."""
    about = {key: about[key] for key in ("game", "count", "seed", "games", "teacher")}
    mark = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:12]
    return place / f"{about['game']}-{about['count']}-{mark}"


def cache_folder() -> Path:
    """Where recordings lie unless told otherwise."""
    return Path(os.environ.get("SOBOLEV_CACHE") or Path.home() / ".cache" / "sobolev_lib") / "atari"


def _record(teacher, about, path, progress) -> tuple[list[int], list[float | None]]:
    """Write the screens; returns the episodes' lengths and scores (None for the one that was cut)."""
    games = Games(about["game"], about["games"], seed=about["seed"])
    generator = torch.Generator().manual_seed(about["seed"])
    screens = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(about["count"], HEIGHT, WIDTH))
    file = open(path, "r+b")
    hold(file)
    _allocate(file, screens.offset, screens.nbytes)
    current: list[list[np.ndarray]] = [[] for _ in range(games.count)]
    points, lengths, scores, filled = np.zeros(games.count), [], [], 0

    def keep(k: int, score: float | None):
        nonlocal filled
        whole = current[k]
        kept = whole[:about["count"] - filled]
        screens[filled:filled + len(kept)] = kept
        lengths.append(len(kept))
        scores.append(score if len(kept) == len(whole) else None)
        filled += len(kept)
        bar.update(len(kept))

    with file, tqdm(total=about["count"], disable=not progress, desc=f"{about['game']}: recording states") as bar:
        for played in rollout(teacher, games, games.reset(), generator):
            for k in range(games.count):
                current[k].append(played.states[k, -1].copy())     # a view would keep all four screens
            points += played.after.rewards
            for k in np.flatnonzero(played.after.ended).tolist():
                if filled < about["count"]:
                    keep(k, float(points[k]))
                current[k], points[k] = [], 0
            if filled == about["count"]:
                break
    games.close()
    screens.flush()
    return lengths, scores


def _allocate(file, start: int, size: int) -> None:
    """Take the disk's space now: a full disk would otherwise end the process at some screen, without a word."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), start, size)
        else:
            file.seek(start)
            for done in range(0, size, 2**24):
                file.write(bytes(min(2**24, size - done)))
            file.flush()
    except OSError as error:
        file.close()
        raise OSError(error.errno, f"{error.strerror}: a recording of {size / 1e9:.1f} GB", file.name) from None


def weights_digest(module: nn.Module) -> str:
    """A hash of a network's kind and weights, whatever their device and layout in memory."""
    digest = hashlib.sha256(type(module).__name__.encode())
    for tensor in module.state_dict().values():
        digest.update(tensor_bytes(tensor))
    return digest.hexdigest()[:16]


def evenly(indices: np.ndarray, count: int) -> np.ndarray:
    """``count`` of the indices at equal distances; all of them if there are no more.

    >>> evenly(np.arange(100), 5).tolist()
    [0, 25, 50, 74, 99]
    """
    if len(indices) <= count:
        return indices
    return indices[np.linspace(0, len(indices) - 1, count).round().astype(int)]
