"""The cases on which the regressor's defaults were chosen, and those on which they are reported.

Some are generated, some are tables that come with the library, two are made by other packages, which a new record needs.
Who tunes on the reported half tests nothing.
"""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from sobolev_lib import datasets, functions
from sobolev_lib.datasets import BasketOption
from sobolev_lib.labelling import label

Labels = tuple[np.ndarray, np.ndarray]                     # values (N,) or (N, q), slopes (N, d) or (N, q, d)
Points = tuple[np.ndarray, np.ndarray, np.ndarray]         # X (N, d) and labels
CHOOSING, REPORTING = "choosing", "reporting"
TEST = 2_000                                               # points that nobody is shown


@dataclass(frozen=True)
class Case:
    """A name, the half it belongs to, and what a seed gives: points to learn from, and points with the truth.

    >>> case = find("greeks, 300")
    >>> [X.shape for X, y, dy in case.draw(0)]
    [(300, 4), (2000, 4)]
    """

    name: str
    half: str
    draw: Callable[[int], tuple[Points, Points]]


@dataclass(frozen=True)
class Generated:
    """Draws by a sampler; ``labels`` may be noisy or missing, ``truth`` is neither.

    >>> half = Generated(5, uniform([0], [1]), lambda X: (X[:, 0] / 2, 0 * X + 0.5))
    >>> half(0)[0][2].shape
    (5, 1)
    """

    points: int
    sample: Callable[[np.random.Generator, int], np.ndarray]
    truth: Callable[[np.ndarray], Labels]
    labels: Callable[[np.random.Generator, np.ndarray], Labels] | None = None

    def __call__(self, seed: int) -> tuple[Points, Points]:
        random, unseen = np.random.default_rng([seed, 0]), self.sample(np.random.default_rng([seed, 1]), TEST)
        X = self.sample(random, self.points)
        return (X, *(self.labels(random, X) if self.labels else self.truth(X))), (unseen, *self.truth(unseen))


def rows(points: int, table: Callable[[], Points]):
    """Draws by splitting a table at random: ``points`` rows to learn from, at most ``TEST`` of the others to test on."""
    def draw(seed: int) -> tuple[Points, Points]:
        X, y, dy = table()
        order = np.random.default_rng([seed, 2]).permutation(len(X))
        train, test = order[:points], order[points:points + TEST]
        return (X[train], y[train], dy[train]), (X[test], y[test], dy[test])

    return draw


def uniform(low, high) -> Callable:
    low, high = np.asarray(low, float), np.asarray(high, float)
    return lambda random, n: random.uniform(low, high, (n, len(low)))


# --- pathwise labels: one simulated path a point, right on the average only (Huge and Savine 2020) --------------------

def black_scholes(points: int, strike: float = 1.1, volatility: float = 0.2):
    """A call in a year, by one path from today's spot."""
    from scipy.special import ndtr

    def sample(random, n):
        wide = 1.5 * volatility                            # spots are spread more widely than the market would
        return np.exp(-wide**2 / 2 + wide * random.normal(size=(n, 1)))

    def paths(random, X):
        growth = np.exp(-volatility**2 / 2 + volatility * random.normal(size=X.shape))
        return np.maximum(X * growth - strike, 0)[:, 0], np.where(X * growth > strike, growth, 0.0)

    def truth(X):
        d1 = np.log(X / strike) / volatility + volatility / 2
        return (X * ndtr(d1) - strike * ndtr(d1 - volatility))[:, 0], ndtr(d1)

    return Generated(points, sample, truth, paths)


def basket(inputs: int, points: int, correlation: float | None = None):
    """A call on a basket of normal prices, by one path; the price depends on the basket alone, one direction in all."""
    option = BasketOption(inputs, correlation)
    return Generated(points, option.sample, option.exact, option.paths)


# --- exact labels -----------------------------------------------------------------------------------------------------

def function(name: str, points: int):
    """One of the paper's functions."""
    f = getattr(functions, name)

    def truth(X):
        data = label(f, torch.as_tensor(X))
        return data.values.numpy(), data.jacobian.numpy()

    return Generated(points, uniform(*np.asarray(f.domain, float).T), truth)


def sinusoid(points: int):
    """JENN's first demonstration, on points drawn at random: x sin x."""
    return Generated(points, uniform([-np.pi], [np.pi]),
                     lambda X: ((X * np.sin(X))[:, 0], np.sin(X) + X * np.cos(X)))


def rastrigin(points: int):
    """JENN's second."""
    return Generated(points, uniform([-1, -1], [1.5, 1.5]),
                     lambda X: ((10 + X**2 - 10 * np.cos(2 * np.pi * X)).sum(1), 2 * X + 20 * np.pi * np.sin(2 * np.pi * X)))


def rosenbrock(points: int):
    """JENN's third, on its domain."""
    def truth(X):
        a, b = X.T
        return (1 - a)**2 + 100 * (b - a**2)**2, np.stack([-2 * (1 - a) - 400 * a * (b - a**2), 200 * (b - a**2)], 1)

    return Generated(points, uniform([-2, -2], [2, 2]), truth)


