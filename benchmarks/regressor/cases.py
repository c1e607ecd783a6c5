"""The cases of the regressor's benchmark: generated points with values and slopes, and the truth to compare with.

Half of them are there to choose settings by, the other half to report on: who tunes on the second half tests nothing.
"""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtr

import sobolev_lib as sl
from sobolev_lib.datasets import BasketOption

Labels = tuple[np.ndarray, np.ndarray]                     # values (N,) or (N, q), slopes (N, d) or (N, q, d)


@dataclass(frozen=True)
class Case:
    """``points`` to learn from, drawn by ``sample``; ``labels`` may be noisy, ``truth`` is not."""

    name: str
    half: str                                              # "choosing" or "reporting"
    points: int
    sample: Callable[[np.random.Generator, int], np.ndarray]
    truth: Callable[[np.ndarray], Labels]
    labels: Callable[[np.random.Generator, np.ndarray], Labels] | None = None

    def train(self, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        random = np.random.default_rng([seed, 0])
        X = self.sample(random, self.points)
        return X, *(self.labels(random, X) if self.labels else self.truth(X))

    def test(self, seed: int, points: int = 2_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        X = self.sample(np.random.default_rng([seed, 1]), points)
        return X, *self.truth(X)


def uniform(low, high) -> Callable:
    low, high = np.asarray(low, float), np.asarray(high, float)
    return lambda random, n: random.uniform(low, high, (n, len(low)))


# --- pathwise labels: one simulated path a point, right on the average only (Huge and Savine 2020) --------------------

def black_scholes(half: str, points: int, strike: float = 1.1, volatility: float = 0.2) -> Case:
    """A call in a year, by one path from today's spot."""
    def sample(random, n):
        wide = 1.5 * volatility                            # spots are spread more widely than the market would
        return np.exp(-wide**2 / 2 + wide * random.normal(size=(n, 1)))

    def labels(random, X):
        growth = np.exp(-volatility**2 / 2 + volatility * random.normal(size=X.shape))
        return np.maximum(X * growth - strike, 0)[:, 0], np.where(X * growth > strike, growth, 0.0)

    def truth(X):
        d1 = np.log(X / strike) / volatility + volatility / 2
        return (X * ndtr(d1) - strike * ndtr(d1 - volatility))[:, 0], ndtr(d1)

    return Case(f"Black-Scholes paths, {points}", half, points, sample, truth, labels)


def basket(half: str, inputs: int, points: int, correlation: float | None = None) -> Case:
    """A call on a basket of normal prices, by one path; the price depends on the basket alone, one direction in all."""
    option = BasketOption(inputs, correlation)
    what = "" if correlation is None else f", correlation {correlation}"
    return Case(f"basket of {inputs}{what}, {points}", half, points, option.sample, option.exact, option.paths)


# --- exact labels -----------------------------------------------------------------------------------------------------

def function(half: str, name: str, points: int) -> Case:
    """One of the paper's functions."""
    f = getattr(sl.functions, name)

    def truth(X):
        data = sl.label(f, torch.as_tensor(X))
        return data.values.numpy(), data.jacobian.numpy()

    return Case(f"{name}, {points}", half, points, uniform(*np.asarray(f.domain, float).T), truth)


def jenn(half: str, name: str, points: int) -> Case:
    """The demonstrations that come with JENN, on points drawn at random."""
    formulas = {
        "sinusoid": (uniform([-np.pi], [np.pi]), lambda x: (x * np.sin(x), np.sin(x) + x * np.cos(x))),
        "Rastrigin": (uniform([-1, -1], [1.5, 1.5]), lambda x: (10 + x**2 - 10 * np.cos(2 * np.pi * x),
                                                                2 * x + 20 * np.pi * np.sin(2 * np.pi * x)))}
    if name == "Rosenbrock":
        def truth(X):
            a, b = X.T
            return (1 - a)**2 + 100 * (b - a**2)**2, np.stack([-2 * (1 - a) - 400 * a * (b - a**2), 200 * (b - a**2)], 1)
        return Case(f"JENN's Rosenbrock, {points}", half, points, uniform([-2, -2], [2, 2]), truth)
    sample, formula = formulas[name]

    def summed(X):
        values, slopes = formula(X)
        return values.sum(axis=1), slopes

    return Case(f"JENN's {name}, {points}", half, points, sample, summed)


def greeks(half: str, points: int, missing: float = 0.0) -> Case:
    """A call's price by spot, volatility, rate and time, with delta, vega, rho and theta; some of these not known."""
    def truth(X):
        spot, volatility, rate, time = X.T
        spread, discount = volatility * np.sqrt(time), np.exp(-rate * time)
        d1 = (np.log(spot) + rate * time) / spread + spread / 2
        density = np.exp(-d1**2 / 2) / np.sqrt(2 * np.pi)
        far = discount * ndtr(d1 - spread)
        vega = spot * density * np.sqrt(time)
        slopes = [ndtr(d1), vega, time * far, vega * volatility / (2 * time) + rate * far]
        return spot * ndtr(d1) - far, np.stack(slopes, axis=1)

    def labels(random, X):
        y, dy = truth(X)
        return y, np.where(random.random(dy.shape) < missing, np.nan, dy)

    what = f", {missing:.0%} missing" if missing else ""
    return Case(f"greeks{what}, {points}", half, points, uniform([0.5, 0.1, 0.0, 0.1], [1.5, 0.6, 0.1, 2.0]), truth, labels)


def two_outputs(half: str, points: int) -> Case:
    """sin(a) b beside sin(12 a): the second's slopes are far larger."""
    def truth(X):
        a, b = X.T
        slopes = [[np.cos(a) * b, np.sin(a)], [12 * np.cos(12 * a), 0 * a]]
        return np.stack([np.sin(a) * b, np.sin(12 * a)], axis=1), np.moveaxis(np.array(slopes), -1, 0)

    return Case(f"two outputs, {points}", half, points, uniform([-2, -2], [2, 2]), truth)


CASES = [
    black_scholes("choosing", 1024), black_scholes("reporting", 4096),
    basket("reporting", 1, 8192), basket("choosing", 7, 4096), basket("reporting", 7, 16384), basket("choosing", 20, 4096),
    basket("reporting", 50, 16384), basket("choosing", 5, 2048, 0.9), basket("reporting", 5, 8192, 0.95),
    function("choosing", "ackley", 100), function("reporting", "beale", 100), function("choosing", "booth", 30),
    function("reporting", "bukin", 100), function("choosing", "mccormick", 30), function("reporting", "rosenbrock", 50),
    function("choosing", "styblinski_tang", 100),
    jenn("reporting", "sinusoid", 4), jenn("choosing", "Rastrigin", 100), jenn("reporting", "Rosenbrock", 389),
    greeks("choosing", 300), greeks("reporting", 1000, missing=0.3),
    two_outputs("choosing", 200), two_outputs("reporting", 50)]
