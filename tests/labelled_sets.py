"""Data sets with right derivative labels of many kinds, and ways to spoil the labels, for the tests of check_labels."""
import math

import numpy as np
import torch

import sobolev_lib as sl


def labelled(f, x):
    """(X, y, dy) as arrays; ``f`` maps (N, d) to (N,) or (N, m)."""
    x = torch.as_tensor(x, dtype=torch.float64)
    data = sl.label(f, x)
    return tuple(tensor.numpy() for tensor in data.tensors)


def benchmark(function, n):
    return lambda r: labelled(function, function.sample(n, generator=torch.Generator().manual_seed(int(r.integers(2**31)))))


# --- finance: spot, strike, maturity, rate, volatility ------------------------------------------------------------

def black_scholes(x):
    spot, strike, maturity, rate, volatility = x.T
    width = volatility * maturity.sqrt()
    d1 = ((spot / strike).log() + (rate + volatility**2 / 2) * maturity) / width
    normal = lambda z: 0.5 * (1 + torch.erf(z / math.sqrt(2)))
    return spot * normal(d1) - strike * (-rate * maturity).exp() * normal(d1 - width)


def options(n):
    low, high = np.array([[50, 80, 0.1, 0.0, 0.1], [150, 120, 2.0, 0.05, 0.5]])
    return lambda r: labelled(black_scholes, r.uniform(low, high, (n, 5)))


def one_option(n):
    """Price and delta against the spot alone."""
    def f(x):
        fixed = torch.tensor([100.0, 1.0, 0.02, 0.2], dtype=x.dtype).expand(len(x), 4)
        return black_scholes(torch.cat([x, fixed], 1))
    return lambda r: labelled(f, r.uniform(50, 150, (n, 1)))


def pathwise(n, digital=False):
    """One sampled payoff a point and its pathwise derivative: both right in the mean only."""
    def make(r):
        spot, normal = r.uniform(50, 150, (n, 1)), r.normal(size=(n, 1))
        end = spot * np.exp(-0.02 + 0.2 * normal)
        pays = (end > 100).astype(float)
        if digital:
            return spot, pays[:, 0], np.zeros_like(spot)
        return spot, np.maximum(end - 100, 0)[:, 0], pays * end / spot
    return make


# --- energies of atoms, whose forces are MINUS the gradient -------------------------------------------------------

def pair_energy(x, dimensions=3):
    atoms = x.reshape(len(x), -1, dimensions)
    i, j = torch.triu_indices(atoms.shape[1], atoms.shape[1], 1)
    r2 = (atoms[:, i] - atoms[:, j]).square().sum(2)
    return (r2 ** -6 - 2 * r2 ** -3).sum(1)


def cluster(n, atoms, spread=0.05):
    """Lennard-Jones atoms shaken around a simplex or a ring of side one."""
    corners = {2: [[0, 0, 0], [1, 0, 0]], 3: [[0, 0, 0], [1, 0, 0], [0.5, 0.866, 0]],
               6: [[0.707, 0, 0], [-0.707, 0, 0], [0, 0.707, 0], [0, -0.707, 0], [0, 0, 0.707], [0, 0, -0.707]]}[atoms]
    return lambda r: labelled(pair_energy, np.array(corners).reshape(-1) + spread * r.normal(size=(n, 3 * atoms)))


def trajectory(n):
    """A swinging particle in a double well: consecutive points lie close together."""
    f = lambda x: (x[:, 0] ** 2 - 1) ** 2 + 2 * x[:, 1] ** 2 + 0.3 * x[:, 0] * x[:, 1]

    def make(r):
        q, v, points = r.normal(size=2) * 0.5, r.normal(size=2), []
        for _ in range(n):
            g = np.array([4 * q[0] * (q[0] ** 2 - 1) + 0.3 * q[1], 4 * q[1] + 0.3 * q[0]])
            v = v - 0.05 * g
            q = q + 0.05 * v
            points.append(q)
        return labelled(f, np.array(points))
    return make


def muller_brown(n):
    A, a, b, c, x0, y0 = (np.array(v) for v in ([-200, -100, -170, 15], [-1, -1, -6.5, 0.7], [0, 0, 11, 0.6],
                                                [-10, -10, -6.5, 0.7], [1, 0, -0.5, -1], [0, 0.5, 1.5, 1]))

    def f(x):
        u, v = x[:, :1] - torch.tensor(x0), x[:, 1:] - torch.tensor(y0)
        return (torch.tensor(A) * (torch.tensor(a) * u**2 + torch.tensor(b) * u * v + torch.tensor(c) * v**2).exp()).sum(1)
    return lambda r: labelled(f, r.uniform([-1.5, -0.2], [1.2, 2.0], (n, 2)))


