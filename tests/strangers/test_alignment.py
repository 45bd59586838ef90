"""How a folder of a stranger's crops becomes codes of the actor; networks are fakes."""

from dataclasses import replace

import numpy as np
import pytest

from vae.config import ReconstructConfig
from vae.errors import RefusedError
from vae.images.pixels import measure_pixels
from vae.model.latent import LatentStatistics, no_measures
from vae.strangers import alignment
from vae.strangers.alignment import LoadedActor, choose_method, find_codes, smooth_codes
from vae.strangers.features import FEATURES
from vae.strangers.landmarks import NAMES

RNG = np.random.default_rng(0)
STATISTICS = LatentStatistics(
    mean=np.array([1.0, -1.0]),
    std=np.array([2.0, 0.5]),
    covariance=np.eye(2),
    neutral=np.array([0.5, 0.5]),
    reader=RNG.normal(size=(FEATURES, 2)).astype("f4"),
    blink=np.zeros((2, 2), "f4"),
    mouth_share=np.zeros(1, "f4"),
    **no_measures(2),
)


class FakeActor:
    """Codes are the means of the red and of the green channel, decoding paints them."""

    average = np.full((8, 8, 3), 0.5, "f4")
    variation = np.full((8, 8, 3), 0.1, "f4")

    def encode(self, images):
        z = self.encode_floats(images / np.float32(255))
        return z, np.zeros_like(z)

    def encode_floats(self, images):
        return images.mean((1, 2))[:, :2].astype("f4")

    def decode(self, z):
        images = np.zeros((len(z), 8, 8, 3), "f4")
        images[..., :2] = z[:, None, None]
        return (images.clip(0, 1) * 255).astype(np.uint8)


def flat_images(count):
    """Images of one colour each, without blue, uint8 (N, 8, 8, 3)."""
    images = np.zeros((count, 8, 8, 3), np.uint8)
    images[..., :2] = RNG.integers(0, 255, (count, 1, 1, 2))
    return images


def codes(method, images, strength=1.0, smooth=0.0, neutral=None):
    config = ReconstructConfig(method, strength, smooth)
    return find_codes(FakeActor(), images, STATISTICS, config, neutral)


def test_none_is_the_plain_encoder():
    images = flat_images(10)
    np.testing.assert_array_equal(codes("none", images), FakeActor().encode(images)[0])


def test_recentre_moves_the_average_and_keeps_distances():
    images = flat_images(20)
    z, plain = codes("recentre", images), codes("none", images)
    np.testing.assert_allclose(z.mean(0), STATISTICS.mean, atol=1e-5)
    np.testing.assert_allclose(z - z[0], plain - plain[0], atol=1e-5)


def test_standardise_takes_over_the_spread_as_well():
    z = codes("standardise", flat_images(20))
    np.testing.assert_allclose(z.mean(0), STATISTICS.mean, atol=1e-5)
    np.testing.assert_allclose(z.std(0), STATISTICS.std, atol=1e-4)


def test_relative_adds_the_change_from_the_neutral_image():
    images = flat_images(20)
    z, plain = codes("relative", images, neutral=images[3]), codes("none", images)
    np.testing.assert_allclose(z[3], STATISTICS.neutral, atol=1e-6)
    np.testing.assert_allclose(z - z[3], plain - plain[3], atol=1e-5)


def test_relative_finds_a_neutral_image_by_itself():
    images = flat_images(20)
    z = codes("relative", images)
    at_rest = np.abs(z - STATISTICS.neutral).max(1) < 1e-6
    assert at_rest.sum() == 1


def test_strength_scales_the_distance_from_the_average():
    images = flat_images(20)
    once, twice = codes("recentre", images), codes("recentre", images, strength=2.0)
    centre = STATISTICS.mean
    np.testing.assert_allclose(twice - centre, 2 * (once - centre), atol=1e-5)


def test_who_hardly_moves_is_not_made_to_grimace():
    """The spread of the actor's codes, but no more than four times the stranger's."""
    shapes = RNG.random((30, 8, 8, 3))
    still = (120 + 0.004 * shapes).astype(np.uint8)
    assert codes("register", (60 + 90 * shapes).astype("u1")).var(0).sum() == (
        pytest.approx(np.square(STATISTICS.std).sum(), rel=1e-3)
    )
    assert np.abs(codes("register", still) - STATISTICS.mean).max() < 1e-3


def test_register_is_blind_to_colour_and_contrast():
    """The same performance in another light gives the same codes."""
    shapes = RNG.random((30, 8, 8, 3))
    dull = (60 + 40 * shapes).astype(np.uint8)
    bright = (10 + 200 * shapes).astype(np.uint8)
    first, second = codes("register", dull), codes("register", bright)
    correlation = np.corrcoef(first.ravel(), second.ravel())[0, 1]
    assert correlation > 0.99
    np.testing.assert_allclose(first.mean(0), STATISTICS.mean, atol=1e-4)


