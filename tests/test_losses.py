"""SobolevLoss against loops over points and entries, double backward and finite differences in the parameters."""
import math

import pytest
import reference
import torch
from torch import nn
from torch.func import functional_call, stack_module_state

import sobolev_lib as sl
from sobolev_lib import SobolevData, SobolevLoss

DOUBLE = torch.float64
NAN = float("nan")
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "softplus": nn.Softplus}


def mlp(activation, outputs):
    return nn.Sequential(nn.Linear(3, 5), activation(), nn.Linear(5, 4), activation(), nn.Linear(4, outputs))


def conv(activation, outputs):
    return nn.Sequential(nn.Conv2d(1, 3, 3), activation(), nn.Conv2d(3, 2, 2, stride=2), activation(), nn.Flatten(),
                         nn.Linear(8, outputs))


NETS = {"mlp": (mlp, (3,)), "conv": (conv, (1, 6, 6))}


def make(net="mlp", activation="tanh", outputs=1, seed=0, device="cpu"):
    build, in_shape = NETS[net]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(ACTIVATIONS[activation], outputs).to(device, DOUBLE), in_shape


def table(n, in_shape, out_shape, order, missing=False, seed=0):
    """Random points and labels; with ``missing`` a third of the derivative entries and one whole row are NaN."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=DOUBLE)
    tensors = [draw(n, *in_shape)] + [draw(n, *out_shape, *in_shape * k) for k in range(order + 1)]
    if missing:
        for tensor in tensors[2:]:
            tensor[torch.rand(tensor.shape, generator=generator) < 0.3] = NAN
            tensor[0] = NAN
    return SobolevData(*tensors)


def scalar_view(model, out_shape):
    """The model as the plain reference needs it: outputs in the labels' own shape."""
    return model if out_shape != () else lambda x: model(x)[:, 0]


# --- values and gradients ---------------------------------------------------------------------------------------

# values are never missing, and a ReLU network carries no second order (test_bad_input.py)
ORDERS = [(0, False), (1, False), (1, True), (2, False), (2, True)]
CASES = [(activation, *case) for activation in ACTIVATIONS for case in ORDERS if (activation, case[0]) != ("relu", 2)]


@pytest.mark.parametrize("activation, order, missing", CASES)
@pytest.mark.parametrize("out_shape", [(), (2,)], ids=["scalar", "vector"])
@pytest.mark.parametrize("net", NETS)
def test_loss_and_gradient_equal_double_backward_and_finite_differences(net, out_shape, activation, order, missing, device):
    model, in_shape = make(net, activation, math.prod(out_shape), device=device)
    data = table(3 if net == "mlp" else 2, in_shape, out_shape, order, missing).to(device)
    weights = (1.0, 0.3, 0.7)[:order + 1]
    loss = SobolevLoss(order, weights)
    value = loss(model, data)
    gradient = reference.gradients(value, model)
    assert value.shape == () and value.isfinite() and gradient.isfinite().all()

    # float64 against an independent double backward
    expected = reference.loss(scalar_view(model, out_shape), data.inputs, data.derivatives, weights)
    expected_gradient = reference.gradients(expected, model)
    assert reference.relative_error(value, expected) < 1e-10
    assert reference.relative_error(gradient, expected_gradient) < 1e-10

    # finite differences in the parameters
    generator = torch.Generator().manual_seed(1)
    directions = torch.randn(3, len(gradient), generator=generator, dtype=DOUBLE).to(device)
    slopes = reference.directional_differences(lambda: loss(model, data), model, directions)
    assert reference.relative_error(directions @ gradient, slopes) < 1e-5

    # the same network in float32
    single = reference.gradients(loss(model.float(), data.to(torch.float32)), model)
    assert reference.relative_error(single.double(), expected_gradient) < (1e-5 if device == "cpu" else 1e-4)


def test_third_order(device):
    model, in_shape = make(outputs=2, device=device)
    data = table(2, in_shape, (2,), 3, missing=True).to(device)
    value = SobolevLoss(3)(model, data)
    expected = reference.loss(model, data.inputs, data.derivatives)
    assert reference.relative_error(value, expected) < 1e-10
    assert reference.relative_error(reference.gradients(value, model), reference.gradients(expected, model)) < 1e-10


