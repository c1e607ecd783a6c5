"""Training a teacher from scratch: advantage actor-critic with PPO's clipped update."""
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from sobolev_lib.atari.envs import ACTION_REPEAT, Games
from sobolev_lib.atari.policies import Teacher
from sobolev_lib.atari.rollout import rollout
from sobolev_lib.checkpoint import load_checkpoint, save_checkpoint
from sobolev_lib.files import check_writable

SAVED_EVERY = 60                                           # seconds between checkpoints


@dataclass(frozen=True)
class Plan:
    """The numbers of a training run. One agent step is four frames.

    >>> Plan(game="pong", steps=2_000_000).batch             # agent steps between two updates
    1024

    ``epochs`` of minibatches reuse each batch; ``clip`` bounds the policy's probability ratio; ``entropy`` is the weight
    of the bonus that keeps it exploring (with ``final_entropy`` = 0 the policy ends up surer of itself); ``trace`` is
    lambda of the generalised advantage estimate. Rewards are clipped to [-1, 1] for learning, and a lost life ends the
    return, both as usual; scores are neither.
    """

    game: str
    steps: int
    seed: int = 0
    games: int = 16
    horizon: int = 64
    epochs: int = 3
    minibatch: int = 32                                    # small: many updates a frame, which is what Pong needs
    lr: float = 2.5e-4
    final_lr: float = 2.5e-5                               # reached in a straight line
    discount: float = 0.99
    trace: float = 0.95
    clip: float = 0.1
    entropy: float = 0.01
    final_entropy: float = 0.01                            # reached in a straight line, like the learning rate
    value_weight: float = 0.5
    max_norm: float = 0.5

    @property
    def batch(self) -> int:
        return self.games * self.horizon


@dataclass
class Progress:
    """How a training run went, a point about every 20,000 agent steps.

    >>> teacher, report = train_teacher(Plan("pong", steps=2_000_000))                         # doctest: +SKIP
    >>> report.steps[-1], report.scores[-1]                                                    # doctest: +SKIP
    (2000896, 19.4)
    """

    steps: list[int] = field(default_factory=list)         # agent steps so far
    scores: list[float] = field(default_factory=list)      # mean unclipped score of the last 50 episodes
    entropy: list[float] = field(default_factory=list)     # of the policy, nats
    seconds: float = 0.0
    resumed: int = 0                                       # times the run was taken up again
    replanned: list[int] = field(default_factory=list)     # agent steps at which another length or final entropy took over


class ActorCritic(nn.Module):
    """A teacher with a second head on the same features: the value of the state."""

    def __init__(self, policy: Teacher):
        super().__init__()
        self.policy = policy
        self.value = nn.utils.skip_init(nn.Linear, policy.hidden, 1)  # draws nothing from the global generator
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        # channels last: convolutions on a CPU are half as fast again
        pixels = (states.float() / 255).contiguous(memory_format=torch.channels_last)
        features = self.policy.features(pixels)
        return self.policy.head(features), self.value(features).squeeze(1)


