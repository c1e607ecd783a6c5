"""What probes play and distil in place of an emulator's games: random screens, and a teacher drawn at random."""
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from sobolev_lib.atari.envs import HEIGHT, HISTORY, WIDTH, Transition
from sobolev_lib.atari.policies import Teacher
from sobolev_lib.atari.states import RecordedStates, weights_digest


def random_teacher(num_actions: int = 4, seed: int = 0) -> Teacher:
    """A teacher that has learned nothing, but is about as sure of itself as one that has."""
    teacher = Teacher(num_actions, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        teacher.head.weight.mul_(100)
    return teacher.eval().requires_grad_(False)


@contextmanager
def random_states(teacher: Teacher, episodes: int = 12, length: int = 10, seed: int = 0) -> Iterator[RecordedStates]:
    """``episodes`` * ``length`` screens of noise, as ``record_states`` would leave them; gone when the block ends."""
    screens = np.random.default_rng(seed).integers(0, 256, (episodes * length, HEIGHT, WIDTH), dtype=np.uint8)
    about = {"game": "noise", "count": len(screens), "seed": seed, "games": 1, "teacher": weights_digest(teacher),
             "starts": list(range(0, len(screens), length)), "scores": [1.0] * episodes}
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "screens.npy", screens)
        (Path(folder) / "about.json").write_text(json.dumps(about))
        yield RecordedStates(folder)


class Noise:
    """Games of noise with the face of ``atari.Games``: six steps an episode, a point for action 0, else half a point off."""

    num_actions = 4

    def __init__(self, game: str, count: int, *, seed: int):
        self.game, self.count = game, count
        self._random, self._step = np.random.default_rng(seed), 0

    def reset(self) -> np.ndarray:
        return self._random.integers(0, 256, (self.count, HISTORY, HEIGHT, WIDTH), dtype=np.uint8)

    def step(self, actions: np.ndarray) -> Transition:
        self._step += 1
        ended = np.full(self.count, self._step % 6 == 0)
        return Transition(self.reset(), np.where(actions == 0, 1.0, -0.5), ended, ended | (self._step % 3 == 0))

    def close(self) -> None:
        """Nothing to close."""
