"""The chapters of the part "The idea": sentences follow the numbers, exercises know right from wrong, and the mathematics holds."""
import math
import re

import numpy as np
import pytest
import torch
from cells import cell

import sobolev_lib as sl
from sobolev_lib import widgets
from sobolev_lib.experiments.verdicts import Verdict
from sobolev_lib.notebook import number, seeded, table, verdict


class Page(dict):
    """What stands in for a notebook's memory; ``told`` collects the Markdown that a cell makes."""

    def __init__(self, **found):
        self.told = []
        super().__init__(torch=torch, np=np, sl=sl, math=math, widgets=widgets, number=number, seeded=seeded, table=table,
                         verdict=verdict, Markdown=self.told.append, display=lambda shown: None, device="cpu", **found)

    def say(self, page, name):
        """The sentences of a cell, with what is in memory."""
        self.told.clear()
        exec(cell(page, name), self)
        return " ".join(self.told)


# Sentences


def test_five_minutes_says_who_came_closer():
    def said(plain, slopes, thrice):
        found = {"regular, 20 points": plain, "Sobolev, 20 points": slopes, "regular, 60 points": thrice}
        found = {name: np.array(errors) for name, errors in found.items()}
        medians = {name: float(np.median(errors)) for name, errors in found.items()}
        return Page(found=found, medians=medians, test=range(5000), SEEDS=range(3)).say("five_minutes", "five-minutes-21")

    one = said([4, 4, 4], [1, 1, 1], [2, 2, 2])
    assert "on **3 of 3** seeds" in one and "0.25 times the regular one" in one and "give a higher median" in one
    other = said([1, 1, 4], [2, 2, 2], [0.5, 0.5, 0.5])
    assert "on **1 of 3** seeds" in other and "2 times the regular one" in other and "give a lower median" in other


def test_the_prediction_is_answered_by_the_ranking():
    code = cell("five_minutes", "five-minutes-predict").partition("PLACES = ")[2]
    for errors, words in (([3, 1, 2], ["highest", "lowest", "in the middle"]), ([1, 2, 3], ["lowest", "in the middle", "highest"])):
        asked = {}
        page = Page(found=dict(zip("abc", np.array(errors, float)[:, None])))
        page["widgets"] = type("W", (), {"Question": staticmethod(lambda question, choices, **more: asked.update(choices))})
        exec("PLACES = " + code, page)
        assert [word in text for word, text in zip(words, asked.values())] == [True] * 3


@pytest.mark.parametrize("far, off, says", [
    ([0.5, 0.7, 0.03], [0.7, 0.1], ["made it worse, though", "first picture they made it better", "tell where to turn", "so neither"]),
    ([0.7, 0.2, 0.6], [0.1, 0.7], ["slopes made it better,", "first picture they made it worse", "did not help further", "have 0.52. The"]),
])
def test_the_loss_says_whether_slopes_hurt(far, off, says):
    page = Page(far=far, off=off, zero=0.52)
    exec(cell("the_loss", "the-loss-62").partition("# In words: ")[2].partition("\n")[2], page)
    told = page.told[0]
    assert [text in told for text in says] == [True] * 4 and f"**{far[1]:.2g}** with slopes" in told


def test_the_loss_says_what_each_order_bought():
    def said(errors):
        results = {kind: {f"order {k}": list(e) for k, e in enumerate(errors)} for kind in ("values", "gradients", "Hessians")}
        return Page(results=results, repeats=2, kinds=tuple(results)).say("the_loss", "the-loss-66")

    assert "Each order lowered it. Order 2 beat order 0 on all three measures in each of 2 seeds" in said([[3, 3], [2, 2], [1, 1]])
    told = said([[3, 1], [2, 2], [4, 0]])
    assert "Not every order lowered it" in told and "1 of 2 seeds (values)" in told


