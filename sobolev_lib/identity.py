"""What a thing is, in words that another process finds again: how a checkpoint tells its own run from all others."""
import enum
import functools
import hashlib
import json
import os
import re
import types

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from sobolev_lib._torch import compiled_module, module_hooks, optimizer_hooks, submodules

_OTHERS = ("torch", "sobolev_lib", "numpy", "builtins", "functools")       # a version's code, known by its names
_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)


def digest(**parts) -> dict[str, str]:
    """A short hash of each part, equal in two processes exactly if ``describe`` says the same of both.

    >>> digest(rate=0.1) == digest(rate=0.1), digest(rate=0.1) == digest(rate=0.2)
    (True, False)
    """
    return {name: hashlib.sha256(json.dumps(describe(part, name)).encode()).hexdigest()[:16]
            for name, part in parts.items()}


def describe(value, where: str = "value", *, named: bool = True, seen: tuple[int, ...] = ()):
    """All that ``value`` decides, as JSON: numbers, tensors' bytes, classes and functions by name, code and constants.

    >>> describe({"p": 0.5}) == describe({"p": 0.5}), describe(torch.zeros(2)) == describe(torch.ones(2))
    (True, False)

    A module is its class, its own attributes and its parts, without parameters and buffers (see ``weights``). Of a
    function or class from outside PyTorch and this library the code counts too, with the values it has caught and the
    numbers, text and tensors it reads from its file, alone or in lists and dictionaries; what other functions it calls does
    not. Raises ``ValueError`` saying where for what has no name, as a lambda, unless ``named`` is False, and for what does not
    show its contents.
    """
    if id(value) in seen:
        return ["again", seen.index(id(value))]
    inner = functools.partial(_inner, named=named, seen=(*seen, id(value)))
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        value = int(value)                                 # weights (1, 0) are weights (1.0, 0.0)
    if isinstance(value, (enum.Enum, os.PathLike)) or isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, (list, tuple)):                   # a Size too
        return [inner(item, f"{where}[{k}]") for k, item in enumerate(value)]
    if isinstance(value, dict):
        return ["dict", *sorted(([inner(key, where), inner(item, f"{where}[{key!r}]")] for key, item in value.items()),
                                key=json.dumps)]
    if isinstance(value, (set, frozenset)):
        return ["set", *sorted((inner(item, where) for item in value), key=json.dumps)]
    if isinstance(value, (Tensor, np.ndarray)):
        return _tensor(value)
    if isinstance(value, torch.Generator):
        return ["generator", _tensor(value.get_state())]
    if isinstance(value, types.ModuleType):
        return ["module", value.__name__]
    if isinstance(value, type):
        return ["class", *_class(value, where, inner)]
    if isinstance(value, functools.partial):
        return ["partial", inner(value.func, where), inner(value.args, where), inner(value.keywords, where)]
    if isinstance(value, types.MethodType):
        return ["method", inner(value.__self__, where), value.__name__]
    if isinstance(value, types.FunctionType):
        if named and value.__name__ == "<lambda>":
            raise ValueError(f"checkpoint: expected a function with a name at {where}, by which a later call can tell "
                             "whether it is the same, got a lambda; write it with def, or as an object of a class with __call__")
        return ["function", _place(value), value.__qualname__, *_function(value, where, inner)]
    if isinstance(value, (types.BuiltinFunctionType, types.MethodDescriptorType, np.ufunc)):
        return ["builtin", str(getattr(value, "__module__", "")), getattr(value, "__qualname__", value.__name__)]
    if isinstance(value, nn.Module):
        return _module(value, where, inner)
    contents = _contents(value)
    if contents is None:
        raise ValueError(f"checkpoint: expected something whose contents can be compared at {where}, got a "
                         f"{type(value).__name__}, which does not show them; use numbers, tensors, functions with names")
    if isinstance(value, LRScheduler):
        contents.pop("optimizer", None)                    # it has rules of its own
    return ["object", inner(type(value), where), [[name, inner(item, f"{where}.{name}")]
                                                  for name, item in sorted(contents.items())]]


def weights(model: nn.Module) -> list:
    """A module's parameters and buffers, for ``digest``: names, shapes, bytes, which are shared and which are trained.

    >>> model = sobolev_lib.models.MLP(2, 8, 1, generator=torch.Generator().manual_seed(0))
    >>> digest(start=weights(model)) == digest(start=weights(model))
    True
    """
    first: dict[int, str] = {}
    named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    return [[name, first.setdefault(id(tensor), name), tensor.requires_grad, tensor] for name, tensor in named]


