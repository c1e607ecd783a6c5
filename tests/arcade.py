"""What the Atari tests share: policies that cost nothing, a game without an emulator, recordings from thin air."""
import json

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from sobolev_lib.atari import RecordedStates
from sobolev_lib.atari.envs import Transition
from sobolev_lib.atari.policies import Policy


class Tiny(Policy):
    """The smallest policy: a few thousand parameters."""

    convolutions = ((4, 8, 8),)
    hidden = 8


def tiny(num_actions=3, seed=0, sure=300.0):
    """A ``Tiny`` that is ``sure`` times less near to uniform than an untrained policy is."""
    policy = Tiny(num_actions, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        policy.head.weight.mul_(sure)
    return policy


class Rule(nn.Module):
    """A policy that is sure of itself: the sum of all pixels decides. It keeps what it was shown in ``seen``."""

    def __init__(self, num_actions):
        super().__init__()
        self.num_actions, self.seen = num_actions, []
        self.anchor = nn.Parameter(torch.zeros(1), requires_grad=False)  # says on which device the policy is

    def forward(self, states):
        self.seen.append(states.clone())
        return 50.0 * F.one_hot(states.flatten(1).sum(1, dtype=torch.long) % self.num_actions, self.num_actions)


class Alley:
    """A game without an emulator, behind the same face as ``Games``.

    A screen is dark but for its left, middle or right third. The action of that number earns 3 points, another loses 1.
    Episodes last 4 to 11 steps, every third step costs a life. What is shown depends on the seed alone.
    """

    num_actions = 3

    def __init__(self, game, count=1, *, seed=0, threads=0, colour=False):
        self.game, self.count, self.seed, self.closed = game, count, seed, False
        self._random = [np.random.default_rng(seed + k) for k in range(count)]
        self._stacks = np.zeros((count, 4, 84, 84), dtype=np.uint8)
        self._left, self._light = np.zeros(count, dtype=int), np.zeros(count, dtype=int)

    def reset(self):
        for k in range(self.count):
            self._begin(k)
        return self._stacks.copy()

    def step(self, actions):
        rewards = np.where(np.asarray(actions) == self._light, 3.0, -1.0)
        self._left -= 1
        ended, lost = self._left == 0, self._left % 3 == 0
        for k in range(self.count):
            self._begin(k) if ended[k] else self._show(k)
        return Transition(self._stacks.copy(), rewards, ended, lost)

    def close(self):
        self.closed = True

    def _begin(self, k):
        self._stacks[k] = 0
        self._left[k] = self._random[k].integers(4, 12)
        self._show(k)

    def _show(self, k):
        self._stacks[k, :-1] = self._stacks[k, 1:].copy()
        self._light[k] = self._random[k].integers(3)
        screen = self._random[k].integers(1, 40, (84, 84), dtype=np.uint8)  # so that no two screens are the same
        screen[:, 28 * self._light[k]:28 * self._light[k] + 28] += 200
        self._stacks[k, -1] = screen


def area(size_from, size_to):
    """The matrix that shrinks a line of pixels, each new one the mean of the part of the old line it covers."""
    edges = np.linspace(0, size_from, size_to + 1)
    old = np.arange(size_from)
    covered = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    return covered.clip(0) * size_to / size_from


def count_games(monkeypatch, module, kind=Alley):
    """Have ``module`` play ``kind`` in place of its Games; returns the list of all that it will start."""
    made = []
    monkeypatch.setattr(module, "Games", lambda *args, **kwargs: made.append(kind(*args, **kwargs)) or made[-1])
    return made


def recording(folder, lengths, seed=0, teacher="none"):
    """A recording of random screens: an episode of each of the ``lengths``."""
    screens = np.random.default_rng(seed).integers(0, 256, (sum(lengths), 84, 84), dtype=np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "screens.npy", screens)
    (folder / "about.json").write_text(json.dumps({
        "game": "alley", "count": len(screens), "seed": seed, "games": 1, "teacher": teacher,
        "starts": np.cumsum([0, *lengths[:-1]]).tolist(), "scores": [1.0] * len(lengths)}))
    return RecordedStates(folder)
