"""At equal time, who is ahead: regular or Sobolev training?

    python benchmarks/time_to_error.py [--device cuda] [--seeds 3] [--plot race.png]

Both methods get as many trials for their settings. Printed: the seconds of training until the test error first falls
below a bar, and what that is as a multiple for regular training; the bars are what regular training reaches in the end
and, going up, ten times it.
"""
import statistics

from reporting import config_of, options

from sobolev_lib.experiments.step_cost import run_unit


def reached(runs: list[dict], bar: float) -> list[float]:
    """Seconds until each run first is at or below the bar; those that never are stay out."""
    first = [[second for second, error in zip(run["seconds"], run["value_mse"]) if error <= bar] for run in runs]
    return [seconds[0] for seconds in first if seconds]


def main() -> None:
    chosen = options(__doc__, seeds={"type": int, "default": 3})
    found = run_unit("race", config_of(chosen), list(range(chosen.seeds)), chosen.device)
    for name, methods in found.items():
        end = statistics.median(run["value_mse"][-1] for run in methods["regular"]["runs"])
        print(f"\n{name}: final error over variance " + ", ".join(
            f"{method} {statistics.median(run['value_mse'][-1] for run in result['runs']):.2g} after "
            f"{statistics.median(run['seconds'][-1] for run in result['runs']):.1f} s" for method, result in methods.items()))
        for bar in (10 * end, 3 * end, end):
            seconds = {method: reached(result["runs"], bar) for method, result in methods.items()}
            shown = {method: f"{statistics.median(times):.2f} s ({len(times)} of {chosen.seeds})" if times else "never"
                     for method, times in seconds.items()}
            print(f"  below {bar:.2g}: regular {shown['regular']}, Sobolev {shown['sobolev']}")
    if chosen.plot:
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(1, len(found), figsize=(4.5 * len(found), 3.6), squeeze=False)
        for ax, (name, methods) in zip(axes[0], found.items()):
            for k, (method, result) in enumerate(methods.items()):
                for run in result["runs"]:
                    ax.plot(run["seconds"], run["value_mse"], color=f"C{k}", label=method if run is result["runs"][0] else None)
            ax.set(title=name, xlabel="seconds of training", ylabel="test error over variance", yscale="log")
        axes[0, 0].legend(frameon=False)
        figure.tight_layout()
        figure.savefig(chosen.plot)


if __name__ == "__main__":
    main()
