"""Pictures as one array: in order whoever reads them, the broken one named."""

import numpy as np
import pytest
from PIL import Image

from tests.drawing import encode
from vae.config import ModelConfig
from vae.data import arrays
from vae.data.arrays import read_pictures
from vae.errors import VaeError
from vae.images import reading

COUNT, SIDE = 50, 8  # more files than one core takes at a time


@pytest.fixture
def names(tmp_path):
    """Writes 50 pictures, each of the level of its number."""
    names = [f"{number}.png" for number in range(COUNT)]
    for number, name in enumerate(names):
        picture = Image.new("RGB", (SIDE, SIDE), (number,) * 3)
        (tmp_path / name).write_bytes(encode(picture))
    return names


@pytest.mark.parametrize("held", [arrays.HOLD_BYTES, 0], ids=["memory", "file"])
def test_pictures_are_in_order(held, names, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "HOLD_BYTES", held)
    images = read_pictures(tmp_path, names, ModelConfig(SIDE, SIDE))
    assert images.shape == (COUNT, SIDE, SIDE, 3)
    assert (images == np.arange(COUNT).reshape(-1, 1, 1, 1)).all()


def test_the_first_picture_that_cannot_be_read_is_named(names, tmp_path):
    (tmp_path / names[17]).write_bytes(b"hello")
    (tmp_path / names[49]).write_bytes(b"")
    with pytest.raises(VaeError, match="^17.png: not an image"):
        read_pictures(tmp_path, names, ModelConfig(SIDE, SIDE))


def test_large_pictures_are_decoded_one_at_a_time(names, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LARGE_PIXELS", SIDE**2 - 1)
    active, most, load = [], [], reading._load

    def watched(image, *others):
        active.append(image)
        most.append(len(active))
        try:
            return load(image, *others)
        finally:
            active.remove(image)

    monkeypatch.setattr(reading, "_load", watched)
    read_pictures(tmp_path, names, ModelConfig(SIDE, SIDE))
    assert len(most) == COUNT and set(most) == {1}
