"""SobolevRegressor: Sobolev training behind scikit-learn's fit and predict."""
import json
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sobolev_lib.data import SobolevData
from sobolev_lib.derivatives import value_and_derivatives
from sobolev_lib.losses import SobolevLoss
from sobolev_lib.models import MLP
from sobolev_lib.records import write_whole
from sobolev_lib.scaling import Standardized
from sobolev_lib.training import fit


class SobolevRegressor(RegressorMixin, BaseEstimator):
    """A neural network that learns from values and, where you have them, gradients; a scikit-learn estimator.

    >>> X = np.random.default_rng(0).uniform(-1, 1, (50, 2)); y, dy = X[:, 0] * X[:, 1], X[:, ::-1].copy()
    >>> regressor = SobolevRegressor(hidden=(32, 32), steps=200).fit(X, y, dy)
    >>> regressor.predict(X).shape, regressor.predict_gradient(X).shape
    ((50,), (50, 2))

    ``fit(X, y, dy)``: X (N, d), y (N,) or (N, m), dy (N, d) or (N, m, d) in y's units over X's; NaN entries of dy are
    missing ones. Without dy it is plain regression. Inputs and values are z-scored, derivatives follow by the chain
    rule, and each term of the loss is divided by its labels' mean square, so ``derivative_weight=1`` gives values and
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
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        y = y.astype(np.float64)
        data = SobolevData(X, y, None if dy is None else self._checked(dy, y.shape + X.shape[1:]))
        if not (np.isscalar(self.derivative_weight) and self.derivative_weight >= 0):
            raise ValueError(f"derivative_weight: expected a number >= 0, got {self.derivative_weight!r}")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self._scalar = y.ndim == 1
        self._build(data, torch.Generator().manual_seed(seed))
        # scaled in float64, trained in float32: speed, and large offsets in X or y cost no digits
        scaled = self.scaling_.standardize(data).to(torch.float32)
        loss = SobolevLoss(data.order, weights=(1.0, self.derivative_weight)[:data.order + 1], normalize=True)
        self.history_ = fit(
            self.network_, scaled, loss=loss, steps=self.steps, batch_size=self.batch_size, lr=self.lr, seed=seed,
            scheduler=lambda adam: torch.optim.lr_scheduler.OneCycleLR(adam, self.lr, total_steps=self.steps + 1),
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
        y = y * self.scaling_.output_std + self.scaling_.output_mean
        return y[:, 0].numpy() if self._scalar else y.numpy()

    def predict_gradient(self, X):
        """Gradients at X: (N, d) -> (N, d), or (N, m, d) after fitting m outputs; in y's units over X's."""
        scaled = self._scaled(X)
        _, jacobian = value_and_derivatives(self.network_, scaled)
        jacobian = jacobian.detach().cpu() * self.scaling_.output_std.reshape(-1, 1) / self.scaling_.input_std
        return jacobian[:, 0].numpy() if self._scalar else jacobian.numpy()

    def save(self, path):
        """Write the fitted regressor to one safetensors file (whole or not at all); ``load`` reads it back."""
        check_is_fitted(self)
        tensors = {f"network.{name}": t for name, t in self.network_.state_dict().items()}
        tensors |= {f"scaling.{name}": t for name, t in self.scaling_.named_buffers()}
        header = {"parameters": self.get_params(), "scalar": self._scalar, "n_features": self.n_features_in_,
                  "feature_names": getattr(self, "feature_names_in_", np.array([])).tolist()}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        write_whole(Path(path), save(tensors, metadata={"SobolevRegressor": json.dumps(header)}))

    @classmethod
    def load(cls, path):
        """A fitted regressor from a file that ``save`` wrote; predicts exactly what the saved one did."""
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if "SobolevRegressor" not in metadata:
                raise ValueError(f"load: expected a file written by SobolevRegressor.save, got {path}")
            header = json.loads(metadata["SobolevRegressor"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        regressor = cls(**header["parameters"])
        regressor.n_features_in_, regressor._scalar = header["n_features"], header["scalar"]
        if header["feature_names"]:
            regressor.feature_names_in_ = np.array(header["feature_names"], dtype=object)
        scaling = {name[8:]: tensor for name, tensor in tensors.items() if name.startswith("scaling.")}
        regressor.n_outputs_ = scaling["output_mean"].numel()
        placeholder = SobolevData(scaling["input_mean"].unsqueeze(0), scaling["output_mean"].unsqueeze(0))
        regressor._build(placeholder, torch.Generator())
        regressor.network_.double().load_state_dict({n[8:]: t for n, t in tensors.items() if n.startswith("network.")})
        for name, tensor in scaling.items():
            getattr(regressor.scaling_, name).copy_(tensor)
        return regressor

    def _build(self, data: SobolevData, generator: torch.Generator) -> None:
        hidden = (self.hidden,) if isinstance(self.hidden, int) else tuple(self.hidden)
        self.network_ = MLP(self.n_features_in_, *hidden, self.n_outputs_, activation=self.activation,
                            generator=generator)
        self.scaling_ = Standardized(torch.nn.Identity(), data)  # holds means and scales in float64

    def _scaled(self, X) -> torch.Tensor:
        check_is_fitted(self)
        X = torch.as_tensor(np.array(validate_data(self, X, dtype=np.float64, reset=False)))  # a copy: X may be read-only
        scaled = (X - self.scaling_.input_mean) / self.scaling_.input_std
        return scaled.to(next(self.network_.parameters()).device)

    @staticmethod
    def _checked(dy, shape):
        try:
            dy = np.asarray(dy, dtype=np.float64)
        except (TypeError, ValueError):
            raise TypeError(f"dy: expected an array of numbers of shape {shape}, got {type(dy).__name__}") from None
        if dy.shape != shape:
            raise ValueError(f"dy: expected shape {shape}, one gradient per value of y, got {dy.shape}")
        return dy
