"""Distilling a teacher's policy into students: KL alone, with Sobolev terms, with noise, with full Jacobians."""
import hashlib
import json
import math
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.func import grad, vmap
from tqdm import tqdm

from sobolev_lib._arguments import integer, number
from sobolev_lib._torch import tree_flatten, tree_unflatten
from sobolev_lib.atari.answers import Answers
from sobolev_lib.atari.policies import Student
from sobolev_lib.atari.products import as_products
from sobolev_lib.atari.states import weights_digest
from sobolev_lib.atari.students import Students
from sobolev_lib.data import SobolevData
from sobolev_lib.files import check_writable
from sobolev_lib.losses import Loss, ProjectedTargets, SobolevLoss, StochasticSobolevLoss

OBJECTIVES = ("kl", "sobolev", "noise", "jacobian")
DIVERGENCES = ("kl", "kl_teacher_first")


@dataclass(frozen=True)
class Run:
    """One student to train.

    >>> Run("sobolev", lr=3e-4, strength=0.01)
    Run(method='sobolev', lr=0.0003, strength=0.01, seed=0)

    ``method``: "kl" (the divergence alone), "sobolev" (plus ``strength`` = alpha times the projected derivatives'
    error), "noise" (the divergence at states with Gaussian noise of standard deviation ``strength`` on pixels in [0, 1],
    where the teacher is asked as well) or "jacobian" (plus ``strength`` times the whole Jacobian's error). ``seed`` fixes
    the initial weights, the batches, the vectors and the noise: runs of one seed differ in nothing but the objective.
    """

    method: str
    lr: float
    strength: float = 0.0
    seed: int = 0

    def __post_init__(self):
        if self.method not in OBJECTIVES:
            raise ValueError(f"method: expected one of {', '.join(OBJECTIVES)}, got {self.method!r}")
        if not 0 < self.lr < math.inf or not 0 <= self.strength < math.inf:
            raise ValueError(f"lr, strength: expected lr > 0 and strength >= 0, got {self.lr!r} and {self.strength!r}")
        # NumPy's numbers become Python's, which a checkpoint's mark can hold
        for name, value in (("lr", number(self.lr, "lr")), ("strength", number(self.strength, "strength", zero=True)),
                            ("seed", integer(self.seed, "seed", "an integer >= 0", least=0))):
            object.__setattr__(self, name, value)


