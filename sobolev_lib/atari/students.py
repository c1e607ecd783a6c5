"""Students that learn side by side: their weights are rows of one table, and a step is one computation."""
import warnings
from pathlib import Path
from typing import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from sobolev_lib._torch import tree_map
from sobolev_lib.atari.policies import Policy
from sobolev_lib.checkpoint import load_checkpoint, save_checkpoint

WARM_UP = 3                                                # steps before a CUDA graph is recorded


class Students(nn.Module):
    """Networks of one architecture, an Adam for each, and where they stand.

    >>> students = Students([Student(6), Student(6)], lrs=[1e-3, 3e-3], clip=1.0, device="cpu")     # doctest: +SKIP
    >>> students.learn(drawn, gradients)                                                       # doctest: +SKIP

    ``networks`` keep their faces: their parameters are views of the table ``rows`` (students, weights). ``lrs`` has a
    learning rate for each, ``clip`` is the largest norm of a student's gradient, or None.
    """

    def __init__(self, networks: Sequence[Policy], lrs: Sequence[float], clip: float | None, device: torch.device | str):
        super().__init__()
        device = torch.device(device)
        # in a tuple, where they are no part of this module: all of its state is the table
        self.networks = tuple(networks)
        self.lrs, self.clip, self.on_gpu = list(lrs), clip, device.type == "cuda"
        self.drawn, self.graph, self.side, self.learned = None, None, None, 0
        table = torch.stack([nn.utils.parameters_to_vector(network.parameters()).detach() for network in networks])
        self.register_buffer("rows", table.to(device))
        self.slopes = torch.zeros_like(self.rows)
        shapes = {name: p.shape for name, p in networks[0].named_parameters()}
        pieces = self.rows.split([shape.numel() for shape in shapes.values()], dim=1)
        self.tables = {name: piece.unflatten(1, shape) for (name, shape), piece in zip(shapes.items(), pieces)}
        for k, network in enumerate(networks):
            for name, parameter in network.named_parameters():
                parameter.data = self.tables[name][k]
        self.adam_rows = [nn.Parameter(row) for row in self.rows.unbind()]
        for row, slope in zip(self.adam_rows, self.slopes):
            row.grad = slope
        # on a GPU the graph holds the rates, so they are tensors there
        rates = [torch.tensor(lr, device=device) if self.on_gpu else lr for lr in self.lrs]
        self.optimizer = torch.optim.Adam([{"params": [row], "lr": lr} for row, lr in zip(self.adam_rows, rates)], lr=1e-3,
                                          **({"fused": True, "capturable": True} if self.on_gpu else {}))

    def set_rates(self, share: float) -> None:
        """Set each learning rate to ``share`` of the student's own."""
        for lr, group in zip(self.lrs, self.optimizer.param_groups):
            if self.on_gpu:
                group["lr"].fill_(lr * share)
            else:
                group["lr"] = lr * share

    def learn(self, drawn, gradients: Callable[..., list[list[Tensor]]]) -> None:
        """A step of Adam for all. ``gradients`` maps what was drawn on the CPU to the gradients of each one's parameters."""
        if not self.on_gpu:
            self._step(drawn, gradients)
            return
        if self.drawn is None:
            self.drawn = tree_map(lambda tensor: tensor.to(self.rows.device), drawn)
        # a GPU reads from the same memory at each step
        tree_map(lambda ours, new: ours.copy_(new.pin_memory(), non_blocking=True), self.drawn, drawn)
        self.learned += 1
        if self.learned <= WARM_UP:
            # on a stream of its own, as PyTorch asks of what is recorded later
            self.side = self.side or torch.cuda.Stream()
            self.side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.side), warnings.catch_warnings():
                # Adam warns of capturable=True in a step that is not recorded; it is, three steps later
                warnings.filterwarnings("ignore", message=".*capturable=True")
                self._step(self.drawn, gradients)
            torch.cuda.current_stream().wait_stream(self.side)
            return
        if self.graph is None:
            # the whole step as one CUDA graph: a GPU would wait for Python otherwise
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self._step(self.drawn, gradients)          # recorded, not done
        self.graph.replay()

    def _step(self, drawn, gradients) -> None:
        for slope, found in zip(self.slopes, gradients(drawn)):
            torch.cat([gradient.flatten() for gradient in found], out=slope)
        if self.clip is not None:
            norms = torch.linalg.vector_norm(self.slopes, dim=1, keepdim=True)
            self.slopes.mul_((self.clip / (norms + 1e-6)).clamp(max=1.0))    # as torch.nn.utils.clip_grad_norm_ does
        self.optimizer.step()

    def part(self) -> None:
        """Give each network weights of its own, which need no gradient any more."""
        for network in self.networks:
            for parameter in network.parameters():
                parameter.data = parameter.data.clone()

    def save(self, path: str | Path, generators: Mapping[str, torch.Generator], mark: str, step: int) -> None:
        """Write where all stand: weights, Adam's moments, random generators; whole or not at all."""
        state = [self.optimizer.state[row] for row in self.adam_rows]
        tensors = {name: torch.stack([one[name] for one in state]) for name in ("exp_avg", "exp_avg_sq")}
        tensors |= {f"generator.{name}": generator.get_state() for name, generator in generators.items()}
        save_checkpoint(Path(path), model=self, optimizer=[], tensors=tensors, progress={"step": step}, fingerprint=mark)

    def restore(self, path: str | Path | None, generators: Mapping[str, torch.Generator], mark: str) -> int:
        """Go back to what ``save`` wrote, if it wrote anything there; returns the step."""
        if path is None or not Path(path).exists():
            return 0
        tensors, progress = load_checkpoint(Path(path), model=self, optimizer=[], fingerprint=mark)
        for k, row in enumerate(self.adam_rows):
            step = torch.tensor(float(progress["step"]), device=row.device if self.on_gpu else "cpu")
            self.optimizer.state[row] = {"step": step, **{name: tensors[name][k].to(row.device)
                                                          for name in ("exp_avg", "exp_avg_sq")}}
        for name, generator in generators.items():
            generator.set_state(tensors[f"generator.{name}"])
        return progress["step"]
