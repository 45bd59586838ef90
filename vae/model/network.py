"""The network in Keras: encoder, decoder, and the VAE that composes them.

Both are built from the list of layers in `architecture.py`.
"""

import keras
import numpy as np
from keras import layers, ops

from vae.model.architecture import (
    GELU,
    LOG_VAR_RANGE,
    AddImage,
    Convolution,
    Crop,
    Dense,
    DepthToSpace,
    Pad,
    ReLU,
    Rescale,
    Reshape,
    Residual,
    SpaceToDepth,
    design_network,
)

QUIET_SCALE = 0.01  # variance of a block's last kernel: a block starts as identity
LOG_VAR_START = -3.0
SMALLEST_START = 0.01  # of 0..1, a pixel's standard deviation where none varies


@keras.saving.register_keras_serializable("vae")
class Fold(layers.Layer):
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
class Unfold(layers.Layer):
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


@keras.saving.register_keras_serializable("vae")
class MeanImage(layers.Layer):
    """Adds one trained value a pixel, so that a decoder can start at the mean image."""

    def __init__(self, image_shape, **settings):
        super().__init__(dtype="float32", **settings)
        self.image = self.add_weight(image_shape, initializer="zeros", name="image")

    def call(self, x):
        return x + self.image


def _gelu(x):
    """The Gaussian error linear unit, by tanh, which numpy has too."""
    return ops.gelu(x, approximate=True)


def build_encoder(config, dtype="float32"):
    """Returns the encoder: images (B, H, W, C), 0..1 -> z_mean, z_log_var (B, Z).

    Args:
        config: a `ModelConfig`.
        dtype: Keras dtype policy of the inner layers; outputs are float32.
    """
    design = design_network(config)
    images = keras.Input((config.height, config.width, config.channels), name="images")
    x = _stack(images, design.trunk, dtype)  # (B, F)
    z_mean = _dense(design.z_mean, "float32")(x)
    start = keras.initializers.Constant(LOG_VAR_START)
    z_log_var = _dense(design.z_log_var, "float32", bias_initializer=start)(x)
    z_log_var = ops.clip(z_log_var, *LOG_VAR_RANGE)
    return keras.Model(images, [z_mean, z_log_var], name="encoder")


def build_decoder(config, dtype="float32"):
    """Returns the decoder: z (B, Z) -> outputs (B, H, W, C or 2C), float32.

    See `vae.model.losses.reconstruction_loss` for what the outputs of a likelihood mean.
    """
    z = keras.Input((config.latent_dim,), name="z")
    outputs = _stack(z, design_network(config).decoder, dtype)
    return keras.Model(z, outputs, name="decoder")


def _stack(x, designs, dtype):
    """Puts layers on top of a Keras tensor, one after another."""
    for design in designs:
        x = _apply(design, x, dtype)
    return x


def _apply(design, x, dtype):
    match design:
        case Dense():
            return _dense(design, dtype)(x)
        case Convolution():
            return _convolve(design, dtype)(x)
        case Residual(inner):
            return layers.Add(dtype=dtype)([x, _stack(x, inner, dtype)])
        case AddImage(name, shape):
            return MeanImage(shape, name=name)(ops.cast(x, "float32"))
        case Pad(0, 0):
            return x
        case Crop(height, width):
            return x[:, :height, :width]
    return _untrained(design, dtype)(x)


def _dense(design, dtype, **settings):
    return layers.Dense(design.outputs, dtype=dtype, name=design.name, **settings)


def _convolve(design, dtype):
    start = "glorot_uniform"
    if design.quiet:
        start = keras.initializers.VarianceScaling(QUIET_SCALE)
    return layers.Conv2D(
        design.outputs,
        design.size,
        padding="same",
        kernel_initializer=start,
        dtype=dtype,
        name=design.name,
    )


def _untrained(design, dtype):
    """Returns the Keras layer of a design without arrays."""
    match design:
        case Rescale(scale, offset):
            return layers.Rescaling(scale, offset, dtype=dtype)
        case Pad(bottom, right):
            return layers.ZeroPadding2D(((0, bottom), (0, right)), dtype=dtype)
        case SpaceToDepth(size):
            return Fold(size, dtype=dtype)
        case DepthToSpace(size):
            return Unfold(size, dtype=dtype)
        case Reshape(shape):
            return layers.Reshape(shape, dtype=dtype)
        case ReLU():
            return layers.ReLU(dtype=dtype)
        case GELU():
            return layers.Activation(_gelu, dtype=dtype)
    raise TypeError(f"{design!r} found, a layer of vae.model.architecture expected")


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
