"""What a regressor trains: networks and scales of the shape that parameters and data ask for."""
import copy
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils import check_random_state

from sobolev_lib._arguments import device_of, integer, several
from sobolev_lib.data import SobolevData
from sobolev_lib.labels import mark_as_checked
from sobolev_lib.losses import SobolevLoss
from sobolev_lib.models import MLP
from sobolev_lib.regressor.reduction import folded, reduction, rotated, unfolded
from sobolev_lib.scaling import ZScores
from sobolev_lib.training.estimating import Settings, loss_of


class WithNetworks:
    """The part of ``SobolevRegressor`` that makes its networks and brings data into their units.

    >>> isinstance(sobolev_lib.SobolevRegressor(), WithNetworks)
    True

    At rest networks take z-scored inputs and are in float64. At work they are in the ``dtype`` of training and, with
    ``reduce_inputs``, take the directions of ``reduction_``.
    """

    def _settings(self) -> Settings:
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"dtype: expected \"float32\" or \"float64\", got {self.dtype!r}")
        if self.reduce_inputs not in (None, "gradients"):
            raise ValueError(f"reduce_inputs: expected \"gradients\" or None, got {self.reduce_inputs!r}")
        return Settings(self.steps, self.epochs, self.batch_size, self.lr, self.optimizer, self.schedule, self.weight_decay,
                        self.patience, device_of(self.device), self.progress)

    def _seeds(self) -> list[int]:
        random = check_random_state(self.random_state)
        return [int(random.randint(2**31 - 1)) for _ in range(integer(self.ensemble, "ensemble"))]

    def _hidden(self) -> list[int]:
        sizes = [self.hidden] if np.isscalar(self.hidden) else several(self.hidden, "hidden", "a size or a list of sizes")
        return [integer(size, "hidden", "positive sizes") for size in sizes]

    def _begin(self, data: SobolevData, seeds: list[int]) -> None:
        self.n_outputs_, self._scalar = 1 if data.out_shape == () else data.out_shape[0], data.out_shape == ()
        scaling = ZScores.of(data)                         # in float64
        self.reduction_ = None if self.reduce_inputs is None else reduction(scaling.standardize(data))
        self._build(self.n_features_in_ if self.reduction_ is None else len(self.reduction_), len(seeds), seeds, scaling)

    def _build(self, inputs: int, members: int, seeds: list[int] | None = None, scaling: ZScores | None = None) -> None:
        """Networks and scales of that shape; without seeds and scaling, to be filled from a file."""
        self.networks_ = [MLP(inputs, *self._hidden(), self.n_outputs_, activation=self.activation,
                              generator=torch.Generator() if seeds is None else torch.Generator().manual_seed(seeds[k]),
                              dtype=torch.float64 if seeds is None else torch.float32) for k in range(members)]
        out = () if self._scalar else (self.n_outputs_,)
        shapes = ((self.n_features_in_,), (self.n_features_in_,), out, out)
        self.scaling_ = scaling or ZScores(*[torch.ones(shape, dtype=torch.float64) for shape in shapes])
        self.std_scale_ = torch.ones(self.n_outputs_, dtype=torch.float64)

    def _check_networks(self, name: str, data: SobolevData) -> None:
        """Raises ``ValueError`` unless data and parameters are those of the networks that are there."""
        outputs = 1 if data.out_shape == () else data.out_shape[0]
        there = (len(self.networks_), *self.networks_[0].sizes, self.networks_[0].activation)
        now = (integer(self.ensemble, "ensemble"), data.in_shape[0], *self._hidden(), outputs, self.activation)
        if there != now or self._scalar != (data.out_shape == ()):
            raise ValueError(f"{name}: expected data and parameters of the networks that are there (how many, sizes, "
                             f"activation), {there}, got {now}; clone the regressor to begin anew")
        reduced = None if self.reduction_ is None else "gradients"
        if reduced != self.reduce_inputs:
            raise ValueError(f"{name}: expected reduce_inputs={reduced!r} as the networks that are there, got "
                             f"{self.reduce_inputs!r}; clone the regressor to begin anew")

    def _loss(self, scaled: SobolevData) -> SobolevLoss:
        if self.reduction_ is not None:
            shape = np.shape(self.derivative_weight)
            if shape and (len(shape) != 2 or shape[1] != 1):
                raise ValueError(f"derivative_weight: expected a number, or ({self.n_outputs_}, 1) of them, one an output, "
                                 f"beside reduce_inputs, which leaves no input alone; got {self.derivative_weight!r}")
        return loss_of(self.derivative_weight, scaled)

    def _scaled(self, data: SobolevData) -> SobolevData:
        """Data for the networks, and these, in the dtype of training."""
        # scaled in float64, trained in float32: speed, and large offsets in X or y cost no digits
        scaled = self.scaling_.standardize(data)
        scaled = scaled if self.reduction_ is None else rotated(scaled, self.reduction_)
        scaled = scaled.to(getattr(torch, self.dtype))
        mark_as_checked(scaled)
        for network in self.networks_:
            network.to(scaled.inputs.dtype)
        return scaled

    @contextmanager
    def _all_or_nothing(self):
        """If what is done within it fails, the regressor is as it was before."""
        before = dict(vars(self))
        if "networks_" in before:                          # what is trained are copies
            self.networks_ = copy.deepcopy(self.networks_)
        try:
            yield
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    @contextmanager
    def _at_work(self, anew: bool):
        """Networks as they are trained, as they are made ``anew``; afterwards at rest."""
        if self.reduction_ is not None and not anew:
            self.networks_ = [unfolded(network, self.reduction_) for network in self.networks_]
        yield
        if self.reduction_ is not None:
            self.networks_ = [folded(network, self.reduction_) for network in self.networks_]
        for network in self.networks_:
            network.double()                               # predictions must not depend on how many points are asked for
