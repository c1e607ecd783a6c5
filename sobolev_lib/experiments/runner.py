"""Runs an experiment unit by unit, keeps each finished unit, and joins them into a record.

An experiment is a module with NAME, SHOWS, PRESETS (name -> config), units(config), run_unit(unit, config, seeds,
device) and describe(config). A unit takes minutes and depends on no other unit, so that is what a killed run loses at
most, and what several processes (``torchrun``) or machines on one file system share.
"""
import ast
import hashlib
import importlib
import inspect
import json
import os
import shutil
import time
from pathlib import Path
from types import ModuleType

import torch
from tqdm import tqdm

from sobolev_lib.records import PRESETS, load_record, peak_memory_bytes, records_folder, save_record, write_whole

EXPERIMENTS = {"seven-functions": "seven_functions", "atari-teachers": "atari_teachers",
               "atari-distillation": "atari_distillation", "atari-reasons": "atari_reasons",
               "synthetic-gradients-cifar10": "synthetic_gradients_cifar10",
               "synthetic-gradients-imagenet": "synthetic_gradients_imagenet",
               "synthetic-gradients-bootstrapping": "synthetic_gradients_bootstrapping",
               "decoupled-parts": "decoupled_parts", "step-cost": "step_cost",
               "equal-time-race": "equal_time_race", "figure-2-variants": "figure_2_variants"}


def find(name: str) -> ModuleType:
    if name not in EXPERIMENTS:
        raise ValueError(f"experiment: expected one of {', '.join(EXPERIMENTS)}, got {name!r}")
    return importlib.import_module(f"sobolev_lib.experiments.{EXPERIMENTS[name]}")


def code_hash(experiment: ModuleType) -> str:
    """Hash of what the experiment's file does, and of the file its ``run_unit`` comes from.

    Docstrings and comments don't count, nor do PRESETS: a record holds its own config, which ``state`` compares.
    """
    files, dumps = {experiment.__file__: None, inspect.getsourcefile(experiment.run_unit): None}, []
    for file in files:
        tree = ast.parse(Path(file).read_text())
        tree.body = [node for node in tree.body if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
                                                        and node.targets[0].id == "PRESETS")]
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                del body[0]
        dumps.append(ast.dump(tree))
    return hashlib.sha256("".join(dumps).encode()).hexdigest()[:16]


def state(name: str, preset: str) -> str:
    """ "recorded", "stale" (the config or the experiment's code has changed since) or "missing"."""
    experiment = find(name)
    try:
        record = load_record(name, preset)
    except FileNotFoundError:
        return "missing"
    described = json.loads(json.dumps(experiment.describe(experiment.PRESETS[preset])))
    same_config = {k: v for k, v in record["config"].items() if k != "scales"} == \
                  {k: v for k, v in described.items() if k != "scales"}
    same_code = record["provenance"]["code_hash"] == code_hash(experiment)
    return "recorded" if same_config and same_code else "stale"


def run(name: str, preset: str, seeds: int, device: str = "auto", progress: bool = True) -> Path | None:
    """Run what is missing of an experiment and write its record; returns its path, or None while others still work."""
    if preset not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {preset!r}")
    if not isinstance(seeds, int) or seeds < 1:
        raise ValueError(f"seeds: expected a positive number of seeds, got {seeds!r}")
    experiment = find(name)
    config = experiment.PRESETS[preset]
    device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        torch.device(device)
    except RuntimeError:
        raise ValueError(f"device: expected auto, cpu, cuda or cuda:N, got {device!r}") from None
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    described, code = experiment.describe(config), code_hash(experiment)
    key = hashlib.sha256(json.dumps([described, code, seeds, device]).encode()).hexdigest()[:12]
    folder = records_folder() / ".unfinished" / f"{name}-{preset}-{key}"
    units = experiment.units(config)
    for unit in tqdm(units[rank::world], desc=f"{name} ({preset})", disable=not progress):
        path = folder / f"{unit.replace('/', '~')}.json"
        if path.exists():
            continue
        start = time.perf_counter()
        results = experiment.run_unit(unit, config, list(range(seeds)), device)
        write_whole(path, json.dumps({"results": results, "seconds": time.perf_counter() - start,
                                      "peak_memory": peak_memory_bytes()}))
    parts = {unit: folder / f"{unit.replace('/', '~')}.json" for unit in units}
    if not all(path.exists() for path in parts.values()):
        return None  # another process has units left, and will find everything in place when it ends
    try:
        parts = {unit: json.loads(path.read_text()) for unit, path in parts.items()}
    except FileNotFoundError:
        return None  # another process ended at the same moment, and has joined the parts already
    path = save_record(name, preset, config=described, seeds=list(range(seeds)), code=code,
                       results={unit: part["results"] for unit, part in parts.items()},
                       wall_seconds=sum(part["seconds"] for part in parts.values()),
                       peak_memory=max(part["peak_memory"] for part in parts.values()), device=device_name(device))
    shutil.rmtree(folder, ignore_errors=True)
    return path


def device_name(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''} a process"
