"""What a Sobolev step costs, as ratios of times that were taken in turns in one run.

A step is what a training loop does: clear gradients, loss, backward, Adam. "regular" is the plain PyTorch step on values
alone. Whatever else the machine does hits all ways alike, so read the ratios, not the times.
"""
import copy
import json
import statistics
import tempfile
import time
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Callable

import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

from sobolev_lib import functions
from sobolev_lib.data import SobolevData
from sobolev_lib.errors import errors
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.verdicts import Verdict
from sobolev_lib.fast import backward_of, train_many
from sobolev_lib.labelling import label
from sobolev_lib.losses import SobolevLoss, StochasticSobolevLoss
from sobolev_lib.models import MLP
from sobolev_lib.records import result
from sobolev_lib.scaling import Standardized
from sobolev_lib.training import fit

NAME = "step-cost"
SHOWS = "Section 2, what it costs"
TOGETHER = 10                                              # steps of many networks in one call
WARM, STEADY = 50, 1_000                                   # steps before a graph is timed, and in each turn


@dataclass(frozen=True)
class Config:
    width: int = 256
    batches: tuple[int, ...] = (32, 256, 2_048, 10_000)
    depths: tuple[int, ...] = (1, 2, 3, 4, 6)              # hidden layers
    inputs: tuple[int, ...] = (2, 10, 100, 1_000)
    activations: tuple[str, ...] = ("relu", "leaky_relu", "tanh", "softplus", "gelu", "silu")
    batch: int = 2_048                                     # where depth, inputs or the activation vary
    outputs: tuple[int, ...] = (1, 2, 5, 10, 30, 100)
    output_inputs: int = 50
    networks: tuple[int, ...] = (1, 15, 105)
    points: int = 20                                       # of each of the networks trained at once
    turns: int = 7
    seconds: float = 0.5                                   # of each way in each turn
    compile: bool = True
    peers: bool = True                                     # JENN, which must be installed
    graphs: bool = False                                   # a GPU's
    # networks trained in several precisions: function, points, steps, learning rate
    trained: str = "styblinski_tang"
    trained_points: int = 1_000
    trained_steps: int = 4_000
    trained_lr: float = 3e-3


PRESETS = {
    "quick": Config(width=64, batches=(32, 256), depths=(1, 3), inputs=(2, 20), activations=("relu", "tanh"), batch=256,
                    outputs=(1, 10), output_inputs=10, networks=(1, 5), turns=3, seconds=0.02, compile=False, peers=False,
                    trained_points=100, trained_steps=100),
    "cpu": Config(),
    "paper": Config(batches=(32, 256, 2_048, 10_000, 100_000), networks=(1, 15, 105, 420)),
    "gpu": Config(batches=(32, 256, 2_048, 10_000, 100_000), networks=(1, 15, 105, 420), turns=5, seconds=0.05,
                  compile=False, peers=False, graphs=True, trained_steps=500),
}