def test_stochastic_says_how_far_the_mean_is_off():
    close, far = (Page(draws=torch.tensor([1.0, 3.0] * 50), exact=exact, q=10).say("stochastic", "stochastic-23")
                  for exact in (2.05, 4.0))
    assert "as chance would have it" in close and "more than chance" in far and "average to 0.200" in close


def test_stochastic_s_verdict_follows_costs_and_errors():
    def status(highest, many, projected, growth=1.0):
        page = Page(lowest=1.8, highest=highest, many=many, steps=100, ends={"values only": 0.9, "one projection": projected},
                    Verdict=Verdict, prices={8: [{"one projection": 1.8}, {"one projection": 1.8 * growth}]})
        code = cell("stochastic", "stochastic-51").partition("# In words")[2]
        exec(re.sub(r"^verdict\(", "block = verdict(", "#" + code, flags=re.MULTILINE), page)
        return page["block"].verdict

    assert status(2.0, 600, 0.2).status == "confirmed" and "it learns" in status(2.0, 600, 0.2).measured
    assert status(4.0, 600, 0.2).status == "confirmed in direction"
    assert status(2.0, 600, 1.2).status == "confirmed in direction" and "did not help" in status(2.0, 600, 1.2).measured
    assert status(4.0, 20, 0.2).status == "contradicted"
    assert "factor does not grow" in status(2.0, 600, 0.2).measured and "factor grows" in status(2.0, 600, 0.2, 1.5).measured


# Exercises


def check(page, name, answer, **memory):
    """What the self-check prints for an answer, given as Python code."""
    memory = Page(**memory)
    exec(cell(page, name), memory)                         # with None it says "not yet" and defines the check
    checks = [value for key, value in memory.items() if key.startswith("check_")]
    exec(answer, memory)
    return checks[-1](memory["answer"])


def solution(page, name):
    return re.search(r"```python\n(.+?)```", cell(page, name), re.DOTALL)[1]


def function(x):
    return torch.sin(2 * x[:, 0]) * torch.cos(x[:, 1]) + 0.5 * x[:, 0] * x[:, 1]


def sample(n, seed):
    return 4 * torch.rand(n, 2, generator=seeded(seed)) - 2


@pytest.mark.parametrize("answer, says", [
    (solution("five_minutes", "five-minutes-47") + "answer = factor", "right"),
    ("answer = [1 / sl.check_labels(points, values, gradients).factor]", "right"),
    ("answer = np.array([_secret])", "right"),
    ("answer = torch.tensor([[_secret]], requires_grad=True)", "right"),
    ("answer = math.nan", "expected finite numbers, got nan"),
    ("answer = -_secret", "more than one part in ten"),
    ("answer = [_secret, _secret]", "expected one number, got 2 numbers"),
    ("answer = []", "expected one number, got 0 numbers"),
    ("answer = 1 / _secret", "one over the factor"),
    ("answer = 1.7 * _secret", "more than one part in ten"),
    ("answer = 'two'", "expected one number"),
    ("answer = None", "not yet"),
])
def test_the_wrong_factor(answer, says):
    assert says in check("five_minutes", "five-minutes-46", answer, f=function, sample=sample)


COSINE = "cosine = torch.nn.functional.cosine_similarity\n"


