"""The parts of PyTorch that it promises nobody: all that this library uses of them, so that a new version breaks one file.

Each name says what is asked, and the tests beside it ask it of the PyTorch that is installed.
"""
import torch
from torch import Tensor, nn
from torch.nn.modules import module as all_modules
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm as InstanceNorm
from torch.optim import Optimizer
from torch.utils._pytree import register_pytree_node, tree_flatten, tree_map, tree_unflatten

__all__ = ["BatchNorm", "InstanceNorm", "calls_forward_only", "compile_error", "compiled_module", "does_more_than_its_class",
           "elu_backward", "gelu_backward", "in_transform", "leaky_relu_backward", "leaky_relu_backward_in_place", "leaves", "level",
           "module_hooks", "optimizer_hooks", "parameter_is_hooked", "register_pytree_node", "sigmoid_backward",
           "silu_backward", "softplus_backward", "submodules", "tanh_backward", "tree_flatten", "tree_map", "tree_unflatten"]


# --- torch.func ---------------------------------------------------------------------------------------------------

def level(tensor: Tensor) -> int:
    """How many transforms of ``torch.func`` deep a tensor was made; -1 outside them all."""
    return torch._C._functorch.maybe_get_level(tensor)


def in_transform() -> bool:
    """True inside a transform of ``torch.func``, or forward-mode differentiation."""
    return torch.autograd.forward_ad._current_level >= 0 or torch._C._functorch.peek_interpreter_stack() is not None


def leaves(tensor: Tensor) -> list[Tensor]:
    """The tensors, mostly parameters, that the graph behind ``tensor`` begins with."""
    found, seen, waiting = [], set(), [tensor.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            if hasattr(node, "variable"):
                found.append(node.variable)
            waiting += [each for each, _ in node.next_functions]
    return found


# --- modules and hooks --------------------------------------------------------------------------------------------

_MODULE_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


def module_hooks(module: nn.Module) -> dict[str, list]:
    """The hooks that calling a module calls too, by their kind."""
    return {kind: list(getattr(module, kind).values()) for kind in _MODULE_HOOKS if getattr(module, kind)}


def submodules(module: nn.Module) -> list[tuple[str, nn.Module | None]]:
    """All parts of a module by name: also those without a module, and one that has two names twice."""
    return list(module._modules.items())


def does_more_than_its_class(module: nn.Module) -> bool:
    """Does calling ``module`` do more than its class says: by hooks, those of all modules too, or a ``forward`` of its own?"""
    return "forward" in vars(module) or any(getattr(module, kind) or getattr(all_modules, f"_global{kind}") for kind in _MODULE_HOOKS)


def calls_forward_only(kind: type[nn.Module]) -> bool:
    """Do objects of this class leave calling to ``nn.Module``?"""
    return kind.__call__ is nn.Module.__call__ and kind._call_impl is nn.Module._call_impl


def parameter_is_hooked(parameter: nn.Parameter) -> bool:
    """Does anything listen to the gradient of this parameter?"""
    return bool(parameter._backward_hooks or parameter._post_accumulate_grad_hooks)


def optimizer_hooks(optimizer: Optimizer) -> list[list]:
    """What is called before and after each step of an optimiser."""
    return [list(vars(optimizer).get(f"_optimizer_step_{when}_hooks", {}).values()) for when in ("pre", "post")]


# --- torch.compile ------------------------------------------------------------------------------------------------

def compiled_module(module: nn.Module) -> nn.Module | None:
    """The module behind the one that ``torch.compile`` made of it; None for any other."""
    found = getattr(module, "_orig_mod", None)
    return found if isinstance(found, nn.Module) else None


def compile_error() -> type[Exception]:
    """What ``torch.compile`` raises when it fails. Loads the compiler, which takes a second."""
    return torch._dynamo.exc.TorchDynamoException


# --- slopes of activations, by the one operation that PyTorch's own backward pass has for each --------------------

tanh_backward = torch.ops.aten.tanh_backward
sigmoid_backward = torch.ops.aten.sigmoid_backward
elu_backward = torch.ops.aten.elu_backward
softplus_backward = torch.ops.aten.softplus_backward
gelu_backward = torch.ops.aten.gelu_backward
silu_backward = torch.ops.aten.silu_backward
leaky_relu_backward = torch.ops.aten.leaky_relu_backward


def leaky_relu_backward_in_place(t: Tensor, z: Tensor, below: float) -> Tensor:
    """``leaky_relu_backward`` of a result's sign, written over ``t``."""
    return torch.ops.aten.leaky_relu_backward.grad_input(t, z, below, True, grad_input=t)
