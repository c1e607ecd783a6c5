"""Does it pay to train Atari students together? Students a second: one call each, one call for all, and as one batch.

    python benchmarks/atari_students.py [--device cuda] [--students 1 3 6] [--plot students.png]

Three ways to train K students on the same states: K calls of ``distill``, each asking the teacher for itself; one call,
the teacher asked once a batch; one call with ``vectorize=True``, all students one batched computation. They are timed in
turns on the same states, so what else the machine does hits all of them; the ratios are what to read.
"""
import argparse
import statistics
import time

import torch

from sobolev_lib import atari

METHODS = {"KL only": ("kl", 0.0), "KL + Sobolev": ("sobolev", 0.1)}


class RandomStates:
    """Stands in for recorded states: the same work, no emulator needed."""

    def __init__(self, count: int = 2_000):
        self.states = torch.randint(256, (count, 4, 84, 84), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    def __getitem__(self, indices):
        return self.states[torch.as_tensor(indices)]


def seconds_a_step(ways: dict, steps: int, rounds: int, device: str) -> dict[str, float]:
    """Median seconds a step of each way, timed in turns."""
    times = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way(steps)
            if device != "cpu":
                torch.cuda.synchronize()
            if turn:  # the first round warms up
                times[name].append((time.perf_counter() - start) / steps)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--students", type=int, nargs="+", default=[1, 3, 6])
    parser.add_argument("--batch-size", type=int, default=200)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", help="where to save the picture")
    options = parser.parse_args()
    teacher = atari.Teacher(6, generator=torch.Generator().manual_seed(0)).requires_grad_(False)
    states, train = RandomStates(), {0: torch.arange(2_000).numpy()}
    found = {}
    print(f"{options.device}, {torch.get_num_threads()} threads, batch {options.batch_size}; ratios to one call each")
    print(f"{'method':14} {'students':>8} {'one call each':>14} {'one call':>9} {'one batch':>10} {'ratios':>12}")
    for title, (method, strength) in METHODS.items():
        for count in options.students:
            runs = [atari.Run(method, lr=1e-4 * (k + 1), strength=strength) for k in range(count)]

            def train_some(some, steps, vectorize):
                atari.distill(some, teacher, states, train, steps=steps, batch_size=options.batch_size,
                              vectorize=vectorize, device=options.device, progress=False)

            times = seconds_a_step({
                "one call each": lambda steps: [train_some([run], steps, False) for run in runs],
                "one call": lambda steps: train_some(runs, steps, False),
                "one batch": lambda steps: train_some(runs, steps, True),
            }, options.steps, options.rounds, options.device)
            found[title, count] = times
            each, one, batch = times.values()
            print(f"{title:14} {count:8} {each:12.3f} s {one:7.3f} s {batch:8.3f} s {each / one:6.2f}{each / batch:6.2f}")
    if options.plot:
        plot(found, options)


def plot(found: dict, options) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(METHODS), figsize=(9, 3.5), sharey=True)
    for ax, title in zip(axes, METHODS):
        for way in ("one call each", "one call", "one batch"):
            ax.plot(options.students, [count / found[title, count][way] for count in options.students], marker="o", label=way)
        ax.set(title=title, xlabel="students", xticks=options.students)
    axes[0].set_ylabel("student steps a second")
    axes[0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(options.plot)


if __name__ == "__main__":
    main()