def rules(optimizer: Optimizer, model: nn.Module) -> list:
    """An optimiser for ``digest``: its kind, its groups with the names of their parameters, the moments it begins with.

    >>> model = sobolev_lib.models.MLP(2, 8, 1)
    >>> fast, slow = [torch.optim.Adam(model.parameters(), lr=lr) for lr in (1e-2, 1e-3)]
    >>> digest(optimizer=rules(fast, model)) == digest(optimizer=rules(slow, model))
    False
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    named = lambda parameter: names.get(id(parameter), "another")
    groups = [{**group, "params": [named(p) for p in group["params"]]} for group in optimizer.param_groups]
    moments = [[named(p), state] for p, state in optimizer.state.items()]
    own = {name: value for name, value in vars(optimizer).items()
           if not name.startswith("_") and name not in ("state", "param_groups", "step")}
    return [type(optimizer), groups, moments, own, optimizer_hooks(optimizer)]


def tensor_bytes(tensor: Tensor) -> np.ndarray:
    """What a tensor holds, in the order of its indices, whatever its device and layout in memory.

    >>> tensor_bytes(torch.tensor(1, dtype=torch.int16)).tolist()
    [1, 0]
    """
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _inner(value, where, named, seen):
    return describe(value, where, named=named, seen=seen)


def _tensor(value: Tensor | np.ndarray) -> list:
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise ValueError(f"checkpoint: expected numbers, got an array of {value.dtype}")
        return ["array", str(value.dtype), list(value.shape), hashlib.sha256(np.ascontiguousarray(value)).hexdigest()]
    return ["tensor", str(value.dtype), list(value.shape), hashlib.sha256(tensor_bytes(value)).hexdigest()]


def _own(name: str | None) -> bool:
    return (name or "").partition(".")[0] not in _OTHERS


def _place(item) -> str:
    """The module something is from; of this library's packages only their name, since their files may be divided anew."""
    name = item.__module__ or ""
    return ".".join(name.split(".")[:2]) if name.startswith("sobolev_lib.") else name


def _class(kind: type, where: str, inner) -> list:
    """A class by its name; if it is not a library's, by the code of its methods and its plain attributes as well."""
    code = [[name, inner(getattr(item, "fget", None) or getattr(item, "__func__", item), f"{where}.{name}")]
            for parent in kind.__mro__ if _own(parent.__module__) for name, item in sorted(vars(parent).items())
            if name not in ("__doc__", "__firstlineno__", "__static_attributes__")
            and (isinstance(item, (types.FunctionType, property, staticmethod, classmethod)) or _is_plain(item))]
    return [_place(kind), kind.__qualname__, code]


def _function(function: types.FunctionType, where: str, inner) -> list:
    if not _own(function.__module__):
        return []
    caught = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            caught[name] = cell.cell_contents
        except ValueError:
            pass                                           # not set yet
    known = function.__globals__
    read = {name: known[name] for name in _names(function.__code__) if name in known and _is_plain(known[name])}
    caught.pop("__class__", None)                          # what super() needs
    return [_code(function.__code__), *(inner(part, where) for part in (function.__defaults__, function.__kwdefaults__,
                                                                       caught, read))]


def _is_plain(value) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(each) for pair in value.items() for each in pair)
    return isinstance(value, (Tensor, np.ndarray, *_PLAIN)) or isinstance(value, (tuple, list, set, frozenset)) and all(
        map(_is_plain, value))


def _code(code: types.CodeType) -> list:
    constants = [_code(each) if isinstance(each, types.CodeType) else sorted(map(repr, each)) if isinstance(each, frozenset)
                 else repr(each) for each in code.co_consts]
    return [code.co_code.hex(), list(code.co_names), constants]


def _names(code: types.CodeType) -> set[str]:
    return {*code.co_names}.union(*[_names(each) for each in code.co_consts if isinstance(each, types.CodeType)])


def _module(module: nn.Module, where: str, inner) -> list:
    if compiled_module(module) is not None:
        return ["compiled", inner(compiled_module(module), where)]
    attributes = [[name, inner(value, f"{where}.{name}")] for name, value in sorted(vars(module).items())
                  if not name.startswith("_") or name not in nn.Module().__dict__]
    hooks = [[kind, inner(hooks, f"{where}.{kind}")] for kind, hooks in module_hooks(module).items()]
    parts = [[name, inner(part, f"{where}/{name}")] for name, part in submodules(module)]
    # the weights of the model that is trained are told apart from what it is; of all others they are a part of it
    own = [] if re.fullmatch(r"models?(/[^/.]+)*", where) else [
        [name, inner(tensor, f"{where}.{name}")]
        for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]]
    return ["module", inner(type(module), where), attributes, hooks, parts, *([own] if own else [])]


def _contents(value) -> dict | None:
    slots = [name for parent in type(value).__mro__ for name in ([parent.__slots__] if isinstance(
        getattr(parent, "__slots__", ()), str) else getattr(parent, "__slots__", ())) if not name.startswith("__")]
    if not hasattr(value, "__dict__") and not slots:
        return None
    return {**getattr(value, "__dict__", {}), **{name: getattr(value, name) for name in slots if hasattr(value, name)}}