def distill(runs: Sequence[Run], answers: Mapping[int, Answers], *, steps: int, batch_size: int = 200,
            projections: int = 1, divergence: str = "kl", derivative_loss: str = "norm", decay: bool = True,
            warmup: int = 0, clip: float | None = None, vectorize: bool | None = None, report: Sequence[int] = (),
            on_report: Callable[[int, list[Student]], None] | None = None, checkpoint: str | Path | None = None,
            checkpoint_seconds: float = 60.0, on_checkpoint: Callable[[int, int], None] | None = None,
            progress: bool = True) -> list[Student]:
    """Train a student for each run, all in step; returns them in the order of ``runs``.

    >>> train, validation, test = states.split(0.05)                                           # doctest: +SKIP
    >>> runs = [Run("kl", lr=1e-3), Run("sobolev", lr=1e-3, strength=0.03)]                    # doctest: +SKIP
    >>> answers = {0: Answers(teacher, states, train, jacobian=True)}                          # doctest: +SKIP
    >>> plain, sobolev = distill(runs, answers, steps=2_000)                                   # doctest: +SKIP

    ``answers``: by seed, the training states (n, 4, 84, 84) and what the teacher says there. Each step draws one batch a seed, which
    all runs of that seed share, and with it the vectors and the noise. ``divergence``: "kl" is D(student || teacher) as
    printed, "kl_teacher_first" the other way round. ``derivative_loss``: "norm" as printed, or "mse" for its square.

    Optimiser: Adam, alike for all runs. Its rate rises from zero over the first ``warmup`` steps and with ``decay`` falls
    to zero along a cosine; ``clip`` is the largest norm of a student's whole gradient. ``vectorize`` trains runs of equal
    method as one batched computation; None does so on a GPU only, since on a CPU it is slower.

    ``on_report(step, students)`` is called after the steps in ``report``. ``checkpoint`` names a file written at least
    every ``checkpoint_seconds`` and after every report, then ``on_checkpoint(step, steps)`` is called: the same call
    goes on from there, on another device too, and on the same one ends bit for bit where an uninterrupted run ends.
    Raises ``ValueError`` for settings that are not known or out of range, and for a checkpoint of another run. Warns of runs
    whose weights are no longer finite at the end; the others are not touched by them.

    Source: the objective of section 4.2; ``StochasticSobolevLoss`` says how its vectors v are scaled.
    """
    for name, value, known in (("divergence", divergence, DIVERGENCES), ("derivative_loss", derivative_loss, ("norm", "mse"))):
        if value not in known:
            raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
    steps, batch_size = integer(steps, "steps"), integer(batch_size, "batch_size")
    warmup = integer(warmup, "warmup", "an integer >= 0", least=0)
    clip = None if clip is None else number(clip, "clip", "a positive number or None")
    number(checkpoint_seconds, "checkpoint_seconds", "a number >= 0", zero=True)
    if not runs:
        raise ValueError("runs: expected at least one, got none")
    if checkpoint is not None:
        check_writable(checkpoint)
    missing = sorted({run.seed for run in runs} - set(answers))
    if missing:
        raise ValueError(f"answers: expected one for every seed of the runs, got none for {missing}")
    objectives = {"kl": SobolevLoss(0, value_loss=divergence), "noise": SobolevLoss(0, value_loss=divergence),
                  "jacobian": SobolevLoss(1, value_loss=divergence, derivative_loss=derivative_loss),
                  "sobolev": StochasticSobolevLoss(1, projections, value_loss=divergence, derivative_loss=derivative_loss)}
    lessons = {seed: _Lessons(answers[seed], seed, batch_size, objectives["sobolev"], [run for run in runs if run.seed == seed])
               for seed in sorted({run.seed for run in runs})}
    # runs of a method lie side by side
    order = sorted(range(len(runs)), key=lambda k: OBJECTIVES.index(runs[k].method))
    sorted_runs, anyone = [runs[k] for k in order], answers[runs[0].seed]
    students = Students([Student(anyone.log_policy.shape[1], generator=torch.Generator().manual_seed(run.seed))
                         for run in sorted_runs], [run.lr for run in sorted_runs], clip, anyone.device)
    in_order = [students.networks[order.index(k)] for k in range(len(runs))]
    vectorize = anyone.device.type == "cuda" if vectorize is None else vectorize
    gradients = (_together if vectorize else _one_by_one)(students, sorted_runs, objectives)
    generators = {f"{seed}.{name}": generator for seed, lesson in lessons.items()
                  for name, generator in lesson.generators.items()}
    mark = _mark(runs, answers, steps, batch_size, projections, divergence, derivative_loss, decay, warmup, clip)
    first, report, saved = students.restore(checkpoint, generators, mark), set(report), time.monotonic()
    # noise is much to draw, and drawing leaves Python alone: the seeds draw at the same time
    with ThreadPoolExecutor(len(lessons)) as pool:
        for step in tqdm(range(first + 1, steps + 1), initial=first, total=steps, disable=not progress, desc="distilling"):
            students.set_rates(_rate(step, steps, decay, warmup))
            students.learn(dict(zip(lessons, pool.map(_Lessons.draw, lessons.values()))),
                           lambda drawn: gradients(_answers(lessons, sorted_runs, drawn)))
            reported = step in report and on_report is not None
            if reported:
                on_report(step, in_order)
            if checkpoint is not None and (reported or step == steps or time.monotonic() - saved > checkpoint_seconds):
                students.save(checkpoint, generators, mark, step)
                saved = time.monotonic()
                if on_checkpoint is not None:
                    on_checkpoint(step, steps)
    students.part()
    lost = [run for run, student in zip(runs, in_order) if not all(bool(p.isfinite().all()) for p in student.parameters())]
    if lost:
        warnings.warn(f"distill: the weights of {lost} are no longer finite; a lower learning rate or strength may help",
                      stacklevel=2)
    return in_order


def _one_by_one(students: Students, runs: Sequence[Run], objectives):
    """Gradients of each student's objective, one student after another."""
    def gradients(answers: list) -> list[list[Tensor]]:
        return [list(torch.autograd.grad(_objective(objectives[run.method], network, answer, run.strength),
                                         list(network.parameters()), allow_unused=True, materialize_grads=True))
                for run, network, answer in zip(runs, students.networks, answers)]

    return gradients


