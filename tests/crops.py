"""Folders of crops that tests write, and the data files that they read back."""

import h5py
from PIL import Image


def write_crops(folder, images, name="frame_det_00_{:06d}.bmp"):
    """Writes images as a folder of crops, numbered from 1; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images, 1):
        Image.fromarray(image.squeeze()).save(folder / name.format(number))
    return folder


def load(path):
    """Returns (images, sources, frames) of a data file."""
    with h5py.File(path) as file:
        names = file["source"].asstr()[:].tolist()
        return file["data"][:], names, file["frame"][:].tolist()


def files_below(folder):
    """Returns every file name, hidden ones as well."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())
