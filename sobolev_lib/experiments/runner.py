"""Runs an experiment unit by unit, keeps each finished unit, and joins them into a record.

An experiment is a module with NAME, SHOWS, PRESETS (name -> config), units(config), run_unit(unit, config, seeds,
device, keep), describe(config) and probe(); with DEVICE, too, if it runs on one kind of device only. A unit depends on no other unit, so units are what several processes
(``torchrun``) or machines on one file system share. Within a unit ``keep`` has what a killed run goes on from.
"""
import datetime
import importlib
import json
import os
import time
from pathlib import Path
from types import ModuleType

import torch
from tqdm import tqdm

from sobolev_lib.experiments.keeping import TimeIsUp
from sobolev_lib.experiments.probes import differences, probe_of
from sobolev_lib.experiments.unfinished import Unfinished
from sobolev_lib.records import PRESETS, load_record, records_folder, save_record

EXPERIMENTS = {"seven-functions": "seven_functions", "atari-teachers": "atari_teachers",
               "atari-distillation": "atari_distillation",
               "synthetic-gradients-cifar10": "synthetic_gradients_cifar10",
               "synthetic-gradients-imagenet": "synthetic_gradients_imagenet", "decoupled-parts": "decoupled_parts",
               "step-cost": "step_cost", "equal-time-race": "equal_time_race",
               "figure-2-variants": "figure_2_variants", "gradient-worth": "gradient_worth",
               "learned-simulator": "learned_simulator", "own-derivatives": "own_derivatives",
               "internal-matching": "internal_matching", "curvature": "curvature",
               "regressor-defaults": "regressor_defaults", "black-box-peers": "black_box_peers",
               "harmful-slopes": "harmful_slopes"}


def find(name: str) -> ModuleType:
    """The module of an experiment."""
    if name not in EXPERIMENTS:
        raise ValueError(f"experiment: expected one of {', '.join(EXPERIMENTS)}, got {name!r}")
    return importlib.import_module(f"sobolev_lib.experiments.{EXPERIMENTS[name]}")


def state(name: str, preset: str) -> str:
    """ "recorded", "stale" (the preset's settings have changed since) or "missing"; ``check`` looks at the code too."""
    experiment = find(name)
    try:
        record = load_record(name, preset)
    except FileNotFoundError:
        return "missing"
    described = experiment.describe(experiment.PRESETS[preset])
    return "recorded" if _settings(record["config"]) == _settings(described) else "stale"


def check(name: str) -> dict[str, list[str]]:
    """For each preset that is recorded, what the experiment's probe now gives differently: a line a number.

    >>> check("seven-functions")["cpu"]                                                        # doctest: +SKIP
    []
    """
    records = {preset: load_record(name, preset) for preset in find(name).PRESETS if state(name, preset) != "missing"}
    probe = probe_of(find(name)) if any("probe" in record for record in records.values()) else {}
    return {preset: differences(record["probe"], probe) if "probe" in record else ["the record holds no probe"]
            for preset, record in records.items()}


def run(name: str, preset: str, seeds: int, device: str = "auto", minutes: float | None = None,
        progress: bool = True) -> Path | None:
    """Run what is missing of an experiment and write its record; returns its path, or None while others still work.

    >>> run("step-cost", "quick", seeds=1, device="cpu")                                       # doctest: +SKIP

    After ``minutes`` raises ``TimeIsUp``, which says what is left; the same call goes on from there, here or on a machine
    that was given a copy of the records folder. Raises ``ValueError`` for arguments out of range, a records folder that
    can't be written, unfinished work that is broken, or that was begun with code that computes something else.
    """
    until = None if minutes is None else time.monotonic() + 60 * minutes
    if preset not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {preset!r}")
    check_seeds(seeds)
    if minutes is not None and not minutes > 0:
        raise ValueError(f"minutes: expected a positive number, got {minutes!r}")
    experiment = find(name)
    only = getattr(experiment, "DEVICE", device)
    if device not in ("auto", only):
        raise ValueError(f"device: expected {only}, which is all that {name} runs on, got {device!r}")
    device = _device(only)
    if preset not in experiment.PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(experiment.PRESETS)} for {name}, got {preset!r}")
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    config, numbers = experiment.PRESETS[preset], list(range(seeds))
    described = experiment.describe(config)
    begun = Unfinished(records_folder(), name, preset, _settings(described), numbers, experiment.units(config))
    left = [unit for unit in begun.units[rank::world] if not begun.is_done(unit)]
    if left and begun.is_empty() and made_just_now(name, preset, seeds):
        begun.remove()                                     # a faster process has joined what an earlier run had left
        return None
    if left:                                               # else another process may be joining the parts at this moment
        begun.probed(numbers, lambda: probe_of(experiment))
    for unit in tqdm(left, desc=f"{name} ({preset})", disable=not progress):
        keep = begun.keep(unit, until, device_name(device))
        try:
            keep.pause()
            results = experiment.run_unit(unit, config, numbers, device, keep)
        except TimeIsUp:
            raise TimeIsUp(f"time is up: {begun.progress()}. The same command goes on from there") from None
        begun.finish(unit, {"results": results, "date": datetime.date.today().isoformat(), **keep.account()})
    found = begun.results()
    if found is None:
        return None                                        # the process that ends last finds everything in place
    probe, parts = found
    path = save_record(name, preset, config=described, seeds=numbers, probe=probe,
                       results={unit: part["results"] for unit, part in parts.items()},
                       wall_seconds=sum(part["seconds"] for part in parts.values()),
                       peak_memory=max(part["peak_memory"] for part in parts.values()),
                       device="; ".join(dict.fromkeys(each for part in parts.values() for each in part["devices"])))
    begun.remove()
    return path


def check_seeds(seeds: int) -> None:
    """Raises ``ValueError`` unless there is at least one.

    >>> check_seeds(5)
    """
    if not isinstance(seeds, int) or isinstance(seeds, bool) or seeds < 1:
        raise ValueError(f"seeds: expected a positive number of seeds, got {seeds!r}")


def made_just_now(name: str, preset: str, seeds: int) -> bool:
    """Of several processes another one has made this run's record, less than a minute ago.

    >>> made_just_now("step-cost", "quick", seeds=1)
    False
    """
    if int(os.environ.get("WORLD_SIZE", 1)) < 2:
        return False
    path = records_folder() / f"{name}-{preset}.json"
    if not path.exists() or time.time() - path.stat().st_mtime > 60:
        return False
    return state(name, preset) == "recorded" and load_record(name, preset)["seeds"] == list(range(seeds))


def device_name(device: str) -> str:
    """What a record calls a device."""
    if device.startswith("cuda"):
        # parts of a record can come from several machines, whose PyTorch may differ
        return f"{torch.cuda.get_device_name(device)} with torch {torch.__version__}"
    return f"CPU, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''} a process"


def _device(device: str) -> str:
    device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        if torch.empty(0, device=device).device.type not in ("cpu", "cuda"):
            raise RuntimeError
    except (RuntimeError, AssertionError, NotImplementedError):             # the second where PyTorch was built without CUDA
        raise ValueError(f"device: expected auto, cpu, or a cuda or cuda:N that this machine has, got {device!r}") from None
    return device


def _settings(described: dict) -> dict:
    """What makes a run this run, as JSON gives it back: without what follows from the rest, and without the machine's."""
    return {key: value for key, value in json.loads(json.dumps(described)).items() if key not in ("scales", "threads")}
