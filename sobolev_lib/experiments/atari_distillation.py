"""Figure 4: distilling Atari policies, with and without Sobolev training, over several training sizes.

Protocol, the same for every method. A teacher's 100,000 states are split by whole episodes into test, validation and a
training part, of which the first ``share`` is used; a seed fixes the order of the training episodes, the initial weights
and the batches. Test and validation episodes are the same throughout. Methods are tuned a game at a time, at
``tuning_share``, with six trials each: six learning rates for KL alone; three learning rates times two strengths for KL +
Sobolev and for KL with noise. The trial with the lowest validation KL wins and runs again on fresh seeds at each share (KL
with noise at ``noise_shares``). KL + full Jacobian takes the numbers tuned for KL + Sobolev, whose objective estimates it:
its price leaves no room for trials. Students of one seed see the same batches in the same order.
"""
import base64
import hashlib
import json
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from sobolev_lib.atari.distillation import (
    METHODS, Run, agreement, distill, gradient_similarity, input_gradient, logits_of,
)
from sobolev_lib.atari.envs import HEIGHT, WIDTH
from sobolev_lib.atari.play import play
from sobolev_lib.atari.states import RecordedStates, cache_folder, evenly, record_states, weights_digest
from sobolev_lib.atari.teachers import load_teacher, shipped_weights
from sobolev_lib.records import write_whole
from sobolev_lib.widgets.packing import STEPS, deflate, pack_signed

NAME = "atari-distillation"
SHOWS = "Figure 4"
TUNED = ("kl", "sobolev", "noise")


@dataclass(frozen=True)
class Config:
    games: tuple[str, ...] = ("pong", "breakout", "space_invaders")
    states: int = 100_000
    recorded_games: int = 16                               # played side by side when states are recorded
    shares: tuple[float, ...] = (0.01, 0.05, 0.2, 0.5)
    noise_shares: tuple[float, ...] = (0.05,)              # where KL with noise runs too
    jacobian_cells: tuple[tuple[str, float], ...] = (("breakout", 0.05),)   # and KL + full Jacobian
    steps: int = 500
    batch_size: int = 200
    kl_lrs: tuple[float, ...] = (5e-4, 1e-3, 2e-3, 3e-3, 4.5e-3, 7e-3)
    lrs: tuple[float, ...] = (1e-3, 2.5e-3, 6e-3)          # of the methods that have a strength
    alphas: tuple[float, ...] = (0.03, 0.3)
    noises: tuple[float, ...] = (0.003, 0.01)              # standard deviations, of brightness in [0, 1]
    tuning_seed: int = 1000
    tuning_share: float = 0.05
    tuning_steps: int = 300
    test_states: int = 2_000                               # drawn evenly from all held-out states
    curve_points: int = 12
    episodes: int = 5                                      # that each student plays
    timing_steps: int = 5
    picture_share: float = 0.2                             # the share whose students are shown at work
    pictures: int = 8


PRESETS = {
    "quick": Config(games=("pong",), states=8_000, recorded_games=6, shares=(0.05, 0.15), noise_shares=(0.05, 0.15),
                    jacobian_cells=(), steps=100, batch_size=64, kl_lrs=(1e-3,), lrs=(1e-3,), alphas=(0.3,),
                    noises=(0.01,), tuning_steps=1, test_states=500, curve_points=6, episodes=1, timing_steps=1,
                    picture_share=0.15, pictures=4),
    "cpu": Config(),
    "paper": Config(noise_shares=(0.01, 0.05, 0.2, 0.5),
                    jacobian_cells=tuple((game, share) for game in ("pong", "breakout", "space_invaders")
                                         for share in (0.01, 0.05, 0.2, 0.5)),
                    steps=20_000, kl_lrs=(1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 4e-3), lrs=(2e-4, 8e-4, 3e-3),
                    tuning_steps=4_000, test_states=20_000, curve_points=25, episodes=30),
}


def units(config: Config) -> list[str]:
    """One unit a game and share, and one a game for the price of a step; the cheap ones come first."""
    return [f"{game}/{part}" for part in ("price", *config.shares) for game in config.games]


