"""A teacher: a function that can be asked, at any batch of points, for what a loss compares with."""
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sobolev_lib._rows import Model, check_output, is_concrete
from sobolev_lib._tables import check_square
from sobolev_lib.data import SobolevData, as_tensor, derivative_name
from sobolev_lib.derivatives import value_and_derivatives, value_and_projections
from sobolev_lib.labelling import check_rows

ROWS, ENTRIES = 4096, 2**20                                # asked at once: points, and entries of the highest derivative


class Teacher:
    """A differentiable function and the points to ask it at: in place of a table of labels.

    >>> teacher = Teacher(sobolev_lib.models.MLP(8, 64, 10), torch.rand(200, 8))
    >>> sobolev_lib.StochasticSobolevLoss()(sobolev_lib.models.MLP(8, 16, 10), teacher).backward()
    >>> teacher[:5].up_to(1).jacobian.shape
    torch.Size([5, 10, 8])

    ``f`` maps (N, *in) to (N, *out), rows independent, and may be a module or any PyTorch function; ``inputs`` (N, *in).
    Each batch of training asks it anew, for no more than the loss compares: values and derivatives up to its order, or
    their projections on random vectors. So nothing but the inputs is kept, and no Jacobian is formed that the loss does
    not want. What f answers has f's own units. A module is asked where its parameters are, in the mode that it is in;
    its parameters get no gradient. Where f is cheap to tabulate, ``label(f, inputs)`` gives a table.

    ``teacher[rows]`` is the same function at some of the points. Raises ``TypeError`` for what is no function or no
    floating-point inputs, ``ValueError`` for a function of one point, and when asked, for answers that are NaN or infinite.
    Warns if a row's value depends on the other rows. Source: section 4.2 and figure 1b, where f is a network.
    """

    def __init__(self, f: Model, inputs):
        if not callable(f):
            raise TypeError(f"f: expected a module or a function from (N, ...) to (N, ...), got {type(f).__name__}")
        inputs = as_tensor(inputs, "inputs").detach()
        if inputs.ndim == 0 or len(inputs) == 0:
            raise ValueError(f"inputs: expected shape (N, ...) with N >= 1, got {tuple(inputs.shape)}")
        if not inputs.isfinite().all():
            raise ValueError(f"inputs: expected finite numbers, got {int((~inputs.isfinite()).sum())} NaN or infinite")
        self.f, self.inputs, self._out_shape = f, inputs, None
        few = self[:4]
        values = few.up_to(0).values
        self._out_shape = values.shape[1:]
        with torch.no_grad():
            check_rows(few.answers, few.inputs, values)

    @classmethod
    def at(cls, f: Model, inputs: Tensor, out_shape: torch.Size | None = None) -> "Teacher":
        """Without any check: for tensors whose numbers can't be looked at, and for parts of a teacher."""
        teacher = cls.__new__(cls)
        teacher.f, teacher.inputs, teacher._out_shape = f, inputs, out_shape
        return teacher

    def __getitem__(self, rows: slice | Tensor) -> "Teacher":
        if not isinstance(rows, slice) and not getattr(rows, "ndim", 0):
            raise TypeError(f"teacher: expected a slice or an array of indices, got {rows!r}")
        return Teacher.at(self.f, self.inputs[rows], self._out_shape)

    def __len__(self) -> int:
        return self.inputs.shape[0]

    @property
    def in_shape(self) -> torch.Size:
        return self.inputs.shape[1:]

    @property
    def out_shape(self) -> torch.Size:
        """Of one point's values; unless it is known from before, f is asked at one point."""
        if self._out_shape is None:
            with torch.no_grad():
                self._out_shape = check_output(self.answers(self.inputs[:1]), self.inputs[:1]).shape[1:]
        return self._out_shape

    def to(self, device: torch.device | str) -> "Teacher":
        """The same function at points on another device, where its answers come too."""
        return Teacher.at(self.f, self.inputs.to(device), self._out_shape)

    def up_to(self, order: int) -> SobolevData:
        """Values (N, *out) and derivatives (N, *out, *in), ... at all points, up to ``order``."""
        with torch.no_grad():
            answers = value_and_derivatives(self._asked(), self.there(self.inputs), order)
        return SobolevData.of_tensors(self.inputs, *self._checked(answers))

    def project(self, vectors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Values (N, *out), and the derivatives projected on ``vectors``: see ``value_and_projections``."""
        with torch.no_grad():
            answers = value_and_projections(self._asked(), self.there(self.inputs), [self.there(v) for v in vectors])
        return self._checked(answers)

    def mean_squares(self, order: int) -> tuple[float, ...]:
        """Of each order's answers, as ``SobolevData.mean_squares``; points go through in batches."""
        return mean_squares_of(self, order, self.in_shape.numel(), lambda part: part.up_to(order))

    def _asked(self) -> Model:
        # a copy for functions of unknown habits; modules are asked as they are, so that a multilayer perceptron's
        # derivatives may take their short way
        return self.f if isinstance(self.f, nn.Module) else self.answers

    def answers(self, x: Tensor) -> Tensor:
        """What f says at x (N, *in), with the graph that leads there."""
        found = self.f(self.there(x) if isinstance(self.f, nn.Module) else x.clone())
        if not isinstance(found, Tensor):
            raise TypeError(f"f: expected it to return a tensor, got {type(found).__name__}")
        return found.to(x.device)

    def there(self, tensor: Tensor) -> Tensor:
        """A tensor where the module's parameters are."""
        for parameter in self.f.parameters() if isinstance(self.f, nn.Module) else ():
            return tensor.to(parameter.device)
        return tensor

    def _checked(self, answers: Sequence[Tensor]) -> tuple[Tensor, ...]:
        for k, answer in enumerate(answers):
            if answer.dtype != self.inputs.dtype:
                raise TypeError(f"teacher: expected answers of {self.inputs.dtype} as the inputs have, got {answer.dtype}")
            # NaN would pass for a missing label
            if is_concrete(answer) and not answer.isfinite().all():
                wrong = int((~answer.isfinite()).sum())
                raise ValueError(f"teacher: expected finite {derivative_name(k)}, got {wrong} NaN or infinite entries; is f "
                                 "differentiable at all these points?")
        return tuple(answer.detach().to(self.inputs.device) for answer in answers)


def mean_squares_of(teacher: Teacher, order: int, inputs: int, ask: Callable[[Teacher], SobolevData]) -> tuple[float, ...]:
    """Mean squared norms of what ``ask`` says of a teacher, a few thousand points at a time; 1 where all are zero.

    >>> teacher = Teacher(lambda x: x.square(), torch.ones(5, 2))
    >>> mean_squares_of(teacher, 1, 2, lambda part: part.up_to(1))
    (2.0, 8.0)

    ``inputs``: how many numbers the derivatives are by.
    """
    rows = max(1, min(ROWS, ENTRIES // max(1, teacher.out_shape.numel() * inputs ** order)))
    sums, largest = [0.0] * (order + 1), [0.0] * (order + 1)
    for start in range(0, len(teacher), rows):
        for k, labels in enumerate(ask(teacher[start:start + rows]).derivatives[:order + 1]):
            sums[k] += float(labels.square().sum())
            largest[k] = max(largest[k], float(labels.abs().max()))
    for k, (total, most) in enumerate(zip(sums, largest)):
        check_square(total, most, k, teacher.inputs.dtype)
    return tuple(total / len(teacher) or 1.0 for total in sums)
