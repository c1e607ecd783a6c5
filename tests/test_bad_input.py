"""Wrong calls, each with the error a person would need: the type, what was expected, and what came."""
import re

import numpy as np
import pytest
import torch
from torch import nn

import sobolev_lib as sl
from sobolev_lib import (
    SobolevData,
    SobolevLoss,
    StochasticSobolevLoss,
    atari,
    label,
    value_and_derivatives,
    value_and_projections,
)
from sobolev_lib.experiments import runner
from sobolev_lib.models import MLP
from sobolev_lib.records import load_record
from sobolev_lib.scaling import Standardized

NAN, INF = float("nan"), float("inf")
X = torch.rand(6, 2, generator=torch.Generator().manual_seed(0))
Y, J, H = X.prod(1), X.flip(1), torch.tensor([[0.0, 1.0], [1.0, 0.0]]).expand(6, 2, 2).clone()
DATA = SobolevData(X, Y, J, H)
VECTOR = SobolevData(X, torch.rand(6, 3), torch.rand(6, 3, 2))
NET, SMOOTH = MLP(2, 4, 1), MLP(2, 4, 1, activation="tanh")
booth = sl.functions.booth
POLICY, RUN = atari.Student(6), atari.Run("kl", lr=1e-3)


def filled(tensor, value):
    """A copy with ``value`` in its first entry."""
    tensor = tensor.clone()
    tensor.view(-1)[0] = value
    return tensor


def distill(runs, **kwargs):
    """Whatever is wrong must be said before the first state is read."""
    return atari.distill(runs, {0: None}, steps=1, **kwargs)


def detached(x):
    return SMOOTH(x.detach())


class OnTheMetaDevice(nn.Linear):
    def __init__(self):
        super().__init__(2, 1, device="meta")


