"""Sobolev Training: neural networks that learn a function's values and its derivatives."""
from importlib import import_module
from typing import TYPE_CHECKING

from sobolev_lib import _needs  # noqa: F401 - before all that uses PyTorch

# isort: split
from sobolev_lib import functions, models
from sobolev_lib.data import SobolevData
from sobolev_lib.derivatives import value_and_derivatives, value_and_projections
from sobolev_lib.directions import random_directions
from sobolev_lib.errors import errors
from sobolev_lib.internal import internal_derivatives
from sobolev_lib.labelling import label
from sobolev_lib.labels import LabelCheck, check_labels
from sobolev_lib.losses import InternalLoss, SobolevLoss, StochasticSobolevLoss
from sobolev_lib.products import value_and_products
from sobolev_lib.scaling import Standardized
from sobolev_lib.teacher import Teacher
from sobolev_lib.training import History, fit, fit_many, linear_weights

if TYPE_CHECKING:
    from sobolev_lib import atari, datasets, plotting, synthetic_gradients, theory, widgets
    from sobolev_lib.regressor import GradientScorer, SobolevRegressor, gradient_scorer

__version__ = "0.1.0"

__all__ = [
    "GradientScorer", "History", "InternalLoss", "LabelCheck", "SobolevData", "SobolevLoss", "SobolevRegressor",
    "Standardized", "StochasticSobolevLoss", "Teacher", "atari", "check_labels", "datasets", "errors", "fit",
    "fit_many", "functions", "gradient_scorer", "internal_derivatives", "label", "linear_weights", "models",
    "plotting", "random_directions", "synthetic_gradients", "theory", "value_and_derivatives", "value_and_products",
    "value_and_projections", "widgets",
]

# what would double the time of the import: loaded when it is first asked for
_LATER = dict.fromkeys(("GradientScorer", "SobolevRegressor", "gradient_scorer"), "sobolev_lib.regressor")
_PACKAGES_LATER = ("atari", "datasets", "plotting", "synthetic_gradients", "theory", "widgets")


def __getattr__(name: str):
    if name in _PACKAGES_LATER:
        return import_module(f"sobolev_lib.{name}")
    if name in _LATER:
        found = getattr(import_module(_LATER[name]), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
