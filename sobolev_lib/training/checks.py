"""What would go wrong in the middle of a training, said before its first step."""
import contextlib

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from sobolev_lib.data import SobolevData, derivative_name
from sobolev_lib.derivatives import value_and_derivatives
from sobolev_lib.errors import evaluating
from sobolev_lib.labelling import check_rows
from sobolev_lib.losses import Loss, SobolevLoss
from sobolev_lib.losses.pointwise import WITHOUT_UNIT
from sobolev_lib.scaling import Standardized
from sobolev_lib.teacher import Teacher
from sobolev_lib.training.history import measured_names


def check_model(model) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: expected an nn.Module (fit trains its parameters), got {type(model).__name__}")
    if any(is_lazy(p) for p in model.parameters()):
        raise ValueError("model: expected layers that know their sizes, got lazy ones; call the model once on some points")
    if any(p.is_inference() for p in model.parameters()):
        raise ValueError("model: expected parameters that can be trained, got some that were made in torch.inference_mode")
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError("model: expected parameters to train, got none that require a gradient")


def check_rows_apart(network: nn.Module, inputs: Tensor) -> None:
    """Warns if what a network gives at a point (N, *in) depends on the points beside it: its derivatives mix the rows."""
    few = inputs[:4]
    # one that can't take so few points tells nothing here
    with evaluating(network), torch.no_grad(), contextlib.suppress(ValueError, RuntimeError, TypeError):
        check_rows(lambda x: network(x.clone()), few, value_and_derivatives(network, few, 0)[0])


def check_all_kept(optimizer: Optimizer, model: nn.Module) -> None:
    """A checkpoint keeps the model: what an optimiser trains beside it would begin anew."""
    own = {id(p) for p in model.parameters()}
    others = sum(id(p) not in own for group in optimizer.param_groups for p in group["params"])
    if others:
        raise ValueError(f"checkpoint: expected an optimizer of the model's parameters, got {others} others in it, which a "
                         "checkpoint would not keep; make them a part of the model")


def check_source(source, validation, patience: int | None) -> None:
    if not isinstance(source, (SobolevData, Teacher)):
        raise TypeError(f"source: expected SobolevData (see sobolev_lib.label) or a Teacher, got {type(source).__name__}")
    if validation is not None and not isinstance(validation, SobolevData):
        raise TypeError(f"validation: expected SobolevData (see sobolev_lib.label), got {type(validation).__name__}")
    if patience is not None and validation is None:
        raise ValueError("patience: expected validation data to watch, got validation=None")


def loss_for(loss, source: SobolevData | Teacher) -> Loss:
    """The loss, or equation 1 of the source's own order: of a teacher, 1."""
    if loss is None:
        return SobolevLoss(source.order if isinstance(source, SobolevData) else 1)
    if not isinstance(loss, Loss):
        raise TypeError(f"loss: expected a SobolevLoss or StochasticSobolevLoss, got {type(loss).__name__}")
    own = [name for name in ("__call__", "terms") for kind in type(loss).__mro__
           if name in vars(kind) and not kind.__module__.startswith("sobolev_lib.")]
    if own:
        raise TypeError(f"loss: expected what {type(loss).__name__} does otherwise in ask, predict, compare or total, which a step "
                        f"calls, got {own[0]} of its own, which it does not")
    return loss


def check_unit(model: nn.Module, loss: Loss) -> None:
    """Raises where z-scores of a ``Standardized`` model's outputs would make a loss another one."""
    if isinstance(model, Standardized) and any(each in WITHOUT_UNIT for each in loss.losses):
        mean, std = model.output_mean, model.output_std
        if not ((std == 1).all() and (mean == mean.flatten()[0]).all()):
            raise ValueError("loss: expected one of differences for a Standardized model, which trains z-scored outputs, got 'kl': "
                             "z-scores of logits are another distribution; give ZScores with output_std 1 and output_mean 0, "
                             "or train the network inside")


def not_finite(model: nn.Module) -> list[str]:
    """The parameters that hold NaN or infinity: after the last step nobody looks at a loss any more."""
    return [name for name, p in model.named_parameters() if not bool(p.isfinite().all())]


def check_validation(validation: SobolevData | None, source: SobolevData | Teacher, loss: Loss, metric: str) -> None:
    names = measured_names(loss.order, validation)
    if metric not in names:
        raise ValueError(f"metric: expected one of {', '.join(names)}, got {metric!r}")
    if validation is None:
        if metric != "loss":
            raise ValueError(f"metric: expected validation data to measure {metric!r} on, got validation=None")
        return
    if validation.order < loss.order or not len(validation):
        raise ValueError(f"validation: expected points with labels up to the {derivative_name(loss.order)} for a loss of "
                         f"order {loss.order}, got {validation!r}")
    for name, expected, got in (("inputs", source.in_shape, validation.in_shape),
                                ("values", source.out_shape, validation.out_shape)):
        if expected != got:
            raise ValueError(f"validation: expected {name} of shape {tuple(expected)} a point as the data have, got "
                             f"{tuple(got)}")
    if validation.inputs.dtype != source.inputs.dtype:
        raise TypeError(f"validation: expected {source.inputs.dtype} as the data have, got {validation.inputs.dtype}")
    loss.ask(validation[:1], torch.Generator())            # what it can't measure it refuses now, not in the middle
