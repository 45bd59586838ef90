"""Checksums: the same as HDF5's, only sooner."""
import h5py
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vae.fletcher import fletcher32


SIZES = st.one_of(st.integers(1, 9), st.integers(2030, 2060), st.integers(1, 70000))
FILLS = st.sampled_from([None, 0, 255, 1])


@settings(deadline=None)
@given(SIZES, FILLS, st.integers(0, 2**32 - 1))
def test_checksums_are_those_of_hdf5(size, fill, seed):
    content = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    if fill is not None:
        content[:] = fill
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        data = file.create_dataset("x", data=content, chunks=(size,), fletcher32=True)
        file.flush()
        stored = data.id.read_direct_chunk((0,))[1]
    assert fletcher32(content) == int.from_bytes(stored[-4:], "little")