@pytest.mark.parametrize("out_shape, view", [
    ((), lambda y: y), ((), lambda y: y[:, 0]), ((1,), lambda y: y), ((1,), lambda y: y[:, 0]),
], ids=["(N,1) for labels (N,)", "(N,) for labels (N,)", "(N,1) for labels (N,1)", "(N,) for labels (N,1)"])
def test_one_output_may_have_an_axis_or_not(out_shape, view):
    model, in_shape = make()
    data = table(4, in_shape, out_shape, 2)
    terms = SobolevLoss(2).terms(lambda x: view(model(x)), data)
    y = [tensor.reshape(4, -1) for tensor in reference.derivatives(model, data.inputs, 2)]
    for term, predicted, label in zip(terms, y, data.derivatives):
        torch.testing.assert_close(term, (predicted - label.reshape(4, -1)).square().sum(1).mean())


def test_outputs_with_several_axes():
    weight = torch.randn(3, 2, 2, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    model = lambda x: torch.einsum("nd,dij->nij", x.tanh(), weight)
    data = table(4, (3,), (2, 2), 2)
    expected = reference.loss(model, data.inputs, data.derivatives)
    torch.testing.assert_close(SobolevLoss(2)(model, data), expected)


# --- kinds of loss ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("missing", [False, True], ids=["complete", "masked"])
@pytest.mark.parametrize("names", [("l1", "l1", "l1"), ("huber", "huber", "huber"), ("l1", "mse", "huber"),
                                   ("huber", "l1", "mse")], ids="-".join)
def test_elementwise_losses_by_order(names, missing, device):
    model, in_shape = make(outputs=2, device=device)
    data = table(4, in_shape, (2,), 2, missing).to(device)
    value = SobolevLoss(2, (1.0, 2.0, 0.5), names[0], names[1:])(model, data)
    expected = reference.loss(model, data.inputs, data.derivatives, (1.0, 2.0, 0.5), names)
    assert reference.relative_error(value, expected) < 1e-10
    assert reference.relative_error(reference.gradients(value, model), reference.gradients(expected, model)) < 1e-10


def test_kl_puts_the_student_first(device):
    student, teacher = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0), dtype=DOUBLE).to(device)
    data = SobolevData(torch.zeros(5, 1, dtype=DOUBLE, device=device), teacher)
    categorical = lambda logits: torch.distributions.Categorical(logits=logits)
    expected = torch.distributions.kl_divergence(categorical(student), categorical(teacher)).mean()
    swapped = torch.distributions.kl_divergence(categorical(teacher), categorical(student)).mean()
    value = SobolevLoss(0, value_loss="kl")(lambda x: student, data)
    torch.testing.assert_close(value, expected)
    assert not torch.isclose(value, swapped)
    # logits are defined up to a constant, and large ones must not overflow
    torch.testing.assert_close(SobolevLoss(0, value_loss="kl")(lambda x: student + 1e3, data), expected)


def test_kl_teacher_first_is_the_other_way_round():
    student, teacher = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    data, swapped = [SobolevData(torch.zeros(5, 1, dtype=DOUBLE), logits) for logits in (teacher, student)]
    categorical = lambda logits: torch.distributions.Categorical(logits=logits)
    expected = torch.distributions.kl_divergence(categorical(teacher), categorical(student)).mean()
    value = SobolevLoss(0, value_loss="kl_teacher_first")(lambda x: student, data)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(value, SobolevLoss(0, value_loss="kl")(lambda x: teacher, swapped))


@pytest.mark.parametrize("missing", [False, True], ids=["complete", "masked"])
@pytest.mark.parametrize("out_shape", [(), (2,)], ids=["scalar", "vector"])
def test_norm_is_the_root_of_each_points_squared_error(out_shape, missing, device):
    model, in_shape = make(outputs=math.prod(out_shape), device=device)
    data = table(4, in_shape, out_shape, 2, missing).to(device)
    value = SobolevLoss(2, (1.0, 0.3, 0.7), "norm", "norm")(model, data)
    expected = 0.0
    predictions = reference.derivatives(scalar_view(model, out_shape), data.inputs, 2)
    for weight, predicted, label in zip((1.0, 0.3, 0.7), predictions, data.derivatives):
        for p, l in zip(predicted.reshape(4, -1), label.reshape(4, -1)):
            error = (p - l)[~l.isnan()]
            if len(error):
                expected = expected + weight * (error @ error).sqrt() / 4
    assert reference.relative_error(value, expected) < 1e-10
    assert reference.relative_error(reference.gradients(value, model), reference.gradients(expected, model)) < 1e-10


