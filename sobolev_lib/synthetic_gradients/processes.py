"""A cut network with each part in a process of its own: decoupled for real, or with backpropagation in a pipeline.

Activations go up, and what the part above makes of them comes down: its own input gradient, and its loss or loss
prediction. A decoupled part does not wait for that. It updates with its synthetic gradient as soon as its own forward
pass is done, and trains the synthetic gradient when the answer arrives. A part under backpropagation waits.
"""
import queue
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from sobolev_lib.checkpoint import load_checkpoint, save_checkpoint
from sobolev_lib.synthetic_gradients.network import DecoupledNetwork
from sobolev_lib.synthetic_gradients.training import Batches

PATIENCE = 30.0                                            # seconds without a sign of life from a neighbour
UP, DOWN = 1, 2                                            # message tags


class PartLost(RuntimeError):
    """A neighbouring process is gone or has not answered.

    >>> raise PartLost("part 2 of 2 is gone")                                                  # doctest: +SKIP
    """


@dataclass
class PartHistory:
    """What one process did: ``work`` holds (what, step, begin, end), in seconds since all parts were ready.

    >>> history = train_part(model, batches, steps=100)                                        # doctest: +SKIP
    >>> history.work[0]                                                                        # doctest: +SKIP
    ('forward', 1, 0.002, 0.005)
    """

    part: int
    work: list[tuple[str, int, float, float]] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)        # of each step; the last part's only
    seconds: float = 0.0

    @property
    def busy(self) -> float:
        """Share of the time spent computing."""
        return sum(end - begin for _, _, begin, end in self.work) / self.seconds if self.seconds else 0.0


