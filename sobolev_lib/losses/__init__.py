"""The Sobolev loss: exact (equation 1), stochastic (equation 2), and by a hidden layer, behind one protocol."""
from sobolev_lib.directions import DISTRIBUTIONS
from sobolev_lib.losses.exact import SobolevLoss
from sobolev_lib.losses.internal import InternalLoss, InternalTargets
from sobolev_lib.losses.pointwise import LOSSES, EntryWeights, PointLoss
from sobolev_lib.losses.protocol import Loss
from sobolev_lib.losses.stochastic import ProjectedTargets, StochasticSobolevLoss

__all__ = ["DISTRIBUTIONS", "EntryWeights", "InternalLoss", "InternalTargets", "LOSSES", "Loss", "PointLoss", "ProjectedTargets",
           "SobolevLoss", "StochasticSobolevLoss"]
