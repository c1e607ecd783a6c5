"""Many networks of one architecture trained at once, as one batched computation."""
import math
from typing import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from sobolev_lib.data import SobolevData
from sobolev_lib.losses import SobolevLoss


def train_many(models: Sequence[nn.Module], data: Sequence[SobolevData], *, loss: SobolevLoss, steps: int,
               lr: Sequence[float], weights: Sequence[Sequence[float]], seeds: Sequence[int],
               batch_size: int | None = None, compile: bool = False,
               on_step: Callable[[int, list[nn.Module]], None] | None = None, report: Sequence[int] = ()) -> None:
    """Train model k on data set k with its own learning rate, loss weights and batch order; in place.

    >>> f, mlp = sobolev_lib.functions.booth, sobolev_lib.models.MLP
    >>> models, data = [mlp(2, 16, 1), mlp(2, 16, 1)], [sobolev_lib.label(f, f.sample(20)) for _ in range(2)]
    >>> train_many(models, data, loss=SobolevLoss(1), steps=5, lr=[1e-3, 1e-2], weights=[(1, 0), (1, 1)], seeds=[0, 1])

    Adam, learning rate decayed to zero along a cosine. Same results as one by one, to rounding. ``batch_size`` points
    a step, drawn with replacement; all of them if None or not fewer than the data. ``compile=True`` fuses the step
    (seconds of compilation for each new shape). ``on_step(step, models)`` is called after the steps in ``report``,
    with the weights written back. Raises ``ValueError`` if the lists differ in length, the data in shape, or a model has
    buffers or frozen parameters.
    """
    count = len(models)
    for name, items in (("data", data), ("lr", lr), ("weights", weights), ("seeds", seeds)):
        if len(items) != count:
            raise ValueError(f"{name}: expected one per model, {count}, got {len(items)}")
    for row in weights:
        if len(row) != loss.order + 1:
            raise ValueError(f"weights: expected {loss.order + 1} numbers for a loss of order {loss.order}, got {row!r}")
    for model in models:
        # one module computes for all: buffers and frozen parameters of the others would be lost without a word
        held = [name for name, _ in model.named_buffers()]
        held += [name for name, p in model.named_parameters() if not p.requires_grad]
        if held:
            raise ValueError(f"models: expected trainable parameters only, got {held}; of a Standardized model pass "
                             "the inner .model and standardized data")
    shapes = {tuple(t.shape for t in d.tensors[:loss.order + 2]) for d in data}
    if len(shapes) != 1:
        raise ValueError(f"data: expected data sets of equal shapes, got {sorted(map(str, shapes))}")

    tables = [torch.stack(tensors) for tensors in zip(*[d.tensors[:loss.order + 2] for d in data])]
    parameters = {name: p.detach().clone() for name, p in stack_module_state(list(models))[0].items()}
    first = {name: torch.zeros_like(p) for name, p in parameters.items()}
    second = {name: torch.zeros_like(p) for name, p in parameters.items()}
    like = {"dtype": tables[0].dtype, "device": tables[0].device}
    weights, base_lr = torch.tensor(weights, **like), torch.tensor(lr, **like)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    n = tables[0].shape[1]
    sampled = batch_size is not None and batch_size < n

    def total(parameters, weights, data):
        terms = loss.terms(lambda x: functional_call(models[0], parameters, (x,)), data)
        return sum(weight * term for weight, term in zip(weights, terms))

    def step(parameters, first, second, tables, lr, correction):
        batch = SobolevData._unchecked(*tables)
        gradients = vmap(grad(total))(parameters, weights, batch)
        for name, gradient in gradients.items():
            # Adam (beta 0.9, 0.999) with a learning rate for each network, which torch.optim has no room for
            first[name].lerp_(gradient, 0.1)
            second[name].lerp_(gradient.square(), 0.001)
            rate = (lr * correction[0]).view(-1, *[1] * (gradient.ndim - 1))
            parameters[name].sub_(rate * first[name] / ((second[name] * correction[1]).sqrt() + 1e-8))

    if compile:
        torch.compiler.reset()  # each call compiles a step of its own, and PyTorch gives up after a few of them
        step = torch.compile(step, fullgraph=True, dynamic=False)
    rows = torch.arange(count, device=like["device"]).unsqueeze(1)
    report = set(report)
    with torch.no_grad():
        for t in range(1, steps + 1):
            batch = tables
            if sampled:
                index = torch.stack([torch.randint(n, (batch_size,), generator=g) for g in generators]).to(rows.device)
                batch = [table[rows, index] for table in tables]
            decay = 0.5 * (1 + math.cos(math.pi * (t - 1) / steps))
            correction = torch.tensor([1 / (1 - 0.9**t), 1 / (1 - 0.999**t)], **like)
            step(parameters, first, second, batch, base_lr * decay, correction)
            if t in report or t == steps:
                _write_back(models, parameters)
                if on_step is not None and t in report:
                    on_step(t, list(models))


def _write_back(models: Sequence[nn.Module], stacked: dict[str, Tensor]) -> None:
    for k, model in enumerate(models):
        for name, parameter in model.named_parameters():
            parameter.data.copy_(stacked[name][k])
