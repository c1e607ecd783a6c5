"""Section 4.2: Atari games, trained teachers, recorded states, and distillation into smaller policies."""
from sobolev_lib.atari.actor_critic import Plan, Progress, train_teacher
from sobolev_lib.atari.answers import Answers
from sobolev_lib.atari.copies import load_copy
from sobolev_lib.atari.distillation import Run, distill
from sobolev_lib.atari.envs import GAMES, Games
from sobolev_lib.atari.measures import Agreement, agreement, gradient_similarity, input_gradient, logits_of
from sobolev_lib.atari.packed import pack_states, unpack_states
from sobolev_lib.atari.pictures import Film, FilmRow
from sobolev_lib.atari.play import play, watch
from sobolev_lib.atari.policies import Student, Teacher
from sobolev_lib.atari.states import RecordedStates, record_states
from sobolev_lib.atari.teachers import load_teacher, save_teacher

__all__ = ["Agreement", "Answers", "Film", "FilmRow", "GAMES", "Games", "Plan", "Progress", "RecordedStates", "Run",
           "Student", "Teacher", "agreement", "distill", "gradient_similarity", "input_gradient", "load_copy",
           "load_teacher", "logits_of", "pack_states", "play", "record_states", "save_teacher", "train_teacher", "unpack_states", "watch"]
