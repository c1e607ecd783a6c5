"""The runs that ``fit_many`` makes side by side: for each its network, labels, loss, history and early stopping."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from sobolev_lib._arguments import device_of, number, seed_of, several
from sobolev_lib.data import SobolevData
from sobolev_lib.derivatives import path_of
from sobolev_lib.identity import describe
from sobolev_lib.labels import warn_about_labels
from sobolev_lib.losses import Loss
from sobolev_lib.training.alike import check_alike
from sobolev_lib.training.checks import check_model, check_rows_apart, check_source, check_unit, check_validation, loss_for
from sobolev_lib.training.history import History, record
from sobolev_lib.training.watching import EarlyStopping, inside

ROWS = 1024                                                # points at once where the memory for all may be wanting


@dataclass
class Run:
    """One model among those that train side by side: see ``runs_of``."""

    model: nn.Module
    network: nn.Module                                     # the model itself, or what is inside a Standardized one
    data: SobolevData                                      # as the network sees it
    loss: Loss
    lr: float
    seed: int
    history: History
    stopping: EarlyStopping
    lost: bool = False

    @property
    def place(self) -> torch.device:
        return self.data.inputs.device

    @property
    def learns(self) -> bool:
        return not self.lost and not self.history.stopped_early

    def look(self, step: int, terms: Sequence[float], weights: Sequence[float]) -> None:
        if self.learns:
            try:
                record(self.history, step, sum(weight * term for weight, term in zip(weights, terms)), terms)
                self.stopping.look()
            except FloatingPointError:
                self.lost = True

    def rest(self) -> None:
        """Its best weights, if it has stopped; its row goes on with the others, to no effect."""
        if self.history.stopped_early:
            self.stopping.restore()


def runs_of(models, source, loss, lr, seed, validation, metric, patience, device) -> list[Run]:
    """A run for each model, all arguments as in ``fit_many``; whatever does not fit together is refused here."""
    if isinstance(models, nn.Module):
        raise TypeError(f"models: expected a list of networks, got one {type(models).__name__}; fit trains one")
    models = list(models)
    if not models:
        raise ValueError("models: expected at least one, got none")
    sources, losses, lr, seeds, validations = [_each(value, name, len(models)) for name, value in (
        ("source", source), ("loss", loss), ("lr", lr), ("seed", seed), ("validation", validation))]
    lr = [number(rate, "lr") for rate in lr]
    seeds = [seed_of(each) for each in seeds]
    for model, own, watched in zip(models, sources, validations):
        check_model(model)
        check_source(own, watched, patience)
    losses = [loss_for(each, own) for each, own in zip(losses, sources)]
    _check_losses(losses)
    for watched, own, each in zip(validations, sources, losses):
        check_validation(watched, own, each, metric)
    for model, each in zip(models, losses):
        check_unit(model, each)
    for own in {id(own): own for own in sources if losses[0].order > 0 and isinstance(own, SobolevData)}.values():
        warn_about_labels(own)
    if device is not None:
        for model in models:
            model.to(device_of(device))
    place = next(models[0].parameters()).device
    moved = {id(own): own.to(place) for own in [*sources, *validations] if own is not None}      # one for all stays one
    runs = []
    for model, own, each, rate, one_seed, watched in zip(models, sources, losses, lr, seeds, validations):
        network, seen = inside(model, moved[id(own)])
        seen = each.ask(seen)
        each = each.normalized_by(seen) if each.normalize is True else each
        if path_of(network, seen.inputs, each.order) != "closed form" and each.order > 0:
            check_rows_apart(network, seen.inputs)
        for start in range(0, len(seen), ROWS):            # side by side nobody can look at the numbers: what fit refuses
            each.terms(network, seen[start:start + ROWS])
        history = History(path=path_of(network, seen.inputs, each.order))
        stopping = EarlyStopping(model, None if watched is None else moved[id(watched)], each, metric, patience, history, one_seed)
        runs.append(Run(model, network, seen, each, rate, one_seed, history, stopping))
    check_alike([run.network for run in runs], [run.data for run in runs], losses[0].order)
    return runs


def _each(value, name: str, count: int) -> list:
    """One item per model, of a list that has so many, or of one item for all."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name}: expected one for all, or one per model, {count}, got {len(value)}")
    return several(value, name)


def _check_losses(losses: Sequence[Loss]) -> None:
    other = next((each for each in losses if each.draws or not each.by_input), None)
    if other is not None:
        why = "draws vectors at each step" if other.draws else "asks for derivatives by a hidden layer"
        raise TypeError(f"loss: expected a SobolevLoss, got {type(other).__name__}, which {why}; fit takes it")
    kinds = [describe(each.with_numbers((), False), "loss", named=False) for each in losses]
    other = next((k for k, kind in enumerate(kinds) if kind != kinds[0]), 0)
    if other:
        raise ValueError(f"loss: expected losses that differ in weights and divisors only, got {losses[0]!r} and, as number "
                         f"{other}, {losses[other]!r}")
