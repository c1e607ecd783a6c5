"""A teacher's answers at recorded states, asked once for a whole training."""
import copy

import numpy as np
import torch
from torch import Tensor

from sobolev_lib.atari.policies import Policy, blocks
from sobolev_lib.atari.states import RecordedStates

ASKED = 256                                                # states a question


class Answers:
    """Training states as a network takes them, and what the teacher says there.

    >>> answers = Answers(teacher, states, train)                                              # doctest: +SKIP
    >>> x, log_policy = answers.inputs(rows), answers.log_policy[rows]                         # doctest: +SKIP

    ``indices`` (n,) choose the recorded states; afterwards they are rows 0 to n - 1. ``log_policy`` (n, actions) is asked
    once. So is, with ``jacobian=True``, the Jacobian of log pi, kept as float16 (57 kB an action and state, relative
    rounding 5e-4): a Sobolev step then pays for the student alone. Without it ``projected`` asks the teacher each time.
    Inputs are ``blocks`` (n, 64, 21, 21), derivatives per unit of brightness. Raises ``ValueError`` for no states, and for
    a Jacobian beyond float16's range.
    """

    def __init__(self, teacher: Policy, states: RecordedStates, indices: np.ndarray, *, jacobian: bool = False,
                 device: torch.device | str = "cpu"):
        indices = np.asarray(indices)
        if not len(indices):
            raise ValueError("indices: expected at least one training state, got none")
        self.device, self.about, self.indices = torch.device(device), states.about, indices
        self.teacher = copy.deepcopy(teacher).to(self.device, memory_format=torch.channels_last)  # the caller's stays
        parts = np.array_split(indices, -(-len(indices) // ASKED))
        # as bytes, channels last: what a batch needs is then one row a state
        self.pixels = torch.cat([blocks(states[part].to(self.device), scale=False).permute(0, 2, 3, 1) for part in parts])
        rows = torch.arange(len(indices), device=self.device).split(ASKED)
        with torch.no_grad():
            self.log_policy = torch.cat([self.ask(self.inputs(part)) for part in rows])
        self.jacobian = self._jacobian(rows) if jacobian else None

    def __len__(self) -> int:
        return len(self.indices)

    @staticmethod
    def bytes_of_jacobian(states: int, num_actions: int) -> int:
        """What keeping the Jacobian at that many states takes."""
        return states * num_actions * 4 * 84 * 84 * torch.finfo(torch.float16).bits // 8

    def inputs(self, rows: Tensor) -> Tensor:
        """The states in ``rows`` (N,): floating-point blocks (N, 64, 21, 21), in channels-last memory."""
        return self.pixels[rows].float().div_(255).permute(0, 3, 1, 2)

    def ask(self, x: Tensor) -> Tensor:
        """The teacher's log-policy (N, actions) at any inputs, those with noise for example."""
        return self.teacher(x).log_softmax(1)

    def projected(self, rows: Tensor, vectors: Tensor) -> Tensor:
        """J^T v of the log-policy: ``vectors`` (P, N, actions) to (P, N, 64, 21, 21)."""
        if self.jacobian is None:
            x = self.inputs(rows).requires_grad_()
            y = self.ask(x)
            found = [torch.autograd.grad(y, x, v, retain_graph=k + 1 < len(vectors))[0] for k, v in enumerate(vectors)]
            return torch.stack(found)
        if self.device.type == "cpu":                      # one state at a time stays within the cache: ten times as quick
            found = self.log_policy.new_empty(*vectors.shape[:2], self.jacobian[0, 0].numel())
            for k, row in enumerate(rows.tolist()):
                found[:, k] = vectors[:, k] @ self.jacobian[row].flatten(1).float()
        else:
            found = torch.bmm(vectors.transpose(0, 1), self.jacobian[rows].flatten(2).float()).transpose(0, 1)
        return found.unflatten(2, self.pixels.shape[1:]).permute(0, 1, 4, 2, 3)

    def jacobians(self, rows: Tensor) -> Tensor:
        """The whole Jacobian of the log-policy, (N, actions, 64, 21, 21)."""
        if self.jacobian is None:
            return self._ask_jacobian(rows).permute(0, 1, 4, 2, 3)
        return self.jacobian[rows].float().permute(0, 1, 4, 2, 3)

    def _jacobian(self, rows) -> Tensor:
        shape = (len(self), self.log_policy.shape[1], *self.pixels.shape[1:])
        kept = torch.empty(shape, dtype=torch.float16, device=self.device)
        for part in rows:
            kept[part] = self._ask_jacobian(part).half()
            if not kept[part].isfinite().all():
                raise ValueError("jacobian: expected a teacher whose slopes float16 can hold, up to "
                                 f"{torch.finfo(torch.float16).max:,.0f}, got larger ones; without it the teacher is asked "
                                 "each time")
        return kept

    def _ask_jacobian(self, rows: Tensor) -> Tensor:
        x = self.inputs(rows).requires_grad_()
        y = self.ask(x)
        one_a_state = torch.eye(y.shape[1], device=self.device).unsqueeze(1).expand(-1, len(rows), -1)
        slopes = [torch.autograd.grad(y, x, v, retain_graph=True)[0] for v in one_a_state]
        return torch.stack(slopes, dim=1).permute(0, 1, 3, 4, 2)
