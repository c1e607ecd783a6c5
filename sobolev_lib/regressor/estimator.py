"""SobolevRegressor: Sobolev training behind scikit-learn's fit and predict."""
import copy
import functools
from dataclasses import replace

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted, validate_data

from sobolev_lib.regressor import saved
from sobolev_lib.regressor.answers import Answers, spread_scale
from sobolev_lib.regressor.choosing import KEPT, Choice, choose, weighed
from sobolev_lib.regressor.deployed import Predictor
from sobolev_lib.regressor.gradient_score import gradient_share
from sobolev_lib.regressor.named_tables import check_columns, check_outputs, column_names, numbers_of, plain, rows_alike
from sobolev_lib.regressor.networks import WithNetworks, is_auto
from sobolev_lib.regressor.onnx_graph import onnx_model
from sobolev_lib.regressor.plans import LEAST, as_given, going_on, long
from sobolev_lib.regressor.tables import labelled, slopes_of, values_of, weights_of
from sobolev_lib.training.estimating import held_out
from sobolev_lib.training.history import joined
from sobolev_lib.training.modes import with_gradients
from sobolev_lib.training.streaming import Stream


class SobolevRegressor(WithNetworks, RegressorMixin, BaseEstimator):
    """A neural network that learns from values and, where you have them, gradients; a scikit-learn estimator.

    >>> X = np.random.default_rng(0).uniform(-1, 1, (50, 2)); y, dy = X[:, 0] * X[:, 1], X[:, ::-1].copy()
    >>> regressor = SobolevRegressor(hidden=(32, 32), steps=200).fit(X, y, dy)
    >>> regressor.predict(X).shape, regressor.predict_gradient(X).shape
    ((50,), (50, 2))

    ``fit(X, y, dy, sample_weight)``: X (N, d), y (N,) or (N, q), dy (N, d) or (N, q, d) in y's units over X's, weights (N,).
    Of one output or one input dy may keep the axis or drop it. NaN or masked entries of dy are missing ones, and so are
    those of y at points with some entry of dy. Rows and columns of pandas tables are matched by name; a column that dy lacks
    is missing. Repeated points are merged, and their weights added. Without dy it is plain regression.

    Scaling is inside: inputs and values are z-scored, derivatives follow by the chain rule, and each term of the loss is
    divided by its labels' mean square, the gradients of each output by their own, so ``derivative_weight=1`` gives values and
    gradients, and all outputs, an equal say (slopes so small that values hardly feel them have less). So put no scaler before
    it: that would change X and not dy, and is warned of where it shows. After a step that transforms X, or in a
    ``TransformedTargetRegressor``, dy must be the derivative of the transformed y by the transformed X.

    **Left alone, it chooses**: of each parameter "auto" is a choice by the data. If neither ``steps``, ``epochs`` nor
    ``optimizer`` is given, plans are tried on four fifths of the points and judged by values and slopes of the rest. "waves" solves for
    sines at random frequencies, with the likeliest length scales and noise (kriging, as a network); "smooth" and "brief" train a small
    network and a larger one for a short time, for noisy labels; "exact" (L-BFGS, few points) or "long" (Adam, many) is for exact ones.
    The first that is exact on held-out points ends the trials. The best is trained on all points; "exact" and "long" go on from their
    trial, unless ``lr``, ``schedule`` or ``weight_decay`` is given, or an ensemble. If that fails, the trial is kept.

    Where values and slopes contradict each other, to follow one of them exactly is better than to miss both, and where both seem exact,
    values are followed. Slopes or values of a few points that outweigh all others (beside a crease, in a wrong row, -999 for "not
    known") are left out if the others are predicted better so; so are slopes that are zero along a whole input, if values change along it.
    Where values of an output are missed because of its slopes, as of those in a wrong unit or where it jumps, these are left out, unless
    ``derivative_weight`` or ``reduce_inputs="gradients"`` is given.

    ``choice_`` says what was found and done. What you give is kept in every plan, and what a solved network has no use for (``hidden``,
    ``activation``, ``lr``, ``batch_size``) leaves it out. Below 20 points a third is held out, a solved network is taken, and
    "exact" only where that misses them and it comes far closer.

    ``hidden``: sizes of the hidden layers; ``activation``: a name as in ``models.MLP``. ``derivative_weight``: one number, or
    (d,) one an input, or (q, 1) one an output, or (q, d); "auto" is 1, and where what is solved finds noise, the likeliest, one
    an output. ``steps`` of Adam, or ``epochs`` in their place, with ``batch_size`` points a step
    and a rate that peaks at ``lr``; ``schedule`` is "one-cycle", "cosine", "constant" or a callable from the optimiser.
    ``optimizer``: "adam", "lbfgs" (all points at each of ``steps`` iterations, a line search in place of ``lr``), a class, or
    a callable from parameters. ``weight_decay`` pulls the weights of Adam to zero, apart from the gradient (AdamW).
    ``validation_fraction`` of the points is held out; training stops after ``patience`` hundredths of the steps without a
    lower loss there, and keeps the best weights. ``warm_start``: fit goes on from the weights and scales that are there; what was
    solved is solved anew, in the old scales, unless settings of a training are given.
    ``ensemble`` networks from different initial weights are trained side by side; ``predict`` gives their mean.
    ``dtype`` is that of training, "float32" or "float64"; predictions are in float64. ``reduce_inputs="gradients"``: train
    along the directions that hold all squared slopes but 1e-4 of their sum, for correlated inputs and signals in few
    directions (differential PCA, active subspaces); predictions and gradients are those of all inputs. It takes whole
    gradients, no missing partials; None: never.

    Fitted: ``choice_``, ``derivative_weight_`` as the first network used it, ``networks_``, ``scaling_``, ``histories_`` (one a
    network), ``n_outputs_``; ``network_`` and ``history_`` are the first, of a solved network a single step; ``reduction_``, the
    directions (k, d) in z-scored inputs, or None. Warns of derivatives that surely have a wrong sign, unit or order: see
    ``sobolev_lib.check_labels``.
    Raises ``ValueError`` for shapes that don't fit. Source: equation 1 at order 1; for sines Rahimi and Recht, Random Features
    (2007); for ``reduce_inputs`` Constantine, Active Subspaces (2015), and Huge and Savine, Axes that matter (2021).
    """

    # what scikit-learn's metadata routing sends here without being told, once it is switched on
    __metadata_request__fit = {"dy": True}
    __metadata_request__partial_fit = {"dy": True}
    __metadata_request__predict = {"return_std": True, "return_gradient": True}

    def __init__(self, hidden="auto", activation="auto", derivative_weight="auto", steps="auto", batch_size="auto", lr="auto",
                 random_state=0, device=None, progress=False, *, epochs=None, optimizer="auto", schedule="one-cycle",
                 weight_decay=0.0, validation_fraction=0.0, patience=20, ensemble=1, warm_start=False, dtype="auto",
                 reduce_inputs="auto"):
        self.hidden = hidden
        self.activation = activation
        self.derivative_weight = derivative_weight
        self.steps = steps
        self.batch_size = batch_size
        self.lr = lr
        self.random_state = random_state
        self.device = device
        self.progress = progress
        self.epochs = epochs
        self.optimizer = optimizer
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.ensemble = ensemble
        self.warm_start = warm_start
        self.dtype = dtype
        self.reduce_inputs = reduce_inputs

    @with_gradients
    def fit(self, X, y, dy=None, sample_weight=None):
        """Train on values and, where there are any, gradients; shapes as above. Returns the regressor."""
        again = self.warm_start and hasattr(self, "networks_")
        with self._all_or_nothing():
            data, unit = labelled(self, X, y, dy, sample_weight, first=not again)
            seeds = self._seeds()
            data, held = held_out(data, self.validation_fraction, seeds[0])
            if again:
                self._check_networks("warm_start", data)
                self.choice_, trial = Choice(plan := self._going_on()), None
            else:
                self.choice_, trial = choose(
                    self._plans(data), functools.partial(self._tried, seed=seeds[0]), data, seeds[0],
                    may_drop_slopes=is_auto(self.derivative_weight) and self.reduce_inputs != "gradients")
                plan, rest = self.choice_.plan, going_on(self.choice_.plan, self._given())
                if trial is not None and rest is not None and len(seeds) == 1:
                    self._go_on_from(trial.trained)
                    plan, again = rest, True
            self._learn(plan, data, held, seeds, anew=not again, unit=unit)
            if trial is not None and len(seeds) == 1 and trial.is_far_better_than(self):
                self._stay_with(trial.trained)
                self.choice_ = replace(self.choice_, message=self.choice_.message + KEPT)
            if is_auto(self.derivative_weight):
                self.choice_ = weighed(self.choice_, self.derivative_weight_, few=len(data) < LEAST)
        self.std_scale_ = torch.ones(self.n_outputs_, dtype=torch.float64)
        if held is not None and len(seeds) > 1:
            self.std_scale_ = spread_scale(self.networks_, self.scaling_, held)
        return self

    @with_gradients
    def partial_fit(self, X, y, dy=None, sample_weight=None):
        """One pass over more points, with Adam at the constant rate ``lr``, which goes on from call to call.

        ``lr``, ``batch_size`` and ``derivative_weight`` are those of the call, "auto" is the ``derivative_weight_`` that is
        there; nothing is tried. Scales, and what counts as a sample weight of 1, are those of the first points that were seen,
        here or in ``fit``: let these be typical. ``histories_`` grow.
        Raises ``ValueError`` if data or parameters have changed to those of other networks.
        """
        first = not hasattr(self, "networks_")
        if self.optimizer not in ("auto", "adam") or self.weight_decay:
            raise ValueError("partial_fit: expected optimizer=\"adam\" without weight_decay, got "
                             f"{self.optimizer!r} and {self.weight_decay!r}")
        with self._all_or_nothing():
            data, unit = labelled(self, X, y, dy, sample_weight, first=first, unit=None if first else self._stream.unit)
            if not first and data.out_shape != self.scaling_.output_mean.shape:
                raise ValueError(f"y: expected values of shape {tuple(self.scaling_.output_mean.shape)} a point as before, got "
                                 f"{tuple(data.out_shape)}")
            # how many points there will be is not known: those of now are no reason for L-BFGS, or to give up directions
            plan = replace(long(len(data)), drop=None, name="given") if first else self.choice_.plan
            plan = as_given(plan, self._given() | {"optimizer": "adam"})
            if not first:
                self._check_networks("partial_fit", data)
            else:
                self._begin(plan, data, self._seeds())
            with self._at_work(anew=first):
                if first:
                    self._stream, self.histories_ = Stream(self.networks_, unit), []
                self._stream = copy.copy(self._stream)     # a copy of the regressor has the other
                # what outweighs all others among few need not among more
                scaled = self._scaled(replace(plan, trims=plan.trims and len(data) >= LEAST), data)
                if first or not is_auto(self.derivative_weight):
                    self.derivative_weight_ = copy.deepcopy(self._weight)
                more = self._stream.learn(self.networks_, scaled, self._loss(plan, scaled, self.derivative_weight_), plan.settings)
            self.choice_ = Choice(plan)
        self.histories_ = [joined(*both) for both in zip(self.histories_, more)] if self.histories_ else more
        return self

    def predict(self, X, return_std=False, return_gradient=False):
        """Values at X: (N, d) -> (N,), or (N, q) after fitting q outputs; with more, a tuple: values, std, gradients.

        ``return_std``: the standard deviation between the ``ensemble``'s networks, shaped as the values; if points were held
        out, times the number that makes it right on these. ``return_gradient``: what ``predict_gradient`` gives, from the
        same pass.
        """
        check_is_fitted(self)
        if return_std and len(self.networks_) < 2:
            raise ValueError("return_std: expected an ensemble=2 or more to compare, got one network")
        X = plain(X, "X")
        check_columns(X)
        X = validate_data(self, X, dtype="numeric", reset=False)
        found = Answers(self.networks_, self.scaling_, X, gradient=return_gradient, std=return_std)
        if return_std:
            found.std *= self.std_scale_.numpy()
        asked = [table for table in (found.values, found.std, found.gradients) if table is not None]
        asked = [table[:, 0] for table in asked] if self._scalar else asked
        return tuple(asked) if len(asked) > 1 else asked[0]

    def predict_gradient(self, X):
        """Gradients at X: (N, d) -> (N, d), or (N, q, d) after fitting q outputs; in y's units over X's."""
        return self.predict(X, return_gradient=True)[1]

    def score(self, X, y, sample_weight=None):
        """R^2 of values, the mean over outputs: 1 is perfect, 0 as good as the mean. Arguments as in ``fit``; NaN takes no part."""
        check_outputs(y, getattr(self, "_output_names", []))
        y, sample_weight = (numbers_of(table, name) for table, name in zip(
            rows_alike(X, y=y, sample_weight=sample_weight), ("y", "sample_weight")))
        predicted = self.predict(X)
        y = values_of(y, predicted.shape)
        # in z-scores, whose squares are in range whatever the units
        mean, std = self.scaling_.output_mean.numpy(), self.scaling_.output_std.numpy()
        y, predicted = [np.reshape((table - mean) / std, (len(table), -1)) for table in (y, predicted)]
        weights = None if sample_weight is None else weights_of(sample_weight, len(y))
        known = ~np.isnan(y)
        if not known.any(axis=0).all():
            raise ValueError("y: expected a value of each output at some point, got an output without")
        return float(np.mean([r2_score(y[rows, k], predicted[rows, k], sample_weight=None if weights is None else weights[rows])
                              for k, rows in enumerate(known.T)]))

    def score_gradient(self, X, dy, sample_weight=None):
        """The share of squared slopes that is predicted, 1 - |error|^2 / |dy|^2: 1 is perfect, 0 as good as none.

        X (N, d), dy as in ``fit``, each partial in units of the training points' spread. ``sobolev_lib.gradient_scorer`` is
        this for scikit-learn's searches.
        """
        dy, sample_weight = rows_alike(X, dy=dy, sample_weight=sample_weight)
        predicted = self.predict_gradient(X)
        dy = slopes_of(dy, column_names(X, self), predicted.shape[:-1], predicted.shape[-1])
        shape = (len(dy), self.n_outputs_, self.n_features_in_)
        per_input, per_output = self.scaling_.input_std.numpy(), self.scaling_.output_std.numpy().reshape(-1, 1)
        weights = None if sample_weight is None else weights_of(sample_weight, len(dy))
        return gradient_share(*(table.reshape(shape) * per_input / per_output for table in (predicted, dy)), weights)

    def to_torch(self) -> Predictor:
        """A copy as a PyTorch module in original units, (N, d) -> what ``predict`` gives; can be scripted and exported."""
        check_is_fitted(self)
        return Predictor(self.networks_, self.scaling_)

    def to_onnx(self, dtype="float64"):
        """A copy as an ``onnx.ModelProto``: x (N, d) to "value" and "gradient", those of ``predict`` and ``predict_gradient``.

        Write it with ``onnx.save(regressor.to_onnx(), path)``. In float64 it agrees with these to rounding ("gelu" to seven
        digits); ``dtype="float32"`` is for runtimes that know no other, and less exact where X has large offsets. Needs the
        package onnx. What it makes is run by onnxruntime and the like, without PyTorch and this library.
        """
        check_is_fitted(self)
        return onnx_model(self.networks_, self.scaling_, getattr(self, "feature_names_in_", ()), dtype)

    def save(self, path):
        """Write the fitted regressor to one safetensors file (whole or not at all); ``load`` reads it back.

        Folders that the path names are made. A ``random_state`` that is a generator is left out, an ``optimizer`` or
        ``schedule`` that is a function gives way to the default, and the device is kept by name.
        """
        check_is_fitted(self)
        saved.write(path, self)

    @classmethod
    def load(cls, path):
        """A fitted regressor from a file that ``save`` wrote, with its history; predicts exactly what the saved one did.

        Raises ``ValueError`` naming the file if anything in it is missing, damaged, or not what a regressor is made of.
        """
        return saved.read(path, cls)

    @property
    def network_(self):
        return self.networks_[0]

    @property
    def history_(self):
        return self.histories_[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
