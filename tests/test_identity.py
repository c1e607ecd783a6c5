"""describe(): equal for equal things made anew, different for all that decides differently."""
import enum
import functools
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from sobolev_lib import models
from sobolev_lib.identity import describe, digest, rules, tensor_bytes, weights

FACTOR = 2.0


def times(factor):
    def multiply(z):
        return factor * z
    return multiply


def reads(z):
    return FACTOR * z


class Colour(enum.Enum):
    RED, BLUE = 1, 2


@dataclass
class Settings:
    rate: float
    names: tuple[str, ...] = ("a",)


class Slotted:
    __slots__ = ("rate",)

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, z):
        return self.rate * z


class Net(nn.Module):
    scale = 1.0

    def __init__(self, **own):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        for name, value in own.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.layer(x)


def hooked(hook):
    net = Net()
    net.layer.register_forward_hook(hook)
    return net


def shouts(module, inputs, output):
    return 2 * output


def whispers(module, inputs, output):
    return output / 2


PAIRS = {                                                  # made twice each: equal with itself, different from the other
    "numbers": (lambda: 1.5, lambda: 2.5), "text": (lambda: "a", lambda: "b"), "nothing": (lambda: None, lambda: 0),
    "truth": (lambda: True, lambda: 1), "order": (lambda: [1, 2], lambda: [2, 1]),
    "dicts": (lambda: {"a": 1, "b": 2}, lambda: {"a": 1, "b": 3}), "sets": (lambda: {"x", "yy"}, lambda: {"x", "zz"}),
    "tensors": (lambda: torch.zeros(3), lambda: torch.ones(3)), "shapes": (lambda: torch.zeros(4), lambda: torch.zeros(2, 2)),
    "dtypes": (lambda: torch.zeros(2), lambda: torch.zeros(2, dtype=torch.bfloat16)),
    "arrays": (lambda: np.zeros(3), lambda: np.zeros(3, dtype=np.float32)),
    "dtypes alone": (lambda: torch.float32, lambda: torch.float64), "enums": (lambda: Colour.RED, lambda: Colour.BLUE),
    "generators": (lambda: torch.Generator().manual_seed(0), lambda: torch.Generator().manual_seed(1)),
    "functions": (lambda: torch.sin, lambda: torch.cos), "functions of one's own": (lambda: shouts, lambda: whispers),
    "caught values": (lambda: times(2.0), lambda: times(3.0)), "caught functions": (lambda: times(times(2.0)), lambda: times(times(3.0))),
    "partials": (lambda: functools.partial(times, 2.0), lambda: functools.partial(times, 3.0)),
    "methods": (lambda: Settings(1.0).__eq__, lambda: Settings(2.0).__eq__),
    "dataclasses": (lambda: Settings(1.0), lambda: Settings(2.0)), "slots": (lambda: Slotted(1.0), lambda: Slotted(2.0)),
    "modules": (lambda: nn.Dropout(0.1), lambda: nn.Dropout(0.2)), "kinds": (lambda: nn.ReLU(), lambda: nn.ReLU6()),
    "in place": (lambda: nn.ReLU(), lambda: nn.ReLU(inplace=True)),
    "attributes": (lambda: Net(gain=1.0), lambda: Net(gain=2.0)), "private attributes": (lambda: Net(_gain=1.0), lambda: Net(_gain=2.0)),
    "modes": (lambda: Net(), lambda: Net().eval()), "hooks": (lambda: hooked(shouts), lambda: hooked(whispers)),
    "parts": (lambda: nn.Sequential(nn.Tanh(), nn.Dropout(0.1)), lambda: nn.Sequential(nn.Tanh(), nn.Dropout(0.2))),
}


@pytest.mark.parametrize("what", PAIRS)
def test_equal_things_are_equal_and_others_are_not(what):
    one, other = PAIRS[what]
    assert digest(model=one()) == digest(model=one()) and digest(model=other()) == digest(model=other())
    assert digest(model=one()) != digest(model=other())


def test_a_number_that_a_function_reads_from_its_file_counts(monkeypatch):
    before = digest(it=reads)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert digest(it=reads) != before


