"""What the networks of an extra measure in drawn people; left out without the extra."""

import numpy as np
import pytest

from examples.faces import render
from examples.people import make_identity
from examples.performance import PARAMETERS, perform
from vae.images.networks import is_installed
from vae.strangers import landmarks
from vae.strangers.landmarks import NAMES, measure_faces

pytestmark = pytest.mark.skipif(not is_installed(), reason="needs the extra faces")
COUNT, SIDE = 60, 64


@pytest.fixture(scope="module")
def played():
    """What a drawn person does, (N, P)."""
    return perform(2, 4 * COUNT)[::4]


@pytest.fixture(scope="module")
def images(played):
    return render(make_identity(2), played, SIDE, SIDE)


@pytest.fixture(scope="module")
def measures(images):
    return measure_faces(images)


def column(measures, name):
    return measures[:, NAMES.index(name)]


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        ("mouth_open", "lips apart"),
        ("smile", "smile"),
        ("eyes", "left eye"),
        ("eyes", "right eye"),
        ("brows", "left brow"),
        ("brows", "right brow"),
        ("gaze_x", "gaze aside"),
        ("yaw", "head turned"),
    ],
)
def test_an_expression_is_measured(parameter, name, played, measures):
    true = played[:, PARAMETERS.index(parameter)]
    assert np.corrcoef(true, column(measures, name))[0, 1] > 0.7


def test_a_mirrored_face_measures_the_same_with_left_and_right_exchanged(
    images, measures
):
    mirrored = measure_faces(np.ascontiguousarray(images[:, :, ::-1]))
    for name in ("mouth open", "mouth wide", "pucker", "jaw", "inner brows"):
        pair = column(mirrored, name), column(measures, name)
        assert np.corrcoef(*pair)[0, 1] > 0.9, name
    for name in ("head turned", "gaze aside", "mouth aside"):
        pair = column(mirrored, name), column(measures, name)
        assert np.corrcoef(*pair)[0, 1] < -0.9, name
    pair = column(mirrored, "left eye"), column(measures, "right eye")
    assert np.corrcoef(*pair)[0, 1] > 0.9


def test_gray_faces_and_other_shapes_are_measured(images, measures):
    gray = images.mean(-1, keepdims=True).astype("u1")
    wide = np.pad(gray, ((0, 0), (0, 0), (10, 10), (0, 0)))  # the square is in it
    for faces in (gray, wide):
        found = column(measure_faces(faces), "left brow")
        assert np.corrcoef(found, column(measures, "left brow"))[0, 1] > 0.9


def test_more_images_follow_the_others_and_one_without_a_face_is_nan(images, measures):
    more = [images[0], np.zeros_like(images[0])]
    found = measure_faces(images[:30], iter(more), 2)
    assert found.shape == (32, len(NAMES))
    assert np.isnan(found[-1]).all() and np.isfinite(found[:-1]).all()
    np.testing.assert_array_equal(found[0], found[-2])


@pytest.mark.parametrize("kind", ["black", "noise"])
def test_what_shows_no_faces_has_no_measures(kind, monkeypatch):
    images = np.zeros((40, 20, 28, 1), "u1")
    if kind == "noise":
        images = np.random.default_rng(0).integers(0, 256, images.shape).astype("u1")
    looked = []
    find = landmarks._Detector.find
    monkeypatch.setattr(
        landmarks._Detector, "find", lambda *a: looked.append(1) or find(*a)
    )
    assert measure_faces(images).shape == (0, len(NAMES))
    assert len(looked) < len(images)  # a few of them tell
