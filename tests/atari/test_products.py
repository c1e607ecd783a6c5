"""A policy as matrix products: the policy itself, in values and derivatives, for each of many weights."""
import pytest
import torch
from arcade import Tiny

from sobolev_lib.atari import Student, Teacher
from sobolev_lib.atari.policies import Policy, blocks
from sobolev_lib.atari.products import as_products


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def pixels(n=2):
    return torch.randint(256, (n, 4, 84, 84), dtype=torch.uint8, generator=seeded(0))


@pytest.mark.parametrize("kind", [Tiny, Student, Teacher])
def test_values_and_both_orders_of_derivatives_are_the_policys(kind, device):
    policy = kind(5, generator=seeded(0)).to(device).double()
    x = blocks(pixels().to(device)).double()
    products, parameters = as_products(policy), dict(policy.named_parameters())

    def derivatives(run):
        inputs = x.clone().requires_grad_()
        y = run(inputs).log_softmax(1)
        slope, = torch.autograd.grad(y[:, 2].sum(), inputs, create_graph=True)
        return y, slope, *torch.autograd.grad(slope.square().sum() + y.sum(), list(parameters.values()))

    for ours, theirs in zip(derivatives(lambda x: products(parameters, x)), derivatives(policy)):
        torch.testing.assert_close(ours, theirs)


def test_many_weights_side_by_side(device):
    policies = [Student(5, generator=seeded(k)).to(device).double() for k in range(3)]
    x = blocks(pixels().to(device)).double()
    stacked = {name: torch.stack([dict(policy.named_parameters())[name].detach() for policy in policies])
               for name, _ in policies[0].named_parameters()}
    together = torch.vmap(as_products(policies[0]), in_dims=(0, None))(stacked, x)
    for found, policy in zip(together, policies):
        torch.testing.assert_close(found, policy(x))


def test_strides_that_do_not_fit_are_named():
    class Odd(Policy):
        convolutions, hidden = ((4, 8, 8), (4, 3, 2)), 8

    with pytest.raises(ValueError, match="multiple of the stride"):
        policy = Odd(3)
        as_products(policy)(dict(policy.named_parameters()), blocks(pixels()))
