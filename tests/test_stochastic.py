"""StochasticSobolevLoss: the right projections, no bias, no Jacobian, masks, repeatability."""
import math

import pytest
import reference
import torch
from old_style import Cube
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import sobolev_lib as sl
from sobolev_lib import SobolevData, SobolevLoss, StochasticSobolevLoss, label

DOUBLE = torch.float64
NAN = float("nan")
DISTRIBUTIONS = ("sphere", "gaussian", "rademacher")


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def net(inputs=3, outputs=4, seed=0, dtype=DOUBLE):
    return sl.models.MLP(inputs, 6, outputs, activation="tanh", generator=seeded(seed), dtype=dtype)


def points(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=DOUBLE)


def projected(model, x, vectors):
    """[values, J^T v1, v1^T H v2] with the vectors given as (P, N, ...), from row-by-row double backward."""
    tensors = reference.derivatives(model, x, len(vectors))
    n, d = len(x), x[0].numel()
    v1 = vectors[0].reshape(len(vectors[0]), n, -1)
    results = [tensors[0], torch.einsum("pnm,nmd->pnd", v1, tensors[1].reshape(n, -1, d))]
    if len(vectors) == 2:
        v2 = vectors[1].reshape(len(vectors[1]), n, d)
        results.append(torch.einsum("pnm,nmde,pnd->pne", v1, tensors[2].reshape(n, -1, d, d), v2))
    return results


class Old(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 2, 3), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(Cube.apply(self.conv(x)).flatten(1))


