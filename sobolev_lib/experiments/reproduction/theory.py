"""Section 3: figure 2 (left), theorems and propositions 1 to 3, the constructions of ``sobolev_lib.theory`` at work.

A run is no proof. It can show a construction that does what the theorem says, or a counterexample.
"""
import math
from statistics import median

import torch

from sobolev_lib import theory
from sobolev_lib.derivatives import value_and_derivatives
from sobolev_lib.experiments.reproduction.claim import Claim, Found
from sobolev_lib.formats import number, with_interval
from sobolev_lib.labelling import label

DOUBLE = torch.float64


def yes(holds: bool) -> str:
    return "confirmed" if holds else "contradicted"


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=DOUBLE)


def _hill(x):
    return (3 * x[:, 0]).sin() + 0.3 * x[:, 0] ** 2


def density() -> Found:
    """Theorem 1: the network of the proof, wider and wider."""
    x, widths, errors, within = torch.linspace(-2, 2, 4_001, dtype=DOUBLE)[:, None], (8, 32, 128, 512, 2_048), [], True
    exact, slope = label(_hill, x).values, label(_hill, x).jacobian[:, 0]
    for width in widths:
        network = theory.approximating_network(_hill, (-2, 2), width, dtype=DOUBLE)
        y, jacobian = (t.detach() for t in value_and_derivatives(network, x))
        errors.append((float((y[:, 0] - exact).abs().max()), float((jacobian[:, 0, 0] - slope).abs().max())))
        step = 4 / width
        bound = theory.modulus_of_continuity(lambda at: label(_hill, at).jacobian[:, 0], (-2, 2), step)
        within &= errors[-1][1] <= bound * 1.001 and errors[-1][0] <= step * bound / 4 * 1.001
    falls = all(a > 2 * b for pair in zip(errors, errors[1:]) for a, b in zip(*pair))
    value, slope_error = (number(error, ".0e") for error in errors[-1])
    return Found(f"{widths[-1]:,} ReLUs are off by at most {value} in value and {slope_error} in slope",
                 yes(within and falls),
                 f"one input, {widths[0]} to {widths[-1]:,} ReLUs")


def foreign_derivatives() -> Found:
    """Theorem 2: many functions between the values of one and the slopes of another; none may come nearer than eta."""
    def f(x):
        return (2 * x[:, 0]).sin()

    foreign = (torch.zeros_like, lambda x: -2 * (2 * x).cos(), lambda x: 2 * (2 * x).cos() + 0.5)
    grid, nearest, count = torch.linspace(-2, 2, 401, dtype=DOUBLE), [], 0
    for g in foreign:
        bound, values, slopes = theory.tradeoff(f, g, (-2, 2)), f(grid[:, None]), g(grid[:, None])[:, 0]
        tries = [theory.compromise(f, g, (-2, 2), error * bound.eta)[1] for error in (0.25, 0.5, 1.0, 1.5)]
        for seed in range(200):                            # between the two, with waves on top
            share, waves = torch.rand(1, generator=seeded(seed), dtype=DOUBLE), normal(6, seed=seed) / 10
            integral = torch.cat([torch.zeros(1, dtype=DOUBLE), torch.cumulative_trapezoid(slopes, grid)])
            tries.append(share * values + (1 - share) * integral + sum(w * (k * grid).sin() for k, w in enumerate(waves)))
        for h in tries:
            middle = (slopes[1:] + slopes[:-1]) / 2
            worst = max(float((h - values).abs().max()), float((h.diff() / grid.diff() - middle).abs().max()))
            nearest.append(worst / bound.eta)
            count += 1
    return Found(f"the nearest of {count} functions misses by {number(min(nearest), '.3f')} η", yes(min(nearest) > 0.99),
                 "three foreign slopes on [−2, 2]")


def any_values_any_slopes() -> Found:
    """Proposition 1: random points, values and gradients, met by a network that is written down."""
    worst, cases = 0.0, [(d, n) for d in (1, 2, 5, 10) for n in (2, 10, 30)]
    for d, n in cases:
        x, y, dy = torch.rand(n, d, generator=seeded(d), dtype=DOUBLE), normal(n, seed=n), 5 * normal(n, d, seed=n + 1)
        at, slope = (t.detach() for t in value_and_derivatives(theory.shallow_interpolating_network(x, y, dy), x))
        worst = max(worst, float((at[:, 0] - y).abs().max()), float((slope[:, 0] - dy).abs().max()))
    return Found(f"largest error at the points: {number(worst, '.0e')}", yes(worst < 1e-6),
                 f"{len(cases)} sets of random labels, up to 30 points in 10 dimensions")


