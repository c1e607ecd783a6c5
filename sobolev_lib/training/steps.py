"""Gradients of a step in little time: one network's in closed form or compiled, many networks' in one computation."""
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.optim import Optimizer

from sobolev_lib._torch import compile_error, parameter_is_hooked
from sobolev_lib.closed_form import Layers, Sweeps, backward
from sobolev_lib.data import SobolevData
from sobolev_lib.losses import Loss, SobolevLoss
from sobolev_lib.losses.squares import are_exact_enough, are_squares, gradient_of_squares

NO_GRADIENT = ("loss: expected one that depends on the model's parameters, got one without a gradient: does the model detach, or "
               "run under torch.no_grad, or does a point loss not use the prediction?")


def side_by_side(model: nn.Module, loss: Loss, *, extras: Sequence[str] = (), compile: bool = False) -> Callable:
    """The gradient of ``loss`` for many networks like ``model`` at once, in closed form where there is one.

    >>> model, data = sobolev_lib.models.MLP(2, 8, 1), sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> gradients = side_by_side(model, sobolev_lib.SobolevLoss(1))
    >>> parameters = {name: torch.stack([p.detach()] * 3) for name, p in model.named_parameters()}
    >>> found, terms = gradients(parameters, torch.ones(3, 2), [torch.stack([t] * 3) for t in data.tensors])
    >>> [tuple(g.shape) for g in found], [tuple(term.shape) for term in terms]
    ([(3, 8, 2), (3, 8), (3, 1, 8), (3, 1)], [(3,), (3,)])

    The function takes parameters by name (K, ...), loss weights (K, order + 1), the tables of K data sets, each
    (K, N, ...), with those of their ``extras`` last, and if they are the networks' own, divisors (K, order + 1). It returns
    the gradients in the parameters' order, and the K networks' unweighted terms, by order.
    ``compile=True`` fuses it; it then raises ``RuntimeError`` where PyTorch can't compile.
    """
    try:
        gradients = _closed_form(model, loss, extras) if loss.order < 2 else _general(model, loss, extras)
    except ValueError:
        gradients = _general(model, loss, extras)
    return _compiled(gradients) if compile else gradients


def backward_of(model: nn.Module, loss: Loss, *, compile: bool = False) -> Callable:
    """What ``loss(model, batch).backward()`` does, more quickly, where the model has a closed form or is compiled.

    >>> model, data = sobolev_lib.models.MLP(2, 8, 1), sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> loss = sobolev_lib.SobolevLoss(1, weights=(1.0, 0.1))
    >>> total, terms = backward_of(model, loss)(loss, data)
    >>> model[0].weight.grad.shape
    torch.Size([8, 2])

    The function takes the loss, perhaps with other weights, and a batch that it has asked for; it returns the loss and its
    terms. Without ``compile`` it adds to the gradients that are there, and wants a multilayer perceptron and order 1. With
    ``compile`` it replaces them, and wants trainable parameters only and no buffers. Raises ``ValueError`` otherwise, and
    for parameters with hooks, which neither would call.
    """
    hooked = [name for name, p in model.named_parameters() if parameter_is_hooked(p)]
    if hooked:
        raise ValueError(f"model: expected parameters without hooks, got hooks on {hooked}")
    return _compiled_backward(model, loss) if compile else _closed_form_backward(model, loss)


def plain_backward_of(model: nn.Module) -> Callable:
    """``loss(model, batch).backward()`` as it stands; called as what ``backward_of`` gives."""
    def step(loss, batch):
        terms = loss.compare(loss.predict(model, batch), batch)
        total = loss.total(terms)
        if not total.requires_grad:
            raise ValueError(NO_GRADIENT)
        total.backward()
        return total, terms

    return step


