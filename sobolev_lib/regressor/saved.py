"""A fitted SobolevRegressor in one safetensors file, and back."""
import json

import numpy as np
import torch

from sobolev_lib._arguments import integer, number
from sobolev_lib._tensor_files import read_tensors, write_tensors
from sobolev_lib.regressor.choosing import Choice
from sobolev_lib.regressor.plans import Plan, as_given
from sobolev_lib.regressor.reduction import unfolded
from sobolev_lib.training.estimating import Settings
from sobolev_lib.training.history import told
from sobolev_lib.training.streaming import Stream


def write(path, regressor) -> None:
    """Weights, scales, parameters and histories; whole or not at all."""
    parameters = {name: _plain(value) for name, value in regressor.get_params().items() if not callable(value)}
    # what is given must be that of the networks that are saved: set_params may have been called since
    plan, given = regressor.choice_.plan, regressor._given()
    parameters |= {name: _plain(getattr(plan, name)) for name in ("hidden", "activation") if name in given}
    if "reduce_inputs" in given:
        parameters["reduce_inputs"] = None if regressor.reduction_ is None else "gradients"
    stream, names = regressor._stream, list(getattr(regressor, "_output_names", ()))
    header = {"parameters": parameters, "choice": _choice(regressor.choice_), "derivative_weight": _plain(regressor.derivative_weight_),
              "scalar": regressor._scalar, "n_features": regressor.n_features_in_,
              "feature_names": list(getattr(regressor, "feature_names_in_", ())),
              "output_names": names if all(isinstance(name, (str, int)) for name in names) else [], "members": len(regressor.networks_),
              "histories": [vars(history) for history in regressor.histories_],
              "stream": {"unit": stream.unit, "passes": stream.passes, "divisors": sorted(stream.divisors.items()),
                         "sizes": None if stream.sizes is None else stream.sizes.tolist()}}
    write_tensors(path, _tensors(regressor), {"SobolevRegressor": json.dumps(header)})


def read(path, cls):
    """A regressor of class ``cls`` from a file that ``write`` made, in this version or an earlier one."""
    tensors, about = read_tensors(path, "load")
    try:
        header = json.loads(about["SobolevRegressor"])
        regressor = cls(**header["parameters"])
        regressor.n_features_in_, regressor._scalar = integer(header["n_features"], "n_features"), bool(header["scalar"])
        if header["feature_names"]:
            regressor.feature_names_in_ = np.array(header["feature_names"], dtype=object)
        regressor._output_names = list(header.get("output_names", []))
        mean = tensors["scaling.output_mean"]
        if mean.ndim != (0 if regressor._scalar else 1):
            raise ValueError(f"scaling.output_mean of shape {tuple(mean.shape)}")
        regressor.n_outputs_ = mean.numel()
        # files of earlier versions hold one network, no history and no choice
        regressor.choice_ = _chosen(header["choice"]) if "choice" in header else _told(regressor)
        regressor.derivative_weight_ = _weight(header.get("derivative_weight", regressor._weight), regressor)
        members = integer(header.get("members", 1), "members")
        _check_size(tensors, [regressor.n_features_in_, *regressor.choice_.plan.hidden, regressor.n_outputs_], members)
        regressor._build(regressor.choice_.plan, regressor.n_features_in_, members)
        regressor.histories_ = [told(each) for each in header.get("histories", [])]
        stream = header.get("stream", {"unit": 1.0, "passes": 0, "divisors": []})
        regressor.reduction_, trained = None, regressor.networks_
        if "reduction" in tensors:
            k, d = tensors["reduction"].shape
            if d != regressor.n_features_in_ or not 1 <= k <= d:
                raise ValueError(f"reduction of shape {(k, d)}")
            regressor.reduction_ = torch.zeros(k, d, dtype=torch.float64)
            trained = [unfolded(network, regressor.reduction_) for network in trained]
        regressor._stream = Stream(trained, number(stream["unit"], "unit"))
        regressor._stream.passes = integer(stream["passes"], "passes", least=0)
        regressor._stream.divisors = {integer(k, "divisors", least=0): number(v, "divisors") for k, v in stream["divisors"]}
        if stream.get("sizes") is not None:
            regressor._stream.sizes = np.array([number(size, "sizes") for size in stream["sizes"]])
        own = _tensors(regressor)
        _check(tensors, own)
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"load: expected a file written by SobolevRegressor.save, got {path}: "
                         f"{type(error).__name__} {error}") from None
    for name, tensor in own.items():
        tensor.copy_(tensors[name])
    return regressor


