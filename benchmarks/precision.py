"""What do bfloat16 and TF32 save, and what do they cost in accuracy?

    python benchmarks/precision.py [--device cuda] [--seeds 3] [--plot precision.png]

Steps in float64, float32, bfloat16 (``torch.autocast``) and, on a GPU, TF32. Beside the time: the error of the gradient
against float64, and the test error of networks trained in that precision.
"""
import statistics

from reporting import config_of, options

from sobolev_lib.experiments.step_cost import run_unit


def main() -> None:
    chosen = options(__doc__, seeds={"type": int, "default": 3})
    found = run_unit("precision", config_of(chosen), list(range(chosen.seeds)), chosen.device)
    columns = list(dict.fromkeys(name for numbers in found.values() for name in numbers))
    print("seconds as a multiple of: float32")
    print(f"{'precision':12}" + "".join(f"{column:>20}" for column in columns))
    shown = {}
    for name, numbers in found.items():
        shown[name] = {column: statistics.median(a / b for a, b in zip(values, found["float32"][column]))
                       if column.startswith("seconds") else statistics.median(values) for column, values in numbers.items()}
        print(f"{name:12}" + "".join(f"{shown[name].get(column, float('nan')):20.3g}" for column in columns))
    if chosen.plot:
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(1, len(columns), figsize=(3.6 * len(columns), 3.2))
        for ax, column in zip(axes, columns):
            drawn = {name: numbers[column] for name, numbers in shown.items() if column in numbers}
            ax.bar(list(drawn), list(drawn.values()))
            ax.set(title=column, yscale="log" if "error" in column else "linear")
        figure.tight_layout()
        figure.savefig(chosen.plot)


if __name__ == "__main__":
    main()
