"""Teacher and Student: the layers of section 4.2, pixels in either form, weights that a generator repeats."""
import math

import pytest
import torch
from arcade import Tiny
from torch import nn
from torch.nn import functional as F

from sobolev_lib.atari import Student, Teacher
from sobolev_lib.atari.convolution import Convolution
from sobolev_lib.atari.policies import blocks, scaled

KINDS = {"teacher": Teacher, "student": Student}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def pixels(n=3, seed=0):
    return torch.randint(256, (n, 4, 84, 84), dtype=torch.uint8, generator=seeded(seed))


# channels, kernel, stride of each convolution; outputs of each fully connected layer
@pytest.mark.parametrize("kind, convolutions, linear", [
    ("teacher", [(32, 8, 4), (64, 4, 2), (64, 3, 1)], [512, 6]), ("student", [(16, 8, 4), (32, 4, 2)], [256, 6])])
def test_the_layers_are_those_of_the_paper(kind, convolutions, linear):
    policy = KINDS[kind](6)
    found = [module for module in policy.modules() if list(module.parameters(recurse=False))]
    assert [type(module) for module in found] == [Convolution] * len(convolutions) + [nn.Linear] * 2
    assert [(m.out_channels, m.kernel_size[0], m.stride[0]) for m in found[:-2]] == convolutions
    assert [m.out_features for m in found[-2:]] == linear
    # by hand: ReLU between the layers, none after the last
    x = pixels() / 255
    for module, (_, _, stride) in zip(found[:-2], convolutions):
        x = F.conv2d(x, module.weight, module.bias, stride).clamp_min(0)
    hidden = (x.flatten(1) @ found[-2].weight.T + found[-2].bias).clamp_min(0)
    torch.testing.assert_close(policy(pixels()), hidden @ found[-1].weight.T + found[-1].bias)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pixels_may_be_bytes_or_scaled_numbers(dtype):
    policy = Tiny(5, generator=seeded(0)).to(dtype)
    numbers = pixels().to(dtype) / 255
    assert scaled(numbers) is numbers
    if dtype == torch.float32:
        assert torch.equal(policy(pixels()), policy(numbers))
    assert policy(numbers).shape == (3, 5) and policy(numbers).dtype == dtype
    assert scaled(torch.tensor(255, dtype=torch.uint8).expand(1, 4, 84, 84)).unique().item() == 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_initial_weights_are_he_normal_and_a_teachers_last_layer_is_near_zero(kind):
    policy = KINDS[kind](6, generator=seeded(0))
    last = 1.0 if isinstance(policy, Student) else 0.01
    for name, parameter in policy.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        else:
            inputs = parameter[0].numel()
            expected = (last if name == "head.weight" else math.sqrt(2)) / math.sqrt(inputs)
            spread = parameter.std().item() / expected
            assert abs(spread - 1) < 5 / math.sqrt(2 * parameter.numel()), name
    probabilities = policy(pixels()).softmax(1)
    if last == 0.01:
        assert (probabilities - 1 / 6).abs().max() < 0.02, "an untrained teacher should be near uniform"


def test_a_generator_makes_the_weights_repeatable():
    state = torch.get_rng_state()
    first, second, other = [Tiny(3, generator=seeded(seed)) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), state), "a generator was given, yet the global one was used"
    vectors = [nn.utils.parameters_to_vector(policy.parameters()) for policy in (first, second, other)]
    assert torch.equal(vectors[0], vectors[1]) and not torch.equal(vectors[0], vectors[2])
    first.reset_parameters(seeded(1))
    assert torch.equal(nn.utils.parameters_to_vector(first.parameters()), vectors[2])


def test_rows_are_independent(device):
    policy, states = Student(4, generator=seeded(0)).to(device), pixels().to(device)
    together, alone = policy(states), torch.cat([policy(row.unsqueeze(0)) for row in states])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_are_the_same_pixels_to_a_policy(kind, device):
    policy = KINDS[kind](6, generator=seeded(1)).to(device).double()
    x = pixels().to(device) / 255.0
    whole, cut = x.double().requires_grad_(), blocks(x.double()).requires_grad_()
    assert cut.shape == (3, 64, 21, 21) and sorted(cut.flatten().tolist()) == sorted(whole.flatten().tolist())
    torch.testing.assert_close(policy(cut), policy(whole))
    slopes = [torch.autograd.grad(policy(y).log_softmax(1)[:, 2].sum(), y, create_graph=True)[0] for y in (whole, cut)]
    torch.testing.assert_close(blocks(slopes[0]), slopes[1])
    seconds = [torch.autograd.grad(slope.flatten(1).norm(dim=1).sum(), list(policy.parameters()), allow_unused=True)
               for slope in slopes]
    for ours, theirs in zip(*seconds):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs)
    assert any(gradient is not None and gradient.any() for gradient in seconds[0])


def test_numbers_that_are_not_scaled_are_refused():
    policy, dark = Tiny(3), torch.zeros(1, 4, 84, 84)
    dark[0, 2, 5, 5] = 32.0                                # of 255
    for take in (policy, scaled, blocks):
        with pytest.raises(ValueError, match=r"expected floating-point pixels in \[0, 1\], got up to 32; divide them by 255"):
            take(dark)
    noisy = pixels() / 255 + torch.randn(3, 4, 84, 84, generator=seeded(0))
    assert policy(noisy).isfinite().all()
    torch.func.vmap(policy)(noisy.unsqueeze(1))            # where numbers can't be looked at


def test_another_default_dtype_changes_nothing():
    expected = Student(3)(pixels())
    try:
        torch.set_default_dtype(torch.float64)
        found = Student(3)(pixels())
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.dtype == expected.dtype and found.shape == expected.shape
