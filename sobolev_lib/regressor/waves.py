"""A network of one hidden layer of sines that is solved, not trained: kriging with slopes, as a network.

Frequencies are drawn at random and stay; the output weights follow from values and slopes by least squares. That is a
Gaussian process with a squared-exponential kernel, up to the number of sines (random features, Rahimi and Recht 2007); its
length scales, its noise, and how much slopes count are those under which the labels are likeliest, as kriging has it
(Rasmussen and Williams 2006, chapters 5 and 9.4).
"""
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from sobolev_lib.data import SobolevData
from sobolev_lib.losses import Loss
from sobolev_lib.models import MLP
from sobolev_lib.regressor.outliers import outlying
from sobolev_lib.training.history import History, record
from sobolev_lib.training.watching import EarlyStopping

SLOW, FINER, COARSE, ABOVE = 0.15, 1.6, 10, 2.0            # standard deviations tried, per z-scored input: 0.15 to 10, each 1.6 times
                                                           # the last; more of them up to twice the frequency that slopes tell
SLOWEST, BENDS_LESS = 1e-3, 0.05                           # and where the first is the likeliest, as of planes, slower ones down to
                                                           # this, while each is so much likelier, for each label
NOISES = (1e-11, 1e-8, 1e-5, 1e-3, 1e-2, 1e-1, 1.0)        # variances tried, over that of the labels; the first is rounding
BEFORE = 0.1                                               # where slopes are told, a tenth of a noise is 10**0.1 times as likely beforehand
TRUST, MOST_TRUST = 16.0, 16.0**6                          # what slopes' weights are multiplied or divided by, while it helps, and at most
NOISY = 1e-7                                               # where that much noise was found
TELLING = 0.5                                              # how much likelier, for each value, are values that tell of a function, and,
                                                           # for each label, slower waves than usual
COMPARED, SEEN = 600, 10                                   # labels by which these are compared, at most; points of those that outweigh all
ROWS = 4_096                                               # labels that are summed up at once


def solve_each(networks: Sequence[MLP], data: SobolevData, held: SobolevData | None, loss: Loss, weights: Tensor,
               seeds: Sequence[int], *, weigh: bool = False) -> tuple[list[History], list[Tensor]]:
    """``solve`` each network, on the data's device: histories of one step, with the loss and, if points are held out, theirs;
    and what ``solve`` returns.

    >>> data = sobolev_lib.label(lambda x: x.sin().prod(dim=1), torch.rand(40, 2, dtype=torch.float64))
    >>> network = sobolev_lib.models.MLP(2, 300, 1, activation="sine").double()
    >>> solve_each([network], data, None, sobolev_lib.SobolevLoss(1), torch.ones(1, 2), [0])[0][0].steps
    [1]
    """
    histories, trusts = [], []
    for network, seed in zip(networks, seeds):
        start, history = time.perf_counter(), History(path="closed form")
        trusts.append(solve(network, data, weights, torch.Generator().manual_seed(seed), weigh=weigh))
        with torch.no_grad():
            terms = loss.normalized_by(data).terms(network, data)
        record(history, 1, float(loss.total(terms)), [float(term) for term in terms])
        EarlyStopping(network, held, loss.normalized_by(data), "loss", None, history).look()
        history.seconds = time.perf_counter() - start
        histories.append(history)
    return histories, trusts


@dataclass
class Equations:
    """Labels of one output, each an equation (n,) for the coefficients: its value, times its weight.

    ``points`` is each label's point; ``inputs`` the input of a partial, -1 for a value.
    """

    points: Tensor
    inputs: Tensor
    targets: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def slopes(self) -> Tensor:
        return self.inputs >= 0

    def trusting(self, trust: float) -> "Equations":
        """The same with slopes that count ``trust`` times as much."""
        return replace(self, weights=torch.where(self.slopes, self.weights * trust**0.5, self.weights))

    def __getitem__(self, index: Tensor) -> "Equations":
        return Equations(self.points[index], self.inputs[index], self.targets[index], self.weights[index])


