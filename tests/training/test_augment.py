"""Invented faces: what changes, what stays, and that all of it can be repeated."""

import numpy as np
import pytest
import tensorflow as tf

from vae.training import augment as augmentation
from vae.training.augment import augment

pytestmark = pytest.mark.tensorflow

RNG = np.random.default_rng(0)


def make_faces(count=6, height=24, width=20, channels=3):
    """Smooth images, (B, H, W, C) in 0.1..0.9."""
    y, x = np.mgrid[0:height, 0:width] / 7
    phase = RNG.uniform(0, 6, (count, 1, 1, channels))
    return (0.5 + 0.4 * np.sin(y[None, ..., None] + phase + x[..., None])).astype("f4")


def apply(images, kind="full", seed=0, step=0):
    """Returns the invented faces as an array."""
    return np.asarray(augment(images, kind, seed, step))


@pytest.fixture
def still(monkeypatch):
    monkeypatch.setattr(augmentation, "ASIDE_SHARE", 0.0)


@pytest.fixture
def unbent(monkeypatch, still):
    monkeypatch.setattr(augmentation, "BEND_SHARE", 0.0)


@pytest.fixture
def whole(monkeypatch):
    monkeypatch.setattr(augmentation, "FLIP_SHARE", 0.0)
    monkeypatch.setattr(augmentation, "JOIN_SHARES", {"light": 0.0, "full": 0.0})


@pytest.fixture
def same_eyes(monkeypatch):
    monkeypatch.setattr(augmentation, "EYE_SHARE", 0.0)


def test_the_same_seed_and_step_give_the_same_faces():
    images = make_faces()
    one = apply(images, seed=3, step=7)
    np.testing.assert_array_equal(one, apply(images, seed=3, step=7))
    for seed, step in ((3, 8), (4, 7)):
        assert (apply(images, seed=seed, step=step) != one).any()


def test_none_leaves_all_as_it_is_and_light_changes_fewer_than_full(unbent):
    images = make_faces(128)
    np.testing.assert_array_equal(apply(images, "none"), images)
    joined = {}
    for kind in ("light", "full"):
        found = apply(images, kind)
        same = np.abs(found - images).max((1, 2, 3)) < 1e-6
        flipped = np.abs(found - images[:, :, ::-1]).max((1, 2, 3)) < 1e-6
        assert same.sum() > 20 and flipped.sum() > 20
        joined[kind] = (~same & ~flipped).sum()
    assert 20 < joined["light"] < joined["full"] - 10


def test_a_joined_face_has_its_ends_from_faces_of_the_actors(unbent, same_eyes):
    images = make_faces(8)
    both = np.concatenate([images, images[:, :, ::-1]])
    for face in apply(images, step=5):
        for place in (0, -1):
            assert np.abs(both[:, place] - face[place]).max((1, 2)).min() < 1e-6


def test_some_faces_are_mirrored_and_some_joined(unbent):
    images = make_faces(64)
    found = apply(images)
    same = np.abs(found - images).max((1, 2, 3)) < 1e-6
    flipped = np.abs(found - images[:, :, ::-1]).max((1, 2, 3)) < 1e-6
    assert 5 < same.sum() < 30 and 5 < flipped.sum() < 30
    assert (~same & ~flipped).sum() > 15


def test_some_faces_get_an_eye_of_another_frame_and_keep_their_mouth(whole, unbent):
    images = make_faces(200)
    found = apply(images)
    changed = np.abs(found - images).max((1, 2, 3)) > 1e-6
    assert 15 < changed.sum() < 50
    for kept in (np.s_[:, 14:], np.s_[:, :, :9]):  # of 24 by 20
        np.testing.assert_array_equal(found[kept], images[kept])
    for face in found[changed]:
        nearest = np.abs(images[:, :10, 11:] - face[:10, 11:]).max((1, 2, 3))
        assert nearest.min() < 1e-6
    np.testing.assert_array_equal(apply(images, "light"), images)


def test_bending_moves_features_by_about_a_pixel_of_64(
    monkeypatch, whole, still, same_eyes
):
    """On a ramp, what a pixel changes by is how far it was moved."""
    monkeypatch.setattr(augmentation, "BEND_SHARE", 1.0)
    ramp = np.broadcast_to(np.arange(64, dtype="f4")[:, None, None], (64, 64, 1)) / 64
    moved = 64 * (apply(np.stack([ramp] * 32)) - ramp)
    inner = moved[:, 8:-8, :, 0]
    assert 0.3 < inner.std() < 1.0
    assert np.abs(np.diff(inner, axis=2)).max() < 0.5  # smoothly
    assert (inner.std((1, 2)) > 0.05).all()


