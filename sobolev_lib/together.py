"""Networks that train side by side: their state, the step of them all, on a GPU as one CUDA graph."""
import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

BLOCK = 32                                                 # steps whose batches are drawn at a time
WARM_UP = 3                                                # steps before a CUDA graph is recorded


class Together:
    """Networks that share one computation: weights side by side, each row with its own data, optimiser and batches.

    >>> model, data = sobolev_lib.models.MLP(2, 8, 1), sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> gradients = sobolev_lib.fast.side_by_side(model, sobolev_lib.SobolevLoss(1))
    >>> two = Together([model] * 2, [data.tensors] * 2, gradients, 10, [1e-3, 1e-2], [(1, 1), (1, 0)], [0, 1], size=5)
    >>> two.run(10); two.done
    10

    ``gradients`` comes from ``fast.side_by_side``; ``size`` points a step are drawn if there are more. What a step
    writes lies in memory that stays where it is, as a CUDA graph needs; so do the batches' rows and the learning rates
    of the next steps, which come to a GPU in one copy a block. ``pool`` is memory that graphs share which never run at
    the same time.
    """

    def __init__(self, models: Sequence[nn.Module], tables: Sequence[Sequence[Tensor]], gradients: Callable, steps: int,
                 lr: Sequence[float], weights: Sequence[Sequence[float]], seeds: Sequence[int], size: int, pool=None):
        self.models, self.gradients, self.steps, self.size, self.pool = models, gradients, steps, size, pool
        self.tables = [torch.stack(tensors) for tensors in zip(*tables)]
        count, n = self.tables[0].shape[:2]
        self.device, self.on_gpu = self.tables[0].device, self.tables[0].is_cuda
        self.graph, self.side, self.warm = None, None, 0
        self.weights = torch.tensor(weights, dtype=self.tables[0].dtype, device=self.device)
        # one row a network, so that an optimiser sees each network as one tensor
        self.rows = torch.stack([torch.cat([p.detach().flatten() for p in model.parameters()]) for model in models])
        self.slopes, self.means, self.squares = (torch.zeros_like(self.rows) for _ in range(3))
        shapes = {name: p.shape for name, p in models[0].named_parameters()}
        pieces = self.rows.split([shape.numel() for shape in shapes.values()], dim=1)
        self.parameters = {name: piece.detach().unflatten(1, shape) for (name, shape), piece in zip(shapes.items(), pieces)}
        self.lrs = sorted(set(lr))
        self.optimizer = self._optimizer(lr)
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.block = max(1, min(BLOCK, 2 ** 22 // (count * size)))
        # where there are more points than a batch holds, it is drawn into the same memory at each step
        self.draws = size < n
        self.batch = [t[:, :size].clone() for t in self.tables] if self.draws else self.tables
        if self.draws:
            self.index = torch.zeros(count, self.block, size, dtype=torch.int64, device=self.device)
        self.rates = torch.zeros(self.block, len(self.lrs), dtype=torch.float32, device=self.device)
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
        """The next steps' batches and learning rates. The generators' states stay known, for checkpoints."""
        self.states, self.begun = [generator.get_state() for generator in self.generators], self.done
        self.drawn = min(self.done + self.block, self.steps)
        length = self.drawn - self.done
        if self.draws:
            n = self.tables[0].shape[1]
            index = torch.stack([torch.randint(n, (length, self.size), generator=g) for g in self.generators])
            self._send(index, self.index[:, :length])
        if self.on_gpu:
            rates = [[lr * self._decay(t) for lr in self.lrs] for t in range(self.done, self.drawn)]
            self._send(torch.tensor(rates, dtype=torch.float32), self.rates[:length])
        self.position.zero_()

    def _send(self, found: Tensor, memory: Tensor) -> None:
        # from pinned memory the copy waits for the GPU's earlier steps, and Python does not
        memory.copy_(found.pin_memory() if self.on_gpu else found, non_blocking=self.on_gpu)

    def _decay(self, done: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * done / self.steps))

    def _advance(self) -> None:
        if not self.on_gpu:
            for group, lr in zip(self.optimizer.param_groups, self.lrs):
                group["lr"] = lr * self._decay(self.done)
            self._step()
        elif self.warm < WARM_UP:
            # what a step allocates and looks up once must have happened, on another stream, before it can be recorded
            self.side, here = self.side or torch.cuda.Stream(), torch.cuda.current_stream()
            self.side.wait_stream(here)
            with torch.cuda.stream(self.side), warnings.catch_warnings():
                # Adam warns of capturable=True in a step that is not recorded; it is, three steps later
                warnings.filterwarnings("ignore", message=".*capturable=True")
                self._step()
            here.wait_stream(self.side)
            self.warm += 1
        else:
            if self.graph is None:
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph, pool=self.pool):
                    self._step()                           # recorded, not made
            self.graph.replay()

    def _step(self) -> None:
        if self.draws:
            rows = self.index.index_select(1, self.position).squeeze(1)
            for drawn, table in zip(self.batch, self.tables):
                torch.gather(table, 1, rows.reshape(*rows.shape, *[1] * (table.ndim - 2)).expand(-1, -1, *table.shape[2:]),
                             out=drawn)
        if self.on_gpu:
            self.lr.copy_(self.rates.index_select(0, self.position).squeeze(0))
        found, _ = self.gradients(self.parameters, self.weights, self.batch)
        torch.cat([gradient.flatten(1) for gradient in found], dim=1, out=self.slopes)
        self.optimizer.step()
        self.position.add_(1)

    def write_back(self) -> None:
        for k, model in enumerate(self.models):
            for name, parameter in model.named_parameters():
                parameter.data.copy_(self.parameters[name][k])

    def state(self) -> tuple[dict[str, Tensor], dict]:
        """All that a step depends on: tensors, and what JSON holds."""
        states = self.states if self.drawn else [generator.get_state() for generator in self.generators]
        return ({"rows": self.rows, "means": self.means, "squares": self.squares, "generators": torch.stack(states)},
                {"done": self.done, "begun": self.begun})

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor], progress: dict) -> None:
        """Put back what ``state`` gave, from any device."""
        for memory, name in ((self.rows, "rows"), (self.means, "means"), (self.squares, "squares")):
            memory.copy_(tensors[name])
        for generator, state in zip(self.generators, tensors["generators"]):
            generator.set_state(state.clone())             # of a view it would read the beginning of the whole
        self.done = self.drawn = progress["begun"]
        if progress["done"] > self.done:                   # a block was under way: draw it again
            self._draw()
            self.done = progress["done"]
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
