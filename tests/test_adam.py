"""The fused optimizer against Keras's own."""
import keras
import numpy as np
import pytest
import tensorflow as tf

from vae.adam import Adam

SHAPES = ((3, 4), (5,), ())


def make_variables():
    """Variables that are the same each time."""
    rng = np.random.default_rng(0)
    return [keras.Variable(rng.normal(size=shape), dtype="float32") for shape in SHAPES]


@pytest.mark.parametrize("clip_norm", [0.5, 100.0], ids=["clipped", "whole"])
def test_steps_are_those_of_kerass_adam(clip_norm):
    ours, theirs = make_variables(), make_variables()
    adam = Adam(ours, clip_norm)
    reference = keras.optimizers.Adam(global_clipnorm=clip_norm)
    reference.build(theirs)
    rng = np.random.default_rng(1)
    for step in range(6):
        gradients = [tf.constant(rng.normal(size=s).astype("f4")) for s in SHAPES]
        norm, rate = tf.linalg.global_norm(gradients), 0.1 / (step + 1)
        adam.apply(gradients, norm, tf.constant(step), tf.constant(rate))
        reference.learning_rate.assign(rate)
        reference.apply(gradients, theirs)
    for one, other, start in zip(ours, theirs, make_variables()):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
        assert np.abs(np.asarray(one) - np.asarray(start)).max() > 0.05


def test_the_state_is_two_moments_of_each_variable():
    adam = Adam(make_variables(), 1.0)
    assert [tuple(v.shape) for v in adam.variables] == [s for s in SHAPES for _ in "mv"]