# --- many inputs, several outputs, networks -----------------------------------------------------------------------

def additive(n, d):
    """Friedman's kind of function: waves, squares and products of many inputs."""
    def make(r):
        a, b = (torch.as_tensor(r.normal(size=d)) for _ in range(2))
        f = lambda x: (a * (2 * x).sin()).sum(1) + (b * x**2).sum(1) + 2 * x[:, 0] * x[:, 1 % d]
        return labelled(f, r.uniform(-1, 1, (n, d)))
    return make


def teacher(n, d, m=1, activation="tanh"):
    def make(r):
        generator = torch.Generator().manual_seed(int(r.integers(2**31)))
        network = sl.models.MLP(d, 32, 32, m, activation=activation, generator=generator, dtype=torch.float64)
        X, y, dy = labelled(network, r.normal(size=(n, d)))
        return (X, y[:, 0], dy[:, 0]) if m == 1 else (X, y, dy)
    return make


def three_outputs(n):
    f = lambda x: torch.stack([x[:, 0] * x[:, 1], 1e3 * (x[:, 0] + x[:, 2]).sin(), x[:, 1] ** 3 - 0.01 * x[:, 2]], 1)
    return lambda r: labelled(f, r.uniform(-1, 1, (n, 3)))


def field(n):
    """As many outputs as inputs."""
    f = lambda x: torch.stack([x[:, 0] * x[:, 1] + x[:, 1], x[:, 0] ** 2 - 3 * x[:, 1]], 1)
    return lambda r: labelled(f, r.uniform(-1, 1, (n, 2)))


# --- what is constant, jumps, has kinks or waves ------------------------------------------------------------------

def on(f, n, d=1, low=-1.0, high=1.0):
    return lambda r: labelled(f, r.uniform(low, high, (n, d)))


def grid(f, side, d, low, high):
    """Equally spaced points, whose waves may be too short to see."""
    axes = np.meshgrid(*[np.linspace(low, high, side)] * d)
    points = np.stack([axis.reshape(-1) for axis in axes], 1)

    def make(r):
        shift = float(r.uniform(0, 7))
        return labelled(lambda x: f(x + shift), points)
    return make


def waves(number):
    return lambda x: (number * x).sin().prod(1)


def sawtooth(x):
    return (x - x.floor()).sum(1)


def steps(x):
    return x.floor().sum(1) + 0 * x.sum(1)


def jump(x):
    return x.square().sum(1) + 3 * (x[:, 0] > 0.2)


def fine_waves(x):
    """A slow function with a small fast wave, whose gradient is the larger one."""
    return x.square().sum(1) + 0.05 * (60 * x).sin().sum(1)


def noisy(make, share):
    """Right derivatives, values with noise."""
    def noisy_make(r):
        X, y, dy = make(r)
        return X, y + share * y.std(axis=0) * r.normal(size=y.shape), dy
    return noisy_make


def gaps(make, share):
    def gappy(r):
        X, y, dy = make(r)
        return X, y, np.where(r.uniform(size=dy.shape) < share, np.nan, dy)
    return gappy