def test_some_mouths_are_moved_aside_and_nothing_else(monkeypatch, whole, same_eyes):
    """On a ramp to the right, what a pixel changes by is how far it was moved."""
    monkeypatch.setattr(augmentation, "BEND_SHARE", 0.0)
    ramp = np.broadcast_to(np.arange(64, dtype="f4")[None, :, None], (64, 64, 1)) / 64
    moved = 64 * (apply(np.stack([ramp] * 300)) - ramp)[..., 0]  # (B, H, W)
    mouths = moved[:, 50, 32]
    changed = np.abs(mouths) > 1e-3
    assert 60 < changed.sum() < 120
    assert 1.2 < mouths[changed].std() < 1.8  # to either side
    assert np.abs(mouths.mean()) < 0.3
    np.testing.assert_allclose(moved[:, :38], 0, atol=1e-4)  # eyes, nose
    cheeks = moved[:, 50, [4, 59]]
    assert np.abs(cheeks).max() < 0.15 * np.abs(mouths).max()


@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5, 0.9])
def test_a_shifted_face_is_as_sharp_as_by_cubic_convolution(offset):
    rows = RNG.random((2, 16, 1, 3)).astype("f4")
    nodes = np.pad(rows, ((0, 0), (1, 2), (0, 0), (0, 0)), "edge")
    before, here, after, beyond = (nodes[:, k : k + 15] for k in range(4))
    t = offset
    expected = here + t / 2 * (
        after - before
        + t * (2 * before - 5 * here + 4 * after - beyond)
        + t * t * (3 * (here - after) + beyond - before)
    )  # fmt: skip
    images = np.repeat(rows, 16, axis=2)
    linear = images[:, :-1] * (1 - t) + images[:, 1:] * t
    down = np.full((2, 15, 16, 1), t, "f4")
    found = np.asarray(augmentation._sharpen(linear, down, 0 * down))
    inside = slice(1, -1)  # at the ends the next row is not known
    np.testing.assert_allclose(
        found[:, inside],
        np.repeat(expected, 16, axis=2)[:, inside].clip(0, 1),
        atol=1e-6,
    )
    turned = [np.swapaxes(each, 1, 2) for each in (linear, 0 * down, down)]
    np.testing.assert_allclose(
        augmentation._sharpen(*turned), np.swapaxes(found, 1, 2), atol=1e-6
    )


def test_bent_faces_keep_their_details(monkeypatch, whole, same_eyes, still):
    """Those of interpolated ones are fainter: a decoder would learn to be soft."""
    monkeypatch.setattr(augmentation, "BEND_SHARE", 1.0)
    images = RNG.random((64, 32, 32, 1)).astype("f4")
    found = apply(images)
    shares = [np.square(np.diff(each, axis=2)).mean() for each in (found, images)]
    assert 0.5 < shares[0] / shares[1] < 1


def test_no_pixel_is_darker_than_black_or_brighter_than_white():
    images = (RNG.random((64, 32, 32, 1)) < 0.5).astype("f4")
    found = apply(images)
    assert found.min() == 0 and found.max() == 1


def test_half_of_the_faces_are_bent(monkeypatch, still, same_eyes):
    monkeypatch.setattr(augmentation, "JOIN_SHARES", {"light": 0.0, "full": 0.0})
    images = make_faces(64)
    found = apply(images)
    both = np.stack([images, images[:, :, ::-1]])
    unchanged = np.abs(both - found).max((2, 3, 4)).min(0) < 1e-6
    assert 20 < unchanged.sum() < 44


@pytest.mark.parametrize("channels", [1, 3])
def test_any_batch_size_goes_through_one_trace(channels):
    spec = tf.TensorSpec((None, 24, 20, channels), tf.float32)
    function = tf.function(lambda x: augment(x, "full", 0, 3), [spec])
    for count in (1, 5):
        found = function(make_faces(count, channels=channels))
        assert found.shape == (count, 24, 20, channels)
    assert function.experimental_get_tracing_count() == 1
