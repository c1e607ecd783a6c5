"""Section 4.2's teachers: one policy a game, trained from scratch, and what it scores.

A teacher is trained by advantage actor-critic with PPO's clipped update (see ``sobolev_lib.atari.actor_critic``) for a
fixed number of steps. Its weights are rounded to float16 and shipped with the library; the scores are those of the
shipped weights, over whole unclipped episodes after random no-ops: with actions drawn from the policy, and once more with
the most probable action (``greedy_scores``; an episode ends after 108,000 frames at the latest). The paper trained its
teachers by A3C.
"""
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from sobolev_lib.atari.actor_critic import Plan, train_teacher
from sobolev_lib.atari.envs import ACTION_REPEAT
from sobolev_lib.atari.play import play
from sobolev_lib.atari.teachers import load_teacher, save_teacher, shipped_weights
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.stand_ins import Noise

NAME = "atari-teachers"
SHOWS = "Section 4.2, the teachers"


@dataclass(frozen=True)
class Config:
    plans: tuple[Plan, ...]
    episodes: int = 30
    ship: bool = True                                      # replace the weights that come with the library


_GPU = {"games": 64, "horizon": 128, "minibatch": 1024, "epochs": 4, "lr": 5e-4, "final_lr": 0.0}
PRESETS = {
    "quick": Config((Plan("pong", steps=2_048),), episodes=2, ship=False),
    "cpu": Config((Plan("pong", steps=2_130_000, final_entropy=0.0), Plan("breakout", steps=1_000_000),
                   Plan("space_invaders", steps=300_000))),
    # 40 million frames a game; first the game whose teacher is least sure of itself, then the weakest player
    "gpu": Config(tuple(Plan(game, steps=10_000_000, **_GPU) for game in ("space_invaders", "pong", "breakout"))),
    "paper": Config(tuple(Plan(game, steps=20_000_000, **_GPU) for game in ("pong", "breakout", "space_invaders"))),
}


def units(config: Config) -> list[str]:
    """One unit a game."""
    return [plan.game for plan in config.plans]


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Train one teacher (its plan says the seed), ship it, and let it play."""
    plan = next(plan for plan in config.plans if plan.game == unit)
    keep = keep or Keep()
    teacher, report = train_teacher(plan, checkpoint=keep.checkpoint("training"), on_checkpoint=keep.reached, device=device)
    with tempfile.TemporaryDirectory() as folder:
        path = (shipped_weights() if config.ship else Path(folder)) / f"{unit}.safetensors"
        save_teacher(teacher, unit, path)
        scores, greedy_scores = [play(load_teacher(unit, path), unit, episodes=config.episodes, seed=10_000, greedy=greedy)
                                 for greedy in (False, True)]
    steps = -(-plan.steps // plan.batch) * plan.batch      # training ends with a whole batch
    return {
        "agent_steps": steps, "frames": ACTION_REPEAT * steps,
        "train_seconds": report.seconds, "resumed": report.resumed, "replanned": report.replanned,
        "curve": {"steps": report.steps, "score": report.scores, "entropy": report.entropy},
        "scores": scores, "mean_score": statistics.mean(scores), "greedy_scores": greedy_scores,
    }


def describe(config: Config) -> dict:
    """What the record says of the run."""
    return asdict(config)


def probe() -> dict:
    """The numbers of a few updates of the whole network; of playing noise, since an emulator need not be there."""
    plan = Plan("pong", steps=48, games=3, horizon=8, minibatch=8, epochs=2, final_entropy=0.0)
    teacher, report = train_teacher(plan, games=Noise, progress=False)
    with torch.no_grad():
        log_policy = teacher(torch.from_numpy(Noise("pong", 2, seed=1).reset())).log_softmax(1)
    return {"steps": report.steps, "scores": report.scores, "entropy": report.entropy, "log_policy": log_policy.tolist()}