def test_norm_has_gradient_zero_where_there_is_no_error(device):
    """The norm has a kink there; a NaN would end the training of a student that has become its teacher."""
    model, in_shape = make(outputs=2, device=device)
    x = table(4, in_shape, (2,), 0).inputs.to(device)
    own = [tensor.detach() for tensor in sl.value_and_derivatives(model, x)]
    for data in (SobolevData(x, *own), SobolevData(x, own[0], torch.full_like(own[1], NAN))):
        value = SobolevLoss(1, value_loss="norm", derivative_loss="norm")(model, data)
        assert value == 0 and not reference.gradients(value, model).any()
    # at one point no error, at the others some
    labels = [label + (torch.arange(4, device=device) > 0).to(label).reshape(-1, *[1] * (label.ndim - 1)) for label in own]
    value = SobolevLoss(1, value_loss="norm", derivative_loss="norm")(model, SobolevData(x, *labels))
    assert value.item() == pytest.approx(3 / 4 * (math.sqrt(2) + math.sqrt(6)))
    gradient = reference.gradients(value, model)
    assert gradient.isfinite().all() and gradient.any()


@pytest.mark.parametrize("callable_loss, name", [
    (lambda p, t: (p - t).abs().flatten(1).sum(1), "l1"), (lambda p, t: (p - t).square().sum() / len(t), "mse"),
], ids=["one number a point", "one number"])
@pytest.mark.parametrize("missing", [False, True], ids=["complete", "masked"])
def test_a_callable_as_loss(callable_loss, name, missing):
    model, in_shape = make(outputs=2)
    data = table(4, in_shape, (2,), 1, missing)
    value = SobolevLoss(1, value_loss=callable_loss, derivative_loss=callable_loss)(model, data)
    expected = reference.loss(model, data.inputs, data.derivatives, elementwise=(name, name))
    assert reference.relative_error(value, expected) < 1e-10


# --- weights, terms, normalisation ------------------------------------------------------------------------------

def test_the_loss_is_the_weighted_sum_of_its_terms():
    model, in_shape = make(outputs=2)
    data = table(4, in_shape, (2,), 2)
    terms = SobolevLoss(2).terms(model, data)
    assert len(terms) == 3
    torch.testing.assert_close(SobolevLoss(2, (0.5, 2, 3.0))(model, data), 0.5 * terms[0] + 2 * terms[1] + 3 * terms[2])
    torch.testing.assert_close(SobolevLoss(2)(model, data), sum(terms))
    torch.testing.assert_close(SobolevLoss(0)(model, data), terms[0])  # labels of higher order are simply not used


def test_weight_zero_is_plain_regression():
    model, in_shape = make(outputs=2)
    data = table(4, in_shape, (2,), 1)
    plain = reference.gradients((model(data.inputs) - data.values).square().sum(1).mean(), model)
    for loss in (SobolevLoss(0), SobolevLoss(1, (1, 0))):
        torch.testing.assert_close(reference.gradients(loss(model, data), model), plain, rtol=1e-13, atol=1e-14)


def test_the_mean_is_over_points_and_the_sum_over_entries():
    # errors of exactly 1 in each of 2 values and 2 x 3 derivatives
    x = torch.zeros(5, 3)
    data = SobolevData(x, torch.ones(5, 2), torch.ones(5, 2, 3))
    terms = SobolevLoss().terms(lambda x: 0 * x[:, :2], data)
    assert [term.item() for term in terms] == [2.0, 6.0]


def test_doubling_the_data_changes_nothing():
    model, in_shape = make()
    data = table(4, in_shape, (), 2, missing=True)
    twice = SobolevData(*[torch.cat([tensor, tensor]) for tensor in data.tensors])
    torch.testing.assert_close(SobolevLoss(2)(model, twice), SobolevLoss(2)(model, data))


