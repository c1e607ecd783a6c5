"""Does it pay to train many networks at once?

    python benchmarks/many_networks.py [--device cuda] [--plot many.png]

K networks on 20 points each: a loop over steps of one network after another, and ``train_many``.
"""
from reporting import config_of, draw, options, report

from sobolev_lib.experiments.step_cost import run_unit


def main() -> None:
    chosen = options(__doc__)
    found = run_unit("networks", config_of(chosen), [], chosen.device)
    report("A step of all networks", "networks", found, "all at once")
    if chosen.plot:
        draw(chosen.plot, {"many networks": ("networks", found, "all at once")})


if __name__ == "__main__":
    main()