def test_a_class_that_was_edited_is_another_one(monkeypatch):
    before = digest(model=Net())
    with monkeypatch.context() as patch:
        patch.setattr(Net, "forward", lambda self, x: self.layer(x) + x)
        Net.forward.__name__ = "forward"
        assert digest(model=Net()) != before
    with monkeypatch.context() as patch:
        patch.setattr(Net, "scale", 2.0)
        assert digest(model=Net()) != before
    assert digest(model=Net()) == before


def test_weights_are_a_part_of_every_module_but_the_model_that_is_trained():
    one, same, other = (models.MLP(2, 4, 1, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert digest(model=one) == digest(model=other)        # its weights are compared apart, as the training begins with them
    for held in (lambda net: net, lambda net: net.forward, lambda net: [net], lambda net: functools.partial(net, 1)):
        assert digest(loss=held(one)) == digest(loss=held(same)) != digest(loss=held(other))


def test_whole_numbers_are_numbers_and_numpys_are_pythons():
    assert describe((1, 0.5)) == describe((np.float64(1.0), np.float32(0.5))) == describe([1.0, 0.5])


def test_what_refers_to_itself_has_an_end():
    net = Net()
    net.settings = {"net": [net]}
    assert digest(it=net) == digest(it=net)


def test_a_compiled_module_is_the_module():
    net = Net()
    assert describe(torch.compile(net, backend="eager"))[1] == describe(net)


@pytest.mark.parametrize("value, message", [
    ({"loss": [lambda z: z]}, r"at value\['loss'\]\[0\], .*got a lambda; write it with def"),
    (functools.partial(times, lambda z: z), "got a lambda"), (Net(act=lambda z: z), r"at value\.act"),
    (times(lambda z: z), "got a lambda"), (iter([1]), "expected something whose contents can be compared.*list_iterator"),
    (np.array([object()]), "array of object"),
])
def test_what_has_no_name_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        describe(value)


def test_lambdas_are_compared_by_code_where_that_is_asked_for():
    one, same, other = [[lambda z: z + 1 for _ in range(2)][k] for k in (0, 1)] + [lambda z: z + 2]
    assert describe(one, named=False)[3:] == describe(same, named=False)[3:] != describe(other, named=False)[3:]


def test_weights_tell_bytes_sharing_and_what_is_trained():
    def net(seed=0, tied=False, frozen=False):
        made = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
        generator = torch.Generator().manual_seed(seed)
        for parameter in made.parameters():
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator))
        made[2].weight.data.copy_(made[0].weight.data)
        if tied:
            made[2].weight = made[0].weight
        return made.requires_grad_(not frozen)

    marks = [digest(w=weights(made))["w"] for made in (net(), net(), net(1), net(tied=True), net(frozen=True))]
    assert marks[0] == marks[1] and len({*marks}) == 4


def test_rules_of_an_optimizer_name_its_parameters():
    net = Net()
    nn.init.zeros_(net.layer.weight), nn.init.zeros_(net.layer.bias)
    weight, bias = net.layer.weight, net.layer.bias
    make = lambda first, second, **options: rules(torch.optim.SGD([{"params": [first], "lr": 0.1}, {"params": [second]}],
                                                                  lr=0.2, **options), net)
    marks = [digest(o=each)["o"] for each in (make(weight, bias), make(weight, bias), make(bias, weight),
                                              make(weight, bias, momentum=0.9))]
    assert marks[0] == marks[1] and len({*marks}) == 3
    moved = torch.optim.Adam(net.parameters())
    before = digest(o=rules(moved, net))
    net(torch.ones(1, 2)).sum().backward()
    moved.step()
    assert digest(o=rules(moved, net)) != before           # its moments are part of where it starts


@pytest.mark.parametrize("tensor", [torch.tensor(1), torch.arange(6).reshape(2, 3).T, torch.ones(2, dtype=torch.bfloat16),
                                    torch.zeros(0)])
def test_bytes_are_those_of_the_indices_in_order(tensor):
    assert tensor_bytes(tensor).tobytes() == tensor_bytes(torch.stack([*tensor.flatten()]) if tensor.numel() else tensor).tobytes()
