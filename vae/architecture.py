"""The network as numbers: its stages, and the name and shape of each of its arrays.

`vae.model` builds it to be trained and `vae.network` runs it in numpy; here is all that
the two have to agree on. Nothing of ours is imported.
"""
import math

PATCH = 4  # pixels a side, folded into the channels of the first layer
WIDTHS = (32, 64, 128, 192, 256)  # channels of each stage
DENSE_WIDTH = 512  # features of each layer of a dense network
DENSE_VALUES = 4096  # of the largest image that gets one
LARGEST_GRID = 8  # stages are added until the innermost grid is smaller
LOG_VAR_RANGE = (-12.0, 6.0)  # of a latent; keeps exp() finite whatever comes in


def count_stages(width, height):
    """Returns the number of halvings, plus one, for images of a size in pixels."""
    stages = 2
    while max(width, height) >= LARGEST_GRID * PATCH * 2 ** (stages - 1):
        if stages == len(WIDTHS):
            break
        stages += 1
    return stages


def grid_of(config):
    """Returns (rows, columns) of the innermost grid; odd sizes are padded up."""
    unit = unit_of(config)
    return -(-config.height // unit), -(-config.width // unit)


def unit_of(config):
    """Returns the pixels a side that one cell of the innermost grid stands for."""
    return PATCH * 2 ** (count_stages(config.width, config.height) - 1)


def is_dense(config):
    """Whether a model's encoder and decoder are of dense layers alone.

    Small aligned faces are fitted far better so, and bits are what discretized is for.
    """
    values = config.width * config.height * config.channels
    return config.likelihood == "discretized" and values <= DENSE_VALUES


def count_features(config):
    """Returns the length of the row that lies between convolutions and codes."""
    rows, columns = grid_of(config)
    return rows * columns * WIDTHS[count_stages(config.width, config.height) - 1]


def count_outputs(config):
    """Returns the channels that a decoder gives: for discretized, the noise as well."""
    return config.channels * (2 if config.likelihood == "discretized" else 1)


def shape_arrays(config):
    """Returns name -> shape, of all arrays of a model that are saved.

    Args:
        config: a `ModelConfig`.
    """
    image, codes = (config.height, config.width, config.channels), config.latent_dim
    shapes = {"sigma": (), "average": image, "variation": image}
    dense, features = is_dense(config), count_features(config)
    trunk = _hidden(math.prod(image)) if dense else _trunk(config)
    shapes |= _prefixed("encoder", trunk)
    encoded = _layer(DENSE_WIDTH if dense else features, codes)
    for name in ("z_mean", "z_log_var"):
        shapes |= _prefixed(f"encoder/{name}", encoded)
    decoder = _dense_decoder(config) if dense else _decoder(config)
    shapes |= _prefixed("decoder", decoder)
    return shapes


def _prefixed(prefix, shapes):
    return {f"{prefix}/{name}": shape for name, shape in shapes.items()}


def _layer(inputs, outputs, *size):
    return {"kernel": (*size, inputs, outputs), "bias": (outputs,)}


def _hidden(inputs):
    shapes = _prefixed("hidden_a", _layer(inputs, DENSE_WIDTH))
    return shapes | _prefixed("hidden_b", _layer(DENSE_WIDTH, DENSE_WIDTH))


def _dense_decoder(config):
    image = config.height, config.width, count_outputs(config)
    shapes = _hidden(config.latent_dim)
    shapes |= _prefixed("out", _layer(DENSE_WIDTH, math.prod(image)))
    shapes["mean_image/image"] = image
    return shapes


def _trunk(config):
    widths = WIDTHS[: count_stages(config.width, config.height)]
    shapes = _prefixed("in", _layer(PATCH**2 * config.channels, widths[0], 3, 3))
    for stage, width in enumerate(widths):
        if stage:
            down = _layer(4 * widths[stage - 1], width, 1, 1)
            shapes |= _prefixed(f"down{stage}", down)
        shapes |= _block(stage, width)
    return shapes


def _block(stage, width):
    found = {}
    for part in "ab":
        found |= _prefixed(f"block{stage}_{part}", _layer(width, width, 3, 3))
    return found


def _decoder(config):
    widths = WIDTHS[: count_stages(config.width, config.height)]
    shapes = _prefixed("in", _layer(config.latent_dim, count_features(config)))
    for stage, width in enumerate(widths):
        shapes |= _block(stage, width)
        if stage:
            up = _layer(width, 4 * widths[stage - 1], 1, 1)
            shapes |= _prefixed(f"up{stage}", up)
    channels = count_outputs(config)
    shapes |= _prefixed("out", _layer(widths[0], PATCH**2 * channels, 3, 3))
    shapes["mean_image/image"] = (config.height, config.width, channels)
    return shapes