def greeks(points: int, missing: float = 0.0):
    """A call's price by spot, volatility, rate and time, with delta, vega, rho and theta; some of these not known."""
    from scipy.special import ndtr

    def truth(X):
        spot, volatility, rate, time = X.T
        spread, discount = volatility * np.sqrt(time), np.exp(-rate * time)
        d1 = (np.log(spot) + rate * time) / spread + spread / 2
        density = np.exp(-d1**2 / 2) / np.sqrt(2 * np.pi)
        far = discount * ndtr(d1 - spread)
        vega = spot * density * np.sqrt(time)
        slopes = [ndtr(d1), vega, time * far, vega * volatility / (2 * time) + rate * far]
        return spot * ndtr(d1) - far, np.stack(slopes, axis=1)

    def some(random, X):
        y, dy = truth(X)
        return y, np.where(random.random(dy.shape) < missing, np.nan, dy)

    return Generated(points, uniform([0.5, 0.1, 0.0, 0.1], [1.5, 0.6, 0.1, 2.0]), truth, some)


def two_outputs(points: int):
    """sin(a) b beside sin(12 a): the second's slopes are far larger."""
    def truth(X):
        a, b = X.T
        slopes = [[np.cos(a) * b, np.sin(a)], [12 * np.cos(12 * a), 0 * a]]
        return np.stack([np.sin(a) * b, np.sin(12 * a)], axis=1), np.moveaxis(np.array(slopes), -1, 0)

    return Generated(points, uniform([-2, -2], [2, 2]), truth)


# --- tables -----------------------------------------------------------------------------------------------------------

def deck(points: int):
    """Thrust and consumption of a jet engine."""
    return rows(points, lambda: _of(datasets.engine_deck()))


def cluster(points: int):
    """Energies and gradients of six copper atoms."""
    return rows(points, lambda: _of(datasets.metal_cluster()))


def _of(table) -> Points:
    return table.X, table.y, table.dy


def airfoil(points: int):
    """Drag of airfoils by 14 shape modes, Mach number and angle of attack: 42,039 rows that come with the package ``smt``."""
    def table() -> Points:
        from smt.examples.airfoil_parameters.learning_airfoil_parameters import load_cd_training_data

        return tuple(np.asarray(each, float) for each in load_cd_training_data())

    return rows(points, table)


def quantlib(points: int):
    """A call with dividends by spot, volatility, rate, dividend and time; prices and greeks by the package ``QuantLib``."""
    def truth(X):
        import QuantLib

        payoff, found = QuantLib.PlainVanillaPayoff(QuantLib.Option.Call, 1.0), []
        for spot, volatility, rate, dividend, time in X:
            growth, discount = np.exp((rate - dividend) * time), np.exp(-rate * time)
            call = QuantLib.BlackCalculator(payoff, spot * growth, volatility * np.sqrt(time), discount)
            found.append([call.value(), call.delta(spot), call.vega(time), call.rho(time), call.dividendRho(time),
                          -call.theta(spot, time)])
        found = np.array(found)
        return found[:, 0], found[:, 1:]

    return Generated(points, uniform([0.6, 0.1, 0.0, 0.0, 0.2], [1.4, 0.5, 0.08, 0.05, 2.0]), truth)


def _named(half: str, draws: dict[str, Callable]) -> list[Case]:
    return [Case(name, half, draw) for name, draw in draws.items()]


CASES = [
    *_named(CHOOSING, {
        "Black-Scholes paths, 1024": black_scholes(1024), "basket of 7, 4096": basket(7, 4096),
        "basket of 20, 4096": basket(20, 4096), "basket of 5, correlation 0.9, 2048": basket(5, 2048, 0.9),
        "ackley, 100": function("ackley", 100), "booth, 30": function("booth", 30),
        "mccormick, 30": function("mccormick", 30), "styblinski_tang, 100": function("styblinski_tang", 100),
        "JENN's Rastrigin, 100": rastrigin(100), "greeks, 300": greeks(300), "two outputs, 200": two_outputs(200),
        "engine deck, 150": deck(150), "metal cluster, 150": cluster(150), "airfoil, 2000": airfoil(2000),
        "greeks, 10000": greeks(10_000), "sinusoid, 12": sinusoid(12)}),
    *_named(REPORTING, {
        "Black-Scholes paths, 4096": black_scholes(4096), "basket of 1, 8192": basket(1, 8192),
        "basket of 7, 16384": basket(7, 16384), "basket of 50, 16384": basket(50, 16384),
        "basket of 5, correlation 0.95, 8192": basket(5, 8192, 0.95),
        "beale, 100": function("beale", 100), "bukin, 100": function("bukin", 100),
        "rosenbrock, 50": function("rosenbrock", 50), "JENN's sinusoid, 4": sinusoid(4),
        "JENN's Rosenbrock, 389": rosenbrock(389), "greeks, 30 % missing, 1000": greeks(1000, missing=0.3),
        "two outputs, 50": two_outputs(50), "engine deck, 600": deck(600), "metal cluster, 400": cluster(400),
        "airfoil, 33600": airfoil(33_600), "greeks by QuantLib, 500": quantlib(500), "greeks, 50000": greeks(50_000)}),
]


def find(name: str) -> Case:
    """The case of this name; raises ``ValueError`` for an unknown one.

    >>> find("booth, 30").half
    'choosing'
    """
    for case in CASES:
        if case.name == name:
            return case
    raise ValueError(f"case: expected one of {', '.join(case.name for case in CASES)}, got {name!r}")