def _closed_form_backward(model: nn.Module, loss: Loss):
    if loss.draws or loss.order != 1 or not loss.by_input:
        raise ValueError(f"loss: expected one of whole derivatives of order 1 for the closed form, got {loss!r}")
    _check_predicts(loss)
    layers = Layers.of(model)

    def step(loss, batch):
        terms: Sequence[Tensor] = ()

        def slopes(predictions):
            nonlocal terms
            if are_squares(loss, batch.extras) and are_exact_enough(predictions, batch.derivatives):
                found, terms = gradient_of_squares(predictions, batch.derivatives, loss.weights, loss.normalize or None)
                return found
            with torch.enable_grad():
                leaves = [each.detach().requires_grad_() for each in predictions]
                terms = loss.compare(leaves, batch)
                loss.total(terms).backward()
            return [leaf.grad for leaf in leaves]

        backward(layers, batch.inputs, slopes, batch.directions)
        return loss.total(terms), terms

    return step


def _compiled_backward(model: nn.Module, loss: Loss):
    if loss.draws or not loss.by_input:
        why = "draws vectors at each step" if loss.draws else "asks for derivatives by a hidden layer"
        raise ValueError(f"compile: expected a SobolevLoss, got {type(loss).__name__}, which {why}")
    held = [name for name, _ in model.named_buffers()]
    held += [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    if held:
        raise ValueError(f"compile: expected a model of trainable parameters only, got {held}")
    named, made = dict(model.named_parameters()), {}

    def step(loss, batch):
        if batch.extras not in made:
            made[batch.extras] = side_by_side(model, loss, extras=batch.extras, compile=True)
        gradients = made[batch.extras]
        tables = [tensor.unsqueeze(0) for tensor in batch.tables]
        found, terms = gradients({name: parameter.detach().unsqueeze(0) for name, parameter in named.items()},
                                 tables[0].new_tensor([list(loss.weights)]), tables)
        for parameter, slope in zip(named.values(), found):
            parameter.grad = slope[0].to(parameter.dtype).contiguous()      # under autocast in less; L-BFGS wants rows in order
        terms = [term[0] for term in terms]
        return loss.total(terms), terms

    return step


def _check_predicts(loss: Loss) -> None:
    if type(loss).predict is not SobolevLoss.predict:
        raise ValueError(f"loss: expected SobolevLoss's own predict for the closed form, got that of {type(loss).__name__}")


def _closed_form(model: nn.Module, loss: Loss, extras: Sequence[str]):
    _check_predicts(loss)
    own = Layers.of(model)
    squares = are_squares(loss, extras)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    weights, biases = ([None if t is None else names[id(t)] for t in ts] for ts in (own.weights, own.biases))
    each = [name for name in [*weights, *biases] if name is not None]
    if len(set(each)) < len(each):
        raise ValueError("layers that share a parameter")

    def total(predictions, loss_weights, table, divisors=None):
        own = loss.with_numbers(loss_weights, loss.normalize if divisors is None else divisors)
        terms = own.compare(predictions, SobolevData.of_tables(table, loss.order, extras))
        return own.total(terms), terms

    def gradients(parameters, loss_weights, batch, divisors=None):
        layers = Layers(tuple(parameters[name] for name in weights),
                        tuple(None if name is None else parameters[name] for name in biases), own.activations)
        directions = SobolevData.of_tables(batch, loss.order, extras).directions
        sweeps = Sweeps(layers, batch[0], directions=directions, derivatives=loss.order > 0)
        predictions = (sweeps.values, sweeps.derivatives) if loss.order else (sweeps.values,)
        # where Python's share is paid once, there is nothing to spare
        if squares and not _paid_once(batch[0]) and are_exact_enough(predictions, batch[1:2 + loss.order]):
            known = loss.normalize or None if divisors is None else divisors.T
            slopes, terms = gradient_of_squares(predictions, batch[1:2 + loss.order], loss_weights.T, known)
        else:
            slopes, terms = _gradient_by(predictions, total, loss_weights, batch, divisors)
        by_weights, by_biases = sweeps.gradients(*slopes) if loss.order else sweeps.gradients(*slopes, None)
        found = dict(zip([*weights, *biases], [*by_weights, *by_biases]))
        return [found[name] for name in parameters], terms

    return gradients


def _general(model: nn.Module, loss: Loss, extras: Sequence[str]):
    first = {id(parameter): name for name, parameter in model.named_parameters()}
    # each place once: functional_call leaves a module that it comes to by two names without parameters
    places = {f"{prefix}.{name}" if prefix else name: first[id(parameter)] for prefix, module in model.named_modules()
              for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False)}

    def total(parameters, weights, table, divisors=None):
        own = loss.with_numbers(weights, loss.normalize if divisors is None else divisors)
        batch = SobolevData.of_tables(table, loss.order, extras)
        given = {place: parameters[name] for place, name in places.items()}
        terms = own.terms(lambda x: functional_call(model, given, (x,), tie_weights=False), batch)
        return own.total(terms), terms

    def gradients(parameters, weights, batch, divisors=None):
        def of(given, *others):
            return total(dict(zip(parameters, given)), *others)

        return _gradient_by(tuple(parameters.values()), of, weights, batch, divisors)

    return gradients


