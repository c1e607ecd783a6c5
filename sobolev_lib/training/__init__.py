"""Training: a model on values and derivatives, or many side by side; what happened; checkpoints and early stopping."""
from sobolev_lib.training.fitting import fit
from sobolev_lib.training.history import History
from sobolev_lib.training.many import fit_many
from sobolev_lib.training.schedules import linear_weights

__all__ = ["History", "fit", "fit_many", "linear_weights"]
