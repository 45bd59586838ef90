"""The network: encoder, decoder, and the VAE that composes them.

Images are folded into the channels (space to depth) before any convolution, so that all
work is done by small dense kernels that a processor without a GPU runs at full speed.
There is no batch normalisation: it reads strangers as noise.
"""
import math

import keras
import numpy as np
from keras import layers, ops

from vae.architecture import (
    DENSE_WIDTH,
    LOG_VAR_RANGE,
    PATCH,
    WIDTHS,
    count_features,
    count_outputs,
    count_stages,
    grid_of,
    is_dense,
    unit_of,
)

RESIDUAL_SCALE = 0.01  # variance of a block's last kernel: a block starts as identity
LOG_VAR_START = -3.0
SMALLEST_START = 0.01  # of 0..1, a pixel's standard deviation where none varies


@keras.saving.register_keras_serializable("vae")
class SpaceToDepth(layers.Layer):
    """Folds squares of pixels into channels: (B, H, W, C) -> (B, H/n, W/n, n*n*C)."""

    def __init__(self, size, **settings):
        super().__init__(**settings)
        self.size = size

    def call(self, x):
        n = self.size
        _, height, width, channels = x.shape
        x = ops.reshape(x, (-1, height // n, n, width // n, n, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, height // n, width // n, n * n * channels))


@keras.saving.register_keras_serializable("vae")
class DepthToSpace(layers.Layer):
    """Unfolds channels into squares: (B, H, W, n*n*C) -> (B, H*n, W*n, C)."""

    def __init__(self, size, **settings):
        super().__init__(**settings)
        self.size = size

    def call(self, x):
        n = self.size
        _, height, width, channels = x.shape
        x = ops.reshape(x, (-1, height, width, n, n, channels // n**2))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, height * n, width * n, channels // n**2))


def _block(x, channels, name, dtype):
    """Two 3x3 convolutions around a shortcut; keeps the shape."""
    # Not a leaky ReLU: where TensorFlow 2.21 fuses one behind an addition on a CPU, its
    # slope becomes 0.2, in evaluation alone.
    h = layers.ReLU(dtype=dtype)(x)
    h = layers.Conv2D(channels, 3, padding="same", dtype=dtype, name=f"{name}_a")(h)
    h = layers.ReLU(dtype=dtype)(h)
    small = keras.initializers.VarianceScaling(RESIDUAL_SCALE)
    h = layers.Conv2D(
        channels,
        3,
        padding="same",
        kernel_initializer=small,
        dtype=dtype,
        name=f"{name}_b",
    )(h)
    return layers.Add(dtype=dtype)([x, h])


def _gelu(x):
    """The Gaussian error linear unit, by tanh, which numpy has too."""
    return ops.gelu(x, approximate=True)


def _hidden(x, dtype):
    """Two dense layers, the second around a shortcut: (B, N) -> (B, DENSE_WIDTH)."""
    x = layers.Dense(DENSE_WIDTH, _gelu, dtype=dtype, name="hidden_a")(x)
    h = layers.Dense(DENSE_WIDTH, _gelu, dtype=dtype, name="hidden_b")(x)
    return layers.Add(dtype=dtype)([x, h])


def _trunk(x, config, dtype):
    """Images (B, H, W, C) to one row of features each; odd sizes are padded."""
    stages = count_stages(config.width, config.height)
    rows, columns = grid_of(config)
    unit = unit_of(config)
    bottom, right = rows * unit - config.height, columns * unit - config.width
    if bottom or right:
        x = layers.ZeroPadding2D(((0, bottom), (0, right)), dtype=dtype)(x)
    x = SpaceToDepth(PATCH, dtype=dtype)(x)  # (B, H/4, W/4, 16C)
    x = layers.Conv2D(WIDTHS[0], 3, padding="same", dtype=dtype, name="in")(x)
    for stage, channels in enumerate(WIDTHS[:stages]):
        if stage:
            x = SpaceToDepth(2, dtype=dtype)(x)
            x = layers.Conv2D(channels, 1, dtype=dtype, name=f"down{stage}")(x)
        x = _block(x, channels, f"block{stage}", dtype)
    return layers.Flatten(dtype=dtype)(layers.ReLU(dtype=dtype)(x))


def build_encoder(config, dtype="float32"):
    """Returns the encoder: images (B, H, W, C), 0..1 -> z_mean, z_log_var (B, Z).

    Args:
        config: a `ModelConfig`.
        dtype: Keras dtype policy of the inner layers; outputs are float32.
    """
    images = keras.Input((config.height, config.width, config.channels), name="images")
    x = layers.Rescaling(2.0, offset=-1.0, dtype=dtype)(images)
    if is_dense(config):
        x = _hidden(layers.Flatten(dtype=dtype)(x), dtype)
    else:
        x = _trunk(x, config, dtype)
    z_mean = layers.Dense(config.latent_dim, dtype="float32", name="z_mean")(x)
    z_log_var = layers.Dense(
        config.latent_dim,
        bias_initializer=keras.initializers.Constant(LOG_VAR_START),
        dtype="float32",
        name="z_log_var",
    )(x)
    z_log_var = ops.clip(z_log_var, *LOG_VAR_RANGE)
    return keras.Model(images, [z_mean, z_log_var], name="encoder")


def build_decoder(config, dtype="float32"):
    """Returns the decoder: z (B, Z) -> outputs (B, H, W, C or 2C), float32.

    See `vae.losses.reconstruction_loss` for what the outputs of a likelihood mean.
    """
    z = keras.Input((config.latent_dim,), name="z")
    channels = count_outputs(config)
    shape = config.height, config.width, channels
    if is_dense(config):
        x = layers.Dense(math.prod(shape), dtype=dtype, name="out")(_hidden(z, dtype))
        x = layers.Reshape(shape, dtype=dtype)(x)
    else:
        x = _unfold(z, config, channels, dtype)
    outputs = MeanImage(shape, name="mean_image")(ops.cast(x, "float32"))
    return keras.Model(z, outputs, name="decoder")


def _unfold(z, config, channels, dtype):
    """Codes (B, Z) to (B, H, W, channels): the way of `_trunk` back."""
    stages = count_stages(config.width, config.height)
    rows, columns = grid_of(config)
    x = layers.Dense(count_features(config), dtype=dtype, name="in")(z)
    x = layers.Reshape((rows, columns, -1), dtype=dtype)(x)
    for stage in reversed(range(stages)):
        x = _block(x, WIDTHS[stage], f"block{stage}", dtype)
        if stage:
            wide = 4 * WIDTHS[stage - 1]
            x = layers.Conv2D(wide, 1, dtype=dtype, name=f"up{stage}")(x)
            x = DepthToSpace(2, dtype=dtype)(x)
    x = layers.ReLU(dtype=dtype)(x)
    folded = PATCH * PATCH * channels
    x = layers.Conv2D(folded, 3, padding="same", dtype=dtype, name="out")(x)
    x = DepthToSpace(PATCH, dtype=dtype)(x)
    return x[:, : config.height, : config.width]


@keras.saving.register_keras_serializable("vae")
class MeanImage(layers.Layer):
    """Adds one trained value a pixel, so that a decoder can start at the mean image."""

    def __init__(self, image_shape, **settings):
        super().__init__(dtype="float32", **settings)
        self.image = self.add_weight(image_shape, initializer="zeros", name="image")

    def call(self, x):
        return x + self.image


class VAE:
    """An encoder, a decoder and the noise level of a pixel.

    Attributes:
        config: the `ModelConfig` it was built from.
        encoder, decoder: Keras models.
        average, variation: variables (H, W, C), mean and standard deviation of each
            pixel over the actor's images, 0..1.
        sigma: scalar variable, standard deviation of a pixel, 0..1.
    """

    def __init__(self, config, dtype="float32"):
        self.config = config
        shape = (config.height, config.width, config.channels)
        self.average = _constant("average", np.zeros(shape))
        self.variation = _constant("variation", np.ones(shape))
        self.encoder = build_encoder(config, dtype)
        self.decoder = build_decoder(config, dtype)
        self.sigma = _constant("sigma", 1.0)

    def start_from(self, average, variation):
        """Takes the actor's average image and variation; the decoder starts there.

        Args:
            average, variation: (H, W, C), mean and standard deviation of each pixel.
        """
        self.average.assign(average)
        self.variation.assign(variation)
        mean = average
        if self.config.likelihood == "bernoulli":
            mean = np.clip(mean, 0.01, 0.99)
            mean = np.log(mean / (1 - mean))
        if self.config.likelihood == "discretized":
            log_sigma = np.log(np.maximum(variation, SMALLEST_START))
            mean = np.concatenate([mean, log_sigma], axis=-1)
        self.decoder.get_layer("mean_image").image.assign(mean)

    @property
    def trainable_variables(self):
        """Variables of encoder and decoder, in a fixed order."""
        return self.encoder.trainable_variables + self.decoder.trainable_variables

    @property
    def arrays(self):
        """Name -> variable, of all that a saved model holds."""
        found = {
            "sigma": self.sigma,
            "average": self.average,
            "variation": self.variation,
        }
        for network in (self.encoder, self.decoder):
            for variable in network.variables:
                found[f"{network.name}/{variable.path}"] = variable
        return found


def _constant(name, value):
    """A variable that no gradient changes."""
    return keras.Variable(value, trainable=False, dtype="float32", name=name)
