"""fit(): a training loop that takes a model, derivative labels and a Sobolev loss."""
import copy
import functools
import math
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from sobolev_lib.arguments import integer, number
from sobolev_lib.checkpoint import load_checkpoint, save_checkpoint
from sobolev_lib.data import SobolevData, derivative_name
from sobolev_lib.derivatives import path_of
from sobolev_lib.errors import errors, evaluating
from sobolev_lib.fast import backward_of
from sobolev_lib.identity import digest, rules
from sobolev_lib.identity import weights as weights_of
from sobolev_lib.labels import warn_about_labels
from sobolev_lib.losses import SobolevLoss, StochasticSobolevLoss, weighted_sum
from sobolev_lib.records import check_writable
from sobolev_lib.scaling import Standardized


@dataclass
class History:
    """What happened during ``fit``: losses and validation errors against steps.

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> history = sobolev_lib.fit(sobolev_lib.models.MLP(2, 16, 1), data, steps=20, progress=False)
    >>> len(history.steps) == len(history.train["loss"])
    True

    ``train`` has "loss" and each unweighted term ("values", "jacobian", ...) on the batch of that step, in the units
    the network was trained in; ``validation`` has "loss" and, in original units, the mean squared errors of
    ``sobolev_lib.errors`` ("value_mse", "jacobian_mse", ...). ``plot()`` draws them. ``path`` says how the network's
    derivatives were found: "closed form", or "autograd" and why.
    """

    steps: list[int] = field(default_factory=list)
    train: dict[str, list[float]] = field(default_factory=dict)
    validation: dict[str, list[float]] = field(default_factory=dict)
    best_step: int | None = None
    stopped_early: bool = False
    seconds: float = 0.0
    path: str = ""

    def plot(self, **kwargs):
        """Learning curves on a logarithmic axis; keyword arguments as in ``plotting.learning_curves``."""
        from sobolev_lib import plotting  # needs matplotlib, which training does not

        return plotting.learning_curves({"fit": self}, **kwargs)


