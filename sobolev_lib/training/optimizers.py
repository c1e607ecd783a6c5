"""The optimiser and its schedule: made, checked, and brought back to where they were."""
import copy
import warnings

from torch import nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from sobolev_lib._arguments import check_callable, number


def optimizer_for(optimizer, model: nn.Module, lr: float | None, *, fused: bool) -> Optimizer:
    """Adam, or the class, the callable or the optimiser that is given, on the model's trainable parameters."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    rate = {} if lr is None else {"lr": number(lr, "lr")}
    if optimizer is None:
        return Adam(parameters, **{"lr": 1e-3} | rate, fused=fused)
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        made = optimizer(parameters, **rate)
    elif rate:
        raise ValueError(f"lr: expected none beside an optimizer that brings its own, got {lr!r}; set it there, or give the "
                         "optimizer's class")
    else:
        if not isinstance(optimizer, Optimizer):
            check_callable(optimizer, "optimizer", "a torch.optim.Optimizer, its class, or a function that makes one")
        made = optimizer if isinstance(optimizer, Optimizer) else optimizer(parameters)
    if not isinstance(made, Optimizer):
        raise TypeError(f"optimizer: expected a torch.optim.Optimizer, got {type(made).__name__}")
    held = {id(p) for group in made.param_groups for p in group["params"]}
    if not held & {id(p) for p in parameters}:
        raise ValueError("optimizer: expected one that holds the model's parameters, got one that holds none of them")
    return made


def scheduler_for(scheduler, optimizer: Optimizer) -> LRScheduler | None:
    """The schedule, or what the callable makes of the optimiser."""
    given, scheduler = scheduler, scheduler(optimizer) if callable(scheduler) else scheduler
    if given is not None and not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
        raise TypeError(f"scheduler: expected a schedule of steps alone, got {type(scheduler).__name__}")
    if scheduler is not None and getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError("scheduler: expected one of the optimizer that is given here, got another optimizer's; it would "
                         "change nothing")
    return scheduler


def options(optimizer: Optimizer) -> list[dict]:
    """Learning rates and all else that a schedule may change, by group."""
    return [copy.deepcopy({key: value for key, value in group.items() if key != "params"})
            for group in optimizer.param_groups]


def replay(scheduler: LRScheduler | None, optimizer: Optimizer, fresh: list[dict], steps: int) -> None:
    """Bring a fresh schedule to where it was. Its state can hold functions, which no plain file format stores."""
    if scheduler is None:
        return
    saved = options(optimizer)
    for group, before in zip(optimizer.param_groups, fresh):
        group.update(before)                               # schedules compute each rate from the one before
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "step() before optimizer.step()": the steps were made in another process
        for _ in range(steps):
            scheduler.step()
    for group, after in zip(optimizer.param_groups, saved):
        group.update(after)