@pytest.mark.parametrize("missing", [False, True], ids=["complete", "masked"])
def test_normalisation_divides_by_the_labels_mean_square(missing, device):
    model, in_shape = make(outputs=2, device=device)
    data = table(4, in_shape, (2,), 2, missing).to(device)
    plain = SobolevLoss(2).terms(model, data)
    squares = [sum(float(v) ** 2 for v in labels.flatten() if not v.isnan()) / 4 for labels in data.derivatives]
    for term, square, normal in zip(plain, squares, SobolevLoss(2, normalize=True).terms(model, data)):
        torch.testing.assert_close(normal, term / square)
    for term, normal in zip(plain, SobolevLoss(2, normalize=(2.0, 4, 8.0)).terms(model, data)):
        assert term / normal in (2, 4, 8)
    # divisors fixed on all data stay the same for a batch
    fixed = SobolevLoss(2, normalize=True).normalized_by(data)
    for term, square, normal in zip(SobolevLoss(2).terms(model, data[1:3]), squares, fixed.terms(model, data[1:3])):
        torch.testing.assert_close(normal, term / square)


def smooth(prediction, target):
    return torch.nn.functional.smooth_l1_loss(prediction, target, beta=0.3, reduction="none").flatten(1).sum(1)


@pytest.mark.parametrize("fixed", [False, True], ids=["batch", "all labels"])
@pytest.mark.parametrize("name", ["mse", "l1", "huber", "norm", smooth, "kl", "kl_teacher_first"])
def test_units_cancel_for_every_loss(name, fixed, device):
    """Lengths in millimetres and values in cents are the same problem; kl takes the values as they are."""
    (model, in_shape), meters, cents = make(outputs=2, device=device), 1000.0, 1.0 if str(name).startswith("kl") else 100.0
    data = table(6, in_shape, (2,), 1, missing=not str(name).startswith("kl")).to(device)
    other = SobolevData(meters * data.inputs, cents * data.values, cents / meters * data.jacobian)
    loss = SobolevLoss(1, value_loss=name, derivative_loss="huber" if str(name).startswith("kl") else name, normalize=True)
    one, two = (loss.normalized_by(data), loss.normalized_by(other)) if fixed else (loss, loss)
    terms = one.terms(model, data)
    torch.testing.assert_close(two.terms(lambda x: cents * model(x / meters), other), terms)
    if not str(name).startswith("kl"):
        scales = [labels.nan_to_num().square().sum().div(6).sqrt() for labels in data.derivatives]
        plain = SobolevLoss(0, value_loss=name)
        expected = plain(lambda x: model(x) / scales[0], SobolevData.of_tensors(data.inputs, data.values / scales[0]))
        torch.testing.assert_close(terms[0], expected)
    else:
        torch.testing.assert_close(terms[0], SobolevLoss(0, value_loss=name)(model, data))


def test_normalized_by_keeps_everything_else():
    model, in_shape = make(outputs=2)
    data = table(4, in_shape, (2,), 2)
    loss = SobolevLoss(2, (1, 2, 3), "huber", ("l1", "mse"), normalize=True)
    torch.testing.assert_close(loss.normalized_by(data)(model, data), loss(model, data))


def test_normalisation_leaves_a_term_whose_labels_are_all_zero_or_missing():
    model, in_shape = make()
    data = table(4, in_shape, (), 1)
    for filling in (0.0, NAN):
        flat = SobolevData(data.inputs, data.values, torch.full_like(data.jacobian, filling))
        normal, plain = SobolevLoss(1, normalize=True).terms(model, flat)[1], SobolevLoss(1).terms(model, flat)[1]
        assert normal == plain and normal.isfinite()


# --- missing entries --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["mse", "huber"])
def test_a_missing_entry_takes_no_part_whatever_the_model_says_there(name):
    """As if the entry were absent: equal to a loss whose label there is the model's own prediction."""
    model, in_shape = make(outputs=2)
    masked = table(4, in_shape, (2,), 2, missing=True)
    loss = SobolevLoss(2, value_loss=name, derivative_loss=name)
    own = [tensor.detach() for tensor in reference.derivatives(model, masked.inputs, 2)]
    filled = SobolevData(masked.inputs, *[torch.where(label.isnan(), mine, label)
                                          for label, mine in zip(masked.derivatives, own)])
    value, other = loss(model, masked), loss(model, filled)
    torch.testing.assert_close(value, other, rtol=1e-12, atol=0)
    torch.testing.assert_close(reference.gradients(value, model), reference.gradients(other, model),
                               rtol=1e-10, atol=1e-12)
    assert reference.gradients(loss(model, masked), model).isfinite().all()


