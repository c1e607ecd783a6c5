"""The networks: their layers by hand, torchvision's names and shapes, initial weights, cuts after any child."""
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sobolev_lib.synthetic_gradients.networks import resnet50, resnet_cifar, small_conv


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def pictures(n=3, channels=3, size=16, seed=0):
    return torch.randn(n, channels, size, size, generator=seeded(seed), dtype=torch.float64)


# small forms of each, and images for them
SMALL = {
    "small_conv": (lambda generator=None: small_conv(3, 5, width=8, image_size=16, generator=generator), 16),
    "resnet_cifar": (lambda generator=None: resnet_cifar(5, depth=10, width=8, generator=generator), 16),
    "resnet50": (lambda generator=None: resnet50(5, width=4, generator=generator), 64),
}


@pytest.fixture(params=SMALL)
def make(request):
    return SMALL[request.param][0]


def count(network):
    return sum(p.numel() for p in network.parameters())


# --- layers -----------------------------------------------------------------------------------------------------

# image size, height and width after each of the four blocks
@pytest.mark.parametrize("size, sides", [(4, [4, 4, 4, 4]), (8, [8, 4, 4, 4]), (16, [16, 8, 4, 4]),
                                         (28, [28, 14, 7, 4]), (32, [32, 16, 8, 4]), (64, [64, 32, 16, 8])])
def test_a_small_network_halves_its_images_until_four_pixels_are_left(size, sides):
    network, x = small_conv(2, 7, width=8, image_size=size).double(), pictures(2, 2, size)
    by_hand = x
    for k, (side, channels) in enumerate(zip(sides, (8, 16, 32, 32)), 1):
        block = getattr(network, f"block{k}")
        assert [type(module) for module in block] == [nn.Conv2d, nn.GroupNorm, nn.ReLU]
        by_hand = F.conv2d(by_hand, block.conv.weight, stride=round(by_hand.shape[-1] / side), padding=1)
        groups = by_hand.reshape(2, 8, -1)                 # (images, groups, numbers)
        centred = groups - groups.mean(2, keepdim=True)
        groups = centred / (centred.square().mean(2, keepdim=True) + 1e-5).sqrt()
        by_hand = groups.reshape(by_hand.shape).clamp_min(0)
        x = block(x)
        assert x.shape == (2, channels, side, side)
        torch.testing.assert_close(x, by_hand)
    weight = network.head.fc.weight
    assert weight.shape == (7, 32 * sides[-1] ** 2)
    torch.testing.assert_close(network.head(x), x.flatten(1) @ weight.T)


def norm(x, state, name, training):
    mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    if training:
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
    x = (x - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
    return x * state[f"{name}.weight"][:, None, None] + state[f"{name}.bias"][:, None, None]


def residual(x, state, name, kernels, stride, training):
    """A block by hand; the stride belongs to its first 3 x 3 convolution."""
    y = x
    for k, kernel in enumerate(kernels, 1):
        here = stride if k == 1 + kernels.index(3) else 1
        y = F.conv2d(y, state[f"{name}.conv{k}.weight"], stride=here, padding=(kernel - 1) // 2)
        y = norm(y, state, f"{name}.bn{k}", training)
        y = y.clamp_min(0) if k < len(kernels) else y
    if f"{name}.downsample.0.weight" in state:
        x = norm(F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride), state, f"{name}.downsample.1", training)
    return (x + y).clamp_min(0)


def layers(x, state, counts, kernels, training):
    for k, blocks in enumerate(counts, 1):
        for i in range(blocks):
            x = residual(x, state, f"layer{k}.{i}", kernels, 2 if k > 1 and i == 0 else 1, training)
    return x.mean((2, 3))


def disturbed(network, seed=0):
    """Other numbers in all norms than those they start with, so that none can be forgotten."""
    for tensor in network.state_dict().values():
        if tensor.ndim == 1:
            tensor.copy_(1 + torch.rand(tensor.shape, generator=seeded(seed)))
    return network.double()


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("depth, counts", [(10, (1, 1, 1, 1)), (18, (2, 2, 2, 2)), (34, (3, 4, 6, 3))])
def test_resnet_cifar_by_hand(depth, counts, training):
    network, x = disturbed(resnet_cifar(5, depth=depth, width=4)).train(training), pictures(4)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    y = norm(F.conv2d(x, state["stem.conv.weight"], padding=1), state, "stem.norm", training).clamp_min(0)
    y = layers(y, state, counts, (3, 3), training)
    torch.testing.assert_close(network(x), y @ state["head.fc.weight"].T + state["head.fc.bias"])


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_resnet50_by_hand(training):
    network, x = disturbed(resnet50(5, width=4)).train(training), pictures(3, size=64)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    y = norm(F.conv2d(x, state["conv1.weight"], stride=2, padding=3), state, "bn1", training).clamp_min(0)
    y = F.pad(y, (1, 1, 1, 1)).unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5))
    y = layers(y, state, (3, 4, 6, 3), (1, 3, 1), training)
    torch.testing.assert_close(network(x), y @ state["fc.weight"].T + state["fc.bias"])


