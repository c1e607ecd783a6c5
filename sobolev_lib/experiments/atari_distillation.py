"""Figure 4: distilling Atari policies, with and without Sobolev training, over several training sizes.

Protocol, the same for every method. A teacher's 100,000 states are split by whole episodes into test, validation and a
training part, of which the first ``share`` is used; a seed fixes the order of the training episodes, the initial weights
and the batches. Test and validation episodes are the same throughout. All students learn by Adam with a short warm-up, a
rate that falls to zero along a cosine and clipped gradients. Methods are tuned a game at a time, at ``tuning_share``, with
equally many trials of ``tuning_steps`` steps: learning rates for KL alone; learning rates times strengths for KL + Sobolev
and for KL with noise. A rate that does well on one seed can kill students on another, so the ``finalists`` best trials
of each method run on ``final_seeds`` too, and the lowest mean of validation KL over all tuning seeds wins. The winner
runs again on fresh seeds at each share (KL with noise at ``noise_shares``). KL + full Jacobian takes the numbers tuned
for KL + Sobolev, whose objective estimates it: its price leaves no room for trials. Students of one seed see the same
batches in the same order. In ``longer_cells`` KL alone also runs ``longer`` times as long, about as long as the Sobolev
students take.
"""
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from statistics import mean, median

import numpy as np
import torch

from sobolev_lib.atari.answers import Answers
from sobolev_lib.atari.distillation import OBJECTIVES, Run, distill
from sobolev_lib.atari.measures import logits_of
from sobolev_lib.atari.play import play
from sobolev_lib.atari.states import RecordedStates, evenly, record_states, weights_digest
from sobolev_lib.atari.teachers import load_teacher, shipped_weights
from sobolev_lib.experiments.atari_verdict import LONGER, verdict  # noqa: F401  every experiment has a verdict
from sobolev_lib.experiments.gradient_pictures import Pictures
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.policy_measures import Measures
from sobolev_lib.experiments.stand_ins import random_states, random_teacher

NAME = "atari-distillation"
SHOWS = "Figure 4"
TUNED = ("kl", "sobolev", "noise")


@dataclass(frozen=True)
class Config:
    games: tuple[str, ...] = ("pong", "breakout", "space_invaders")
    states: int = 100_000
    recorded_games: int = 16                               # played side by side when states are recorded
    shares: tuple[float, ...] = (0.01, 0.05, 0.2, 0.5)
    few_seeds: int = 3                                     # at most, at the shares below
    few_seeds_shares: tuple[float, ...] = (0.2, 0.5)
    noise_shares: tuple[float, ...] = (0.05,)              # where KL with noise runs too
    jacobian_cells: tuple[tuple[str, float], ...] = (("breakout", 0.05),)   # and KL + full Jacobian
    # and KL alone for longer
    longer_cells: tuple[tuple[str, float], ...] = (("pong", 0.05), ("breakout", 0.05), ("space_invaders", 0.05))
    longer: int = 3
    steps: int = 2_000
    batch_size: int = 200
    warmup: int = 100
    clip: float = 1.0
    kl_lrs: tuple[float, ...] = tuple(float(f"{lr:.2g}") for lr in np.geomspace(3e-4, 2e-2, 16))
    lrs: tuple[float, ...] = (1e-3, 2.5e-3, 6e-3, 1.5e-2)  # of the methods that have a strength
    alphas: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03)
    noises: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1)   # standard deviations, of brightness in [0, 1]
    tuning_seed: int = 1000
    finalists: int = 3                                     # of each method, on more seeds
    final_seeds: tuple[int, ...] = (1001, 1002, 1003)
    tuning_share: float = 0.05
    tuning_steps: int = 1_000
    kept_jacobians: int = 6 * 10**9                        # bytes for all runs at once; beyond, the teacher is asked each time
    test_states: int = 2_000                               # drawn evenly from all held-out states
    gradient_states: int = 200                             # of those, for the cosine of input gradients
    curve_points: int = 12
    episodes: int = 30                                     # played in a cell, by all students of a method together
    timing_steps: int = 5
    picture_share: float | None = 0.2                      # the share whose students are shown at work
    pictures: int = 8


