"""Probes: the numbers of a tiny run of an experiment, by which one sees whether the library still computes the same."""
import json
import math
from types import ModuleType

from sobolev_lib.records import rounded

TOLERANCE = 1e-3                                           # relative: above rounding on any machine, below any other cause


def probe_of(experiment: ModuleType) -> dict:
    """The experiment's probe, as a record holds it.

    >>> from sobolev_lib.experiments import step_cost
    >>> probe_of(step_cost) == probe_of(step_cost)
    True
    """
    return json.loads(json.dumps(rounded(experiment.probe()), allow_nan=False))


def differences(expected, got, at: str = "") -> list[str]:
    """Where two probes differ, one line a place; no lines if they are equal, floats to a relative ``TOLERANCE``.

    >>> differences({"loss": [1.0, 2.0]}, {"loss": [1.0001, 2.1]})
    ['loss/1: expected 2.0, got 2.1']
    """
    if isinstance(expected, dict) and isinstance(got, dict):
        lines = [f"{_join(at, key)}: expected, but missing" for key in expected if key not in got]
        lines += [f"{_join(at, key)}: not expected" for key in got if key not in expected]
        common = [key for key in expected if key in got]
        return lines + [line for key in common for line in differences(expected[key], got[key], _join(at, key))]
    if isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got):
            return [f"{at}: expected {len(expected)} entries, got {len(got)}"]
        return [line for k, (a, b) in enumerate(zip(expected, got)) for line in differences(a, b, _join(at, k))]
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (expected, got))
    if numbers and (isinstance(expected, float) or isinstance(got, float)):
        equal = math.isclose(expected, got, rel_tol=TOLERANCE, abs_tol=1e-9)
    else:
        equal = type(expected) is type(got) and expected == got
    return [] if equal else [f"{at}: expected {expected!r}, got {got!r}"]


def told(lines: list[str], most: int = 3) -> str:
    """The first differences as one text.

    >>> told(["a: expected 1, got 2"])
    'a: expected 1, got 2'
    """
    more = f"; and {len(lines) - most} more" if len(lines) > most else ""
    return "; ".join(lines[:most]) + more


def _join(at: str, key) -> str:
    return f"{at}/{key}" if at else str(key)