@pytest.mark.parametrize("order", [1, 2])
def test_without_any_derivative_label_it_is_plain_regression(order, device):
    model, in_shape = make(outputs=2, device=device)
    data = table(4, in_shape, (2,), order).to(device)
    blank = SobolevData(data.inputs, data.values, *[torch.full_like(t, NAN) for t in data.derivatives[1:]])
    for loss in (SobolevLoss(order), SobolevLoss(order, normalize=True)):
        terms = loss.terms(model, blank)
        assert all(term == 0 for term in terms[1:])
        gradient = reference.gradients(sum(terms), model)
        torch.testing.assert_close(gradient, reference.gradients(loss.terms(model, blank)[0], model))


def test_labels_that_are_missing_may_even_sit_where_the_derivative_is_not_finite():
    # sqrt has no derivative at 0; the label there is missing, so its infinity must stay out of the loss
    data = SobolevData(torch.tensor([[0.0], [4.0]]), torch.tensor([0.0, 2.0]), torch.tensor([[NAN], [0.0]]))
    torch.testing.assert_close(SobolevLoss(1)(lambda x: x[:, 0].sqrt(), data), torch.tensor(0.25**2 / 2))


# --- composition ------------------------------------------------------------------------------------------------

def stacked(models, sets):
    tensors = [torch.stack(tensors) for tensors in zip(*[data.tensors for data in sets])]
    leaves, structure = torch.utils._pytree.tree_flatten(sets[0])
    return stack_module_state(models)[0], torch.utils._pytree.tree_unflatten(tensors, structure)


