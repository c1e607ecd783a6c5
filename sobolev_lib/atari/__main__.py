"""Command line: record a teacher's states, send them elsewhere, or let a policy play.

    python -m sobolev_lib.atari record pong --pack pong.states
    python -m sobolev_lib.atari unpack pong.states
    python -m sobolev_lib.atari play breakout --episodes 30
    python -m sobolev_lib.atari copies breakout --folder .
"""
import argparse
import statistics
import sys
from pathlib import Path

import torch

from sobolev_lib.atari.copies import save_copy, train_copies
from sobolev_lib.atari.packed import pack_states, unpack_states
from sobolev_lib.atari.play import play
from sobolev_lib.atari.states import record_states
from sobolev_lib.atari.teachers import load_teacher


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sobolev_lib.atari", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="record states of the shipped teacher's episodes (0.7 GB for 100,000)")
    recording.add_argument("game")
    recording.add_argument("--states", type=int, default=100_000)
    recording.add_argument("--folder", help="default: ~/.cache/sobolev_lib/atari, or below $SOBOLEV_CACHE")
    recording.add_argument("--pack", help="also write them as one file of 3 to 8 MB, to be sent to another machine")
    unpacking = commands.add_parser("unpack", help="put a file that --pack wrote where experiments look for it")
    unpacking.add_argument("file")
    playing = commands.add_parser("play", help="whole, unclipped episodes of the shipped teacher")
    playing.add_argument("game")
    playing.add_argument("--episodes", type=int, default=30)
    copying = commands.add_parser("copies", help="train the two students that the chapter shows (half an hour on one core)")
    copying.add_argument("game")
    copying.add_argument("--states", type=int, default=100_000)
    copying.add_argument("--steps", type=int, default=2_000)
    copying.add_argument("--folder", default=".", help="where GAME-kl.safetensors and GAME-sobolev.safetensors go")
    unpacking.add_argument("--folder", help="default: ~/.cache/sobolev_lib/atari, or below $SOBOLEV_CACHE")
    for command in (recording, playing):
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 (default cpu)")
    options = parser.parse_args(arguments)
    try:
        if options.command == "unpack":
            states = unpack_states(options.file, options.folder)
            print(f"{len(states)} states of {states.about['game']} in {states.folder}")
            return 0
        if options.command == "copies":
            for method, student in train_copies(options.game, states=options.states, steps=options.steps).items():
                path = Path(options.folder) / f"{options.game}-{method}.safetensors"
                save_copy(student, options.game, method, path)
                print(path)
            return 0
    except (ValueError, ImportError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        torch.empty(0, device=options.device)
    except (RuntimeError, AssertionError):  # the latter where PyTorch was built without CUDA
        print(f"device: expected cpu, or a cuda or cuda:N that this machine has, got {options.device!r}", file=sys.stderr)
        return 2
    try:
        teacher = load_teacher(options.game).to(options.device)
        if options.command == "record":
            states = record_states(teacher, options.game, count=options.states, seed=options.seed, folder=options.folder)
            whole = [score for score in states.about["scores"] if score is not None]
            print(f"{len(states)} states of {len(states.starts)} episodes, mean score "
                  f"{statistics.mean(whole):.1f}" if whole else f"{len(states)} states, no whole episode")
            print(states.folder)
            if options.pack:
                print(pack_states(states, options.pack))
        else:
            scores = play(teacher, options.game, episodes=options.episodes, seed=options.seed, progress=True)
            print(f"mean score {statistics.mean(scores):.1f} over {len(scores)} episodes "
                  f"(lowest {min(scores):.0f}, highest {max(scores):.0f})")
    except (ValueError, ImportError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