def solve(network: MLP, data: SobolevData, weights: Tensor, generator: torch.Generator, *, weigh: bool = False) -> Tensor:
    """Set the weights of a network of one hidden layer of sines, in place, from z-scored data (N, d) in float64.

    >>> data = sobolev_lib.label(lambda x: (2 * x).sin().prod(dim=1), torch.rand(40, 2, dtype=torch.float64))
    >>> network = sobolev_lib.models.MLP(2, 300, 1, activation="sine").double()
    >>> solve(network, data, torch.ones(1, 2), torch.Generator().manual_seed(0))
    tensor([1.], dtype=torch.float64)
    >>> bool((network(data.inputs)[:, 0] - data.values).abs().max() < 1e-4)
    True

    ``weights`` (q, d): how much a squared error of each slope counts beside one of a value. With ``weigh``, an output whose
    labels are noisy may count its slopes as much as makes the labels likeliest. Returns what slopes' weights were multiplied
    by, (q,). Each output has sines of its own, an equal part of the hidden layer. Labels that are NaN are left out. Raises
    ``FloatingPointError`` where weights are beyond what numbers hold.
    """
    first, last = cast(nn.Linear, network[0]), cast(nn.Linear, network[2])
    q, hidden = last.weight.shape
    own, z, trusts = hidden // q, data.inputs, torch.ones(q, dtype=torch.float64)
    with torch.no_grad():
        last.weight.zero_()
        for k in range(q):
            # drawn on the CPU, so that a seed gives the same on every device
            draws = torch.randn(own, z.shape[1], generator=generator, dtype=torch.float64).to(z)
            phases = 2 * math.pi * torch.rand(own, generator=generator, dtype=torch.float64).to(z)
            labels, rms = _equations(data, k, weights[k].to(z))
            some = _some(z, labels, outlying(data).slopes, generator)
            found = _likeliest(z, some, rms, draws, phases, weigh)
            frequencies, trusts[k] = draws * found.scales, found.trust
            solution = _coefficients(z, labels.trusting(found.trust), frequencies, phases, found.noise)
            part = slice(k * own, (k + 1) * own)
            first.weight[part], first.bias[part] = frequencies, phases
            last.weight[k, part], last.bias[k] = math.sqrt(2 / own) * solution[:-1], solution[-1]
    return trusts


def _equations(data: SobolevData, k: int, weights: Tensor) -> tuple[Equations, Tensor]:
    """The labels of output k, and the relative size of its slopes by input, (d,)."""
    n, d = data.inputs.shape
    values = data.values.reshape(n, -1)[:, k]
    slopes = values.new_full((n, d), torch.nan) if data.jacobian is None else data.jacobian.reshape(n, -1, d)[:, k]
    point = torch.ones_like(values) if data.weights is None else data.weights
    targets = torch.cat([values[:, None], slopes], dim=1)
    each = (point[:, None] * torch.cat([weights.new_ones(1), weights])).sqrt()
    known = ~targets.isnan() & (each > 0)
    points, columns = known.nonzero(as_tuple=True)
    squares = torch.where(known[:, 1:], slopes, torch.nan).square().nanmean(dim=0).nan_to_num()
    rms = (squares / squares.mean()).sqrt().clamp_min(1e-3) if squares.sum() > 0 else torch.ones_like(squares)
    return Equations(points, columns - 1, targets[known], each[known]), rms


def _design(z: Tensor, labels: Equations, frequencies: Tensor, phases: Tensor) -> Tensor:
    """What the coefficients, and the constant, contribute to each label: (n, sines + 1)."""
    angles = z[labels.points] @ frequencies.T + phases
    value = labels.inputs < 0
    found = z.new_empty(len(labels), len(phases) + 1)
    found[value, :-1] = angles[value].sin()
    found[~value, :-1] = angles[~value].cos() * frequencies.T[labels.inputs[~value]]
    found[:, :-1] *= math.sqrt(2 / len(phases))
    found[:, -1] = value.double()
    return found * labels.weights[:, None]


