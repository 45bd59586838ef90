"""A trained model in use: images to codes and back, on all cores. numpy only."""
import os

import numpy as np

from vae.architecture import shape_arrays
from vae.errors import VaeError
from vae.images import to_float32, to_uint8
from vae.network import Network
from vae.storage import unpack_arrays
from vae.workers import cut_evenly, map_ordered

BLOCK_PIXELS = 50_000  # of images that go through together; more leave the cache
KEPT_BYTES = 24 << 20  # more than any array of a block takes


def load_actor(folder, config):
    """Returns the `Actor` of a model directory.

    Args:
        folder: the model directory.
        config: its `ModelConfig`.

    Raises:
        VaeError: the weights are missing, damaged or of another model.
    """
    path = os.path.join(folder, "weights.h5")
    return Actor(config, unpack_arrays(path, shape_arrays(config)))


class Actor:
    """A model that encodes and decodes arrays of any length, block by block.

    One block is done in the thread that asks, more of them on all cores.

    Args:
        config: a `ModelConfig`.
        arrays: name -> array, of `vae.architecture.shape_arrays`.

    Attributes:
        average, variation: (H, W, C) float32, mean and standard deviation of each
            pixel over the actor's images, 0..1.
        block: images that go through together, at most.
    """

    def __init__(self, config, arrays):
        # The C library gives memory that is freed back to the system, and takes fresh
        # pages for the next array, until it has seen a block as large as this freed.
        np.empty(KEPT_BYTES, np.uint8)
        arrays = {name: np.asarray(array, "f4") for name, array in arrays.items()}
        self._network = Network(config, arrays)
        self.average, self.variation = arrays["average"], arrays["variation"]
        self.block = max(1, BLOCK_PIXELS // (config.width * config.height))

    def encode(self, images):
        """Returns z_mean, z_log_var, each (B, Z) float32, of uint8 (B, H, W, C)."""
        parts = self._map(lambda part: self._network.encode(to_float32(part)), images)
        return tuple(np.concatenate(part) for part in zip(*parts))

    def encode_floats(self, images):
        """Returns z_mean (B, Z) of float32 (B, H, W, C), where 0 is black, 1 white."""
        return np.concatenate([z for z, _ in self._map(self._network.encode, images)])

    def decode(self, z):
        """Returns uint8 images (B, H, W, C) of codes (B, Z).

        Raises:
            VaeError: the weights are so large that no number comes out.
        """
        return np.concatenate(self._map(self._decode, z))

    def _decode(self, z):
        try:
            return to_uint8(self._network.decode(z))
        except ValueError as error:
            raise VaeError(f"the model's pictures are no pictures: {error}") from error

    def _map(self, function, rows):
        """Returns what `function` makes of each block of rows."""
        parts = cut_evenly(len(rows), self.block)

        def work(part):
            with np.errstate(all="ignore"):  # what is not finite is told apart later
                return function(rows[part])

        return [work(*parts)] if len(parts) == 1 else list(map_ordered(work, parts))
