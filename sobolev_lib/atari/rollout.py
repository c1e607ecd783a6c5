"""A policy plays: the one loop that recording, scoring, watching and training share."""
from typing import Iterator, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sobolev_lib.atari.envs import Games, Transition


class Played(NamedTuple):
    """One step of all games: what the policy was shown, what it said and did, and what came of it.

    >>> played = next(rollout(policy, games, games.reset(), generator))                        # doctest: +SKIP
    >>> played.states.shape, played.actions.shape                                              # doctest: +SKIP
    ((16, 4, 84, 84), (16,))
    """

    states: np.ndarray                                     # (E, 4, 84, 84), before the action
    logits: Tensor                                         # (E, actions), of the games still running
    others: tuple[Tensor, ...]                             # whatever else the policy returned
    actions: np.ndarray                                    # (E,)
    after: Transition


@torch.no_grad()
def rollout(policy: nn.Module, games: Games, states: np.ndarray, generator: torch.Generator, *, greedy: bool = False,
            running: np.ndarray | None = None) -> Iterator[Played]:
    """Let ``policy`` play on from ``states``, without end: one ``Played`` a step.

    >>> for played in itertools.islice(rollout(policy, games, games.reset(), generator), 100):    # doctest: +SKIP
    ...     scores += played.after.rewards

    ``policy`` maps uint8 states (N, 4, 84, 84), on its own device, to logits (N, actions), or to a tuple that begins with
    them. Actions are drawn by ``generator``, or with ``greedy`` the most probable one is taken. ``running`` (E,), read
    anew at each step, marks the games that it still plays; the others go on with no-ops, and cost no forward pass. Raises
    ``ValueError`` for a policy with another number of actions.
    """
    device = next(policy.parameters()).device
    while True:
        seen = states.copy()                               # a policy may work in place
        answer = policy(torch.from_numpy(states if running is None else states[running]).to(device))
        logits, *others = [part.cpu() for part in (answer if isinstance(answer, tuple) else (answer,))]
        check_actions(logits, games)
        chosen = logits.argmax(1) if greedy else sample(logits, generator)
        actions = np.zeros(games.count, dtype=np.int64)
        actions[slice(None) if running is None else running] = chosen.numpy()
        after = games.step(actions)
        states = after.states
        yield Played(seen, logits, tuple(others), actions, after)


def sample(logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """One action a row, drawn from softmax(logits); ``generator`` must live where the logits do.

    >>> sample(torch.tensor([[0.0, 100.0], [100.0, 0.0]]))
    tensor([1, 0])
    """
    return torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)


def check_actions(logits: Tensor, games: Games) -> None:
    """Raises ``ValueError`` unless there is a logit for each action of the game."""
    if logits.ndim != 2 or logits.shape[1] != games.num_actions:
        raise ValueError(f"policy: expected logits (N, {games.num_actions}) for {games.game}, got {tuple(logits.shape)}; "
                         "was it made for another game?")