def _powers(degree: int):
    return lambda x: x ** torch.arange(degree + 1)


def _planes(x):
    return torch.cat([torch.ones_like(x[:, :1]), x], 1)


def _units(activation, d: int, seed: int):
    w, middle = 2 * normal(d, 4 * (d + 1), seed=seed), 0.3 * normal(4 * (d + 1), d, seed=seed + 1)
    return lambda x: activation(x @ w - (middle * w.T).sum(1))


def points_needed(features, points: torch.Tensor, order: int) -> int:
    """The smallest number of the points (N, d) that tells one function of a linear family from all others.

    >>> points_needed(_powers(3), torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None], order=0)
    4
    """
    parameters = torch.ones(features(points[:1]).shape[1], dtype=points.dtype)
    for count in range(1, len(points) + 1):
        try:
            theory.identify(features, label(lambda x: features(x) @ parameters, points[:count], order=order))
        except ValueError:
            continue
        return count
    raise ValueError(f"points: expected enough to tell the functions apart, got {len(points)}")


def never_more() -> Found:
    """Proposition 2: points needed with derivatives and without, in four kinds of families."""
    families = [(_powers(n), 1) for n in range(1, 8)] + [(_planes, d) for d in (1, 2, 5)]
    families += [(_units(activation, d, 10 * d), d) for activation in (torch.cos, torch.relu) for d in (1, 2, 5)]
    counts = [[points_needed(features, normal(300, d, seed=k), order) for order in (0, 1)]
              for k, (features, d) in enumerate(families)]
    more = sum(sobolev > regular for regular, sobolev in counts)
    fewer = sum(sobolev < regular for regular, sobolev in counts)
    return Found(f"derivatives need more points in {more} of {len(counts)} families, fewer in {fewer}", yes(not more),
                 "polynomials, planes, waves, ReLU features; random points")


def polynomials() -> Found:
    """Section 3's count for polynomials, and the right one."""
    points, as_printed, right = torch.linspace(-1, 1, 20, dtype=DOUBLE)[:, None], [], []
    for n in range(1, 11):
        regular, sobolev = (points_needed(_powers(n), points, order) for order in (0, 1))
        as_printed.append(regular == n + 1 and sobolev <= max(1, math.ceil(n / 2)))
        right.append(regular == n + 1 and sobolev == math.ceil((n + 1) / 2))
    return Found("⌈(n + 1)/2⌉" if all(right) else f"⌈n/2⌉ is enough for {sum(as_printed)} of 10 degrees",
                                      yes(all(as_printed)),
                 "degrees 1 to 10")


def gaussians_and_pieces() -> Found:
    """Proposition 3: bells from one point with its slope, and from two values; pieces from one place each."""
    def bell(x, mu, sigma):
        return torch.exp(-((x - mu) / sigma) ** 2 / 2) / (sigma * math.sqrt(2 * math.pi))

    generator, worst, two, trials = seeded(0), 0.0, 0, 200
    for _ in range(trials):
        mu, sigma, at, other = (float(v) for v in torch.rand(4, generator=generator, dtype=DOUBLE) * 4 - 2)
        sigma = 0.3 + abs(sigma)
        told = label(lambda x: bell(x[:, 0], mu, sigma), torch.tensor([[at]], dtype=DOUBLE))
        found = theory.gaussian_from_derivative(at, float(told.values), float(told.jacobian))
        worst = max(worst, abs(found[0] - mu), abs(found[1] - sigma))
        values = bell(torch.tensor([at, other], dtype=DOUBLE), mu, sigma).tolist()
        two += len(theory.gaussians_through((at, other), values)) == 2
    piece = [points_needed(_planes, normal(20, 1, seed=1), order) for order in (0, 1)]
    return Found(f"Gaussians: one point with its slope gives them back to {number(worst, '.0e')}, two values leave a second "
                 f"one in {two} of {trials} cases. Lines: {piece[1]} point against {piece[0]}",
                 yes(worst < 1e-6 and two > 0 and piece[1] < piece[0]), f"{trials} random Gaussians; lines")