def units(config: Config) -> list[str]:
    """One unit a question."""
    return ["batch", "depth", "inputs", "activation", "outputs", "memory", "networks", "precision",
            *(["peers"] if config.peers else []), *(["graphs"] if config.graphs else [])]


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Answer one question; the seeds are those of trained networks, the only part where luck matters."""
    if unit == "precision":
        return precision(config, seeds, device)
    if unit == "networks":
        return {str(count): networks(count, config, device) for count in config.networks}
    if unit == "peers":
        return {f"{activation}, {batch}": peers(batch, activation, config)
                for activation in ("relu", "tanh") for batch in config.batches}
    if unit == "graphs":
        return {str(batch): graphs(batch, config, device) for batch in config.batches}
    if unit == "memory":
        return {str(batch): {way: peak_memory(step, device) for way, step in steps(config, device, batch=batch).items()}
                for batch in config.batches}
    if unit == "outputs":
        return {str(m): in_turns(output_steps(m, config, device), config, device) for m in config.outputs}
    choices = {"batch": config.batches, "depth": config.depths, "inputs": config.inputs, "activation": config.activations}
    return {str(choice): in_turns(steps(config, device, **{unit: choice}), config, device) for choice in choices[unit]}


def describe(config: Config) -> dict:
    """What the record says of the run."""
    return {**asdict(config), "threads": torch.get_num_threads()}


def probe() -> dict:
    """The losses of a few steps by each way that is timed, and of networks trained by them: no times, no memory."""
    config = replace(PRESETS["quick"], width=16, trained_points=40, trained_steps=2, batch=16, output_inputs=3)

    def losses(ways):
        return {way: [float(step()) for _ in range(3)] for way, step in ways.items()}

    models, sets = _small_tasks(2, config, "cpu")
    _together(models, sets)
    return {
        **{activation: losses(steps(config, "cpu", activation=activation)) for activation in Config().activations},
        "many inputs, one layer": losses(steps(config, "cpu", batch=8, depth=1, inputs=5)),
        "outputs": losses(output_steps(3, config, "cpu")),
        "trained": _trained_error(0, config, "cpu"),
        "networks": [float(SobolevLoss(1)(model, data).detach()) for model, data in zip(models, sets)],
    }


RULE = ("A price is the time of a step over that of a regular one, turn by turn. Confirmed if one projection's median "
        "price grows by less than a quarter from the fewest outputs to the most: then projections add nothing. Confirmed "
        "in direction if with the most outputs a projection is cheaper than the full Jacobian in every turn. Contradicted "
        "if it is dearer in every turn. Open otherwise.")


def verdict(record: dict) -> Verdict:
    """By ``RULE``."""
    outputs, config = result(record, "outputs"), record["config"]
    few, many = min(outputs, key=int), max(outputs, key=int)
    prices = {(way, count): [a / b for a, b in zip(outputs[count][way], outputs[count]["regular"])]
              for way in ("1 projection", "full Jacobian") for count in (few, many)}
    price = {case: statistics.median(turns) for case, turns in prices.items()}
    cheaper = [a < b for a, b in zip(prices["1 projection", many], prices["full Jacobian", many])]
    if price["1 projection", many] < 1.25 * price["1 projection", few]:
        status = "confirmed"
    else:
        status = "confirmed in direction" if all(cheaper) else "open" if any(cheaper) else "contradicted"
    return Verdict(
        claim="A full Jacobian can be large where outputs are many. Random projections avoid adding computational "
              "complexity to the training (section 2; the paper reports no times).",
        measured=f"With {many} outputs a step with the full Jacobian takes {price['full Jacobian', many]:.1f} regular "
                 f"steps, with one projection {price['1 projection', many]:.1f}; with {few} "
                 f"output{'s' if few != '1' else ''} it is {price['full Jacobian', few]:.1f} and "
                 f"{price['1 projection', few]:.1f}.",
        scale=f"{config['output_inputs']} inputs, two hidden layers of {config['width']} ReLUs, 256 points a batch, "
              f"{config['turns']} turns.",
        status=status, rule=RULE)


def in_turns(ways: dict[str, Callable[[], object]], config: Config, device: str) -> dict[str, list[float]]:
    """Seconds of one call of each way, one number a turn."""
    counts, found = {}, {way: [] for way in ways}
    for way, call in ways.items():
        call()                                             # compiles, and allocates
        _, one = _timed(call, 1, device)
        counts[way] = max(1, int(config.seconds / one))
    for _ in range(config.turns):
        for way, call in ways.items():
            found[way].append(_timed(call, counts[way], device)[1])
    return found


def steps(config: Config, device: str, *, batch: int | None = None, depth: int = 2, inputs: int = 2,
          activation: str = "relu") -> dict[str, Callable[[], object]]:
    """One step of a scalar network in every way we know."""
    model, data = _random_task(config, device, batch=batch, depth=depth, inputs=inputs, activation=activation)
    x, y, dy = data.tensors
    sobolev, regular = SobolevLoss(1), SobolevLoss(0)

    def double_backward(model):
        points = x.clone().requires_grad_()
        values = model(points)[:, 0]
        gradient, = torch.autograd.grad(values.sum(), points, create_graph=True)
        return F.mse_loss(values, y) + (gradient - dy).square().sum(1).mean()

    ways = {
        "regular": _stepping(model, lambda model: F.mse_loss(model(x)[:, 0], y)),
        "closed form": _fitting(model, sobolev, data),
        "closed form, own loop": _stepping(model, lambda model: sobolev(model, data)),
        "double backward": _stepping(model, double_backward),
        # behind a lambda the library can't see the layers, and takes its general way
        "torch.func": _stepping(model, lambda model: sobolev(lambda points: model(points), data)),
    }
    if config.compile:
        ways |= {"regular, compiled": _fitting(model, regular, data, compile=True),
                 "closed form, compiled": _fitting(model, sobolev, data, compile=True)}
    return ways


def _random_task(config: Config, device: str, *, batch: int | None = None, depth: int = 2, inputs: int = 2,
                 activation: str = "relu") -> tuple[MLP, SobolevData]:
    """A scalar network and labels for it: times don't depend on what they are."""
    generator, n = torch.Generator().manual_seed(0), batch or config.batch
    model = MLP(inputs, *[config.width] * depth, 1, activation=activation, generator=generator).to(device)
    return model, SobolevData(*(torch.randn(n, *shape, generator=generator).to(device) for shape in ((inputs,), (), (inputs,))))


