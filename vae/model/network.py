"""The network in Keras: encoder, decoder, and the VAE that composes them.

Both are built from the list of layers in `architecture.py`.
"""

import keras
import numpy as np
from keras import layers, ops

from vae.config import ModelConfig
from vae.model import architecture as design
from vae.model.architecture import LOG_VAR_RANGE, design_network

QUIET_SCALE = 0.01  # variance of a block's last kernel: a block starts as identity
LOG_VAR_START = -3.0
MIN_START = 0.01  # of 0..1, a pixel's standard deviation where none varies


@keras.saving.register_keras_serializable("vae")
class MeanImage(layers.Layer):
    """Adds one trained value a pixel, so that a decoder can start at the mean image."""

    def __init__(self, image_shape, **settings):
        super().__init__(dtype="float32", **settings)
        self.image = self.add_weight(image_shape, initializer="zeros", name="image")

    def call(self, x):
        return x + self.image


def build_encoder(config: ModelConfig, dtype: str = "float32") -> keras.Model:
    """Returns the encoder: images (B, H, W, C), 0..1 -> z_mean, z_log_var (B, Z).

    Args:
        dtype: Keras dtype policy of the inner layers; outputs are float32.
    """
    network = design_network(config)
    images = keras.Input((config.height, config.width, config.channels), name="images")
    x = _stack(images, network.trunk, dtype)  # (B, F)
    z_mean = _dense(network.z_mean, "float32")(x)
    start = keras.initializers.Constant(LOG_VAR_START)
    z_log_var = _dense(network.z_log_var, "float32", bias_initializer=start)(x)
    z_log_var = ops.clip(z_log_var, *LOG_VAR_RANGE)
    return keras.Model(images, [z_mean, z_log_var], name="encoder")


def build_decoder(config: ModelConfig, dtype: str = "float32") -> keras.Model:
    """Returns the decoder: z (B, Z) -> outputs (B, H, W, C or 2C), float32.

    See `losses.reconstruction_loss` for what the outputs of a likelihood mean.
    """
    z = keras.Input((config.latent_dim,), name="z")
    outputs = _stack(z, design_network(config).decoder, dtype)
    return keras.Model(z, outputs, name="decoder")


def _stack(x, layers_, dtype):
    """Puts layers on top of a Keras tensor, one after another."""
    for layer in layers_:
        x = _apply(layer, x, dtype)
    return x


def _apply(layer, x, dtype):
    match layer:
        case design.Dense():
            return _dense(layer, dtype)(x)
        case design.Convolution():
            return _convolve(layer, dtype)(x)
        case design.Residual(inner):
            return layers.Add(dtype=dtype)([x, _stack(x, inner, dtype)])
        case design.AddImage(name, image):
            return MeanImage(image, name=name)(ops.cast(x, "float32"))
        case design.SpaceToDepth(size):
            return _fold(x, size, dtype)
        case design.DepthToSpace(size):
            return _unfold(x, size, dtype)
    return _apply_plain(layer, x, dtype)


def _apply_plain(layer, x, dtype):
    match layer:
        case design.Rescale(scale, offset):
            return layers.Rescaling(scale, offset, dtype=dtype)(x)
        case design.Pad(0, 0):
            return x
        case design.Pad(bottom, right):
            return layers.ZeroPadding2D(((0, bottom), (0, right)), dtype=dtype)(x)
        case design.Crop(height, width):
            return x[:, :height, :width]
        case design.Reshape(shape):
            return layers.Reshape(shape, dtype=dtype)(x)
        case design.ReLU():
            return layers.ReLU(dtype=dtype)(x)
        case design.GELU():
            return ops.gelu(x, approximate=True)
    raise TypeError(f"{layer!r} found, a layer of vae.model.architecture expected")


def _dense(layer, dtype, **settings):
    return layers.Dense(layer.outputs, dtype=dtype, name=layer.name, **settings)


def _convolve(layer, dtype):
    start = "glorot_uniform"
    if layer.quiet:
        start = keras.initializers.VarianceScaling(QUIET_SCALE)
    return layers.Conv2D(
        layer.outputs,
        layer.size,
        padding="same",
        kernel_initializer=start,
        dtype=dtype,
        name=layer.name,
    )


def _fold(x, n, dtype):
    _, height, width, channels = x.shape
    x = layers.Reshape((height // n, n, width // n, n, channels), dtype=dtype)(x)
    x = layers.Permute((1, 3, 2, 4, 5), dtype=dtype)(x)
    return layers.Reshape((height // n, width // n, n * n * channels), dtype=dtype)(x)


def _unfold(x, n, dtype):
    _, height, width, channels = x.shape
    x = layers.Reshape((height, width, n, n, channels // n**2), dtype=dtype)(x)
    x = layers.Permute((1, 3, 2, 4, 5), dtype=dtype)(x)
    return layers.Reshape((height * n, width * n, channels // n**2), dtype=dtype)(x)


class VAE:
    """An encoder, a decoder and the noise level of a pixel.

    Attributes:
        config: it was built from.
        encoder, decoder: Keras models.
        average, variation: variables (H, W, C), mean and standard deviation of each
            pixel over the actor's images, 0..1.
        sigma: scalar variable, standard deviation of a pixel, 0..1.
    """

    def __init__(self, config: ModelConfig, dtype: str = "float32"):
        self.config = config
        shape = (config.height, config.width, config.channels)
        self.average = _constant("average", np.zeros(shape))
        self.variation = _constant("variation", np.ones(shape))
        self.encoder = build_encoder(config, dtype)
        self.decoder = build_decoder(config, dtype)
        self.sigma = _constant("sigma", 1.0)

    def start_from(self, average: np.ndarray, variation: np.ndarray) -> None:
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
            log_sigma = np.log(np.maximum(variation, MIN_START))
            mean = np.concatenate([mean, log_sigma], axis=-1)
        self.decoder.get_layer("mean_image").image.assign(mean)

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """Variables of encoder and decoder, in a fixed order."""
        return self.encoder.trainable_variables + self.decoder.trainable_variables

    @property
    def arrays(self) -> dict[str, keras.Variable]:
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
