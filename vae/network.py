"""The trained network in numpy: what `sample` and `reconstruct` run.

It needs no TensorFlow, which takes longer to start than a thousand images take here. It
computes what `vae.model` describes; a test holds the two against each other.
"""
import numpy as np

from vae.architecture import (
    LOG_VAR_RANGE,
    PATCH,
    count_stages,
    grid_of,
    is_dense,
    unit_of,
)
from vae.convolution import (
    convolve,
    fold,
    fold_images,
    project,
    transform_kernel,
    unfold,
    unfold_images,
)

GELU_SLOPE, GELU_CUBE = np.float32(np.sqrt(2 / np.pi)), np.float32(0.044715)


class Network:
    """Encoder and decoder with the weights of a trained model.

    Args:
        config: a `ModelConfig`.
        arrays: name -> float32 array, of `vae.architecture.shape_arrays`.
    """

    def __init__(self, config, arrays):
        self.config = config
        self._arrays = {
            name: transform_kernel(array) if _is_wide(array) else array
            for name, array in arrays.items()
        }
        self._stages = count_stages(config.width, config.height)

    def encode(self, images):
        """Returns z_mean, z_log_var (B, Z) of images (B, H, W, C), 0 black, 1 white."""
        if is_dense(self.config):
            flat = images.reshape(len(images), -1) * np.float32(2) - np.float32(1)
            x = self._hidden("encoder", flat)
        else:
            x = self._features("encoder", images, 2.0, -1.0)
        z_log_var = x @ self._get("encoder/z_log_var/kernel")
        z_log_var += self._get("encoder/z_log_var/bias")
        return self._mean_of("encoder", x), z_log_var.clip(*LOG_VAR_RANGE)

    def decode(self, z):
        """Returns images (B, H, W, C) of codes (B, Z), float32, 0 black, 1 white."""
        config = self.config
        outputs = self._paint(z) if is_dense(config) else self._convolve(z)
        outputs = outputs + self._get("decoder/mean_image/image")
        if config.likelihood == "bernoulli":
            outputs = 1 / (1 + np.exp(-outputs.clip(-80, 80)))
        return outputs[..., : config.channels].clip(0, 1)  # what may follow is noise

    def _paint(self, z):
        kernel, bias = self._layer("decoder/out")
        x = self._hidden("decoder", z) @ kernel + bias
        return x.reshape(len(z), self.config.height, self.config.width, -1)

    def _convolve(self, z):
        config = self.config
        x = z @ self._get("decoder/in/kernel") + self._get("decoder/in/bias")
        rows, columns = grid_of(config)
        x = x.reshape(len(z), rows, columns, -1).transpose(1, 2, 0, 3)  # (H, W, B, C)
        for stage in reversed(range(self._stages)):
            x = self._block(x, f"decoder/block{stage}")
            if stage:
                x = unfold(project(x, *self._layer(f"decoder/up{stage}")), 2)
        x = convolve(x, *self._layer("decoder/out"), relu=True)
        return unfold_images(x, PATCH)[:, : config.height, : config.width]

    def _hidden(self, name, x):
        """Two dense layers, the second around a shortcut: (B, N) to (B, F)."""
        x = _gelu(x, *self._layer(f"{name}/hidden_a"))
        return x + _gelu(x, *self._layer(f"{name}/hidden_b"))

    def _features(self, name, images, scale, offset):
        """Images to one row of features each, (B, F); odd sizes are padded."""
        count, height, width, channels = images.shape
        rows, columns = (cells * unit_of(self.config) for cells in grid_of(self.config))
        padded = np.zeros((count, rows, columns, channels), np.float32)
        inner = padded[:, :height, :width]
        np.multiply(images, np.float32(scale), out=inner)
        inner += np.float32(offset)
        x = convolve(fold_images(padded, PATCH), *self._layer(f"{name}/in"))
        for stage in range(self._stages):
            if stage:
                x = project(fold(x, 2), *self._layer(f"{name}/down{stage}"))
            x = self._block(x, f"{name}/block{stage}")
        return np.maximum(x, 0).transpose(2, 0, 1, 3).reshape(count, -1)

    def _block(self, x, name):
        h = convolve(x, *self._layer(f"{name}_a"), relu=True)
        h = convolve(h, *self._layer(f"{name}_b"), relu=True)
        h += x
        return h

    def _mean_of(self, name, features):
        z_mean = features @ self._get(f"{name}/z_mean/kernel")
        return z_mean + self._get(f"{name}/z_mean/bias")

    def _layer(self, name):
        return self._get(f"{name}/kernel"), self._get(f"{name}/bias")

    def _get(self, name):
        return self._arrays[name]


def _is_wide(array):
    return array.ndim == 4 and array.shape[:2] == (3, 3)


def _gelu(x, kernel, bias):
    """A dense layer with the tanh form of the Gaussian error linear unit."""
    x = x @ kernel + bias
    return 0.5 * x * (1 + np.tanh(GELU_SLOPE * (x + GELU_CUBE * x**3)))
