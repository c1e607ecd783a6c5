"""A fitted regressor as an ONNX graph of plain operators, values and gradients, for runtimes without Python."""
from collections.abc import Callable, Sequence

import numpy as np
from torch import nn

from sobolev_lib.models import MLP
from sobolev_lib.scaling import ZScores

OPSET, IR = 17, 8                                          # of 2022: what runtimes in use can read


def onnx_model(networks: Sequence[MLP], scaling: ZScores, names: Sequence[str], dtype: str):
    """The ``onnx.ModelProto`` of x (N, d) to "value", (N,) or (N, q), and "gradient", (N, d) or (N, q, d).

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2, dtype=torch.float64))
    >>> model = onnx_model([sobolev_lib.models.MLP(2, 8, 1)], ZScores.of(data), (), "float64")     # doctest: +SKIP

    Gradients are swept from the outputs down, by the same weights: no runtime needs automatic differentiation.
    """
    onnx = _onnx()
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype: expected \"float32\" or \"float64\", got {dtype!r}")
    graph, scalar = _Graph(onnx, dtype), scaling.output_mean.ndim == 0
    mean, std, shift, scale = (tensor.reshape(-1).numpy() for tensor in (
        scaling.input_mean, scaling.input_std, scaling.output_mean, scaling.output_std))
    z = graph("Div", graph("Sub", "x", graph.constant(mean)), graph.constant(std))
    found = [_swept(graph, network, z) for network in networks]
    value, gradient = (_mean(graph, [each[k] for each in found]) for k in (0, 1))
    value = graph("Add", graph("Mul", value, graph.constant(scale)), graph.constant(shift))
    gradient = graph("Mul", gradient, graph.constant(scale[:, None] / std))
    for name, part in (("value", value), ("gradient", gradient)):
        graph("Squeeze" if scalar else "Identity", part, *[graph.axis] * scalar, output=name)
    q, d, kind = len(scale), len(mean), graph.kind
    info = onnx.helper.make_tensor_value_info
    made = onnx.helper.make_graph(
        graph.nodes, "SobolevRegressor", [info("x", kind, ["N", d])],
        [info("value", kind, ["N"] if scalar else ["N", q]), info("gradient", kind, ["N", d] if scalar else ["N", q, d])],
        graph.constants)
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR,
                                   producer_name="sobolev_lib")
    if len(names):
        onnx.helper.set_model_props(model, {"inputs": ", ".join(map(str, names))})
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Operators one after another; calling it adds one and returns the name of its result."""

    def __init__(self, onnx, dtype: str):
        self.onnx, self.dtype = onnx, dtype
        self.kind = onnx.TensorProto.DOUBLE if dtype == "float64" else onnx.TensorProto.FLOAT
        self.nodes: list = []
        self.constants: list = []
        self.axis = self.constant([1], np.int64)

    def __call__(self, operator: str, *inputs: str, output: str = "", **attributes) -> str:
        output = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, numbers, dtype=None) -> str:
        name = f"constant_{len(self.constants)}"
        array = np.array(numbers, dtype=dtype or self.dtype, order="C")
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name


def _swept(graph: _Graph, network: MLP, z: str) -> tuple[str, str]:
    """Values (N, q) and gradients (N, q, d) of a network at z (N, d), both in z-scores."""
    layers = [(layer.weight.detach().cpu().double().numpy(), layer.bias.detach().cpu().double().numpy())
              for layer in network if isinstance(layer, nn.Linear)]
    bend, slopes, a = _ACTIVATIONS[network.activation], [], z
    for weight, bias in layers[:-1]:
        a, slope = bend(graph, graph("Add", graph("MatMul", a, graph.constant(weight.T)), graph.constant(bias)))
        slopes.append(graph("Unsqueeze", slope, graph.axis))                               # (N, 1, h)
    weight, bias = layers[-1]
    value = graph("Add", graph("MatMul", a, graph.constant(weight.T)), graph.constant(bias))
    gradient = graph.constant(weight[None])                                                # (1, q, h)
    for (weight, _), slope in zip(layers[-2::-1], slopes[::-1]):
        gradient = graph("MatMul", graph("Mul", gradient, slope), graph.constant(weight))
    if not slopes:                                         # of a line, the same at each of N points
        gradient = graph("Add", gradient, graph("Unsqueeze", graph("Mul", z, graph.constant(0.0)), graph.axis))
    return value, gradient


def _mean(graph: _Graph, parts: list[str]) -> str:
    return graph("Div", graph("Sum", *parts), graph.constant(len(parts))) if len(parts) > 1 else parts[0]


# --- activations: from z to their value and slope, by operators that runtimes have in double precision, too


def _leaky(below: float):
    def bend(graph: _Graph, z: str) -> tuple[str, str]:
        zero = graph.constant(0.0)
        slope = graph("Where", graph("Greater", z, zero), graph.constant(1.0), graph.constant(below))
        return graph("Mul", z, slope), slope

    return bend


def _sigmoid(graph: _Graph, z: str) -> tuple[str, str]:
    a = graph("Sigmoid", z)
    return a, graph("Mul", a, graph("Sub", graph.constant(1.0), a))


def _tanh(graph: _Graph, z: str) -> tuple[str, str]:
    a = graph("Tanh", z)
    return a, graph("Sub", graph.constant(1.0), graph("Mul", a, a))


def _silu(graph: _Graph, z: str) -> tuple[str, str]:
    p, bent = _sigmoid(graph, z)
    return graph("Mul", z, p), graph("Add", p, graph("Mul", z, bent))


def _softplus(graph: _Graph, z: str) -> tuple[str, str]:
    one, above = graph.constant(1.0), graph("Greater", z, graph.constant(20.0))            # PyTorch's threshold
    small = graph("Log", graph("Add", one, graph("Exp", graph("Neg", graph("Abs", z)))))
    value = graph("Add", graph("Max", z, graph.constant(0.0)), small)
    return graph("Where", above, z, value), graph("Where", above, one, graph("Sigmoid", z))


def _elu(graph: _Graph, z: str) -> tuple[str, str]:
    zero, one = graph.constant(0.0), graph.constant(1.0)
    above, below = graph("Greater", z, zero), graph("Exp", graph("Min", z, zero))
    return graph("Where", above, z, graph("Sub", below, one)), graph("Where", above, one, below)


def _gelu(graph: _Graph, z: str) -> tuple[str, str]:
    # runtimes have the error function in single precision only
    error = graph("Erf", graph("Cast", graph("Div", z, graph.constant(np.sqrt(2))), to=graph.onnx.TensorProto.FLOAT))
    share = graph("Mul", graph.constant(0.5), graph("Add", graph.constant(1.0), graph("Cast", error, to=graph.kind)))
    bell = graph("Exp", graph("Mul", graph("Mul", z, z), graph.constant(-0.5)))
    density = graph("Mul", bell, graph.constant((2 * np.pi) ** -0.5))
    return graph("Mul", z, share), graph("Add", share, graph("Mul", z, density))


def _sine(graph: _Graph, z: str) -> tuple[str, str]:
    # the cosine is a sine a quarter of a turn ahead: some runtimes have the cosine in single precision only
    return graph("Sin", z), graph("Sin", graph("Add", z, graph.constant(np.pi / 2)))


_ACTIVATIONS: dict[str, Callable[[_Graph, str], tuple[str, str]]] = {
    "relu": _leaky(0.0), "leaky_relu": _leaky(0.01), "tanh": _tanh, "sigmoid": _sigmoid, "silu": _silu,
    "softplus": _softplus, "elu": _elu, "gelu": _gelu, "sine": _sine}


def _onnx():
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError:
        raise ImportError("onnx is needed here and is not installed: pip install onnx") from None
    return onnx
