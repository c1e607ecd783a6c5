"""Whose values and slopes are nearest the truth, with everybody's defaults?

    python benchmarks/regressor_defaults.py [--plot errors.svg]                    # of the record: a table and a picture
    python benchmarks/regressor_defaults.py --measure [--half reporting] [--only basket] [--seeds 3]

For each case and method: the errors of values and slopes on points that nobody was shown, as shares of the truth's own size
(0 is exact, 1 as good as a constant), and the processor's seconds of a fit; geometric means over seeds. ``--measure`` fits
anew, by default the half on which defaults are chosen; it needs the packages jenn and smt.
"""
import argparse
import statistics
import sys

import torch

from sobolev_lib.experiments import regressor_cases
from sobolev_lib.experiments.regressor_defaults import Config, errors_of, run_unit
from sobolev_lib.experiments.regressor_pictures import drawn
from sobolev_lib.records import load_record


def measured(half: str, only: str, seeds: int) -> dict:
    """A record's head and results, in memory."""
    config = Config(cases=tuple(case.name for case in regressor_cases.CASES if case.half == half and only in case.name))
    if not config.cases:
        sys.exit(f"--only: no case of the half {half!r} contains {only!r}")
    record = {"config": {"cases": config.cases, "methods": config.methods}, "results": {}}
    for case in config.cases:
        for method in config.methods:
            record["results"][f"{case}/{method}"] = run_unit(f"{case}/{method}", config, list(range(seeds)), "cpu")
        print(line(record, case), flush=True)
    return record


def line(record: dict, case: str) -> str:
    """A row of the table."""
    cells = []
    for method in record["config"]["methods"]:
        found = [errors_of(record, case, method, what) for what in ("value", "slope", "seconds")]
        mean = ["-" if not each else f"{statistics.geometric_mean(each):.2g}" for each in found]
        cells.append(f"{mean[0]} / {mean[1]}, {mean[2]} s" if found[0] else "-")
    return f"{case:38s}" + "".join(f"{cell:>28s}" for cell in cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true", help="fit anew")
    parser.add_argument("--half", choices=[regressor_cases.CHOOSING, regressor_cases.REPORTING], default=regressor_cases.CHOOSING)
    parser.add_argument("--only", default="", help="cases whose names contain this")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--plot", help="where to save the picture")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    record = None if chosen.measure else load_record("regressor-defaults")
    methods = Config().methods if record is None else record["config"]["methods"]
    print(f"{'value / slope error, seconds':38s}" + "".join(f"{method:>28s}" for method in methods))
    if record is None:
        record = measured(chosen.half, chosen.only, chosen.seeds)
    else:
        for case in record["config"]["cases"]:
            if chosen.only in case:
                print(line(record, case))
    if chosen.plot:
        drawn(record).savefig(chosen.plot, dpi=150)


if __name__ == "__main__":
    main()