# what is wrong: (the call, the error's type, what its message must hold)
TABLE = {
    # benchmark functions
    "an array into a function": (lambda: booth(np.ones((3, 2))), TypeError,
                                 r"booth: expected a torch.Tensor.*got ndarray"),
    "integers into a function": (lambda: booth(torch.ones(3, 2, dtype=torch.int64)), TypeError,
                                 r"floating-point tensor, got torch.int64"),
    "three coordinates": (lambda: booth(torch.rand(5, 3)), ValueError,
                          r"expected inputs of shape \(\.\.\., 2\), got \(5, 3\)"),
    "a number into a function": (lambda: booth(torch.tensor(1.0)), ValueError, r"\(\.\.\., 2\), got \(\)"),
    "no samples": (lambda: booth.sample(0), ValueError, r"booth.sample: expected a positive number of points, got 0"),
    "half a sample": (lambda: booth.sample(2.5), ValueError, r"positive number of points, got 2.5"),

    # tables of labels
    "integer inputs": (lambda: SobolevData(torch.ones(6, 2, dtype=torch.int64), Y), TypeError,
                       r"inputs: expected a floating-point tensor, got torch.int64"),
    "a list of integers": (lambda: SobolevData(X, [1, 2, 3, 4, 5, 6]), TypeError,
                           r"values: expected a floating-point tensor, got torch.int64"),
    "complex values": (lambda: SobolevData(X, Y.to(torch.complex64)), TypeError, r"values: .*got torch.complex64"),
    "text": (lambda: SobolevData("points", Y), TypeError, r"inputs: expected a tensor or array of numbers, got str"),
    "ragged lists": (lambda: SobolevData([[1.0, 2.0], [3.0]], [1.0, 2.0]), TypeError,
                     r"inputs: expected a tensor or array of numbers, got list"),
    "no values": (lambda: SobolevData(X, None), TypeError, r"values: expected a tensor, got None"),
    "nothing at all": (lambda: SobolevData(None, None), TypeError, r"inputs: expected a tensor, got None"),
    "a Hessian without a Jacobian": (lambda: SobolevData(X, Y, None, H), TypeError,
                                     r"jacobian: expected a tensor, got None"),
    "no points": (lambda: SobolevData(torch.zeros(0, 2), torch.zeros(0)), ValueError, r"N >= 1, got \(0, 2\)"),
    "one number as inputs": (lambda: SobolevData(torch.tensor(1.0), torch.tensor(1.0)), ValueError,
                             r"inputs: expected shape \(N, \.\.\.\) with N >= 1, got \(\)"),
    "too few values": (lambda: SobolevData(X, Y[:5]), ValueError, r"values: expected shape \(6, \.\.\.\).*got \(5,\)"),
    "Jacobian (N, 1, d) for values (N,)": (lambda: SobolevData(X, Y, J.unsqueeze(1)), ValueError,
                                           r"jacobian: expected shape \(6, 2\) for values \(6,\).*got \(6, 1, 2\)"),
    "Jacobian (N, d) for values (N, 1)": (lambda: SobolevData(X, Y.unsqueeze(1), J), ValueError,
                                          r"jacobian: expected shape \(6, 1, 2\) for values \(6, 1\).*got \(6, 2\)"),
    "a transposed Jacobian": (lambda: SobolevData(X, VECTOR.values, VECTOR.jacobian.mT), ValueError,
                              r"jacobian: expected shape \(6, 3, 2\).*got \(6, 2, 3\)"),
    "one Jacobian for all points": (lambda: SobolevData(X, Y, J[:1]), ValueError,
                                    r"expected shape \(6, 2\).*got \(1, 2\)"),
    "a Hessian's diagonal": (lambda: SobolevData(X, Y, J, J), ValueError,
                             r"hessian: expected shape \(6, 2, 2\).*got \(6, 2\)"),
    "NaN in the inputs": (lambda: SobolevData(filled(X, NAN), Y), ValueError, r"inputs: expected finite.*got 1 NaN"),
    "infinite inputs": (lambda: SobolevData(filled(X, INF), Y), ValueError, r"inputs: expected finite"),
    "NaN in the values": (lambda: SobolevData(X, filled(Y, NAN)), ValueError, r"values: expected finite.*got 1 NaN"),
    "infinite derivatives": (lambda: SobolevData(X, Y, filled(J, -INF)), ValueError,
                             r"jacobian: expected finite numbers \(NaN for missing ones\), got 1 infinite"),
    "mixed dtypes": (lambda: SobolevData(X, Y.double()), TypeError,
                     r"values: expected torch.float32.*got torch.float64"),
    "mixed devices": (lambda: SobolevData(X, Y.to("meta")), ValueError, r"values: expected device cpu.*got meta"),
    "to integers": (lambda: DATA.to(torch.int64), TypeError, r"expected a floating-point tensor, got torch.int64"),
    "a mask of the wrong length": (lambda: DATA[torch.ones(5, dtype=torch.bool)], IndexError,
                                   r"mask: expected shape \(6,\), got \(5,\)"),
    "a two-dimensional index": (lambda: DATA[torch.tensor([[0, 1]])], IndexError, r"one dimension, got shape \(1, 2\)"),
    "None as index": (lambda: DATA[None], TypeError, r"index: expected an integer, slice, mask .*got NoneType"),
    "an index past the end": (lambda: DATA[6], IndexError, r"6 .*size 6"),

    # label
    "labels at integers": (lambda: label(booth, torch.ones(3, 2, dtype=torch.int64)), TypeError,
                           r"x: .*got torch.int64"),
    "labels at NaN": (lambda: label(booth, filled(X, NAN)), ValueError, r"x: expected finite numbers, got 1 NaN"),
    "labels at no points": (lambda: label(booth, X[:0]), ValueError,
                            r"x: expected points .*N >= 1, got shape \(0, 2\)"),
    "a negative order": (lambda: label(booth, X, -1), ValueError, r"order: expected an integer >= 0, got -1"),
    "a fractional order": (lambda: label(booth, X, 1.5), ValueError, r"order: expected an integer >= 0, got 1.5"),
    "an unknown method": (lambda: label(booth, X, method="symbolic"), ValueError,
                          r"method: expected one of 'autodiff', 'finite-difference', 'forward-difference', got 'symbolic'"),
    "a step for autodiff": (lambda: label(booth, X, step=0.1), ValueError,
                            r"step: only for method='finite-difference'"),
    "a negative step": (lambda: label(booth, X, method="finite-difference", step=-0.1), ValueError,
                        r"step: expected a positive number, got -0.1"),
    "an infinite step": (lambda: label(booth, X, method="finite-difference", step=INF), ValueError, r"step: .*got inf"),
    "a step below rounding": (lambda: label(booth, X, method="finite-difference", step=1e-12), ValueError,
                              r"step: expected one that moves the points"),
    "third order by differences": (lambda: label(booth, X, 3, method="finite-difference"), ValueError,
                                   r"finite differences go up to order 2, got 3"),
    "a function that sums over the batch": (lambda: label(lambda x: x.sum(), X), ValueError,
                                            r"one output row per input row, shape \(6, \.\.\.\), got \(\)"),
    "a black box that does": (lambda: label(lambda x: x.sum(), X, method="finite-difference"), ValueError,
                              r"f: expected one output row per input row, \(30, \.\.\.\), got \(\)"),
    "a black box that returns nothing": (lambda: label(lambda x: None, X, method="finite-difference"), TypeError,
                                         r"f\(x\): expected a tensor, got None"),
    "a function without a derivative there": (lambda: label(lambda x: x[:, 0].sqrt(), filled(X, 0.0)), ValueError,
                                              r"expected finite jacobian, got \d+ NaN or infinite.*differentiable"),
    "a function that returns two tensors": (lambda: label(lambda x: (x, x), X), TypeError,
                                            r"return a tensor, got tuple"),

    # models
    "a model that is none": (lambda: SobolevLoss()(None, DATA), TypeError,
                             r"model: expected an nn.Module or a callable, got NoneType"),
    "arguments swapped": (lambda: SobolevLoss()(DATA, NET), TypeError, r"data: expected SobolevData .*got MLP"),
    "a tensor as data": (lambda: SobolevLoss()(NET, X), TypeError, r"data: expected SobolevData .*got Tensor"),
    "(N,) against (N, 2)": (lambda: SobolevLoss(0)(MLP(2, 4, 2), DATA), ValueError,
                            r"outputs of shape \(6,\) as the labels have, got \(6, 2\)"),
    "(N, 2) against (N, 1)": (lambda: SobolevLoss(0)(NET, SobolevData(X, X)), ValueError,
                              r"outputs of shape \(6, 2\) as the labels have, got \(6, 1\)"),
    "(N, 1) against (N, 3)": (lambda: SobolevLoss()(NET, VECTOR), ValueError, r"shape \(6, 3\).*got \(6, 1\)"),
    "(N,) against (N, 3)": (lambda: SobolevLoss()(lambda x: x.sum(1), VECTOR), ValueError,
                            r"shape \(6, 3\).*got \(6,\)"),
    "a model that mixes rows": (lambda: SobolevLoss()(lambda x: x.sum(0, keepdim=True), DATA), ValueError,
                                r"one output row per input row, shape \(6, \.\.\.\), got \(1, 2\)"),
    "a model in float64": (lambda: SobolevLoss()(MLP(2, 4, 1).double(), DATA), TypeError,
                           r"parameters of dtype torch.float32 as the inputs have, got torch.float64.*\.to\(dtype\)"),
    "a model elsewhere": (lambda: SobolevLoss()(OnTheMetaDevice(), DATA), ValueError,
                          r"parameters on cpu as the inputs are, got meta.*\.to\(device\)"),
    "a model that detaches": (lambda: SobolevLoss()(detached, DATA), ValueError,
                              r"depends on the input.*does it detach"),
    "a constant model": (lambda: SobolevLoss()(lambda x: torch.ones(len(x)), DATA), ValueError,
                         r"depends on the input"),
    "ReLU at order 2": (lambda: SobolevLoss(2)(NET, DATA), ValueError,
                        r"order 2 are zero everywhere.*hessian labels.*smooth activation \(tanh.*ReLU"),
    "ReLU at order 2, projected": (lambda: StochasticSobolevLoss(2)(NET, X, SMOOTH), ValueError,
                                   r"order 2 are zero everywhere.*smooth activation"),
    "the wrong width": (lambda: NET(torch.rand(5, 3)), ValueError,
                        r"MLP: expected inputs of shape \(\.\.\., 2\), got \(5, 3\)"),
    "no sizes": (lambda: MLP(2), ValueError, r"at least two positive layer sizes.*got \(2,\)"),
    "sizes as a list": (lambda: MLP([2, 4, 1]), ValueError, r"layer sizes.*got \(\[2, 4, 1\],\)"),
    "an empty layer": (lambda: MLP(2, 0, 1), ValueError, r"positive layer sizes.*got \(2, 0, 1\)"),
    "an unknown activation": (lambda: MLP(2, 4, 1, activation="swish"), ValueError,
                              r"activation: expected one of relu, .*tanh.*, got 'swish'"),
    "a negative order of derivatives": (lambda: value_and_derivatives(NET, X, -1), ValueError, r"order: .*got -1"),
    "derivatives at an array": (lambda: value_and_derivatives(NET, X.numpy()), TypeError,
                                r"x: expected a torch.Tensor.*ndarray"),
    "derivatives at integers": (lambda: value_and_derivatives(NET, X.long()), TypeError, r"x: .*got torch.int64"),
    "derivatives at a scalar": (lambda: value_and_derivatives(NET, torch.tensor(1.0)), ValueError,
                                r"\(N, \.\.\.\), got a scalar"),
    "no vectors": (lambda: value_and_projections(NET, X, []), ValueError,
                   r"vectors: expected one vector per order, got none"),
    "vectors without an axis P": (lambda: value_and_projections(NET, X, [torch.rand(6, 1)]), ValueError,
                                  r"vectors: expected shapes \(P, 6, \.\.\.\).*got \[\(6, 1\)\]"),
    "vectors of another width": (lambda: value_and_projections(NET, X, [torch.rand(1, 6, 2)]), ValueError,
                                 r"vectors\[0\]: expected shape \(6, 1\).*got \(6, 2\)"),
    "vectors of two counts": (lambda: value_and_projections(SMOOTH, X, [torch.rand(1, 6, 1), torch.rand(2, 6, 2)]),
                              ValueError, r"one P for all, got \[\(1, 6, 1\), \(2, 6, 2\)\]"),

    # losses
    "no Jacobian for order 1": (lambda: SobolevLoss(1)(NET, SobolevData(X, Y)), ValueError,
                                r"labels up to the jacobian for a loss of order 1, got values at most"),
    "no Hessian for order 2": (lambda: SobolevLoss(2)(SMOOTH, SobolevData(X, Y, J)), ValueError,
                               r"up to the hessian for a loss of order 2, got jacobian at most"),
    "an empty selection": (lambda: SobolevLoss()(NET, DATA[X[:, 0] > 2]), ValueError,
                           r"data: expected at least one point"),
    "a loss of order -1": (lambda: SobolevLoss(-1), ValueError, r"order: expected an integer >= 0, got -1"),
    "an order in words": (lambda: SobolevLoss("first"), ValueError, r"order: expected an integer >= 0, got 'first'"),
    "too many weights": (lambda: SobolevLoss(1, (1, 1, 1)), ValueError,
                         r"weights: expected 2 numbers.*got \(1, 1, 1\)"),
    "too few weights": (lambda: SobolevLoss(2, (1, 1)), ValueError, r"weights: expected 3 numbers.*got \(1, 1\)"),
    "one number as weights": (lambda: SobolevLoss(1, 0.5), ValueError, r"weights: expected 2 numbers.*got 0.5"),
    "a negative weight": (lambda: SobolevLoss(1, (1, -0.1)), ValueError,
                          r"weights: expected finite numbers >= 0, got \(1, -0.1\)"),
    "a weight of NaN": (lambda: SobolevLoss(1, (1, NAN)), ValueError, r"weights: expected finite.*nan"),
    "an unknown value loss": (lambda: SobolevLoss(1, value_loss="rmse"), ValueError,
                              r"value_loss: expected one of mse, .*, kl, kl_teacher_first or a callable, got 'rmse'"),
    "an unknown derivative loss": (lambda: SobolevLoss(1, derivative_loss="cosine"), ValueError,
                                   r"derivative_loss: expected one of mse, .*got 'cosine'"),
    "a list as value loss": (lambda: SobolevLoss(1, value_loss=["mse"]), ValueError, r"value_loss: .*got \['mse'\]"),
    "two derivative losses for order 1": (lambda: SobolevLoss(1, derivative_loss=("mse", "l1")), ValueError,
                                          r"derivative_loss: expected one loss or 1 of them \(order=1\), got 2"),
    "a loss that returns a table": (lambda: SobolevLoss(1, value_loss=lambda p, t: torch.ones(6, 6))(NET, DATA),
                                     ValueError, r"one number per point, shape \(6,\), or a scalar; got \(6, 6\)"),
    "a loss that returns a float": (lambda: SobolevLoss(1, value_loss=lambda p, t: 1.0)(NET, DATA), TypeError,
                                    r"returns a tensor, got float"),
    "normalize in words": (lambda: SobolevLoss(1, normalize="yes"), ValueError,
                           r"normalize: expected True, False or 2.*'yes'"),
    "normalize None": (lambda: SobolevLoss(1, normalize=None), ValueError,
                       r"normalize: expected True, False or 2.*None"),
    "normalize by one number": (lambda: SobolevLoss(1, normalize=2.0), ValueError, r"normalize: .*got 2.0"),
    "a divisor of zero": (lambda: SobolevLoss(1, normalize=(1.0, 0.0)), ValueError,
                          r"2 positive divisors, got \(1.0, 0.0\)"),

    # the stochastic loss
    "projections of order 0": (lambda: StochasticSobolevLoss(0), ValueError,
                               r"at least 1 \(there is nothing to project.*got 0"),
    "no projections": (lambda: StochasticSobolevLoss(1, 0), ValueError,
                       r"projections: expected an integer >= 1, got 0"),
    "an unknown distribution": (lambda: StochasticSobolevLoss(1, 1, "uniform"), ValueError,
                                r"distribution: expected one of sphere, gaussian, rademacher, got 'uniform'"),
    "no teacher": (lambda: StochasticSobolevLoss()(NET, X, None), TypeError,
                   r"batch: expected SobolevData, a Teacher or ProjectedTargets \(or points, .*got Tensor"),
    "a teacher that is no function": (lambda: StochasticSobolevLoss()(NET, X, 5), TypeError,
                                      r"teacher: expected a callable, SobolevData or ProjectedTargets, got int"),
    "other points than tabulated": (lambda: StochasticSobolevLoss()(NET, X + 1, DATA), ValueError,
                                    r"inputs of the tabulated teacher, got other points"),
    "fewer points than tabulated": (lambda: StochasticSobolevLoss()(NET, X[:3], DATA), ValueError,
                                    r"tabulated teacher, shape \(6, 2\), got \(3, 2\)"),
    "a table without derivatives": (lambda: StochasticSobolevLoss()(NET, X, SobolevData(X, Y)), ValueError,
                                    r"up to the jacobian.*got values at most"),
    "a teacher with other outputs": (lambda: StochasticSobolevLoss()(MLP(2, 4, 3), X, MLP(2, 4, 5)), ValueError,
                                     r"expected shape \(6, 3\).*got \(6, 5\).*same outputs"),
    "a student with other outputs": (lambda: StochasticSobolevLoss()(NET, X, MLP(2, 4, 3)), ValueError,
                                     r"expected shape \(6, 1\).*got \(6, 3\).*same outputs"),
    "a teacher that is constant": (lambda: StochasticSobolevLoss()(NET, X, lambda x: torch.ones(len(x), 1)), ValueError,
                                   r"depends on the input"),
    "a teacher in float64": (lambda: StochasticSobolevLoss()(NET, X, MLP(2, 4, 1).double()), (TypeError, RuntimeError),
                             r"dtype"),

    "targets of another order": (lambda: StochasticSobolevLoss(2)(SMOOTH, X, StochasticSobolevLoss(1).targets(X, SMOOTH)),
                                 ValueError, r"teacher: expected targets of order 2, got order 1"),
    "targets of other points": (lambda: StochasticSobolevLoss()(NET, X[:3], StochasticSobolevLoss().targets(X, NET)),
                                ValueError, r"labels\[0\]: expected shape \(3, 1\) beside inputs \(3, 2\).*got \(6, 1\)"),
    "a loss that has no name": (lambda: SobolevLoss(1, derivative_loss="l2"), ValueError,
                                r"derivative_loss: expected one of .*norm.*kl_teacher_first.*got 'l2'"),

    # Atari
    "a game that does not exist": (lambda: atari.Games("chess"), ValueError, r"game: expected one of pong, .*got 'chess'"),
    "no games": (lambda: atari.Games("pong", 0), ValueError, r"count: expected a positive number of games, got 0"),
    "a policy without actions": (lambda: atari.Student(0), ValueError, r"num_actions: expected a positive number, got 0"),
    "states in colour": (lambda: POLICY(torch.zeros(2, 4, 84, 84, 3)), ValueError,
                         r"states: expected shape \(N, 4, 84, 84\), got \(2, 4, 84, 84, 3\)"),
    "one state": (lambda: POLICY(torch.zeros(4, 84, 84)), ValueError, r"shape \(N, 4, 84, 84\), got \(4, 84, 84\)"),
    "pixels as integers": (lambda: POLICY(torch.zeros(1, 4, 84, 84, dtype=torch.int64)), TypeError,
                           r"uint8 pixels or floating-point ones in \[0, 1\], got torch.int64"),
    "a game nobody trained for": (lambda: atari.load_teacher("chess"), ValueError,
                                  r"game: expected one with a trained teacher \(.*\), got 'chess'"),
    "no episodes": (lambda: atari.play(POLICY, "pong", episodes=0), ValueError,
                    r"episodes: expected a positive number, got 0"),
    "half an episode": (lambda: atari.play(POLICY, "pong", episodes=1.5), ValueError, r"episodes: .*got 1.5"),
    "no states": (lambda: atari.record_states(POLICY, "pong", count=0), ValueError,
                  r"count: expected a positive number of states, got 0"),
    "states of no game": (lambda: atari.record_states(POLICY, "chess"), ValueError, r"game: expected .*got 'chess'"),
    "an unknown way to distill": (lambda: atari.Run("l2", lr=1e-3), ValueError,
                                  r"method: expected one of kl, sobolev, noise, jacobian, got 'l2'"),
    "a learning rate of zero": (lambda: atari.Run("kl", lr=0.0), ValueError, r"expected lr > 0 .*got 0.0"),
    "a learning rate that is none": (lambda: atari.Run("kl", lr=NAN), ValueError, r"expected lr > 0 .*got nan"),
    "a negative strength": (lambda: atari.Run("noise", lr=1e-3, strength=-1), ValueError, r"strength >= 0, got .* -1"),
    "an unknown divergence": (lambda: distill([RUN], divergence="mse"), ValueError,
                              r"divergence: expected one of kl, kl_teacher_first, got 'mse'"),
    "an unknown error of derivatives": (lambda: distill([RUN], derivative_loss="l1"), ValueError,
                                        r"derivative_loss: expected one of norm, mse, got 'l1'"),
    "a seed without states": (lambda: distill([RUN, atari.Run("kl", lr=1.0, seed=5)]), ValueError,
                              r"answers: expected one for every seed of the runs, got none for \[5\]"),

    # scaling, records, experiments
    "scaling by a tensor": (lambda: Standardized(NET, X), TypeError, r"data: expected SobolevData, got Tensor"),
    "scaling other data": (lambda: Standardized(NET, DATA).standardize(VECTOR), ValueError,
                           r"values \(\) a point, got \(2,\) and \(3,\)"),
    "scaling the wrong outputs": (lambda: Standardized(MLP(2, 4, 3), DATA)(X), ValueError,
                                  r"outputs of shape \(6,\).*got \(6, 3\)"),
    "an unknown preset": (lambda: load_record("seven-functions", "huge"), ValueError,
                          r"preset: expected one of quick, cpu, gpu, paper, got 'huge'"),
    "an unknown experiment": (lambda: runner.run("eight-functions", "quick", 1), ValueError,
                              r"experiment: expected one of .*seven-functions.*, got 'eight-functions'"),
    "a preset that is none": (lambda: runner.run("seven-functions", "huge", 1), ValueError,
                              r"preset: expected one of.*'huge'"),
    "no seeds": (lambda: runner.run("seven-functions", "quick", 0), ValueError,
                 r"seeds: expected a positive number.*got 0"),
}