def train_teacher(plan: Plan, *, checkpoint: str | Path | None = None, device: torch.device | str = "cpu",
                  progress: bool = True, on_checkpoint: Callable[[int, int], None] | None = None,
                  games: Callable[..., Games] | None = None) -> tuple[Teacher, Progress]:
    """Train a teacher from scratch; returns it and how it went.

    >>> teacher, report = train_teacher(Plan("pong", steps=2_000_000), checkpoint="pong.safetensors")  # doctest: +SKIP

    ``checkpoint`` names a file written every minute, from which the same call goes on. Weights and optimiser go on
    as they were; the emulators can't be stored, so a resumed run starts new episodes and differs from an uninterrupted
    one. Without an interruption, a run repeats on the same machine and number of threads. ``on_checkpoint(done, steps)``
    is called after each is written, with agent steps; what it raises ends the run. ``games`` makes what is played, in
    place of ``Games``. A plan that differs in length or final entropy goes on from the same file. Raises ``ValueError`` if
    the file belongs to another plan.

    Source: section 4.2 trains its teachers by A3C. This is the synchronous form (all games step together, one network),
    with the clipped update of PPO, which reaches the same scores with fewer frames.
    """
    if checkpoint is not None:
        check_writable(checkpoint)
    generator = torch.Generator().manual_seed(plan.seed)
    make = games or Games
    games = make(plan.game, plan.games, seed=plan.seed)
    network = ActorCritic(Teacher(games.num_actions, generator=generator)).to(device)
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=plan.lr, eps=1e-5, fused=True)
    report, done = Progress(), 0
    if checkpoint is not None and Path(checkpoint).exists():
        extra, saved = load_checkpoint(Path(checkpoint), model=network, optimizer=optimizer, fingerprint=_mark(plan))
        report, done = Progress(**saved["report"]), saved["done"]
        if done >= plan.steps + plan.batch:
            raise ValueError(f"checkpoint: {checkpoint} has been trained for {done:,} steps; expected at most the plan's "
                             f"{plan.steps:,}")
        report.resumed += done < plan.steps
        if done < plan.steps and saved["schedule"] != _schedule(plan):
            report.replanned.append(done)
        generator.set_state(extra["random.actions"])
        games.close()
        games = make(plan.game, plan.games, seed=plan.seed + 1000 * report.resumed)

    def save():
        if checkpoint is not None:
            report.seconds = earlier + time.perf_counter() - start
            save_checkpoint(Path(checkpoint), model=network, optimizer=optimizer, fingerprint=_mark(plan),
                            tensors={"random.actions": generator.get_state()},
                            progress={"report": vars(report), "done": done, "schedule": _schedule(plan)})
            if on_checkpoint is not None:
                on_checkpoint(done, plan.steps)

    start = saved_at = time.perf_counter()
    earlier = report.seconds
    states, running = games.reset(), np.zeros(plan.games)
    finished: deque[float] = deque(maxlen=50)
    bar = tqdm(total=plan.steps, initial=done, disable=not progress, desc=plan.game, unit=" steps", mininterval=5)
    with bar, contextlib.closing(games):
        while done < plan.steps:
            for group in optimizer.param_groups:
                group["lr"] = plan.lr + (plan.final_lr - plan.lr) * done / plan.steps
            bonus = plan.entropy + (plan.final_entropy - plan.entropy) * done / plan.steps
            batch, states = _collect(network, games, states, running, finished, plan, generator, device)
            entropy = _update(network, optimizer, batch, plan, bonus, generator)
            done += plan.batch
            bar.update(plan.batch)
            if finished and (not report.steps or done - report.steps[-1] >= 20_000 or done >= plan.steps):
                report.steps.append(done)
                report.scores.append(float(np.mean(finished)))
                report.entropy.append(entropy)
                bar.set_postfix(score=f"{report.scores[-1]:.1f}", entropy=f"{entropy:.2f}",
                                frames_per_s=f"{ACTION_REPEAT * (bar.format_dict['rate'] or 0):.0f}")
            if time.perf_counter() - saved_at >= SAVED_EVERY:
                save()
                saved_at = time.perf_counter()
    save()
    report.seconds = earlier + time.perf_counter() - start
    return network.policy, report


@torch.no_grad()
def _collect(network, games, states, running, finished, plan, generator, device):
    """Play ``horizon`` steps in every game. ``running`` holds the scores so far, ``finished`` those of whole episodes."""
    shape = (plan.horizon, plan.games)
    seen = np.empty((*shape, *states.shape[1:]), dtype=np.uint8)
    actions, log_probs = torch.empty(shape, dtype=torch.long), torch.empty(shape)
    values, rewards, ends = torch.empty((plan.horizon + 1, plan.games)), torch.empty(shape), torch.empty(shape)
    for t, played in enumerate(islice(rollout(network, games, states, generator), plan.horizon)):
        seen[t], actions[t], after = played.states, torch.from_numpy(played.actions), played.after
        values[t], = played.others
        log_probs[t] = played.logits.log_softmax(1).gather(1, actions[t].unsqueeze(1)).squeeze(1)
        rewards[t] = torch.from_numpy(after.rewards).clamp(-1, 1)
        ends[t] = torch.from_numpy(after.lives_lost)
        running += after.rewards
        finished.extend(running[after.ended])
        running[after.ended] = 0
    states = after.states
    values[-1] = network(torch.from_numpy(states).to(device))[1].cpu()
    advantages, carried = torch.empty(shape), torch.zeros(plan.games)
    for t in reversed(range(plan.horizon)):
        going_on = 1 - ends[t]
        error = rewards[t] + plan.discount * going_on * values[t + 1] - values[t]
        carried = error + plan.discount * plan.trace * going_on * carried
        advantages[t] = carried
    batch = (torch.from_numpy(seen), actions, log_probs, advantages, advantages + values[:-1])
    return [tensor.flatten(0, 1).to(device) for tensor in batch], states


def _update(network, optimizer, batch, plan, bonus, generator) -> float:
    """Some epochs of PPO's clipped update; returns the policy's mean entropy."""
    entropies = []
    for _ in range(plan.epochs):
        for index in torch.randperm(plan.batch, generator=generator).split(plan.minibatch):
            states, actions, old, advantages, returns = [tensor[index.to(tensor.device)] for tensor in batch]
            logits, values = network(states)
            log_pi = logits.log_softmax(1)
            ratio = (log_pi.gather(1, actions.unsqueeze(1)).squeeze(1) - old).exp()
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
            gain = torch.minimum(ratio * advantages, ratio.clamp(1 - plan.clip, 1 + plan.clip) * advantages).mean()
            entropy = -(log_pi.exp() * log_pi).sum(1).mean()
            loss = -gain - bonus * entropy + plan.value_weight * (values - returns).square().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), plan.max_norm)
            optimizer.step()
            entropies.append(entropy.detach())
    return float(torch.stack(entropies).mean())


def _schedule(plan: Plan) -> list[float]:
    return [plan.steps, plan.final_entropy]


def _mark(plan: Plan) -> str:
    return repr(replace(plan, steps=0, final_entropy=0.0))
