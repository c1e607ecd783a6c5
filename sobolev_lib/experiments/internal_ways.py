"""How a student is taught by a larger network: answers, derivatives by the input or by hidden layers, hints, attention.

A way is made for a teacher and the images x (N, d) that it answers for. What it asks the teacher, it asks once. Then
``way(student, rows, generator)`` is a step's two terms, both as shares of the size of what the teacher says: the error of
the logits, and the error of whatever else the way compares.
"""
import functools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from sobolev_lib.data import SobolevData
from sobolev_lib.derivatives import value_and_derivatives
from sobolev_lib.internal import internal_derivatives
from sobolev_lib.losses import InternalLoss, InternalTargets, SobolevLoss, StochasticSobolevLoss
from sobolev_lib.models import MLP

SETS = {"digits": "handwritten digits", "shapes": "drawn shapes"}
FORMS = ("disc", "square", "diamond", "plus", "cross", "ring", "frame", "bars")
# what the two networks have in common: two hidden layers of 32 units, by their names in each
LAYERS = {1: ("1", "3"), 2: ("3", "7")}                    # student's, teacher's
BATCH = 50
REFERENCE = "MLPRegressor"                                 # of scikit-learn, on logits
INPUT = ("input", "input, projected")
INTERNAL = ("layer 1", "layer 1, projected", "layer 1, attention", "layer 2", "between", "layer 1, hints")

Way = Callable[[nn.Module, Tensor, torch.Generator], tuple[Tensor, Tensor]]


def networks(inputs: int, classes: int, seed: int) -> tuple[MLP, MLP]:
    """A teacher that isn't trained yet and a student; layers of 32 units stand for each other.

    >>> [sum(p.numel() for p in network.parameters()) for network in networks(64, 10, seed=0)]
    [44298, 4178]
    """
    generator = torch.Generator().manual_seed(seed)
    return (MLP(inputs, 256, 32, 256, 32, 64, classes, activation="silu", generator=generator),
            MLP(inputs, 32, 32, 24, classes, activation="silu", generator=generator))


def shapes(count: int, seed: int, side: int = 12) -> tuple[Tensor, Tensor]:
    """Noisy grey images (count, side * side) of eight forms, at random places, sizes and turns, and the forms' numbers.

    >>> images, forms = shapes(100, seed=0)
    >>> images.shape, sorted(set(forms.tolist())) == list(range(len(FORMS)))
    (torch.Size([100, 144]), True)
    """
    random = np.random.default_rng([seed, 3])
    form = random.integers(len(FORMS), size=count)
    size = random.uniform(2.5, 4.5, (count, 1, 1))
    place = (side - 1) / 2 + random.uniform(-1.5, 1.5, (2, count, 1, 1))
    turn = random.uniform(-0.3, 0.3, (count, 1, 1))
    down, across = np.mgrid[:side, :side][:, None] - place
    cos, sin = np.cos(turn), np.sin(turn)
    u, v = (np.abs(part) / size for part in (across * cos + down * sin, down * cos - across * sin))
    far, wide, sharp = np.hypot(u, v), np.maximum(u, v), u + v                             # by circles, squares, diamonds
    thin = np.minimum(u, v)
    edges = np.stack([far - 0.9, wide - 0.8, sharp - 1.1, np.maximum(thin - 0.25, wide - 1),
                      np.maximum(np.abs(u - v) - 0.35, wide - 0.8), np.abs(far - 0.75) - 0.22, np.abs(wide - 0.7) - 0.2,
                      np.maximum(np.abs(v - 0.6) - 0.25, u - 0.9)])                        # in the order of FORMS
    chosen = edges[form, np.arange(count)] * size          # pixels outside the form
    images = random.uniform(0.5, 1, (count, 1, 1)) / (1 + np.exp(3 * chosen)) + random.normal(0, 0.1, chosen.shape)
    return torch.tensor(images.reshape(count, -1), dtype=torch.float32), torch.tensor(form)


