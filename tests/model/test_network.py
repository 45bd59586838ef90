"""Shapes of the network at every kind of size, and what it starts from."""

import numpy as np
import pytest

from vae.config import ModelConfig
from vae.model.network import VAE

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(
    "width, height, channels",
    [(64, 64, 3), (112, 112, 3), (50, 71, 3), (20, 28, 1), (4, 5, 3), (33, 130, 1)],
)
def test_any_size_goes_in_and_comes_out(width, height, channels):
    config = ModelConfig(width=width, height=height, channels=channels, latent_dim=7)
    model = VAE(config)
    images = np.random.default_rng(0).random((2, height, width, channels), "f4")
    z_mean, z_log_var = model.encoder(images)
    assert z_mean.shape == z_log_var.shape == (2, 7)
    assert model.decoder(z_mean).shape == (2, height, width, channels)


@pytest.mark.parametrize("width, height, channels", [(20, 28, 1), (70, 64, 3)])
def test_a_discretized_model_predicts_the_noise_of_each_pixel(width, height, channels):
    config = ModelConfig(width, height, channels, 7, "discretized")
    model = VAE(config)
    average = np.random.default_rng(0).random((height, width, channels), "f4")
    model.start_from(average, np.full_like(average, 0.25))
    outputs = np.asarray(model.decoder(np.zeros((2, 7), "f4")))
    assert outputs.shape == (2, height, width, 2 * channels)
    means, log_sigma = np.split(outputs, 2, axis=-1)
    np.testing.assert_allclose(means, np.stack([average] * 2), atol=0.2)
    np.testing.assert_allclose(log_sigma, np.log(0.25), atol=0.2)


def test_outputs_are_float32_in_either_precision():
    config = ModelConfig(width=16, height=16, latent_dim=3)
    model = VAE(config, "mixed_bfloat16")
    z_mean, z_log_var = model.encoder(np.zeros((1, 16, 16, 3), "f4"))
    outputs = model.decoder(z_mean)
    assert {x.dtype.name for x in (z_mean, z_log_var, outputs)} == {"float32"}
    assert {v.dtype for v in model.trainable_variables} == {"float32"}


def test_log_variance_is_clipped_whatever_comes_in():
    model = VAE(ModelConfig(width=16, height=16, latent_dim=3))
    huge = np.full((1, 16, 16, 3), 1e6, "f4")
    assert np.abs(model.encoder(huge)[1]).max() <= 12


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "discretized"])
def test_only_small_discretized_models_are_dense(likelihood):
    def kinds(side):
        config = ModelConfig(side, side, 1, 3, likelihood)
        return {type(layer).__name__ for layer in VAE(config).decoder.layers}

    assert ("Conv2D" in kinds(64)) == (likelihood != "discretized")
    assert "Conv2D" in kinds(65)


def test_no_batch_normalisation():
    model = VAE(ModelConfig())
    kinds = {
        type(layer).__name__
        for net in (model.encoder, model.decoder)
        for layer in net.layers
    }
    assert not any("Norm" in kind for kind in kinds)


def test_rows_of_a_batch_do_not_mix():
    model = VAE(ModelConfig(width=16, height=16, latent_dim=3))
    images = np.random.default_rng(0).random((3, 16, 16, 3), "f4")
    together = np.asarray(model.encoder(images)[0])
    alone = np.asarray(model.encoder(images[1:2])[0])
    np.testing.assert_allclose(together[1:2], alone, rtol=1e-4, atol=1e-5)
