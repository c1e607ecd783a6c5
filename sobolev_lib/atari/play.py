"""Letting a policy play: its unclipped score over whole episodes, and a recording to look at."""
from itertools import islice
from typing import Callable

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from sobolev_lib._arguments import integer
from sobolev_lib.atari.envs import ACTION_REPEAT, MAX_FRAMES, Games
from sobolev_lib.atari.rollout import rollout


def play(policy: nn.Module, game: str, *, episodes: int = 30, seed: int = 0, greedy: bool = False,
         progress: bool = False) -> list[float]:
    """Unclipped scores of ``episodes`` whole episodes, each started with random no-ops.

    >>> play(sobolev_lib.atari.load_teacher("pong"), "pong", episodes=2)                      # doctest: +SKIP
    [20.0, 19.0]

    ``policy`` maps uint8 states (N, 4, 84, 84) to logits (N, actions). Actions are drawn from it, or with ``greedy`` the
    most probable one is taken. All episodes run side by side, one a game, so that short ones are not counted more often.
    """
    episodes = integer(episodes, "episodes", "a positive number")
    games = Games(game, episodes, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    scores, running = np.zeros(episodes), np.ones(episodes, dtype=bool)
    steps = rollout(policy, games, games.reset(), generator, greedy=greedy, running=running)
    with tqdm(total=episodes, disable=not progress, desc=f"{game}: episodes") as bar:
        for *_, after in islice(steps, MAX_FRAMES // ACTION_REPEAT + 1):
            scores[running] += after.rewards[running]
            bar.update(int((running & after.ended).sum()))
            running &= ~after.ended
            if not running.any():
                break
    games.close()
    return scores.tolist()


def watch(policy: nn.Module, game: str, *, steps: int = 300, skip: int = 0, seed: int = 0,
          state: Callable[[np.ndarray], None] | None = None) -> np.ndarray:
    """Screens in colour, (steps, 210, 160, 3) uint8, of one game that ``policy`` plays, after ``skip`` steps.

    >>> watch(sobolev_lib.atari.load_teacher("breakout"), "breakout", steps=60).shape         # doctest: +SKIP
    (60, 210, 160, 3)

    A second emulator with the same seed gets the same actions and is seen in colour and full size. ``state`` is called
    with the policy's own state (4, 84, 84) before each of these steps.
    """
    games, shown = Games(game, seed=seed, threads=1), Games(game, seed=seed, threads=1, colour=True)
    generator = torch.Generator().manual_seed(seed)
    screens = [shown.reset()[0, -1]]
    for t, played in enumerate(islice(rollout(policy, games, games.reset(), generator), skip + steps)):
        if state is not None and t >= skip:
            state(played.states[0])
        screens.append(shown.step(played.actions).states[0, -1])
    games.close()
    shown.close()
    return np.stack(screens[skip:skip + steps])
