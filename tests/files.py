"""Files and folders that tests write, and what they read back or compare."""

import csv
import hashlib
import os
from itertools import pairwise
from pathlib import Path

import h5py
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]  # of the project

STRANGE_NAMES = [b"-rf.png", b"new\nline.png", b"caf\xe9.png", b"CON.png", b"dot..png"]
STRANGE_NAMES += [b"x" * 251 + b".png", b"\x1b[31mred.png", b"%s%n{0}.png"]


def write_h5(path, images, name="data", **settings):
    """Writes images as an HDF5 file; returns its path."""
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=images, **settings)
    return path


def write_set(folder, images, bounds, **settings):
    """Writes files of the rows between bounds; returns the pattern that names them."""
    folder.mkdir()
    for number, (start, stop) in enumerate(pairwise(bounds), 1):
        write_h5(folder / f"part_{number}.h5", images[start:stop], **settings)
    return str(folder / "*.h5")


def write_crops(folder, images, name="frame_det_00_{:06d}.bmp"):
    """Writes images as a folder of crops, numbered from 1; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images, 1):
        Image.fromarray(image.squeeze()).save(folder / name.format(number))
    return folder


def write_video(path, images, codec="libx264rgb", pixels="rgb24", options=None):
    """Encodes images, without loss by default; needs PyAV, which is an extra."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {"qp": "0"})
        stream.height, stream.width = images.shape[1:3]
        stream.pix_fmt = pixels
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())
    return path


def load(path):
    """Returns (images, sources, frames) of a data file."""
    with h5py.File(path) as file:
        names = file["source"].asstr()[:].tolist()
        return file["data"][:], names, file["frame"][:].tolist()


def read_history(output):
    """Returns the rows of a model's history.csv without their clock."""
    with (output / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def files_below(folder):
    """Returns every file name, hidden ones as well."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def snapshot(folder):
    """Returns every path below a folder with its kind, size and time of change."""
    stats = {path: os.lstat(path) for path in folder.rglob("*")}
    return {p: (s.st_mode, s.st_size, s.st_mtime_ns) for p, s in stats.items()}


def hash_below(folder):
    """Returns path -> digest of each file below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: hashlib.sha256(path.read_bytes()).digest() for path in files}