@pytest.mark.parametrize("what", TABLE)
def test_a_wrong_call_says_what_was_expected_and_what_came(what):
    call, exception, pattern = TABLE[what]
    with pytest.raises(exception) as caught:
        call()
    message = str(caught.value)
    assert re.search(pattern, message, re.DOTALL), message
    assert len(message) < 400


def test_the_same_calls_done_right_raise_nothing():
    """So that the table does not pass because everything raises."""
    SobolevLoss(2, (1, 1, 0.5), normalize=(1, 1, 1))(SMOOTH, DATA)
    SobolevLoss(1, value_loss=lambda p, t: (p - t).square())(NET, DATA)
    StochasticSobolevLoss(2, 2, "gaussian")(SMOOTH, X, DATA)
    StochasticSobolevLoss()(MLP(2, 4, 3), X, MLP(2, 4, 3))
    Standardized(NET, DATA).standardize(DATA)
    value_and_projections(SMOOTH, X, [torch.rand(3, 6, 1), torch.rand(3, 6, 2)])
    label(booth, X, 2, method="finite-difference", step=0.1)


def test_relu_at_order_two_is_fine_where_all_labels_are_zero():
    flat = SobolevData(X, Y, J, torch.zeros_like(H))
    SobolevLoss(2)(NET, flat)
    SobolevLoss(2)(NET, SobolevData(X, Y, J, torch.full_like(H, NAN)))
