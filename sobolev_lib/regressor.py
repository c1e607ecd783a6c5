"""SobolevRegressor: Sobolev training behind scikit-learn's fit and predict."""
import json

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sobolev_lib._arguments import integer, number, several
from sobolev_lib._tensor_files import read_tensors, write_tensors
from sobolev_lib.data import SobolevData, check_order_of_tables
from sobolev_lib.derivatives import value_and_derivatives
from sobolev_lib.losses import SobolevLoss
from sobolev_lib.models import MLP
from sobolev_lib.scaling import ZScores
from sobolev_lib.training import fit


class SobolevRegressor(RegressorMixin, BaseEstimator):
    """A neural network that learns from values and, where you have them, gradients; a scikit-learn estimator.

    >>> X = np.random.default_rng(0).uniform(-1, 1, (50, 2)); y, dy = X[:, 0] * X[:, 1], X[:, ::-1].copy()
    >>> regressor = SobolevRegressor(hidden=(32, 32), steps=200).fit(X, y, dy)
    >>> regressor.predict(X).shape, regressor.predict_gradient(X).shape
    ((50,), (50, 2))

    ``fit(X, y, dy)``: X (N, d), y (N,) or (N, m), dy (N, d) or (N, m, d) in y's units over X's; NaN or masked entries of
    dy are missing ones, and so are those of y at points with some entry of dy. Tables must have the columns of dy in the
    order of X's, and equal rows. Without dy it is plain regression. Inputs and values are z-scored, derivatives follow by
    the chain rule, and each term of the loss is divided by its labels' mean square, so ``derivative_weight=1`` gives values and
    gradients an equal say. Adam with a one-cycle learning rate that peaks at ``lr``. ``batch_size`` points a step.

    Warns of derivatives that surely have a wrong sign, unit or order: see ``sobolev_lib.check_labels``.
    Raises ``ValueError`` for shapes that don't fit. Source: equation 1 at order 1.
    """

    def __init__(self, hidden=(256, 256), activation="silu", derivative_weight=1.0, steps=2000, batch_size=256,
                 lr=3e-3, random_state=0, device=None, progress=False):
        self.hidden = hidden
        self.activation = activation
        self.derivative_weight = derivative_weight
        self.steps = steps
        self.batch_size = batch_size
        self.lr = lr
        self.random_state = random_state
        self.device = device
        self.progress = progress

    def fit(self, X, y, dy=None):
        """Learn from X (N, d), y (N,) or (N, m) and, where you have them, dy (N, d) or (N, m, d); returns itself."""
        check_order_of_tables(X, y, dy)
        X, y = _filled(X), _filled(y)
        if dy is not None and not isinstance(y, np.ndarray):
            y = np.asarray(y)                              # tables, lists and tensors may lack values as well
        # scikit-learn knows no missing values: it looks at the others
        missing = None if dy is None or not isinstance(y, np.ndarray) or y.dtype.kind != "f" else np.isnan(y)
        known = y if missing is None else np.where(missing, 0.0, y)
        X, y = validate_data(self, X, known, dtype=np.float64, multi_output=True, y_numeric=True)
        y = y.astype(np.float64)
        if missing is not None:
            y[missing.reshape(y.shape)] = np.nan
        data = SobolevData(X, y, None if dy is None else self._checked(_filled(dy), y.shape + X.shape[1:]))
        weight = number(self.derivative_weight, "derivative_weight", "a number >= 0", zero=True)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self._scalar = y.ndim == 1
        self._build(data, torch.Generator().manual_seed(seed))
        # scaled in float64, trained in float32: speed, and large offsets in X or y cost no digits
        scaled = self.scaling_.standardize(data).to(torch.float32)
        loss = SobolevLoss(data.order, weights=(1.0, weight)[:data.order + 1], normalize=True)
        self.history_ = fit(
            self.network_, scaled, loss=loss, steps=self.steps, batch_size=self.batch_size, lr=self.lr, seed=seed,
            scheduler=lambda adam: torch.optim.lr_scheduler.OneCycleLR(adam, float(self.lr), int(self.steps) + 1),
            device=self.device, progress=self.progress)
        self.network_.double()  # predictions must not depend on how many points are asked for at once
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X):
        """Values at X: (N, d) -> (N,), or (N, m) after fitting m outputs."""
        scaled = self._scaled(X)
        with torch.no_grad():
            y = self.network_(scaled).cpu()
        y = self.scaling_.outputs(y)
        return y[:, 0].numpy() if self._scalar else y.numpy()

    def predict_gradient(self, X):
        """Gradients at X: (N, d) -> (N, d), or (N, m, d) after fitting m outputs; in y's units over X's."""
        scaled = self._scaled(X)
        _, jacobian = value_and_derivatives(self.network_, scaled)
        jacobian = jacobian.detach().cpu()
        return self.scaling_.jacobian(jacobian[:, 0] if self._scalar else jacobian).numpy()

    def save(self, path):
        """Write the fitted regressor to one safetensors file (whole or not at all); ``load`` reads it back.

        A ``random_state`` that is a generator is left out, and the device is kept by name.
        """
        check_is_fitted(self)
        tensors = {f"network.{name}": t for name, t in self.network_.state_dict().items()}
        tensors |= {f"scaling.{name}": t for name, t in vars(self.scaling_).items()}
        header = {"parameters": {name: _plain(value) for name, value in self.get_params().items()}, "scalar": self._scalar,
                  "n_features": self.n_features_in_, "feature_names": list(getattr(self, "feature_names_in_", ()))}
        write_tensors(path, tensors, {"SobolevRegressor": json.dumps(header)})

    @classmethod
    def load(cls, path):
        """A fitted regressor from a file that ``save`` wrote; predicts exactly what the saved one did.

        Raises ``ValueError`` naming the file if anything in it is missing, damaged, or not what a regressor is made of.
        """
        tensors, about = read_tensors(path, "load")
        try:
            header = json.loads(about["SobolevRegressor"])
            regressor = cls(**header["parameters"])
            regressor.n_features_in_, regressor._scalar = integer(header["n_features"], "n_features"), bool(header["scalar"])
            if header["feature_names"]:
                regressor.feature_names_in_ = np.array(header["feature_names"], dtype=object)
            mean = tensors["scaling.output_mean"]
            if mean.ndim != (0 if regressor._scalar else 1):
                raise ValueError(f"scaling.output_mean of shape {tuple(mean.shape)}")
            regressor.n_outputs_ = mean.numel()
            placeholder = SobolevData(torch.zeros(1, regressor.n_features_in_, dtype=torch.float64),
                                      torch.zeros(1, *mean.shape, dtype=torch.float64))
            regressor._build(placeholder, torch.Generator())
            regressor.network_.double()
            own = {f"network.{name}": t for name, t in regressor.network_.state_dict().items()}
            own |= {f"scaling.{name}": t for name, t in vars(regressor.scaling_).items()}
            _check_tensors(tensors, own)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"load: expected a file written by SobolevRegressor.save, got {path}: "
                             f"{type(error).__name__} {error}") from None
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
        return regressor

    def _build(self, data: SobolevData, generator: torch.Generator) -> None:
        sizes = [self.hidden] if np.isscalar(self.hidden) else several(self.hidden, "hidden", "a size or a list of sizes")
        hidden = [integer(size, "hidden", "positive sizes") for size in sizes]
        self.network_ = MLP(self.n_features_in_, *hidden, self.n_outputs_, activation=self.activation,
                            generator=generator, dtype=torch.float32)
        self.scaling_ = ZScores.of(data)                   # in float64

    def _scaled(self, X) -> torch.Tensor:
        check_is_fitted(self)
        # a copy: X may be read-only
        X = torch.as_tensor(np.array(validate_data(self, _filled(X), dtype=np.float64, reset=False)))
        return self.scaling_.inputs(X).to(next(self.network_.parameters()).device)

    @staticmethod
    def _checked(dy, shape):
        try:
            dy = np.asarray(dy, dtype=np.float64)
        except (TypeError, ValueError):
            raise TypeError(f"dy: expected an array of numbers of shape {shape}, got {type(dy).__name__}") from None
        if dy.shape != shape:
            raise ValueError(f"dy: expected shape {shape}, one gradient per value of y, got {dy.shape}")
        return dy


def _filled(table):
    """A masked array with NaN where it is masked: scikit-learn and NumPy would take what lies beneath."""
    if not isinstance(table, np.ma.MaskedArray):
        return table
    return table.astype(np.float64).filled(np.nan) if np.ma.is_masked(table) else table.data


def _plain(value):
    """A parameter as JSON holds it."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if isinstance(value, torch.device):
        return str(value)
    return None if isinstance(value, (np.random.RandomState, np.random.Generator)) else value


def _check_tensors(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    if set(found) != set(expected):
        raise ValueError(f"expected tensors {', '.join(sorted(set(expected) - set(found)) or ['no more'])}, got "
                         f"{', '.join(sorted(set(found) - set(expected)) or ['none of them'])}")
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape or not tensor.is_floating_point() or not tensor.isfinite().all():
            raise ValueError(f"{name}: expected finite floating-point numbers of shape {tuple(expected[name].shape)}, got "
                             f"{tensor.dtype} of {tuple(tensor.shape)}, {int((~tensor.isfinite()).sum())} not finite")
        if name.endswith("_std") and not (tensor > 0).all():
            raise ValueError(f"{name}: expected scales above zero")
