"""The published split of Frey Faces, on numbers that stand for the frames."""

import numpy as np
import pytest

from benchmarks.quality.frey import SEEDS, SHAPE, split


@pytest.mark.parametrize("seed", SEEDS)
def test_the_split_is_the_published_one(seed):
    frames = np.arange(SHAPE[0], dtype=np.uint16)[:, None, None, None]
    parts = split(frames, seed)
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 1565,
        "validation": 200,
        "test": 200,
    }
    flat = np.arange(SHAPE[0])[:, None]  # as its code does it: rows, a global seed
    np.random.seed(seed)
    np.random.shuffle(flat)
    found = np.concatenate([parts[name].ravel() for name in parts])
    np.testing.assert_array_equal(found, flat.ravel())
    assert frames[0] == 0  # the caller's frames stay in order
