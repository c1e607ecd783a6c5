"""What does the whole Jacobian cost, and what do random projections of it, as outputs grow?

    python benchmarks/projections.py [--device cuda] [--plot projections.png]
"""
from reporting import config_of, draw, options, report

from sobolev_lib.experiments.step_cost import run_unit


def main() -> None:
    chosen = options(__doc__)
    config = config_of(chosen)
    found = run_unit("outputs", config, [], chosen.device)
    report(f"A step with {config.output_inputs} inputs", "outputs", found, "regular")
    if chosen.plot:
        draw(chosen.plot, {f"{config.output_inputs} inputs": ("outputs", found, "regular")})


if __name__ == "__main__":
    main()