def _paid_once(tensor: Tensor) -> bool:
    """Whether Python's share of a step is, as it is compiled or recorded."""
    return torch.compiler.is_compiling() or tensor.is_cuda


def _gradient_by(leaves: Sequence[Tensor], total: Callable, *others):
    """For each row ``total``'s gradient by its own row of the leaves, and what else it returns."""
    if _paid_once(leaves[0]):
        return _for_each(grad(total, has_aux=True), leaves, *others)
    leaves = tuple(each.detach().requires_grad_() for each in leaves)
    with torch.enable_grad():
        totals, terms = _for_each(total, leaves, *others)
    if not totals.requires_grad:
        raise ValueError(NO_GRADIENT)
    # rows don't mix, so all totals' gradients are found as one
    slopes = torch.autograd.grad(totals, leaves, torch.ones_like(totals), materialize_grads=True)
    return slopes, [term.detach() for term in terms]


def _for_each(function: Callable, *arguments):
    """What ``function`` returns for each row of all its arguments; None is left out."""
    try:
        return vmap(function)(*[each for each in arguments if each is not None])
    except RuntimeError as error:
        if "random operation" not in str(error):
            raise
        raise ValueError("models: expected none that draws at random; train such ones with fit") from error


def _compiled(function):
    torch.compiler.reset()         # each call compiles a step of its own, and PyTorch gives up after a few of them
    fused = torch.compile(function, fullgraph=True, dynamic=False)

    def call(*arguments):
        try:
            return fused(*arguments)
        except compile_error() as error:
            raise RuntimeError("compile=True: PyTorch could not compile the step. On a CPU it needs a C++ compiler, on a GPU "
                               f"Triton; without compile the result is the same. PyTorch says: {error}") from error

    return call


def descend(optimizer: Optimizer, backward: Callable, loss: Loss, batch) -> tuple[Tensor, Sequence[Tensor]]:
    """One step of an optimiser, which may evaluate the batch again; returns the loss and the terms that it began with.

    >>> model, data = sobolev_lib.models.MLP(2, 8, 1), sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> loss, optimizer = sobolev_lib.SobolevLoss(1), torch.optim.LBFGS(model.parameters())
    >>> total, terms = descend(optimizer, backward_of(model, loss), loss, data)
    >>> float(loss(model, data).detach()) < float(total.detach())
    True
    """
    first, place = None, batch.inputs.device.type

    def closure():
        nonlocal first
        optimizer.zero_grad(set_to_none=True)
        found = backward(loss, batch)
        first = found if first is None else first
        return found[0].detach()

    if torch.is_autocast_enabled(place):
        closure = _forgetting(closure)
    optimizer.step(closure)
    if torch.is_autocast_enabled(place):
        torch.clear_autocast_cache()
    return first


def _forgetting(closure: Callable) -> Callable:
    """Within one autocast block PyTorch keeps its short copies of the weights as they were."""
    def call():
        torch.clear_autocast_cache()
        return closure()

    return call
