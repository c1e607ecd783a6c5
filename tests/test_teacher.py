"""Teacher: what it answers, how often it is asked, what it refuses; and the losses' protocol over it."""
import pytest
import torch
from torch import nn

import sobolev_lib as sl
from sobolev_lib.losses import ProjectedTargets

F = sl.functions.booth


def points(n=7, seed=0):
    return F.sample(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(outputs=3, seed=1):
    return sl.models.MLP(2, 8, outputs, activation="tanh", generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("f", [F, network(), nn.Sequential(nn.Linear(2, 3), nn.GELU()).double()], ids=["function", "mlp", "module"])
def test_it_answers_what_label_writes_down(f, order):
    x = points()
    teacher, data = sl.Teacher(f, x), sl.label(f, x, order)
    rows = torch.tensor([4, 0, 5])
    for part, table in ((teacher, data), (teacher[rows], data[rows]), (teacher[2:4], data[2:4])):
        answer = part.up_to(order)
        assert len(part) == len(table) and part.in_shape == (2,) and part.out_shape == table.out_shape
        for ours, theirs in zip(answer.tensors, table.tensors, strict=True):
            torch.testing.assert_close(ours, theirs)
            assert not ours.requires_grad
    torch.testing.assert_close(torch.tensor(teacher.mean_squares(order)), torch.tensor(data.mean_squares(order)))


@pytest.mark.parametrize("loss", [sl.SobolevLoss(1, weights=(1.0, 0.3)), sl.SobolevLoss(0), sl.SobolevLoss(2, normalize=(2.0, 3.0, 4.0)),
                                  sl.StochasticSobolevLoss(1, 2), sl.StochasticSobolevLoss(2, weights=(1.0, 0.5, 0.1))], ids=repr)
def test_one_protocol_for_both_losses_and_all_sources(loss):
    """terms(model, batch, generator), whatever the loss and the batch; and its parts one by one."""
    x, student, teacher = points(), network(seed=0), network()
    seeded = lambda: torch.Generator().manual_seed(3)
    table = sl.label(teacher, x, 2)
    expected = loss.terms(student, table, generator=seeded())
    asked = loss.ask(sl.Teacher(teacher, x), seeded())
    for terms in (loss.terms(student, sl.Teacher(teacher, x), generator=seeded()), loss.terms(student, asked),
                  loss.compare(loss.predict(student, asked), asked)):
        torch.testing.assert_close(terms, expected, rtol=1e-9, atol=1e-10)
    assert isinstance(asked, ProjectedTargets) == loss.draws
    torch.testing.assert_close(loss(student, table, generator=seeded()), sum(w * t for w, t in zip(loss.weights, expected)))
    other = loss.weighted([2.0] * (loss.order + 1))
    torch.testing.assert_close(other(student, asked), 2 * sum(expected), rtol=1e-9, atol=1e-10)
    assert type(other) is type(loss) and vars(other).keys() == vars(loss).keys()


def test_no_more_is_asked_than_the_loss_wants():
    """One forward pass for values alone, a backward one for projections; no Jacobian for the stochastic loss."""
    calls = []

    def f(x):
        calls.append(x.requires_grad or torch._C._functorch.maybe_get_level(x) > 0)
        return network()(x)

    teacher, student = sl.Teacher(f, points()), network(seed=0)
    for loss, differentiated in ((sl.SobolevLoss(0), False), (sl.StochasticSobolevLoss(1, 3), True)):
        calls.clear()
        loss(student, teacher)
        assert calls == [differentiated]


def test_a_teacher_gets_no_gradient_and_keeps_its_mode_and_its_inputs():
    f, x = network().eval(), points()
    teacher = sl.Teacher(f, x)
    for loss in (sl.SobolevLoss(1), sl.StochasticSobolevLoss()):
        loss(network(seed=0), teacher).backward()
    assert all(p.grad is None for p in f.parameters()) and not f.training
    x += 1
    assert not torch.equal(teacher.inputs, x)

    def in_place(z):
        z *= 2
        return z.sum(1)

    asked = sl.Teacher(in_place, points())
    assert torch.equal(asked.up_to(1).values, 2 * points().sum(1)) and torch.equal(asked.inputs, points())


@pytest.mark.parametrize("wrong, error, message", [
    (lambda: sl.Teacher(5, points()), TypeError, "f: expected a module or a function from .* got int"),
    (lambda: sl.Teacher(F, torch.arange(6).reshape(3, 2)), TypeError, "inputs: expected a floating-point tensor"),
    (lambda: sl.Teacher(F, points()[:0]), ValueError, r"inputs: expected shape \(N, ...\) with N >= 1, got \(0, 2\)"),
    (lambda: sl.Teacher(F, points() * float("nan")), ValueError, "inputs: expected finite numbers, got 14"),
    (lambda: sl.Teacher(lambda z: z[0] + z[1], points(2)), ValueError, "f: expected a function of a batch"),
    (lambda: sl.Teacher(lambda z: z.float().sum(1), points()).up_to(1), TypeError, "teacher: expected answers of torch.float64"),
    (lambda: sl.Teacher(lambda z: (z[:, 0] - z[:, 0]).sqrt() + z[:, 1], points()).up_to(1), ValueError,
     "teacher: expected finite jacobian, got 7 NaN"),
    (lambda: sl.SobolevLoss(1)(network(), points()), TypeError, "data: expected SobolevData .* or a Teacher, got Tensor"),
    (lambda: sl.SobolevLoss(1).normalized_by(points()), TypeError, "data: expected SobolevData .* or a Teacher, got Tensor"),
])
def test_wrong_teachers(wrong, error, message):
    with pytest.raises(error, match=message):
        wrong()
