"""A network cut into modules that learn from synthetic gradients."""
from dataclasses import dataclass, field
from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sobolev_lib.synthetic_gradients.methods import METHODS
from sobolev_lib.theory import jacobian_asymmetry

TARGETS = ("true", "bootstrapped")


@dataclass
class CutReport:
    """What passed a cut in one step. Means over the batch, still tensors so that a GPU needn't wait.

    >>> loss, report = model.objective(x, y)                                                   # doctest: +SKIP
    >>> report.cuts[0].cosine                                                                  # doctest: +SKIP
    tensor(0.4132)

    ``cosine`` between synthetic and true gradient, ``norm_ratio`` of synthetic to true, ``gradient_error`` (squared,
    relative to the true gradient's square), ``loss_error`` (absolute, in nats; None if no loss is predicted),
    ``asymmetry`` of the field's Jacobian, which a gradient field hasn't (``theory.jacobian_asymmetry``, estimated on a few
    rows; None if nothing is predicted).
    """

    cosine: Tensor
    norm_ratio: Tensor
    gradient_error: Tensor
    loss_error: Tensor | None
    asymmetry: Tensor | None


@dataclass
class StepReport:
    """The network's own loss and accuracy on the batch, the synthetic gradients' loss, and a report for each cut.

    >>> loss, report = model.objective(x, y)                                                   # doctest: +SKIP
    >>> report.loss, len(report.cuts)                                                          # doctest: +SKIP
    (tensor(0.3321), 3)
    """

    loss: Tensor
    accuracy: Tensor
    synthetic_loss: Tensor
    cuts: list[CutReport] = field(default_factory=list)


