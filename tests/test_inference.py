"""The compiled network computes what the same layers compute one by one."""
import numpy as np
import pytest

from vae.config import ModelConfig
from vae.inference import Actor
from vae.model import VAE


@pytest.fixture(scope="module")
def model():
    """A network with random weights everywhere, biases included."""
    model = VAE(ModelConfig(width=20, height=24, latent_dim=4))
    rng = np.random.default_rng(0)
    for name, variable in model.arrays.items():
        if name not in ("sigma", "average", "variation"):
            variable.assign(rng.normal(0, 0.1, variable.shape))
    return model


def test_compiled_functions_equal_the_layers_one_by_one(model):
    """TensorFlow fuses layers when it compiles, and got one activation wrong so."""
    images = np.random.default_rng(1).random((5, 24, 20, 3), "f4")
    actor = Actor(model)
    z = np.asarray(model.encoder(images)[0])
    np.testing.assert_allclose(actor.encode_floats(images), z, rtol=1e-3, atol=1e-4)
    read = np.asarray(model.reader(images))
    np.testing.assert_allclose(actor.read(images), read, rtol=1e-3, atol=1e-4)
    outputs = np.asarray(model.decoder(z)).clip(0, 1) * 255
    assert np.abs(actor.decode(z).astype(float) - outputs).max() <= 0.51


def test_batches_of_any_length_are_cut_and_joined(model):
    images = np.random.default_rng(1).integers(0, 255, (130, 24, 20, 3)).astype("u1")
    actor = Actor(model)
    z_mean, z_log_var = actor.encode(images)
    assert z_mean.shape == z_log_var.shape == (130, 4)
    np.testing.assert_allclose(z_mean[100:], actor.encode(images[100:])[0], atol=1e-4)
    assert actor.decode(z_mean).shape == images.shape


def test_assign_takes_over_every_array(model):
    other = Actor(VAE(model.config))
    other.assign(model.arrays)
    for name, variable in model.arrays.items():
        np.testing.assert_array_equal(other.model.arrays[name], variable)
