"""Derivatives by a hidden layer: against the part of the network above it by itself, and matched between two networks."""
import numpy as np
import pytest
import reference
import torch
from torch import nn

import sobolev_lib as sl
from sobolev_lib import InternalLoss, SobolevLoss, StochasticSobolevLoss, Teacher, internal_derivatives
from sobolev_lib.losses import InternalTargets
from sobolev_lib.training.steps import backward_of

DOUBLE = torch.float64


def points(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE) * 2 - 1


def mlp(*sizes, seed=0, activation="tanh"):
    return sl.models.MLP(*sizes, activation=activation, generator=torch.Generator().manual_seed(seed)).to(DOUBLE)


class Image(nn.Module):
    """Convolutions, an in-place ReLU behind the layer that is asked for, and a head."""

    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.body = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(3, 2, 3))
            self.head = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(8, 3))
        self.to(DOUBLE)

    def forward(self, x):
        return self.head(self.body(x))


# --- the derivatives --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_they_are_those_of_the_layers_above(activation, place):
    net, x = mlp(4, 7, 5, 3, activation=activation), points(6, 4)
    y, hidden, jacobian = internal_derivatives(net, x, str(place))
    below, above = nn.Sequential(*list(net)[:place + 1]), nn.Sequential(*list(net)[place + 1:])
    expected = below(x)
    torch.testing.assert_close(hidden, expected)
    torch.testing.assert_close(y, net(x))
    with torch.enable_grad():
        by_hand = torch.stack([torch.stack([torch.autograd.grad(above(row)[j], row)[0] for j in range(3)])
                               for row in expected.detach().requires_grad_().unbind()])
    torch.testing.assert_close(jacobian, by_hand)


def test_parameters_below_the_layer_learn_too():
    """Against central differences in all parameters: the activations move with those below."""
    net, x = mlp(3, 6, 5, 2), points(4, 3)
    value = lambda: internal_derivatives(net, x, "1")[2].square().sum()
    directions = points(5, sum(p.numel() for p in net.parameters()), seed=3)
    slopes = reference.directional_differences(value, net, directions)
    gradient = reference.gradients(value(), net)
    torch.testing.assert_close(directions @ gradient, slopes, rtol=1e-6, atol=1e-8)
    assert gradient[:net[0].weight.numel()].abs().max() > 1e-3


def test_images_layers_with_several_axes_and_work_in_place():
    net, x = Image(), points(3, 1, 4, 4)
    y, hidden, jacobian = internal_derivatives(net, x, "body.2")
    torch.testing.assert_close(hidden, net.body(x.clone()))
    assert hidden.min() < 0 and y.shape == (3, 3) and hidden.shape == (3, 2, 2, 2) and jacobian.shape == (3, 3, 2, 2, 2)
    by_hand = torch.stack([torch.autograd.functional.jacobian(lambda h: net.head(h.clone().unsqueeze(0))[0], row)
                           for row in net.body(x.clone()).detach()])
    torch.testing.assert_close(jacobian, by_hand)


def test_nothing_stays_behind():
    net, x = mlp(3, 6, 2), points(4, 3)
    before = net(x)
    internal_derivatives(net, x, "1")
    with pytest.raises(ValueError):
        internal_derivatives(net, x, "9")
    assert torch.equal(net(x), before) and not any(module._forward_hooks for module in net.modules())
    assert all(p.grad is None for p in net.parameters())


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared, self.never, self.pair = nn.Linear(3, 3).to(DOUBLE), nn.Linear(3, 3).to(DOUBLE), nn.LSTM(3, 3).to(DOUBLE)
        self.dead = nn.Linear(3, 3).to(DOUBLE)

    def forward(self, x):
        return self.shared(self.shared(x)) + self.pair(x)[0] + self.dead(x).detach()


