"""What a regressor trains: networks and scales of the shape that parameters and data ask for."""
import copy
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import Tensor

from sobolev_lib._arguments import device_of, integer, several
from sobolev_lib.data import SobolevData
from sobolev_lib.labels import mark_as_checked
from sobolev_lib.losses import SobolevLoss
from sobolev_lib.models import MLP
from sobolev_lib.regressor.outliers import tell_without_slopes, trimmed, without_flat_slopes, without_slopes
from sobolev_lib.regressor.plans import GAINS, NONE, Plan, as_given, exact, long, plans_for
from sobolev_lib.regressor.reduction import folded, may_be_reduced, reduction, rotated, unfolded
from sobolev_lib.regressor.waves import solve_each
from sobolev_lib.scaling import ZScores
from sobolev_lib.training.estimating import LEAST_SIZE, estimate, loss_of
from sobolev_lib.training.streaming import Stream


class WithNetworks:
    """The part of ``SobolevRegressor`` that makes its networks and brings data into their units.

    >>> isinstance(sobolev_lib.SobolevRegressor(), WithNetworks)
    True

    At rest networks take z-scored inputs and are in float64. At work they are in the ``dtype`` of training and, with
    ``reduce_inputs``, take the directions of ``reduction_``.
    """

    def _given(self) -> dict:
        """The parameters of network and training that are not left alone."""
        names = ("hidden", "activation", "dtype", "reduce_inputs", "steps", "batch_size", "lr", "optimizer")
        given = {name: getattr(self, name) for name in names if not is_auto(getattr(self, name))}
        if given.get("dtype", "float32") not in ("float32", "float64"):
            raise ValueError(f"dtype: expected \"float32\", \"float64\" or \"auto\", got {self.dtype!r}")
        if given.get("reduce_inputs") not in (None, "gradients"):
            raise ValueError(f"reduce_inputs: expected \"gradients\", None or \"auto\", got {self.reduce_inputs!r}")
        if "lr" in given and callable(self.optimizer) and not isinstance(self.optimizer, type):
            raise ValueError(f"lr: expected none beside an optimizer that brings its own, got {self.lr!r}; it would have no effect")
        if self.optimizer == "lbfgs" and self.schedule != "one-cycle":
            raise ValueError(f"schedule: expected none beside \"lbfgs\", got {self.schedule!r}; it would have no effect")
        if "hidden" in given:
            sizes = [self.hidden] if np.isscalar(self.hidden) else several(self.hidden, "hidden", "a size or a list of sizes")
            given["hidden"] = tuple(integer(size, "hidden", "positive sizes") for size in sizes)
        return given | {"epochs": self.epochs, "schedule": self.schedule, "weight_decay": self.weight_decay,
                        "patience": self.patience, "device": device_of(self.device), "progress": self.progress}

    def _going_on(self) -> Plan:
        """The plan of a fit that starts warm: a network that was solved is trained from now on, if someone says how."""
        given = self._given()
        told = {"steps", "batch_size", "lr", "optimizer"} & {*given} or self.epochs is not None or self.weight_decay
        plan = as_given(self.choice_.plan, given)
        return replace(plan, solved=False) if told else plan

    def _plans(self, data: SobolevData) -> list[Plan]:
        """What may be trained on the data: one plan where steps or optimiser are given."""
        given, n = self._given(), len(data)
        d, q = data.in_shape[0], 1 if data.out_shape == () else data.out_shape[0]
        if {"steps", "optimizer"} & {*given} or self.epochs is not None:
            told = {"drop": None} if "reduce_inputs" not in given else {}
            base = exact(n, d, q) if given.get("optimizer") == "lbfgs" else long(n)
            return [replace(as_given(replace(base, name="given", dtype="float32"), given), **told)]
        found = plans_for(n, d, q)
        adams = bool(self.weight_decay) or self.schedule != "one-cycle"
        if adams or {"hidden", "activation", "batch_size", "lr"} & {*given} or given.get("dtype") == "float32":
            found = [plan for plan in found if not plan.solved] or [exact(n, d, q)]        # for which they have no meaning
        if adams:
            found = [plan if plan.name != "exact" else long(n) for plan in found]
        return [as_given(plan, given) for plan in found]

    def _seeds(self) -> list[int]:
        random = check_random_state(self.random_state)
        return [int(random.randint(2**31 - 1)) for _ in range(integer(self.ensemble, "ensemble"))]

    def _learn(self, plan: Plan, data: SobolevData, held: SobolevData | None, seeds: list[int], anew: bool = True,
               unit: float = 1.0, scaling: ZScores | None = None) -> None:
        """Train as planned: new networks, whose ``scaling`` is that of the data unless it is given, or those that are there;
        ``unit`` is the sample weight that counts as 1."""
        if anew:
            self._begin(plan, data, seeds, scaling)
        if held is not None and plan.values_alone and not tell_without_slopes(held, plan.values_alone).any():
            held = None                                    # slopes that are left out are nothing to watch
        with self._at_work(anew):
            scaled, watched = (None if part is None else self._scaled(plan, part) for part in (data, held))
            self._stream = Stream(self.networks_, unit)
            self._stream.see(scaled)
            loss = self._loss(plan, scaled, self._weight)
            self.derivative_weight_ = copy.deepcopy(self._weight)
            if plan.solved:
                scaled, watched = (part if part is None else part.to(plan.settings.device) for part in (scaled, watched))
                for network in self.networks_:
                    network.to(plan.settings.device)
                self.histories_, trusts = solve_each(self.networks_, scaled, watched, loss, self._row_weights(plan, scaled), seeds,
                                                     weigh=is_auto(self.derivative_weight))
                if (trusts[0] != 1).any():
                    self.derivative_weight_ = trusts[0][:, None].numpy()
            else:
                self.histories_ = estimate(self.networks_, scaled, watched, loss, plan.settings, seeds)

    @property
    def _weight(self):
        """The weight of slopes that was given, or that a training begins with."""
        return 1.0 if is_auto(self.derivative_weight) else self.derivative_weight

    def _row_weights(self, plan: Plan, scaled: SobolevData) -> Tensor:
        """What a squared error of each slope counts in least squares, (q, d), beside one of a value: as in the loss."""
        d = scaled.in_shape[0]
        sizes = torch.as_tensor(np.ones(self.n_outputs_) if self._stream.sizes is None else
                                np.maximum(self._stream.sizes, LEAST_SIZE))
        weights = torch.as_tensor(np.asarray(self._weight, dtype=np.float64))
        return (plan.emphasis * weights / sizes[:, None]).expand(self.n_outputs_, d)

    def _tried(self, plan: Plan, data: SobolevData, scaling: ZScores, *, seed: int) -> "WithNetworks":
        """A regressor with one network trained as planned; this one stays as it is."""
        other = copy.copy(self)
        other._learn(replace(plan, settings=replace(plan.settings, progress=False)), data, None, [seed], scaling=scaling)
        return other

    def _go_on_from(self, trial: "WithNetworks") -> None:
        """Take over the trial's network, as if it were this regressor's own; the trial's stays as it is."""
        for name in ("scaling_", "std_scale_", "reduction_", "n_outputs_", "_scalar"):
            setattr(self, name, getattr(trial, name))
        self.networks_ = copy.deepcopy(trial.networks_)

    def _stay_with(self, trial: "WithNetworks") -> None:
        """Take over all that the trial has learned."""
        self._go_on_from(trial)
        for name in ("histories_", "derivative_weight_", "_stream"):
            setattr(self, name, getattr(trial, name))

    def _begin(self, plan: Plan, data: SobolevData, seeds: list[int], scaling: ZScores | None = None) -> None:
        self.n_outputs_, self._scalar = 1 if data.out_shape == () else data.out_shape[0], data.out_shape == ()
        scaling = scaling or ZScores.of(trimmed(data) if plan.trims else data)     # in float64
        self.reduction_ = self._directions(plan, self._standardized(plan, data, scaling))
        inputs = self.n_features_in_ if self.reduction_ is None else len(self.reduction_)
        self._build(plan, inputs, len(seeds), seeds, scaling)

    def _directions(self, plan: Plan, scaled: SobolevData) -> Tensor | None:
        if plan.drop is None:
            return None
        if self.reduce_inputs == "gradients":              # what stands in its way is an error
            return reduction(scaled, plan.drop)
        if not may_be_reduced(scaled) or np.ndim(self._weight) and np.shape(self._weight)[-1] > 1:
            return None
        found = reduction(scaled, plan.drop)
        # exact slopes gain nothing by turning alone
        return found if plan.drop > NONE or len(found) < found.shape[1] else None

    def _build(self, plan: Plan, inputs: int, members: int, seeds: list[int] | None = None,
               scaling: ZScores | None = None) -> None:
        """Networks and scales of that shape; without seeds and scaling, to be filled from a file."""
        how = {"gain": GAINS[plan.activation]} if plan.activation in GAINS else {}
        self.networks_ = [MLP(inputs, *plan.hidden, self.n_outputs_, activation=plan.activation, **how,
                              generator=torch.Generator() if seeds is None else torch.Generator().manual_seed(seeds[k]),
                              dtype=torch.float64 if seeds is None else torch.float32) for k in range(members)]
        out = () if self._scalar else (self.n_outputs_,)
        shapes = ((self.n_features_in_,), (self.n_features_in_,), out, out)
        self.scaling_ = scaling or ZScores(*[torch.ones(shape, dtype=torch.float64) for shape in shapes])
        self.std_scale_ = torch.ones(self.n_outputs_, dtype=torch.float64)

    def _check_networks(self, name: str, data: SobolevData) -> None:
        """Raises ``ValueError`` unless data and parameters are those of the networks that are there."""
        outputs = 1 if data.out_shape == () else data.out_shape[0]
        given, network = self._given(), self.networks_[0]
        there = (len(self.networks_), *network.sizes, network.activation)
        now = (integer(self.ensemble, "ensemble"), data.in_shape[0], *given.get("hidden", network.sizes[1:-1]), outputs,
               given.get("activation", network.activation))
        if there != now or self._scalar != (data.out_shape == ()):
            raise ValueError(f"{name}: expected data and parameters of the networks that are there (how many, sizes, "
                             f"activation), {there}, got {now}; clone the regressor to begin anew")
        reduced = None if self.reduction_ is None else "gradients"
        if given.get("reduce_inputs", reduced) != reduced:
            raise ValueError(f"{name}: expected reduce_inputs={reduced!r} as the networks that are there, got "
                             f"{self.reduce_inputs!r}; clone the regressor to begin anew")

    def _loss(self, plan: Plan, scaled: SobolevData, weight) -> SobolevLoss:
        if self.reduction_ is not None:
            shape = np.shape(weight)
            if shape and (len(shape) != 2 or shape[1] != 1):
                raise ValueError(f"derivative_weight: expected a number, or ({self.n_outputs_}, 1) of them, one an output, "
                                 f"beside reduce_inputs, which leaves no input alone; got {weight!r}")
        return loss_of(weight, scaled, plan.emphasis, self._stream.sizes)

    def _scaled(self, plan: Plan, data: SobolevData) -> SobolevData:
        """Data for the networks, and these, in the dtype of training."""
        # scaled in float64, trained in float32: speed, and large offsets in X or y cost no digits
        scaled = self._standardized(plan, data, self.scaling_)
        scaled = scaled if self.reduction_ is None else rotated(scaled, self.reduction_)
        scaled = scaled.to(getattr(torch, plan.dtype))
        mark_as_checked(scaled)
        for network in self.networks_:
            network.to(scaled.inputs.dtype)
        return scaled

    def _standardized(self, plan: Plan, data: SobolevData, scaling: ZScores) -> SobolevData:
        scaled = scaling.standardize(data)
        assert isinstance(scaled, SobolevData)
        scaled = trimmed(scaled) if plan.trims else scaled
        if scaled.order < 1:                               # of more points, which came without
            return scaled
        scaled = without_flat_slopes(scaled) if plan.doubts_zeros else scaled
        return without_slopes(scaled, plan.values_alone) if plan.values_alone else scaled

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


def is_auto(value) -> bool:
    return isinstance(value, str) and value == "auto"
