"""How long is a Sobolev step of ours, beside one of JENN (which SMT's GENN calls)?

    pip install jenn
    python benchmarks/peers.py [--plot peers.png]

The same network and the same points, float64 (JENN's own), one thread each.
"""
from reporting import config_of, draw, options, report

from sobolev_lib.experiments.step_cost import peers


def main() -> None:
    chosen = options(__doc__)
    config = config_of(chosen)
    panels = {}
    for activation in ("relu", "tanh"):
        found = {str(batch): peers(batch, activation, config) for batch in config.batches}
        report(f"A step, {activation}", "batch", found, "closed form")
        panels[activation] = ("batch", found, "closed form")
    if chosen.plot:
        draw(chosen.plot, panels)


if __name__ == "__main__":
    main()
