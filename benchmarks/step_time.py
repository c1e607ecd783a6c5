"""How long is a Sobolev step, beside a regular one and beside other ways to get its gradient?

    python benchmarks/step_time.py [--device cuda] [--vary batch depth inputs activation] [--plot step_time.png]

A network with one output, and Adam. Batch size, depth, inputs and activation vary one at a time.
"""
from reporting import config_of, draw, options, report

from sobolev_lib.experiments.step_cost import run_unit

VARIED = ("batch", "depth", "inputs", "activation")


def main() -> None:
    chosen = options(__doc__, vary={"nargs": "+", "choices": VARIED, "default": VARIED})
    panels = {}
    for name in chosen.vary:
        found = run_unit(name, config_of(chosen), [], chosen.device)
        report("A step", name, found, "regular")
        panels[f"by {name}"] = (name, found, "regular")
    if chosen.plot:
        draw(chosen.plot, panels)


if __name__ == "__main__":
    main()