def fit(model: nn.Module, data: SobolevData, *, loss: SobolevLoss | StochasticSobolevLoss | None = None,
        steps: int = 1000, batch_size: int | None = None, lr: float | None = None,
        optimizer: Optimizer | Callable[..., Optimizer] | None = None,
        scheduler: LRScheduler | Callable[[Optimizer], LRScheduler] | None = None,
        weight_schedule: Callable[[float], Sequence[float]] | None = None, validation: SobolevData | None = None,
        metric: str = "loss", patience: int | None = None, evaluate_every: int | None = None, seed: int = 0,
        device: torch.device | str | None = None, compile: bool = False, progress: bool = True,
        checkpoint: str | Path | None = None) -> History:
    """Train ``model`` in place on values and derivatives; returns the ``History``.

    >>> f = sobolev_lib.functions.styblinski_tang
    >>> data = sobolev_lib.label(f, f.sample(20)); model = sobolev_lib.Standardized(sobolev_lib.models.MLP(2, 32, 1), data)
    >>> history = fit(model, data, loss=sobolev_lib.SobolevLoss(order=1), steps=100, progress=False)

    A ``Standardized`` model is trained on z-scored data and predicts in original units. The default loss is equation 1
    of the data's own order. A loss with ``normalize=True`` takes its divisors from the whole of ``data``, not from
    each batch. ``batch_size=None`` uses all points in each step; else epochs of shuffled batches.

    ``lr``: the learning rate of Adam, 1e-3 by default, or of the optimiser's class that is given. ``optimizer``: such a
    class, or an optimiser on the model's parameters, or a callable that makes one from them; the last two bring their own
    rate. ``scheduler``: a learning-rate schedule stepped once a step, or a callable that makes one from the optimiser.
    ``weight_schedule``: from progress in [0, 1] to the loss weights, in place of ``loss.weights``; see ``linear_weights``.
    ``validation`` is measured every ``evaluate_every`` steps (a hundredth of ``steps`` by default), in evaluation mode.
    With ``patience``, training stops after that many evaluations without a lower ``metric`` ("loss", "value_mse",
    "jacobian_mse", ...), and the best weights come back.

    ``seed`` fixes batches, projections and dropout, and leaves the global random state alone. ``device`` moves model
    and data; None keeps the model where it is. ``compile=True`` fuses the step, and Adam with it, after seconds of
    compilation for each shape of a batch; it wants a ``SobolevLoss``, a model without buffers, and a C++ compiler or a
    GPU. Inside ``torch.autocast`` the products are in its precision.

    ``checkpoint`` names a file written at each evaluation: the same call goes on from it and ends bit for bit where an
    uninterrupted run ends. Another call is refused: one with other initial weights, layers, constants in modules, data,
    validation data, loss, optimiser, schedules or settings. Functions of yours are compared by name, code, and the values
    they have caught; a lambda has no name and is refused. What the functions that they call do can't be compared.

    Warns once for each data set whose derivative labels surely have a wrong sign, unit or order: see ``check_labels``.
    Raises ``ValueError``/``TypeError`` for settings that don't fit together, ``FloatingPointError`` if the loss stops
    being finite. Source: equations 1 and 2.
    """
    start = time.perf_counter()
    steps, seed = integer(steps, "steps"), integer(seed, "seed", "an integer", least=-2**63)
    batch_size, patience, evaluate_every = [None if value is None else integer(value, name) for name, value in (
        ("batch_size", batch_size), ("patience", patience), ("evaluate_every", evaluate_every))]
    _check(model, data, validation, patience)
    loss = SobolevLoss(order=data.order) if loss is None else loss
    if not isinstance(loss, (SobolevLoss, StochasticSobolevLoss)):
        raise TypeError(f"loss: expected a SobolevLoss or StochasticSobolevLoss, got {type(loss).__name__}")
    _check_validation(validation, data, loss, metric)
    if checkpoint is not None:
        check_writable(checkpoint)
    if loss.order > 0:
        warn_about_labels(data)
    if device is not None:
        model.to(device)
    place = next(model.parameters()).device
    data, validation = data.to(place), None if validation is None else validation.to(place)
    network, train_data = model, data
    if isinstance(model, Standardized):
        network, train_data = model.model, model.standardize(data)
    if loss.normalize is True:
        loss = loss.normalized_by(train_data)
    path, vectors = path_of(network, train_data.inputs, loss.order), torch.Generator().manual_seed(seed + 1)
    backward = _backward_of(network, loss, path, vectors, compile)
    optimizer = _optimizer(optimizer, model, lr, compile)
    scheduler = scheduler(optimizer) if callable(scheduler) else scheduler
    _check_scheduler(scheduler, optimizer)
    evaluate_every = evaluate_every or max(1, steps // 100)

    batches = _Batches(len(data), batch_size, seed)
    history, best, first = History(), {}, 0
    mark = {} if checkpoint is None else digest(**{
        "initial weights": weights_of(model), "model": model, "data": data.tensors,
        "validation": None if validation is None else validation.tensors, "loss": loss, "optimizer": rules(optimizer, model),
        "scheduler": scheduler, "weight_schedule": weight_schedule, "autocast": _autocast(place),
        "settings": [steps, batch_size, seed, metric, patience, evaluate_every, compile, place.type]})
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        torch.manual_seed(seed)
        if checkpoint is not None and Path(checkpoint).exists():
            fresh = _options(optimizer)
            tensors, done = load_checkpoint(Path(checkpoint), model=model, optimizer=optimizer, fingerprint=mark)
            history, first = History(**done["history"]), done["step"]
            batches.restore(tensors["random.batches"], done["position"])
            vectors.set_state(tensors["random.vectors"])
            torch.set_rng_state(tensors["random.cpu"])
            if place.type == "cuda":
                torch.cuda.set_rng_state(tensors["random.cuda"], place)
            best = {name[5:]: tensor.to(place) for name, tensor in tensors.items() if name.startswith("best.")}
            _replay(scheduler, optimizer, fresh, first)
        earlier, history.path = history.seconds, path
        bar = tqdm(total=steps, initial=first, disable=not progress, desc="fit")
        for step in range(first + 1, steps + 1):
            if history.stopped_early:
                break
            index = batches.next()
            batch = train_data if index is None else train_data[index.to(place)]
            weights = loss.weights if weight_schedule is None else _scheduled(weight_schedule, step, steps, loss.order)
            optimizer.zero_grad(set_to_none=True)
            total, terms = backward(batch, weights)
            optimizer.step()
            if torch.is_autocast_enabled(place.type):
                torch.clear_autocast_cache()               # within one autocast block it keeps the weights as they were
            if scheduler is not None:
                scheduler.step()
            bar.update()
            if step % evaluate_every == 0 or step == steps:
                _record(history, step, total, terms)
                if validation is not None:
                    _validate(history, model, validation, loss, vectors)
                    best = _keep_best(history, model, best, metric, patience)
                bar.set_postfix(loss=f"{history.train['loss'][-1]:.3g}")
                history.seconds = earlier + time.perf_counter() - start
                if checkpoint is not None:
                    random = {"random.cpu": torch.get_rng_state(), "random.vectors": vectors.get_state(),
                              "random.batches": batches.epoch_state}
                    if place.type == "cuda":
                        random["random.cuda"] = torch.cuda.get_rng_state(place)
                    save_checkpoint(Path(checkpoint), model=model, optimizer=optimizer, fingerprint=mark,
                                    tensors=random | {f"best.{name}": tensor for name, tensor in best.items()},
                                    progress={"history": vars(history), "step": step, "position": batches.position})
        bar.close()
    if patience is not None and best:
        model.load_state_dict(best)
    history.seconds = earlier + time.perf_counter() - start
    return history


def linear_weights(start: Sequence[float], end: Sequence[float]) -> Callable[[float], tuple[float, ...]]:
    """A weight schedule from ``start`` to ``end`` in a straight line, for ``fit(weight_schedule=...)``.

    >>> schedule = linear_weights(start=(0.1, 1.0), end=(1.0, 0.1))       # derivative-heavy to value-heavy
    >>> schedule(0.0), schedule(1.0)
    ((0.1, 1.0), (1.0, 0.1))

    One weight an order, value first. Raises ``ValueError`` if the lengths differ.
    """
    if len(start) != len(end):
        raise ValueError(f"end: expected {len(start)} weights as in start, got {len(end)}")
    return functools.partial(_between, tuple(start), tuple(end))


def _between(start: Sequence[float], end: Sequence[float], progress: float) -> tuple[float, ...]:
    return tuple((1 - progress) * a + progress * b for a, b in zip(start, end))


def _backward_of(network: nn.Module, loss: SobolevLoss | StochasticSobolevLoss, path: str, vectors: torch.Generator,
                 compile: bool) -> Callable[[SobolevData, Sequence[float]], tuple[Tensor, Sequence[Tensor]]]:
    """From a batch and the loss weights to the loss and its terms; leaves gradients with the parameters."""
    if compile:
        return backward_of(network, loss, compile=True)
    if path == "closed form":
        try:
            return backward_of(network, loss)
        except ValueError:
            pass                                           # the closed form it is all the same, but by way of autograd

    def step(batch, weights):
        if isinstance(loss, StochasticSobolevLoss):
            terms = loss.terms(network, batch.inputs, batch, generator=vectors)
        else:
            terms = loss.terms(network, batch)
        total = weighted_sum(weights, terms)
        total.backward()
        return total, terms

    return step


class _Batches:
    """Row indices of one batch after another, in shuffled epochs; can be put back where it was."""

    def __init__(self, n: int, batch_size: int | None, seed: int):
        self.n, self.size = n, batch_size
        self.generator = torch.Generator().manual_seed(seed)
        self.epoch_state, self.position, self.order = self.generator.get_state(), n, None

    def next(self) -> Tensor | None:
        if self.size is None or self.size >= self.n:
            return None
        if self.position >= self.n:
            self.epoch_state, self.position = self.generator.get_state(), 0
            self.order = torch.randperm(self.n, generator=self.generator)
        self.position += self.size
        return self.order[self.position - self.size:self.position]

    def restore(self, epoch_state: Tensor, position: int) -> None:
        self.generator.set_state(epoch_state)
        self.epoch_state, self.position = epoch_state, position
        if self.size is not None and self.size < self.n:
            self.order = torch.randperm(self.n, generator=self.generator)


def _optimizer(optimizer, model: nn.Module, lr: float | None, compile: bool) -> Optimizer:
    parameters = [p for p in model.parameters() if p.requires_grad]
    rate = {} if lr is None else {"lr": number(lr, "lr")}
    if optimizer is None:
        return torch.optim.Adam(parameters, **{"lr": 1e-3} | rate, fused=compile)
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        made = optimizer(parameters, **rate)
    elif rate:
        raise ValueError(f"lr: expected none beside an optimizer that brings its own, got {lr!r}; set it there, or give the "
                         "optimizer's class")
    else:
        made = optimizer if isinstance(optimizer, Optimizer) else optimizer(parameters)
    if not isinstance(made, Optimizer) or isinstance(made, torch.optim.LBFGS):
        raise TypeError(f"optimizer: expected a torch.optim.Optimizer that needs no closure, got {type(made).__name__}")
    held = {id(p) for group in made.param_groups for p in group["params"]}
    if not held & {id(p) for p in parameters}:
        raise ValueError("optimizer: expected one that holds the model's parameters, got one that holds none of them")
    return made


def _check_scheduler(scheduler, optimizer: Optimizer) -> None:
    if scheduler is not None and not isinstance(scheduler, LRScheduler) or \
            isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        raise TypeError(f"scheduler: expected a schedule of steps alone, got {type(scheduler).__name__}")
    if scheduler is not None and getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError("scheduler: expected one of the optimizer that is given here, got another optimizer's; it would "
                         "change nothing")


def _options(optimizer: Optimizer) -> list[dict]:
    """Learning rates and all else that a schedule may change, by group."""
    return [copy.deepcopy({key: value for key, value in group.items() if key != "params"})
            for group in optimizer.param_groups]


def _replay(scheduler: LRScheduler | None, optimizer: Optimizer, fresh: list[dict], steps: int) -> None:
    """Bring a fresh schedule to where it was. Its state can hold functions, which no plain file format stores."""
    if scheduler is None:
        return
    saved = _options(optimizer)
    for group, options in zip(optimizer.param_groups, fresh):
        group.update(options)                              # schedules compute each rate from the one before
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "step() before optimizer.step()": the steps were made in another process
        for _ in range(steps):
            scheduler.step()
    for group, options in zip(optimizer.param_groups, saved):
        group.update(options)


def _autocast(place: torch.device) -> list:
    return [torch.is_autocast_enabled(place.type), torch.get_autocast_dtype(place.type)]


def _scheduled(schedule: Callable[[float], Sequence[float]], step: int, steps: int, order: int) -> Sequence[float]:
    weights = schedule((step - 1) / max(1, steps - 1))
    if len(weights) != order + 1:
        raise ValueError(f"weight_schedule: expected {order + 1} weights, got {weights!r}")
    return weights


def _record(history: History, step: int, total: Tensor, terms: Sequence[Tensor]) -> None:
    if not math.isfinite(float(total.detach())):
        raise FloatingPointError(f"loss is {float(total.detach())} at step {step}; a lower learning rate or smaller "
                                 "derivative weight may help")
    history.steps.append(step)
    for name, term in [("loss", total), *[(derivative_name(k), term) for k, term in enumerate(terms)]]:
        history.train.setdefault(name, []).append(float(term.detach()))


def _names(order: int) -> list[str]:
    """What is measured on validation data."""
    return ["loss", *[f"{name}_mse" for name in ("value", "jacobian", "hessian")[:order + 1]],
            *[f"{derivative_name(k)}_mse" for k in range(3, order + 1)]]


def _validate(history: History, model: nn.Module, data: SobolevData, loss, vectors: torch.Generator) -> None:
    with evaluating(model):
        network, scaled = (model.model, model.standardize(data)) if isinstance(model, Standardized) else (model, data)
        if isinstance(loss, StochasticSobolevLoss):
            value = loss(network, scaled.inputs, scaled, generator=vectors)
        else:
            value = loss(network, scaled)
    measured = SobolevData._unchecked(*data.tensors[:loss.order + 2])
    for name, number in {"loss": float(value.detach()), **errors(model, measured)}.items():
        history.validation.setdefault(name, []).append(number)


def _keep_best(history: History, model: nn.Module, best: dict, metric: str, patience: int | None) -> dict:
    numbers = history.validation[metric]
    if math.isnan(numbers[-1]):
        raise ValueError(f"metric: expected validation data with labels for {metric!r}, or another metric; got NaN")
    winner = min(range(len(numbers)), key=numbers.__getitem__)
    history.best_step = history.steps[winner]
    history.stopped_early = patience is not None and len(numbers) - 1 - winner >= patience
    return copy.deepcopy(model.state_dict()) if patience is not None and winner == len(numbers) - 1 else best


def _check(model, data, validation, patience) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: expected an nn.Module (fit trains its parameters), got {type(model).__name__}")
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError("model: expected parameters to train, got none that require a gradient")
    for name, value in (("data", data), ("validation", validation)):
        if not isinstance(value, SobolevData) and not (name == "validation" and value is None):
            raise TypeError(f"{name}: expected SobolevData (see sobolev_lib.label), got {type(value).__name__}")
    if patience is not None and validation is None:
        raise ValueError("patience: expected validation data to watch, got validation=None")


def _check_validation(validation: SobolevData | None, data: SobolevData, loss, metric: str) -> None:
    """What would go wrong at the first evaluation, before the first step."""
    if metric not in _names(loss.order):
        raise ValueError(f"metric: expected one of {', '.join(_names(loss.order))}, got {metric!r}")
    if validation is None:
        if metric != "loss":
            raise ValueError(f"metric: expected validation data to measure {metric!r} on, got validation=None")
        return
    if validation.order < loss.order or not len(validation):
        raise ValueError(f"validation: expected points with labels up to the {derivative_name(loss.order)} for a loss of order "
                         f"{loss.order}, got {validation!r}")
    for name, expected, got in (("inputs", data.in_shape, validation.in_shape), ("values", data.out_shape, validation.out_shape)):
        if expected != got:
            raise ValueError(f"validation: expected {name} of shape {tuple(expected)} a point as the data have, got {tuple(got)}")
    if validation.inputs.dtype != data.inputs.dtype:
        raise TypeError(f"validation: expected {data.inputs.dtype} as the data have, got {validation.inputs.dtype}")
