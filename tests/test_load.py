"""`from vae import load`: a trained actor in Python, as the commands have it."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.drawing import make_faces
from tests.files import ROOT, write_crops
from vae import load
from vae.errors import RefusedError, VaeError
from vae.images.pixels import resize_image

pytestmark = pytest.mark.tensorflow  # the model has to be trained
FACES = make_faces(20, seed=1)
ALONE = """
import sys
import vae
assert not {"numpy", "h5py", "PIL"} & set(sys.modules)
actor = vae.load(sys.argv[1])
print(actor.reconstruct(sys.argv[2]).shape)
assert not {"tensorflow", "keras"} & set(sys.modules)
"""


@pytest.fixture
def crops(tmp_path):
    """A folder of twenty crops of the model's size."""
    return write_crops(tmp_path / "crops", FACES, "{:02}.png")


@pytest.mark.parametrize("align", ["auto", "register", "none"])
def test_pictures_are_those_of_the_command(align, tiny_model, crops, tmp_path, run_cli):
    output = tmp_path / "out"
    command = ["reconstruct", "--align", align, "--strength", "1.5"]
    assert run_cli(*command, tiny_model, crops, output)[0] == 0
    written = [np.asarray(Image.open(path)) for path in sorted(output.iterdir())]
    actor = load(tiny_model)
    for given in (crops, FACES):
        found = actor.reconstruct(given, align=align, strength=1.5)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, written)


def test_codes_go_there_and_back(tiny_model):
    actor = load(tiny_model)
    z_mean, z_log_var = actor.encode(FACES)
    assert z_mean.shape == z_log_var.shape == (20, 4)
    images = actor.decode(z_mean)
    assert images.shape == FACES.shape and images.dtype == np.uint8
    np.testing.assert_array_equal(images, actor.reconstruct(FACES, align="none"))
    np.testing.assert_array_equal(images[:1], actor.decode(z_mean[:1].tolist()))


def test_images_of_another_size_are_resized(tiny_model):
    actor = load(tiny_model)
    large = [resize_image(face, 50, 60) for face in FACES]
    small = np.stack([resize_image(face, 20, 24) for face in large])
    np.testing.assert_array_equal(actor.reconstruct(large), actor.reconstruct(small))


def test_import_is_instant_and_tensorflow_stays_away(tiny_model, crops):
    command = [sys.executable, "-c", ALONE, tiny_model, crops]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("(20, 24, 20, 3)\n", "")


def test_what_can_not_work_is_an_error_with_a_sentence(tiny_model, crops, tmp_path):
    with pytest.raises(RefusedError, match="nowhere/metadata.json: no such file or d"):
        load(tmp_path / "nowhere")
    actor = load(tiny_model)
    with pytest.raises(RefusedError, match="^--align: 'up' found, one of auto, none,"):
        actor.reconstruct(FACES, align="up")
    (crops / "07.png").write_bytes(b"")
    with pytest.raises(VaeError, match="^07.png: an empty file$"):
        actor.reconstruct(crops)
