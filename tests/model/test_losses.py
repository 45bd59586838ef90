"""The parts of the bound, against numpy by hand."""

import numpy as np
import pytest

from vae.model.losses import kl_loss, optimal_sigma, reconstruction_loss, to_images

pytestmark = pytest.mark.tensorflow

RNG = np.random.default_rng(0)


def test_kl_of_the_standard_normal_is_zero():
    zeros = np.zeros((3, 5), np.float32)
    np.testing.assert_array_equal(kl_loss(zeros, zeros), np.zeros(3))


def test_kl_equals_a_numerical_integral():
    mean, log_var = 0.7, -0.9
    x = np.linspace(-12, 12, 200_001)
    q = np.exp(-((x - mean) ** 2) / (2 * np.exp(log_var)))
    q /= np.sqrt(2 * np.pi * np.exp(log_var))
    p = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    logs = np.log(np.maximum(q, 1e-300)) - np.log(p)
    expected = np.sum(q * logs) * (x[1] - x[0])
    found = kl_loss(np.full((1, 1), mean, "f4"), np.full((1, 1), log_var, "f4"))
    assert float(found[0]) == pytest.approx(expected, abs=1e-5)


def test_gaussian_loss_is_the_density_of_the_pixels():
    images, means = RNG.random((2, 3, 4, 3)), RNG.random((2, 3, 4, 3))
    sigma = 0.2
    density = np.exp(-((images - means) ** 2) / (2 * sigma**2))
    density /= sigma * np.sqrt(2 * np.pi)
    found = reconstruction_loss("gaussian", images, means, np.float64(sigma))
    np.testing.assert_allclose(found, -np.log(density).sum((1, 2, 3)), rtol=1e-5)


def test_bernoulli_loss_is_the_cross_entropy():
    images = RNG.random((2, 3, 4, 3)).astype("f4")
    logits = RNG.normal(size=images.shape).astype("f4") * 3
    p = 1 / (1 + np.exp(-logits))
    expected = -(images * np.log(p) + (1 - images) * np.log(1 - p)).sum((1, 2, 3))
    found = reconstruction_loss("bernoulli", images, logits, 1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("mean", [-0.1, 0.0, 0.31, 1.0, 1.2])
@pytest.mark.parametrize("sigma", [0.01, 0.1, 1.0])
def test_discretized_probabilities_of_all_levels_sum_to_one(mean, sigma):
    levels = (np.arange(256, dtype="f4") / 255).reshape(256, 1, 1, 1)
    outputs = np.broadcast_to(np.float32([mean, np.log(sigma)]), (256, 1, 1, 2))
    nats = reconstruction_loss("discretized", levels, outputs, None)
    assert np.exp(-np.asarray(nats, "f8")).sum() == pytest.approx(1, abs=1e-3)


def test_optimal_sigma_beats_its_neighbours():
    images = RNG.random((4, 6, 6, 3)).astype("f4")
    means = (images + RNG.normal(0, 0.1, images.shape)).astype("f4")
    best = float(optimal_sigma(np.square(images - means).mean()))
    losses = [
        float(np.sum(reconstruction_loss("gaussian", images, means, np.float32(sigma))))
        for sigma in (0.9 * best, best, 1.1 * best)
    ]
    assert losses[1] == min(losses)


def test_images_are_clipped_means_or_probabilities():
    outputs = np.array([-1.0, 0.0, 0.5, 2.0], "f4")
    assert np.asarray(to_images("gaussian", outputs)).tolist() == [0, 0, 0.5, 1]
    assert np.asarray(to_images("bernoulli", outputs))[1] == 0.5
    assert np.asarray(to_images("discretized", outputs)).tolist() == [0, 0]


def test_discretized_noise_is_each_pixels_own():
    images = RNG.uniform(0.1, 0.9, (2, 3, 4, 3)).astype("f4")
    means = images + RNG.normal(0, 0.1, images.shape)
    log_sigma = RNG.uniform(-3, -1, images.shape)
    outputs = np.concatenate([means, log_sigma], axis=-1).astype("f4")
    scale = np.exp(log_sigma) * np.sqrt(3) / np.pi
    low, high = (
        1 / (1 + np.exp(-(images + side / 510 - means) / scale)) for side in (-1, 1)
    )
    found = reconstruction_loss("discretized", images, outputs, None)
    np.testing.assert_allclose(found, -np.log(high - low).sum((1, 2, 3)), rtol=1e-4)
