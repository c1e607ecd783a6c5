"""The loop in which a policy plays: what it is shown, what it does, and which games it plays on."""
from itertools import islice

import numpy as np
import pytest
import torch
from arcade import Alley, Rule, tiny

from sobolev_lib.atari.rollout import rollout, sample


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_actions_are_drawn_from_the_policy():
    logits = torch.tensor([[0.0, 1.0, -1.0]]).expand(20_000, 3)
    drawn = sample(logits, seeded(0))
    share = torch.bincount(drawn, minlength=3) / 20_000
    expected = logits[0].softmax(0)
    assert drawn.shape == (20_000,)
    assert ((share - expected).abs() < 5 * (expected * (1 - expected) / 20_000).sqrt()).all()
    assert torch.equal(drawn, sample(logits, seeded(0)))


def test_each_step_begins_where_the_last_one_ended():
    rule, games = Rule(3), Alley("alley", 2, seed=4)
    start = games.reset()
    played = list(islice(rollout(rule, games, start, seeded(0)), 20))
    assert np.array_equal(played[0].states, start)
    for step, following, shown in zip(played, played[1:], rule.seen):
        assert np.array_equal(step.after.states, following.states) and np.array_equal(step.states, shown)
        assert np.array_equal(step.actions, step.logits.argmax(1)) and step.others == ()
    assert any(step.after.ended.any() for step in played), "no episode ended"
    again = Alley("alley", 2, seed=4)
    again.reset()
    assert all(np.array_equal(again.step(step.actions).rewards, step.after.rewards) for step in played)


def test_a_policy_that_works_in_place_changes_nothing_that_is_kept():
    class InPlace(Rule):
        def forward(self, states):
            answer = super().forward(states)
            states.zero_()
            return answer

    games, plain = Alley("alley", 2, seed=1), Alley("alley", 2, seed=1)
    steps = zip(rollout(InPlace(3), games, games.reset(), seeded(0)), rollout(Rule(3), plain, plain.reset(), seeded(0)))
    for ours, theirs in islice(steps, 8):
        assert np.array_equal(ours.states, theirs.states) and ours.states.any()


def test_games_that_run_no_more_get_no_ops_and_cost_no_forward_pass():
    rule, games, running = Rule(3), Alley("alley", 3), np.array([True, True, True])
    steps = rollout(rule, games, games.reset(), seeded(0), greedy=True, running=running)
    next(steps)
    running[1] = False
    step = next(steps)
    assert len(rule.seen[1]) == 2 and np.array_equal(rule.seen[1], step.states[[0, 2]]) and len(step.logits) == 2
    assert step.actions[1] == 0 and np.array_equal(step.actions[[0, 2]], step.logits.argmax(1))


def test_what_else_a_policy_returns_comes_along_and_no_graph_is_kept():
    policy = tiny()
    policy.forward = lambda states, ask=policy.forward: (ask(states), states.float().mean((1, 2, 3)))
    games = Alley("alley", 2)
    step = next(rollout(policy, games, games.reset(), seeded(0)))
    mean, = step.others
    assert mean.tolist() == pytest.approx(step.states.mean((1, 2, 3)), rel=1e-5) and not step.logits.requires_grad
    assert torch.is_grad_enabled(), "between two steps the caller's mode holds"