@pytest.mark.parametrize("model, layer, error, message", [
    (mlp(3, 6, 2), "9", ValueError, "layer: expected one of the model's parts, '0', '1', '2', got '9'"),
    (mlp(3, 6, 2), "", ValueError, "got ''"),
    (mlp(3, 6, 2), 1, TypeError, "layer: expected the name"),
    (torch.sin, "0", TypeError, "model: expected an nn.Module"),
    (mlp(3, 6, 2).float(), "0", TypeError, "model: expected parameters of dtype"),
    (Twice(), "shared", ValueError, "called once when the model is, got 2 calls"),
    (Twice(), "never", ValueError, "called once when the model is, got 0 calls"),
    (Twice(), "pair", TypeError, "floating-point tensor, got tuple"),
    (Twice(), "dead", ValueError, "depends on the input|depend"),
])
def test_layers_that_can_not_be_asked(model, layer, error, message):
    with pytest.raises(error, match=message):
        internal_derivatives(model, points(4, 3), layer)


def test_a_layer_that_mixes_rows_warns():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).to(DOUBLE)
    with pytest.warns(UserWarning, match="BatchNorm1d in training mode"):
        internal_derivatives(net, points(5, 3), "0")


# --- the loss ---------------------------------------------------------------------------------------------------

def test_layers_of_two_sizes_are_matched_through_a_map_that_folds_away():
    """A student with the teacher's function behind its map has no loss; the two linear layers are one; and it is learned."""
    teacher, x = mlp(3, 6, 5, 2), points(40, 3)
    narrow = torch.linalg.qr(points(4, 4, seed=5)).Q
    teacher[2].weight.data[:, 4:] = 0                      # of its six units four are used
    student = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 5)), nn.Tanh(),
                            nn.Linear(5, 2)).to(DOUBLE)
    with torch.no_grad():
        for own, its in ((student[0].weight, teacher[0].weight[:4]), (student[0].bias, teacher[0].bias[:4]),
                         (student[2][0].weight, torch.eye(6, 4, dtype=DOUBLE)), (student[2][0].bias, torch.zeros(6)),
                         (student[2][1].weight, teacher[2].weight), (student[2][1].bias, teacher[2].bias),
                         (student[4].weight, teacher[4].weight), (student[4].bias, teacher[4].bias)):
            own.copy_(its)
    loss = InternalLoss(SobolevLoss(1), layer="2.0", teacher_layer="1")
    assert loss(student, Teacher(teacher, x)).item() < 1e-20
    with torch.no_grad():                                  # another map: the same function, other internal derivatives
        student[2][0].weight[:4] = narrow
        student[2][1].weight[:, :4] = student[2][1].weight[:, :4] @ narrow.T
    torch.testing.assert_close(student(x), teacher(x))
    before = loss(student, Teacher(teacher, x)).item()
    assert before > 1e-3
    sl.fit(student, Teacher(teacher, x), loss=loss, steps=300, lr=1e-2, seed=0, progress=False)
    assert loss(student, Teacher(teacher, x)).item() < before / 20
    first, second = student[2]
    one = nn.Linear(4, 5).to(DOUBLE)
    with torch.no_grad():
        one.weight.copy_(second.weight @ first.weight)
        one.bias.copy_(second(first.bias))
    expected, student[2] = student(x), one
    torch.testing.assert_close(student(x), expected)


def terms_by_hand(student, teacher, x, layer, teacher_layer):
    ours, theirs = internal_derivatives(student, x, layer), internal_derivatives(teacher, x, teacher_layer)
    return [(a - b.detach()).square().sum() / len(x) for a, b in ((ours[0], theirs[0]), (ours[2], theirs[2]))]


@pytest.mark.parametrize("kind", ["mlp", "image"])
def test_the_terms_are_errors_of_values_and_of_internal_jacobians(kind):
    if kind == "mlp":
        student, teacher, x, layers = mlp(3, 4, 6, 2, seed=1), mlp(3, 8, 9, 6, 2), points(7, 3), ("3", "5")
    else:
        student, teacher, x, layers = Image(1), Image(2), points(3, 1, 4, 4), ("body.2", "body.2")
    loss = InternalLoss(SobolevLoss(1, weights=(1.0, 0.3)), *layers)
    terms, expected = loss.terms(student, Teacher(teacher, x)), terms_by_hand(student, teacher, x, *layers)
    torch.testing.assert_close(list(terms), expected)
    total = loss(student, Teacher(teacher, x))
    torch.testing.assert_close(reference.gradients(total, student),
                               reference.gradients(expected[0] + 0.3 * expected[1], student))
    assert all(p.grad is None for p in teacher.parameters())
    same = InternalLoss(SobolevLoss(1), layers[1])
    assert float(same(teacher, Teacher(teacher, x)).detach()) == 0


