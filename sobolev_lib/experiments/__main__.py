"""Command line: ``python -m sobolev_lib.experiments list | status | run NAME --preset quick|cpu|paper``."""
import argparse
import sys

import torch

from sobolev_lib.experiments import runner
from sobolev_lib.records import PRESETS


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sobolev_lib.experiments", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the experiments and what each reproduces")
    commands.add_parser("status", help="which presets are recorded, stale or missing")
    run = commands.add_parser("run", help="run an experiment, or go on where it stopped")
    run.add_argument("name", choices=runner.EXPERIMENTS)
    run.add_argument("--preset", choices=PRESETS, default="quick")
    run.add_argument("--seeds", type=int, default=5, help="how many seeds measure the winner (default 5)")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default auto)")
    options = parser.parse_args(arguments)

    if options.command == "run":
        # denormal numbers, which idle Adam moments decay into, slow a CPU down tenfold
        torch.set_flush_denormal(True)
        try:
            path = runner.run(options.name, options.preset, options.seeds, options.device)
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
        print(path if path else "this process is done; the record is written when the last one is")
        return 0
    for name in runner.EXPERIMENTS:
        experiment = runner.find(name)
        if options.command == "list":
            print(f"{name:30} {experiment.SHOWS}")
        else:
            for preset in experiment.PRESETS:
                print(f"{name:30} {preset:6} {runner.state(name, preset):9} {experiment.SHOWS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