def _tensors(regressor) -> dict[str, torch.Tensor]:
    found = {f"network{k or ''}.{name}": tensor for k, network in enumerate(regressor.networks_)
             for name, tensor in network.state_dict().items()}
    found |= {f"scaling.{name}": tensor for name, tensor in vars(regressor.scaling_).items()}
    found |= {"std_scale": regressor.std_scale_} if len(regressor.networks_) > 1 else {}
    found |= {} if regressor.reduction_ is None else {"reduction": regressor.reduction_}
    return found | regressor._stream.tensors()


def _weight(told, regressor):
    """A number, or as many as there are inputs, outputs, or both."""
    given, (q, d) = np.asarray(told), (regressor.n_outputs_, regressor.n_features_in_)
    weight = given.astype(np.float64) if given.dtype.kind in "iuf" else np.full(1, np.nan)
    if weight.shape not in ((), (d,), (q, 1), (q, d)) or not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError(f"derivative_weight: expected a finite number >= 0, or ({d},), ({q}, 1) or ({q}, {d}) of them, got {told!r}")
    return weight if weight.ndim else float(weight)


def _choice(choice: Choice) -> dict:
    plan, settings = vars(choice.plan), vars(choice.plan.settings)
    keep = {name: _plain(value) for name, value in settings.items() if name not in ("device", "progress") and not callable(value)}
    return {"plan": plan | {"settings": keep}, "held_out": choice.held_out, "message": choice.message}


def _chosen(told: dict) -> Choice:
    plan = told["plan"] | {"hidden": tuple(integer(size, "hidden") for size in told["plan"]["hidden"]),
                           "values_alone": _outputs(told["plan"].get("values_alone", ())),
                           "settings": Settings(**told["plan"]["settings"])}
    return Choice(Plan(**plan), {name: (value, slope) for name, (value, slope) in told["held_out"].items()}, str(told["message"]))


def _outputs(told) -> tuple[int, ...]:
    if isinstance(told, bool):                             # of a file that was written while one output was all there was
        return (0,) if told else ()
    return tuple(integer(k, "values_alone", least=0) for k in told)


def _told(regressor) -> Choice:
    """The choice of a regressor that an earlier version wrote, which was told everything."""
    return Choice(as_given(Plan("given"), regressor._given()))


def _plain(value):
    """A parameter as JSON holds it."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().tolist()
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if isinstance(value, torch.device):
        return str(value)
    return None if isinstance(value, (np.random.RandomState, np.random.Generator)) else value


def _check_size(tensors: dict[str, torch.Tensor], sizes: list[int], members: int) -> None:
    """Before networks are made: a file that tells of larger ones than it holds would take all memory."""
    told = members * sum((a + 1) * b for a, b in zip(sizes, sizes[1:]))
    held = sum(tensor.numel() for name, tensor in tensors.items() if name.startswith("network"))
    if told != held:
        raise ValueError(f"networks: expected {told} weights of {members} networks with layers {sizes}, got {held}")


def _check(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    if set(found) != set(expected):
        raise ValueError(f"expected tensors {', '.join(sorted(set(expected) - set(found)) or ['no more'])}, got "
                         f"{', '.join(sorted(set(found) - set(expected)) or ['none of them'])}")
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape or not tensor.is_floating_point() or not tensor.isfinite().all():
            raise ValueError(f"{name}: expected finite floating-point numbers of shape {tuple(expected[name].shape)}, got "
                             f"{tensor.dtype} of {tuple(tensor.shape)}, {int((~tensor.isfinite()).sum())} not finite")
        if name.endswith("_std") and not (tensor > 0).all():
            raise ValueError(f"{name}: expected scales above zero")
