"""A script of benchmarks/ in a process of its own, with settings so small that it measures next to nothing."""
from forks import run_script

from sobolev_lib.experiments import step_cost


def main(config, path, *arguments):
    step_cost.PRESETS["quick"] = config
    run_script(path, *arguments)
