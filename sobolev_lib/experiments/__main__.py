"""Command line: ``python -m sobolev_lib.experiments list | status | run NAME --preset quick|cpu|gpu|paper``."""
import argparse
import datetime
import sys

import torch

from sobolev_lib.experiments import runner
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
    options = parser.parse_args(arguments)
    # denormal numbers, which idle Adam moments decay into, slow a CPU down tenfold
    torch.set_flush_denormal(True)
    try:
        if options.command == "run":
            path = runner.run(options.name, options.preset, options.seeds, options.device, options.minutes)
            print(path if path else "this process is done; the record is written when the last one is")
        elif options.command == "status":
            return print_status(options.check)
        else:
            for name in runner.EXPERIMENTS:
                print(f"{name:34} {runner.find(name).SHOWS}")
    except TimeIsUp as stop:
        print(stop)
    except ValueError as error:
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


def told(provenance: dict) -> str:
    """A record's age and device."""
    days = (datetime.date.today() - datetime.date.fromisoformat(provenance["date"])).days
    age = "today" if days <= 0 else f"{days} day{'s' if days > 1 else ''} old"
    return f"{age:12} {provenance['device']}"


if __name__ == "__main__":
    sys.exit(main())