def output_steps(outputs: int, config: Config, device: str) -> dict[str, Callable[[], object]]:
    """One step of a network with many outputs: values alone, the whole Jacobian, one or four projections of it."""
    generator, d = torch.Generator().manual_seed(0), config.output_inputs
    model = MLP(d, config.width, config.width, outputs, generator=generator).to(device)
    x, y, dy = (torch.randn(256, *shape, generator=generator).to(device) for shape in ((d,), (outputs,), (outputs, d)))
    data, full = SobolevData(x, y, dy), SobolevLoss(1)
    ways = {"regular": _stepping(model, lambda model: F.mse_loss(model(x), y)),
            "full Jacobian": _stepping(model, lambda model: full(model, data))}
    for count in (1, 4):
        loss = StochasticSobolevLoss(1, projections=count)
        ways[f"{count} projection{'s' if count > 1 else ''}"] = _stepping(
            model, lambda model, loss=loss: loss(model, x, data, generator=generator))
    return ways


def networks(count: int, config: Config, device: str) -> dict[str, list[float]]:
    """Seconds of a step of ``count`` small networks, each on points of its own: one after another, and all at once."""
    models, sets = _small_tasks(count, config, device)
    alone = [_fitting(model, SobolevLoss(1), data) for model, data in zip(models, sets)]
    ways = {"one after another": lambda: [step() for step in alone]}
    if device.startswith("cuda"):                          # recording a graph takes longer than a few steps
        return in_turns(ways, config, device) | {"all at once": graphed(models, sets, SobolevLoss(1), config)}
    found = in_turns(ways | {"all at once": lambda: _together(models, sets)}, config, device)
    found["all at once"] = [seconds / TOGETHER for seconds in found["all at once"]]
    return found


def graphs(batch: int, config: Config, device: str) -> dict[str, list[float]]:
    """Seconds of a step of one network: by a Python loop, and as a CUDA graph."""
    ways, (model, data) = steps(config, device, batch=batch), _random_task(config, device, batch=batch)
    found = in_turns({way: ways[way] for way in ("regular", "closed form")}, config, device)
    for order, name in enumerate(("regular, graph", "closed form, graph")):
        found[name] = graphed([copy.deepcopy(model)], [data], SobolevLoss(order), config)
    return found


def graphed(models: list[MLP], sets: list[SobolevData], loss: SobolevLoss, config: Config) -> list[float]:
    """Seconds of a step of all networks as one computation, on a GPU one CUDA graph, once it runs; one number a turn."""
    count, times = len(models), []

    def on_step(step, _):
        if sets[0].inputs.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter())

    train_many(models, sets, loss=loss, steps=WARM + config.turns * STEADY, lr=[1e-3] * count, seeds=list(range(count)),
               weights=[(1.0,) * (loss.order + 1)] * count, on_step=on_step,
               report=[WARM + k * STEADY for k in range(config.turns + 1)])
    return [(b - a) / STEADY for a, b in zip(times, times[1:])]


def _small_tasks(count: int, config: Config, device: str) -> tuple[list[MLP], list[SobolevData]]:
    function = functions.styblinski_tang
    sets = [label(function, function.sample(config.points, generator=torch.Generator().manual_seed(k))) for k in range(count)]
    sets = [SobolevData(d.inputs / 5, d.values / 100, d.jacobian / 20).to(device) for d in sets]
    models = [MLP(2, config.width, config.width, 1, generator=torch.Generator().manual_seed(k)).to(device)
              for k in range(count)]
    return models, sets


def _together(models: list[MLP], sets: list[SobolevData]) -> None:
    """``TOGETHER`` steps of all networks as one computation."""
    count = len(models)
    train_many(models, sets, loss=SobolevLoss(1), steps=TOGETHER, lr=[1e-3] * count, weights=[(1.0, 1.0)] * count,
               seeds=list(range(count)))


def precision(config: Config, seeds: list[int], device: str) -> dict[str, dict[str, list[float]]]:
    """For each precision: seconds of a step, relative error of its gradient, and test errors of networks trained in it.

    The gradient is compared with that of double backward in float64. Trained networks are tested in float32.
    """
    loss, ways = SobolevLoss(1), {}
    model, data = _random_task(config, device)
    twice, exact_data = copy.deepcopy(model).double(), data.to(torch.float64)
    exact = _gradient(twice, loss(lambda points: twice(points), exact_data))
    found = {name: {} for name in _precisions(device)}
    for name, context in _precisions(device).items():
        own, own_data = (twice, exact_data) if name == "float64" else (model, data)
        ways[name] = _within(context, _fitting(own, loss, own_data))
        if config.compile:
            ways[f"{name}, compiled"] = _within(context, _fitting(own, loss, own_data, compile=True))
        with context():
            gradient = _gradient(own, loss(own, own_data))
        found[name]["gradient_error"] = [float((gradient.double() - exact).norm() / exact.norm())]
        if name != "float64":
            found[name]["test_error"] = [_trained_error(seed, config, device, context) for seed in seeds]
    for way, turns in in_turns(ways, config, device).items():
        name, _, compiled = way.partition(", ")
        found[name]["seconds, compiled" if compiled else "seconds"] = turns
    return found


