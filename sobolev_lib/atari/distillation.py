"""Distilling a teacher's policy into students: KL alone, with Sobolev terms, with noise, with full Jacobians."""
import copy
from dataclasses import dataclass
from typing import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from tqdm import tqdm

from sobolev_lib.atari.policies import Policy, Student, blocks, scaled
from sobolev_lib.atari.states import RecordedStates
from sobolev_lib.data import SobolevData
from sobolev_lib.derivatives import value_and_derivatives
from sobolev_lib.losses import ProjectedTargets, SobolevLoss, StochasticSobolevLoss

METHODS = ("kl", "sobolev", "noise", "jacobian")
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
        if self.method not in METHODS:
            raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {self.method!r}")
        if not self.lr > 0 or not self.strength >= 0:
            raise ValueError(f"lr, strength: expected lr > 0 and strength >= 0, got {self.lr!r} and {self.strength!r}")


def distill(runs: Sequence[Run], teacher: Policy, states: RecordedStates, train: Mapping[int, np.ndarray], *, steps: int,
            batch_size: int = 200, projections: int = 1, divergence: str = "kl", derivative_loss: str = "norm",
            vectorize: bool | None = None, device: torch.device | str = "cpu", report: Sequence[int] = (),
            on_report: Callable[[int, list[Student]], None] | None = None, progress: bool = True) -> list[Student]:
    """Train a student for each run, all in step; returns them in the order of ``runs``.

    >>> train, validation, test = states.split(0.05)                                           # doctest: +SKIP
    >>> runs = [Run("kl", lr=3e-4), Run("sobolev", lr=3e-4, strength=0.01)]                    # doctest: +SKIP
    >>> plain, sobolev = distill(runs, teacher, states, {0: train}, steps=1000)                # doctest: +SKIP

    ``train``: the indices (n,) of the training states, by seed. Each step draws one batch a seed, asks the teacher once,
    and all runs of that seed share the answer: its policy, and where a method wants them its projected derivatives or
    its Jacobian. ``divergence``: "kl" is D(student || teacher) as printed, "kl_teacher_first" the other way round.
    ``derivative_loss``: "norm" as printed, or "mse" for its square. Optimiser: Adam. ``vectorize`` trains runs of equal
    method as one batched computation; None does so on a GPU only, since on a CPU it is slower. ``on_report(step,
    students)`` is called after the steps in ``report``.

    Source: the objective of section 4.2; ``StochasticSobolevLoss`` says how its vectors v are scaled.
    """
    for name, value, known in (("divergence", divergence, DIVERGENCES), ("derivative_loss", derivative_loss, ("norm", "mse"))):
        if value not in known:
            raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
    missing = sorted({run.seed for run in runs} - set(train))
    if missing:
        raise ValueError(f"train: expected indices for every seed of the runs, got none for {missing}")
    device = torch.device(device)
    vectorize = device.type == "cuda" if vectorize is None else vectorize
    teacher = copy.deepcopy(teacher).to(device, memory_format=torch.channels_last)  # the caller's own stays where it is
    students = [Student(teacher.num_actions, generator=torch.Generator().manual_seed(run.seed))
                .to(device, memory_format=torch.channels_last) for run in runs]
    optimizer = torch.optim.Adam([{"params": list(student.parameters()), "lr": run.lr}
                                  for student, run in zip(students, runs)], lr=1e-3)
    objectives = {"kl": SobolevLoss(0, value_loss=divergence), "noise": SobolevLoss(0, value_loss=divergence),
                  "jacobian": SobolevLoss(1, value_loss=divergence, derivative_loss=derivative_loss),
                  "sobolev": StochasticSobolevLoss(1, projections, value_loss=divergence, derivative_loss=derivative_loss)}
    lessons = {seed: _Lessons(seed, teacher, states, np.asarray(train[seed]), batch_size, objectives["sobolev"], device,
                              [run for run in runs if run.seed == seed]) for seed in {run.seed for run in runs}}
    report = set(report)
    for step in tqdm(range(1, steps + 1), disable=not progress, desc="distilling"):
        for lesson in lessons.values():
            lesson.next()
        for method in METHODS:
            group = [k for k, run in enumerate(runs) if run.method == method]
            answers = [lessons[runs[k].seed].answer(runs[k]) for k in group]
            if vectorize and group:
                _vectorized_gradients(objectives[method], [students[k] for k in group], answers,
                                      [runs[k].strength for k in group])
            else:
                for k, answer in zip(group, answers):
                    students[k].zero_grad(set_to_none=True)
                    _objective(objectives[method], students[k], answer, runs[k].strength).backward()
        optimizer.step()
        if step in report and on_report is not None:
            on_report(step, students)
    return students