def test_the_mean_over_projections_is_the_whole():
    student, teacher, x = mlp(3, 5, 4, seed=1), mlp(3, 5, 4), points(2, 3)
    source = Teacher(teacher, x)
    whole = InternalLoss(SobolevLoss(1), "1").terms(student, source)
    drawn = InternalLoss(StochasticSobolevLoss(1, projections=20_000), "1").terms(
        student, source, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn[0], whole[0])
    torch.testing.assert_close(drawn[1], whole[1], rtol=0.03, atol=0)


def test_targets_can_be_asked_for_once():
    student, source = mlp(3, 5, 2, seed=1), Teacher(mlp(3, 5, 2), points(6, 3))
    loss = InternalLoss(StochasticSobolevLoss(1), "1")
    targets = loss.ask(source, torch.Generator().manual_seed(0))
    assert isinstance(targets, InternalTargets) and loss.ask(targets) is targets
    torch.testing.assert_close(loss(student, targets), loss(student, source, generator=torch.Generator().manual_seed(0)))


def test_normalisation_is_by_the_teachers_mean_squares():
    student, teacher, x = mlp(3, 5, 2, seed=1), mlp(3, 5, 2), points(9000, 3)
    loss = InternalLoss(SobolevLoss(1, normalize=True), "1").normalized_by(Teacher(teacher, x))
    y, _, jacobian = internal_derivatives(teacher, x, "1")
    squares = [float(each.detach().square().sum()) / 9000 for each in (y, jacobian)]
    assert loss.normalize == pytest.approx(squares)
    few = Teacher(teacher, x[:5])
    plain = InternalLoss(SobolevLoss(1), "1").terms(student, few)
    torch.testing.assert_close(loss.terms(student, few), tuple(a / b for a, b in zip(plain, squares)))


# --- training ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("inner", [SobolevLoss(1, weights=(1.0, 0.5), normalize=True), StochasticSobolevLoss(1)], ids=str)
def test_fit_trains_with_it(inner, batch_size):
    teacher, loss = mlp(3, 8, 5, 2), InternalLoss(inner, "3")
    source = Teacher(teacher, points(10, 3))
    student = mlp(3, 6, 5, 2, seed=1)
    before = internal_derivatives(student, source.inputs, "3")[2].detach()
    history = sl.fit(student, source, loss=loss, steps=150, lr=5e-2, batch_size=batch_size, progress=False)
    assert history.path == "autograd: derivatives by a hidden layer" and set(history.train) == {"loss", "values", "jacobian"}
    wanted = internal_derivatives(teacher, source.inputs, "3")[2]
    after = internal_derivatives(student, source.inputs, "3")[2]
    assert (after - wanted).norm() < 0.3 * (before - wanted).norm()
    if inner.draws or batch_size:
        return
    own, squares = mlp(3, 6, 5, 2, seed=1), loss.normalized_by(source).normalize
    adam = torch.optim.Adam(own.parameters(), lr=5e-2)
    for _ in range(150):
        adam.zero_grad()
        values, slopes = terms_by_hand(own, teacher, source.inputs, "3", "3")
        (values / squares[0] + 0.5 * slopes / squares[1]).backward()
        adam.step()
    for p, q in zip(student.parameters(), own.parameters()):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-8)


def test_a_weight_schedule_reaches_it():
    source, student = Teacher(mlp(3, 5, 2), points(6, 3)), mlp(3, 5, 2, seed=1)
    history = sl.fit(student, source, loss=InternalLoss(SobolevLoss(1), "1"), steps=3, progress=False,
                     weight_schedule=sl.linear_weights((0.0, 1.0), (1.0, 0.0)))
    np.testing.assert_allclose(history.train["loss"][-1], history.train["values"][-1])


