"""Section 4.2, what decides: KL + Sobolev against KL alone, with one thing changed at a time.

One game, one training share, both methods with the same learning rate and the same batches. Each unit changes one
setting of the Sobolev term or of the training and trains both students anew. Measured on the same held-out episodes.
"""
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from sobolev_lib.atari.answers import Answers
from sobolev_lib.atari.distillation import Run, distill
from sobolev_lib.atari.measures import agreement, gradient_similarity, logits_of
from sobolev_lib.atari.policies import Teacher
from sobolev_lib.atari.states import RecordedStates, evenly, record_states, weights_digest
from sobolev_lib.atari.teachers import load_teacher
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.stand_ins import random_states, random_teacher

NAME = "atari-reasons"
SHOWS = "Section 4.2, one change at a time"


@dataclass(frozen=True)
class Setting:
    """What both students share, and the Sobolev student's own settings."""

    share: float = 0.05
    steps: int = 500
    lr: float = 2.5e-3
    alpha: float = 0.03
    projections: int = 1
    derivative_loss: str = "norm"
    divergence: str = "kl"


@dataclass(frozen=True)
class Config:
    game: str = "breakout"
    states: int = 100_000
    recorded_games: int = 16
    batch_size: int = 200
    base: Setting = Setting()
    changes: dict[str, dict] = field(default_factory=lambda: {
        "as in figure 4": {},
        "alpha a tenth": {"alpha": 0.003},
        "alpha ten times": {"alpha": 0.3},
        "squared norm": {"derivative_loss": "mse", "alpha": 0.01},
        "4 projections": {"projections": 4},
        "teacher first": {"divergence": "kl_teacher_first"},
        "learning rate a third": {"lr": 8e-4},
        "5 times the steps": {"steps": 2_500},
    })
    test_states: int = 2_000
    curve_points: int = 12


PRESETS = {
    "quick": Config(states=8_000, recorded_games=6, batch_size=50, base=Setting(share=0.05, steps=20),
                    changes={"as in figure 4": {}, "alpha ten times": {"alpha": 0.3}}, test_states=200, curve_points=3),
    "cpu": Config(),
    "paper": Config(base=Setting(steps=20_000, lr=5e-4), test_states=20_000, curve_points=25),
}


def units(config: Config) -> list[str]:
    """One unit a change."""
    return list(config.changes)


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Train both students with one setting changed; measure them along the way."""
    teacher = load_teacher(config.game)
    states = record_states(teacher, config.game, count=config.states, games=config.recorded_games)
    return compare(replace(config.base, **config.changes[unit]), teacher, states, config, seeds, device, keep or Keep())


def compare(setting: Setting, teacher: Teacher, states: RecordedStates, config: Config, seeds: list[int],
            device: str, keep: Keep) -> dict:
    """Both students with one setting, on states that are there."""
    splits = {seed: states.split(setting.share, seed=seed) for seed in seeds}
    test = evenly(splits[seeds[0]][2], config.test_states)  # the same episodes for every seed
    theirs = logits_of(teacher, states, test)
    runs = [Run(method, setting.lr, alpha, seed) for seed in seeds
            for method, alpha in (("kl", 0.0), ("sobolev", setting.alpha))]
    report = sorted({int(step) for step in np.geomspace(min(20, setting.steps), setting.steps, config.curve_points)})

    def measured(step, students=()):
        return keep.once(f"at-{step}", lambda: [asdict(agreement(student, theirs, states, test)) for student in students])

    answers = {seed: Answers(teacher, states, split[0], device=device) for seed, split in splits.items()}
    students = distill(runs, answers, steps=setting.steps, batch_size=config.batch_size, projections=setting.projections,
                       divergence=setting.divergence, derivative_loss=setting.derivative_loss, decay=False, report=report,
                       on_report=measured, checkpoint=keep.checkpoint("training"), on_checkpoint=keep.reached,
                       progress=False)
    curves = list(zip(*map(measured, report)))             # a curve a run
    return {"setting": asdict(setting), "report_steps": report, "runs": [
        {**asdict(run), **curve[-1], "gradient_similarity": gradient_similarity(student, teacher, states, test[::10]),
         "curve": {key: [point[key] for point in curve] for key in curve[0]}}
        for run, student, curve in zip(runs, students, curves)]}


def describe(config: Config) -> dict:
    """What the record says of the run; with another teacher it would be another run."""
    return {**asdict(config), "teacher": weights_digest(load_teacher(config.game))}


def probe() -> dict:
    """The numbers of two steps with each setting that a change can change; of noise, since an emulator need not be there."""
    config = Config(batch_size=6, base=Setting(share=0.2, steps=2, lr=1e-3, alpha=0.1), test_states=20, curve_points=2)
    changes = {"base": {}, "mse": {"derivative_loss": "mse", "projections": 2}, "first": {"divergence": "kl_teacher_first"}}
    teacher = random_teacher()
    with random_states(teacher) as states:
        return {name: compare(replace(config.base, **change), teacher, states, config, [0], "cpu", Keep())
                for name, change in changes.items()}
