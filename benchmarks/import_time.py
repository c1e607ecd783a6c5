"""How long does ``import sobolev_lib`` take, beside PyTorch's own import?

    python benchmarks/import_time.py [--turns 15] [SCRIPT...]
"""
import argparse
import statistics
import subprocess
import sys
import time

SCRIPTS = ["import torch", "import sobolev_lib", "import sobolev_lib; sobolev_lib.SobolevRegressor",
           "from sobolev_lib import plotting, widgets"]


def seconds(script: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", script], check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("scripts", nargs="*", default=SCRIPTS, metavar="SCRIPT")
    chosen = parser.parse_args()
    for script in chosen.scripts:
        seconds(script)                                    # files that Python reads for the first time
    found = {script: [] for script in chosen.scripts}
    for _ in range(chosen.turns):                          # in turn, so that other work on the machine meets them all
        for script in chosen.scripts:
            found[script].append(seconds(script))
    base = statistics.median(found[chosen.scripts[0]])
    for script, times in found.items():
        print(f"{script:62} {statistics.median(times):6.2f} s {statistics.median(times) - base:+6.2f} s")


if __name__ == "__main__":
    main()
