"""What figure 4 measures of a student along its training: on held-out states and on its own."""
import math
from dataclasses import asdict

import numpy as np
import torch
from torch.nn.functional import cosine_similarity

from sobolev_lib.atari.answers import ASKED, Answers
from sobolev_lib.atari.measures import compare
from sobolev_lib.atari.policies import Policy
from sobolev_lib.atari.states import RecordedStates, evenly

DIVERGED = 1e6                                             # nats; a record holds finite numbers only


class Measures:
    """Agreement with a teacher on ``held_out`` states, and on each seed's training states.

    >>> measures = Measures(teacher, states, test, {0: train}, count=2_000, gradients=200, device="cpu")   # doctest: +SKIP
    >>> measures.of(student, seed=0)["kl"]                                                     # doctest: +SKIP
    0.12

    ``count``: how many states of each are looked at, at equal distances; ``gradients``: on how many of the held-out ones
    the input gradient of the teacher's favourite action is compared.
    """

    def __init__(self, teacher: Policy, states: RecordedStates, held_out: np.ndarray, train: dict[int, np.ndarray],
                 count: int, gradients: int, device: torch.device | str):
        self.held_out = Answers(teacher, states, evenly(held_out, count), device=device)
        self.own = {seed: Answers(teacher, states, evenly(indices, count), device=device) for seed, indices in train.items()}
        self.few = torch.tensor(evenly(np.arange(len(self.held_out)), gradients), device=device)
        self.favourites = self.held_out.log_policy[self.few].argmax(1)
        self.theirs = self._gradients(self.held_out.teacher)
        self.num_actions = self.held_out.log_policy.shape[1]

    def of(self, student: Policy, seed: int) -> dict[str, float]:
        """``action_error``, ``kl``, ``kl_teacher_first``, ``gradient_similarity``, and the first two on training states.

        Of a student that has diverged: a divergence of ``DIVERGED``, a cosine of 0.
        """
        own = asdict(self._agreement(student, self.own[seed]))
        cosine = float(cosine_similarity(self._gradients(student), self.theirs).mean())
        found = asdict(self._agreement(student, self.held_out)) | {"train_kl": own["kl"],
                                                                    "train_action_error": own["action_error"]}
        return {name: value if math.isfinite(value) else DIVERGED for name, value in found.items()} | {
            "gradient_similarity": cosine if math.isfinite(cosine) else 0.0}

    @torch.no_grad()
    def _agreement(self, student: Policy, answers: Answers):
        rows = torch.arange(len(answers), device=answers.device).split(ASKED)
        return compare(torch.cat([student(answers.inputs(part)).log_softmax(1) for part in rows]), answers.log_policy)

    def _gradients(self, policy: Policy) -> torch.Tensor:
        found = []
        for rows, actions in zip(self.few.split(ASKED), self.favourites.split(ASKED)):
            x = self.held_out.inputs(rows).requires_grad_()
            chosen = policy(x).log_softmax(1).gather(1, actions.unsqueeze(1))
            found.append(torch.autograd.grad(chosen.sum(), x)[0].flatten(1))
        return torch.cat(found)
