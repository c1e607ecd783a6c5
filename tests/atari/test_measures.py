"""Measures of agreement between a student and its teacher, against sums over states and finite differences."""
import numpy as np
import pytest
import torch
from arcade import Rule, recording, tiny

from sobolev_lib.atari import agreement, gradient_similarity, input_gradient, logits_of

ACTIONS = 4


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    return recording(tmp_path_factory.mktemp("states"), [6] * 10)


def test_agreement_is_a_mean_over_states(states, device):
    student, indices = tiny(ACTIONS, seed=1).to(device), np.array([3, 50, 7, 8, 21, 59])
    theirs = logits_of(student, states, indices) + torch.randn(6, ACTIONS, generator=seeded(0))
    categorical = lambda logits: torch.distributions.Categorical(logits=logits.double())
    wrong, forward, backward = 0, 0.0, 0.0
    for row, index in zip(theirs, indices):
        ours = student(states[[index]].to(device))[0].detach().cpu()
        wrong += int(ours.argmax() != row.argmax())
        forward += torch.distributions.kl_divergence(categorical(ours), categorical(row)).item() / 6
        backward += torch.distributions.kl_divergence(categorical(row), categorical(ours)).item() / 6
    found = agreement(student, theirs, states, indices)
    assert 0 < wrong < 6 and found.action_error == pytest.approx(wrong / 6)
    assert found.kl == pytest.approx(forward, rel=1e-4) and found.kl_teacher_first == pytest.approx(backward, rel=1e-4)
    assert abs(forward - backward) > 1e-3
    own = agreement(student, logits_of(student, states, indices) + 5, states, indices)  # logits: up to a constant
    assert own.action_error == 0 and own.kl == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match=r"teacher_logits: expected one row a state, 6, got \(5, 4\)"):
        agreement(student, theirs[:5], states, indices)


def test_logits_come_in_the_order_of_the_indices_whatever_the_batch(states):
    policy, indices = tiny(ACTIONS), np.array([40, 2, 2, 17, 9, 55, 30])
    expected = torch.cat([policy(states[[index]]) for index in indices])
    for size in (1, 3, 500):
        found = logits_of(policy, states, indices, batch_size=size)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        assert not found.requires_grad
    rule = Rule(ACTIONS)
    logits_of(rule, states, np.arange(60), batch_size=25)
    assert max(len(x) for x in rule.seen) <= 25
    assert logits_of(policy, states, np.arange(0)).shape == (0, ACTIONS)


def test_the_input_gradient_is_the_slope_of_one_log_probability(states, device):
    policy = tiny(ACTIONS).to(device).double().requires_grad_(False)
    x = torch.rand(3, 4, 84, 84, dtype=torch.float64, generator=seeded(0))
    actions = torch.tensor([2, 0, 3])
    gradient = input_gradient(policy, x, actions)
    assert gradient.shape == x.shape
    for seed in range(3):
        direction, h = torch.randn(x.shape, dtype=torch.float64, generator=seeded(seed)), 1e-6
        ends = [policy((x + sign * h * direction).to(device)).log_softmax(1).cpu()[torch.arange(3), actions]
                for sign in (1, -1)]
        slopes = (gradient * direction).flatten(1).sum(1)
        torch.testing.assert_close(slopes, (ends[0] - ends[1]) / (2 * h), rtol=1e-5, atol=1e-8)
    # per unit of brightness, black to white, in whichever form the pixels come
    policy, pixels = policy.float(), states[[1, 2, 3]]
    torch.testing.assert_close(input_gradient(policy, pixels, actions), input_gradient(policy, pixels / 255, actions))


def test_similarity_is_one_for_the_teacher_itself_and_the_mean_cosine_for_another(states, device):
    teacher, student, indices = tiny(ACTIONS, seed=9).to(device), tiny(ACTIONS, seed=1).to(device), np.array([3, 50, 7])
    assert gradient_similarity(teacher, teacher, states, indices) == pytest.approx(1)
    preferred = teacher(states[indices].to(device)).argmax(1).cpu()
    slopes = [input_gradient(policy, states[indices], preferred).flatten(1) for policy in (student, teacher)]
    cosine = (slopes[0] * slopes[1]).sum(1) / slopes[0].norm(dim=1) / slopes[1].norm(dim=1)
    assert gradient_similarity(student, teacher, states, indices) == pytest.approx(cosine.mean().item(), rel=1e-4)
    assert abs(cosine).max() < 0.99
