"""Networks that can be cut: each is an ``nn.Sequential`` with named children, and a cut goes after one of them."""
from collections import OrderedDict

import torch
from torch import Tensor, nn

GROUPS = 8                                                 # of a GroupNorm: channels are a multiple
BASIC = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}          # blocks in the four layers, by depth


def small_conv(in_channels: int, num_classes: int, *, width: int = 32, image_size: int = 32,
               generator: torch.Generator | None = None) -> nn.Sequential:
    """Four blocks of convolution, GroupNorm and ReLU, then a linear head: for small images, and for two cores.

    >>> network = small_conv(1, 10, image_size=8, generator=torch.Generator().manual_seed(0))
    >>> [name for name, _ in network.named_children()]
    ['block1', 'block2', 'block3', 'block4', 'head']
    >>> network(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])

    Images (N, in_channels, image_size, image_size) to logits (N, num_classes). The blocks have ``width``, 2 ``width``,
    4 ``width`` and 4 ``width`` channels. From the second on they halve height and width until at most 4 x 4 is left.

    GroupNorm rather than BatchNorm: it normalises each image alone. So the gradient of the summed loss holds every
    image's own gradient, which is what synthetic gradients learn; BatchNorm in training mode mixes the images. It also
    keeps no running statistics: a gradient, and a gradient of it, are the same in training and in test.

    ``generator`` makes the initial weights repeatable. Raises ``ValueError`` for sizes that are not positive and for a
    ``width`` that is not a multiple of 8.
    """
    _check(in_channels=in_channels, num_classes=num_classes, width=width, image_size=image_size)
    if width % GROUPS:
        raise ValueError(f"width: expected a multiple of {GROUPS}, the groups of GroupNorm, got {width}")
    blocks: list[tuple[str, nn.Module]] = []
    channels, side = in_channels, image_size
    for k, wider in enumerate((1, 2, 4, 4)):
        stride = 2 if k > 0 and side > 4 else 1
        blocks.append((f"block{k + 1}", nn.Sequential(OrderedDict(
            conv=_conv(channels, wider * width, 3, stride), norm=nn.GroupNorm(GROUPS, wider * width), relu=nn.ReLU()))))
        channels, side = wider * width, -(-side // stride)
    head = nn.Sequential(OrderedDict(flatten=nn.Flatten(), fc=_linear(channels * side * side, num_classes)))
    return _initialise(nn.Sequential(OrderedDict([*blocks, ("head", head)])), generator)


def resnet_cifar(num_classes: int = 10, *, depth: int = 18, width: int = 64,
                 generator: torch.Generator | None = None) -> nn.Sequential:
    """ResNet-18 in its form for CIFAR: a 3 x 3 stem, no max-pooling, four layers of residual blocks, a linear head.

    >>> network = resnet_cifar()
    >>> [name for name, _ in network.named_children()]
    ['stem', 'layer1', 'layer2', 'layer3', 'layer4', 'head']
    >>> sum(p.numel() for p in network.parameters())
    11173962

    Images (N, 3, H, W), usually 32 x 32, to logits (N, num_classes). The layers have ``width``, 2 ``width``,
    4 ``width`` and 8 ``width`` channels; all but the first halve height and width. ``depth``: 10, 18 or 34.

    It has BatchNorm. In training mode an image's gradient then depends on the other images of the batch.

    ``generator`` makes the initial weights repeatable. Raises ``ValueError`` for another depth, or sizes that are not
    positive. Source: He et al., 2016; widths and strides of their ImageNet networks, stem of their CIFAR ones.
    """
    _check(num_classes=num_classes, width=width)
    if depth not in BASIC:
        raise ValueError(f"depth: expected one of {', '.join(map(str, BASIC))}, got {depth!r}")
    stem = OrderedDict(conv=_conv(3, width, 3), norm=nn.BatchNorm2d(width), relu=nn.ReLU())
    layers = _layers(BasicBlock, BASIC[depth], width, width)
    head = OrderedDict(avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=_linear(8 * width, num_classes))
    parts = [("stem", nn.Sequential(stem)), *layers, ("head", nn.Sequential(head))]
    return _initialise(nn.Sequential(OrderedDict(parts)), generator)


def resnet50(num_classes: int = 1000, *, width: int = 64, generator: torch.Generator | None = None) -> nn.Sequential:
    """ResNet-50 for ImageNet; its ``state_dict`` has the names and shapes of torchvision's, so weights go both ways.

    >>> network = resnet50(num_classes=10, width=8)
    >>> [name for name, _ in network.named_children()]
    ['conv1', 'bn1', 'relu', 'maxpool', 'layer1', 'layer2', 'layer3', 'layer4', 'avgpool', 'flatten', 'fc']
    >>> network.eval()(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 10])

    Images (N, 3, H, W), usually 224 x 224, to logits (N, num_classes). This is version 1.5: a block that halves its
    input does so in its 3 x 3 convolution. ``width``: channels of the stem; 64 is the standard, less is for two cores.

    It has BatchNorm. In training mode an image's gradient then depends on the other images of the batch.

    ``generator`` makes the initial weights repeatable. Raises ``ValueError`` for sizes that are not positive.
    Source: He et al., 2016; the paper's network for ImageNet (section 4.3).
    """
    _check(num_classes=num_classes, width=width)
    # this ReLU is not in place: a cut may go before it
    stem = [("conv1", _conv(3, width, 7, 2)), ("bn1", nn.BatchNorm2d(width)), ("relu", nn.ReLU()),
            ("maxpool", nn.MaxPool2d(3, 2, padding=1))]
    layers = _layers(Bottleneck, (3, 4, 6, 3), width, width)
    head = [("avgpool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten()), ("fc", _linear(32 * width, num_classes))]
    return _initialise(nn.Sequential(OrderedDict([*stem, *layers, *head])), generator)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut: (N, C, H, W) to (N, channels, H / stride, W / stride).

    >>> BasicBlock(8, 16, stride=2)(torch.zeros(2, 8, 4, 4)).shape
    torch.Size([2, 16, 2, 2])
    """

    expansion = 1                                          # channels out, in multiples of ``channels``

    def __init__(self, in_channels: int, channels: int, stride: int = 1):
        super().__init__()
        self.conv1, self.bn1 = _conv(in_channels, channels, 3, stride), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = _conv(channels, channels, 3), nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)) + shortcut)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside a shortcut: (N, C, H, W) to (N, 4 channels, H / stride, W / stride).

    >>> Bottleneck(8, 4, stride=2)(torch.zeros(2, 8, 4, 4)).shape
    torch.Size([2, 16, 2, 2])
    """

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int = 1):
        super().__init__()
        wide = self.expansion * channels
        self.conv1, self.bn1 = _conv(in_channels, channels, 1), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = _conv(channels, channels, 3, stride), nn.BatchNorm2d(channels)
        self.conv3, self.bn3 = _conv(channels, wide, 1), nn.BatchNorm2d(wide)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, wide, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.relu(self.bn3(self.conv3(x)) + shortcut)


def _layers(block, counts: tuple[int, ...], in_channels: int, width: int) -> list[tuple[str, nn.Module]]:
    """The four layers of residual blocks, by name; each but the first begins by halving."""
    layers: list[tuple[str, nn.Module]] = []
    for k, count in enumerate(counts):
        channels = width * 2**k
        blocks = []
        for i in range(count):
            blocks.append(block(in_channels, channels, stride=2 if k > 0 and i == 0 else 1))
            in_channels = channels * block.expansion
        layers.append((f"layer{k + 1}", nn.Sequential(*blocks)))
    return layers


def _shortcut(in_channels: int, channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_channels == channels:
        return None
    return nn.Sequential(_conv(in_channels, channels, 1, stride), nn.BatchNorm2d(channels))


def _conv(in_channels: int, channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    # without PyTorch's own initialisation, which would draw from the global generator; the norm behind it has the bias
    return nn.utils.skip_init(nn.Conv2d, in_channels, channels, kernel, stride, padding=kernel // 2, bias=False,
                              device=torch.get_default_device())


def _linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.utils.skip_init(nn.Linear, inputs, outputs, device=torch.get_default_device())


@torch.no_grad()
def _initialise(network: nn.Sequential, generator: torch.Generator | None) -> nn.Sequential:
    """He normal by the number of outputs, as in torchvision's ResNets; the last layer: variance 1 / inputs."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            weight = module.weight
            variance = 2 / weight[:, 0].numel() if isinstance(module, nn.Conv2d) else 1 / module.in_features
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float32, device="cpu") * variance**0.5)
            if module.bias is not None:
                module.bias.zero_()
    return network


def _check(**sizes: int) -> None:
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name}: expected a positive whole number, got {size!r}")
