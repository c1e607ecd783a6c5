"""What the scripts here share: options, a table of ratios, and a picture of it."""
import argparse
import statistics
import sys
from dataclasses import replace

import torch

from sobolev_lib.experiments.step_cost import PRESETS, Config


def options(description: str, presets=PRESETS, **more) -> argparse.Namespace:
    """The options all scripts have; ``more`` are further ones, as keyword arguments of ``add_argument``."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of the CPU (default: PyTorch's choice)")
    parser.add_argument("--preset", choices=presets, default="cpu", help="how much to measure")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, help="measure compiled steps too")
    parser.add_argument("--plot", help="where to save the picture")
    for name, settings in more.items():
        parser.add_argument(f"--{name}", **settings)
    chosen = parser.parse_args()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    return chosen


def config_of(chosen: argparse.Namespace) -> Config:
    config = PRESETS[chosen.preset]
    return config if chosen.compile is None else replace(config, compile=chosen.compile)


def ratios(found: dict[str, dict[str, list[float]]], base: str) -> dict[str, dict[str, float]]:
    """{case: {way: turns}} as {way: {case: median over turns of way / base}}."""
    ways = list(next(iter(found.values())))
    return {way: {case: statistics.median(a / b for a, b in zip(turns[way], turns[base])) for case, turns in found.items()}
            for way in ways}


def report(title: str, cases: str, found: dict[str, dict[str, list[float]]], base: str) -> None:
    """Print a table: a line a way, a column a case; the base in milliseconds, the others as multiples of it."""
    print(f"\n{title}, as a multiple of: {base}")
    names = list(found)
    print(f"{cases:28}" + "".join(f"{name:>12}" for name in names))
    milliseconds = [f"{1e3 * statistics.median(found[name][base]):9.2f} ms" for name in names]
    print(f"{base:28}" + "".join(f"{text:>12}" for text in milliseconds))
    for way, by_case in ratios(found, base).items():
        if way != base:
            print(f"{way:28}" + "".join(f"{by_case[name]:12.2f}" for name in names))
    sys.stdout.flush()


def draw(path: str, panels: dict[str, tuple[str, dict[str, dict[str, list[float]]], str]]) -> None:
    """Save a picture: one panel a title, with (label of the cases, what was found, base)."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(panels), figsize=(4.5 * len(panels), 3.6), squeeze=False)
    for ax, (title, (cases, found, base)) in zip(axes[0], panels.items()):
        for way, by_case in ratios(found, base).items():
            ax.plot(list(by_case), list(by_case.values()), marker="o", label=way)
        ax.set(title=title, xlabel=cases, ylabel=f"time / {base}", yscale="log")
        ax.grid(color="#dddddd")
    axes[0, 0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
