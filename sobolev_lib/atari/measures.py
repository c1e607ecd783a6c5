"""How far a student is from its teacher: policies, and their gradients, on recorded states."""
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sobolev_lib.atari.policies import scaled
from sobolev_lib.atari.states import RecordedStates


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
    return compare(logits_of(student, states, indices).log_softmax(1), teacher_logits.cpu().log_softmax(1))


def compare(ours: Tensor, theirs: Tensor) -> Agreement:
    """The agreement of two log-policies (N, actions) on the same states.

    >>> compare(torch.log(torch.tensor([[0.5, 0.5]])), torch.log(torch.tensor([[0.25, 0.75]]))).action_error
    1.0
    """
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
