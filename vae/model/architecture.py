"""The network as a list of layers: the only place where its topology is written.

`network.py` builds the list in Keras, to be trained; `inference.py` runs it in numpy.
Names and shapes of all arrays follow from it. Images are folded into the channels
(space to depth) before any convolution, so that all work is done by small dense kernels
that a processor without a GPU runs at full speed. There is no batch normalisation: it
reads strangers as noise.
"""

import math
from typing import NamedTuple

from vae.config import ModelConfig

PATCH = 4  # pixels a side, folded into the channels of the first layer
WIDTHS = (32, 64, 128, 192, 256)  # channels of each stage
DENSE_WIDTH = 512  # features of each layer of a dense network
DENSE_VALUES = 4096  # of the largest image that gets one
LARGEST_GRID = 8  # stages are added until the innermost grid is smaller
LOG_VAR_RANGE = (-12.0, 6.0)  # of a latent; keeps exp() finite whatever comes in


class Rescale(NamedTuple):
    """Multiplies by `scale`, then adds `offset`."""

    scale: float
    offset: float


class Pad(NamedTuple):
    """Adds zeros below and to the right: (B, H + bottom, W + right, C)."""

    bottom: int
    right: int


class Crop(NamedTuple):
    """Keeps the first rows and columns: (B, height, width, C)."""

    height: int
    width: int


class SpaceToDepth(NamedTuple):
    """Folds squares of pixels into channels: (B, H, W, C) -> (B, H/n, W/n, n*n*C)."""

    size: int


class DepthToSpace(NamedTuple):
    """Unfolds channels into squares of pixels: (B, H, W, n*n*C) -> (B, H*n, W*n, C)."""

    size: int


class Reshape(NamedTuple):
    """Gives each item another shape: (B, *shape)."""

    shape: tuple


class ReLU(NamedTuple):
    """max(x, 0). Not a leaky one: where TensorFlow 2.21 fuses that behind an addition
    on a CPU, its slope becomes 0.2, in evaluation alone."""


class GELU(NamedTuple):
    """The Gaussian error linear unit, in its tanh form (Hendrycks and Gimpel 2016)."""


class Dense(NamedTuple):
    """A matrix product and a bias: (B, inputs) -> (B, outputs)."""

    name: str
    inputs: int
    outputs: int

    @property
    def shapes(self) -> dict[str, tuple]:
        """Name -> shape of its arrays."""
        return {"kernel": (self.inputs, self.outputs), "bias": (self.outputs,)}


class Convolution(NamedTuple):
    """A convolution that keeps the size, zeros around: (B, H, W, inputs -> outputs).

    `quiet` starts it near zero, as the last one of a residual block.
    """

    name: str
    size: int
    inputs: int
    outputs: int
    quiet: bool = False

    @property
    def shapes(self) -> dict[str, tuple]:
        """Name -> shape of its arrays."""
        kernel = (self.size, self.size, self.inputs, self.outputs)
        return {"kernel": kernel, "bias": (self.outputs,)}


class AddImage(NamedTuple):
    """Adds one trained value a pixel, so that a decoder can start at the mean image."""

    name: str
    image: tuple

    @property
    def shapes(self) -> dict[str, tuple]:
        """Name -> shape of its array."""
        return {"image": self.image}


class Residual(NamedTuple):
    """Adds to x what layers make of it: x + layers(x)."""

    layers: tuple


class Architecture(NamedTuple):
    """All layers of a model.

    Attributes:
        trunk: images (B, H, W, C), 0..1, to features (B, F).
        z_mean, z_log_var: `Dense`, features to codes (B, Z); the second is clipped to
            `LOG_VAR_RANGE`.
        decoder: codes (B, Z) to outputs (B, H, W, C or 2C), see
            `losses.reconstruction_loss`.
    """

    trunk: tuple
    z_mean: Dense
    z_log_var: Dense
    decoder: tuple


def design_network(config: ModelConfig) -> Architecture:
    """Returns all layers of a model."""
    channels = count_outputs(config)
    if is_dense(config):
        pixels = config.height * config.width
        features = DENSE_WIDTH
        trunk = (Reshape((pixels * config.channels,)),)
        trunk += _hidden(pixels * config.channels)
        image = (config.height, config.width, channels)
        decoder = _hidden(config.latent_dim)
        decoder += (Dense("out", DENSE_WIDTH, pixels * channels), Reshape(image))
    else:
        features = math.prod(_innermost(config))
        trunk, decoder = _fold_images(config), _unfold_codes(config)
    image = (config.height, config.width, channels)
    return Architecture(
        (Rescale(2.0, -1.0), *trunk),
        Dense("z_mean", features, config.latent_dim),
        Dense("z_log_var", features, config.latent_dim),
        (*decoder, AddImage("mean_image", image)),
    )