class DecoupledNetwork(nn.Module):
    """A classifier cut at named points; each part but the last learns from a synthetic gradient.

    >>> network = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    >>> model = DecoupledNetwork(network, cuts=["1"], method="sobolev", example=torch.rand(2, 8))
    >>> loss, report = model.objective(torch.rand(4, 8), torch.tensor([0, 1, 2, 0]))
    >>> loss.backward()

    ``network``: an ``nn.Sequential`` from inputs (N, ...) to logits (N, num_classes). ``cuts``: names of its children,
    in order; the network is cut after each. ``method``: one of ``METHODS``. ``example``: a few inputs, to learn the
    shapes from. ``width`` and ``options`` go to the method (``label_conditioning`` for direct, ``weights`` for sobolev).
    ``targets``: what synthetic gradients are trained on. "true" back-propagates through all that lies above, which is
    for measurement: nothing is decoupled then. "bootstrapped" asks only the module above, which passes its own synthetic
    gradient down; this is what a decoupled network has.

    Gradients and losses are those of each row on its own, whatever the batch size (batch normalisation above a cut
    mixes rows; then a row's gradient is that of the batch's summed loss). Raises ``ValueError`` for unknown names, for a
    network whose logits are not (N, num_classes), and for a part that is not differentiable. Source: section 4.3.
    """

    def __init__(self, network: nn.Sequential, cuts: Sequence[str], method: str = "sobolev", *, example: Tensor,
                 width: int = 64, targets: str = "true", generator: torch.Generator | None = None, **options):
        super().__init__()
        if method not in METHODS:
            raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
        if targets not in TARGETS:
            raise ValueError(f"targets: expected one of {', '.join(TARGETS)}, got {targets!r}")
        names = [name for name, _ in network.named_children()]
        places = [names.index(cut) if cut in names else None for cut in cuts]
        if None in places or places != sorted(set(places)) or (places and places[-1] == len(names) - 1):
            raise ValueError(f"cuts: expected names of children in order, the last child left out, from {names}; got "
                             f"{list(cuts)}")
        self.network, self.cuts, self.method, self.targets = network, list(cuts), method, targets
        ends = [place + 1 for place in places]
        self._bounds = list(zip([0, *ends], [*ends, len(names)]))
        self.num_classes, shapes = self._probe(example)
        self.synthetic = nn.ModuleList(METHODS[method](shape, self.num_classes, width, generator=generator, **options)
                                       for shape in shapes).to(example.device)

    @property
    def modules_between_cuts(self) -> list[nn.Sequential]:
        """The parts, from the input up; they share their weights with ``network``."""
        return [self.network[start:end] for start, end in self._bounds]

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, num_classes), as ``network`` gives them."""
        return self.network(x)

    def objective(self, x: Tensor, y: Tensor, *, diagnose: bool = True) -> tuple[Tensor, StepReport]:
        """A scalar whose gradient is what each part learns from, and a report of the step.

        Its value is the network's mean loss plus the synthetic gradients' losses. ``diagnose`` compares with the true
        gradient at every cut, which bootstrapped targets would not need.
        """
        check_labels(y, x, self.num_classes)
        inside, outside = self._forward(x)
        losses = F.cross_entropy(outside[-1], y, reduction="none")
        true = self._true_gradients(losses, inside, outside) if self._needs_truth(diagnose) else None
        # from the top down: what a part passes to the one below needs the gradient it got itself
        value, target = losses.detach(), None
        if self.cuts:
            target = true[-1] if true else torch.autograd.grad(losses.sum(), inside[-1], retain_graph=True)[0]
        surrogate = synthetic_loss = outside[-1].new_zeros(())
        reports = []
        for k in reversed(range(len(self.cuts))):
            synthetic, h = self.synthetic[k], outside[k].detach()
            predicted, passed = None, true[k] if synthetic.passes and true else None
            if synthetic.predicts:
                predicted, gradient = synthetic.predict(h, y)
                passed = gradient.detach()
                if self.targets == "true":
                    value, target = losses.detach(), true[k]
                synthetic_loss = synthetic_loss + synthetic.loss((predicted, gradient), value, target)
            if diagnose:
                asymmetry = _asymmetry(synthetic, h, y) if synthetic.predicts else None
                reports.insert(0, _compare(passed, predicted, true[k], losses.detach(), asymmetry))
            if passed is not None:
                surrogate = surrogate + (outside[k] * passed).sum() / len(x)
            if self.targets == "bootstrapped" and synthetic.predicts and k > 0:
                target, = torch.autograd.grad(outside[k], inside[k], passed, retain_graph=True)
                value = losses.detach() if predicted is None else predicted.detach()
        loss = losses.mean()
        report = StepReport(loss.detach(), (outside[-1].argmax(1) == y).float().mean(),
                            synthetic_loss.detach(), reports)
        return loss + synthetic_loss + (surrogate - surrogate.detach()), report

    def network_parameters(self) -> list[nn.Parameter]:
        """Parameters of the network itself."""
        return list(self.network.parameters())

    def synthetic_parameters(self) -> list[nn.Parameter]:
        """Parameters of the synthetic-gradient modules; they want an optimiser of their own."""
        return list(self.synthetic.parameters())

    def _probe(self, example):
        training = self.network.training
        self.network.eval()                                # batch normalisation must not count the example
        with torch.no_grad():
            shapes, h = [], example
            for part in self.modules_between_cuts:
                h = part(h)
                shapes.append(tuple(h.shape[1:]))
        self.network.train(training)
        if len(shapes[-1]) != 1:
            raise ValueError(f"network: expected logits of shape (N, num_classes), got (N, {', '.join(map(str, shapes[-1]))})")
        return shapes[-1][0], shapes[:-1]

    def _forward(self, x):
        inside, outside, h = [], [], x
        for k, part in enumerate(self.modules_between_cuts):
            inside.append(h.detach().requires_grad_() if k else h)
            h = part(inside[-1])
            if not h.requires_grad:
                raise ValueError(f"network: expected part {k + 1} to be differentiable, got an output without a gradient")
            outside.append(h)
        return inside, outside

    def _needs_truth(self, diagnose: bool) -> bool:
        learns_from_it = self.method == "backprop" or self.targets == "true" and self.method != "noprop"
        return bool(self.cuts) and (diagnose or learns_from_it)

    def _true_gradients(self, losses, inside, outside) -> list[Tensor]:
        gradients, above = [], torch.autograd.grad(losses.sum(), inside[-1], retain_graph=True)[0]
        gradients.insert(0, above)
        for k in reversed(range(1, len(self.cuts))):
            above, = torch.autograd.grad(outside[k], inside[k], above, retain_graph=True)
            gradients.insert(0, above)
        return gradients


def check_labels(y: Tensor, x: Tensor, num_classes: int) -> None:
    """Raise ``ValueError`` unless ``y`` holds one class number a row."""
    if y.shape != x.shape[:1] or y.is_floating_point():
        raise ValueError(f"y: expected one class number a row, shape ({len(x)},), got {tuple(y.shape)} of {y.dtype}")
    if y.device.type == "cpu" and len(y) and not (0 <= int(y.min()) and int(y.max()) < num_classes):
        raise ValueError(f"y: expected labels from 0 to {num_classes - 1}, got {int(y.min())} to {int(y.max())}")


@torch.no_grad()
def _compare(passed, predicted, true, losses, asymmetry) -> CutReport:
    ours = torch.zeros_like(true) if passed is None else passed
    ours, theirs = ours.flatten(1), true.flatten(1)
    size = theirs.square().sum().clamp_min(torch.finfo(theirs.dtype).tiny)
    return CutReport(
        cosine=F.cosine_similarity(ours, theirs).mean(),
        norm_ratio=(ours.square().sum() / size).sqrt(),
        gradient_error=(ours - theirs).square().sum() / size,
        loss_error=None if predicted is None else (predicted - losses).abs().mean(), asymmetry=asymmetry,
    )


def _asymmetry(synthetic, h: Tensor, y: Tensor, rows: int = 8, probes: int = 4) -> Tensor:
    """Of the synthetic gradient as a function of h, with the same probes at every step."""
    h, y = h[:rows].to(next(synthetic.parameters()).dtype), y[:rows]     # autocast may have made h bfloat16
    with torch.autocast(h.device.type, enabled=False):
        return jacobian_asymmetry(lambda h: synthetic.gradient(h, y), h, probes=probes,
                                  generator=torch.Generator().manual_seed(0)).mean().detach()
