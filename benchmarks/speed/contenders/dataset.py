"""Faces of an HDF5 file in memory, as most training programs read them."""

import h5py


def read_faces(path, batch):
    """Returns uint8 (N, H, W, C), as many as fill whole batches."""
    with h5py.File(path) as file:
        data = file["data"]
        return data[: len(data) // batch * batch]
