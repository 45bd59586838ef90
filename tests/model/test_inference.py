"""The network in numpy computes what the trained one does, whatever its form."""

import numpy as np
import pytest

from vae.config import ModelConfig
from vae.model.architecture import count_stages, shape_arrays
from vae.model.inference import Actor
from vae.model.losses import to_images
from vae.model.network import VAE

pytestmark = pytest.mark.tensorflow

FORMS = [
    {"width": 64, "height": 64},
    {"width": 112, "height": 112, "latent_dim": 30},
    {"width": 50, "height": 71, "likelihood": "discretized"},
    {"width": 20, "height": 28, "channels": 1, "likelihood": "bernoulli"},
    {"width": 20, "height": 28, "channels": 1, "likelihood": "discretized"},
    {"width": 4, "height": 5},
    {"width": 33, "height": 130, "channels": 1},
]


def name_form(form):
    """Returns a test's name."""
    return "-".join(str(value) for value in form.values())


@pytest.fixture(scope="module", params=FORMS, ids=name_form)
def model(request):
    """A network with random weights everywhere, biases included."""
    model = VAE(ModelConfig(**{"latent_dim": 7} | request.param))
    rng = np.random.default_rng(0)
    for name, variable in model.arrays.items():
        if name not in ("sigma", "average", "variation"):
            shape = tuple(variable.shape)
            scale = 1 / np.sqrt(np.prod(shape[:-1])) if len(shape) > 1 else 0.1
            variable.assign(rng.normal(0, scale, shape))
    return model


def draw_images(model, count):
    shape = (count, *model.encoder.input_shape[1:])
    return np.random.default_rng(1).integers(0, 256, shape).astype("u1")


def test_arrays_are_those_of_the_model(model):
    shapes = {name: tuple(v.shape) for name, v in model.arrays.items()}
    assert shape_arrays(model.config) == shapes


def test_codes_and_pictures_equal_those_of_the_layers(model):
    actor, images = Actor(model.config, model.arrays), draw_images(model, 3)
    z_mean, z_log_var = (np.asarray(code) for code in model.encoder(images / 255))
    found = actor.encode(images)
    np.testing.assert_allclose(found[0], z_mean, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[1], z_log_var, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(actor.encode_floats(images / np.float32(255)), found[0])
    assert np.abs(z_mean).max() > 0.1 and np.ptp(z_log_var) > 0.1
    means = to_images(model.config.likelihood, model.decoder(z_mean))
    pictures = np.asarray(means) * 255
    assert np.abs(actor.decode(z_mean) - pictures).max() < 0.51
    assert np.ptp(pictures) > 10


def test_blocks_of_any_length_are_cut_and_joined(model):
    actor, images = Actor(model.config, model.arrays), draw_images(model, 23)
    actor.block = 5
    z_mean, z_log_var = actor.encode(images)
    assert z_mean.shape == z_log_var.shape == (23, model.config.latent_dim)
    alone = [actor.encode(image[None])[0][0] for image in images]
    np.testing.assert_allclose(z_mean, alone, atol=1e-4)
    assert actor.decode(z_mean).shape == images.shape


def test_log_variance_is_clipped_whatever_comes_in(model):
    huge = np.full((1, *model.encoder.input_shape[1:]), 1e6, "f4")
    actor = Actor(model.config, model.arrays)
    assert np.abs(actor._encode(huge)[1]).max() <= 12


def test_stages_follow_the_size():
    assert [count_stages(side, side) for side in (4, 28, 63, 64, 112, 128)] == [
        2,
        2,
        2,
        3,
        3,
        4,
    ]
    shapes = shape_arrays(ModelConfig(width=50, height=71))
    assert shapes["decoder/in/kernel"] == (30, 5 * 4 * 128)
