"""Who is compared on your own derivatives: our regressor, and what other fields use, each by its own package.

A peer is ``fit(X, y, dy, seed, **trial)`` -> ``predict(X)`` -> (values, slopes or None): X (N, d), y (N,) or (N, q), dy shaped
(N, d) or (N, q, d). ``TRIALS`` holds as many settings for each; the packages are imported where they are used, and are needed
for a new record alone.
"""
import math
import warnings
from collections.abc import Callable
from importlib import metadata

import numpy as np
import torch
from torch import Tensor, nn

from sobolev_lib.data import SobolevData
from sobolev_lib.derivatives import value_and_derivatives
from sobolev_lib.losses import SobolevLoss
from sobolev_lib.models import MLP
from sobolev_lib.regressor.plans import GAINS
from sobolev_lib.scaling import Standardized
from sobolev_lib.training.estimating import Settings, estimate

Predict = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]
Fit = Callable[..., Predict]


def ours(X, y, dy, seed: int, **settings) -> Predict:
    """``SobolevRegressor``, told values and slopes; what is returned has the ``plan`` that was chosen."""
    from sobolev_lib.regressor import SobolevRegressor

    fitted = SobolevRegressor(random_state=seed, **settings).fit(X, y, dy)

    def predict(X):
        return fitted.predict(X, return_gradient=True)

    predict.plan = fitted.choice_.plan.name
    return predict


def values_only(X, y, dy, seed: int, **settings) -> Predict:
    """The same network, told values alone."""
    return ours(X, y, None, seed, **settings)


class Distances(nn.Module):
    """Inverse distances of all pairs of points: positions (N, 3 atoms) -> (N, atoms (atoms - 1) / 2).

    >>> Distances()(torch.tensor([[0.0, 0, 0, 0, 0, 2, 0, 1, 0]]))
    tensor([[0.5000, 1.0000, 0.4472]])
    """

    def forward(self, x: Tensor) -> Tensor:
        atoms = x.unflatten(1, (-1, 3))
        first, second = torch.triu_indices(atoms.shape[1], atoms.shape[1], offset=1)
        return 1 / (atoms[:, first] - atoms[:, second]).norm(dim=2)