@pytest.mark.parametrize("missing", [False, True], ids=["complete", "masked"])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_vmap_of_grad_over_models_and_data(order, missing, device):
    models = [make(outputs=2, seed=seed, device=device)[0] for seed in range(3)]
    sets = [table(4, (3,), (2,), order, missing, seed).to(device) for seed in range(3)]
    parameters, data = stacked(models, sets)
    loss = SobolevLoss(order, normalize=True)
    one = lambda parameters, data: loss(lambda x: functional_call(models[0], parameters, (x,)), data)
    gradients, values = torch.vmap(torch.func.grad_and_value(one))(parameters, data)
    for k, (model, own) in enumerate(zip(models, sets)):
        value = loss(model, own)
        torch.testing.assert_close(values[k], value, rtol=1e-12, atol=1e-13)
        flat = torch.cat([gradients[name][k].flatten() for name, _ in model.named_parameters()])
        torch.testing.assert_close(flat, reference.gradients(value, model), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("net", NETS)
def test_torch_func_grad_equals_backward(net, device):
    model, in_shape = make(net, outputs=2, device=device)
    data = table(2, in_shape, (2,), 1, missing=True).to(device)
    gradients = torch.func.grad(lambda p: SobolevLoss()(lambda x: functional_call(model, p, (x,)), data))(
        dict(model.named_parameters()))
    SobolevLoss()(model, data).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("order, backend", [pytest.param(1, "aot_eager", marks=pytest.mark.slow), (2, "eager")])
def test_compiles_into_one_graph(order, backend):
    model, in_shape = make(outputs=2)
    data = table(4, in_shape, (2,), order, missing=True)
    loss = SobolevLoss(order, normalize=True)
    parameters = dict(model.named_parameters())

    def step(parameters, data):
        return torch.func.grad_and_value(
            lambda p: loss(lambda x: functional_call(model, p, (x,)), data))(parameters)

    gradients, value = torch.compile(step, fullgraph=True, backend=backend)(parameters, data)
    expected = loss(model, data)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-13)
    flat = torch.cat([gradients[name].flatten() for name in parameters])
    torch.testing.assert_close(flat, reference.gradients(expected, model), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("order", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_compiled_loss_can_be_sent_backward(order):
    model, in_shape = make(outputs=1)
    data = table(4, in_shape, (), order)
    loss = SobolevLoss(order)
    torch.compile(loss, fullgraph=True, backend="aot_eager")(model, data).backward()
    compiled = torch.cat([p.grad.flatten() for p in model.parameters()])
    torch.testing.assert_close(compiled, reference.gradients(loss(model, data), model), rtol=1e-10, atol=1e-12)


def test_any_torch_optimizer_can_train_with_it():
    model = sl.models.MLP(2, 16, 1, activation="tanh", generator=torch.Generator().manual_seed(0))
    f = sl.functions.booth
    data = sl.label(f, torch.rand(20, 2, generator=torch.Generator().manual_seed(0)))
    loss, optimizer = SobolevLoss(normalize=True), torch.optim.LBFGS(model.parameters(), max_iter=40)

    def closure():
        optimizer.zero_grad()
        value = loss(model, data)
        value.backward()
        return value

    before = closure().item()
    optimizer.step(closure)
    assert closure().item() < 0.05 * before


def test_repr_tells_the_settings():
    text = repr(SobolevLoss(2, (1, 2, 3), "huber", normalize=True))
    for part in ("SobolevLoss", "order=2", "(1, 2, 3)"):
        assert part in text


# --- weights of points ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["mse", "l1", "norm"])
@pytest.mark.parametrize("normalize", [False, True])
def test_a_whole_weight_counts_as_often_as_copies(kind, normalize):
    x, counts = torch.rand(6, 2, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 1, 1])
    model = sl.models.MLP(2, 8, 3, activation="tanh").double()
    y, dy = torch.rand(6, 3).double(), torch.rand(6, 3, 2).double()
    dy[2, 1, 0] = y[3, 0] = float("nan")
    loss = sl.SobolevLoss(1, weights=(1.0, 0.3), value_loss=kind, derivative_loss=kind, normalize=normalize)
    weighted = sl.SobolevData(x, y, dy, weights=counts.double() * 6 / counts.sum())
    copies = sl.SobolevData(*[t.repeat_interleave(counts, dim=0) for t in (x, y, dy)])
    assert float(loss(model, weighted).detach()) == pytest.approx(float(loss(model, copies).detach()), rel=1e-12)


def test_weights_want_a_loss_that_can_take_them():
    data = sl.SobolevData(torch.rand(4, 2), torch.rand(4), torch.rand(4, 2), weights=torch.ones(4))
    model = sl.models.MLP(2, 8, 1)
    with pytest.raises(ValueError, match="expected one number per point for data with weights, got a scalar"):
        sl.SobolevLoss(1, derivative_loss=lambda p, t: (p - t).square().sum())(model, data)
    with pytest.raises(ValueError, match="expected points with whole derivatives alone.*got weights, too"):
        sl.StochasticSobolevLoss()(model, data)


@pytest.mark.parametrize("batch_size", [None, 4])
def test_weights_count_alike_in_every_trainer(batch_size):
    data = sl.SobolevData(torch.rand(10, 2), torch.rand(10), torch.rand(10, 2), weights=torch.rand(10) + 0.1)
    twice = lambda: [sl.models.MLP(2, 8, 1, activation="tanh", generator=torch.Generator().manual_seed(k)) for k in range(2)]
    together, alone, unweighted = twice(), twice(), twice()
    settings = dict(loss=sl.SobolevLoss(1, normalize=True), steps=20, lr=1e-2, batch_size=batch_size, progress=False)
    sl.fit_many(together, data, **settings)
    for models, own in ((alone, data), (unweighted, sl.SobolevData(*data.tensors))):
        for model in models:
            sl.fit(model, own, **settings)
    for a, b, c in zip(together, alone, unweighted):
        found = [model(data.inputs).detach() for model in (a, b, c)]
        torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)
        assert (found[1] - found[2]).abs().max() > 1e-3


def test_entry_weights_of_one_are_the_mean_square():
    p, t = torch.rand(5, 3, 2), torch.rand(5, 3, 2)
    each = sl.losses.EntryWeights(torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]]))(p, t)
    torch.testing.assert_close(each, (p - t)[:, 0, 0].square() + 2 * (p - t)[:, 2, 1].square())
    torch.testing.assert_close(sl.losses.EntryWeights(torch.ones(3, 2))(p, t), (p - t).square().sum((1, 2)))


@pytest.mark.parametrize("weights, error, message", [
    ([1.0, -1.0], ValueError, "weights: expected finite numbers, at least 0, got"),
    (torch.tensor([1.0, torch.nan]), ValueError, "weights: expected finite numbers, at least 0, got"),
    ("heavy", TypeError, "weights: expected a tensor of numbers, got str")])
def test_weights_of_entries_are_checked(weights, error, message):
    with pytest.raises(error, match=message):
        sl.losses.EntryWeights(weights)
    assert repr(sl.losses.EntryWeights([1.0, 0.5])) == "EntryWeights([1.0, 0.5])"