class _Lessons:
    """One seed's stream of batches, and the teacher's answers to each, computed once and at need."""

    def __init__(self, seed, teacher, states, train, batch_size, loss, device, runs):
        self.teacher, self.states, self.train = teacher, states, train
        self.batch_size, self.loss, self.device = batch_size, loss, device
        # one generator each, so that what one method draws doesn't depend on which others run beside it
        self.batches, self.vectors, self.noise = [torch.Generator().manual_seed(3 * seed + k) for k in range(3)]
        self.methods = {run.method for run in runs}
        self.levels = {run.strength for run in runs if run.method == "noise"}

    def next(self) -> None:
        index = torch.randint(len(self.train), (self.batch_size,), generator=self.batches)
        x = blocks(self.states[self.train[index.numpy()]].to(self.device))
        self.answers = {}
        if "sobolev" in self.methods:
            targets = self.loss.targets(x, self._log_policy, generator=self.vectors)
            self.answers["sobolev"] = (x, targets.vectors, targets.labels)
        if "jacobian" in self.methods:
            self.answers["jacobian"] = [tensor.detach() for tensor in (x, *value_and_derivatives(self._log_policy, x))]
        if "kl" in self.methods:
            known = [answer[2][0] if method == "sobolev" else answer[1] for method, answer in self.answers.items()]
            self.answers["kl"] = (x, known[0] if known else self._ask(x))
        if self.levels:
            noise = torch.randn(x.shape, generator=self.noise).to(x)
            for level in self.levels:
                noisy = x + level * noise
                self.answers["noise", level] = (noisy, self._ask(noisy))

    def answer(self, run: Run):
        return self.answers[("noise", run.strength) if run.method == "noise" else run.method]

    def _log_policy(self, x: Tensor) -> Tensor:
        return self.teacher(x).log_softmax(1)

    @torch.no_grad()
    def _ask(self, x: Tensor) -> Tensor:
        return self._log_policy(x)


def _objective(loss, policy: Callable[[Tensor], Tensor], answer, strength: float | Tensor) -> Tensor:
    def log_policy(x):
        return policy(x).log_softmax(1)

    if isinstance(loss, StochasticSobolevLoss):
        x, vectors, labels = answer
        value, derivative = loss.terms(log_policy, x, ProjectedTargets(vectors, labels))
        return value + strength * derivative
    terms = loss.terms(log_policy, SobolevData._unchecked(*answer))
    return terms[0] if len(terms) == 1 else terms[0] + strength * terms[1]


def _vectorized_gradients(loss, students: list[Student], answers: list, strengths: list[float]) -> None:
    """Gradients of many students as one computation, left in ``.grad``."""
    parameters = {name: p.detach() for name, p in stack_module_state(students)[0].items()}
    flat = [torch.utils._pytree.tree_flatten(answer) for answer in answers]
    stacked = torch.utils._pytree.tree_unflatten([torch.stack(leaves) for leaves in zip(*[leaves for leaves, _ in flat])],
                                                 flat[0][1])

    def one(parameters, answer, strength):
        return _objective(loss, lambda x: functional_call(students[0], parameters, (x,)), answer, strength)

    like = next(iter(parameters.values()))
    gradients = vmap(grad(one))(parameters, stacked, torch.tensor(strengths, dtype=like.dtype, device=like.device))
    for k, student in enumerate(students):
        for name, parameter in student.named_parameters():
            parameter.grad = gradients[name][k]


