"""At equal time, who is ahead: regular or Sobolev training?

    python benchmarks/time_to_error.py [--device cuda] [--seeds 3] [--plot race.png]

Both methods get as many trials for their settings, and as much time. Printed: the test error over the last tenth of the
race, and the share of the time after which the running mean of the error (median over seeds) first falls below a bar; the
bars are what regular training reaches in the end and, going up, ten times it.
"""
import statistics

import numpy as np
from reporting import options

from sobolev_lib.experiments.equal_time_race import PRESETS, curves, describe, final, gain, run_unit, units
from sobolev_lib.experiments.figure_2 import TRAININGS


def main() -> None:
    chosen = options(__doc__, presets=PRESETS, seeds={"type": int, "default": 3})
    config = PRESETS[chosen.preset]
    scales, drawn = describe(config)["scales"], {}
    for unit in units(config):
        result = run_unit(unit, config, list(range(chosen.seeds)), chosen.device)
        scale = scales[unit.split("/")[1]]["value_variance"]
        ends = {method: statistics.median(final(result, method, scale)) for method in TRAININGS}
        middles = {method: (times, np.median(found, axis=0)) for method in TRAININGS
                   for times, found in [curves(result, method, scale)]}
        print(f"\n{unit}: a Sobolev step takes {result['price']:.2f} times as long; final error over variance "
              + ", ".join(f"{method} {end:.2g}" for method, end in ends.items()) + f"; ratio {10 ** gain(result).mean:.2g}")
        for bar in (10 * ends["regular"], 3 * ends["regular"], ends["regular"]):
            first = {method: next((f"{100 * time:.0f} %" for time, error in zip(*curve) if error <= bar), "never")
                     for method, curve in middles.items()}
            print(f"  below {bar:.2g}: " + ", ".join(f"{method} {share}" for method, share in first.items()))
        drawn[unit] = middles
    if chosen.plot:
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(1, len(drawn), figsize=(4 * len(drawn), 3.6), squeeze=False)
        for ax, (unit, middles) in zip(axes[0], drawn.items()):
            for method, (times, errors) in middles.items():
                ax.plot(times, errors, label=method)
            ax.set(title=unit, xlabel="share of the time", ylabel="test error over variance", yscale="log")
        axes[0, 0].legend(frameon=False)
        figure.tight_layout()
        figure.savefig(chosen.plot)


if __name__ == "__main__":
    main()