def _precisions(device: str) -> dict[str, Callable]:
    kind = torch.device(device).type
    found = {"float64": nullcontext, "float32": nullcontext}
    if kind == "cuda":
        found["TF32"] = _tf32
    return found | {"bfloat16": lambda: torch.autocast(kind, torch.bfloat16)}


@contextmanager
def _tf32():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _within(context: Callable, step: Callable[[], object]) -> Callable[[], None]:
    def call():
        with context():
            step()

    return call


def _gradient(model, value) -> torch.Tensor:
    return torch.cat([slope.flatten() for slope in torch.autograd.grad(value, list(model.parameters()))])


def _trained_error(seed: int, config: Config, device: str, context=nullcontext) -> float:
    """Test error over variance of a network trained by Sobolev training in a context."""
    function, generator = getattr(functions, config.trained), torch.Generator().manual_seed(seed)
    data = label(function, function.sample(config.trained_points, generator=generator)).to(device)
    test = label(function, function.sample(2_000, generator=torch.Generator().manual_seed(10_000 + seed))).to(device)
    model = Standardized(MLP(2, config.width, config.width, 1, activation="silu", generator=generator).to(device), data)
    loss, optimizer = SobolevLoss(1, normalize=True), torch.optim.Adam(model.parameters(), lr=config.trained_lr)
    every = max(1, config.trained_steps // 25)
    for part in range(config.trained_steps // every):      # each part shuffles anew, with a seed of its own
        with context():
            fit(model, data, loss=loss, steps=every, batch_size=256, optimizer=optimizer, seed=seed + 7 * part,
                evaluate_every=every, progress=False)
    return errors(model, SobolevData(test.inputs, test.values))["value_mse"] / float(test.values.var(correction=0))


def peers(batch: int, activation: str, config: Config) -> dict[str, list[float]]:
    """Seconds of a step in float64 with one thread: ours, and JENN's (which SMT's GENN calls)."""
    import jenn

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x, y, dy = (torch.randn(batch, *shape, generator=generator, dtype=torch.float64) for shape in ((2,), (1,), (1, 2)))
    data, loss = SobolevData(x, y, dy), SobolevLoss(1)
    model = MLP(2, config.width, config.width, 1, activation=activation, generator=generator, dtype=torch.float64)
    length = 3

    def theirs():
        jenn.NeuralNet([2, config.width, config.width, 1], hidden_activation=activation).fit(
            x.numpy().T, y.numpy().T, dydx=dy.numpy().transpose(1, 2, 0), max_iter=length, epsilon_absolute=0.0,
            epsilon_relative=0.0, gamma=1.0, is_backtracking=False)

    try:
        found = in_turns({"closed form": _fitting(model, loss, data), "JENN": theirs}, config, "cpu")
    finally:
        torch.set_num_threads(threads)
    found["JENN"] = [seconds / length for seconds in found["JENN"]]
    return found


def peak_memory(step: Callable[[], object], device: str) -> int:
    """Bytes that tensors hold at most during a step, beyond what they hold before it."""
    step()
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    held, peak = 0, 0
    for event in sorted((e for e in events if e.get("name") == "[memory]"), key=lambda e: e["ts"]):
        held += event["args"]["Bytes"]
        peak = max(peak, held)
    return peak


def _stepping(model, objective) -> Callable[[], torch.Tensor]:
    """A training loop's step on a copy of the model; it returns the loss."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad(set_to_none=True)
        total = objective(model)
        total.backward()
        optimizer.step()
        return total.detach()

    return step


def _fitting(model, loss, data, compile: bool = False) -> Callable[[], torch.Tensor]:
    """The step of ``fit``, which returns the loss; compiled, its Adam is PyTorch's fused one."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=compile)
    backward = backward_of(model, loss, compile=compile)

    def step():
        optimizer.zero_grad(set_to_none=True)
        total, _ = backward(loss, data)
        optimizer.step()
        return total.detach()

    return step


def _timed(call: Callable[[], object], count: int, device: str) -> tuple[int, float]:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(count):
        call()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return count, (time.perf_counter() - start) / count
