"""How much memory do the tensors of a step hold at most?

    python benchmarks/memory.py [--device cuda] [--plot memory.png]
"""
from reporting import config_of, options

from sobolev_lib.experiments.step_cost import run_unit


def main() -> None:
    chosen = options(__doc__)
    found = run_unit("memory", config_of(chosen), [], chosen.device)
    batches, ways = list(found), list(next(iter(found.values())))
    print("MiB, and as a multiple of: regular")
    print(f"{'batch':28}" + "".join(f"{batch:>18}" for batch in batches))
    for way in ways:
        print(f"{way:28}" + "".join(f"{found[batch][way] / 2**20:11.1f} {found[batch][way] / found[batch]['regular']:6.2f}"
                                    for batch in batches))
    if chosen.plot:
        import matplotlib.pyplot as plt

        figure, ax = plt.subplots(figsize=(5, 3.6))
        for way in ways:
            ax.plot(batches, [found[batch][way] / 2**20 for batch in batches], marker="o", label=way)
        ax.set(xlabel="batch", ylabel="MiB", yscale="log")
        ax.legend(frameon=False, fontsize=8)
        figure.tight_layout()
        figure.savefig(chosen.plot)


if __name__ == "__main__":
    main()
