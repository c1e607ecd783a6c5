"""Games against a plain emulator, driven frame by frame: same screens, same rewards, every transition a real one."""
import sys

import ale_py
import numpy as np
import pytest
from ale_py import Action, ALEInterface, LoggerMode, roms
from arcade import area

from sobolev_lib.atari import Games, envs


def emulator(game):
    ALEInterface.setLoggerMode(LoggerMode.Error)
    ale = ALEInterface()
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(roms.get_rom_path(game))
    return ale


def episode_of_a_plain_emulator(ale, no_ops, actions):
    """Frame by frame: for each action (reward, over, lives, colour screen, grey screen); stops where the game is over."""
    ale.reset_game()
    for action in (Action.FIRE, *[Action.NOOP] * no_ops):
        ale.act(action)
    yield 0, False, ale.lives(), ale.getScreenRGB(), ale.getScreenGrayscale()
    meanings = ale.getMinimalActionSet()
    for action in actions:
        reward, colours, greys = 0, [], []
        for _ in range(4):
            if not ale.game_over():
                reward += ale.act(meanings[action])
                colours.append(ale.getScreenRGB())
                greys.append(ale.getScreenGrayscale())
        yield reward, ale.game_over(), ale.lives(), np.max(colours[-2:], 0), np.max(greys[-2:], 0)
        if ale.game_over():
            return


def same_as_emulator(ale, no_ops, first, transitions, actions):
    """Whether this number of no-ops explains the first screen and then everything until the episode's end."""
    steps = episode_of_a_plain_emulator(ale, no_ops, actions)
    _, _, lives, colour, _ = next(steps)
    if not np.array_equal(colour, first):
        return False
    for (reward, over, lives_now, colour, _), after in zip(steps, transitions):
        if (reward, over, over or lives_now < lives) != (after.rewards[0], after.ended[0], after.lives_lost[0]):
            return False
        # the screen of a finished game is not shown: the next episode's first screen takes its place
        if not over and not np.array_equal(colour, after.states[0, 0]):
            return False
        lives = lives_now
    return True


@pytest.mark.parametrize("game, seed, steps, episodes", [("breakout", 5, 200, 2), ("pong", 3, 40, 1),
                                                         ("space_invaders", 4, 130, 1)])
def test_every_transition_is_one_that_a_plain_emulator_makes(game, seed, steps, episodes):
    games = Games(game, seed=seed, threads=1, colour=True)
    first = games.reset()
    actions = np.random.default_rng(0).integers(0, games.num_actions, steps)
    transitions = [games.step([action]) for action in actions]
    games.close()
    ale = emulator(game)
    assert games.num_actions == len(ale.getMinimalActionSet())
    starts = [0, *[t + 1 for t, after in enumerate(transitions) if after.ended[0]]]
    assert len(starts) == episodes, "too short a test, or an end that is none"
    for start in starts:
        screen = transitions[start - 1].states[0, 0] if start else first[0, 0]
        fits = [n for n in range(30) if same_as_emulator(ale, n, screen, transitions[start:], actions[start:])]
        assert fits, f"the episode from step {start} on is none of the emulator's"
    if game == "space_invaders":
        assert max(after.rewards[0] for after in transitions) > 1, "rewards are clipped"
    if game == "breakout":
        lost = sum(after.lives_lost[0] for after in transitions)
        assert lost > 5 * (episodes - 1), "an episode of Breakout has five lives"


