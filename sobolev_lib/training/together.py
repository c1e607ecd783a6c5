"""Networks that train side by side: their state, the step of them all, on a GPU as one CUDA graph."""
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from sobolev_lib._arguments import integer
from sobolev_lib.training.batches import EpochsOfAll, WithReplacement
from sobolev_lib.training.rates import Cosine, Scheduled

BLOCK = 32                                                 # steps whose batches are drawn at a time
WARM_UP = 3                                                # steps before a CUDA graph is recorded


class Together:
    """Networks that share one computation: weights side by side, each row with its own data, optimiser and batches.

    >>> model, data = sobolev_lib.models.MLP(2, 8, 1), sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> gradients = sobolev_lib.fast.side_by_side(model, sobolev_lib.SobolevLoss(1))
    >>> two = Together([model] * 2, [data.tensors] * 2, gradients, WithReplacement(20, 5, [0, 1]), Cosine([1e-3, 1e-2], 10),
    ...                steps=10, lr=[1e-3, 1e-2], weights=lambda step: [(1, 1), (1, 0)])
    >>> two.run(10); two.done
    10

    ``gradients`` comes from ``side_by_side``; ``draws`` says which points each step takes, ``rates`` what Adam's settings
    are, for each distinct learning rate in rising order; ``weights(step)`` are the loss weights (K, order + 1), asked for
    once if ``fixed``; ``divisors`` (K, order + 1) if each network has its own. With ``kept``, the terms of the last step
    lie in ``terms`` (K, order + 1).

    What a step writes lies in memory that stays where it is, as a CUDA graph needs; so do the batches' rows, the learning
    rates and the loss weights of the next steps, which come to a GPU in one copy a block. ``pool`` is memory that graphs
    share which never run at the same time.
    """

    def __init__(self, models: Sequence[nn.Module], tables: Sequence[Sequence[Tensor]], gradients: Callable,
                 draws: EpochsOfAll | WithReplacement, rates: Cosine | Scheduled, *, steps: int, lr: Sequence[float],
                 weights: Callable[[int], Sequence[Sequence[float]]], fixed: bool = True,
                 divisors: Sequence[Sequence[float]] | None = None, kept: bool = False, pool=None):
        self.models, self.gradients, self.draws, self.rates_of, self.steps = models, gradients, draws, rates, steps
        self.weights_of, self.fixed, self.pool, self.size = weights, fixed, pool, draws.size
        self.tables = [torch.stack(tensors) for tensors in zip(*tables)]
        count, n = self.tables[0].shape[:2]
        self.device, self.on_gpu = self.tables[0].device, self.tables[0].is_cuda
        self.graphs, self.side, self.warm, self.recorded = {}, None, {}, True
        number = {"dtype": self.tables[0].dtype, "device": self.device}
        self.weights = torch.tensor(weights(1), **number)
        self.divisors = None if divisors is None else torch.tensor(divisors, **number)
        self.terms = torch.zeros_like(self.weights) if kept else None
        # one row a network, so that an optimiser sees each network as one tensor
        self.rows = torch.stack([torch.cat([p.detach().flatten() for p in model.parameters()]) for model in models])
        self.slopes, self.means, self.squares = (torch.zeros_like(self.rows) for _ in range(3))
        shapes = {name: p.shape for name, p in models[0].named_parameters()}
        pieces = self.rows.split([shape.numel() for shape in shapes.values()], dim=1)
        self.parameters = {name: piece.detach().unflatten(1, shape) for (name, shape), piece in zip(shapes.items(), pieces)}
        self.lrs = sorted(set(lr))
        self.optimizer = self._optimizer(lr)
        self.block = max(1, min(BLOCK, 2 ** 22 // (count * self.size)))
        # where there are more points than a batch holds, it is drawn into the same memory at each step: one for each width
        self.drawing, self.batches = self.size < n, {}
        if self.drawing:
            self.index = torch.zeros(count, self.block, self.size, dtype=torch.int64, device=self.device)
        self.rates = torch.zeros(self.block, len(self.lrs), dtype=torch.float32, device=self.device)
        self.weights_ahead = None if fixed else torch.zeros(self.block, *self.weights.shape, **number)
        self.position = torch.zeros(1, dtype=torch.int64, device=self.device)            # of the next step, in the block
        self.done = self.begun = self.drawn = 0            # steps: made; before this block; up to its end

    @torch.no_grad()
    def run(self, last: int) -> None:
        """Steps up to ``last``, or to the end of a block of steps, whichever comes first."""
        with torch.cuda.device(self.device) if self.on_gpu else nullcontext():
            if self.done == self.drawn:
                self._draw()
            for _ in range(self.done, min(last, self.drawn)):
                self._advance()
                self.done += 1

    def _draw(self) -> None:
        """The next steps' batches, learning rates and loss weights. The random states stay known, for checkpoints."""
        self.states, self.begun = self.draws.state(), self.done
        self.drawn = min(self.done + self.block, self.steps)
        length = self.drawn - self.done
        index, self.widths = self.draws.take(length)
        if index is not None:
            self._send(index, self.index[:, :length])
        self.settings = self.rates_of.take(self.done, length)
        if self.on_gpu:
            self._send(torch.tensor([[each["lr"] for each in step] for step in self.settings], dtype=torch.float32),
                       self.rates[:length])
            # a graph has all but the rate as it was recorded
            self.recorded = self.recorded and all(len(each) == 1 for step in self.settings for each in step)
        if not self.fixed:
            ahead = [self.weights_of(step) for step in range(self.done + 1, self.drawn + 1)]
            self._send(torch.tensor(ahead, dtype=self.weights.dtype), self.weights_ahead[:length])
        self.position.zero_()

    def _send(self, found: Tensor, memory: Tensor) -> None:
        # from pinned memory the copy waits for the GPU's earlier steps, and Python does not
        memory.copy_(found.pin_memory() if self.on_gpu else found, non_blocking=self.on_gpu)

    def _advance(self) -> None:
        now = self.done - self.begun
        width = self.widths[now]
        if not self.on_gpu or not self.recorded:
            for group, settings in zip(self.optimizer.param_groups, self.settings[now]):
                # on a GPU the rate is a tensor, and comes with the step
                group.update({name: value for name, value in settings.items() if name != "lr" or not self.on_gpu})
        if not self.on_gpu:
            self._step(width)
        elif not self.recorded:
            with _without_warning():
                self._step(width)
        elif self.warm.get(width, 0) < WARM_UP:
            # what a step allocates and looks up once must have happened, on another stream, before it can be recorded
            self.side, here = self.side or torch.cuda.Stream(), torch.cuda.current_stream()
            self.side.wait_stream(here)
            with torch.cuda.stream(self.side), _without_warning():
                self._step(width)
            here.wait_stream(self.side)
            self.warm[width] = self.warm.get(width, 0) + 1
        else:
            if width not in self.graphs:
                self.graphs[width] = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graphs[width], pool=self.pool):
                    self._step(width)                      # recorded, not made
            self.graphs[width].replay()

    def _step(self, width: int) -> None:
        batch = self._batch(width) if self.drawing else self.tables
        if self.on_gpu:
            self.lr.copy_(self.rates.index_select(0, self.position).squeeze(0))
        if not self.fixed:
            self.weights.copy_(self.weights_ahead.index_select(0, self.position).squeeze(0))
        found, terms = self.gradients(self.parameters, self.weights, batch, self.divisors)
        if self.terms is not None:
            torch.stack(list(terms), dim=1, out=self.terms)
        torch.cat([gradient.flatten(1) for gradient in found], dim=1, out=self.slopes)
        self.optimizer.step()
        self.position.add_(1)

    def _batch(self, width: int) -> list[Tensor]:
        if width not in self.batches:
            self.batches[width] = [table[:, :width].clone() for table in self.tables]
        rows = self.index.index_select(1, self.position).squeeze(1)[:, :width]
        for drawn, table in zip(self.batches[width], self.tables):
            torch.gather(table, 1, rows.reshape(*rows.shape, *[1] * (table.ndim - 2)).expand(-1, -1, *table.shape[2:]),
                         out=drawn)
        return self.batches[width]

    def write_back(self) -> None:
        for k, model in enumerate(self.models):
            for name, parameter in model.named_parameters():
                parameter.data.copy_(self.parameters[name][k])

    @torch.no_grad()
    def read_back(self) -> None:
        """Go on with the weights that the models have now: somebody may have changed them."""
        for k, model in enumerate(self.models):
            for name, parameter in model.named_parameters():
                if not parameter.requires_grad:            # side by side all rows move
                    raise ValueError(f"on_step: expected parameters that go on training, got {name} of number {k} frozen; "
                                     "fit takes that")
                self.parameters[name][k].copy_(parameter)

    def state(self) -> tuple[dict[str, Tensor], dict]:
        """All that a step depends on: tensors, and what JSON holds."""
        generators, progress = self.states if self.drawn else self.draws.state()
        return ({"rows": self.rows, "means": self.means, "squares": self.squares, "generators": generators},
                {"done": self.done, "begun": self.begun, **progress})

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor], progress: dict) -> None:
        """Put back what ``state`` gave, from any device."""
        for memory, name in ((self.rows, "rows"), (self.means, "means"), (self.squares, "squares")):
            if tensors[name].shape != memory.shape:        # copy_ would broadcast
                raise ValueError(f"{name}: expected {tuple(memory.shape)}, got {tuple(tensors[name].shape)}")
            memory.copy_(tensors[name])
        self.draws.restore(tensors["generators"], progress)
        begun, done = (integer(progress[name], name, least=0) for name in ("begun", "done"))
        self.done = self.drawn = begun
        if done > begun:                                   # a block was under way: draw it again
            self._draw()
            self.done = done
            self.position.fill_(self.done - self.begun)
        for state in self.optimizer.state.values():
            state["step"].fill_(self.done)

    def _optimizer(self, lr: Sequence[float]) -> torch.optim.Adam:
        rows = [row.requires_grad_() for row in self.rows.unbind()]
        for row, slope in zip(rows, self.slopes.unbind()):
            row.grad = slope
        # a graph holds tensors, not numbers
        self.lr = torch.tensor(self.lrs, dtype=torch.float32, device=self.device) if self.on_gpu else self.lrs
        optimizer = torch.optim.Adam([{"params": [row for row, own in zip(rows, lr) if own == rate], "lr": self.lr[k]}
                                      for k, rate in enumerate(self.lrs)], fused=True, capturable=self.on_gpu)
        for row, mean, square in zip(rows, self.means.unbind(), self.squares.unbind()):
            optimizer.state[row] = {"step": torch.zeros((), dtype=torch.float32, device=self.device),
                                    "exp_avg": mean, "exp_avg_sq": square}
        return optimizer


@contextmanager
def _without_warning() -> Iterator[None]:
    """Adam warns of capturable=True in a step that is not recorded."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*capturable=True")
        yield