@pytest.mark.parametrize("answer, says", [
    (solution("the_loss", "the-loss-80") + "answer = direction_loss", "right"),
    (f"{COSINE}answer = lambda p, t: (1 - cosine(p, t, dim=1)).requires_grad_()", "right"),
    (f"{COSINE}answer = lambda p, t: (1 - cosine(p, t, dim=1)).unsqueeze(1)", "right; to train with it"),
    (f"{COSINE}answer = lambda p, t: (1 - cosine(p, t, dim=1)).tolist()", "right; to train with it"),
    (f"{COSINE}answer = lambda p, t: tuple(1 - cosine(p, t, dim=1))", "right; to train with it"),
    (f"{COSINE}answer = lambda p, t: (1 - cosine(p, t, dim=1)).numpy()", "right; to train with it"),
    ("answer = lambda p, t: p[:, 0] * torch.nan", "expected finite numbers, got nan"),
    ("answer = lambda p, t: ['0', '1', '2']", "expected 3 numbers, got ['0', '1', '2']"),
    (f"{COSINE}answer = lambda p, t: (1 - cosine(p, t, dim=1)).mean()", "expected 3 numbers, got one number"),
    ("answer = torch.nn.CosineSimilarity()", "this is the cosine"),
    ("answer = lambda p, t: 1 - (p * t).sum(1)", "Divide by both lengths"),
    ("answer = lambda p, t: torch.ones(3, 2)", "expected 3 numbers, got numbers of shape (3, 2)"),
    ("answer = lambda p, t: None", "not yet"),
])
def test_a_loss_of_your_own(answer, says):
    told = check("the_loss", "the-loss-79", answer)
    assert (told == says) if says in ("right", "not yet") else (says in told)


def test_the_library_takes_the_loss_of_the_solution():
    memory = Page()
    exec(solution("the_loss", "the-loss-80"), memory)
    three = sl.label(lambda x: torch.sin(3 * x[:, 0]), torch.tensor([[-1.4], [0.1], [1.3]]))
    loss = sl.SobolevLoss(order=1, derivative_loss=memory["direction_loss"])
    assert 0 <= loss.terms(sl.models.MLP(1, 8, 1, generator=seeded(0)), three)[1] <= 2


@pytest.mark.parametrize("answer, says", [
    (solution("stochastic", "stochastic-75") + "answer = my_projection", "right"),
    ("def answer(m, x, v):\n  x = x.detach().requires_grad_()\n  return torch.autograd.grad((m(x) * v).sum(), x, create_graph=True)", "right"),
    ("def answer(m, x, v):\n  x = x.detach().requires_grad_()\n  return torch.autograd.grad(m(x), x, v)[0]", "no graph"),
    ("def answer(m, x, v):\n  x = x.detach().requires_grad_()\n  return torch.autograd.grad(m(x).sum(), x)[0]", "plain sum"),
    ("answer = lambda m, x, v: 2 * x", "other numbers"),
    ("answer = lambda m, x, v: v", "expected a tensor of shape (5, 4)"),
    ("answer = lambda m, x, v: None", "not yet"),
])
def test_project_by_hand(answer, says):
    memory = {"network": lambda *sizes, seed: sl.models.MLP(*sizes, activation="tanh", generator=seeded(seed)),
              "points": lambda n, d, seed: torch.randn(n, d, generator=seeded(seed))}
    assert says in check("stochastic", "stochastic-74", answer, **memory)


def test_questions_with_a_number_hold_it():
    data = sl.label(function, sample(20, 0))
    assert data.values.numel() + data.jacobian.numel() == 60
    assert "number=60" in cell("five_minutes", "five-minutes-count")
    # metres and millimetres
    model, mm = sl.models.MLP(2, 8, 1, generator=seeded(0)), sl.label(lambda x: function(x / 1000), 1000 * data.inputs)
    one, other = (sl.SobolevLoss(order=1).terms(m, set_)[1].item() for m, set_ in ((model, data), (lambda x: model(x / 1000), mm)))
    assert one / other == pytest.approx(1e6, rel=1e-3) and "number=1_000_000" in cell("the_loss", "the-loss-units")


# Mathematics


