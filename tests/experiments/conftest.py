"""What several experiments' tests ask for."""
import functools

import pytest

from sobolev_lib.experiments import learned_simulator


@pytest.fixture(scope="session")
def same_states():
    return functools.cache(learned_simulator.states)


@pytest.fixture
def states_once(same_states, monkeypatch):
    """States of the attractor take a thousand steps to reach; those of a number and a seed are reached once."""
    monkeypatch.setattr(learned_simulator, "states", same_states)