def run_unit(unit: str, config: Config, seeds: list[int], device: str) -> dict:
    """Tune (once a game), train every method on every seed, measure agreement and let the students play."""
    game, part = unit.split("/")
    teacher = load_teacher(game)
    states = record_states(teacher, game, count=config.states, games=config.recorded_games)
    if part == "price":
        return {"teacher": _teacher_facts(teacher, states, config), **_price(teacher, states, config, device)}
    share = float(part)
    tuned = _tuned(game, teacher, states, config, device)
    methods = [method for method in TUNED if method != "noise" or share in config.noise_shares]
    runs = [Run(method, tuned[method]["lr"], tuned[method]["strength"], seed) for seed in seeds for method in methods]
    if (game, share) in config.jacobian_cells:
        runs += [Run("jacobian", tuned["sobolev"]["lr"], tuned["sobolev"]["strength"], seed) for seed in seeds]
    splits = {seed: states.split(share, seed=seed) for seed in seeds}
    tests = {seed: evenly(split[2], config.test_states) for seed, split in splits.items()}
    answers = {seed: logits_of(teacher, states, test) for seed, test in tests.items()}
    report = sorted({int(s) for s in np.geomspace(min(20, config.steps), config.steps, config.curve_points)})
    curves = [[] for _ in runs]

    def measure(step, students):
        for run, student, curve in zip(runs, students, curves):
            curve.append(asdict(agreement(student, answers[run.seed], states, tests[run.seed])))

    students = distill(runs, teacher, states, {seed: split[0] for seed, split in splits.items()}, steps=config.steps,
                       batch_size=config.batch_size, device=device, report=report, on_report=measure, progress=False)
    results = []
    for run, student, curve in zip(runs, students, curves):
        few = evenly(splits[run.seed][0], config.test_states)
        results.append({
            **asdict(run), **curve[-1],
            "train_kl": agreement(student, logits_of(teacher, states, few), states, few).kl,
            "gradient_similarity": gradient_similarity(student, teacher, states, tests[run.seed][::10]),
            "scores": play(student, game, episodes=config.episodes, seed=20_000),
            "curve": {key: [point[key] for point in curve] for key in curve[0]},
        })
    found = {"tuned": tuned, "report_steps": report, "runs": results}
    if share == config.picture_share:
        first = {run.method: student for run, student in zip(runs, students) if run.seed == seeds[0]}
        found["pictures"] = _pictures({"teacher": teacher, "kl": first["kl"], "sobolev": first["sobolev"]}, states,
                                      tests[seeds[0]], config.pictures)
    return found


def describe(config: Config) -> dict:
    """What the record says of the run; with other teachers it would be another run."""
    # of the weights, not of the file: writing the same weights again gives a file whose header may differ
    marks = {game: weights_digest(load_teacher(game)) for game in config.games
             if (shipped_weights() / f"{game}.safetensors").exists()}
    return {**asdict(config), "teachers": marks}


def _tuned(game, teacher, states: RecordedStates, config: Config, device) -> dict:
    """The winning learning rate and strength of each method; kept in a file, since all shares of a game use it."""
    trials = [Run("kl", lr, 0.0, config.tuning_seed) for lr in config.kl_lrs]
    trials += [Run("sobolev", lr, alpha, config.tuning_seed) for lr in config.lrs for alpha in config.alphas]
    trials += [Run("noise", lr, noise, config.tuning_seed) for lr in config.lrs for noise in config.noises]
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    key = hashlib.sha256(json.dumps([states.about["teacher"], asdict(config), str(device), code]).encode()).hexdigest()[:12]
    path = cache_folder() / f"tuning-{game}-{key}.json"
    if path.exists():
        return json.loads(path.read_text())
    train, validation, _ = states.split(config.tuning_share, seed=config.tuning_seed)
    validation = evenly(validation, config.test_states)
    students = distill(trials, teacher, states, {config.tuning_seed: train}, steps=config.tuning_steps,
                       batch_size=config.batch_size, device=device, progress=False)
    answers = logits_of(teacher, states, validation)
    scored = [{**asdict(trial), "validation_kl": agreement(student, answers, states, validation).kl}
              for trial, student in zip(trials, students)]
    tuned = {}
    for method in TUNED:
        of_method = [trial for trial in scored if trial["method"] == method]
        best = min(of_method, key=lambda trial: trial["validation_kl"])
        tuned[method] = {"lr": best["lr"], "strength": best["strength"], "trials": of_method}
    write_whole(path, json.dumps(tuned))
    return tuned


