"""Readings of drawn faces follow what was drawn."""

import numpy as np
import pytest

from examples.faces import render
from examples.people import make_identity
from examples.performance import PARAMETERS, perform
from vae.explorer.readings import measure_pictures

FRAMES = 160


@pytest.fixture(scope="module", params=[1, 6])
def film(request):
    """What a drawn person does (N, P), and what is read of it."""
    parameters = perform(request.param, FRAMES)
    identity = make_identity(request.param)
    images = render(identity, parameters)
    return parameters, measure_pictures(images, np.zeros((FRAMES, 1)))


@pytest.mark.parametrize(
    "name, parameter, least",
    [
        ("open", "mouth_open", 0.75),
        ("eyes", "eyes", 0.4),
        ("brows", "brows", 0.6),
        ("gaze", "gaze_x", 0.8),
        ("yaw", "yaw", 0.9),
    ],
)
def test_a_reading_follows_its_parameter(film, name, parameter, least):
    parameters, measures = film
    drawn = parameters[:, PARAMETERS.index(parameter)]
    read = measures.values[:, measures.names.index(name)]
    assert np.corrcoef(drawn, read)[0, 1] > least


def test_faces_that_stand_still_read_as_finite_numbers():
    images = np.full((8, 20, 24, 1), 90, np.uint8)
    values = measure_pictures(images, np.zeros((8, 2))).values
    assert np.isfinite(values).all() and np.ptp(values, axis=0).max() < 1e-3