def _some(z: Tensor, labels: Equations, far: Tensor, generator: torch.Generator) -> Equations:
    """The labels of so many points that they are about ``COMPARED``; of those that are ``far``, ``SEEN`` at least: a few labels that
    outweigh all others decide whether the noise that was found holds for all of them."""
    if len(labels) <= COMPARED:
        return labels
    points = torch.randperm(len(z), generator=generator)[:max(1, COMPARED * len(z) // len(labels))]
    points = torch.cat([points.to(z.device), far.nonzero()[:SEEN, 0]])
    return labels[torch.isin(labels.points, points).nonzero()[:, 0]]


@dataclass
class Likely:
    """Length scales (d,), as a shape times a size, the noise, and how much slopes count; ``surprise`` says how unlikely labels are."""

    surprise: float
    shape: Tensor
    size: float
    noise: float
    trust: float = 1.0

    @property
    def scales(self) -> Tensor:
        return self.size * self.shape


def _likeliest(z: Tensor, labels: Equations, rms: Tensor, draws: Tensor, phases: Tensor, weigh: bool) -> Likely:
    """What makes the labels likeliest."""
    tried = _frequencies(labels)
    best = Likely(math.inf, rms, tried[-1], NOISES[-1])    # of labels that are all zero nothing is likelier
    # told slopes are exact more often than not; of a few values alone that would be too much to expect
    before = BEFORE if labels.slopes.any() else 0.0

    def compare(shape: Tensor, size: float, trust: float) -> Likely:
        """The likeliest noise; what is likelier than the best so far takes its place."""
        nonlocal best
        found = Likely(math.inf, shape, size, NOISES[-1], trust)
        own = labels.trusting(trust)
        # to count slopes less is to say that they were to be expected far off: less likely where they are near
        density = 0.5 * math.log(trust) * int(labels.slopes.sum())
        for noise, value in _surprises(_design(z, own, draws * (size * shape), phases), own.targets * own.weights):
            surprise = value - density + before * math.log(noise)
            if surprise < found.surprise:
                found = Likely(surprise, shape, size, noise, trust)
        best = min(best, found, key=lambda each: each.surprise)
        return found

    for shape in (torch.ones_like(rms), rms) if len(rms) > 1 else (rms,):
        for size in tried:
            compare(shape, size, 1.0)
    usual, sizes = best, [*tried]
    while best.size == tried[0] > SLOWEST:
        before_it = best.surprise
        tried.insert(0, best.size / FINER)
        compare(best.shape, tried[0], 1.0)
        if before_it - best.surprise < BENDS_LESS * len(labels):
            break
    if usual.surprise - best.surprise < TELLING * len(labels):             # noise may ask for slow waves, too
        best, tried = usual, sizes
    # a few wrong slopes may be met by waves so fine that no noise is left
    doubtful = best.noise >= NOISY or best.size > SLOW * FINER**(COARSE - 1)
    if weigh and doubtful and labels.slopes.any() and not labels.slopes.all():
        shape, together = best.shape, best
        # values almost alone come first, if they tell more than the finest waves, which meet any: a function is asked for
        alone = [compare(shape, size, 1 / MOST_TRUST) for size in tried]
        if alone[-1].surprise - best.surprise < TELLING * int((~labels.slopes).sum()):
            best = together
        for factor in (1 / TRUST, TRUST) if best.trust == 1 else (TRUST,):
            trust = best.trust * factor
            while 1 / MOST_TRUST < trust <= MOST_TRUST:
                before_it, near = best.surprise, tried.index(best.size)
                for size in tried[max(0, near - 2):near + 3]:
                    compare(shape, size, trust)
                if best.surprise >= before_it:
                    break
                trust *= factor
    return best


def _frequencies(labels: Equations) -> list[float]:
    """The standard deviations to try: the root mean square of slopes over that of values is a mean frequency of the function."""
    fastest = max([float(labels.targets[labels.inputs == j].square().mean().sqrt()) for j in labels.inputs.unique() if j >= 0],
                  default=0.0)
    value = labels.targets[~labels.slopes].std(correction=0).nan_to_num() if (~labels.slopes).any() else 0.0
    finest = ABOVE * fastest / max(float(value), 0.1)      # values have size 1, unless there are few
    count = COARSE if finest <= 0 else max(COARSE, 1 + math.ceil(math.log(finest / SLOW) / math.log(FINER)))
    return [SLOW * FINER**k for k in range(min(count, 2 * COARSE))]      # up to 1,100: finer than any table has points


def _surprises(A: Tensor, targets: Tensor) -> Iterator[tuple[float, float]]:
    """For each noise the negative logarithm of the targets' likelihood, the variance being the likeliest."""
    n, m = A.shape
    K = A @ A.T if n <= m else A.T @ A
    size, moments = float(A.square().sum()) / n, A.T @ targets
    for noise in NOISES:
        a = noise * size
        L, failed = torch.linalg.cholesky_ex(_with_ridge(K, a))
        if failed:
            continue
        logdet = 2 * float(L.diagonal().log().sum())
        if n <= m:
            square = float(torch.linalg.solve_triangular(L, targets[:, None], upper=False).square().sum())
        else:
            half = torch.linalg.solve_triangular(L, moments[:, None], upper=False)
            square, logdet = float(targets.square().sum() - half.square().sum()) / a, logdet + (n - m) * math.log(a)
        if square > 0:
            yield noise, 0.5 * (n * math.log(square / n) + logdet)


def _coefficients(z: Tensor, labels: Equations, frequencies: Tensor, phases: Tensor, noise: float) -> Tensor:
    """Least squares with the noise as ridge, (sines + 1,)."""
    n, m = len(labels), len(phases) + 1
    targets = labels.targets * labels.weights
    if n <= m:
        A = _design(z, labels, frequencies, phases)
        return A.T @ _solved(A @ A.T, targets, noise * float(A.square().sum()) / n)
    K, moments, size = z.new_zeros(m, m), z.new_zeros(m), 0.0
    for part in torch.arange(n, device=z.device).split(ROWS):
        A = _design(z, labels[part], frequencies, phases)
        K, moments, size = K + A.T @ A, moments + A.T @ targets[part], size + float(A.square().sum())
    return _solved(K, moments, noise * size / n)


def _solved(K: Tensor, right: Tensor, ridge: float) -> Tensor:
    while 0 < ridge < math.inf:                            # as little more ridge as rounding asks for
        L, failed = torch.linalg.cholesky_ex(_with_ridge(K, ridge))
        if not failed:
            return torch.cholesky_solve(right[:, None], L)[:, 0]
        ridge *= 10
    raise FloatingPointError(f"weights of labels: expected a system of equations that numbers can hold, got a ridge of {ridge}; "
                             "a smaller derivative weight may help")


def _with_ridge(K: Tensor, ridge: float) -> Tensor:
    return K + ridge * torch.eye(len(K), dtype=K.dtype, device=K.device)
