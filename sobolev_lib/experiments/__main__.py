"""Command line: ``python -m sobolev_lib.experiments list | status | run NAME --preset quick|cpu|gpu|paper | again NAME | all``.
"""
import argparse
import datetime
import sys
from collections import Counter
from pathlib import Path

import torch

from sobolev_lib.experiments import again, runner
from sobolev_lib.experiments.keeping import TimeIsUp
from sobolev_lib.experiments.unfinished import unfinished
from sobolev_lib.records import PRESETS, load_record, records_folder


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sobolev_lib.experiments", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the experiments and what each reproduces")
    status = commands.add_parser("status", help="which presets are recorded, stale, missing or unfinished")
    status.add_argument("--check", action="store_true", help="run the probes, and name what they give differently")
    run = commands.add_parser("run", help="run an experiment, or go on where it stopped")
    run.add_argument("name", choices=runner.EXPERIMENTS)
    run.add_argument("--preset", choices=PRESETS, default="quick")
    run.add_argument("--seeds", type=int, default=5, help="how many seeds measure the winner (default 5)")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default auto)")
    run.add_argument("--minutes", type=float, help="stop after so many, at the next checkpoint (default: never)")
    every = commands.add_parser("all", help="run all quick experiments, and list the claims that they support")
    every.add_argument("--seeds", type=int, default=3, help="how many (default 3)")
    repeat = commands.add_parser("again", help="run what a record was made with, and compare")
    repeat.add_argument("name", choices=runner.EXPERIMENTS)
    repeat.add_argument("--preset", choices=PRESETS, default="cpu", help="which record (default cpu)")
    repeat.add_argument("--minutes", type=float, help="stop after so many, at the next checkpoint (default: never)")
    for command in (every, repeat):
        command.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default auto)")
        command.add_argument("--folder", type=Path, default=again.FOLDER,
                             help=f"where the new records go; none may be there already (default {again.FOLDER})")
    options = parser.parse_args(arguments)
    # denormal numbers, which idle Adam moments decay into, slow a CPU down tenfold
    torch.set_flush_denormal(True)
    try:
        if options.command == "run":
            path = runner.run(options.name, options.preset, options.seeds, options.device, options.minutes)
            print(path if path else "this process is done; the record is written when the last one is")
        elif options.command == "status":
            return print_status(options.check)
        elif options.command == "all":
            return print_all(options.folder / "quick", options.seeds, options.device)
        elif options.command == "again":
            found = again.run_again(options.name, options.preset, options.folder, options.device, options.minutes)
            print(found.told() if found else "this process is done; the last one compares")
            return int(found is not None and not found.holds)
        else:
            for name in runner.EXPERIMENTS:
                print(f"{name:34} {runner.find(name).SHOWS}")
    except TimeIsUp as stop:
        print(stop)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def print_status(check: bool) -> int:
    """A line a preset, below it a line for each unfinished run and for what a probe gives differently; 1 if one does."""
    found = 0
    for name in runner.EXPERIMENTS:
        differences = runner.check(name) if check else {}
        for preset in runner.find(name).PRESETS:
            lines, state, made = differences.get(preset, []), runner.state(name, preset), ""
            if state != "missing":
                made = told(load_record(name, preset)["provenance"])
            print(f"{name:34} {preset:6} {'stale' if lines else state:9} {made}".rstrip())
            for line in [*lines[:5], *([f"and {len(lines) - 5} more"] if len(lines) > 5 else [])]:
                print(f"    {line}")
            for line in unfinished(records_folder(), name, preset):
                print(f"    unfinished: {line}")
            found |= bool(lines)
    return int(found)


def print_all(folder: Path, seeds: int, device: str) -> int:
    """A line an experiment, then a line a claim; 1 if an experiment did not run."""
    runs = []
    for run in again.run_quick(folder, seeds, device):
        print(f"{run.name:34} {run.seconds:5.0f} s   {run.failed}".rstrip(), flush=True)
        runs.append(run)
    found = again.outcomes(folder)
    print(f"\n{'claim':42} {'quick':22} recorded")
    for outcome in found:
        print(f"{outcome.key:42} {outcome.quick:22} {outcome.recorded}")
    counts = Counter(outcome.quick for outcome in found).most_common()
    print("\nquick runs:", ", ".join(f"{status} {count}" for status, count in counts))
    print("They are too short to decide: they show that all runs, and which way it points. The records decide.")
    return int(any(run.failed for run in runs))


def told(provenance: dict) -> str:
    """A record's age and device."""
    days = (datetime.date.today() - datetime.date.fromisoformat(provenance["date"])).days
    age = "today" if days <= 0 else f"{days} day{'s' if days > 1 else ''} old"
    return f"{age:12} {provenance['device']}"


if __name__ == "__main__":
    sys.exit(main())