def factor_of_dimension() -> Found:
    """Section 3: planes in d dimensions, with gradients and without."""
    def gain(features, d, count, seed):
        regular, sobolev = (points_needed(features, normal(count, d, seed=seed), order) for order in (0, 1))
        return regular / sobolev

    planes = {d: gain(_planes, d, 40, d) for d in range(1, 11)}
    # the points are drawn apart from the weights: numbers that they share would put points where units are on
    relu = {d: [gain(_units(torch.relu, d, 10 * draw), d, 400, 1_000 + draw) for draw in range(5)] for d in (2, 5, 10)}
    exact = all(ratio == d + 1 for d, ratio in planes.items())
    told = ", ".join(f"{with_interval((median(ratios), min(ratios), max(ratios)), '.1f')} at d = {d}" for d, ratios in relu.items())
    return Found(f"planes: exactly d + 1 for d = 1 to 10; ReLU features, which share kinks: {told}" if exact else
                 f"planes: {planes}", yes(exact and all(median(ratios) < d + 1 for d, ratios in relu.items())),
                 "1 to 10 inputs, random points; of the ReLUs median and range of 5 draws, others than in the chapter's figure")


def three_hypotheses() -> Found:
    """Figure 2, left: three linear segments, a point on each; how many directions are open with values, and with slopes."""
    def segments(x):                                       # each its own line: 3 pieces, 6 coefficients
        which = torch.nn.functional.one_hot(x[:, 0].floor().clamp(0, 2).long(), 3).to(x.dtype)
        return torch.cat([which, which * x], 1)

    # a point in each piece, then a second one
    points = torch.tensor([[0.3], [1.5], [2.6], [0.8], [1.1], [2.2]], dtype=DOUBLE)
    needed = [points_needed(segments, points, order) for order in (0, 1)]
    return Found(f"{needed[0]} points with values, {needed[1]} with slopes", yes(needed == [6, 3]), "three segments")


def claim(place: str, says: str, paper: str, look, rule: str) -> Claim:
    return Claim(place, says, paper, look, rule=rule)


SECTION_3 = (
    claim("Figure 2, left", "Three points with slopes leave one piecewise linear function; each segment takes two points "
                             "with values alone.", "2 points a segment, or 1 with slope", three_hypotheses,
           "Confirmed if two points a segment are needed with values, and one with its slope."),
    claim("Theorem 1", "A ReLU network with one hidden layer comes as close as we like to any C¹ function, in value and "
                        "slope.",
           "any ε > 0", density,
           "Confirmed if at every width both errors lie below the proof's bound, and fall by more than half at every step "
           "to a width four times as large. The proof is in the chapter on approximation."),
    claim("Theorem 2", "Slopes that are not those of the values can't be met together with them.", "some η > 0",
           foreign_derivatives,
           "Confirmed if no function that was tried, the best possible ones among them, comes nearer than the η of the "
           "proof (0.99 η, for the grid). The proof is in the chapter on approximation."),
    claim("Proposition 1", "On finitely many points any values and any slopes can be met.", "training loss 0",
           any_values_any_slopes, "Confirmed if the network that the proof builds has all values and gradients to 1e-6."),
    claim("Proposition 2", "Derivatives never raise the number of points that are needed.", "K_sob ≤ K_reg", never_more,
           "Confirmed if derivatives need more points in no family. The proof, one line, is in the chapter on points."),
    claim("Section 3, polynomials", "n + 1 values determine a polynomial of degree n; ⌈n/2⌉ points are enough with "
                                     "derivatives.",
           "⌈n/2⌉", polynomials,
           "Contradicted by one degree for which ⌈n/2⌉ points are not enough. They are for odd degrees only: y = c x² has "
           "value and slope zero at the origin, whatever c."),
    claim("Proposition 3", "For Gaussians and for piecewise linear functions derivatives save points.", "K_sob < K_reg",
           gaussians_and_pieces,
           "Confirmed if one point with its slope gives every Gaussian back to 1e-6 while two values leave a second one in "
           "some cases, and a line takes fewer points with its slope. The proof is in the chapter on points."),
    claim("Section 3, factor d + 1", "Independent hyperplanes would need d + 1 times fewer points; those of ReLU networks "
                                      "are not independent.", "d + 1", factor_of_dimension,
           "Confirmed if independent planes gain exactly d + 1 and the median of dependent ReLUs less, as the paper expects."),
)