def test_the_reach_of_a_slope():
    text = cell("the_loss", "the-loss-why")
    reach = {2: math.sqrt(2 / 9), 3: (6 / 27) ** (1 / 3)}   # where 9 t²/2 and 27 t³/6 are 1
    assert f"\\delta = {reach[2]:.2f}$" in text and f"the reach to ${reach[3]:.2f}$" in text
    x = torch.linspace(-2, 2, 2001, dtype=torch.float64)
    for points, farthest in ((3, 0.9), (6, 0.36)):
        nearest = (x[:, None] - torch.linspace(-1.8, 1.8, points, dtype=torch.float64)).abs().min(1).values.max().item()
        assert nearest == pytest.approx(farthest, abs=2e-3) and f"${farthest}$" in text
        assert (nearest < reach[2]) == (points == 6)
    step = torch.linspace(-reach[2], reach[2], 101, dtype=torch.float64)[:, None]
    missed = torch.sin(3 * (x + step)) - torch.sin(3 * x) - step * 3 * torch.cos(3 * x)
    assert 0.8 < missed.abs().max() <= 1


def test_a_kink_has_a_weak_slope_and_a_step_has_none():
    x = torch.linspace(-1, 1, 200_001, dtype=torch.float64)
    bump = torch.where(x.abs() < 0.9, torch.exp(-1 / (0.81 - x**2).clamp_min(1e-12)), 0.0) * (1 + x)     # psi
    slope = torch.gradient(bump, spacing=(x,))[0]
    kink, stairs = x.clamp_min(0), (x > 0).double()
    both = torch.trapezoid(kink * slope, x), -torch.trapezoid(stairs * bump, x)
    assert both[0] == pytest.approx(both[1].item(), abs=1e-5)
    # the step's slope is zero at almost every point, and the left side of the definition is not
    assert torch.trapezoid(stairs * slope, x) == pytest.approx(-bump[100_000].item(), abs=1e-4) and bump[100_000] > 0.1


@pytest.mark.parametrize("distribution", ["sphere", "gaussian", "rademacher"])
def test_the_lemma_and_the_variances(distribution):
    q = 6
    A = torch.randn(q, 4, generator=seeded(0), dtype=torch.float64)
    G, size = A @ A.T, A.square().sum()
    v = sl.StochasticSobolevLoss(1, 200_000, distribution).draw(torch.zeros(1, 4, dtype=torch.float64), (q,), seeded(1))[0][:, 0]
    draws = (v @ A).square().sum(1)
    variance = {"gaussian": 2 * G.square().sum(), "rademacher": 2 * (G.square().sum() - G.diagonal().square().sum()),
                "sphere": 2 * q / (q + 2) * (G.square().sum() - G.trace() ** 2 / q)}[distribution]
    assert draws.mean() == pytest.approx(size.item(), rel=0.02) and draws.var() == pytest.approx(variance.item(), rel=0.03)
    assert variance <= 2 * size**2
    if distribution != "gaussian":                         # v^T v = q
        gradient = 2 * v[:, :, None] * (v @ A)[:, None, :]
        noise = (gradient - 2 * A).square().sum((1, 2)).mean() / (2 * A).square().sum()
        assert noise == pytest.approx(q - 1, rel=0.03)


def test_the_full_loss_forms_the_jacobian_and_a_projection_does_not():
    largest = {}
    for name, loss in (("full", sl.SobolevLoss()), ("one projection", sl.StochasticSobolevLoss())):
        from torch.utils._python_dispatch import TorchDispatchMode

        class Watch(TorchDispatchMode):
            largest = 0

            def __torch_dispatch__(self, function, types, args=(), kwargs=None):
                result = function(*args, **(kwargs or {}))
                if isinstance(result, torch.Tensor):
                    self.largest = max(self.largest, result.numel())
                return result

        models = [sl.models.MLP(64, hidden, 100, activation="tanh", generator=seeded(hidden)) for hidden in (32, 64)]
        x = torch.randn(16, 64, generator=seeded(0))
        with Watch() as watch:
            (loss(models[0], sl.label(models[1], x)) if name == "full" else loss(models[0], x, models[1])).backward()
        largest[name] = watch.largest
    assert largest["full"] == 16 * 100 * 64 and largest["one projection"] <= 64 * 100