def _price(teacher, states, config: Config, device) -> dict:
    """Seconds a step of each method takes alone, teacher included; measured in turns, so that all see the same machine."""
    train, _, _ = states.split(config.shares[-1])
    seconds = {method: [] for method in METHODS}
    for _ in range(3):
        for method in METHODS:
            times = []

            def look_at_clock(*_):
                if device != "cpu":
                    torch.cuda.synchronize()
                times.append(time.perf_counter())

            # the first step sets up the optimiser's state
            distill([Run(method, lr=1e-4, strength=0.01)], teacher, states, {0: train}, steps=1 + config.timing_steps,
                    batch_size=config.batch_size, device=device, report=(1, 1 + config.timing_steps),
                    on_report=look_at_clock, progress=False)
            seconds[method].append((times[1] - times[0]) / config.timing_steps)
    return {"seconds_per_step": {method: float(np.median(values)) for method, values in seconds.items()}}


def _teacher_facts(teacher, states: RecordedStates, config: Config) -> dict:
    """How sure the teacher is of itself, and what its episodes were like."""
    entropy = torch.distributions.Categorical(logits=logits_of(teacher, states, evenly(np.arange(len(states)),
                                                                                      config.test_states))).entropy()
    return {"num_actions": teacher.num_actions, "episodes": len(states.starts),
            "scores": [score for score in states.about["scores"] if score is not None],
            "entropy_quantiles": [float(q) for q in entropy.quantile(torch.linspace(0, 1, 21))],
            "mean_entropy": float(entropy.mean())}


def _pictures(policies, states, indices, count) -> list[dict]:
    """Held-out screens, and each policy's gradient on them: of log pi(a), a being what the teacher prefers."""
    # only states on which the teacher has an opinion: elsewhere its gradient has nothing to show
    sure = logits_of(policies["teacher"], states, indices).softmax(1).max(1).values
    few = evenly(indices[(sure >= sure.median()).numpy()], count)
    actions = logits_of(policies["teacher"], states, few).argmax(1)
    found = [{"screen": pack(screen), "action": int(action)} for screen, action in zip(states[few][:, -1].numpy(), actions)]
    theirs = input_gradient(policies["teacher"], states[few], actions)
    for name, policy in policies.items():
        gradients = input_gradient(policy, states[few], actions)
        likely = logits_of(policy, states, few).softmax(1).gather(1, actions.unsqueeze(1)).squeeze(1)
        cosines = torch.nn.functional.cosine_similarity(gradients.flatten(1), theirs.flatten(1))
        for picture, gradient, probability, cosine in zip(found, gradients[:, -1], likely, cosines):
            # full strength above the 99.5th percentile: a few large pixels would leave the rest invisible
            codes = pack_signed(gradient.numpy(), float(gradient.abs().quantile(0.995)))
            picture[name] = {"gradient": pack(codes), "probability": float(probability), "cosine": float(cosine)}
    return found


def pack(codes: np.ndarray) -> str:
    """An 84 x 84 picture of bytes as text, to be kept in a record."""
    return base64.b64encode(deflate(codes).tobytes()).decode()


def unpack(text: str) -> np.ndarray:
    """The picture that ``pack`` was given."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(HEIGHT, WIDTH)


def unpack_gradient(text: str) -> np.ndarray:
    """A recorded gradient, in units of the 99.5th percentile of its size, cut at 1."""
    return (unpack(text).astype(float) - STEPS) / STEPS
