"""DecoupledNetwork and its methods against plain backpropagation and losses written out by hand."""
import copy
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sobolev_lib.synthetic_gradients import METHODS, DecoupledNetwork
from sobolev_lib.synthetic_gradients.methods import VFBN, Critic, Direct, Sobolev
from sobolev_lib.synthetic_gradients.predictors import ClassPredictor
from sobolev_lib.theory import jacobian_asymmetry

PREDICTING = ("direct", "vfbn", "critic", "sobolev")
CUTS = [[], ["one"], ["three"], ["one", "two"], ["one", "two", "three"]]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def network(seed=0, device="cpu"):
    """Four named parts, maps first and flat activations later; smooth, so that nothing hides at a kink."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        parts = {"one": nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Tanh()),
                 "two": nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.Softplus()),
                 "three": nn.Sequential(nn.Flatten(), nn.Linear(36, 7), nn.Tanh()), "four": nn.Linear(7, 5)}
    return nn.Sequential(OrderedDict(parts)).to(device).double()


def batch(n=6, seed=0, device="cpu"):
    return (torch.randn(n, 1, 8, 8, generator=seeded(seed), dtype=torch.float64).to(device),
            torch.randint(5, (n,), generator=seeded(seed + 1)).to(device))


def cut(method, cuts=("one", "two", "three"), seed=0, device="cpu", **options):
    """A decoupled network whose synthetic gradients are away from their start at zero."""
    made = DecoupledNetwork(network(seed), cuts, method, example=batch(2)[0], width=6, generator=seeded(seed),
                            **options).double()
    with torch.no_grad():
        for k, p in enumerate(made.synthetic_parameters()):
            p.add_(0.3 * torch.randn(p.shape, generator=seeded(100 + k), dtype=p.dtype))
    return made.to(device)


def gradients(parameters):
    return [None if p.grad is None else p.grad.clone() for p in parameters]


# --- backpropagation --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_true_gradients_through_cuts_are_ordinary_backpropagation(cuts, device):
    plain, (x, y) = network(device=device), batch(device=device)
    loss = F.cross_entropy(plain(x), y)
    loss.backward()
    model = cut("backprop", cuts, device=device)
    total, report = model.objective(x, y)
    total.backward()
    torch.testing.assert_close(total, loss)
    torch.testing.assert_close(report.loss, loss.detach())
    for ours, theirs in zip(gradients(model.network_parameters()), gradients(plain.parameters())):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    assert len(report.cuts) == len(cuts)
    for found in report.cuts:
        torch.testing.assert_close(found.cosine, torch.ones_like(found.cosine))
        torch.testing.assert_close(found.norm_ratio, torch.ones_like(found.norm_ratio))
        assert found.gradient_error == 0 and found.loss_error is None


@pytest.mark.parametrize("method", METHODS)
def test_the_last_part_always_learns_from_the_true_loss(method, device):
    model, (x, y) = cut(method, device=device), batch(device=device)
    plain = copy.deepcopy(model.network)
    F.cross_entropy(plain(x), y).backward()
    model.objective(x, y)[0].backward()
    for ours, theirs in zip(model.network.four.parameters(), plain.four.parameters()):
        torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(model(x), plain(x))


def test_without_propagation_nothing_below_the_last_cut_learns(device):
    model, (x, y) = cut("noprop", device=device), batch(device=device)
    total, report = model.objective(x, y)
    total.backward()
    learned = {name.split(".")[0] for name, p in model.network.named_parameters() if p.grad is not None and p.grad.any()}
    assert learned == {"four"} and not model.synthetic_parameters()
    assert [found.gradient_error.item() for found in report.cuts] == pytest.approx([1, 1, 1])


# --- what a part learns from ------------------------------------------------------------------------------------

@pytest.mark.parametrize("targets", ["true", "bootstrapped"])
@pytest.mark.parametrize("method", PREDICTING)
def test_each_part_learns_from_the_synthetic_gradient_above_it_and_from_nothing_else(method, targets, device):
    model, (x, y) = cut(method, targets=targets, device=device), batch(device=device)
    model.objective(x, y)[0].backward()
    h = x
    for k, part in enumerate(copy.deepcopy(model).modules_between_cuts[:-1]):
        h = part(h.detach())
        part.zero_grad()
        h.backward(model.synthetic[k].gradient(h.detach(), y) / len(x))
        for ours, theirs in zip(model.modules_between_cuts[k].parameters(), part.parameters()):
            torch.testing.assert_close(ours.grad, theirs.grad)


def hidden(model, x):
    """Activations at the cuts."""
    found = []
    for part in model.modules_between_cuts[:-1]:
        x = part(x).detach()
        found.append(x)
    return found


def loss_above(model, k, h, y):
    for part in model.modules_between_cuts[k + 1:]:
        h = part(h)
    return F.cross_entropy(h, y, reduction="none")


def by_hand(model, k, h, y, value, gradient):
    """The synthetic gradient's loss as section 4.3 has it, the gradient term in units of the target's size."""
    synthetic = model.synthetic[k]
    size = gradient.square().sum()
    if isinstance(synthetic, Direct):
        return (synthetic.predictor(h, y) - gradient).square().sum() / size
    h = h.clone().requires_grad_()
    log_p = synthetic.predictor(h).log_softmax(1)
    m = -log_p[torch.arange(len(y), device=y.device), y]
    dm, = torch.autograd.grad(m.sum(), h, create_graph=True)
    losses = {Critic: (1, 0), VFBN: (0, 1), Sobolev: (1, 1)}[type(synthetic)]
    return losses[0] * (m - value).square().mean() + losses[1] * (dm - gradient).square().sum() / size


@pytest.mark.parametrize("method", PREDICTING)
def test_with_true_targets_the_synthetic_loss_is_that_of_the_paper(method, device):
    model, (x, y) = cut(method, device=device), batch(device=device)
    total, report = model.objective(x, y)
    total.backward()
    twin = copy.deepcopy(model)
    twin.zero_grad()
    expected = 0
    for k, h in enumerate(hidden(twin, x)):
        h.requires_grad_()
        value = loss_above(twin, k, h, y)
        gradient, = torch.autograd.grad(value.sum(), h)
        expected = expected + by_hand(twin, k, h.detach(), y, value.detach(), gradient)
    torch.testing.assert_close(report.synthetic_loss, expected.detach())
    torch.testing.assert_close(total.detach(), report.loss + expected.detach())
    expected.backward()
    for ours, theirs in zip(model.synthetic_parameters(), twin.synthetic_parameters()):
        torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("method", PREDICTING)
def test_bootstrapped_targets_come_from_the_part_above_alone(method, device):
    model, (x, y) = cut(method, targets="bootstrapped", device=device), batch(device=device)
    report = model.objective(x, y)[1]
    activations, expected = hidden(model, x), 0
    for k, h in enumerate(activations):
        h = h.clone().requires_grad_()
        if k == 2:
            value = loss_above(model, k, h, y)
            gradient, = torch.autograd.grad(value.sum(), h)
        else:
            above = model.modules_between_cuts[k + 1](h)
            synthetic = model.synthetic[k + 1]
            gradient, = torch.autograd.grad(above, h, synthetic.gradient(above.detach(), y))
            value = loss_above(model, k, h, y) if method == "direct" else synthetic.value(above, y)
        expected = expected + by_hand(model, k, h.detach(), y, value.detach(), gradient)
    torch.testing.assert_close(report.synthetic_loss, expected.detach())


def test_bootstrapping_needs_no_truth_and_diagnosing_changes_nothing(device):
    model, (x, y) = cut("sobolev", targets="bootstrapped", device=device), batch(device=device)
    found = []
    for diagnose in (True, False):
        model.zero_grad()
        total, report = model.objective(x, y, diagnose=diagnose)
        total.backward()
        found.append([total.detach(), *gradients(model.parameters())])
        assert len(report.cuts) == (3 if diagnose else 0)
    for with_report, without in zip(*found):
        torch.testing.assert_close(with_report, without)


@pytest.mark.parametrize("method", ["direct", "sobolev", "noprop"])
def test_the_report_says_how_far_a_field_is_from_a_gradient(method, device):
    model, (x, y) = cut(method, device=device), batch(4, device=device)
    report = model.objective(x, y)[1]
    for k, (h, found) in enumerate(zip(hidden(model, x), report.cuts)):
        if method == "noprop":
            assert found.asymmetry is None
            continue
        exact = jacobian_asymmetry(lambda h: model.synthetic[k].gradient(h, y), h).mean()
        assert (exact < 1e-6) == (method == "sobolev")
        torch.testing.assert_close(found.asymmetry, exact.detach(), rtol=0.3, atol=1e-6)


def test_rows_learn_from_their_own_loss_whatever_the_batch(device):
    model, (x, y) = cut("sobolev", device=device), batch(6, device=device)
    whole = model.synthetic[0].gradient(hidden(model, x)[0], y)
    for k in range(6):
        one = model.synthetic[0].gradient(hidden(model, x[k:k + 1])[0], y[k:k + 1])
        torch.testing.assert_close(one[0], whole[k])


def test_the_report_compares_with_the_true_gradient(device):
    model, (x, y) = cut("critic", device=device), batch(device=device)
    total, report = model.objective(x, y)
    for k, (h, found) in enumerate(zip(hidden(model, x), report.cuts)):
        h.requires_grad_()
        value = loss_above(model, k, h, y)
        true, = torch.autograd.grad(value.sum(), h)
        ours = model.synthetic[k].gradient(h, y)
        torch.testing.assert_close(found.cosine, F.cosine_similarity(ours.flatten(1), true.flatten(1)).mean())
        torch.testing.assert_close(found.norm_ratio, ours.norm() / true.norm())
        torch.testing.assert_close(found.gradient_error, ((ours - true).norm() / true.norm())**2)
        torch.testing.assert_close(found.loss_error, (model.synthetic[k].value(h, y) - value).abs().mean().detach())
    torch.testing.assert_close(report.accuracy, (model(x).argmax(1) == y).float().mean())


# --- the methods ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("weights, method", [((1.0, 0.0), "critic"), ((0.0, 1.0), "vfbn")])
def test_critic_and_vfbn_are_sobolev_with_a_weight_of_zero_exactly(weights, method, device):
    x, y = batch(device=device)
    found = []
    for model in (cut("sobolev", weights=weights, device=device), cut(method, device=device)):
        total, _ = model.objective(x, y)
        total.backward()
        found.append([total.detach(), *gradients(model.parameters())])
    for ours, theirs in zip(*found):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("method", PREDICTING)
def test_at_the_start_no_gradient_is_passed_and_every_class_is_as_probable(method, device):
    x, y = batch(device=device)
    model = DecoupledNetwork(network(device=device), ["two"], method, example=x[:2]).double()
    h = hidden(model, x)[0]
    assert not model.synthetic[0].gradient(h, y).any()
    if method != "direct":
        even = torch.full((6,), 5.0, dtype=torch.float64, device=device).log()
        torch.testing.assert_close(model.synthetic[0].value(h, y), even)


@pytest.mark.parametrize("cuts", [["one"], ["three"]])
def test_without_label_conditioning_a_direct_gradient_does_not_see_the_label(cuts):
    x, y = batch()
    for conditioned in (True, False):
        model = cut("direct", cuts, label_conditioning=conditioned)
        h = hidden(model, x)[0]
        same = torch.equal(model.synthetic[0].gradient(h, y), model.synthetic[0].gradient(h, (y + 1) % 5))
        assert same != conditioned


def test_a_loss_model_is_led_by_its_own_derivative(device):
    model, (x, y) = cut("sobolev", device=device), batch(device=device)
    h = hidden(model, x)[1]
    step, found = 1e-6, model.synthetic[1].gradient(h, y)
    direction = torch.randn(h.shape, generator=seeded(5), dtype=h.dtype).to(device)
    up, down = model.synthetic[1].value(h + step * direction, y), model.synthetic[1].value(h - step * direction, y)
    torch.testing.assert_close((found * direction).flatten(1).sum(1), ((up - down) / (2 * step)).detach(), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("side", [1, 2, 3])
def test_gradients_of_the_smallest_maps_are_finite_in_bfloat16(side):
    """Whatever lay in memory before: of a convolution with a stride of 2 on a map of one pixel PyTorch leaves part as it is."""
    model = ClassPredictor((4, side, side), 4, width=4)
    nn.init.ones_(model.head.weight)
    for _ in range(20):
        for size in (64, 256, 1024, 4096):
            dirt = [torch.full((size,), torch.nan, dtype=torch.bfloat16) for _ in range(20)]
            del dirt
        with torch.autocast("cpu", torch.bfloat16):
            found = torch.autograd.grad(model(torch.rand(8, 4, side, side)).sum(), list(model.parameters()))
        assert all(each.isfinite().all() for each in found)


def test_initial_weights_repeat_and_leave_the_global_random_state_alone():
    state = torch.get_rng_state()
    made = [DecoupledNetwork(network(), ["one"], "sobolev", example=batch(2)[0], generator=seeded(s)) for s in (3, 3, 4)]
    first = [m.synthetic_parameters()[0] for m in made]
    assert torch.equal(first[0], first[1]) and not torch.equal(first[0], first[2])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
def test_a_method_learns_what_it_is_shown(device):
    """Fixed activations and a fixed network above: the synthetic gradient comes close to the true one."""
    model, (x, y) = cut("sobolev", ["three"], device=device), batch(40, device=device)
    optimizer = torch.optim.Adam(model.synthetic_parameters(), lr=1e-2)
    errors = []
    for _ in range(300):
        optimizer.zero_grad()
        total, report = model.objective(x, y)
        total.backward()
        optimizer.step()
        errors.append(report.cuts[0].gradient_error.item())
    assert errors[-1] < 0.2 < errors[0]


# --- bad input --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, message", [
    (dict(method="sobolef"), "method: expected one of backprop"), (dict(targets="some"), "targets: expected one of true"),
    (dict(cuts=["five"]), "cuts: expected names of children"), (dict(cuts=["two", "one"]), "in order"),
    (dict(cuts=["one", "one"]), "cuts: expected"), (dict(cuts=["four"]), "the last child left out"),
])
def test_names_that_are_not_known_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        DecoupledNetwork(network(), **{"cuts": ["one"], "example": batch(2)[0], **arguments})


@pytest.mark.parametrize("y, message", [
    (torch.tensor([0, 1, 5]), "labels from 0 to 4, got 0 to 5"), (torch.tensor([-1, 1, 2]), "got -1 to 2"),
    (torch.tensor([0.0, 1.0, 2.0]), "one class number a row"), (torch.tensor([0, 1]), r"shape \(3,\), got \(2,\)"),
    (torch.zeros(3, 5, dtype=torch.long), r"got \(3, 5\)")])
def test_labels_are_checked(y, message):
    with pytest.raises(ValueError, match=message):
        cut("sobolev").objective(batch(3)[0], y)


class Step(nn.Module):
    def forward(self, x):
        return (x > 0).to(x.dtype)


def test_a_part_without_a_derivative_is_refused():
    parts = nn.Sequential(nn.Linear(4, 6), Step(), nn.Linear(6, 3))
    model = DecoupledNetwork(parts, ["1"], "sobolev", example=torch.rand(2, 4))
    with pytest.raises(ValueError, match="part 1 to be differentiable"):
        model.objective(torch.rand(3, 4), torch.tensor([0, 1, 2]))


def test_a_network_without_logits_is_refused():
    with pytest.raises(ValueError, match=r"logits of shape \(N, num_classes\), got \(N, 3, 8, 8\)"):
        DecoupledNetwork(network()[:1], [], "backprop", example=batch(2)[0])
