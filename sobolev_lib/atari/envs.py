"""Atari games, many at once, preprocessed as is usual in this field."""
from dataclasses import dataclass
from importlib import metadata

import numpy as np

from sobolev_lib._arguments import integer

GAMES = ("pong", "breakout", "space_invaders")             # the paper's three; any other ROM goes by its name as well
ACTION_REPEAT = 4                                          # frames an agent step lasts
HISTORY, HEIGHT, WIDTH = 4, 84, 84                         # frames in a state, and their size
MAX_FRAMES = 108_000                                       # an episode's limit: half an hour at 60 frames a second


@dataclass(frozen=True)
class Transition:
    """What one step of E games returned.

    ``states`` (E, 4, 84, 84) uint8, already the next episode's first state where ``ended``; ``rewards`` (E,) unclipped,
    in points of the game; ``ended`` (E,) bool: the episode is over (by the game or by the limit of frames);
    ``lives_lost`` (E,) bool: a life, or the game, was lost in this step.
    """

    states: np.ndarray
    rewards: np.ndarray
    ended: np.ndarray
    lives_lost: np.ndarray


class Games:
    """Copies of one Atari game, ``count`` of them, stepped together.

    >>> games = Games("pong", 2, seed=0)                     # doctest: +SKIP
    >>> games.reset().shape                                  # doctest: +SKIP
    (2, 4, 84, 84)
    >>> games.step([0, 3]).rewards                           # doctest: +SKIP
    array([0., 0.])

    A state is the last four agent steps' screens, grey, 84 x 84, each the pixelwise maximum of two frames; an action
    lasts four frames. An episode starts with FIRE where the game has it, and then 0 to 29 random no-ops. After an
    episode's end the next one starts in the same step, so every transition is a real one. Same ``seed`` and actions:
    same episodes.

    ``colour=True`` gives screens as a person sees them instead, (E, 1, 210, 160, 3), of the very same episodes.
    ``threads``: 0 for one a core.

    Raises ``ValueError`` for an unknown game. Source: section 4.2, and the usual preprocessing of DQN and A3C.
    """

    def __init__(self, game: str, count: int = 1, *, seed: int = 0, threads: int = 0, colour: bool = False):
        count = integer(count, "count", "a positive number of games")
        view = {"grayscale": False, "stack_num": 1, "img_height": 210, "img_width": 160} if colour else {}
        self._env = _ale_py().AtariVectorEnv(check_game(game), count, num_threads=threads, autoreset_mode="SameStep",
                                             reward_clipping=False, max_num_frames_per_episode=MAX_FRAMES, **view)
        self.game, self.count, self._seed = game, count, integer(seed, "seed", "an integer >= 0", least=0)
        self.num_actions = int(self._env.single_action_space.n)
        self._lives = np.zeros(count, dtype=np.int64)
        self._resets = 0

    def reset(self) -> np.ndarray:
        """First states of new episodes, (E, 4, 84, 84) uint8; a stack begins with black frames.

        The first call begins where ``seed`` says, each later one with other random no-ops, which it decides as well.
        """
        # the emulator would draw a missing seed from the system
        again = np.random.default_rng([self._seed, self._resets]).integers(2**30)
        states, info = self._env.reset(seed=int(again) if self._resets else self._seed)
        self._resets += 1
        self._lives = info["lives"]
        return states

    def step(self, actions) -> Transition:
        """Play one action, an integer in [0, num_actions), in each game."""
        actions = np.asarray(actions)
        if actions.shape != (self.count,) or not np.issubdtype(actions.dtype, np.integer):
            raise ValueError(f"actions: expected {self.count} integers, one a game, got shape {actions.shape} of "
                             f"{actions.dtype}")
        if actions.min() < 0 or actions.max() >= self.num_actions:
            raise ValueError(f"actions: expected numbers from 0 to {self.num_actions - 1}, got {actions.tolist()}")
        states, rewards, terminated, truncated, info = self._env.step(actions)
        ended = terminated | truncated
        lost = ended | (info["lives"] < self._lives)
        self._lives = info["lives"]
        return Transition(states, rewards.astype(np.float64), ended, lost)

    def close(self) -> None:
        self._env.close()


def check_game(game: str) -> str:
    """The game's name if there is such a ROM; raises ``ValueError`` otherwise."""
    if game not in _ale_py().roms.get_all_rom_ids():
        raise ValueError(f"game: expected one of {', '.join(GAMES)} or another ROM's name (they are in "
                         f"ale_py.roms.get_all_rom_ids()), got {game!r}")
    return game


def emulator_version() -> str | None:
    """The installed version of ale-py, which decides what is on the screens; None where there is none."""
    try:
        return metadata.version("ale-py")
    except metadata.PackageNotFoundError:
        return None


def _ale_py():
    # imported at need: teachers, students and recorded states work without an emulator
    try:
        import ale_py.roms
        ale_py.AtariVectorEnv  # noqa: B018  it leaves this one out where gymnasium is missing
    except (ImportError, AttributeError):
        raise ImportError("playing Atari games needs the Arcade Learning Environment: pip install 'ale-py>=0.12' "
                          "gymnasium") from None
    return ale_py