_EVERY_CELL = tuple((game, share) for game in Config.games for share in Config.shares)
PRESETS = {
    "quick": Config(games=("pong",), states=8_000, recorded_games=6, shares=(0.05,), noise_shares=(0.05,),
                    jacobian_cells=(), longer_cells=(), few_seeds_shares=(), steps=100, batch_size=64, warmup=10,
                    kl_lrs=(1e-3,), lrs=(1e-3,), alphas=(0.1,), noises=(0.01,), final_seeds=(), tuning_steps=1, test_states=500,
                    gradient_states=50, curve_points=6, episodes=1, timing_steps=1, picture_share=0.05, pictures=4),
    "cpu": Config(),
    # what nine minutes of one large card are good for. Its winners sit at the upper end of these rates and at the lower one
    # of these strengths, which moved the grids above
    "gpu": Config(shares=(0.01, 0.05), noise_shares=(), jacobian_cells=(), longer_cells=(("pong", 0.05), ("breakout", 0.05)),
                  kl_lrs=tuple(float(f"{lr:.2g}") for lr in np.geomspace(1e-4, 1e-2, 16)), lrs=(3e-4, 1e-3, 2.5e-3, 6e-3),
                  alphas=(0.01, 0.03, 0.1, 0.3), final_seeds=(), steps=4_000, tuning_steps=2_000, timing_steps=50,
                  picture_share=None, kept_jacobians=10**10),
    "paper": Config(few_seeds_shares=(), noise_shares=Config.shares, jacobian_cells=_EVERY_CELL, longer_cells=_EVERY_CELL,
                    steps=20_000, warmup=500, tuning_steps=10_000, timing_steps=50, test_states=20_000,
                    gradient_states=2_000, curve_points=25),
}