class Scaled(nn.Module):
    """Features minus ``mean`` over ``std``, buffers of their own shape."""

    def __init__(self, mean: Tensor, std: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def invariant(X, y, dy, seed: int, *, hidden=(64, 64), steps=200, derivative_weight=1.0) -> Predict:
    """A network of inverse distances: turned and moved clusters have the same energy by construction.

    Begun and trained as the regressor's is that sees coordinates: L-BFGS in double precision.
    """
    mean, std = y.mean(), y.std()
    data = SobolevData(*(torch.as_tensor(each, dtype=torch.float64) for each in (X, (y - mean) / std, dy / std)))
    seen = Distances()(data.inputs)
    inner = MLP(seen.shape[1], *hidden, 1, activation="silu", gain=GAINS["silu"], dtype=torch.float64,
                generator=torch.Generator().manual_seed(seed))
    network = nn.Sequential(Distances(), Scaled(seen.mean(0), seen.std(0)), inner)
    loss = SobolevLoss(1, weights=(1.0, derivative_weight), normalize=True)
    estimate([network], data, None, loss, Settings(steps=steps, optimizer="lbfgs"), [seed])
    return _answers(network, y.shape[1:], mean, std)


def twin(X, y, dy, seed: int, *, rate=1.0, weight=1.0) -> Predict:
    """The network of Huge and Savine (Differential Machine Learning, 2020), built anew from the paper.

    Four hidden layers of 20 softplus units on z-scores; the cost weighs values with 1 / (1 + d), slopes with d / (1 + d),
    each partial divided by its own root mean square; Adam over 100 epochs of four batches at least, rates on their schedule,
    times ``rate``; ``weight`` multiplies d. Missing partials (NaN) count as no error.
    """
    schedule = ((0.0, 1e-8), (0.2, 0.1), (0.6, 0.01), (0.9, 1e-6), (1.0, 1e-8))
    data = SobolevData(*(torch.as_tensor(each, dtype=torch.float32) for each in (X, y, dy)))
    generator = torch.Generator().manual_seed(seed)
    q = y.reshape(len(y), -1).shape[1]
    sizes, layers = [X.shape[1], 20, 20, 20, 20, q], []
    for a, b in zip(sizes, sizes[1:]):
        linear = nn.utils.skip_init(nn.Linear, a, b)       # whose own start would draw from the global generator
        nn.init.normal_(linear.weight, std=a**-0.5, generator=generator)                   # variance one over fan-in
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.Softplus()]
    network = Standardized(nn.Sequential(*layers[:-1]), data)
    scaled, inner = network.scores.standardize(data), network.model
    values, slopes = scaled.values.reshape(len(X), -1), scaled.jacobian.reshape(len(X), q, -1)
    known, slopes = ~slopes.isnan(), slopes.nan_to_num()
    size, d = (slopes.square().sum(0) / known.sum(0)).sqrt().clamp_min(1e-12), weight * X.shape[1]
    adam, batch = torch.optim.Adam(inner.parameters()), min(len(X), max(256, len(X) // 4))
    for epoch in range(100):
        adam.param_groups[0]["lr"] = rate * float(np.interp(epoch / 100, *zip(*schedule)))
        for rows in torch.randperm(len(X), generator=generator).split(batch):
            found = value_and_derivatives(inner, scaled.inputs[rows])
            errors = ((found[1].reshape(len(rows), q, -1) - slopes[rows]) / size * known[rows]).square().mean()
            loss = ((found[0].reshape(len(rows), q) - values[rows]).square().mean() + d * errors) / (1 + d)
            adam.zero_grad()
            loss.backward()
            adam.step()
    return _answers(network, y.shape[1:])


def _answers(network: nn.Module, out: tuple[int, ...], mean: float = 0.0, std: float = 1.0) -> Predict:
    dtype = next(network.parameters()).dtype

    def predict(X):
        values, slopes = (found.detach().double().numpy() for found in
                          value_and_derivatives(network, torch.as_tensor(X, dtype=dtype)))
        return mean + std * values.reshape(len(X), *out), std * slopes.reshape(len(X), *out, X.shape[1])
    return predict


# --- by other packages ------------------------------------------------------------------------------------------------

def jenn(X, y, dy, seed: int, *, hidden, alpha, gamma=1.0, epochs=1, max_iter=1000, batch_size=None) -> Predict:
    """Jacobian-enhanced networks of the package ``jenn`` (GENN in ``smt`` is the same code), on its own scaling.

    ``gamma`` weighs slopes; 0 leaves values alone.
    """
    import jenn as package

    Y, J = y.reshape(len(X), -1), dy.reshape(len(X), -1, X.shape[1])
    network = package.NeuralNet([X.shape[1], *hidden, Y.shape[1]])
    network.fit(X.T, Y.T, J.transpose(1, 2, 0), alpha=alpha, gamma=gamma, is_normalize=True, random_state=seed,
                epochs=epochs, max_iter=max_iter, batch_size=batch_size)

    def predict(X):
        values, slopes = network(X.T)
        return values.T.reshape(len(X), *y.shape[1:]), slopes.transpose(2, 0, 1).reshape(len(X), *dy.shape[1:])
    return predict


def _spline(name: str, X, y, dy, **settings) -> Predict:
    import smt.surrogate_models as package

    limits = np.stack([X.min(0), X.max(0)], axis=1)
    margin = 0.1 * (limits[:, 1] - limits[:, 0])
    limits += np.stack([-margin, margin], axis=1)
    low, wide, size = limits[:, 0], limits[:, 1] - limits[:, 0], y.std(0)
    # outputs of 1e5 and 1e-4 would share one tolerance of the solver: inputs on [0, 1], outputs over their spread
    model = getattr(package, name)(xlimits=np.tile([0.0, 1.0], (X.shape[1], 1)), print_global=False, **settings)
    model.set_training_values((X - low) / wide, y / size)
    for k in range(X.shape[1]):
        model.set_training_derivatives((X - low) / wide, dy[:, :, k] * wide[k] / size, k)
    model.train()

    def predict(X):
        z = (X - low) / wide
        slopes = [model.predict_derivatives(z, k) * size / wide[k] for k in range(X.shape[1])]
        return model.predict_values(z) * size, np.stack(slopes, axis=2)
    return predict


def rmtb(X, y, dy, seed: int, **settings) -> Predict:
    """Regularised tensor-product B-splines of ``smt`` (Hwang and Martins 2018), made for this deck."""
    return _spline("RMTB", X, y, dy, **settings)


def rmtc(X, y, dy, seed: int, **settings) -> Predict:
    """The same with cubic Hermite splines."""
    return _spline("RMTC", X, y, dy, **settings)


def kriging(X, y, dy, seed: int, **settings) -> Predict:
    """Gradient-enhanced kriging with partial least squares of ``smt`` (GEKPLS), one model an output."""
    from smt.surrogate_models import GEKPLS

    Y, J, models = y.reshape(len(X), -1), dy.reshape(len(X), -1, X.shape[1]), []
    limits = np.stack([X.min(0), X.max(0)], axis=1)
    for output in range(Y.shape[1]):
        size = Y[:, output].std()
        model = GEKPLS(xlimits=limits, print_global=False, **settings)
        model.set_training_values(X, Y[:, output:output + 1] / size)
        for k in range(X.shape[1]):
            model.set_training_derivatives(X, J[:, output, k:k + 1] / size, k)
        model.train()
        models.append((model, size))
    return lambda X: (np.concatenate([size * model.predict_values(X) for model, size in models], 1).reshape(len(X), *y.shape[1:]),
                      None)


def gpmin(X, y, dy, seed: int, *, scale, noise) -> Predict:
    """The Gaussian process of energies and forces of ``ase`` (that of its optimiser GPMin)."""
    from ase.optimize.gpmin.gp import GaussianProcess
    from ase.optimize.gpmin.prior import ConstantPrior

    process = GaussianProcess(prior=ConstantPrior(y.mean()))
    process.set_hyperparams(np.array([y.std(), scale, noise]))
    process.train(X, np.column_stack([y, dy]))

    def predict(X):
        found = np.array([process.predict(x) for x in X])
        return found[:, 0], found[:, 1:]
    return predict


def sgdml(X, y, dy, seed: int, *, sigma) -> Predict:
    """The force field of the package ``sgdml``: a kernel of inverse distances learns forces alone, and energies up to a constant.

    Without its symmetries, as our networks know none: atoms of a kind are not exchanged. ``sigma`` is the kernel's length.
    Source: GDML, Chmiela and others 2017.
    """
    from sgdml.predict import GDMLPredict
    from sgdml.train import GDMLTrain

    atoms, none = X.reshape(len(X), -1, 3), np.arange(0)
    # what the package's create_task would draw from a file of one's own, for all points and in their order
    task = {"type": "t", "code_version": metadata.version("sgdml"), "dataset_name": np.array("cluster"), "dataset_theory": np.array("EMT"),
            "z": np.full(atoms.shape[1], 29), "R_train": atoms, "F_train": -dy.reshape(atoms.shape), "E_train": y,
            "idxs_train": np.arange(len(X)), "md5_train": b"", "idxs_valid": none, "md5_valid": b"", "sig": sigma, "lam": 1e-10,
            "use_E": True, "use_E_cstr": False, "use_sym": False, "perms": np.arange(atoms.shape[1])[None]}
    field = GDMLPredict(GDMLTrain(max_processes=1).train(task), max_processes=1)

    def predict(X):
        energies, forces = field.predict(np.ascontiguousarray(X))
        return energies, -forces
    return predict


def mlp_regressor(X, y, dy, seed: int, *, hidden, alpha) -> Predict:
    """scikit-learn's ``MLPRegressor`` on values: how a student is commonly taught."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    mean, std, low, size = X.mean(0), X.std(0), y.mean(0), y.std(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network = MLPRegressor(hidden_layer_sizes=hidden, activation="tanh", solver="lbfgs", alpha=alpha, max_iter=2000,
                               random_state=seed).fit((X - mean) / std, (y - low) / size)
    return lambda X: (low + size * network.predict((X - mean) / std), None)


def gaussian_process(X, y, dy, seed: int, *, nu) -> Predict:
    """scikit-learn's Gaussian process on values, lengths and noise by likelihood; without ``nu`` its kernel is smooth."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

    lengths = np.full(X.shape[1], 3.0)
    kernel = ConstantKernel() * (RBF(lengths) if nu is None else Matern(lengths, nu=nu)) + WhiteKernel(1e-4, (1e-8, 1e1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed).fit(X, y)
    return lambda X: (process.predict(X), None)


def differs_from_quantlib(points: int = 200) -> dict:
    """Largest differences between our exact option prices and deltas and those of ``QuantLib``, by its own formulas.

    It takes the basket as one asset, worth the weighted sum of the seven: then the chain rule gives each asset's delta.
    """
    import QuantLib

    from sobolev_lib.datasets import BasketOption

    option = BasketOption()
    X, call = option.sample(np.random.default_rng(0), points), QuantLib.Option.Call
    baskets = [float(worth) for worth in X @ option.weights]
    prices = np.array([QuantLib.bachelierBlackFormula(call, option.strike, worth, option.volatility) for worth in baskets])
    inside = np.array([QuantLib.bachelierBlackFormulaAssetItmProbability(call, option.strike, worth, option.volatility)
                       for worth in baskets])
    found = option.exact(X)
    return {"by": f"QuantLib {metadata.version('QuantLib')}", "price": float(np.abs(found[0] - prices).max()),
            "delta": float(np.abs(found[1] - inside[:, None] * option.weights).max())}


METHODS: dict[str, Fit] = {
    "slopes": ours, "values": values_only, "slopes, invariant": invariant, "twin network": twin, "JENN": jenn, "RMTB": rmtb,
    "RMTC": rmtc, "GEKPLS": kriging, "GPMin": gpmin, "sGDML": sgdml, "MLPRegressor": mlp_regressor,
    "Gaussian process": gaussian_process}
_PACKAGES = {"JENN": "jenn", "RMTB": "smt", "RMTC": "smt", "GEKPLS": "smt", "GPMin": "ase", "sGDML": "sgdml",
             "MLPRegressor": "scikit-learn", "Gaussian process": "scikit-learn", "GPyTorch": "gpytorch", "NGBoost": "ngboost"}


def by(method: str) -> str:
    """Whose code a method is, with its version: "smt 2.15.0", or "sobolev_lib".

    >>> by("slopes")
    'sobolev_lib'

    Raises ``ImportError`` naming the package where it is not installed.
    """
    package = _PACKAGES.get(method)
    if package is None:
        return "sobolev_lib"
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        raise ImportError(f"{method}: expected the package {package} for a new record, got none; pip install {package}") from None


def finite(value: float) -> float:
    """The number, or 1e9 in place of what is none: a record holds numbers only.

    >>> finite(float("nan"))
    1000000000.0
    """
    return float(value) if math.isfinite(value) else 1e9


def error_shares(X, predicted, truth) -> dict[str, float]:
    """Root mean square errors over the truth's own size: 0 is exact, 1 as good as a constant value or no slopes.

    >>> truth = np.array([1.0, -1.0]), np.array([[1.0], [1.0]])
    >>> error_shares(np.array([[0.0], [1.0]]), (truth[0] * 0.9, truth[1] * 0.5), truth)
    {'value': 0.1, 'slope': 0.5}

    Values over their standard deviation, slopes in units of the inputs' spread; outputs count alike. A slope that a method
    does not give is left out, and what is no number counts as 1e9.
    """
    def share(error, size) -> float:
        sums = [each.reshape(len(X), q, -1).sum(2).mean(0) for each in (error, size)]
        return finite(math.sqrt(float(np.mean(sums[0] / sums[1]))))

    q = truth[0].reshape(len(X), -1).shape[1]
    found = {"value": share((predicted[0] - truth[0])**2, (truth[0] - truth[0].mean(0))**2)}
    if predicted[1] is not None:
        spread = X.std(0)
        found["slope"] = share(((predicted[1] - truth[1]) * spread)**2, (truth[1] * spread)**2)
    return found
