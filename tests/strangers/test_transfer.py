"""Expression transfer on drawn people, whose true parameters are known.

A ridge regression learns to read the parameters from the actor's drawn faces; what it
reads from the reconstructions of another person is compared with what that person did.
"""

import numpy as np
import pytest
from PIL import Image

from examples.faces import render
from examples.people import make_identity
from examples.performance import perform
from examples.reading import correlate, fit_reader
from tests.files import write_h5

pytestmark = pytest.mark.tensorflow

SIDE = 32
ACTOR, STRANGER = 0, 3
FLOOR = 0.7  # mean r; the full-size figure is in docs/strangers.md


@pytest.fixture(scope="module")
def drawn_model(tmp_path_factory):
    """(model directory, the actor's images, their parameters)."""
    from vae.cli import main
    from vae.strangers import reader

    folder = tmp_path_factory.mktemp("drawn")
    parameters = perform(ACTOR, 400)
    images = render(make_identity(ACTOR), parameters, SIDE, SIDE)
    file = write_h5(folder / "actor.h5", images)
    options = ["--epochs", "36", "--batch-size", "64"]
    with pytest.MonkeyPatch.context() as patch:  # fewer landmarks are as good here
        patch.setattr(reader, "FILM_MEASURED", 256)
        patch.setattr(reader, "MEASURED", 384)
        assert main(["train", *options, str(file), str(folder / "model")]) == 0
    return folder / "model", images, parameters


def test_an_unseen_persons_expression_is_the_actors(drawn_model, tmp_path, run_cli):
    model, images, parameters = drawn_model
    read = fit_reader(images, parameters)
    played = perform(STRANGER, 150)
    crops = tmp_path / "crops"
    crops.mkdir()
    for number, face in enumerate(render(make_identity(STRANGER), played, SIDE, SIDE)):
        Image.fromarray(face).save(crops / f"frame_{number:04}.png")
    status, _, err = run_cli("reconstruct", model, crops, tmp_path / "out")
    assert status == 0
    assert err.startswith("these crops are a stranger's (")
    paths = sorted((tmp_path / "out").iterdir())
    results = np.stack([np.asarray(Image.open(path)) for path in paths])
    scores = correlate(played, read(results))
    assert np.mean(list(scores.values())) > FLOOR, scores
    colour = results.mean((0, 1, 2)) - images.mean((0, 1, 2))
    assert np.abs(colour).max() < 12  # and it is the actor, not the stranger


def test_the_actors_own_crops_are_not_aligned(drawn_model, tmp_path, run_cli):
    model, images, _ = drawn_model
    crops = tmp_path / "crops"
    crops.mkdir()
    for number, face in enumerate(images[-20:]):
        Image.fromarray(face).save(crops / f"frame_{number:04}.png")
    _, _, err = run_cli("reconstruct", model, crops, tmp_path / "out")
    assert err.startswith("these crops are the actor's own (")
