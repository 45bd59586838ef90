"""What is read from the mouths of people whom nobody has seen, drawn and flat."""
import numpy as np
import pytest

from examples.faces import render
from examples.people import make_identity
from examples.performance import PARAMETERS, perform
from vae.mouths import MOUTHS, read_mouths
from vae.reading import EDGES, describe, describe_edges

KNOWN = ("mouth_open", "smile", "mouth_width")  # the columns that are drawn


@pytest.mark.parametrize("identity", range(1, 6))
def test_mouths_of_the_unseen_are_read(identity):
    played = perform(identity, 150)
    faces = render(make_identity(identity), played) / np.float32(255)
    read = read_mouths(describe_edges(faces))
    for column, name in enumerate(KNOWN):
        true = played[:, PARAMETERS.index(name)]
        assert np.corrcoef(true, read[:, column])[0, 1] > 0.6, name


@pytest.mark.tensorflow
def test_teaching_makes_a_file_that_can_be_read(tmp_path, monkeypatch):
    from examples import teach

    from vae import mouths

    monkeypatch.setattr(teach, "PEOPLE", 2)
    monkeypatch.setattr(teach, "PASSES", 1)
    monkeypatch.setattr(mouths, "PATH", tmp_path / "mouths.npz")
    monkeypatch.setattr(mouths, "_load", mouths._load.__wrapped__)  # nothing kept
    teach.main([str(tmp_path / "mouths.npz")])
    read = read_mouths(np.eye(3, EDGES, dtype="f4"))
    assert read.shape == (3, MOUTHS) and read.std(0).all()


def test_of_nothing_nothing_is_read():
    assert not read_mouths(np.zeros((2, EDGES), "f4")).any()


def test_mouths_are_the_last_of_the_features():
    faces = render(make_identity(1), perform(1, 3)) / np.float32(255)
    edges = describe_edges(faces)
    features = describe(faces)
    np.testing.assert_array_equal(features[:, :EDGES], edges)
    np.testing.assert_array_equal(features[:, EDGES:], read_mouths(edges))
    assert features.shape == (3, EDGES + MOUTHS)
