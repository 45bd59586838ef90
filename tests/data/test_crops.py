"""A folder of crops: in order whoever reads them, the broken ones told and left out."""

import numpy as np
import pytest
from PIL import Image

from tests.drawing import encode
from vae.config import ModelConfig
from vae.data import arrays
from vae.data.arrays import read_crops
from vae.images import reading

COUNT, SIDE = 50, 8  # more files than one core takes at a time
BROKEN = {0: "an empty file", 17: "not an image", 49: "truncated"}


class Counter:
    """What a progress bar is told."""

    total = 0

    def update(self, count):
        """Counts files."""
        self.total += count


@pytest.fixture
def names(tmp_path):
    """Writes 50 pictures, each of the level of its number, three of them broken."""
    names = [f"{number}.png" for number in range(COUNT)]
    for number, name in enumerate(names):
        picture = Image.new("RGB", (SIDE, SIDE), (number,) * 3)
        (tmp_path / name).write_bytes(encode(picture))
    (tmp_path / names[0]).write_bytes(b"")
    (tmp_path / names[17]).write_bytes(b"hello")
    content = (tmp_path / names[49]).read_bytes()
    (tmp_path / names[49]).write_bytes(content[:-20])
    return names


@pytest.mark.parametrize("held", [arrays.HOLD_BYTES, 0], ids=["memory", "file"])
def test_crops_are_in_order_without_the_broken_ones(held, names, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "HOLD_BYTES", held)
    watch = Counter()
    crops = read_crops(str(tmp_path), names, ModelConfig(SIDE, SIDE), watch.update)
    good = [number for number in range(COUNT) if number not in BROKEN]
    assert crops.indices == good and watch.total == COUNT
    assert crops.images.shape == (len(good), SIDE, SIDE, 3)
    assert (crops.images == np.reshape(good, (-1, 1, 1, 1))).all()
    assert [place for place, _ in crops.failures] == list(BROKEN)
    for (_, reason), expected in zip(crops.failures, BROKEN.values(), strict=True):
        assert reason.startswith(expected)


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
    crops = read_crops(str(tmp_path), names, ModelConfig(SIDE, SIDE))
    assert len(crops.indices) == COUNT - len(BROKEN) and set(most) == {1}
