"""Sections 2 and 4.3: the loss, its projections, second derivatives and gradient fields, computed from random networks."""
import torch

from sobolev_lib import theory
from sobolev_lib.derivatives import value_and_derivatives
from sobolev_lib.experiments.reproduction.claim import Found
from sobolev_lib.experiments.reproduction.theory import claim, normal, seeded, yes
from sobolev_lib.formats import number
from sobolev_lib.labelling import label
from sobolev_lib.losses import SobolevLoss, StochasticSobolevLoss
from sobolev_lib.models import MLP


def _network(*sizes, seed: int, activation: str = "tanh") -> MLP:
    return MLP(*sizes, activation=activation, generator=seeded(seed), dtype=torch.float64)


def the_loss() -> Found:
    """Equation 1 of order two, written out with torch.func, against the library's."""
    model, function, x = _network(3, 16, 2, seed=0), _network(3, 16, 2, seed=1), normal(8, 3, seed=2)
    by_hand, derived = [], [model, function]
    for axes in ((1,), (1, 2), (1, 2, 3)):
        ours, theirs = (torch.func.vmap(f)(x) for f in derived)
        by_hand.append(float((ours - theirs).square().sum(axes).mean().detach()))
        derived = [torch.func.jacrev(f) for f in derived]
    terms = [float(term.detach()) for term in SobolevLoss(order=2).terms(model, label(function, x, order=2))]
    off = max(abs(a - b) / b for a, b in zip(terms, by_hand))
    return Found(f"all three terms agree with torch.func to {number(off, '.0e')}", yes(off < 1e-9),
                 "networks of 3 inputs and 2 outputs, 8 points")


def the_projections() -> Found:
    """Equation 2: the mean over random vectors against the full Jacobian's term, and as printed, on the unit sphere."""
    outputs, means, repeats = 6, 50, 40                    # means of so many draws each
    model, function, x = _network(4, 16, outputs, seed=0), _network(4, 16, outputs, seed=1), normal(4, 4, seed=2)
    exact = float(SobolevLoss(order=1).terms(model, label(function, x))[1].detach())
    generator, loss = seeded(3), StochasticSobolevLoss(order=1)
    with torch.no_grad():
        draws = torch.tensor([float(loss.terms(model, x.repeat(repeats, 1), function, generator=generator)[1])
                              for _ in range(means)])
    ratio, error = float(draws.mean()) / exact, float(draws.std()) / means**0.5 / exact
    status = "confirmed in direction" if abs(ratio - 1) < 4 * error else "contradicted"
    ends = " to ".join(number(ratio + sign * 1.96 * error, ".3f") for sign in (-1, 1))
    return Found(f"mean of the draws over the exact term: {number(ratio, '.3f')} for vectors of length √q, 1/q of it, "
                 f"{number(ratio / outputs, '.3f')}, for the unit vectors that are printed", status,
                 f"{outputs} outputs, {means * repeats:,} draws", ends)


def no_second_derivative() -> Found:
    """Section 4.1: the second derivative of a ReLU network."""
    model = _network(2, 256, 256, 1, seed=0, activation="relu")
    hessian = value_and_derivatives(model, normal(1_000, 2, seed=1), order=2)[2]
    largest = float(hessian.detach().abs().max())
    return Found(f"largest entry {number(largest)}", yes(largest == 0), "the paper's network, 2 x 256 ReLUs, 1,000 random "
                                                                         "points")


def gradient_fields() -> Found:
    """Proposition 4: asymmetry of derivatives of networks, of random networks and of random matrices."""
    h = normal(10, 20, seed=0)
    gradients, direct = [], []
    for seed in range(10):
        scalar = _network(20, 64, 1, seed=seed)
        gradients.append(float(theory.jacobian_asymmetry(torch.func.grad(lambda h: scalar(h).sum()), h).max()))
        direct.append(float(theory.jacobian_asymmetry(_network(20, 64, 20, seed=seed), h).min().detach()))
    return Found(f"derivatives of networks: at most {number(max(gradients), '.0e')}; networks with 20 outputs: at least "
                 f"{number(min(direct), '.2f')}", yes(max(gradients) < 1e-9 and min(direct) > 0.1), "10 networks of each "
                                                                                                     "kind, 10 points")


def symmetric_by_chance() -> Found:
    """Section 4.3: random matrices that are symmetric."""
    count = 100_000
    matrices = normal(count, 2, 2, seed=0)
    symmetric = int((matrices == matrices.mT).all((1, 2)).sum())
    return Found(f"{symmetric} of {count:,} random 2 x 2 matrices", yes(symmetric == 0), "normal entries; the smallest "
                                                                                          "are the easiest")


SECTION_2 = (
    claim("Equation 1 and figure 1 a", "Sobolev Training adds the errors of derivatives up to order K to that of the "
                                        "values.",
           "a definition",
           the_loss, "Confirmed if the library's terms of orders 0, 1 and 2 equal the printed sums to 1e-9."),
    claim("Equation 2 and figure 1 b", "Random projections of the derivatives can stand in for the whole Jacobian.",
           "a definition", the_projections,
           "In direction if the mean of the draws, with vectors of length √q, lies within four standard errors of the "
           "exact term: the printed unit vectors give the same loss but for the factor q, the number of outputs, which the "
           "paper does not mention. Contradicted otherwise."),
)
RELU = claim("Section 4.1, second derivatives", "Second derivatives of ReLU networks are zero.", "0", no_second_derivative,
              "Confirmed if all are exactly zero. At kinks, which no random point meets, there are none.")
FIELDS = (
    claim("Proposition 4", "A gradient field has a symmetric Jacobian: derivatives of networks have one by construction, "
           "networks that output a vector almost never.", "symmetric", gradient_fields,
           "Asymmetry is |J − Jᵀ| / 2|J|, 0 for a gradient field. Confirmed if derivatives of networks have none, below "
           "1e-9, and all networks that output a vector more than 0.1."),
    claim("Section 4.3, random matrices", "A random matrix is symmetric with probability 0.", "probability 0",
           symmetric_by_chance, "Confirmed if none is symmetric."),
)