def test_a_state_is_the_last_four_screens_grey_and_small():
    """And the colour twin sees the very same episode."""
    games, twin = [Games("breakout", seed=2, threads=1, colour=colour) for colour in (False, True)]
    states, colours = [games.reset()], [twin.reset()]
    assert states[0].shape == (1, 4, 84, 84) and states[0].dtype == np.uint8
    assert colours[0].shape == (1, 1, 210, 160, 3) and colours[0].dtype == np.uint8
    assert not states[0][0, :3].any() and states[0][0, 3].any(), "a stack begins with black frames"
    actions = np.random.default_rng(1).integers(0, 4, 200)
    ended = []
    for action in actions:
        after, other = games.step([action]), twin.step([action])
        states.append(after.states)
        colours.append(other.states)
        ended.append(bool(after.ended[0]))
        for a, b in zip((after.rewards, after.ended, after.lives_lost), (other.rewards, other.ended, other.lives_lost)):
            assert np.array_equal(a, b)
    assert ended.count(True) == 1
    for t, over in enumerate(ended):
        older = np.zeros((3, 84, 84)) if over else states[t][0, 1:]
        assert np.array_equal(states[t + 1][0, :3], older)
    # the newest screen, from the plain emulator's own grey pixels
    ale = emulator("breakout")
    no_ops = next(n for n in range(30)
                  if np.array_equal(next(episode_of_a_plain_emulator(ale, n, []))[3], colours[0][0, 0]))
    shrink = area(210, 84), area(160, 84)
    for t, (_, over, _, colour, grey) in enumerate(episode_of_a_plain_emulator(ale, no_ops, actions[:60])):
        assert not over and np.array_equal(colour, colours[t][0, 0])
        assert np.abs(shrink[0] @ grey @ shrink[1].T - states[t][0, 3]).max() <= 1  # rounding


@pytest.mark.slow
def test_the_seed_and_the_actions_decide():
    def play(seed, count, threads=1):
        games = Games("space_invaders", count, seed=seed, threads=threads)
        episodes = []
        for _ in range(2):
            given = [games.reset()]
            copies = [given[0].copy()]
            for t in range(20):
                given.append(games.step([t % 6, (t + 3) % 6][:count]).states)
                copies.append(given[-1].copy())
            assert np.array_equal(given, copies), "later steps overwrite the arrays of earlier ones"
            episodes.append(np.stack(given))
        games.close()
        return episodes

    (states, again), (_, same) = play(0, 2), play(0, 2)
    assert not np.array_equal(again, states), "reset begins new episodes"
    assert np.array_equal(again, same), "which the seed decides as well"
    assert np.array_equal(states, play(0, 2, threads=2)[0])
    assert not np.array_equal(states[:, :1], play(7, 1)[0])
    assert not np.array_equal(states[:, 0], states[:, 1])


def test_an_episode_ends_at_the_limit_of_frames(monkeypatch):
    monkeypatch.setattr(envs, "MAX_FRAMES", 40)
    games = Games("pong", threads=1)
    games.reset()
    ended = []
    for _ in range(25):
        after = games.step([0])
        ended.append(bool(after.ended[0]))
        assert after.ended[0] == after.lives_lost[0]
        assert after.ended[0] == (not after.states[0, :3].any())
    assert [t + 1 for t, over in enumerate(ended) if over] == [10, 20]


def test_wrong_actions_are_refused_and_change_nothing():
    games = Games("pong", 2, threads=1)
    games.reset()
    for actions, message in [([0], r"2 integers, one a game, got shape \(1,\)"), (0, r"got shape \(\)"),
                             ([0.0, 1.0], "of float64"), ([True, False], "of bool"), ([0, 6], r"0 to 5, got \[0, 6\]"),
                             ([-1, 0], r"0 to 5, got \[-1, 0\]")]:
        with pytest.raises(ValueError, match=f"actions: expected .*{message}"):
            games.step(actions)
    after = games.step([0, 1])
    games.reset()
    assert np.array_equal(games.step(np.array([0, 1], dtype=np.int32)).states, after.states)


@pytest.mark.parametrize("missing", ["ale-py", "gymnasium"])
def test_without_the_emulator_the_error_says_what_to_install(monkeypatch, missing):
    if missing == "ale-py":
        monkeypatch.setitem(sys.modules, "ale_py", None)
    else:
        monkeypatch.delattr(ale_py, "AtariVectorEnv")  # ale-py is there, and does without this part of itself
    with pytest.raises(ImportError, match="pip install 'ale-py>=0.12' gymnasium"):
        Games("pong")
