"""Steps that take less time: one network's in closed form or compiled, and many networks' as one batched computation."""
import os
import time
import warnings
from pathlib import Path
from typing import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from sobolev_lib.arguments import integer, number, several, several_numbers
from sobolev_lib.checkpoint import load_checkpoint, save_checkpoint
from sobolev_lib.closed_form import Layers, Sweeps, backward
from sobolev_lib.data import SobolevData
from sobolev_lib.identity import describe, digest
from sobolev_lib.losses import SobolevLoss, weighted_sum
from sobolev_lib.records import check_writable
from sobolev_lib.together import Together


def train_many(models: Sequence[nn.Module], data: Sequence[SobolevData], *, loss: SobolevLoss, steps: int,
               lr: Sequence[float], weights: Sequence[Sequence[float]], seeds: Sequence[int],
               batch_size: int | None = None, compile: bool = False, at_once: int | None = None,
               on_step: Callable[[int, list[nn.Module]], object] | None = None, report: Sequence[int] = (),
               checkpoint: str | Path | None = None, on_checkpoint: Callable[[int, int], None] | None = None,
               checkpoint_seconds: float = 60) -> list:
    """Train model k on data set k with its own learning rate, loss weights and batch order; in place.

    >>> f, mlp = sobolev_lib.functions.booth, sobolev_lib.models.MLP
    >>> models, data = [mlp(2, 16, 1), mlp(2, 16, 1)], [sobolev_lib.label(f, f.sample(20)) for _ in range(2)]
    >>> train_many(models, data, loss=SobolevLoss(1), steps=5, lr=[1e-3, 1e-2], weights=[(1, 0), (1, 1)], seeds=[0, 1])
    []

    Adam, learning rate decayed to zero along a cosine. Same results as one by one, to rounding. ``batch_size`` points
    a step, drawn with replacement; all of them if None or not fewer than the data. Multilayer perceptrons take the
    closed form of the step at order 0 and 1, other models ``torch.func``.

    ``compile=True`` fuses the step (seconds of compilation for each new shape). On a GPU the step is one CUDA graph.
    ``at_once`` networks share a computation, by default as many as half of the free memory holds.
    ``on_step(step, models)`` is called after the steps in ``report``, with the weights written back; what it returned is
    returned, in a list. ``checkpoint`` names a file written every ``checkpoint_seconds``, after which
    ``on_checkpoint(step, steps)`` is called: the same call goes on from it, on any device, and ends on the same one bit for
    bit where an uninterrupted run ends. What ``on_step`` returned before is kept there, as JSON. What makes two calls the
    same is what ``fit`` says, but initial weights and data are compared up to rounding, since devices differ in that.

    Raises ``ValueError`` if the lists differ in length, the models in architecture, the data in shape, a model has buffers
    or frozen parameters, a number is out of range, or the checkpoint belongs to another call. Warns of networks whose
    weights are no longer finite at the end.
    """
    steps, lr, weights, seeds = _check(models, data, loss, steps, lr, weights, seeds)
    batch_size, at_once = [None if value is None else integer(value, name)
                           for name, value in (("batch_size", batch_size), ("at_once", at_once))]
    number(checkpoint_seconds, "checkpoint_seconds", "a number >= 0", zero=True)
    for name, value, needed, other in (("report", len(report), on_step, "on_step"),
                                       ("on_checkpoint", on_checkpoint, checkpoint, "checkpoint")):
        if value and needed is None:
            raise ValueError(f"{name}: expected {other} beside it, got none; it would have no effect")
    if checkpoint is not None:
        check_writable(checkpoint)
    tables = [d.tensors[:loss.order + 2] for d in data]
    size = len(data[0]) if batch_size is None else min(batch_size, len(data[0]))
    kept, progress = {}, {"reported": []}
    mark, sums = {}, {}
    if checkpoint is not None:
        mark = _fingerprint(models[0], tables, loss, steps, lr, weights, seeds, size, at_once, report)
        sums = {"data": _sums(tables), "initial weights": _sums([list(model.parameters()) for model in models])}
    if checkpoint is not None and Path(checkpoint).exists():
        # the rows hold all that is to be kept of models and optimiser
        kept, progress = load_checkpoint(Path(checkpoint), model=nn.Identity(), optimizer=[], fingerprint=mark)
        _check_same(sums, progress["sums"], Path(checkpoint))
    bounds = progress.get("bounds") or _bounds(len(models), at_once or _that_fit(models[0], tables[0], size))
    gradients = side_by_side(models[0], loss, compile=compile)
    pool = torch.cuda.graph_pool_handle() if tables[0][0].is_cuda else None
    parts = [Together(models[a:b], tables[a:b], gradients, steps, lr[a:b], weights[a:b], seeds[a:b], size, pool)
             for a, b in zip(bounds, bounds[1:])]
    for k, part in enumerate(parts):
        if kept:
            part.restore({name: kept[f"{k}.{name}"] for name in part.state()[0]}, progress["parts"][k])
    reported, saved = progress["reported"], time.monotonic()
    reports = sorted({step for step in report if 0 < step <= steps}) if on_step is not None else []
    for step in sorted({*reports[len(reported):], steps}):
        for part in parts:
            while part.done < step:
                part.run(step)
                if checkpoint is not None and time.monotonic() - saved >= checkpoint_seconds:
                    _save(Path(checkpoint), parts, {"reported": reported, "bounds": bounds, "sums": sums}, mark)
                    saved = time.monotonic()
                    if on_checkpoint is not None:
                        on_checkpoint(sum(each.done for each in parts) // len(parts), steps)
            part.write_back()
        if step in reports[len(reported):]:
            reported.append(on_step(step, list(models)))
    lost = [k for k, model in enumerate(models) if not all(bool(p.isfinite().all()) for p in model.parameters())]
    if lost:
        warnings.warn(f"train_many: the weights of networks {lost} are no longer finite; a lower learning rate or smaller "
                      "derivative weight may help", stacklevel=2)
    return reported


def _save(path: Path, parts: Sequence[Together], progress: dict, mark: str) -> None:
    states = [part.state() for part in parts]
    tensors = {f"{k}.{name}": tensor for k, (found, _) in enumerate(states) for name, tensor in found.items()}
    save_checkpoint(path, model=nn.Identity(), optimizer=[], tensors=tensors, fingerprint=mark,
                    progress=progress | {"parts": [numbers for _, numbers in states]})


def _fingerprint(model, tables, loss, steps, lr, weights, seeds, size, at_once, report) -> dict[str, str]:
    """Shared by two calls that describe the same run, whatever the device: nothing is decided by the last bits of numbers."""
    scales = [[f"{float(tensor.double().nan_to_num().square().mean()):.1e}" for tensor in table] for table in tables]
    return digest(**{"model": model, "loss": loss, "data": [[tuple(t.shape) for t in tables[0]], scales],
                     "lr, weights or seeds": [lr, weights, seeds],
                     "settings": [steps, size, at_once, sorted(set(report))]})


@torch.no_grad()
def _sums(tables) -> list[list[float]]:
    """Of each data set's tensors a weighted mean, in units of their size: other points or labels have another one."""
    found = []
    for tensors in zip(*tables):
        whole = torch.stack(tensors).flatten(1).double().nan_to_num() if tensors[0].ndim else torch.stack(tensors)[:, None]
        pattern = torch.cos(torch.arange(1, whole.shape[1] + 1, dtype=torch.float64, device=whole.device))
        found.append(((whole @ pattern) / (whole.norm(dim=1) * pattern.norm() + 1e-300)).tolist())
    return found


def _check_same(expected: dict, got: dict, path: Path) -> None:
    """Raises unless the sums are those of the same numbers, whose last bits differ between devices."""
    differing = [name for name in expected if not torch.allclose(torch.tensor(expected[name]), torch.tensor(got[name]),
                                                                 rtol=0, atol=1e-5)]
    if differing:
        raise ValueError(f"checkpoint: {path} belongs to another run ({', '.join(differing)} differ); expected the same call "
                         "that made it. Choose another path or delete the file")


def _bounds(count: int, at_once: int) -> list[int]:
    parts = -(-count // at_once)                           # of equal size, so that each shape is compiled once
    return [round(k * count / parts) for k in range(parts + 1)]


def side_by_side(model: nn.Module, loss: SobolevLoss, *, compile: bool = False) -> Callable:
    """The gradient of ``loss`` for many networks like ``model`` at once, in closed form where there is one.

    >>> model, data = sobolev_lib.models.MLP(2, 8, 1), sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> gradients = side_by_side(model, SobolevLoss(1))
    >>> parameters = {name: torch.stack([p.detach()] * 3) for name, p in model.named_parameters()}
    >>> found, terms = gradients(parameters, torch.ones(3, 2), [torch.stack([t] * 3) for t in data.tensors])
    >>> [tuple(g.shape) for g in found], [tuple(term.shape) for term in terms]
    ([(3, 8, 2), (3, 8), (3, 1, 8), (3, 1)], [(3,), (3,)])

    The function takes parameters by name (K, ...), loss weights (K, order + 1) and the tensors of K data sets, each
    (K, N, ...). It returns the gradients in the parameters' order, and the K networks' unweighted terms, by order.
    ``compile=True`` fuses it; it then raises ``RuntimeError`` where PyTorch can't compile.
    """
    try:
        gradients = _closed_form(model, loss) if loss.order < 2 else _general(model, loss)
    except ValueError:
        gradients = _general(model, loss)
    return _compiled(gradients) if compile else gradients


def backward_of(model: nn.Module, loss: SobolevLoss, *, compile: bool = False) -> Callable:
    """What ``loss(model, batch).backward()`` does, more quickly, where the model has a closed form or is compiled.

    >>> model, data = sobolev_lib.models.MLP(2, 8, 1), sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> total, terms = backward_of(model, SobolevLoss(1))(data, (1.0, 0.1))
    >>> model[0].weight.grad.shape
    torch.Size([8, 2])

    The function takes a batch and the loss weights, and returns the loss and its terms. Without ``compile`` it adds to the
    gradients that are there, and wants a multilayer perceptron and order 1. With ``compile`` it replaces them, and wants
    trainable parameters only and no buffers. Raises ``ValueError`` otherwise, and for parameters with hooks, which neither
    would call.
    """
    hooked = [name for name, p in model.named_parameters() if p._backward_hooks or p._post_accumulate_grad_hooks]
    if hooked:
        raise ValueError(f"model: expected parameters without hooks, got hooks on {hooked}")
    return _compiled_backward(model, loss) if compile else _closed_form_backward(model, loss)


def _closed_form_backward(model: nn.Module, loss: SobolevLoss):
    if not isinstance(loss, SobolevLoss) or loss.order != 1:
        raise ValueError(f"loss: expected a SobolevLoss of order 1 for the closed form, got {loss!r}")
    layers = Layers.of(model)

    def step(batch, weights):
        terms, total = (), None

        def objective(predictions):
            nonlocal terms, total
            terms = loss.compare(predictions, batch)
            total = weighted_sum(weights, terms)
            return total

        backward(layers, batch.inputs, objective)
        return total, terms

    return step


def _compiled_backward(model: nn.Module, loss: SobolevLoss):
    if not isinstance(loss, SobolevLoss):
        raise ValueError(f"compile: expected a SobolevLoss, got {type(loss).__name__}, which draws vectors at each step")
    held = [name for name, _ in model.named_buffers()]
    held += [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    if held:
        raise ValueError(f"compile: expected a model of trainable parameters only, got {held}")
    gradients = side_by_side(model, loss, compile=True)
    named = dict(model.named_parameters())

    def step(batch, weights):
        tables = [tensor.unsqueeze(0) for tensor in batch.tensors[:loss.order + 2]]
        found, terms = gradients({name: parameter.detach().unsqueeze(0) for name, parameter in named.items()},
                                 tables[0].new_tensor([list(weights)]), tables)
        for parameter, slope in zip(named.values(), found):
            parameter.grad = slope[0].to(parameter.dtype)  # under autocast it is in less than that
        terms = [term[0] for term in terms]
        return weighted_sum(weights, terms), terms

    return step


def _closed_form(model: nn.Module, loss: SobolevLoss):
    own = Layers.of(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    weights, biases = ([None if t is None else names[id(t)] for t in ts] for ts in (own.weights, own.biases))
    if len(set(weights)) < len(weights):
        raise ValueError("layers that share a weight")

    def total(predictions, loss_weights, table):
        terms = loss.compare(predictions, SobolevData._unchecked(*table))
        return weighted_sum(loss_weights, terms), terms

    def gradients(parameters, loss_weights, batch):
        layers = Layers(tuple(parameters[name] for name in weights),
                        tuple(None if name is None else parameters[name] for name in biases), own.activations)
        sweeps = Sweeps(layers, batch[0], derivatives=loss.order > 0)
        predictions = (sweeps.values, sweeps.derivatives) if loss.order else (sweeps.values,)
        slopes, terms = vmap(grad(total, has_aux=True))(predictions, loss_weights, batch)
        by_weights, by_biases = sweeps.gradients(*slopes) if loss.order else sweeps.gradients(*slopes, None)
        found = dict(zip([*weights, *biases], [*by_weights, *by_biases]))
        return [found[name] for name in parameters], terms

    return gradients


def _general(model: nn.Module, loss: SobolevLoss):
    def total(parameters, weights, table):
        terms = loss.terms(lambda x: functional_call(model, parameters, (x,)), SobolevData._unchecked(*table))
        return weighted_sum(weights, terms), terms

    def gradients(parameters, weights, batch):
        found, terms = vmap(grad(total, has_aux=True))(parameters, weights, batch)
        return list(found.values()), terms

    return gradients


def _compiled(function):
    torch.compiler.reset()         # each call compiles a step of its own, and PyTorch gives up after a few of them
    fused = torch.compile(function, fullgraph=True, dynamic=False)

    def call(*arguments):
        try:
            return fused(*arguments)
        except torch._dynamo.exc.TorchDynamoException as error:
            raise RuntimeError("compile=True: PyTorch could not compile the step. On a CPU it needs a C++ compiler, on a GPU "
                               f"Triton; without compile the result is the same. PyTorch says: {error}") from error

    return call


def _that_fit(model: nn.Module, table: Sequence[Tensor], size: int) -> int:
    """How many networks' steps half of the free memory holds."""
    inputs = table[0]
    # each layer keeps about six tensors a point and derivative: values, slopes, adjoints, tangents, and what comes of them
    widths = sum(p.shape[0] for p in model.parameters())
    derivatives = max(1, table[1][0].numel())
    needed = inputs.element_size() * (6 * size * widths * derivatives + 5 * sum(p.numel() for p in model.parameters()))
    return max(1, int(_free_memory(inputs.device) / 2 // needed))


def _free_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, AttributeError):                   # not every system tells
        return 2 ** 31


def _check(models, data, loss, steps, lr, weights, seeds) -> tuple[int, list[float], list[tuple[float, ...]], list[int]]:
    """Steps, rates, weights and seeds as plain numbers; raises ``ValueError`` for what doesn't fit together."""
    if not isinstance(loss, SobolevLoss):
        raise TypeError(f"loss: expected a SobolevLoss, got {type(loss).__name__}")
    steps, count = integer(steps, "steps"), len(models)
    if not count:
        raise ValueError("models: expected at least one, got none")
    data, lr, weights, seeds = [several(items, name, f"a list of one per model, {count}") for name, items in (
        ("data", data), ("lr", lr), ("weights", weights), ("seeds", seeds))]
    for name, items in (("data", data), ("lr", lr), ("weights", weights), ("seeds", seeds)):
        if len(items) != count:
            raise ValueError(f"{name}: expected one per model, {count}, got {len(items)}")
    lr, seeds = [number(rate, "lr") for rate in lr], [integer(seed, "seeds", "integers", least=-2**63) for seed in seeds]
    weights = [several_numbers(row, "weights", loss.order + 1, f"{loss.order + 1} numbers for a loss of order {loss.order}",
                               "finite numbers >= 0", zero=True) for row in weights]
    for model in models:
        # one module computes for all: buffers and frozen parameters of the others would be lost without a word
        held = [name for name, _ in model.named_buffers()]
        held += [name for name, p in model.named_parameters() if not p.requires_grad]
        if held:
            raise ValueError(f"models: expected trainable parameters only, got {held}; of a Standardized model pass "
                             "the inner .model and standardized data")
    # what a model prints need not be all that it does
    kinds = [[describe(model, "models", named=False), [(name, tuple(p.shape)) for name, p in model.named_parameters()]]
             for model in models]
    other = next((k for k, kind in enumerate(kinds) if kind != kinds[0]), 0)
    if other:
        raise ValueError(f"models: expected one architecture with the same constants, got {models[0]!r} and, as number {other}, "
                         f"{models[other]!r}")
    shapes = {tuple(t.shape for t in d.tensors[:loss.order + 2]) for d in data}
    if len(shapes) != 1:
        raise ValueError(f"data: expected data sets of equal shapes, got {sorted(map(str, shapes))}")
    return steps, lr, weights, seeds