@dataclass(frozen=True)
class Agreement:
    """How far a student is from its teacher on some states; means over states.

    >>> agreement(student, logits_of(teacher, states, test), states, test)                     # doctest: +SKIP
    Agreement(action_error=0.12, kl=0.031, kl_teacher_first=0.034)

    ``action_error``: share of states on which the most probable action differs. ``kl``: D(student || teacher) in nats,
    ``kl_teacher_first``: D(teacher || student).
    """

    action_error: float
    kl: float
    kl_teacher_first: float


@torch.no_grad()
def agreement(student: nn.Module, teacher_logits: Tensor, states: RecordedStates, indices: np.ndarray) -> Agreement:
    """Compare a student with its teacher's logits (n, actions) on ``states[indices]``; figure 4's two measures.

    >>> agreement(student, logits_of(teacher, states, test), states, test).action_error        # doctest: +SKIP
    0.12
    """
    if teacher_logits.shape[0] != len(indices):
        raise ValueError(f"teacher_logits: expected one row a state, {len(indices)}, got {tuple(teacher_logits.shape)}")
    ours, theirs = logits_of(student, states, indices).log_softmax(1), teacher_logits.cpu().log_softmax(1)
    return Agreement(action_error=float((ours.argmax(1) != theirs.argmax(1)).double().mean()),
                     kl=float((ours.exp() * (ours - theirs)).sum(1).mean()),
                     kl_teacher_first=float((theirs.exp() * (theirs - ours)).sum(1).mean()))


@torch.no_grad()
def logits_of(policy: nn.Module, states: RecordedStates, indices: np.ndarray, batch_size: int = 500) -> Tensor:
    """A policy's logits on ``states[indices]``, (n, actions) on the CPU, a batch at a time.

    >>> entropy = torch.distributions.Categorical(logits=logits_of(teacher, states, test)).entropy()   # doctest: +SKIP
    """
    device = next(policy.parameters()).device
    return torch.cat([policy(states[part].to(device)).cpu()
                      for part in np.array_split(indices, max(1, -(-len(indices) // batch_size)))])


def input_gradient(policy: nn.Module, states: Tensor, actions: Tensor) -> Tensor:
    """Gradient of log pi(action | state) with respect to each state: (n, 4, 84, 84), per unit of brightness.

    >>> input_gradient(teacher, states[[0, 1]], torch.tensor([2, 3])).shape                    # doctest: +SKIP
    torch.Size([2, 4, 84, 84])
    """
    x = scaled(states.to(next(policy.parameters()).device)).requires_grad_()
    chosen = policy(x).log_softmax(1).gather(1, actions.to(x.device).unsqueeze(1))
    return torch.autograd.grad(chosen.sum(), x)[0].cpu()


def gradient_similarity(student: nn.Module, teacher: nn.Module, states: RecordedStates, indices: np.ndarray) -> float:
    """Mean cosine between student's and teacher's gradient of log pi, of the action the teacher prefers.

    Over ``states[indices]``, with ``indices`` (n,); 1 means the same direction everywhere.

    >>> gradient_similarity(student, teacher, states, test[::10])                              # doctest: +SKIP
    0.31
    """
    cosines = []
    for part in np.array_split(indices, max(1, len(indices) // 100)):
        few, actions = states[part], logits_of(teacher, states, part).argmax(1)
        ours, theirs = [input_gradient(policy, few, actions).flatten(1) for policy in (student, teacher)]
        cosines.append(torch.nn.functional.cosine_similarity(ours, theirs))
    return float(torch.cat(cosines).mean())
