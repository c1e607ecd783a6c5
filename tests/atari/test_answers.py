"""A teacher's kept answers against asking it, and against derivatives row by row."""
import numpy as np
import pytest
import torch
from arcade import recording, tiny

from sobolev_lib.atari import Answers
from sobolev_lib.atari.answers import ASKED
from sobolev_lib.atari.policies import blocks

ACTIONS, ROUNDING = 4, 2 ** -11                            # of float16, relative


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    return recording(tmp_path_factory.mktemp("states"), [6] * 10)


def log_policy(teacher):
    return lambda x: teacher(x.unsqueeze(0)).log_softmax(1)[0]


def test_rows_are_the_chosen_states_and_the_teachers_policy_there(states, device):
    teacher, indices = tiny(ACTIONS, seed=9), np.array([40, 2, 2, 59])
    answers, rows = Answers(teacher, states, indices, device=device), torch.tensor([3, 0], device=device)
    assert len(answers) == 4 and answers.inputs(rows).device.type == answers.log_policy.device.type == device
    x = blocks(states[[59, 40]])
    torch.testing.assert_close(answers.inputs(rows).cpu(), x)
    torch.testing.assert_close(answers.log_policy[rows].cpu(), teacher(x).log_softmax(1).detach(), rtol=1e-4, atol=1e-5)
    assert not answers.log_policy.requires_grad


@pytest.mark.parametrize("kept", [False, True], ids=["asked", "kept"])
def test_jacobians_and_products_are_the_teachers_to_the_rounding_of_what_is_kept(states, device, kept):
    teacher = tiny(ACTIONS, seed=9)
    answers = Answers(teacher, states, np.arange(20), jacobian=kept, device=device)
    rows = torch.tensor([7, 0, 7], device=device)
    expected = torch.stack([torch.func.jacrev(log_policy(teacher))(x) for x in blocks(states[[7, 0, 7]])]).detach()
    tolerance = ROUNDING if kept else 1e-4
    found = answers.jacobians(rows).cpu()
    assert found.shape == (3, ACTIONS, 64, 21, 21) and not found.requires_grad
    # entries too small for float16's exponent are off by its smallest step instead
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=1e-6 * expected.abs().max().item() + 6e-8)
    vectors = torch.randn(2, 3, ACTIONS, generator=seeded(0))
    products = torch.einsum("pna,nadyx->pndyx", vectors, expected)
    found = answers.projected(rows, vectors.to(device)).cpu()
    assert found.shape == (2, 3, 64, 21, 21) and not found.requires_grad
    torch.testing.assert_close(found, products, rtol=0, atol=2 * tolerance * expected.abs().max().item())


def test_what_is_kept_is_as_large_as_announced(states):
    kept = Answers(tiny(ACTIONS), states, np.arange(20), jacobian=True).jacobian
    assert kept.element_size() * kept.numel() == Answers.bytes_of_jacobian(20, ACTIONS)


def test_slopes_that_float16_cannot_hold_are_not_kept(states):
    steep = tiny(ACTIONS, seed=9, sure=1e9)
    assert Answers(steep, states, np.arange(5)).jacobians(torch.arange(5)).abs().max() > 65_504
    with pytest.raises(ValueError, match="jacobian: expected a teacher whose slopes float16 can hold, up to 65,504, got larger"):
        Answers(steep, states, np.arange(5), jacobian=True)


def test_the_teacher_is_asked_once_for_each_state_and_left_as_it_was(states):
    teacher, asked = tiny(ACTIONS, seed=9), []
    teacher.register_forward_pre_hook(lambda _, arguments: asked.append(len(arguments[0])))
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    for kept, times in ((False, 1), (True, 2)):
        asked.clear()
        answers = Answers(teacher, states, np.arange(60), jacobian=kept)
        assert sum(asked) == 60 * times and max(asked) <= ASKED
        answers.projected(torch.arange(5), torch.ones(1, 5, ACTIONS))
        assert sum(asked) == 60 * times + (0 if kept else 5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert all(p.grad is None and p.requires_grad and p.is_contiguous() for p in teacher.parameters())


def test_no_states_are_refused(states):
    with pytest.raises(ValueError, match="at least one training state"):
        Answers(tiny(ACTIONS), states, np.arange(0))
