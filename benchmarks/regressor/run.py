"""Whose values and gradients are nearest the truth, with everybody's defaults?

    python benchmarks/regressor/run.py [--half choosing] [--seeds 3] [--only basket] [--json found.json]

Printed: for each case and peer the errors of values and slopes on points that nobody was shown, as shares of the truth's
own size (0 is exact, 1 as good as a constant), medians over seeds, and the processor's seconds of a fit. Partials
are measured in units of the inputs' spread.
"""
import argparse
import json
import statistics
import time
import warnings
from pathlib import Path

import torch
from cases import CASES, Case
from peers import PEERS
from sklearn.exceptions import ConvergenceWarning

from sobolev_lib.experiments.own_peers import error_shares
from sobolev_lib.files import write_whole


def measure(case: Case, peer: str, seed: int) -> dict[str, float]:
    """Errors of one fit, and its seconds."""
    X, y, dy = case.train(seed)
    X_test, y_test, dy_test = case.test(seed)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        predict = PEERS[peer](X, y, dy, seed)
    seconds = time.process_time() - start
    return {**error_shares(X_test, predict(X_test), (y_test, dy_test)), "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--half", choices=["choosing", "reporting"], help="of the cases (default: both)")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default="", help="cases whose names contain this")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to write all that was measured")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    found: dict[str, dict] = {}
    print(f"{'value / slope error, seconds':50s}" + "".join(f"{peer:>26s}" for peer in PEERS))
    for case in CASES:
        if chosen.only not in case.name or chosen.half not in (None, case.half):
            continue
        found[case.name] = {"half": case.half}
        line = f"{case.name} ({case.half})"
        print(f"{line:50s}", end="", flush=True)
        for peer in PEERS:
            runs = [measure(case, peer, seed) for seed in range(chosen.seeds)]
            middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
            found[case.name][peer] = runs
            told = f"{middle['value']:.3f} / {middle['slope']:.3f}, {middle['seconds']:.1f} s"
            print(f"{told:>26s}", end="", flush=True)
        print()
    if chosen.json:
        write_whole(chosen.json, json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    main()
