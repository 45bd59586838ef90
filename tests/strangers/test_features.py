"""What is read from the mouths of people whom nobody has seen, drawn and flat."""

import numpy as np
import pytest

from examples.faces import render
from examples.people import make_identity
from examples.performance import PARAMETERS, perform
from tests.actors import Stranger
from vae.config import ReconstructConfig
from vae.model.latent import LatentStatistics, no_measures
from vae.strangers.alignment import find_codes
from vae.strangers.features import (
    EDGES,
    FEATURES,
    MOUTH_EDGES,
    MOUTHS,
    TAKEN_OUT,
    correlate_with_mouths,
    measure_features,
    measure_mouths,
    oriented_gradients,
)

KNOWN = ("mouth_open", "smile", "mouth_width")  # the columns that are drawn


@pytest.mark.parametrize("identity", range(1, 6))
def test_mouths_of_the_unseen_are_read(identity):
    played = perform(identity, 150)
    faces = render(make_identity(identity), played) / np.float32(255)
    read = measure_mouths(oriented_gradients(faces))
    for column, name in enumerate(KNOWN):
        true = played[:, PARAMETERS.index(name)]
        assert np.corrcoef(true, read[:, column])[0, 1] > 0.6, name


@pytest.mark.tensorflow
def test_teaching_makes_a_file_that_can_be_read(tmp_path, monkeypatch):
    from tools import teach_mouths
    from vae.strangers import features

    monkeypatch.setattr(teach_mouths, "PEOPLE", 2)
    monkeypatch.setattr(teach_mouths, "PASSES", 1)
    monkeypatch.setattr(features, "MOUTHS_PATH", tmp_path / "mouths.npz")
    fresh = features.load_mouths.__wrapped__  # nothing kept
    monkeypatch.setattr(features, "load_mouths", fresh)
    teach_mouths.main([str(tmp_path / "mouths.npz")])
    read = measure_mouths(np.eye(3, EDGES, dtype="f4"))
    assert read.shape == (3, MOUTHS) and read.std(0).all()


def test_of_nothing_nothing_is_read():
    assert not measure_mouths(np.zeros((2, EDGES), "f4")).any()


def test_mouths_are_the_last_of_the_features():
    faces = render(make_identity(1), perform(1, 3)) / np.float32(255)
    edges = oriented_gradients(faces)
    features = measure_features(faces)
    np.testing.assert_array_equal(features[:, :EDGES], edges)
    np.testing.assert_array_equal(features[:, EDGES:], measure_mouths(edges))
    assert features.shape == (3, EDGES + MOUTHS)


def test_what_goes_along_with_a_mouth_is_told_from_what_does_not():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(5000, MOUTHS)) * [1, 30, 0.1, 2] + 5
    slopes = rng.normal(size=(MOUTHS, 3))
    along = numbers[:, :TAKEN_OUT] @ slopes[:TAKEN_OUT]
    values = numbers @ slopes + rng.normal(size=(5000, 3))
    found = correlate_with_mouths(numbers, values + 100)
    np.testing.assert_allclose(found, along - along.mean(0), rtol=0.1, atol=0.3)


def test_few_crops_and_mouths_at_rest_tell_nothing_that_goes_along():
    rng = np.random.default_rng(0)
    numbers, values = rng.normal(size=(8, MOUTHS)), rng.normal(size=(8, 3))
    assert correlate_with_mouths(numbers, values).std() < 0.5 * values.std()
    assert not correlate_with_mouths(np.full((8, MOUTHS), 0.3), values).any()


def read_codes(images, reader, share):
    """Returns codes (N, 1) of a stranger, of a reader (FEATURES, 1)."""
    statistics = LatentStatistics(
        mean=np.zeros(1),
        std=np.ones(1),
        covariance=np.eye(1),
        neutral=np.zeros(1),
        reader=reader,
        blink=np.zeros((2, 1), "f4"),
        mouth_share=np.full(1, share, "f4"),
        **no_measures(1),
    )
    config = ReconstructConfig("register")
    return find_codes(Stranger(images), images, statistics, config)[:, 0]


def test_a_share_of_what_edges_say_of_a_strangers_mouth_is_not_believed():
    """Beside these edges, which the actor's reader misreads, the numbers count."""
    images = render(make_identity(2), perform(2, 150), 64, 64)
    features = measure_features(images / np.float32(255))
    opening = features[:, EDGES]
    reader = np.zeros((FEATURES, 1), "f4")
    along = (features - features.mean(0)).T @ (opening - opening.mean())
    reader[MOUTH_EDGES, 0] = -along[MOUTH_EDGES]  # edges say that it shuts
    reader[EDGES, 0] = 0.5 * np.std(features @ reader) / opening.std()
    before, after = (read_codes(images, reader, share) for share in (0.0, 0.5))
    assert np.corrcoef(opening, before)[0, 1] < -0.15
    assert np.corrcoef(opening, after)[0, 1] > 0.15


@pytest.mark.tensorflow
def test_training_leaves_less_of_the_mouth_to_edges(monkeypatch):
    """Of an actor whose code is how far the mouth is open."""
    from vae.strangers import reader
    from vae.training.augment import augment_fully

    class Film(Stranger):
        def encode(self, images):
            return 2 * (self.encode_floats(images / np.float32(255)),)

        def encode_floats(self, faces):
            return measure_features(faces)[:, [EDGES]]

    images = render(make_identity(0), perform(0, 200), 64, 64)
    edges = measure_features(images / np.float32(255))[:, MOUTH_EDGES]
    told = []
    for share in (0.0, reader.MOUTH_SHARE):
        monkeypatch.setattr(reader, "MOUTH_SHARE", share)
        found = reader.ReaderFitter(images, 0, augment_fully).fit(Film(images))
        assert found.mouth_share.tolist() == [share]
        told.append((edges @ found.reader[MOUTH_EDGES]).std())
    assert told[1] < 0.7 * told[0]