@functools.lru_cache
def images(name: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Images (N, pixels) and classes of "train", "validation" and "test"; digits are scikit-learn's, shapes are drawn.

    >>> {part: tuple(x.shape) for part, (x, _) in images("digits").items()}
    {'train': (1242, 64), 'validation': (200, 64), 'test': (355, 64)}
    """
    if name == "shapes":
        drawn = {part: shapes(count, seed) for seed, (part, count) in
                 enumerate({"train": 3000, "validation": 200, "test": 500}.items())}
    else:
        from sobolev_lib.synthetic_gradients import load_images

        found = load_images("digits")
        (x, labels), test = [(x.flatten(1).float() / 255, labels) for x, labels in (found.train, found.test)]
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
        drawn = {"train": (x[order[200:]], labels[order[200:]]), "validation": (x[order[:200]], labels[order[:200]]),
                 "test": test}
    mean, std = drawn["train"][0].mean(), drawn["train"][0].std()
    return {part: ((x - mean) / std, labels) for part, (x, labels) in drawn.items()}


@functools.lru_cache
def teacher_of(name: str, seed: int, steps: int) -> MLP:
    """A teacher that has learned the classes of the training images."""
    x, labels = images(name)["train"]
    teacher, _ = networks(x.shape[1], int(labels.max()) + 1, seed)
    generator = torch.Generator().manual_seed(seed)
    adam = torch.optim.AdamW(teacher.parameters(), lr=2e-3, weight_decay=1e-2)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        rows = torch.randint(len(x), (100,), generator=generator)
        adam.zero_grad()
        nn.functional.cross_entropy(teacher(x[rows]), labels[rows]).backward()
        adam.step()
        slower.step()
    return teacher.requires_grad_(False)


# --- the ways ---------------------------------------------------------------------------------------------------------

def answers(teacher: MLP, x: Tensor) -> Way:
    """Logits alone: plain distillation."""
    y = teacher(x)
    size = _size(y)
    return lambda student, rows, generator: (_size(student(x[rows]) - y[rows]) / size, torch.zeros(()))


def by_input(teacher: MLP, x: Tensor, projected: bool) -> Way:
    """Sobolev Training: derivatives of the logits by the pixels, all of them or one random projection of them."""
    table = SobolevData.of_tensors(x, *(found.detach() for found in value_and_derivatives(teacher, x)))
    loss = StochasticSobolevLoss(1) if projected else SobolevLoss(1)

    def way(student, rows, generator):
        batch = loss.ask(table[rows], generator)
        return loss.compare(loss.predict(student, batch), batch)
    return _as_shares(way, table)


def by_layer(teacher: MLP, x: Tensor, projected: bool, number: int) -> Way:
    """Derivatives of the logits by the activations of a hidden layer, which is left as it is below."""
    way, table = _inside(teacher, x, projected, number)
    return _as_shares(way, table)


def between(teacher: MLP, x: Tensor) -> Way:
    """Logits, and derivatives of the second hidden layer by the first."""
    way, table = _inside(_up_to_second(teacher, 1), x, False, 1)
    inner, plain = _as_shares(way, table), answers(teacher, x)
    return lambda student, rows, generator: (plain(student, rows, generator)[0],
                                             inner(_up_to_second(student, 0), rows, generator)[1])


def _up_to_second(network: MLP, which: int) -> nn.Sequential:
    return nn.Sequential(*list(network)[:int(LAYERS[2][which]) + 1])


def _inside(teacher: nn.Module, x: Tensor, projected: bool, number: int) -> tuple[Way, SobolevData]:
    layer, teacher_layer = LAYERS[number]
    y, hidden, jacobian = (found.detach() for found in internal_derivatives(teacher, x, teacher_layer))
    table = SobolevData.of_tensors(torch.zeros_like(hidden), y, jacobian)                  # at shifts of zero
    inner = StochasticSobolevLoss(1) if projected else SobolevLoss(1)
    loss = InternalLoss(inner, layer=layer, teacher_layer=teacher_layer)

    def way(student, rows, generator):
        batch = InternalTargets(x[rows], inner.ask(table[rows], generator))
        return loss.compare(loss.predict(student, batch), batch)
    return way, table


def hints(teacher: MLP, x: Tensor) -> Way:
    """Logits, and the activations of both layers, unit by unit: FitNets' hints, without a map between layers of one size."""
    told = _walk(teacher, x, 1)
    return _compared(lambda student, at: _walk(student, at, 0)[:2], told[:2], told[2], x)


def attention(teacher: MLP, x: Tensor) -> Way:
    """Logits, and where both layers are active: squares of activations, brought to length one."""
    maps = lambda hidden: [nn.functional.normalize(each.square(), dim=1) for each in hidden]
    told = _walk(teacher, x, 1)
    return _compared(lambda student, at: maps(_walk(student, at, 0)[:2]), maps(told[:2]), told[2], x)


def slope_attention(teacher: MLP, x: Tensor) -> Way:
    """Logits, and on which units of the first layer they hang: squares of slopes by it, summed over logits, of length one."""
    def hang(network: nn.Module, at: Tensor, layer: str) -> Tensor:
        return nn.functional.normalize(internal_derivatives(network, at, layer)[2].square().sum(1), dim=1)

    (layer, teacher_layer), plain = LAYERS[1], answers(teacher, x)
    told = hang(teacher, x, teacher_layer).detach()
    return lambda student, rows, generator: (plain(student, rows, generator)[0],
                                             _size(hang(student, x[rows], layer) - told[rows]))


def gradient_attention(teacher: MLP, x: Tensor) -> Way:
    """Logits, and which pixels matter: the cross entropy's gradient for the class that the teacher says, of length one."""
    labels = teacher(x).argmax(1)

    def told(network: nn.Module, at: Tensor, classes: Tensor) -> Tensor:
        at = at.clone().requires_grad_()
        loss = nn.functional.cross_entropy(network(at), classes, reduction="sum")
        return nn.functional.normalize(torch.autograd.grad(loss, at, create_graph=True)[0], dim=1)

    by_teacher, plain = told(teacher, x, labels).detach(), answers(teacher, x)
    return lambda student, rows, generator: (plain(student, rows, generator)[0],
                                             _size(told(student, x[rows], labels[rows]) - by_teacher[rows]))


def layer_and_hints(teacher: MLP, x: Tensor) -> Way:
    """Derivatives by the first hidden layer, where hints see to it that unit stands for unit."""
    derivatives, activations = by_layer(teacher, x, False, 1), hints(teacher, x)

    def way(student, rows, generator):
        values, slopes = derivatives(student, rows, generator)
        return values, slopes + activations(student, rows, generator)[1]
    return way


def _walk(network: MLP, x: Tensor, which: int) -> list[Tensor]:
    """Activations of the two layers, and the logits; ``which`` network it is: 0 the student, 1 the teacher."""
    found, ends = [], [int(LAYERS[number][which]) + 1 for number in LAYERS]
    for start, end in zip([0, *ends], [*ends, len(network)]):
        for layer in list(network)[start:end]:
            x = layer(x)
        found.append(x)
    return found


def _compared(shown, told: list[Tensor], y: Tensor, x: Tensor) -> Way:
    sizes, size = [_size(each) for each in told], _size(y)

    def way(student, rows, generator):
        errors = [_size(a - b[rows]) / c for a, b, c in zip(shown(student, x[rows]), told, sizes)]
        return _size(student(x[rows]) - y[rows]) / size, sum(errors) / len(errors)
    return way


def _size(entries: Tensor) -> Tensor:
    return entries.square().flatten(1).sum(1).mean()


def _as_shares(way: Way, table: SobolevData) -> Way:
    sizes = table.mean_squares(1)
    return lambda *asked: tuple(term / size for term, size in zip(way(*asked), sizes))


WAYS: dict[str, Callable[[MLP, Tensor], Way]] = {
    "answers": answers,
    "input": functools.partial(by_input, projected=False), "input, projected": functools.partial(by_input, projected=True),
    "layer 1": functools.partial(by_layer, projected=False, number=1),
    "layer 1, projected": functools.partial(by_layer, projected=True, number=1), "layer 1, attention": slope_attention,
    "layer 2": functools.partial(by_layer, projected=False, number=2),
    "between": between, "layer 1, hints": layer_and_hints, "hints": hints,
    "attention": attention, "gradient attention": gradient_attention,
}
