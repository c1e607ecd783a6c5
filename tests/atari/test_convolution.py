"""The convolution for double differentiation: PyTorch's own in values and in all derivatives."""
import pytest
import torch
from torch.nn import functional as F

from sobolev_lib.atari.convolution import Convolution, convolve

SIZES = [(9, 3, 2), (10, 4, 2), (11, 4, 2), (8, 3, 1), (7, 2, 3)]     # input, kernel, stride; some leave a margin


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def operands(size, kernel, device="cpu"):
    return [torch.randn(shape, generator=seeded(k), dtype=torch.float64).to(device).requires_grad_()
            for k, shape in enumerate([(2, 3, size, size + 1), (4, 3, kernel, kernel), (4,)])]


@pytest.mark.parametrize("size, kernel, stride", SIZES)
def test_values_and_both_orders_of_derivatives_are_those_of_conv2d(size, kernel, stride, device):
    def derivatives(operation):
        x, weight, bias = operands(size, kernel, device)
        y = operation(x, weight, bias, stride)
        # a loss that needs the second derivative: the size of the input gradient of something curved
        slope, = torch.autograd.grad(y.sin().sum(), x, create_graph=True)
        return y, slope, *torch.autograd.grad((slope**2).sum(), (x, weight, bias))

    for ours, theirs in zip(derivatives(convolve), derivatives(F.conv2d)):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("size, kernel, stride", [SIZES[0], *(pytest.param(*size, marks=pytest.mark.slow) for size in SIZES[1:3])])
def test_numerical_derivatives_agree(size, kernel, stride):
    x, weight, bias = operands(size, kernel)
    assert torch.autograd.gradcheck(lambda *a: convolve(*a, stride), (x, weight, bias))
    assert torch.autograd.gradgradcheck(lambda *a: convolve(*a, stride), (x, weight, bias))


def test_many_at_once_under_vmap_and_grad(device):
    x = torch.randn(2, 3, 9, 9, generator=seeded(0), dtype=torch.float64).to(device)
    weights = torch.randn(5, 4, 3, 3, 3, generator=seeded(1), dtype=torch.float64).to(device)
    bias = torch.zeros(4, dtype=torch.float64, device=device)

    def loss(weight):
        slope = torch.func.grad(lambda x: convolve(x, weight, bias, 2).sin().sum())(x)
        return (slope**2).sum()

    together = torch.vmap(torch.func.grad(loss))(weights)
    for weight, found in zip(weights, together):
        weight = weight.clone().requires_grad_()
        points = x.clone().requires_grad_()
        slope, = torch.autograd.grad(F.conv2d(points, weight, bias, 2).sin().sum(), points, create_graph=True)
        torch.testing.assert_close(found, torch.autograd.grad((slope**2).sum(), weight)[0])


def test_the_module_is_conv2d_in_another_dress():
    ours, theirs = Convolution(3, 4, 3, 2), torch.nn.Conv2d(3, 4, 3, 2)
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(2, 3, 9, 9, generator=seeded(2))
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("wrong", [dict(padding=1), dict(dilation=2), dict(groups=3), dict(padding="same")])
def test_what_it_has_not_is_refused(wrong):
    with pytest.raises(TypeError, match="unexpected keyword"):
        Convolution(3, 3, 3, **wrong)
    with pytest.raises(TypeError, match="positional"):
        Convolution(3, 3, 3, 1, 1)
    with pytest.raises(ValueError, match=r"stride: expected one for both directions, got \(2, 1\)"):
        Convolution(3, 4, 3, (2, 1))
    with pytest.raises(ValueError, match=r"input: expected shape \(N, C, H, W\), got \(3, 9, 9\)"):
        Convolution(3, 4, 3)(torch.zeros(3, 9, 9))


def test_without_a_bias():
    ours, theirs = Convolution(3, 4, (3, 2), bias=False), torch.nn.Conv2d(3, 4, (3, 2), bias=False)
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(2, 3, 9, 9, generator=seeded(2))
    torch.testing.assert_close(ours(x), theirs(x))