# --- the projections --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("tabulated", [False, True], ids=["teacher", "table"])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("order, count", [(1, 1), (1, 3), (2, 1), (2, 3)])
def test_terms_equal_projected_errors_for_the_vectors_drawn(order, count, distribution, tabulated, device):
    student, teacher, x = net(seed=0).to(device), net(seed=1).to(device), points(5, 3).to(device)
    loss = StochasticSobolevLoss(order, count, distribution)
    given = label(teacher, x, order) if tabulated else teacher
    terms = loss.terms(student, x, given, generator=seeded(7))
    vectors = loss.draw(x, (4,), seeded(7))
    ours, theirs = projected(student, x, vectors), projected(teacher, x, vectors)
    expected = [(ours[0] - theirs[0]).square().sum(1).mean(),
                *[(a - b).square().sum(-1).mean() for a, b in zip(ours[1:], theirs[1:])]]
    for term, number in zip(terms, expected, strict=True):
        torch.testing.assert_close(term, number, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(reference.gradients(sum(terms), student), reference.gradients(sum(expected), student),
                               rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("order", [1, 2])
def test_on_images_and_through_the_fallback(order, device):
    student, x = Old().to(device, DOUBLE), points(2, 1, 4, 4).to(device)
    table = SobolevData(x, *[points(2, 3, *[1, 4, 4] * k, seed=k).to(device) for k in range(order + 1)])
    loss = StochasticSobolevLoss(order, 2)
    terms = loss.terms(student, x, table, generator=seeded(0))
    vectors = loss.draw(x, (3,), seeded(0))
    ours = projected(student, x, vectors)
    v1 = vectors[0]
    labels = [table.values, torch.einsum("pnm,nmd->pnd", v1, table.jacobian.reshape(2, 3, 16))]
    if order == 2:
        labels.append(torch.einsum("pnm,nmde,pnd->pne", v1, table.hessian.reshape(2, 3, 16, 16),
                                   vectors[1].reshape(2, 2, 16)))
    for term, a, b in zip(terms, ours, labels, strict=True):
        torch.testing.assert_close(term, (a - b).square().sum(-1).mean(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_vectors_have_unit_covariance(distribution):
    loss = StochasticSobolevLoss(2, 4000, distribution)
    state = torch.get_rng_state()
    for v, shape in zip(loss.draw(torch.zeros(2, 3), (4,), seeded(0)), [(4000, 2, 4), (4000, 2, 3)], strict=True):
        assert v.shape == shape and v.dtype == torch.float32
        second = v.unsqueeze(3) * v.unsqueeze(2)                                          # (P, N, m, m)
        sem = second.std(0) / math.sqrt(4000) + 1e-6
        assert ((second.mean(0) - torch.eye(shape[2])).abs() < 5 * sem).all()
        assert (v.mean(0).abs() < 5 / math.sqrt(4000)).all()
        assert not torch.equal(v[:, 0], v[:, 1]), "all points share one vector"
        if distribution == "sphere":
            torch.testing.assert_close(v.norm(dim=2), torch.full(shape[:2], math.sqrt(shape[2])))
        if distribution == "rademacher":
            assert set(v.unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(torch.get_rng_state(), state), "a generator was given, yet the global one was used"


def test_a_generator_on_the_cpu_draws_the_same_vectors_on_any_device(device):
    for distribution in DISTRIBUTIONS:
        loss = StochasticSobolevLoss(2, 3, distribution)
        drawn = loss.draw(torch.zeros(2, 3, device=device), (4,), seeded(0))
        assert all(v.device.type == device for v in drawn)
        torch.testing.assert_close([v.cpu() for v in drawn], loss.draw(torch.zeros(2, 3), (4,), seeded(0)))


# --- no bias ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("tabulated", [False, True], ids=["teacher", "table"])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("order", [1, 2])
def test_the_mean_over_vectors_is_the_exact_loss(order, distribution, tabulated):
    student, teacher, x = net(outputs=5, seed=0), net(outputs=5, seed=1), points(3, 3)
    given = label(teacher, x, order) if tabulated else teacher
    exact = [float(term.detach()) for term in SobolevLoss(order).terms(student, label(teacher, x, order))]
    generator, draws = seeded(0), 60
    with torch.no_grad():
        samples = torch.tensor([[float(term) for term in StochasticSobolevLoss(order, 200, distribution).terms(
            student, x, given, generator=generator)] for _ in range(draws)], dtype=DOUBLE)
    torch.testing.assert_close(samples[:, 0], torch.full((draws,), exact[0], dtype=DOUBLE))
    for k in range(1, order + 1):
        error = samples[:, k].std() / math.sqrt(draws)
        assert abs(samples[:, k].mean() - exact[k]) < 5 * error
        assert error < 0.03 * exact[k], "too noisy to notice a wrong factor"


@pytest.mark.parametrize("order", [1, 2])
def test_the_gradient_has_no_bias_either(order):
    student, teacher, x = net(outputs=4, seed=0), net(outputs=4, seed=1), points(3, 3)
    exact = reference.gradients(SobolevLoss(order)(student, label(teacher, x, order)), student)
    generator, draws = seeded(0), 60
    samples = torch.stack([reference.gradients(StochasticSobolevLoss(order, 50)(student, x, teacher,
                                                                                generator=generator), student)
                           for _ in range(draws)])
    error = samples.std(0) / math.sqrt(draws)
    assert ((samples.mean(0) - exact).abs() < 5 * error + 1e-12).all()


def test_more_projections_mean_less_variance():
    student, teacher, x = net(seed=0), net(seed=1), points(3, 3)
    spread = []
    for count in (1, 16):
        generator = seeded(0)
        draws = torch.stack([StochasticSobolevLoss(1, count)(student, x, teacher, generator=generator).detach()
                             for _ in range(200)])
        spread.append(draws.var())
    assert 8 < spread[0] / spread[1] < 32  # 16 in expectation


@pytest.mark.parametrize("out_shape", [(), (1,)], ids=["(N,)", "(N, 1)"])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("distribution", ["sphere", "rademacher"])
def test_with_one_output_every_draw_is_the_exact_loss(distribution, count, out_shape):
    # on the "sphere" of R^1 there are only -1 and 1
    student, x = net(3, 1), points(4, 3)
    table = SobolevData(x, points(4, *out_shape, seed=1), points(4, *out_shape, 3, seed=2))
    exact = SobolevLoss()(student, table)
    for model in (student, lambda x: student(x)[:, 0]):
        value = StochasticSobolevLoss(1, count, distribution)(model, x, table)
        torch.testing.assert_close(value, exact, rtol=1e-12, atol=0)
    teacher = lambda x: x.sin().sum(1, keepdim=out_shape == (1,))
    torch.testing.assert_close(StochasticSobolevLoss(1, count, distribution)(student, x, teacher),
                               SobolevLoss()(student, label(teacher, x)), rtol=1e-12, atol=0)


def test_weights_losses_and_normalisation_apply_to_the_projections(device):
    student, teacher, x = net(seed=0).to(device), net(seed=1).to(device), points(4, 3).to(device)
    kinds = dict(weights=(2.0, 0.5), value_loss="kl", derivative_loss="l1")
    loss = StochasticSobolevLoss(1, 3, **kinds)
    terms = loss.terms(student, x, teacher, generator=seeded(3))
    torch.testing.assert_close(loss(student, x, teacher, generator=seeded(3)), 2 * terms[0] + 0.5 * terms[1])
    vectors = loss.draw(x, (4,), seeded(3))
    ours, theirs = projected(student, x, vectors), projected(teacher, x, vectors)
    torch.testing.assert_close(terms[1], (ours[1] - theirs[1]).abs().sum(-1).mean())
    torch.testing.assert_close(terms[0], SobolevLoss(0, value_loss="kl")(student, label(teacher, x, 0)))
    normal = StochasticSobolevLoss(1, 3, normalize=True).terms(student, x, teacher, generator=seeded(3))
    torch.testing.assert_close(normal[1], (ours[1] - theirs[1]).square().sum() / theirs[1].square().sum())


# --- the teacher asked beforehand -------------------------------------------------------------------------------

@pytest.mark.parametrize("tabulated", [False, True], ids=["teacher", "table"])
@pytest.mark.parametrize("order, count", [(1, 1), (1, 3), (2, 2)])
def test_targets_stand_for_the_teacher_that_gave_them(order, count, tabulated, device):
    teacher, x = net(seed=1).to(device), points(5, 3).to(device)
    given = label(teacher, x, order) if tabulated else teacher
    if tabulated:
        given.jacobian[2], given.jacobian[0, 1] = NAN, NAN  # a point and an output without labels
    loss = StochasticSobolevLoss(order, count, weights=(1.0, 0.3, 0.7)[:order + 1])
    targets = loss.targets(x, given, generator=seeded(7))
    assert [tuple(v.shape) for v in targets.vectors] == [(count, 5, 4), (count, 5, 3)][:order]
    assert [tuple(t.shape) for t in targets.labels] == [(5, 4), *[(count, 5, 3)] * order]
    assert not any(tensor.requires_grad for tensor in (*targets.vectors, *targets.labels))
    for student in (net(seed=0).to(device), net(seed=2).to(device)):  # one answer serves many students
        value, direct = loss(student, x, targets), loss(student, x, given, generator=seeded(7))
        assert torch.equal(value, direct)
        assert torch.equal(reference.gradients(value, student), reference.gradients(direct, student))
    assert torch.equal(torch.stack(loss.terms(student, x, targets)),
                       torch.stack(loss.terms(student, x, given, generator=seeded(7))))


def test_targets_are_the_teachers_own_values_and_projections():
    teacher, x = net(seed=1), points(5, 3)
    targets = StochasticSobolevLoss(2, 3).targets(x, teacher, generator=seeded(0))
    for found, expected in zip(targets.labels, projected(teacher, x, targets.vectors), strict=True):
        torch.testing.assert_close(found, expected.detach(), rtol=1e-10, atol=1e-12)
    fresh = StochasticSobolevLoss(2, 3).targets(x, teacher, generator=seeded(1))
    assert not torch.equal(targets.vectors[0], fresh.vectors[0]) and torch.equal(targets.labels[0], fresh.labels[0])


@pytest.mark.parametrize("order", [1, 2])
def test_given_vectors_are_compared_along_and_nothing_is_drawn(order, monkeypatch):
    teacher, student, x = net(seed=1), net(seed=2), points(5, 3)
    vectors = [points(2, 5, 4, seed=3), points(2, 5, 3, seed=4)][:order]
    monkeypatch.setattr(StochasticSobolevLoss, "draw", lambda *_: pytest.fail("something was drawn"))
    terms = StochasticSobolevLoss(order).terms(student, sl.losses.ProjectedTargets(x, vectors, projected(teacher, x, vectors)))
    for term, mine, right in zip(terms, projected(student, x, vectors), projected(teacher, x, vectors), strict=True):
        torch.testing.assert_close(term, (mine - right).square().sum(-1).mean())


def given(**changed):
    parts = {"inputs": points(5, 3), "vectors": [points(2, 5, 4)], "labels": [points(5, 4), points(2, 5, 3)]} | changed
    return sl.losses.ProjectedTargets(**parts)


@pytest.mark.parametrize("targets, message", [
    (given(labels=[points(5, 4)]), "labels: expected values, and projections for each of 1 orders, got 1 tensors"),
    (given(labels=[points(5, 4), points(1, 5, 3)]), r"labels\[1\]: expected shape \(2, 5, 3\) .*got \(1, 5, 3\)"),
    (given(labels=[points(1, 4), points(2, 5, 3)]), r"labels\[0\]: expected shape \(5, 4\) .*got \(1, 4\)"),
    (given(vectors=[points(2, 1, 4)]), r"vectors\[0\]: expected shape \(2, 5, 4\) .*got \(2, 1, 4\)"),
    (given(vectors=[points(2, 5, 4), points(2, 5, 4)], labels=[points(5, 4), points(2, 5, 3), points(2, 5, 3)]),
     r"vectors\[1\]: expected shape \(2, 5, 3\) .*got \(2, 5, 4\)")])
def test_given_vectors_of_other_shapes_are_refused(targets, message):
    with pytest.raises(ValueError, match=message):
        StochasticSobolevLoss(len(targets.vectors))(net(), targets)


def test_the_teacher_is_not_asked_again_and_nothing_is_drawn_again():
    teacher, student, x = net(seed=1), net(seed=0), points(4, 3)
    loss = StochasticSobolevLoss(1, 2)
    targets, state = loss.targets(x, teacher, generator=seeded(0)), torch.get_rng_state()
    teacher.register_forward_pre_hook(lambda *_: pytest.fail("the teacher was asked again"))
    assert loss(student, x, targets) == loss(student, x, targets)
    assert torch.equal(torch.get_rng_state(), state)


def test_targets_can_be_stacked_for_vmap_over_students(device):
    students, x = [net(seed=seed).to(device) for seed in range(3)], points(4, 3).to(device)
    loss = StochasticSobolevLoss(1, 2, derivative_loss="norm")
    targets = [loss.targets(x, net(seed=seed).to(device), generator=seeded(seed)) for seed in (7, 8, 9)]
    parameters, _ = torch.func.stack_module_state(students)
    stacked = torch.utils._pytree.tree_map(lambda *tensors: torch.stack(tensors), *targets)
    one = lambda p, batch: loss(lambda x: torch.func.functional_call(students[0], p, (x,)), batch)
    values = torch.vmap(one)(parameters, stacked)
    torch.testing.assert_close(values, torch.stack([loss(s, x, t) for s, t in zip(students, targets)]))


# --- drawing ----------------------------------------------------------------------------------------------------

def test_vectors_are_fresh_at_every_call_and_repeatable_with_a_generator():
    student, teacher, x = net(seed=0), net(seed=1), points(4, 3)
    loss = StochasticSobolevLoss()
    with torch.random.fork_rng():
        assert loss(student, x, teacher) != loss(student, x, teacher)
    generator = seeded(0)
    first, second = [loss(student, x, teacher, generator=generator) for _ in range(2)]
    assert first != second
    assert loss(student, x, teacher, generator=seeded(0)) == first
    state = torch.get_rng_state()
    loss(student, x, teacher, generator=generator)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_teacher_gets_no_gradient_and_the_student_does(device):
    student, teacher, x = net(seed=0).to(device), net(seed=1).to(device), points(4, 3).to(device)
    StochasticSobolevLoss(2, 2)(student, x, teacher).backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in student.parameters())
    assert x.grad is None


def test_a_teacher_that_needs_the_fallback_gets_no_gradient_either():
    student, teacher, x = Old().to(DOUBLE), Old().to(DOUBLE), points(2, 1, 4, 4)
    StochasticSobolevLoss(1, 2)(student, x, teacher).backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert student.conv.weight.grad.abs().max() > 0


def test_a_student_that_equals_its_teacher_has_no_loss():
    teacher, x = net(), points(4, 3)
    assert StochasticSobolevLoss(2, 3)(teacher, x, teacher) < 1e-25
    assert StochasticSobolevLoss(2, 3)(teacher, x, label(teacher, x, 2)) < 1e-25


# --- cost -------------------------------------------------------------------------------------------------------

class Largest(TorchDispatchMode):
    """Remembers the number of entries of the largest tensor any operation returned."""

    def __init__(self):
        super().__init__()
        self.entries = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in torch.utils._pytree.tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self.entries = max(self.entries, tensor.untyped_storage().size() // tensor.element_size())
        return result


class Diagonal(nn.Module):
    """5,000 inputs, 5,000 outputs, each output from its own input and the mean of all."""

    def __init__(self, size):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return (self.scale * x).tanh() + x.square().mean(1, keepdim=True)


@pytest.mark.parametrize("order", [1, 2])
def test_no_jacobian_is_ever_formed(order):
    size, n, count = 5000, 4, 2
    student, x = Diagonal(size), torch.randn(n, size, generator=seeded(0))
    with Largest() as largest:
        StochasticSobolevLoss(order, count)(student, x, lambda x: x.sin()).backward()
    assert count * n * size <= largest.entries < 8 * count * n * size  # a Jacobian has n * size * size entries
    with Largest() as largest:  # and this is what the measure says where there is one
        SobolevLoss()(Diagonal(100), label(lambda x: x.sin(), x[:, :100]))
    assert largest.entries >= n * 100 * 100


def test_one_forward_pass_a_call_whatever_the_number_of_projections():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.calls = net(), 0

        def forward(self, x):
            self.calls += 1
            return self.inner(x)

    student, teacher, x = Counting(), net(seed=1), points(4, 3)
    for count in (1, 7):
        student.calls = 0
        StochasticSobolevLoss(1, count)(student, x, teacher)
        assert student.calls == 1


# --- missing entries --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("count", [1, 3])
def test_a_point_without_labels_takes_no_part(order, count):
    student, x = net(), points(5, 3)
    table = label(net(seed=1), x, order)
    blank = SobolevData(x, table.values, *[t.clone() for t in table.derivatives[1:]])
    for tensor in blank.derivatives[1:]:
        tensor[2] = NAN
    loss = StochasticSobolevLoss(order, count)
    terms = loss.terms(student, x, blank, generator=seeded(1))
    vectors = loss.draw(x, (4,), seeded(1))
    ours, theirs = projected(student, x, vectors), projected(net(seed=1), x, vectors)
    keep = torch.tensor([0, 1, 3, 4])
    for term, a, b in zip(terms[1:], ours[1:], theirs[1:], strict=True):
        torch.testing.assert_close(term, (a - b)[:, keep].square().sum(-1).sum() / (5 * count))
    assert reference.gradients(sum(terms), student).isfinite().all()


def test_an_output_without_labels_takes_no_part(device):
    student, x = net().to(device), points(5, 3).to(device)
    table = label(net(seed=1).to(device), x)
    table.jacobian[:, 1] = NAN      # this output never has a derivative
    table.jacobian[3, 2] = NAN      # and this one not at point 3
    loss = StochasticSobolevLoss(1, 2)
    term = loss.terms(student, x, table, generator=seeded(1))[1]
    v = loss.draw(x, (4,), seeded(1))[0].clone()
    v[:, :, 1] = 0
    v[:, 3, 2] = 0
    difference = reference.derivatives(student, x, 1)[1] - table.jacobian.nan_to_num()
    expected = torch.einsum("pnm,nmd->pnd", v, difference).square().sum(-1).mean()
    torch.testing.assert_close(term, expected)
    torch.testing.assert_close(reference.gradients(term, student), reference.gradients(expected, student))


def test_an_input_component_with_a_missing_entry_is_left_out():
    student, x = net(), points(5, 3)
    table = label(net(seed=1), x)
    table.jacobian[0, 1, 2] = NAN
    loss = StochasticSobolevLoss(1, 2)
    term = loss.terms(student, x, table, generator=seeded(1))[1]
    v = loss.draw(x, (4,), seeded(1))[0]
    error = torch.einsum("pnm,nmd->pnd", v, reference.derivatives(student, x, 1)[1] - table.jacobian.nan_to_num())
    error[:, 0, 2] = 0
    torch.testing.assert_close(term, error.square().sum(-1).mean())
    assert reference.gradients(term, student).isfinite().all()


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_masked_outputs_leave_no_bias(distribution):
    student, x = net(), points(3, 3)
    table = label(net(seed=1), x)
    table.jacobian[:, 1] = NAN
    table.jacobian[0] = NAN
    exact = float(SobolevLoss().terms(student, table)[1].detach())
    generator = seeded(0)
    with torch.no_grad():
        draws = torch.tensor([float(StochasticSobolevLoss(1, 200, distribution).terms(
            student, x, table, generator=generator)[1]) for _ in range(40)], dtype=DOUBLE)
    error = draws.std() / math.sqrt(40)
    assert abs(draws.mean() - exact) < 5 * error and error < 0.03 * exact


@pytest.mark.parametrize("distribution", ["sphere", "rademacher"])
def test_masks_are_exact_with_one_output(distribution, device):
    student, x = net(3, 1).to(device), points(6, 3).to(device)
    table = SobolevData(x, points(6, seed=1).to(device), points(6, 3, seed=2).to(device))
    table.jacobian[torch.rand(6, 3, generator=seeded(3)) < 0.4] = NAN
    torch.testing.assert_close(StochasticSobolevLoss(1, 2, distribution)(student, x, table),
                               SobolevLoss()(student, table), rtol=1e-12, atol=0)


# --- composition ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("order, count", [(1, 1), pytest.param(2, 2, marks=pytest.mark.slow)])
def test_compiles_into_one_graph(order, count):
    student, teacher, x = net(seed=0), net(seed=1), points(4, 3)
    loss = StochasticSobolevLoss(order, count)
    vectors = loss.draw(x, (4,), seeded(0))
    loss.draw = lambda *_: list(vectors)  # compiled code has a random stream of its own
    compiled = torch.compile(lambda x: loss(student, x, teacher), fullgraph=True, backend="aot_eager")(x)
    expected = loss(student, x, teacher)
    torch.testing.assert_close(compiled, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(reference.gradients(compiled, student), reference.gradients(expected, student),
                               rtol=1e-9, atol=1e-11)


def test_vmap_over_students(device):
    students, teacher, x = [net(seed=seed).to(device) for seed in range(3)], net(seed=9).to(device), points(4, 3).to(device)
    table = label(teacher, x)
    parameters, _ = torch.func.stack_module_state(students)
    loss = StochasticSobolevLoss(1, 2)
    vectors = loss.draw(x, (4,), seeded(0))
    loss.draw = lambda *_: list(vectors)
    one = lambda p: loss(lambda x: torch.func.functional_call(students[0], p, (x,)), x, table)
    values = torch.vmap(one)(parameters)
    torch.testing.assert_close(values, torch.stack([loss(student, x, table) for student in students]))


def test_weighted_points_are_refused_however_they_are_given():
    data = sl.SobolevData(torch.rand(5, 2), torch.rand(5, 3), torch.rand(5, 3, 2), weights=torch.ones(5))
    model = sl.models.MLP(2, 4, 3)
    for arguments in ((data,), (data.inputs, data)):
        with pytest.raises(ValueError, match="whole derivatives alone.*got weights"):
            sl.StochasticSobolevLoss()(model, *arguments)


def test_directions_of_the_inputs_are_refused_with_the_reason():
    data = sl.SobolevData(torch.rand(5, 2), torch.rand(5), torch.rand(5, 1), directions=torch.ones(5, 1, 2))
    model = sl.models.MLP(2, 4, 1)
    with pytest.raises(ValueError, match="got directions, too; SobolevLoss takes them .this loss draws directions of its own, among the"):
        sl.StochasticSobolevLoss()(model, data)
    assert sl.SobolevLoss()(model, data).isfinite()        # as the message says