def is_dense(config: ModelConfig) -> bool:
    """Whether a model's encoder and decoder are of dense layers alone.

    Small aligned faces are fitted far better so, and bits are what discretized is for.
    """
    values = config.width * config.height * config.channels
    return config.likelihood == "discretized" and values <= DENSE_VALUES


def count_outputs(config: ModelConfig) -> int:
    """Returns the channels that a decoder gives: for discretized, the noise as well."""
    return config.channels * (2 if config.likelihood == "discretized" else 1)


def count_stages(width: int, height: int) -> int:
    """Returns the number of halvings, plus one, for images of a size in pixels."""
    stages = 2
    while max(width, height) >= LARGEST_GRID * PATCH * 2 ** (stages - 1):
        if stages == len(WIDTHS):
            break
        stages += 1
    return stages


def _innermost(config):
    """(rows, columns, channels) of the innermost grid; odd sizes are padded up."""
    stages = count_stages(config.width, config.height)
    unit = PATCH * 2 ** (stages - 1)  # pixels a side that one of its cells stands for
    return -(-config.height // unit), -(-config.width // unit), WIDTHS[stages - 1]


def _hidden(inputs):
    """Two dense layers, the second around a shortcut: (B, inputs) -> (B, 512)."""
    second = Dense("hidden_b", DENSE_WIDTH, DENSE_WIDTH)
    first = Dense("hidden_a", inputs, DENSE_WIDTH)
    return (first, GELU(), Residual((second, GELU())))


def _block(stage):
    """Two 3x3 convolutions around a shortcut; keeps the shape."""
    width, name = WIDTHS[stage], f"block{stage}"
    first = Convolution(f"{name}_a", 3, width, width)
    second = Convolution(f"{name}_b", 3, width, width, quiet=True)
    return Residual((ReLU(), first, ReLU(), second))


def _fold_images(config):
    """Images (B, H, W, C) to one row of features each."""
    stages, grid = count_stages(config.width, config.height), _innermost(config)
    unit = PATCH * 2 ** (stages - 1)
    found = [
        Pad(grid[0] * unit - config.height, grid[1] * unit - config.width),
        SpaceToDepth(PATCH),
        Convolution("in", 3, PATCH**2 * config.channels, WIDTHS[0]),
        _block(0),
    ]
    for stage in range(1, stages):
        below, width = WIDTHS[stage - 1 : stage + 1]
        found += [SpaceToDepth(2), Convolution(f"down{stage}", 1, 4 * below, width)]
        found.append(_block(stage))
    return (*found, ReLU(), Reshape((math.prod(grid),)))


def _unfold_codes(config):
    """Codes (B, Z) to outputs (B, H, W, C or 2C): the way of `_fold_images` back."""
    stages, grid = count_stages(config.width, config.height), _innermost(config)
    found = [Dense("in", config.latent_dim, math.prod(grid)), Reshape(grid)]
    for stage in reversed(range(1, stages)):
        below, width = WIDTHS[stage - 1 : stage + 1]
        found += [_block(stage), Convolution(f"up{stage}", 1, width, 4 * below)]
        found.append(DepthToSpace(2))
    out = Convolution("out", 3, WIDTHS[0], PATCH**2 * count_outputs(config))
    found += [_block(0), ReLU(), out, DepthToSpace(PATCH)]
    return (*found, Crop(config.height, config.width))


def shape_arrays(config: ModelConfig) -> dict[str, tuple]:
    """Returns name -> shape, of all arrays of a model that are saved."""
    image, design = (
        (config.height, config.width, config.channels),
        design_network(config),
    )
    encoder = (*design.trunk, design.z_mean, design.z_log_var)
    return (
        {"sigma": (), "average": image, "variation": image}
        | _shapes_of("encoder", encoder)
        | _shapes_of("decoder", design.decoder)
    )


def _shapes_of(prefix, layers):
    found = {}
    for layer in layers:
        if isinstance(layer, Residual):
            found |= _shapes_of(prefix, layer.layers)
        for name, shape in getattr(layer, "shapes", {}).items():
            found[f"{prefix}/{layer.name}/{name}"] = shape
    return found
