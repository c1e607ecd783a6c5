"""Sobolev Training: neural networks that learn a function's values and its derivatives."""
from sobolev_lib import atari, functions, models, plotting, synthetic_gradients, theory, widgets
from sobolev_lib.data import SobolevData, label
from sobolev_lib.derivatives import value_and_derivatives, value_and_projections
from sobolev_lib.errors import errors
from sobolev_lib.labels import LabelCheck, check_labels
from sobolev_lib.losses import SobolevLoss, StochasticSobolevLoss
from sobolev_lib.scaling import Standardized
from sobolev_lib.training import History, fit, linear_weights

__version__ = "0.1.0"


def __getattr__(name):
    if name == "SobolevRegressor":  # not imported before it is asked for: scikit-learn would take two fifths of the time
        from sobolev_lib.regressor import SobolevRegressor
        return SobolevRegressor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), "SobolevRegressor"])