def train_part(model: DecoupledNetwork, batches: Batches, *, steps: int, lr: float = 1e-3, synthetic_lr: float = 1e-3,
               staleness: int = 4, microbatches: int = 1, checkpoint: str | Path | None = None, checkpoint_every: int = 100,
               progress: bool = True) -> PartHistory:
    """Train this process's part of a cut network; every process of the group calls it with the same arguments.

    >>> # torchrun --nproc-per-node 2, a network with one cut                                  # doctest: +SKIP
    >>> history = train_part(model, batches, steps=500)                                        # doctest: +SKIP

    Needs ``torch.distributed`` (gloo) with one process a part: rank 0 has the part at the input. All processes draw the
    same ``batches``: inputs (N, ...) go in at the bottom, labels (N,) are needed at every cut. Method "backprop" runs a
    pipeline of ``microbatches``: all their forward passes, then all backward passes, then one update. Every other method
    is decoupled; a part may be ahead of the one above by at most ``staleness`` batches. Optimiser: Adam.

    ``checkpoint`` names a folder. Each part leaves its state there every ``checkpoint_every`` steps, and the same call
    goes on from the last step that all parts have; batches that were on their way are dropped. Returns this part's
    history; the part's weights are those in ``model``, the other parts' stay at their start.

    Raises ``PartLost`` within 30 seconds if a neighbour is gone, ``ValueError`` if processes and parts differ in number, or
    if microbatches do not divide a batch.
    """
    parts = model.modules_between_cuts
    if not dist.is_initialized() or dist.get_world_size() != len(parts):
        got = dist.get_world_size() if dist.is_initialized() else "no process group"
        raise ValueError(f"train_part: expected one process for each of {len(parts)} parts, got {got}")
    if checkpoint is not None and checkpoint_every <= staleness:
        raise ValueError(f"checkpoint_every: expected more than staleness = {staleness}, got {checkpoint_every}")
    worker = _Part(model, parts, dist.get_rank(), lr, synthetic_lr, staleness, microbatches)
    first = worker.restore(Path(checkpoint), steps) if checkpoint is not None else 0
    worker.connect(*next(iter(batches(0))), steps - first)
    bar = tqdm(total=steps, initial=first, disable=not progress or worker.rank > 0, desc=f"{len(parts)} parts")
    step_of = worker.pipelined if model.method == "backprop" else worker.decoupled
    try:
        for step, (x, y) in zip(range(first + 1, steps + 1), batches(first)):
            step_of(step, x, y)
            if checkpoint is not None and (step % checkpoint_every == 0 or step == steps):
                worker.save(Path(checkpoint), step)
            bar.update()
        worker.finish()
    except (queue.Empty, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not worker.lost:
            raise
        kept = f"; the last checkpoint is in {checkpoint}" if checkpoint is not None else ""
        raise PartLost(f"part {worker.rank + 1} of {len(parts)}: a neighbour is gone or has not answered for "
                       f"{PATIENCE:.0f} seconds{kept}") from error
    finally:
        bar.close()
    worker.history.seconds = time.perf_counter() - worker.start
    return worker.history


class _Part:
    """One part with its neighbours: what it computes, and the two queues that fill from outside."""

    def __init__(self, model, parts, rank, lr, synthetic_lr, staleness, microbatches):
        self.rank, self.parts, self.last = rank, parts, rank == len(parts) - 1
        self.part, self.synthetic = parts[rank], None if rank == len(parts) - 1 else model.synthetic[rank]
        self.staleness, self.microbatches, self.method = staleness, microbatches, model.method
        self.optimizers = [torch.optim.Adam(self.part.parameters(), lr=lr)]
        if self.synthetic is not None and self.synthetic.predicts:
            self.optimizers.append(torch.optim.Adam(self.synthetic.parameters(), lr=synthetic_lr))
        self.settings = f"{model.method} {model.cuts} {lr} {synthetic_lr} {rank}"
        self.from_below, self.from_above = queue.Queue(), queue.Queue()
        self.waiting: deque[tuple[int, Tensor, Tensor]] = deque()      # step, h, y: sent up, not yet answered
        self.sent: deque = deque()
        self.lost, self.history, self.start = False, PartHistory(rank + 1), 0.0

    # --- messages ---

    def connect(self, x: Tensor, y: Tensor, steps: int) -> None:
        """Learn the messages' shapes, and begin to listen on both sides."""
        if self.method == "backprop" and len(x) % self.microbatches:
            raise ValueError(f"microbatches: expected a divisor of the batch size {len(x)}, got {self.microbatches}")
        self.expected = steps * (self.microbatches if self.method == "backprop" else 1)
        shapes, h = [], x[: len(x) // (self.microbatches if self.method == "backprop" else 1)]
        with torch.no_grad():
            for part in self.parts:
                training = part.training
                h = part.eval()(h)
                part.train(training)
                shapes.append(h.shape)
        if self.rank > 0:
            self._listen(self.from_below, self.rank - 1, UP, shapes[self.rank - 1])
        if not self.last:
            out = shapes[self.rank]
            self._listen(self.from_above, self.rank + 1, DOWN, (len(y) if self.method != "backprop" else out[0],
                                                                out[1:].numel() + 1))
        dist.barrier()
        self.start = time.perf_counter()

    def _listen(self, inbox: queue.Queue, source: int, tag: int, shape) -> None:
        def receive():
            for _ in range(self.expected):
                message = torch.empty(shape)
                try:
                    dist.recv(message, source, tag=tag)
                except (RuntimeError, ValueError) as error:
                    self.lost = True
                    inbox.put(error)
                    return
                inbox.put(message)

        threading.Thread(target=receive, daemon=True).start()

    def _take(self, inbox: queue.Queue) -> Tensor:
        message = inbox.get(timeout=PATIENCE)
        if isinstance(message, Exception):
            raise message
        return message

    def _send(self, tensor: Tensor, to: int, tag: int) -> None:
        try:
            self.sent.append((dist.isend(tensor, to, tag=tag), tensor))        # the tensor must live until it has gone
            while len(self.sent) > 4 * self.staleness * self.microbatches:
                self.sent.popleft()[0].wait()
        except RuntimeError:
            self.lost = True
            raise

    def _answer(self, gradient: Tensor, value: Tensor) -> None:
        self._send(torch.cat([gradient.flatten(1), value.unsqueeze(1)], dim=1).contiguous(), self.rank - 1, DOWN)

    def _timed(self, what: str, step: int, begin: float) -> None:
        self.history.work.append((what, step, begin - self.start, time.perf_counter() - self.start))

    # --- a step ---

    def decoupled(self, step: int, x: Tensor, y: Tensor) -> None:
        """Forward, update by the synthetic gradient, answer the part below; no waiting for the part above."""
        while len(self.waiting) >= self.staleness:
            self._learn_from(self._take(self.from_above))
        inside = x if self.rank == 0 else self._take(self.from_below).requires_grad_()
        begin = time.perf_counter()
        h = self.part(inside)
        if not self.last:
            self._send(h.detach().clone(memory_format=torch.contiguous_format), self.rank + 1, UP)
        self._timed("forward", step, begin)
        begin = time.perf_counter()
        self.optimizers[0].zero_grad(set_to_none=True)
        if self.last:
            value = F.cross_entropy(h, y, reduction="none")
            value.mean().backward()
            self.history.loss.append(float(value.detach().mean()))
        else:
            self.waiting.append((step, h.detach(), y))
            value = None
            if self.synthetic.predicts:
                value, gradient = self.synthetic.predict(h.detach(), y)
                h.backward(gradient.detach() / len(y))
        self.optimizers[0].step()
        if self.rank > 0:
            gradient = torch.zeros_like(inside) if inside.grad is None else inside.grad * len(y)
            self._answer(gradient, torch.zeros(len(y)) if value is None else value.detach())
        self._timed("backward", step, begin)
        while not self.from_above.empty():
            self._learn_from(self._take(self.from_above))

    def _learn_from(self, answer: Tensor) -> None:
        """Train the synthetic gradient on what the part above has made of an earlier batch."""
        step, h, y = self.waiting.popleft()
        if not self.synthetic.predicts:
            return
        begin = time.perf_counter()
        self.optimizers[1].zero_grad(set_to_none=True)
        predicted = self.synthetic.predict(h, y)
        self.synthetic.loss(predicted, answer[:, -1], answer[:, :-1].reshape(h.shape)).backward()
        self.optimizers[1].step()
        self._timed("synthetic gradient", step, begin)

    def pipelined(self, step: int, x: Tensor, y: Tensor) -> None:
        """All microbatches forward, all backward, one update: what the gradient of the whole batch would do."""
        size, passes = len(y), []
        self.optimizers[0].zero_grad(set_to_none=True)
        for part_x, part_y in zip(x.chunk(self.microbatches), y.chunk(self.microbatches)):
            inside = part_x if self.rank == 0 else self._take(self.from_below).requires_grad_()
            begin = time.perf_counter()
            h = self.part(inside)
            if not self.last:
                self._send(h.detach().clone(memory_format=torch.contiguous_format), self.rank + 1, UP)
            passes.append((inside, h, part_y))
            self._timed("forward", step, begin)
        total = 0.0
        for inside, h, part_y in passes:
            answer = None if self.last else self._take(self.from_above)
            begin = time.perf_counter()
            if self.last:
                loss = F.cross_entropy(h, part_y, reduction="sum") / size
                loss.backward()
                total += float(loss.detach())
            else:
                h.backward(answer[:, :-1].reshape(h.shape))
            if self.rank > 0:
                self._answer(inside.grad, torch.zeros(len(part_y)))
            self._timed("backward", step, begin)
        if self.last:
            self.history.loss.append(total)
        self.optimizers[0].step()

    def finish(self) -> None:
        """Learn from the answers still on their way, and wait for the other parts."""
        while self.waiting:
            self._learn_from(self._take(self.from_above))
        dist.barrier()

    # --- checkpoints ---

    def _state(self) -> torch.nn.ModuleList:
        return torch.nn.ModuleList([self.part] if self.synthetic is None else [self.part, self.synthetic])

    def save(self, folder: Path, step: int) -> None:
        """Leave this part's state; the two newest files stay, since the neighbours may be a few steps behind."""
        save_checkpoint(folder / f"part{self.rank}-{step:09d}.safetensors", model=self._state(), optimizer=self.optimizers,
                        tensors={}, progress={"step": step}, fingerprint=self.settings)
        for old in sorted(folder.glob(f"part{self.rank}-*.safetensors"))[:-2]:
            old.unlink()

    def restore(self, folder: Path, steps: int) -> int:
        """Take up the last step that all parts have left a file of; returns it, or 0."""
        folder.mkdir(parents=True, exist_ok=True)
        kept = [{int(path.stem.split("-")[1]) for path in folder.glob(f"part{rank}-*.safetensors")}
                for rank in range(len(self.parts))]
        common = [step for step in set.intersection(*kept) if step <= steps]
        dist.barrier()                                     # nobody writes before everybody has looked
        if not common:
            return 0
        load_checkpoint(folder / f"part{self.rank}-{max(common):09d}.safetensors", model=self._state(),
                        optimizer=self.optimizers, fingerprint=self.settings)
        return max(common)
