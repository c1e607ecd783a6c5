"""An experiment that takes a second, and its command line: ``main(RECORDS, "run", "small", ...)``."""
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

import sobolev_lib as sl
from sobolev_lib import fast, records
from sobolev_lib.experiments import __main__ as command_line, runner

NAME, SHOWS = "small", "Section 0"


@dataclass(frozen=True)
class Config:
    steps: int = 1_280


PRESETS = {"quick": Config()}


def units(config):
    return ["first/one", "second/one"]


def describe(config):
    return asdict(config)


def run_unit(unit, config, seeds, device, keep):
    """Train networks side by side with checkpoints; then one by one, each a step of its own."""
    function = sl.functions.booth
    made = [torch.Generator().manual_seed(seed + 10 * len(unit)) for seed in seeds]
    models = [sl.models.MLP(2, 8, 1, generator=generator) for generator in made]
    sets = [sl.label(function, function.sample(12, generator=generator)) for generator in made]
    curve = fast.train_many(models, sets, loss=sl.SobolevLoss(1), steps=config.steps, lr=[1e-3] * len(seeds), batch_size=6,
                            weights=[(1.0, 0.1)] * len(seeds), seeds=seeds, report=[50, config.steps],
                            on_step=lambda step, models: [float(model(sets[0].inputs).detach().mean()) for model in models],
                            checkpoint=keep.checkpoint("together"), on_checkpoint=keep.reached, checkpoint_seconds=0)
    return {"curve": curve, "alone": [keep.once(f"seed-{seed}", lambda: alone(model, data, seed, keep))
                                      for seed, model, data in zip(seeds, models, sets)]}


def alone(model, data, seed, keep):
    history = sl.fit(model, data, steps=40, seed=seed, batch_size=6, progress=False,
                     checkpoint=keep.checkpoint(f"seed-{seed}"))
    return history.train["loss"]


def probe():
    return {"loss": 0.5}


def main(place, *arguments):
    for module in (records, runner, command_line):
        module.records_folder = lambda: Path(place)
    runner.EXPERIMENTS = {NAME: NAME}
    runner.find = lambda name: sys.modules[__name__]
    torch.set_num_threads(1)
    sys.exit(command_line.main(arguments))