SIZES = (20, 50, 100, 300, 1000)
F = sl.functions
GOOD = {
    **{f"{f.name} {n}": benchmark(f, n) for f in F.BENCHMARKS for n in SIZES},
    **{f"options {n}": options(n) for n in SIZES}, **{f"one option {n}": one_option(n) for n in (20, 200)},
    **{f"{f.name} 10": benchmark(f, 10) for f in F.BENCHMARKS}, "18 inputs 10": additive(10, 18), "options 10": options(10),
    "pathwise payoffs 1000": pathwise(1000), "pathwise payoffs 5000": pathwise(5000),
    **{f"dimer {n}": cluster(n, 2) for n in (30, 300)}, **{f"trimer {n}": cluster(n, 3) for n in (30, 300, 1000)},
    **{f"six atoms {n}": cluster(n, 6) for n in (50, 300, 1000)}, "loose trimer 300": cluster(300, 3, 0.15),
    **{f"trajectory {n}": trajectory(n) for n in (50, 400)},
    **{f"Muller-Brown {n}": muller_brown(n) for n in (30, 100, 500)},
    **{f"18 inputs {n}": additive(n, 18) for n in (20, 100, 1000)},
    **{f"teacher of 18 inputs {n}": teacher(n, 18) for n in (20, 200, 1000)},
    "ReLU teacher": teacher(300, 3, activation="relu"), "two inputs": additive(100, 2),
    "teacher of 3 outputs": teacher(200, 4, 3),
    **{f"three outputs {n}": three_outputs(n) for n in (20, 200)}, **{f"field {n}": field(n) for n in (20, 200)},
    **{f"noise of {share} in {name}": noisy(make, share) for share in (0.01, 0.1, 0.5) for name, make in (
        ("booth", benchmark(F.booth, 300)), ("styblinski_tang", benchmark(F.styblinski_tang, 100)),
        ("options", options(1000)),
        ("18 inputs", additive(300, 18)), ("one option", one_option(200)))},
    "nothing but noise": lambda r: (r.normal(size=(200, 3)), r.normal(size=200), r.normal(size=(200, 3))),
    "constant": on(lambda x: 3 + 0 * x.sum(1), 100, 3), "linear": on(lambda x: x[:, 0] - 2 * x[:, 1], 100, 4),
    "one of ten inputs": on(lambda x: (3 * x[:, 4]).sin(), 200, 10), "symmetric": on(lambda x: x.square().sum(1), 100, 3),
    **{f"sawtooth {n}": on(sawtooth, n, 1, 0, 10) for n in (20, 100, 1000)}, "jump": on(jump, 100, 2), "jump in one input": on(jump, 30, 1),
    "kinks": on(lambda x: x.abs().sum(1), 100, 2), "cusps": on(lambda x: (x.abs() + 1e-9).sqrt().sum(1), 200, 2),
    **{f"waves {k}, {n} points": on(waves(k), n, 1) for k in (3, 20, 100, 1000) for n in (20, 100, 500)},
    **{f"waves {k} in two inputs": on(waves(k), 300, 2) for k in (3, 20, 100)},
    **{f"waves {k} on a grid": grid(waves(k), 50, 1, 0, 10) for k in (1, 5, 10, 14, 16, 18, 20, 26, 30, 31, 50)},
    **{f"waves {k} on a plane's grid": grid(waves(k), 12, 2, 0, 10) for k in (1, 2, 3, 4, 5, 6, 7)},
    **{f"fine waves {n}": on(fine_waves, n, 2) for n in (20, 100, 300, 1000)},
    "fine waves on a line": on(fine_waves, 200, 1),
    **{f"{int(100 * share)} % missing in booth": gaps(benchmark(F.booth, 100), share) for share in (0.1, 0.5, 0.95)},
    "all missing": gaps(benchmark(F.booth, 100), 2.0), "three points": benchmark(F.booth, 3),
    "the same point again": lambda r: (np.repeat(r.uniform(size=(1, 2)), 50, 0), r.normal(size=50), np.ones((50, 2))),
    "repeated points": lambda r: tuple(np.repeat(a, 3, 0) for a in benchmark(F.mccormick, 60)(r)),
    "large offsets": lambda r: (lambda X, y, dy: (X + 1e6, y + 1e7, dy))(*benchmark(F.mccormick, 200)(r)),
    "units far apart": lambda r: (lambda X, y, dy: (X * [1e-6, 1e5], y, dy / [1e-6, 1e5]))(*benchmark(F.mccormick, 200)(r)),
}


# --- spoilt labels ------------------------------------------------------------------------------------------------

def swapped(dy, a=0, b=1):
    order = list(range(dy.shape[-1]))
    b = min(b, len(order) - 1)
    order[a], order[b] = order[b], order[a]
    return dy[..., order]


def one_column(dy, factor, column=0):
    factors = np.ones(dy.shape[-1])
    factors[column] = factor
    return dy * factors


def with_noise(r, dy, share):
    return dy + share * np.sqrt(np.nanmean(np.square(dy))) * r.normal(size=dy.shape)


FLAT = {  # right labels that are all 0, of values that are not constant
    "steps": on(steps, 300, 1, 0, 10), "two steps": on(steps, 300, 2), "digital payoffs": pathwise(1000, True),
}
SPOIL = {
    "sign": lambda r, dy: -dy,
    "degrees": lambda r, dy: dy * math.pi / 180,
    "percentage points": lambda r, dy: dy * 100,
    "half": lambda r, dy: dy / 2,
    "swapped": lambda r, dy: swapped(dy),
    "reversed columns": lambda r, dy: dy[..., ::-1],
    "one column in degrees": lambda r, dy: one_column(dy, math.pi / 180),
    "one column's sign": lambda r, dy: one_column(dy, -1),
    "reversed rows": lambda r, dy: dy[::-1],
    "shifted rows": lambda r, dy: np.roll(dy, 1, axis=0),
    "shuffled rows": lambda r, dy: dy[r.permutation(len(dy))],
    "reshaped": lambda r, dy: np.moveaxis(dy, 0, -1).reshape(dy.shape),
    "half of them 0": lambda r, dy: dy * (r.random(len(dy)) < 0.5).reshape(-1, *[1] * (dy.ndim - 1)),
    "noise of 0.3": lambda r, dy: with_noise(r, dy, 0.3),
    "noise of 1": lambda r, dy: with_noise(r, dy, 1.0),
}
