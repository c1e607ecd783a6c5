"""Derivatives inside a model: of its output by the activations of a hidden layer that has a name."""
import torch
from torch import Tensor, nn

from sobolev_lib._rows import check_input, warn_about_normalization
from sobolev_lib.derivatives import value_and_derivatives


def internal_derivatives(model: nn.Module, x: Tensor, layer: str) -> tuple[Tensor, Tensor, Tensor]:
    """Values of ``model`` at x, the activations of a hidden layer there, and the Jacobian of the first by the second.

    >>> model = sobolev_lib.models.MLP(8, 16, 16, 3)
    >>> [name for name, _ in model.named_modules()]
    ['', '0', '1', '2', '3', '4']
    >>> y, hidden, jacobian = internal_derivatives(model, torch.rand(5, 8), "1")
    >>> hidden.shape, jacobian.shape                                   # after the first activation
    (torch.Size([5, 16]), torch.Size([5, 3, 16]))

    x (N, *in), values (N, *out), rows independent. The activations (N, *hidden) are what the module of that name in
    ``model.named_modules()`` returns; the Jacobian (N, *out, *hidden) is how the output would change with them, all below
    left as it is. It is differentiable in the model's parameters, those below the layer too, since the activations move
    with them. It takes one vector-Jacobian product an output.

    Raises ``TypeError`` for what is no module, or a layer that returns no floating-point tensor, ``ValueError`` for a name
    that it lacks, a layer that is called other than once, or without one row a point, or on which the output doesn't
    depend. Source: section 5, which suggests them as an unexplored path.
    """
    check_layer(model, layer, "model")
    check_input(model, x)
    warn_about_normalization(model, 1)
    with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):               # dropout: both passes draw the same
        hidden = activations(model, x, layer)
    y, jacobian = value_and_derivatives(lambda shift: shifted(model, x, layer, shift), hidden.detach() * 0)
    return y, hidden, jacobian


def check_layer(model: nn.Module, layer: str, name: str) -> None:
    """Raises unless ``model`` is a module with a part of that name.

    >>> check_layer(sobolev_lib.models.MLP(2, 8, 1), "0", "model")
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"{name}: expected an nn.Module, whose layers have names, got {type(model).__name__}")
    if not isinstance(layer, str):
        raise TypeError(f"layer: expected the name of a part of the {name}, got {layer!r}")
    names = [each for each, _ in model.named_modules() if each]
    if layer not in names:
        shown = ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")
        raise ValueError(f"layer: expected one of the {name}'s parts, {shown}, got {layer!r}")


def activations(model: nn.Module, x: Tensor, layer: str) -> Tensor:
    """What the layer of that name returns when the model is asked at x (N, *in): (N, *hidden).

    >>> activations(sobolev_lib.models.MLP(2, 8, 1), torch.rand(5, 2), "0").shape
    torch.Size([5, 8])
    """
    found: list[Tensor] = []

    def kept(result: Tensor) -> Tensor:
        found.append(result)
        return result.clone()                              # the next layer may work in place

    _asked(model, x, layer, kept)
    return found[0]


def shifted(model: nn.Module, x: Tensor, layer: str, shift: Tensor) -> Tensor:
    """The model's values at x (N, *in) with ``shift`` (N, *hidden) added to what the layer of that name returns.

    >>> model = sobolev_lib.models.MLP(2, 8, 1)
    >>> shifted(model, torch.rand(5, 2), "0", torch.zeros(5, 8)).shape
    torch.Size([5, 1])
    """
    def moved(activations: Tensor) -> Tensor:
        if activations.shape != shift.shape:
            raise ValueError(f"layer: expected {layer!r} to return shape {tuple(shift.shape)}, got "
                             f"{tuple(activations.shape)}; do the layers that are compared have as many units?")
        return activations + shift.to(activations.dtype)

    return _asked(model, x, layer, moved)


def _asked(model: nn.Module, x: Tensor, layer: str, of_activations) -> Tensor:
    calls = []

    def hook(module, arguments, result):
        calls.append(module)
        if not isinstance(result, Tensor) or not result.is_floating_point():
            raise TypeError(f"layer: expected {layer!r} to return a floating-point tensor, got "
                            f"{getattr(result, 'dtype', type(result).__name__)}")
        if result.ndim == 0 or len(result) != len(x):
            raise ValueError(f"layer: expected {layer!r} to return one row per input row, ({len(x)}, ...), got "
                             f"{tuple(result.shape)}")
        return of_activations(result)

    handle = model.get_submodule(layer).register_forward_hook(hook)
    try:
        y = model(x.clone())                               # a copy: the model may work in place
    finally:
        handle.remove()
    if len(calls) != 1:
        raise ValueError(f"layer: expected {layer!r} to be called once when the model is, got {len(calls)} calls")
    return y