def test_a_checkpoint_knows_the_layer(tmp_path):
    def train(layer="3", seed=0):
        student = mlp(3, 5, 5, 2, seed=1)
        sl.fit(student, Teacher(mlp(3, 5, 5, 2, seed=seed), points(6, 3)), loss=InternalLoss(SobolevLoss(1), layer), steps=4,
               evaluate_every=2, checkpoint=tmp_path / "run.safetensors", progress=False)
        return torch.cat([p.detach().flatten() for p in student.parameters()])

    assert torch.equal(train(), train())
    with pytest.raises(ValueError, match=r"another run \(loss differ"):
        train("1")
    with pytest.raises(ValueError, match=r"another run \(data differ"):
        train(seed=5)


def fitted(student=None, source=None, loss=None, **how):
    source = source or Teacher(mlp(3, 5, 2), points(6, 3))
    return sl.fit(student or mlp(3, 5, 2, seed=1), source, loss=loss or InternalLoss(SobolevLoss(1), "1"), steps=10**9,
                  progress=False, **how)


DATA = sl.label(mlp(3, 5, 2), points(6, 3))


@pytest.mark.parametrize("call, error, message", [
    (lambda: InternalLoss(SobolevLoss(2), "1"), ValueError, "order 1"),
    (lambda: InternalLoss(SobolevLoss(0), "1"), ValueError, "order 1"),
    (lambda: InternalLoss("mse", "1"), TypeError, "expected a SobolevLoss or Stoch"),
    (lambda: InternalLoss(InternalLoss(SobolevLoss(1), "1"), "1"), TypeError, "got InternalLoss"),
    (lambda: InternalLoss(SobolevLoss(1), 1), TypeError, "layer: expected the name"),
    (lambda: InternalLoss(SobolevLoss(1), ""), TypeError, "layer: expected the name"),
    (lambda: fitted(source=DATA), TypeError, "expected a Teacher of an nn.Module.*got SobolevData"),
    (lambda: fitted(source=Teacher(torch.sin, points(6, 3))), TypeError, "expected a Teacher of an nn.Module"),
    (lambda: fitted(validation=DATA), TypeError, "no validation data"),
    (lambda: fitted(sl.Standardized(mlp(3, 5, 2), DATA)), TypeError, "not Standardized"),
    (lambda: fitted(loss=InternalLoss(SobolevLoss(1), "7")), ValueError, "expected one of the teacher's parts"),
    (lambda: fitted(loss=InternalLoss(SobolevLoss(1), "7", "1")), ValueError, "expected one of the model's parts"),
    (lambda: fitted(mlp(3, 6, 2)), ValueError, r"to return shape \(6, 5\), got \(6, 6\); do the layers"),
    (lambda: fitted(mlp(3, 5, 4)), ValueError, "expected outputs of shape"),
    (lambda: fitted(compile=True), ValueError, "compile: expected a SobolevLoss, got InternalLoss, which asks"),
    (lambda: sl.fit_many([mlp(3, 5, 2)], Teacher(mlp(3, 5, 2), points(6, 3)), loss=InternalLoss(SobolevLoss(1), "1")),
     TypeError, "by a hidden layer; fit takes it"),
    (lambda: backward_of(mlp(3, 5, 2), InternalLoss(SobolevLoss(1), "1")), ValueError, "expected one of whole derivatives"),
    (lambda: sl.fast.train_many([mlp(3, 5, 2)], [DATA], loss=InternalLoss(SobolevLoss(1), "1"), steps=1, lr=[1], seeds=[0],
                                weights=[(1, 1)]), TypeError, "expected a SobolevLoss"),
])
def test_what_can_not_be_matched_is_refused(call, error, message):
    import sobolev_lib.fast  # noqa: F401
    with pytest.raises(error, match=message):
        call()


def test_repr_tells_the_layers():
    assert "layer='1', teacher_layer='3'" in repr(InternalLoss(SobolevLoss(1), "1", "3"))
