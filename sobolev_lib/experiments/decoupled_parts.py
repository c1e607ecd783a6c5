"""Section 4.3 on a clock: a network in two processes, with and without update locking.

The same network, batches and optimiser in each way to train: backpropagation in one process with one thread and with two;
backpropagation through a pipeline of two processes; two decoupled processes, whose lower part moves by a synthetic
gradient. Speeds are taken in turns, round after round, so that all see the same machine. Accuracies are of whole runs.
"""
import datetime
import json
import socket
import statistics
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file

from sobolev_lib.experiments import table_1
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.verdicts import Verdict
from sobolev_lib.records import result
from sobolev_lib.synthetic_gradients import InMemory, evaluate, train
from sobolev_lib.synthetic_gradients.processes import train_part

NAME = "decoupled-parts"
SHOWS = "Section 4.3, decoupled processes"
DEVICE = "cpu"                                             # processes and threads are what is compared
# name -> (method, processes, threads of each)
WAYS = {
    "backprop, one thread": ("backprop", 1, 1),
    "backprop, two threads": ("backprop", 1, 2),
    "backprop, pipeline of two processes": ("backprop", 2, 1),
    "critic, two processes": ("critic", 2, 1),
    "sobolev, two processes": ("sobolev", 2, 1),
}


@dataclass(frozen=True)
class Config:
    table: table_1.Config                                  # network, data, batches; one cut
    lr: float
    synthetic_lr: float
    steps: int
    timed_steps: int
    rounds: int = 3
    staleness: int = 4
    microbatches: int = 4


_UNUSED = {"lrs": (), "synthetic_lrs": (), "epochs": 1, "tuning_epochs": 0}
PRESETS = {
    "quick": Config(table_1.Config("digits", "small_conv", width=8, cuts=(("block2",),), batch_size=40, validation_images=0,
                                   **_UNUSED), lr=2e-3, synthetic_lr=2e-3, steps=60, timed_steps=20, rounds=1),
    # both parts have about as much to do: below the cut are the stem, a layer and the synthetic gradient
    "cpu": Config(table_1.Config("cifar10", "resnet_cifar", width=16, cuts=(("layer1",),), synthetic_width=8, **_UNUSED),
                  lr=3e-3, synthetic_lr=1e-3, steps=800, timed_steps=60),
}


