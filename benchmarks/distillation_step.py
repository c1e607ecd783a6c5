"""What does a step of Atari distillation cost, with the teacher asked at each step, and with its answers kept?

    python benchmarks/distillation_step.py [--device cuda] [--students 1 3 6] [--states 600] [--plot distillation.png]

Students of one seed share a batch and the teacher's answer. It is either asked for at each step (its log-policy, and for
the Sobolev term one product with its Jacobian), or looked up in what was asked once (``Answers``; the Jacobian takes 57 kB
an action and state). The ways are timed in turns on the same states, so what else the machine does hits all of them.
"""
import argparse
import statistics
import time

import torch

from sobolev_lib import atari
from sobolev_lib.atari.answers import Answers

METHODS = {"KL only": ("kl", 0.0), "KL + Sobolev": ("sobolev", 0.1)}
WARM_UP = 5                                                # steps that are not counted: on a GPU a graph is recorded in them


class RandomStates:
    """Stands in for recorded states: the same work, no emulator needed."""

    about = {"game": "none"}

    def __init__(self, count: int):
        self.states = torch.randint(256, (count, 4, 84, 84), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    def __getitem__(self, indices):
        return self.states[torch.as_tensor(indices)]


class AskedPolicy:
    """In the place of a kept log-policy: the teacher is asked for the rows that are wanted."""

    def __init__(self, answers: Answers):
        self.answers, self.shape = answers, answers.log_policy.shape

    @torch.no_grad()
    def __getitem__(self, rows):
        return self.answers.ask(self.answers.inputs(rows))


def seconds_a_step(answers: Answers, runs: list, options) -> float:
    at = []

    def on_report(step, students):
        if options.device != "cpu":
            torch.cuda.synchronize()
        at.append(time.perf_counter())

    steps = WARM_UP + options.steps
    atari.distill(runs, {0: answers}, steps=steps, batch_size=options.batch_size, report=[WARM_UP, steps],
                  on_report=on_report, progress=False)
    return (at[1] - at[0]) / options.steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of the CPU (default: PyTorch's choice)")
    parser.add_argument("--students", type=int, nargs="+", default=[1, 3, 6])
    parser.add_argument("--states", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=200)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", help="where to save the picture")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    teacher = atari.Teacher(6, generator=torch.Generator().manual_seed(0)).requires_grad_(False)
    states, rows = RandomStates(options.states), range(options.states)
    start = time.perf_counter()
    kept = {jacobian: Answers(teacher, states, rows, jacobian=jacobian, device=options.device) for jacobian in (False, True)}
    asked = Answers(teacher, states, rows, device=options.device)
    asked.log_policy = AskedPolicy(asked)
    print(f"{options.device}, {torch.get_num_threads()} threads, batch {options.batch_size}; asking once for all "
          f"{options.states} states took {time.perf_counter() - start:.1f} s")
    # without its Jacobian, Answers asks the teacher for each product, and that one pass gives the policy too
    ways = {"KL only": {"asked": asked, "kept": kept[False]}, "KL + Sobolev": {"asked": kept[False], "kept": kept[True]}}
    print(f"{'method':14} {'students':>8} {'teacher asked':>14} {'answers kept':>13} {'ratio':>6}")
    found = {}
    for title, (method, strength) in METHODS.items():
        for count in options.students:
            runs = [atari.Run(method, lr=1e-4 * (k + 1), strength=strength) for k in range(count)]
            turns = [{way: seconds_a_step(answers, runs, options) for way, answers in ways[title].items()}
                     for _ in range(options.rounds)]
            times = {way: statistics.median(turn[way] for turn in turns) for way in ways[title]}
            found[title, count] = times
            print(f"{title:14} {count:8} {1e3 * times['asked']:11.0f} ms {1e3 * times['kept']:10.0f} ms "
                  f"{times['asked'] / times['kept']:6.2f}", flush=True)
    if options.plot:
        plot(found, options)


def plot(found: dict, options) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(METHODS), figsize=(9, 3.5), sharey=True)
    for ax, title in zip(axes, METHODS):
        for way, name in (("asked", "teacher asked"), ("kept", "answers kept")):
            ax.plot(options.students, [1e3 * found[title, count][way] for count in options.students], marker="o", label=name)
        ax.set(title=title, xlabel="students", xticks=options.students)
    axes[0].set_ylabel("milliseconds a step")
    axes[0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(options.plot)


if __name__ == "__main__":
    main()
