"""Squared errors without a graph: the same gradient and the same terms as by autograd, bit for bit, and never for another loss."""
import pytest
import torch

import sobolev_lib as sl
from sobolev_lib.losses.squares import are_exact_enough, are_squares, gradient_of_squares
from sobolev_lib.training import steps

NAN = float("nan")


def labelled(n=7, out=(), missing=False, dtype=torch.float32, **more):
    generator = torch.Generator().manual_seed(n)
    x, y, dy = (torch.randn(*shape, generator=generator, dtype=dtype) for shape in ((n, 3), (n, *out), (n, *out, 3)))
    if missing:
        dy[torch.rand(dy.shape, generator=generator) < 0.3] = NAN
        y[2] = NAN
    return sl.SobolevData(x, y, dy, **more)


def predicted(data, shape=None):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(own.shape if shape is None else (len(data), 1, *own.shape[1:]), generator=generator, dtype=own.dtype)
            for own in data.derivatives]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("out, shape", [((), None), ((), "a column"), ((2,), None)])
@pytest.mark.parametrize("normalize", [False, (3.0, 0.7)])
def test_gradient_and_terms_are_those_of_autograd(out, shape, missing, normalize, dtype):
    data, loss = labelled(out=out, missing=missing, dtype=dtype), sl.SobolevLoss(1, weights=(1.3, 0.2), normalize=normalize)
    predictions = [each.requires_grad_() for each in predicted(data, shape)]
    terms = loss.compare(predictions, data)
    loss.total(terms).backward()
    slopes, found = gradient_of_squares([each.detach() for each in predictions], data.derivatives, loss.weights, loss.normalize or None)
    assert all(torch.equal(slope, each.grad) for slope, each in zip(slopes, predictions))
    assert all(torch.equal(*both) for both in zip(found, terms))


@pytest.mark.parametrize("missing", [False, True])
def test_those_of_many_are_those_of_each(missing):
    sets = [labelled(missing=missing, n=7) for _ in range(3)]
    predictions = [[part * (k + 1) for part in predicted(data)] for k, data in enumerate(sets)]
    weights, divisors = torch.rand(3, 2), 1 + torch.rand(3, 2)
    stacked = [[torch.stack(parts) for parts in zip(*each)] for each in (predictions, [data.derivatives for data in sets])]
    slopes, terms = gradient_of_squares(*stacked, weights.T, divisors.T)
    for k, data in enumerate(sets):
        own, found = gradient_of_squares(predictions[k], data.derivatives, weights[k], divisors[k])
        assert all(torch.equal(slope[k], mine) for slope, mine in zip(slopes, own))
        torch.testing.assert_close([term[k] for term in terms], found)


def test_a_network_that_has_diverged_is_not_taken_for_a_missing_label():
    data = labelled(missing=True)
    predictions = [torch.full_like(part, NAN) for part in data.derivatives]
    slopes, terms = gradient_of_squares(predictions, data.derivatives, (1.0, 1.0))
    assert all(torch.equal(slope.isnan(), ~label.isnan()) for slope, label in zip(slopes, data.derivatives))
    assert all(term.isnan() for term in terms)


class Doubled(sl.SobolevLoss):
    def compare(self, predictions, batch):
        return tuple(2 * term for term in super().compare(predictions, batch))


def test_no_other_loss_is_taken_for_squares():
    square = lambda prediction, target: (prediction - target).square().flatten(1).sum(1)
    others = [sl.SobolevLoss(1, value_loss="l1"), sl.SobolevLoss(1, derivative_loss=square), sl.SobolevLoss(1, normalize=True),
              Doubled(1), sl.StochasticSobolevLoss(1)]
    assert are_squares(sl.SobolevLoss(1), ()) and not any(are_squares(loss, ()) for loss in others)
    assert not are_squares(sl.SobolevLoss(1), ("weights",)) and not are_squares(sl.SobolevLoss(1), ("noise",))
    for short in (torch.float16, torch.bfloat16):
        assert not are_exact_enough(*[labelled(dtype=short).derivatives] * 2)
    assert not are_exact_enough([part.bfloat16() for part in labelled().derivatives], labelled().derivatives)       # under autocast


@pytest.mark.parametrize("own", ["fit", "fit_many"])
def test_trainers_ask_for_it_and_heed_a_loss_of_ones_own(own, monkeypatch):
    def trained(loss):
        model, data = sl.models.MLP(3, 8, 1, generator=torch.Generator().manual_seed(0)), labelled(missing=True)
        if own == "fit":
            sl.fit(model, data, loss=loss, steps=5, progress=False)
        else:
            sl.fit_many([model], [data], loss=loss, steps=5, progress=False)
        return torch.cat([part.detach().flatten() for part in model.parameters()])

    asked = []
    monkeypatch.setattr(steps, "gradient_of_squares", lambda *given: asked.append(1) or gradient_of_squares(*given))
    ours = trained(sl.SobolevLoss(1))
    assert len(asked) == 5
    twice = trained(Doubled(1))
    assert len(asked) == 5
    torch.testing.assert_close(twice, trained(sl.SobolevLoss(1, weights=(2.0, 2.0))), rtol=1e-5, atol=1e-7)
    monkeypatch.setattr(steps, "are_squares", lambda *given: False)
    assert torch.equal(ours, trained(sl.SobolevLoss(1)))


@pytest.mark.parametrize("own", ["fit", "fit_many"])
def test_labels_of_another_shape_are_refused(own):
    model = sl.models.MLP(3, 8, 2)
    with pytest.raises(ValueError, match="expected outputs of shape"):
        sl.fit(model, labelled(14)) if own == "fit" else sl.fit_many([model], [labelled(14)])