def units(config: Config) -> list[str]:
    """The clock for all ways together, then a whole run for each way that leads elsewhere than backpropagation."""
    return ["speed", *[f"accuracy/{way}" for way in WAYS if way != "backprop, two threads"]]


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Time all ways in turns, or train one of them to its end."""
    keep = keep or Keep()
    if unit == "speed":
        rounds = [keep.once(f"round-{k}", lambda: {way: _run(way, config, config.timed_steps, seeds[0]) for way in WAYS})
                  for k in range(config.rounds)]
        return {way: {
            "images_per_second": [config.timed_steps * config.table.batch_size / each[way]["seconds"] for each in rounds],
            "busy": [each[way]["busy"] for each in rounds],
            "work": rounds[-1][way]["work"],
        } for way in WAYS}
    way = unit.removeprefix("accuracy/")
    runs = [keep.once(f"seed-{seed}", lambda: _run(way, config, config.steps, seed)) for seed in seeds]
    return {"test_accuracy": [run["test_accuracy"] for run in runs], "seconds": [run["seconds"] for run in runs]}


def describe(config: Config) -> dict:
    """What the record says of the run."""
    return {**asdict(config), "ways": {way: list(settings) for way, settings in WAYS.items()}}


def probe() -> dict:
    """The test loss after a few steps. A part that waits for each answer gives the same numbers every time."""
    config = replace(PRESETS["quick"], staleness=1, microbatches=2)
    return {way: _run(way, config, 4, 0)["test_loss"] for way in ("backprop, one thread", "sobolev, two processes")}


OURS = "sobolev, two processes"
RIVALS = ("backprop, two threads", "backprop, pipeline of two processes")      # as many threads as the decoupled parts have


def speeds(record: dict, over: str, way: str = OURS) -> list[float]:
    """Images a second of a way to train over those of another, round by round.

    >>> speeds(load_record("decoupled-parts"), RIVALS[1])                                      # doctest: +SKIP
    [1.08, 1.18, 1.07]
    """
    rates = result(record, "speed")
    return [a / b for a, b in zip(rates[way]["images_per_second"], rates[over]["images_per_second"])]


def lost(record: dict, against: str) -> float:
    """By how many percentage points the decoupled parts end below another way, in the mean over the seeds."""
    return right(record, against) - right(record, OURS)


def right(record: dict, way: str) -> float:
    """Per cent of the test images that a way to train has right, in the mean over the seeds."""
    return 100 * statistics.mean(result(record, f"accuracy/{way}")["test_accuracy"])


RULE = ("Two decoupled processes against backprop with as many threads: two threads in one process, and a pipeline of two "
        "processes. Speed is in images a second, round by round; accuracy is that after as many steps, in the mean over the "
        "seeds, beside backprop in one process. Confirmed if decoupled Sobolev parts are faster than both in every round, and "
        "at most one point less accurate. In direction if they are faster than the pipeline in every round, and at most one "
        "point less accurate. Contradicted if they are slower than both in every round. Open otherwise: so what is faster, "
        "and learns less, is open.")


def verdict(record: dict) -> Verdict:
    """By ``RULE``."""
    alone, config = "backprop, one thread", record["config"]
    found = {rival: speeds(record, rival) for rival in RIVALS}
    faster = {rival: all(ratio > 1 for ratio in ratios) for rival, ratios in found.items()}
    as_good = lost(record, alone) <= 1
    if as_good and faster[RIVALS[1]]:
        status = "confirmed" if faster[RIVALS[0]] else "confirmed in direction"
    else:
        slower = all(ratio < 1 for ratios in found.values() for ratio in ratios)
        status = "contradicted" if slower else "open"
    threads, pipeline = (f"{statistics.median(ratios):.2f} times as fast as {name} ({min(ratios):.2f} to {max(ratios):.2f})"
                         for ratios, name in zip(found.values(), ("backprop with two threads",
                                                                  "a pipeline of two processes with true gradients")))
    shares = {way: right(record, way) for way in (OURS, RIVALS[1], alone)}
    return Verdict(
        claim="Synthetic gradients train a network \"in a decoupled, asynchronous fashion\" (section 4.3; the paper "
              "reports no speeds).",
        measured=f"Two decoupled processes are {threads}, and {pipeline}. After as many steps they have {shares[OURS]:.1f} per "
                 f"cent of the test images right, the pipeline {shares[RIVALS[1]]:.1f}, and backprop in one process "
                 f"{shares[alone]:.1f}.",
        scale=f"{config['table']['data']}, one cut, bootstrapped targets, {config['steps']:,} steps, {len(record['seeds'])} "
              "seeds.",
        status=status, rule=RULE)


def _case(config: Config, method: str) -> table_1.Case:
    return table_1.Case(method, "bootstrapped", config.table.cuts[0], "backprop")


def _run(way: str, config: Config, steps: int, seed: int) -> dict:
    method, processes, threads = WAYS[way]
    images = table_1.data_of(config.table).images
    if processes == 1:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        model = table_1.build(config.table, images, _case(config, method), seed)
        batches = InMemory(images, config.table.batch_size, seed=seed)
        # a cut costs nothing to backpropagation; without diagnosis this is the plain step
        seconds = train(model, batches, steps=steps, lr=config.lr, report_every=steps, progress=False).seconds
        torch.set_num_threads(before)
        loss, accuracy, _ = evaluate(model, batches.test())
        return {"seconds": seconds, "busy": [1.0], "work": [], "test_loss": loss, "test_accuracy": accuracy}
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        mp.spawn(_part, (folder, port, processes, threads, config, images, method, steps, seed), nprocs=processes)
        reports = [json.loads((Path(folder) / f"{rank}.json").read_text()) for rank in range(processes)]
        model = table_1.build(config.table, images, _case(config, method), seed)
        for rank, part in enumerate(model.modules_between_cuts):
            part.load_state_dict(load_file(Path(folder) / f"{rank}.safetensors"))
    loss, accuracy, _ = evaluate(model, InMemory(images, config.table.batch_size, seed=seed).test())
    middle = range(steps // 2, steps // 2 + 8)             # what the picture shows
    work = [[report["part"], what, step, begin, end] for report in reports for what, step, begin, end in report["work"]
            if step in middle]
    return {"seconds": max(report["seconds"] for report in reports), "busy": [report["busy"] for report in reports],
            "work": work, "test_loss": loss, "test_accuracy": accuracy}


def _part(rank: int, folder: str, port: int, processes: int, threads: int, config: Config, images, method: str, steps: int,
          seed: int) -> None:
    """One process: its part is trained, and left in ``folder`` with a report."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=processes,
                            timeout=datetime.timedelta(seconds=60))
    model = table_1.build(config.table, images, _case(config, method), seed)
    history = train_part(model, InMemory(images, config.table.batch_size, seed=seed), steps=steps, lr=config.lr,
                         synthetic_lr=config.synthetic_lr, staleness=config.staleness, microbatches=config.microbatches,
                         progress=False)
    save_file({name: tensor.contiguous() for name, tensor in model.modules_between_cuts[rank].state_dict().items()},
              Path(folder) / f"{rank}.safetensors")
    (Path(folder) / f"{rank}.json").write_text(json.dumps({"part": history.part, "work": history.work, "busy": history.busy,
                                                           "seconds": history.seconds}))
    dist.destroy_process_group()