def units(config: Config) -> list[str]:
    """One unit a game and share, and one a game for the price of a step; the cheap ones come first."""
    return [f"{game}/{part}" for part in ("price", *config.shares) for game in config.games]


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep) -> dict:
    """Tune (once a game), train every method on every seed, measure agreement and let the students play."""
    game, part = unit.split("/")
    if device.startswith("cuda"):
        torch.set_float32_matmul_precision("high")         # TF32: its rounding is far below what seeds differ by
    teacher = load_teacher(game).to(device)
    states = record_states(teacher, game, count=config.states, games=config.recorded_games, progress=False)
    if part == "price":
        return {"teacher": _teacher_facts(teacher, states, config), **_price(teacher, states, config, device)}
    share = float(part)
    tuned = _tuned(game, teacher, states, config, device, keep)
    seeds = seeds[:config.few_seeds] if share in config.few_seeds_shares else seeds
    methods = [method for method in TUNED if method != "noise" or share in config.noise_shares]
    methods += ["jacobian"] if (game, share) in config.jacobian_cells else []
    chosen = {method: tuned["sobolev" if method == "jacobian" else method] for method in methods}
    runs = [Run(method, found["lr"], found["strength"], seed) for seed in seeds for method, found in chosen.items()]
    test = evenly(states.split(share)[2], config.test_states)               # the same episodes for every seed
    train = {seed: states.split(share, seed=seed)[0] for seed in seeds}
    pictures = Pictures(teacher, states, test, config.pictures) if share == config.picture_share else None

    def finish(run: Run, student) -> dict:
        found = {"scores": play(student, game, episodes=-(-config.episodes // len(seeds)), seed=20_000 + 100 * run.seed)}
        if pictures is not None and run.seed == seeds[0] and run.method in ("kl", "sobolev"):
            found["pictures"] = pictures.of(student)
        return found

    setting = (teacher, states, train, test, config, device, keep)
    found = trained(runs, *setting, steps=config.steps, points=config.curve_points, finish=finish)
    if (game, share) in config.longer_cells:
        alone = [run for run in runs if run.method == "kl"]
        found += [result | {"method": LONGER} for result in
                  trained(alone, *setting, steps=config.longer * config.steps, points=config.curve_points, finish=finish)]
    cell = {"tuned": tuned, "report_steps": _reports(config.steps, config.curve_points),
            "longer_report_steps": _reports(config.longer * config.steps, config.curve_points), "runs": found}
    if pictures is not None:
        shown = {run["method"]: run.pop("pictures") for run in found if "pictures" in run and run["method"] != LONGER}
        for run in found:
            run.pop("pictures", None)
        shown = {"teacher": pictures.of(teacher)} | shown
        cell["pictures"] = [screen | {who: each[k] for who, each in shown.items()}
                            for k, screen in enumerate(pictures.screens)]
    return cell


def describe(config: Config) -> dict:
    """What the record says of the run; with other teachers it would be another run."""
    # of the weights, not of the file: writing the same weights again gives a file whose header may differ
    marks = {game: weights_digest(load_teacher(game)) for game in config.games
             if (shipped_weights() / f"{game}.safetensors").exists()}
    return {**asdict(config), "teachers": marks}


def trained(runs: list[Run], teacher, states: RecordedStates, train: dict[int, np.ndarray], held_out: np.ndarray,
            config: Config, device: str, keep: Keep, *, steps: int, points: int, finish=lambda run, student: {}) -> list[dict]:
    """Train a student for each run and measure it along the way; all that ``keep`` has already is taken from there.

    ``train``: indices by seed. ``finish`` adds what is found of a finished student.
    """
    measures = Measures(teacher, states, held_out, train, config.test_states, config.gradient_states, device)
    report = _reports(steps, points)

    label = f"{steps}-steps"

    def answers() -> dict[int, Answers]:
        wanted = {run.seed: any(r.method in ("sobolev", "jacobian") for r in runs if r.seed == run.seed) for run in runs}
        size = sum(Answers.bytes_of_jacobian(len(train[seed]), measures.num_actions) for seed in wanted if wanted[seed])
        return {seed: Answers(teacher, states, train[seed], jacobian=slopes and size <= config.kept_jacobians, device=device)
                for seed, slopes in wanted.items()}

    def measured(step, students=()) -> list[dict]:
        return keep.once(f"{label}-at-{step}", lambda: [measures.of(student, run.seed)
                                                        for run, student in zip(runs, students, strict=True)])

    def together() -> list[dict]:
        students = distill(runs, answers(), steps=steps, batch_size=config.batch_size, warmup=config.warmup,
                           clip=config.clip, report=report, on_report=measured, checkpoint=keep.checkpoint(label),
                           on_checkpoint=keep.reached, progress=False)
        curves = [measured(step) for step in report]
        # on the CPU, where emulators are; those leave Python alone, so that students can play side by side
        with ThreadPoolExecutor(len(runs)) as pool:
            finished = list(pool.map(finish, runs, [student.cpu() for student in students]))
        return [{**asdict(run), **curves[-1][k], "curve": {key: [point[k][key] for point in curves] for key in curves[-1][k]},
                 **finished[k]} for k, run in enumerate(runs)]

    return keep.once(label, together)


def _reports(steps: int, points: int) -> list[int]:
    """The steps at which students are measured, the last one among them."""
    return [steps] if points == 1 else sorted({int(s) for s in np.geomspace(min(20, steps), steps, points)})


def _tuned(game, teacher, states: RecordedStates, config: Config, device, keep: Keep) -> dict:
    """The winning learning rate and strength of each method; found once for all shares of a game."""
    trials = [Run("kl", lr, 0.0, config.tuning_seed) for lr in config.kl_lrs]
    trials += [Run("sobolev", lr, alpha, config.tuning_seed) for lr in config.lrs for alpha in config.alphas]
    if config.noise_shares:
        trials += [Run("noise", lr, noise, config.tuning_seed) for lr in config.lrs for noise in config.noises]
    seeds = (config.tuning_seed, *config.final_seeds)
    train = {seed: states.split(config.tuning_share, seed=seed)[0] for seed in seeds}
    validation = evenly(states.split(config.tuning_share)[1], config.test_states)      # the same episodes for every seed

    def run(runs: list[Run], part: str) -> list[dict]:
        shared = keep.beside(f"{game}~{part}")
        with shared.alone():                               # another process may be at another share of this game
            return trained(runs, teacher, states, {run.seed: train[run.seed] for run in runs}, validation, config, device,
                           shared, steps=config.tuning_steps, points=1)

    found = run(trials, "tuning")
    tuned = {}
    for method in sorted({trial.method for trial in trials}, key=TUNED.index):
        of_method = [{"lr": trial["lr"], "strength": trial["strength"], "validation_kl": trial["kl"],
                      "validation_action_error": trial["action_error"]} for trial in found if trial["method"] == method]
        best = sorted(of_method, key=lambda trial: trial["validation_kl"])[:config.finalists]
        finals = [{"lr": trial["lr"], "strength": trial["strength"], "validation_kl": [trial["validation_kl"]]} for trial in best]
        tuned[method] = {"trials": of_method, "finals": finals}
    if config.final_seeds:
        again = [Run(method, final["lr"], final["strength"], seed) for method in tuned for final in tuned[method]["finals"]
                 for seed in config.final_seeds]
        for result in run(again, "finals"):
            next(final for final in tuned[result["method"]]["finals"] if (final["lr"], final["strength"])
                 == (result["lr"], result["strength"]))["validation_kl"].append(result["kl"])
    for result in tuned.values():
        best = min(result["finals"], key=lambda final: mean(final["validation_kl"]))
        result |= {"lr": best["lr"], "strength": best["strength"]}
    return tuned


def _price(teacher, states, config: Config, device) -> dict:
    """Seconds a step of each method takes alone; measured in turns, so that all see the same machine."""
    train, _, _ = states.split(config.shares[0])
    kept = Answers(teacher, states, train[:config.batch_size], jacobian=True, device=device)
    seconds = {method: [] for method in OBJECTIVES}
    for _ in range(3):
        for method in OBJECTIVES:
            times = []

            def look_at_clock(*_):
                if device.startswith("cuda"):
                    torch.cuda.synchronize()
                times.append(time.perf_counter())

            # the first steps set up the optimiser, and on a GPU record the step
            distill([Run(method, lr=1e-4, strength=0.01)], {0: kept}, steps=5 + config.timing_steps,
                    batch_size=config.batch_size, report=(5, 5 + config.timing_steps), on_report=look_at_clock,
                    progress=False)
            seconds[method].append((times[1] - times[0]) / config.timing_steps)
    return {"seconds_per_step": {method: median(values) for method, values in seconds.items()}}


def _teacher_facts(teacher, states: RecordedStates, config: Config) -> dict:
    """How sure the teacher is of itself, and what its episodes were like."""
    entropy = torch.distributions.Categorical(logits=logits_of(teacher, states, evenly(np.arange(len(states)),
                                                                                      config.test_states))).entropy()
    return {"num_actions": teacher.num_actions, "episodes": len(states.starts),
            "scores": [score for score in states.about["scores"] if score is not None],
            "entropy_quantiles": [float(q) for q in entropy.quantile(torch.linspace(0, 1, 21))],
            "mean_entropy": float(entropy.mean())}


def probe() -> dict:
    """The numbers of a few steps of every method; of noise, since an emulator need not be there."""
    config = Config(steps=4, batch_size=4, warmup=2, test_states=8, gradient_states=4, kept_jacobians=10**7)
    teacher = random_teacher()
    with random_states(teacher) as states:
        train, _, test = states.split(0.2)
        found = trained([Run(method, 1e-3, 0.01) for method in OBJECTIVES], teacher, states, {0: train}, test, config, "cpu",
                        Keep(), steps=config.steps, points=1)
    return {run["method"]: {name: run[name] for name in ("kl", "kl_teacher_first", "gradient_similarity", "train_kl")}
            for run in found}
