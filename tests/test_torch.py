"""What the library uses of PyTorch's inner parts is there, does what is said of it, and is used through one file only."""
import ast
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.func import grad, vmap

import sobolev_lib
from sobolev_lib import _torch

FOLDER = Path(sobolev_lib.__file__).parent
INNER = re.compile(r"torch\._[a-zA-Z]|torch\.utils\._pytree|_functorch|torch\.ops\.|\._(forward|backward)(_pre)?_hooks|\._modules\b"
                   r"|\._call_impl|\._orig_mod|_post_accumulate_grad_hooks|_current_level|\bnn\.modules\.\w+\._|import _")


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_only_one_file_touches_them(path):
    code = ast.unparse(ast.parse(path.read_text(encoding="utf-8")))
    found = [line.strip() for line in code.splitlines() if INNER.search(line) and "sobolev_lib" not in line]
    assert bool(found) == (path.name == "_torch.py"), found


def test_levels_count_the_transforms():
    seen, x = [], torch.rand(3)

    def look(t):
        seen.append((_torch.level(t), _torch.level(x), _torch.in_transform()))
        return t.sum()

    look(x)
    grad(look)(x)
    vmap(grad(look))(torch.rand(2, 3))
    assert seen == [(-1, -1, False), (1, -1, True), (2, -1, True)]
    with torch.autograd.forward_ad.dual_level():
        assert _torch.in_transform()
    assert not _torch.in_transform()


KINDS = {
    "_forward_pre_hooks": lambda module, hook: module.register_forward_pre_hook(hook),
    "_forward_hooks": lambda module, hook: module.register_forward_hook(hook),
    "_backward_pre_hooks": lambda module, hook: module.register_full_backward_pre_hook(hook),
    "_backward_hooks": lambda module, hook: module.register_full_backward_hook(hook),
}


@pytest.mark.parametrize("kind", KINDS)
def test_hooks_of_a_module_are_found(kind):
    def hook(*_):
        return None

    module = nn.Linear(2, 1)
    assert _torch.module_hooks(module) == {} and not _torch.does_more_than_its_class(module)
    handle = KINDS[kind](module, hook)
    assert _torch.module_hooks(module) == {kind: [hook]} and _torch.does_more_than_its_class(module)
    handle.remove()
    assert not _torch.does_more_than_its_class(module)


@pytest.mark.parametrize("kind", ["forward_pre", "forward", "full_backward_pre", "full_backward"])
def test_a_hook_on_all_modules_is_found(kind):
    module = nn.Linear(2, 1)
    handle = getattr(nn.modules.module, f"register_module_{kind}_hook")(lambda *_: None)
    try:
        assert _torch.does_more_than_its_class(module) and _torch.module_hooks(module) == {}
    finally:
        handle.remove()
    assert not _torch.does_more_than_its_class(module)


def test_a_forward_of_its_own_is_found():
    module = nn.Linear(2, 1)
    module.forward = lambda x: x
    assert _torch.does_more_than_its_class(module)


def test_a_class_with_a_call_of_its_own_is_found():
    class Own(nn.Linear):
        def __call__(self, x):
            return 2 * super().__call__(x)

    assert _torch.calls_forward_only(nn.Linear) and not _torch.calls_forward_only(Own)


def test_submodules_keep_both_names_of_one_module_and_those_without():
    module, part = nn.Module(), nn.ReLU()
    module.first, module.second = part, part
    module.register_module("third", None)
    assert _torch.submodules(module) == [("first", part), ("second", part), ("third", None)]


@pytest.mark.parametrize("register", [lambda p: p.register_hook(lambda g: None),
                                      lambda p: p.register_post_accumulate_grad_hook(lambda p: None)], ids=["hook", "post"])
def test_hooks_of_a_parameter_are_found(register):
    parameter = nn.Parameter(torch.ones(2))
    assert not _torch.parameter_is_hooked(parameter)
    register(parameter)
    assert _torch.parameter_is_hooked(parameter)


def test_hooks_of_an_optimiser_are_found():
    def hook(*_):
        return None

    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=0.1)
    assert _torch.optimizer_hooks(optimizer) == [[], []]
    optimizer.register_step_post_hook(hook)
    assert _torch.optimizer_hooks(optimizer) == [[], [hook]]


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")   # PyTorch's own, as its compiler is loaded
def test_the_module_behind_a_compiled_one_is_found():
    module = nn.Linear(2, 1)
    assert _torch.compiled_module(module) is None and _torch.compiled_module(torch.compile(module)) is module
    assert issubclass(_torch.compile_error(), Exception)


def test_trees_are_taken_apart_and_put_together():
    class Pair:
        def __init__(self, *both):
            self.both = both

    _torch.register_pytree_node(Pair, lambda pair: (list(pair.both), None), lambda both, _: Pair(*both),
                                serialized_type_name="tests.Pair")
    leaves, structure = _torch.tree_flatten({"a": Pair(1, 2)})
    assert leaves == [1, 2] and _torch.tree_unflatten([3, 4], structure)["a"].both == (3, 4)
    assert _torch.tree_map(lambda leaf: -leaf, Pair(1, 2)).both == (-1, -2)


SLOPES = {
    "tanh": (torch.tanh, lambda t, z: _torch.tanh_backward(t, z.tanh())),
    "sigmoid": (torch.sigmoid, lambda t, z: _torch.sigmoid_backward(t, z.sigmoid())),
    "elu": (lambda z: nn.functional.elu(z, 0.7), lambda t, z: _torch.elu_backward(t, 0.7, 1, 1, False, z)),
    "softplus": (lambda z: nn.functional.softplus(z, 2.0, 5.0), lambda t, z: _torch.softplus_backward(t, z, 2.0, 5.0)),
    "gelu": (nn.functional.gelu, _torch.gelu_backward),
    "silu": (nn.functional.silu, _torch.silu_backward),
    "leaky relu": (lambda z: nn.functional.leaky_relu(z, 0.2), lambda t, z: _torch.leaky_relu_backward(t, z, 0.2, True)),
    "in place": (lambda z: nn.functional.leaky_relu(z, 0.2), lambda t, z: _torch.leaky_relu_backward_in_place(t, z, 0.2)),
}


@pytest.mark.parametrize("name", SLOPES)
def test_slopes_are_those_of_the_functions(name):
    value, backward = SLOPES[name]
    z = torch.linspace(-4, 4, 20, dtype=torch.float64, requires_grad=True)
    t = torch.linspace(1, 3, 20, dtype=torch.float64)
    expected, = torch.autograd.grad(value(z), z, t)
    given = t.clone()
    found = backward(given, z.detach())
    torch.testing.assert_close(found, expected)
    assert (found.data_ptr() == given.data_ptr()) == (name == "in place")
