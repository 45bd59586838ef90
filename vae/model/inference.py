"""A trained model in use: images to codes and back, on all cores. numpy only.

It runs the list of layers in `architecture.py` without TensorFlow, which takes longer
to start than a thousand images take here; a test holds it against Keras.
"""

from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from vae.checkpoint.model_files import ModelFiles
from vae.checkpoint.storage import unpack_arrays
from vae.config import ModelConfig
from vae.errors import VaeError
from vae.images.pixels import to_float32, to_uint8
from vae.model import architecture as design
from vae.model.architecture import LOG_VAR_RANGE, design_network, shape_arrays
from vae.parallel import cut_evenly, map_ordered

BLOCK_PIXELS = 100_000  # of images that go through together; more leave the cache
GELU_SLOPE, GELU_CUBE = np.float32(np.sqrt(2 / np.pi)), np.float32(0.044715)


def load_actor(files: ModelFiles) -> "Actor":
    """Returns the actor of a model.

    Raises:
        VaeError: the weights are damaged or of another model.
    """
    path, content = files.find("weights.h5")
    arrays = unpack_arrays(path, shape_arrays(files.config), content)
    return Actor(files.config, arrays)


class Actor:
    """A model that encodes and decodes arrays of any length, block by block.

    One block is done in the thread that asks, more of them on all cores.

    Args:
        arrays: name -> array, of `architecture.shape_arrays`.

    Attributes:
        average, variation: (H, W, C) float32, mean and standard deviation of each
            pixel over the actor's images, 0..1.
        arrays: all of the model's, float32.
        block: images that go through together, at most.
    """

    def __init__(self, config: ModelConfig, arrays: Mapping[str, np.ndarray]):
        arrays = {name: np.asarray(array, "f4") for name, array in arrays.items()}
        self._config, self.arrays = config, arrays
        self._network = design_network(config)
        self.average, self.variation = arrays["average"], arrays["variation"]
        self.block = max(1, BLOCK_PIXELS // (config.width * config.height))

    def encode(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns z_mean, z_log_var, each (B, Z) float32, of uint8 (B, H, W, C)."""
        parts = self._map(lambda part: self._encode(to_float32(part)), images)
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    def encode_floats(self, images: np.ndarray) -> np.ndarray:
        """Returns z_mean (B, Z) of float32 (B, H, W, C), where 0 is black, 1 white."""
        return np.concatenate([z for z, _ in self._map(self._encode, images)])

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Returns uint8 images (B, H, W, C) of codes (B, Z).

        Raises:
            VaeError: the weights are so large that no number comes out.
        """
        return np.concatenate(self._map(self._decode, z))

    def _encode(self, images):
        """Returns z_mean, z_log_var (B, Z) of float32 images, 0 black, 1 white."""
        x = self._run("encoder", self._network.trunk, images)  # (B, F)
        z_mean = self._run("encoder", [self._network.z_mean], x)
        z_log_var = self._run("encoder", [self._network.z_log_var], x)
        return z_mean, z_log_var.clip(*LOG_VAR_RANGE)

    def _decode(self, z):
        outputs = self._run("decoder", self._network.decoder, z)  # (B, H, W, C or 2C)
        if self._config.likelihood == "bernoulli":
            outputs = 1 / (1 + np.exp(-outputs.clip(-80, 80)))
        means = outputs[..., : self._config.channels]  # what may follow is noise
        try:
            return to_uint8(means)
        except ValueError as error:
            raise VaeError(f"the model's pictures are no pictures: {error}") from error

    def _run(self, prefix, layers, x):
        """Returns what layers, one after another, make of x."""
        for layer in layers:
            if isinstance(layer, design.Residual):
                x = x + self._run(prefix, layer.layers, x)
                continue
            names = getattr(layer, "shapes", ())
            arrays = [self.arrays[f"{prefix}/{layer.name}/{name}"] for name in names]
            x = _apply(layer, x, *arrays) if arrays else _apply_plain(layer, x)
        return x

    def _map(self, function, items):
        """Returns what `function` makes of each block of items."""
        parts = cut_evenly(len(items), self.block)

        def work(part):
            with np.errstate(all="ignore"):  # what is not finite is told apart later
                return function(items[part])

        return [work(*parts)] if len(parts) == 1 else list(map_ordered(work, parts))


def _apply(layer, x, kernel, bias=None):
    match layer:
        case design.Dense():
            return x @ kernel + bias
        case design.Convolution():
            return convolve(x, kernel) + bias
        case design.AddImage():
            return x + kernel
    raise TypeError(f"{layer!r} found, a layer of vae.model.architecture expected")


def _apply_plain(layer, x):
    match layer:
        case design.Rescale(scale, offset):
            return x * np.float32(scale) + np.float32(offset)
        case design.Pad(bottom, right):
            return np.pad(x, ((0, 0), (0, bottom), (0, right), (0, 0)))
        case design.Crop(height, width):
            return x[:, :height, :width]
        case design.SpaceToDepth(size):
            return fold(x, size)
        case design.DepthToSpace(size):
            return unfold(x, size)
        case design.Reshape(shape):
            return x.reshape(len(x), *shape)
        case design.ReLU():
            return np.maximum(x, 0)
        case design.GELU():
            return 0.5 * x * (1 + np.tanh(GELU_SLOPE * (x + GELU_CUBE * x**3)))
    raise TypeError(f"{layer!r} found, a layer of vae.model.architecture expected")


def convolve(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A convolution that keeps the size, zeros around, as one matrix product (im2col).

    Args:
        x: (B, H, W, C). kernel: (n, n, C, K), n odd.

    Returns:
        (B, H, W, K)
    """
    size, _, channels, filters = kernel.shape
    edge = (size // 2, size // 2)
    padded = np.pad(x, ((0, 0), edge, edge, (0, 0)))
    windows = sliding_window_view(padded, (size, size), (1, 2))  # (B, H, W, C, n, n)
    columns = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, size * size * channels)
    return (columns @ kernel.reshape(-1, filters)).reshape(*x.shape[:3], filters)


def fold(x: np.ndarray, size: int) -> np.ndarray:
    """Space to depth: (B, H, W, C) to (B, H/n, W/n, n*n*C)."""
    count, rows, columns, channels = x.shape
    x = x.reshape(count, rows // size, size, columns // size, size, channels)
    x = x.transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(count, rows // size, columns // size, size * size * channels)


def unfold(x: np.ndarray, size: int) -> np.ndarray:
    """Depth to space: (B, H, W, n*n*C) to (B, H*n, W*n, C)."""
    count, rows, columns, channels = x.shape
    x = x.reshape(count, rows, columns, size, size, channels // size**2)
    x = x.transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(count, rows * size, columns * size, channels // size**2)
