"""Letting a policy play: each episode counts once, with the emulator's own points; and what is watched was played."""
import importlib

import numpy as np
import pytest
import torch
from arcade import Alley, Rule, Tiny, count_games, tiny
from torch import nn

from sobolev_lib.atari import Games, play, states as recorded, watch
from sobolev_lib.atari.rollout import check_actions

module = importlib.import_module("sobolev_lib.atari.play")  # the package's function hides the module of that name


def score_of_one_game(policy, game, seed):
    """One episode alone, without sampling, batching or anything that goes on afterwards."""
    games = Games(game, seed=seed, threads=1)
    states, score, steps = games.reset(), 0.0, 0
    while True:
        after = games.step(policy(torch.from_numpy(states)).argmax(1).numpy())
        states, score, steps = after.states, score + after.rewards[0], steps + 1
        if after.ended[0]:
            games.close()
            return score, steps


def test_scores_are_those_of_the_emulator_and_each_episode_counts_once():
    expected = [score_of_one_game(Rule(9), "asterix", seed) for seed in (3, 4)]
    rule = Rule(9)
    scores = play(rule, "asterix", episodes=2, seed=3)
    assert scores == [score for score, _ in expected] and sum(scores) > 0
    # a finished game is not looked at any more
    lengths = [steps for _, steps in expected]
    assert len(set(lengths)) > 1
    assert [len(states) for states in rule.seen] == [sum(t < n for n in lengths) for t in range(max(lengths))]


@pytest.mark.parametrize("greedy", [False, True])
def test_a_policy_that_is_sure_earns_all_points_of_exactly_one_episode(monkeypatch, greedy):
    class Knowing(Rule):
        def forward(self, states):
            thirds = states[:, -1].float().mean(1).unflatten(1, (3, 28)).mean(2)
            return 50.0 * nn.functional.one_hot(thirds.argmax(1), 3)

    made = count_games(monkeypatch, module)
    lengths = [np.random.default_rng(seed).integers(4, 12) for seed in range(20, 26)]
    assert play(Knowing(3), "alley", episodes=6, seed=20, greedy=greedy) == [3.0 * n for n in lengths]
    assert [games.count for games in made] == [6] and made[0].closed


def test_actions_are_drawn_unless_the_best_is_asked_for(monkeypatch):
    count_games(monkeypatch, module)
    policy = tiny(sure=50.0)
    drawn = [play(policy, "alley", episodes=8, seed=seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    greedy = play(policy, "alley", episodes=8, greedy=True)
    assert greedy == play(policy, "alley", episodes=8, greedy=True) != drawn[0]
    # as often as the policy says: from a near uniform one every action comes, the best alone does not
    taken = []
    step = Alley.step
    monkeypatch.setattr(Alley, "step", lambda self, actions: taken.extend(actions) or step(self, actions))
    play(Tiny(3, generator=torch.Generator().manual_seed(0)), "alley", episodes=30)
    assert min(np.bincount(taken, minlength=3)) > 20


def test_a_policy_of_another_game_is_refused(monkeypatch, tmp_path):
    count_games(monkeypatch, module)
    count_games(monkeypatch, recorded)
    policy = tiny(num_actions=4)
    for call in (lambda: play(policy, "pong", episodes=2), lambda: watch(policy, "pong", steps=2),
                 lambda: recorded.record_states(policy, "pong", count=5, folder=tmp_path, progress=False)):
        with pytest.raises(ValueError, match=r"policy: expected logits \(N, 3\) for pong, got \(\d+, 4\)"):
            call()
    with pytest.raises(ValueError, match=r"logits \(N, 3\).*got \(5,\)"):
        check_actions(torch.zeros(5), Alley("alley"))


# --- watching ---------------------------------------------------------------------------------------------------

def test_what_is_watched_is_what_the_policy_saw():
    rule, held = Rule(4), []
    screens = watch(rule, "breakout", steps=12, skip=20, seed=1, state=held.append)
    assert screens.shape == (12, 210, 160, 3) and screens.dtype == np.uint8 and len(held) == 12
    seen = list(rule.seen)
    assert len(seen) == 32 and all(np.array_equal(state, shown[0]) for state, shown in zip(held, seen[20:]))
    # the same actions once more, in colour: what is on the screen while the policy decides
    games = Games("breakout", seed=1, threads=1, colour=True)
    on_screen = [games.reset()] + [games.step(rule(states).argmax(1).numpy()).states for states in seen]
    assert np.array_equal(screens, np.concatenate(on_screen)[20:32, 0])
    assert len({screen.tobytes() for screen in screens}) > 8, "a still picture proves nothing"


def test_watching_repeats_and_a_later_part_is_part_of_the_same_game():
    whole = watch(Rule(6), "pong", steps=30)
    assert np.array_equal(watch(Rule(6), "pong", steps=8, skip=22), whole[22:])
    assert not np.array_equal(whole[:8], whole[22:])