def test_the_actors_own_crops_are_left_alone_and_a_strangers_are_not():
    mine = flat_images(12)
    method, line = choose_method(FakeActor(), mine)
    assert method == "none" and line.startswith(
        "these crops are the actor's own (score "
    )
    blue = mine.copy()
    blue[..., 2] = 51  # what the fake never paints, in every crop: 0.2
    method, line = choose_method(FakeActor(), blue)
    assert method == "register"
    assert line == (
        "these crops are a stranger's (score 1.33, the actor's own are up to 0.48), so"
        " they are translated (--align register)"
    )


@pytest.mark.parametrize("count, method", [(12, "none"), (100, "register")])
def test_many_crops_tell_a_stranger_who_is_much_like_the_actor(count, method):
    tinted = flat_images(count)
    tinted[..., 2] = 24  # 0.30 of the variance
    found, line = choose_method(FakeActor(), tinted)
    assert found == method and " (score 0.30, " in line


def test_what_is_missed_now_and_then_makes_no_stranger():
    noisy = flat_images(200)
    noisy[..., 2] = RNG.integers(0, 60, noisy.shape[:3])
    noisy[::2, ..., 2] = 0
    method, _ = choose_method(FakeActor(), noisy)
    assert method == "none"


def test_a_single_image_is_encoded_as_it_is_and_the_line_says_so():
    method, line = choose_method(FakeActor(), flat_images(1))
    assert method == "none"
    assert line.startswith("fewer than 8 crops don't tell a stranger (found: 1), so")


@pytest.mark.parametrize("method", ["register", "recentre", "standardise"])
def test_statistics_of_too_few_crops_are_refused(method):
    with pytest.raises(RefusedError, match=f"--align: {method} found with 3 crops"):
        codes(method, flat_images(3))


def test_measure_is_numpys_mean_and_deviation():
    images = RNG.integers(0, 255, (150, 5, 4, 3)).astype(np.uint8)
    average, variation = measure_pixels(images)
    np.testing.assert_allclose(average, (images / 255).mean(0), atol=1e-6)
    np.testing.assert_allclose(variation, (images / 255).std(0), atol=1e-6)


def test_smoothing_keeps_a_constant_and_calms_jitter():
    constant = np.full((9, 2), 3.0)
    np.testing.assert_allclose(smooth_codes(constant, 2.0), constant)
    jitter = RNG.normal(size=(200, 2))
    calm = smooth_codes(jitter, 2.0)
    assert calm.shape == jitter.shape
    assert (
        np.abs(np.diff(calm, axis=0)).mean()
        < np.abs(np.diff(jitter, axis=0)).mean() / 3
    )
    np.testing.assert_array_equal(smooth_codes(jitter, 0), jitter)


def load_stranger_reader(monkeypatch, measures, installed=True, trained=True):
    """Returns a `LoadedActor` of fakes; of measures only the first tells of codes."""
    monkeypatch.setattr(alignment, "is_installed", lambda: installed)
    monkeypatch.setattr(alignment, "measure_faces", lambda images: measures)
    count, actor = len(NAMES), LoadedActor.__new__(LoadedActor)
    effect = np.zeros((2, count))
    effect[0, 0] = 1
    arrays = {"effect": effect, "gain": effect.T, "span": np.ones((5, count))}
    actor.network = FakeActor()
    actor.statistics = replace(STATISTICS, **(arrays if trained else {}))
    return actor


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "read by landmarks and edges"),
        ({"installed": False}, "read by edges alone: landmarks, which read better, ne"),
        ({"trained": False}, "read by edges alone: the model holds no landmarks"),
    ],
    ids=["landmarks", "no extra", "no landmarks in the film"],
)
def test_what_a_stranger_was_read_by_is_said_and_done(changes, line, monkeypatch):
    measures = np.zeros((20, len(NAMES)))
    measures[:, 0] = np.arange(20)
    actor, images = (
        load_stranger_reader(monkeypatch, measures, **changes),
        flat_images(20),
    )
    z, lines, *_ = actor.align(images, ReconstructConfig("register"))
    assert lines[0].startswith(line)
    changed = not np.allclose(z, codes("register", images))
    assert changed == (not changes)


def test_crops_without_a_face_are_counted_or_tell_that_none_are_read(monkeypatch):
    measures = np.zeros((20, len(NAMES)))
    measures[3:5] = np.nan
    actor, images = load_stranger_reader(monkeypatch, measures), flat_images(20)
    _, [line], *_ = actor.align(images, ReconstructConfig("register"))
    assert line == "read by landmarks and edges; 2 of 20 by edges alone"
    actor = load_stranger_reader(monkeypatch, measures[:0])
    z, [line], *_ = actor.align(images, ReconstructConfig("register"))
    assert line.startswith("read by edges alone: no landmarks were found in")
    np.testing.assert_array_equal(z, codes("register", images))


def test_other_alignments_read_no_landmarks(monkeypatch):
    actor = load_stranger_reader(monkeypatch, None)
    assert actor.align(flat_images(20), ReconstructConfig("recentre"))[1] == []
