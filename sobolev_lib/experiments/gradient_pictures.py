"""Held-out screens with each policy's gradient laid over them, small enough for a record."""
import base64
import zlib

import numpy as np
from torch.nn.functional import cosine_similarity

from sobolev_lib.atari.envs import HEIGHT, WIDTH
from sobolev_lib.atari.measures import input_gradient, logits_of
from sobolev_lib.atari.policies import Policy
from sobolev_lib.atari.states import RecordedStates, evenly
from sobolev_lib.widgets.packing import STEPS, deflate, pack_signed


class Pictures:
    """A few of the states on which the teacher is sure, and gradients of log pi(a) there, a being what it prefers.

    >>> pictures = Pictures(teacher, states, test, count=8)                                    # doctest: +SKIP
    >>> pictures.screens[0]["action"], pictures.of(student)[0]["cosine"]                       # doctest: +SKIP
    (2, 0.41)
    """

    def __init__(self, teacher: Policy, states: RecordedStates, indices: np.ndarray, count: int):
        # where the teacher has no opinion its gradient has nothing to show
        sure = logits_of(teacher, states, indices).softmax(1).max(1).values
        self.states, self.few = states, evenly(indices[(sure >= sure.median()).numpy()], count)
        self.actions = logits_of(teacher, states, self.few).argmax(1)
        self.theirs = input_gradient(teacher, states[self.few], self.actions)
        self.screens = [{"screen": pack(screen), "action": int(action)}
                        for screen, action in zip(states[self.few][:, -1].numpy(), self.actions)]

    def of(self, policy: Policy) -> list[dict]:
        """A policy's gradient on each, its probability of the teacher's action, and the cosine with the teacher's."""
        gradients = input_gradient(policy, self.states[self.few], self.actions)
        likely = logits_of(policy, self.states, self.few).softmax(1).gather(1, self.actions.unsqueeze(1)).squeeze(1)
        cosines = cosine_similarity(gradients.flatten(1), self.theirs.flatten(1))
        # full strength above the 99.5th percentile: a few large pixels would leave the rest invisible
        return [{"gradient": pack(pack_signed(gradient.numpy(), float(gradient.abs().quantile(0.995)))),
                 "probability": float(probability), "cosine": float(cosine)}
                for gradient, probability, cosine in zip(gradients[:, -1], likely, cosines)]


def pack(codes: np.ndarray) -> str:
    """An 84 x 84 picture of bytes as text, to be kept in a record."""
    return base64.b64encode(deflate(codes).tobytes()).decode()


def unpack(text: str) -> np.ndarray:
    """The picture that ``pack`` was given."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(HEIGHT, WIDTH)


def unpack_gradient(text: str) -> np.ndarray:
    """A recorded gradient, in units of the 99.5th percentile of its size, cut at 1."""
    return (unpack(text).astype(float) - STEPS) / STEPS
