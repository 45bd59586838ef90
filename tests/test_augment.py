"""Invented faces: what changes, what stays, and that all of it can be repeated."""
import numpy as np
import pytest
import tensorflow as tf

from vae.augment import disguise, recombine

RNG = np.random.default_rng(0)


def make_change(count=6, height=24, width=20, channels=3):
    """Smooth changes of an image, (B, H, W, C) in -0.5..0.5."""
    y, x = np.mgrid[0:height, 0:width] / 7
    phase = RNG.uniform(0, 6, (count, 1, 1, channels))
    return (0.4 * np.sin(y[None, ..., None] + phase + x[..., None])).astype("f4")


@pytest.mark.parametrize("function", [recombine, disguise])
def test_the_same_seed_and_step_give_the_same_faces(function):
    images = make_change()
    one = np.asarray(function(images, 3, 7))
    again = np.asarray(function(images, 3, 7))
    np.testing.assert_array_equal(one, again)
    for seed, step in ((3, 8), (4, 7)):
        assert (np.asarray(function(images, seed, step)) != one).any()


def test_a_recombined_face_is_made_of_rows_of_the_actors():
    images = make_change(8)
    mirrored = images[:, :, ::-1]
    rows = np.concatenate([images, mirrored])[:, 0], np.concatenate(
        [images, mirrored]
    )[:, -1]
    for face in recombine(images, 0, 5).numpy():
        for place, known in zip((0, -1), rows):
            assert np.abs(known - face[place]).max((1, 2)).min() < 1e-6


def test_some_faces_are_mirrored_and_some_joined():
    images = make_change(64)
    found = recombine(images, 0, 0).numpy()
    same = np.abs(found - images).max((1, 2, 3)) < 1e-6
    flipped = np.abs(found - images[:, :, ::-1]).max((1, 2, 3)) < 1e-6
    assert 5 < same.sum() < 30 and 5 < flipped.sum() < 30
    assert (~same & ~flipped).sum() > 15


def test_no_strength_leaves_the_change_as_it_is():
    change = make_change()
    found = disguise(change, 0, 1, level=0.0).numpy()
    inner = (slice(None), slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(found[inner], change[inner], rtol=0.03, atol=0.01)


def test_a_disguise_keeps_the_expression_readable():
    """Disguised twice, a face is still more like itself than like another."""
    change = make_change(32)
    first = disguise(change, 0, 1).numpy().reshape(32, -1)
    second = disguise(change, 0, 2).numpy().reshape(32, -1)
    alike = np.corrcoef(first, second)[:32, 32:]
    assert (alike.diagonal() > np.median(alike, axis=1)).mean() > 0.9
    assert (np.abs(first - second).max(1) > 0.05).all()


def test_any_batch_size_and_one_channel_go_through_one_trace():
    spec = tf.TensorSpec((None, 24, 20, 1), tf.float32)
    function = tf.function(lambda x: disguise(recombine(x, 0, 3), 0, 3), [spec])
    for count in (1, 5):
        found = function(make_change(count, channels=1))
        assert found.shape == (count, 24, 20, 1)
    assert function.experimental_get_tracing_count() == 1


def test_no_face_is_joined_where_the_share_is_zero():
    images = make_change(16)
    for face, own in zip(recombine(images, 0, 5, join_share=0.0).numpy(), images):
        distances = [np.abs(face - known).max() for known in (own, own[:, ::-1])]
        assert min(distances) < 1e-6