def test_resnet50_has_the_names_and_shapes_of_torchvisions():
    expected = {"conv1.weight": (64, 3, 7, 7), "fc.weight": (1000, 2048), "fc.bias": (1000,)}
    norms = {"bn1": 64}
    before = 64
    for k, (blocks, channels) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)], 1):
        for i in range(blocks):
            block = f"layer{k}.{i}"
            expected[f"{block}.conv1.weight"] = (channels, before, 1, 1)
            expected[f"{block}.conv2.weight"] = (channels, channels, 3, 3)
            expected[f"{block}.conv3.weight"] = (4 * channels, channels, 1, 1)
            norms |= {f"{block}.bn1": channels, f"{block}.bn2": channels, f"{block}.bn3": 4 * channels}
            if i == 0:
                expected[f"{block}.downsample.0.weight"] = (4 * channels, before, 1, 1)
                norms[f"{block}.downsample.1"] = 4 * channels
            before = 4 * channels
    for name, channels in norms.items():
        expected |= {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
        expected[f"{name}.num_batches_tracked"] = ()
    network = resnet50()
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == expected
    # as published with torchvision's weights
    assert len(expected) == 320 and count(network) == 25_557_032
    assert count(resnet50(100)) == 25_557_032 - 900 * 2049
    # all of them load, and the network is a plain Sequential whose children can be cut apart
    assert type(network) is nn.Sequential
    network.load_state_dict(dict(network.state_dict()), strict=True)


@pytest.mark.parametrize("depth, classes, expected", [(18, 10, 11_173_962), (34, 10, 21_282_122), (18, 100, 11_220_132)])
def test_resnet_cifar_has_as_many_parameters_as_published(depth, classes, expected):
    assert count(resnet_cifar(classes, depth=depth)) == expected


def test_resnet_cifar_halves_in_all_layers_but_the_first():
    network, x = resnet_cifar(width=8), torch.zeros(1, 3, 32, 32)
    shapes = {name: tuple((x := child(x)).shape[1:]) for name, child in network.eval().named_children()}
    assert shapes == {"stem": (8, 32, 32), "layer1": (8, 32, 32), "layer2": (16, 16, 16), "layer3": (32, 8, 8),
                      "layer4": (64, 4, 4), "head": (10,)}


# --- cuts and gradients -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", SMALL)
def test_a_network_may_be_cut_after_any_child(name):
    make, size = SMALL[name]
    network, x = make(seeded(0)).double(), pictures(4, size=size)
    whole = network(x)
    expected = torch.autograd.grad(whole.logsumexp(1).sum(), list(network.parameters()))
    for k in range(1, len(network)):
        below = network[:k](x)
        cut = below.detach().requires_grad_()
        before = cut.detach().clone()
        above = network[k:](cut)
        torch.testing.assert_close(above, whole)
        assert torch.equal(cut, before), f"what lies above child {k} changed its input in place"
        inner = torch.autograd.grad(above.logsumexp(1).sum(), [cut, *network[k:].parameters()])
        outer = torch.autograd.grad(below, list(network[:k].parameters()), inner[0])
        torch.testing.assert_close([*outer, *inner[1:]], list(expected))


def test_gradients_of_a_small_network_are_those_of_each_image_alone():
    """And batch normalisation's are not: the reason for GroupNorm."""
    def slopes(network, x):
        x = x.clone().requires_grad_()
        return torch.autograd.grad(network(x).logsumexp(1).sum(), x)[0]

    x = pictures(3)
    network = SMALL["small_conv"][0](seeded(0)).double()
    alone = torch.cat([slopes(network, row.unsqueeze(0)) for row in x])
    torch.testing.assert_close(slopes(network, x), alone)
    torch.testing.assert_close(network.eval()(x), network.train()(x))
    mixing = SMALL["resnet_cifar"][0](seeded(0)).double()
    alone = torch.cat([slopes(mixing, row.unsqueeze(0)) for row in x])
    assert (slopes(mixing, x) - alone).abs().max() > 0.01 * alone.abs().max()
    torch.testing.assert_close(slopes(mixing.eval(), x), torch.cat([slopes(mixing, row.unsqueeze(0)) for row in x]))


def test_a_small_network_can_be_differentiated_twice():
    network = small_conv(1, 3, width=8, image_size=4, generator=seeded(0)).double()
    x = pictures(1, 1, 4).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: network(x).log_softmax(1)[:, 1], x)


# --- initial weights --------------------------------------------------------------------------------------------

def test_initial_weights_are_he_normal(make):
    network = make(seeded(0))
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            expected = math.sqrt(2 / (module.out_channels * module.kernel_size[0] ** 2))
            assert module.bias is None
        elif isinstance(module, nn.Linear):
            expected = 1 / math.sqrt(module.in_features)
            assert not module.bias.any()
        else:
            continue
        spread = module.weight.std().item() / expected
        assert abs(spread - 1) < 5 / math.sqrt(2 * module.weight.numel()), name


def test_a_generator_makes_initial_weights_repeatable(make):
    state = torch.get_rng_state()
    first, second, other = [nn.utils.parameters_to_vector(make(seeded(seed)).parameters()) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), state), "a generator was given, yet the global one was used"
    assert torch.equal(first, second) and not torch.equal(first, other)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert torch.equal(nn.utils.parameters_to_vector(make().parameters()), first)


def test_weights_are_made_on_the_default_device():
    with torch.device("meta"):
        assert {p.device.type for p in resnet_cifar(depth=10, width=8).parameters()} == {"meta"}


# --- bad input --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("make, message", [
    (lambda: small_conv(0, 10), "in_channels: expected a positive whole number, got 0"),
    (lambda: small_conv(1, 2.0), "num_classes: expected a positive whole number, got 2.0"),
    (lambda: small_conv(1, 10, width=12), "width: expected a multiple of 8, the groups of GroupNorm, got 12"),
    (lambda: small_conv(1, 10, image_size=-8), "image_size: expected a positive whole number, got -8"),
    (lambda: resnet_cifar(10, depth=20), "depth: expected one of 10, 18, 34, got 20"),
    (lambda: resnet_cifar("10"), "num_classes: expected a positive whole number, got '10'"),
    (lambda: resnet50(width=0), "width: expected a positive whole number, got 0"),
    (lambda: resnet50(True), "num_classes: expected a positive whole number, got True"),
])
def test_sizes_that_make_no_network_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
