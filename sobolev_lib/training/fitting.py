"""fit(): a training loop that takes a model, derivative labels or a teacher, and a Sobolev loss."""
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from sobolev_lib._arguments import check_callable, device_of, integer, seed_of
from sobolev_lib.data import SobolevData
from sobolev_lib.derivatives import path_of
from sobolev_lib.files import check_writable
from sobolev_lib.identity import digest, rules, weights as weights_of
from sobolev_lib.labels import warn_about_labels
from sobolev_lib.losses import Loss
from sobolev_lib.teacher import Teacher
from sobolev_lib.training.batches import Epochs
from sobolev_lib.training.checks import (
    check_all_kept,
    check_model,
    check_rows_apart,
    check_source,
    check_unit,
    check_validation,
    loss_for,
    not_finite,
)
from sobolev_lib.training.history import History, record
from sobolev_lib.training.modes import with_gradients
from sobolev_lib.training.optimizers import optimizer_for, scheduler_for
from sobolev_lib.training.schedules import scheduled
from sobolev_lib.training.steps import backward_of, descend, plain_backward_of
from sobolev_lib.training.watching import Checkpoint, EarlyStopping, Reports, inside


@with_gradients
def fit(model: nn.Module, source: SobolevData | Teacher, *, loss: Loss | None = None, steps: int = 1000,
        batch_size: int | None = None, lr: float | None = None,
        optimizer: Optimizer | Callable[..., Optimizer] | None = None,
        scheduler: LRScheduler | Callable[[Optimizer], LRScheduler] | None = None,
        weight_schedule: Callable[[float], Sequence[float]] | None = None, validation: SobolevData | None = None,
        metric: str = "loss", patience: int | None = None, evaluate_every: int | None = None,
        on_step: Callable[[int, nn.Module], object] | None = None, report: Sequence[int] | None = None, seed: int = 0,
        device: torch.device | str | None = None, compile: bool = False, progress: bool = True,
        checkpoint: str | Path | None = None) -> History:
    """Train ``model`` in place on values and derivatives; returns the ``History``.

    >>> f = sobolev_lib.functions.styblinski_tang
    >>> data = sobolev_lib.label(f, f.sample(20)); model = sobolev_lib.Standardized(sobolev_lib.models.MLP(2, 32, 1), data)
    >>> history = fit(model, data, loss=sobolev_lib.SobolevLoss(order=1), steps=100, progress=False)

    ``source``: ``SobolevData``, or a ``Teacher``, a function that is asked at each batch for what the loss compares.
    A ``Standardized`` model is trained on z-scored data and predicts in original units. The default loss is equation 1
    of the data's own order, of a teacher 1; a step minimises ``loss(model, batch)``. A loss with ``normalize=True`` takes
    its divisors from the whole of ``source``, not from each batch. ``batch_size=None`` uses all points in each step; else
    epochs of shuffled batches.

    ``lr``: the learning rate of Adam, 1e-3 by default, or of the optimiser's class that is given. ``optimizer``: such a
    class, or an optimiser on the model's parameters, or a callable that makes one from them; the last two bring their own
    rate. One that evaluates a step several times, as L-BFGS, does so on one batch. ``scheduler``: a learning-rate schedule
    stepped once a step, or a callable that makes one from the optimiser.
    ``weight_schedule``: from progress in [0, 1] to the loss weights, in place of ``loss.weights``; see ``linear_weights``.
    ``validation`` is measured every ``evaluate_every`` steps (a hundredth of ``steps`` by default), in evaluation mode.
    With ``patience``, training stops after that many evaluations without a lower ``metric`` ("loss", "value_mse",
    "jacobian_mse", ...), and the best weights come back.

    ``on_step(step, model)`` is called after the steps in ``report``, or if that is None after each evaluation, with the
    weights of that step; what it returns is kept in ``History.reported``, and in a checkpoint as JSON.

    ``seed`` fixes batches, projections and dropout, and leaves the global random state alone (which all threads share: train
    networks with dropout in one thread at a time). ``device`` moves model and data; None keeps the model where it is.
    ``compile=True`` fuses the step, and Adam with it, after seconds of compilation for each shape of a batch; it wants a
    ``SobolevLoss``, a model without buffers, and a C++ compiler or a GPU. Inside ``torch.autocast`` the products are in its
    precision.

    ``checkpoint`` names a file written at each evaluation: the same call goes on from it and ends bit for bit where an
    uninterrupted run ends. Another call is refused: one with other initial weights, layers, constants in modules, data,
    validation data, loss, optimiser, schedules or settings. Functions of yours are compared by name, code, and the values
    they have caught; a lambda has no name and is refused. What the functions that they call do can't be compared.

    Warns once for each data set whose derivative labels surely have a wrong sign, unit or order: see ``check_labels``.
    Raises ``ValueError``/``TypeError`` for settings that don't fit together, ``FloatingPointError`` if the loss stops
    being finite, or the weights after the last step; with ``patience`` the model then has its best weights, as after an
    interruption. Source: equations 1 and 2.
    """
    start = time.perf_counter()
    steps, seed = integer(steps, "steps"), seed_of(seed)
    batch_size, patience, evaluate_every = [None if value is None else integer(value, name) for name, value in (
        ("batch_size", batch_size), ("patience", patience), ("evaluate_every", evaluate_every))]
    evaluate_every = evaluate_every or max(1, steps // 100)
    check_callable(on_step, "on_step", "a function of step and model")
    check_callable(weight_schedule, "weight_schedule", "a function from progress in [0, 1] to the loss weights")
    check_model(model)
    check_source(source, validation, patience)
    loss = loss_for(loss, source)
    check_validation(validation, source, loss, metric)
    check_unit(model, loss)
    if checkpoint is not None:
        check_writable(checkpoint)
    if loss.order > 0 and isinstance(source, SobolevData):
        warn_about_labels(source)
    if device is not None:
        model.to(device_of(device))
    place = next(model.parameters()).device
    source, validation = source.to(place), None if validation is None else validation.to(place)
    network, seen = inside(model, source)
    if loss.normalize is True:
        with random_state(seed, place):                    # a teacher may draw
            loss = loss.normalized_by(seen)
    path = path_of(network, seen.inputs, loss.order) if loss.by_input else "autograd: derivatives by a hidden layer"
    vectors = torch.Generator().manual_seed(seed + 1)
    if path != "closed form" and loss.order > 0:
        with random_state(seed, place):                    # a network may draw
            check_rows_apart(network, seen.inputs)
    backward = _backward_for(network, loss, path, compile)
    optimizer = optimizer_for(optimizer, model, lr, fused=compile)
    scheduler = scheduler_for(scheduler, optimizer)
    batches, history = Epochs(len(source), batch_size, seed), History()
    reports = Reports(on_step, report, steps, evaluate_every, history)
    stopping = EarlyStopping(model, validation, loss, metric, patience, history, seed)
    watchers, keeper = [stopping.look], None
    if checkpoint is not None:
        check_all_kept(optimizer, model)
        mark = digest(**{
            "initial weights": weights_of(model), "model": model, "data": _contents(source),
            "validation": None if validation is None else validation.tables, "loss": loss,
            "optimizer": rules(optimizer, model), "scheduler": scheduler, "weight_schedule": weight_schedule,
            "autocast": [torch.is_autocast_enabled(place.type), torch.get_autocast_dtype(place.type)],
            "settings": [steps, batch_size, seed, metric, patience, evaluate_every, compile, place.type,
                         *([sorted(reports.steps)] if reports.steps else [])]})
        keeper = Checkpoint(checkpoint, mark, model=model, optimizer=optimizer, scheduler=scheduler, batches=batches,
                            vectors=vectors, history=history, stopping=stopping, place=place, steps=steps)
        watchers.append(keeper.save)
    with random_state(seed, place):
        first = 0 if keeper is None else keeper.restore()
        earlier, history.path = history.seconds, path
        bar = tqdm(total=steps, initial=first, disable=not progress, desc="fit")
        try:
            for step in range(first + 1, steps + 1):
                if history.stopped_early:
                    break
                rows = batches.next()
                now = scheduled(loss, weight_schedule, step, steps)
                batch = now.ask(seen if rows is None else seen[rows.to(place)], vectors)
                total, terms = descend(optimizer, backward, now, batch)
                if scheduler is not None:
                    scheduler.step()
                reports(step, model)
                if step in reports.steps and not compile:  # on_step may have put other layers in
                    backward = _backward_for(network, loss, path, compile)
                bar.update()
                if step % evaluate_every == 0 or step == steps:
                    record(history, step, float(total.detach()), [float(term.detach()) for term in terms])
                    history.seconds = earlier + time.perf_counter() - start
                    bar.set_postfix(loss=f"{history.train['loss'][-1]:.3g}")
                    if step == steps and not_finite(model):
                        raise FloatingPointError("model: its weights are no longer finite after the last step, got NaN or infinite "
                                                 f"ones in {not_finite(model)}; a lower learning rate or smaller derivative weight "
                                                 "may help")
                    for watch in watchers:
                        watch()
        finally:                                           # the best that there was is not lost with the rest
            stopping.restore()
        bar.close()
    history.seconds = earlier + time.perf_counter() - start
    return history


def _backward_for(network: nn.Module, loss: Loss, path: str, compile: bool) -> Callable:
    """From the loss and a batch that it asked for to its value and terms; leaves gradients with the parameters."""
    if compile:
        return backward_of(network, loss, compile=True)
    if path == "closed form":
        try:
            return backward_of(network, loss)
        except ValueError:
            pass                                           # the closed form it is all the same, but by way of autograd
    return plain_backward_of(network)


def _contents(source: SobolevData | Teacher):
    """What makes a source this one, for ``digest``."""
    if isinstance(source, SobolevData):
        return source.tables
    return [source.inputs, source.f, weights_of(source.f) if isinstance(source.f, nn.Module) else None]


@contextmanager
def random_state(seed: int, place: torch.device) -> Iterator[None]:
    """What draws from the global generator, as dropout, draws from ``seed``; afterwards that is where it was."""
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