def _together(students: Students, runs: Sequence[Run], objectives):
    """The same gradients, for all students of a method as one batched computation."""
    policy = as_products(students.networks[0])
    groups = [[k for k, run in enumerate(runs) if run.method == method] for method in OBJECTIVES]
    strengths = torch.tensor([run.strength for run in runs], device=students.rows.device)

    def gradients(answers: list) -> list[list[Tensor]]:
        found: list[list[Tensor]] = []
        for group in filter(None, groups):
            loss, own = objectives[runs[group[0]].method], slice(group[0], group[-1] + 1)

            def one(parameters, answer, strength):
                return _objective(loss, lambda x: policy(parameters, x), answer, strength)

            flat = [tree_flatten(answers[k]) for k in group]
            stacked = tree_unflatten([torch.stack(leaves) for leaves in zip(*[leaves for leaves, _ in flat])], flat[0][1])
            parameters = {name: table[own] for name, table in students.tables.items()}
            slopes = vmap(grad(one))(parameters, stacked, strengths[own])
            found += [[slopes[name][k] for name in parameters] for k in range(len(group))]
        return found

    return gradients


def _rate(step: int, steps: int, decay: bool, warmup: int) -> float:
    """The learning rate of a step, as a share of the run's own."""
    fallen = 0.5 * (1 + math.cos(math.pi * (step - 1) / steps)) if decay else 1.0
    return fallen * min(1.0, step / warmup if warmup else 1.0)


def _mark(runs, answers, *settings) -> str:
    """What makes a training this one: its runs, the states and the teacher, and all settings."""
    digest = hashlib.sha256(json.dumps([[asdict(run) for run in runs], settings]).encode())
    for seed in sorted({run.seed for run in runs}):
        asked = answers[seed]
        digest.update(json.dumps([seed, asked.indices.tolist(), weights_digest(asked.teacher), asked.jacobian is not None,
                                  asked.about], sort_keys=True).encode())
    return digest.hexdigest()[:16]


class _Lessons:
    """One seed's stream of batches, and the teacher's answers to each."""

    def __init__(self, answers: Answers, seed: int, batch_size: int, loss: StochasticSobolevLoss, runs: Sequence[Run]):
        self.known, self.batch_size, self.loss = answers, batch_size, loss
        # one generator each, so that what one method draws doesn't depend on which others run beside it
        self.generators = {name: torch.Generator().manual_seed(3 * seed + k)
                           for k, name in enumerate(("batches", "vectors", "noise"))}
        self.methods = {run.method for run in runs}
        self.levels = {run.strength for run in runs if run.method == "noise"}

    def draw(self) -> dict[str, Tensor]:
        """All that is random in a step, on the CPU: the batch's rows, and where they are wanted vectors and noise."""
        drawn = {"rows": torch.randint(len(self.known), (self.batch_size,), generator=self.generators["batches"])}
        if "sobolev" in self.methods:
            actions = self.known.log_policy.shape[1:]
            drawn["vectors"], = self.loss.draw(torch.empty(self.batch_size, 0), actions, self.generators["vectors"])
        if self.levels:
            drawn["noise"] = torch.randn(self.batch_size, 21, 21, 64, generator=self.generators["noise"])
        return drawn

    def answers(self, drawn: dict[str, Tensor]) -> dict:
        """What each kind of student is given: by method, of noise by its level too."""
        rows = drawn["rows"]
        x, log_policy = self.known.inputs(rows), self.known.log_policy[rows]
        found: dict = {"kl": SobolevData.of_tensors(x, log_policy)}
        if "sobolev" in self.methods:
            projected = self.known.projected(rows, drawn["vectors"])
            found["sobolev"] = ProjectedTargets(x, [drawn["vectors"]], [log_policy, projected])
        if "jacobian" in self.methods:
            found["jacobian"] = SobolevData.of_tensors(x, log_policy, self.known.jacobians(rows))
        for level in self.levels:
            noisy = x + level * drawn["noise"].permute(0, 3, 1, 2)
            with torch.no_grad():
                found["noise", level] = SobolevData.of_tensors(noisy, self.known.ask(noisy))
        return found


def _answers(lessons: Mapping[int, _Lessons], runs: Sequence[Run], drawn: Mapping[int, dict[str, Tensor]]) -> list:
    """What each run is given."""
    found = {seed: lesson.answers(drawn[seed]) for seed, lesson in lessons.items()}
    return [found[run.seed][("noise", run.strength) if run.method == "noise" else run.method] for run in runs]


def _objective(loss: Loss, policy: Callable[[Tensor], Tensor], batch: SobolevData | ProjectedTargets,
               strength: float | Tensor) -> Tensor:
    def log_policy(x):
        return policy(x).log_softmax(1)

    # order 0 without the copy of the states that a model of unknown habits gets
    predictions = loss.predict(log_policy, batch) if loss.order else (log_policy(batch.inputs),)
    return loss.with_numbers((1.0, strength), loss.normalize).total(loss.compare(predictions, batch))
