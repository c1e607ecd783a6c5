"""Letting a policy play: its unclipped score over whole episodes, and a recording to look at."""
from typing import Callable

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from sobolev_lib.atari.actor_critic import sample
from sobolev_lib.atari.envs import ACTION_REPEAT, MAX_FRAMES, Games


@torch.no_grad()
def play(policy: nn.Module, game: str, *, episodes: int = 30, seed: int = 0, greedy: bool = False,
         progress: bool = False) -> list[float]:
    """Unclipped scores of ``episodes`` whole episodes, each started with random no-ops.

    >>> play(sobolev_lib.atari.load_teacher("pong"), "pong", episodes=2)                      # doctest: +SKIP
    [20.0, 19.0]

    ``policy`` maps uint8 states (N, 4, 84, 84) to logits (N, actions). Actions are drawn from it, or with ``greedy`` the
    most probable one is taken. All episodes run side by side, one a game, so that short ones are not counted more often.
    """
    if not isinstance(episodes, int) or episodes < 1:
        raise ValueError(f"episodes: expected a positive number, got {episodes!r}")
    games = Games(game, episodes, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    device = next(policy.parameters()).device
    states, scores, running = games.reset(), np.zeros(episodes), np.ones(episodes, dtype=bool)
    actions = np.zeros(episodes, dtype=np.int64)
    with tqdm(total=episodes, disable=not progress, desc=f"{game}: episodes") as bar:
        for _ in range(MAX_FRAMES // ACTION_REPEAT + 1):
            # finished games go on with no-ops: their screens no longer cost a forward pass
            logits = policy(torch.from_numpy(states[running]).to(device)).cpu()
            check_actions(logits, games)
            actions[:] = 0
            actions[running] = (logits.argmax(1) if greedy else sample(logits, generator)).numpy()
            after = games.step(actions)
            states = after.states
            scores[running] += after.rewards[running]
            bar.update(int((running & after.ended).sum()))
            running &= ~after.ended
            if not running.any():
                break
    games.close()
    return scores.tolist()


@torch.no_grad()
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
    device = next(policy.parameters()).device
    states, screens = games.reset(), [shown.reset()[0, -1]]
    for t in range(skip + steps):
        if state is not None and t >= skip:
            state(states[0].copy())
        logits = policy(torch.from_numpy(states).to(device)).cpu()
        check_actions(logits, games)
        action = sample(logits, generator).numpy()
        states = games.step(action).states
        screens.append(shown.step(action).states[0, -1])
    games.close()
    shown.close()
    return np.stack(screens[skip:skip + steps])


def check_actions(logits: Tensor, games: Games) -> None:
    if logits.ndim != 2 or logits.shape[1] != games.num_actions:
        raise ValueError(f"policy: expected logits (N, {games.num_actions}) for {games.game}, got {tuple(logits.shape)}; "
                         "was it made for another game?")
