"""Whose values and gradients are nearest the truth, with everybody's defaults?

    python benchmarks/regressor/run.py [--half choosing] [--seeds 3] [--only basket] [--json found.json]

Printed: for each case and peer the errors of values and gradients on points that nobody was shown, as shares of the truth's
own size (0 is exact, 1 as good as a constant), medians over seeds, and the processor's seconds of a fit. A gradient's
partials are measured in units of the inputs' spread.
"""
import argparse
import json
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from cases import CASES, Case
from peers import PEERS
from sklearn.exceptions import ConvergenceWarning

from sobolev_lib.files import write_whole


def measure(case: Case, peer: str, seed: int) -> dict[str, float]:
    """Errors of one fit, and its seconds."""
    X, y, dy = case.train(seed)
    X_test, y_test, dy_test = case.test(seed)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = PEERS[peer]().fit(X, y, dy, seed)
    seconds = time.process_time() - start
    return {**errors(X, fitted.predict(X_test), (y_test, dy_test)), "seconds": seconds}


def errors(X, predicted, truth) -> dict[str, float]:
    """Of values over their standard deviation, of gradients over their size; outputs count alike."""
    y, dy = (table.reshape(len(table), -1) for table in (truth[0], truth[1] * X.std(0)))
    own, slopes = predicted[0].reshape(y.shape), (predicted[1] * X.std(0)).reshape(dy.shape)
    m = y.shape[1]
    share = lambda error, size: float(np.sqrt(np.mean(error.reshape(len(error), m, -1).sum(2).mean(0)
                                                      / size.reshape(len(size), m, -1).sum(2).mean(0))))
    return {"value": share((own - y)**2, (y - y.mean(0))**2), "gradient": share((slopes - dy)**2, dy**2)}


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
    print(f"{'value / gradient error, seconds':50s}" + "".join(f"{peer:>26s}" for peer in PEERS))
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
            told = f"{middle['value']:.3f} / {middle['gradient']:.3f}, {middle['seconds']:.1f} s"
            print(f"{told:>26s}", end="", flush=True)
        print()
    if chosen.json:
        write_whole(chosen.json, json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    main()
