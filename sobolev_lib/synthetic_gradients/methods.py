"""What stands in for the gradient at a cut: the methods of Table 1, one small class each."""
from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sobolev_lib.synthetic_gradients.predictors import ClassPredictor, GradientPredictor


class Backprop(nn.Module):
    """The true gradient passes the cut: nothing is predicted. The reference of Table 1.

    >>> Backprop((16,), num_classes=10).predicts
    False
    """

    predicts = False
    passes = True

    def __init__(self, shape: Sequence[int], num_classes: int, width: int = 64, *,
                 generator: torch.Generator | None = None):
        super().__init__()


class Noprop(Backprop):
    """No gradient passes the cut: what lies below stays at its initial weights.

    >>> Noprop((16,), num_classes=10).passes
    False
    """

    passes = False


class Direct(nn.Module):
    """A network that predicts the gradient itself from h and y, trained on its squared error.

    >>> direct = Direct((16,), num_classes=10)
    >>> direct.gradient(torch.rand(4, 16), torch.tensor([3, 1, 4, 1])).shape
    torch.Size([4, 16])

    Nothing makes such a field the gradient of anything: see Proposition 4. Source: L_SG in section 4.3.
    """

    predicts = passes = True

    def __init__(self, shape: Sequence[int], num_classes: int, width: int = 64, *, label_conditioning: bool = True,
                 generator: torch.Generator | None = None):
        super().__init__()
        self.predictor = GradientPredictor(shape, num_classes, width, label_conditioning=label_conditioning,
                                           generator=generator)

    def gradient(self, h: Tensor, y: Tensor) -> Tensor:
        """Synthetic gradient of each row's own loss, (N, *shape), as a function of h."""
        return self.predictor(h, y)

    def predict(self, h: Tensor, y: Tensor) -> tuple[None, Tensor]:
        """No loss, and the synthetic gradient (N, *shape), to be learned from."""
        return None, self.predictor(h, y)

    def loss(self, predicted: tuple[None, Tensor], value: Tensor, gradient: Tensor) -> Tensor:
        """Squared error of the predicted gradient, relative to the target's mean square."""
        return _relative_error(predicted[1], gradient)


class Sobolev(nn.Module):
    """Predicts the loss as m(h, y) = L(p(h), y); its derivative is the synthetic gradient. Both get supervision.

    >>> sobolev = Sobolev((16,), num_classes=10)
    >>> sobolev.value(torch.rand(4, 16), torch.tensor([3, 1, 4, 1])).shape
    torch.Size([4])

    ``weights`` are those of the loss and of the gradient. p is a ``ClassPredictor``; L is the cross entropy, of each
    row alone. The label enters through L. Source: L_SG^sob in section 4.3.
    """

    predicts = passes = True
    weights = (1.0, 1.0)

    def __init__(self, shape: Sequence[int], num_classes: int, width: int = 64, *,
                 weights: tuple[float, float] | None = None, generator: torch.Generator | None = None):
        super().__init__()
        self.weights = type(self).weights if weights is None else tuple(weights)
        self.predictor = ClassPredictor(shape, num_classes, width, generator=generator)

    def value(self, h: Tensor, y: Tensor) -> Tensor:
        """The predicted loss of each row, (N,)."""
        return F.cross_entropy(self.predictor(h), y, reduction="none")

    def gradient(self, h: Tensor, y: Tensor) -> Tensor:
        """Synthetic gradient of each row's own loss, (N, *shape), as a function of h: the derivative of ``value``."""
        return torch.func.grad(lambda h: self.value(h, y).sum())(h)

    def predict(self, h: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The predicted losses (N,) and the synthetic gradient (N, *shape), to be learned from; one pass for both."""
        with torch.enable_grad():
            h = h.detach().requires_grad_()
            value = self.value(h, y)
            gradient, = torch.autograd.grad(value.sum(), h, retain_graph=True, create_graph=self.weights[1] > 0)
        return value, gradient

    def loss(self, predicted: tuple[Tensor, Tensor], value: Tensor, gradient: Tensor) -> Tensor:
        """Squared error of the predicted loss, plus that of its derivative relative to the target's mean square."""
        total = self.weights[0] * F.mse_loss(predicted[0], value)
        return total + self.weights[1] * _relative_error(predicted[1], gradient) if self.weights[1] > 0 else total


class Critic(Sobolev):
    """The same module with supervision of the loss alone; its derivative is used all the same.

    >>> Critic((16,), num_classes=10).weights
    (1.0, 0.0)

    Source: section 4.3, "a critic".
    """

    weights = (1.0, 0.0)


class VFBN(Sobolev):
    """The same module with supervision of the gradient alone: a virtual forward-backward network.

    >>> VFBN((16,), num_classes=10).weights
    (0.0, 1.0)

    Source: section 4.3, reference 25.
    """

    weights = (0.0, 1.0)


METHODS = {"backprop": Backprop, "noprop": Noprop, "direct": Direct, "vfbn": VFBN, "critic": Critic, "sobolev": Sobolev}


def _relative_error(predicted: Tensor, gradient: Tensor) -> Tensor:
    size = gradient.square().sum()
    # a target of nothing but zeros leaves the plain error
    return F.mse_loss(predicted, gradient, reduction="sum") / torch.where(size > 0, size, 1.0)
