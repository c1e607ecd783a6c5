"""What several files of the regressor's tests ask for."""
from dataclasses import replace

import pytest

import sobolev_lib as sl


@pytest.fixture
def short(monkeypatch):
    """All plans end after few steps: for tests of what becomes of a choice, however good it is."""
    plans = sl.SobolevRegressor._plans
    cut = lambda plan: replace(plan, settings=replace(plan.settings, steps=min(60, plan.settings.steps)))
    monkeypatch.setattr(sl.SobolevRegressor, "_plans", lambda self, data: [cut(plan) for plan in plans(self, data)])


@pytest.fixture
def one_plan(monkeypatch):
    """Only the first plan: for tests of what it learns, not of the choice."""
    plans = sl.SobolevRegressor._plans
    monkeypatch.setattr(sl.SobolevRegressor, "_plans", lambda self, data: plans(self, data)[:1])


@pytest.fixture
def two_plans(monkeypatch):
    """Only the first two plans are tried, which take least: for tests whose answer they hold."""
    plans = sl.SobolevRegressor._plans
    monkeypatch.setattr(sl.SobolevRegressor, "_plans", lambda self, data: plans(self, data)[:2])


@pytest.fixture
def last_plan(monkeypatch):
    """Only the last plan is tried, which follows labels most closely."""
    plans = sl.SobolevRegressor._plans
    monkeypatch.setattr(sl.SobolevRegressor, "_plans", lambda self, data: plans(self, data)[-1:])


@pytest.fixture
def solved_plan(monkeypatch):
    """Only what is solved is tried."""
    plans = sl.SobolevRegressor._plans
    monkeypatch.setattr(sl.SobolevRegressor, "_plans", lambda self, data: [plan for plan in plans(self, data) if plan.solved])
