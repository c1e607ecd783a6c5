"""The two networks of section 4.2: a teacher, and the smaller student it is distilled into."""
import torch
from torch import Tensor, nn

from sobolev_lib._arguments import integer
from sobolev_lib._rows import is_concrete
from sobolev_lib.atari.convolution import Convolution, convolve

FLOAT = torch.float32                                      # whatever the default dtype is: pixels become that
BRIGHTEST = 16                                             # beyond what noise makes of a pixel in [0, 1]
BLOCK = 4                                                  # pixels a side; the first layer's kernel and stride are multiples


class Policy(nn.Module):
    """A policy over Atari states: convolutions, then fully connected layers, ReLU between, no normalisation layers.

    >>> policy = Student(num_actions=6)
    >>> policy(torch.zeros(1, 4, 84, 84, dtype=torch.uint8)).shape              # uint8 pixels, 0 to 255
    torch.Size([1, 6])
    >>> policy(torch.zeros(1, 4, 84, 84)).shape                                 # floating point: pixels scaled to [0, 1]
    torch.Size([1, 6])

    Input (N, 4, 84, 84), or the same pixels as ``blocks``; output (N, num_actions): logits, of which ``log_softmax`` is
    log pi. Derivatives are taken with respect to a floating-point input, so per unit of brightness, black to white.

    ``generator`` makes the initial weights repeatable (He normal; see ``head_gain`` for the last layer). Raises
    ``ValueError`` for inputs of another shape, and for floating-point ones that are not scaled.
    """

    convolutions: tuple[tuple[int, int, int], ...]         # channels, kernel, stride
    hidden: int                                            # units of the fully connected layer
    # standard deviation of the last layer's initial weights, times sqrt(hidden): what learns by trial begins near uniform
    head_gain: float = 0.01

    def __init__(self, num_actions: int, *, generator: torch.Generator | None = None):
        super().__init__()
        self.num_actions = num_actions = integer(num_actions, "num_actions", "a positive number")
        layers: list[nn.Module] = []
        channels, size = 4, 84
        for out_channels, kernel, stride in self.convolutions:
            layers += [nn.utils.skip_init(Convolution, channels, out_channels, kernel, stride, dtype=FLOAT), nn.ReLU()]
            channels, size = out_channels, (size - kernel) // stride + 1
        layers += [nn.Flatten(), nn.utils.skip_init(nn.Linear, channels * size * size, self.hidden, dtype=FLOAT), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.utils.skip_init(nn.Linear, self.hidden, num_actions, dtype=FLOAT)
        self.reset_parameters(generator)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw new initial weights, repeatable through ``generator``."""
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                gain = self.head_gain if module is self.head else 2**0.5
                std = gain / module.weight[0].numel() ** 0.5
                drawn = torch.randn(module.weight.shape, generator=generator, dtype=torch.float32, device="cpu")
                module.weight.copy_(drawn * std)
                module.bias.zero_()

    def forward(self, states: Tensor) -> Tensor:
        if states.shape[1:] != (4 * BLOCK**2, 84 // BLOCK, 84 // BLOCK):
            return self.head(self.features(scaled(states)))
        first = self.features[0]
        # kernel and stride being whole numbers of blocks, the convolution of pixels is one of blocks
        k, s = first.kernel_size[0] // BLOCK, BLOCK
        weight = first.weight.reshape(-1, 4, k, s, k, s).permute(0, 1, 3, 5, 2, 4).reshape(-1, 4 * s * s, k, k)
        return self.head(self.features[1:](convolve(states, weight, first.bias, first.stride[0] // s)))


class Teacher(Policy):
    """Three convolutions and two fully connected layers, 1.7 million parameters: (N, 4, 84, 84) to (N, num_actions).

    >>> sum(p.numel() for p in Teacher(num_actions=6).parameters())
    1687206

    Source: section 4.2; the sizes are those of DQN's network, since the paper leaves them to its supplement.
    """

    convolutions = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
    hidden = 512


class Student(Policy):
    """Two convolutions and one smaller fully connected layer before the logits (N, num_actions), 0.7 million parameters.

    >>> sum(p.numel() for p in Student(num_actions=6).parameters())
    677686

    Source: section 4.2; the sizes are those of A3C's network, since the paper leaves them to its supplement.
    """

    convolutions = ((16, 8, 4), (32, 4, 2))
    hidden = 256
    head_gain = 1.0                                        # has answers to learn from, and learns sooner this way


def scaled(states: Tensor) -> Tensor:
    """States as floating-point pixels in [0, 1]; floating-point ones are taken as scaled already."""
    return _numbers(_checked(states))


def blocks(states: Tensor, *, scale: bool = True) -> Tensor:
    """States as blocks of 4 x 4 pixels, (N, 64, 21, 21): the same numbers in another order, so norms stay what they are.

    >>> blocks(torch.zeros(2, 4, 84, 84, dtype=torch.uint8)).shape
    torch.Size([2, 64, 21, 21])

    A policy treats both alike, but derivatives with respect to blocks take a CPU about half the time. ``scale=False``
    leaves bytes as bytes.
    """
    rows = _checked(states).unflatten(3, (-1, BLOCK)).unflatten(2, (-1, BLOCK))              # (N, 4, 21, 4, 21, 4)
    # channels last, as convolutions on a CPU like it; and arranged before scaled, since bytes are quicker to move
    arranged = rows.permute(0, 2, 4, 1, 3, 5).flatten(3).permute(0, 3, 1, 2)
    return _numbers(arranged) if scale else arranged


def _checked(states: Tensor) -> Tensor:
    if states.ndim != 4 or states.shape[1:] != (4, 84, 84):
        raise ValueError(f"states: expected shape (N, 4, 84, 84), got {tuple(states.shape)}")
    if states.dtype != torch.uint8 and not states.is_floating_point():
        raise TypeError(f"states: expected uint8 pixels or floating-point ones in [0, 1], got {states.dtype}")
    if states.is_floating_point() and states.numel() and is_concrete(states) and states.detach().amax() > BRIGHTEST:
        raise ValueError(f"states: expected floating-point pixels in [0, 1], got up to {float(states.detach().amax()):.3g}; "
                         "divide them by 255, or give uint8 ones")
    return states


def _numbers(pixels: Tensor) -> Tensor:
    return pixels.float().div_(255) if pixels.dtype == torch.uint8 else pixels
