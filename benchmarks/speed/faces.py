"""What benchmarks work on: drawn faces in files of any size, and a model of them."""

import subprocess
import sys
import zlib
from pathlib import Path

import h5py

from benchmarks.speed.places import OURS
from examples.draw import write_file, write_folder
from examples.faces import render
from examples.people import make_identity
from examples.performance import perform
from vae.data.arrays import load_images
from vae.data.hdf5 import ImageFile

IDENTITY, SEED = 0, 0  # of the actor who is drawn
PEOPLE = 20  # in a file that is sorted by person
CHUNK_ROWS = 50  # images of 64 x 64 in a chunk: 0.6 MB
SIDE = 64  # pixels, of the faces in a sorted file
GZIP_LEVEL = 1
MODEL_IMAGES, MODEL_EPOCHS = 512, 10  # enough for faces to be seen


def draw_file(path, count, side):
    """Draws an HDF5 file of `count` faces of one person."""
    write_file(Path(path), IDENTITY, SEED, perform(SEED, count), side, side)


def draw_folder(path, count, side):
    """Draws a new folder of `count` PNG files of one person."""
    write_folder(Path(path), IDENTITY, perform(SEED, count), side, side)


def resize_file(source, path, side):
    """Writes the images of a file at another size, so that all read the same pixels."""
    with ImageFile(source) as file:
        rows = load_images(file, 0, file.count, (side, side))
        chunk = min(CHUNK_ROWS, len(rows))
        with h5py.File(path, "w") as target:
            chunks = (chunk, *rows.shape[1:])
            target.create_dataset("data", data=rows[:], chunks=chunks)


def write_sorted(path, count):
    """Writes `count` faces of `PEOPLE` persons, one after the other, gzip-compressed.

    A person's faces are one chunk that repeats; what is compressed is stored as it is,
    so that a million images take a minute. The first pixel's red value, which is black
    in a drawn face, is the number of the person.
    """
    shape = (CHUNK_ROWS, SIDE, SIDE, 3)
    blocks = [_draw_block(person) for person in range(PEOPLE)]
    chunks = -(-count // CHUNK_ROWS)
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "data",
            (count, *shape[1:]),
            "u1",
            chunks=shape,
            compression="gzip",
            compression_opts=GZIP_LEVEL,
        )
        for index in range(chunks):
            block = blocks[index * PEOPLE // chunks]
            data.id.write_direct_chunk((index * CHUNK_ROWS, 0, 0, 0), block)


def _draw_block(person):
    faces = render(make_identity(person), perform(person, CHUNK_ROWS), SIDE, SIDE)
    faces[:, 0, 0, 0] = person
    return zlib.compress(faces.tobytes(), GZIP_LEVEL)


def train_model(folder):
    """Trains a model on drawn faces; returns its directory."""
    source, model = Path(folder) / "model.h5", Path(folder) / "model"
    draw_file(source, MODEL_IMAGES, SIDE)
    options = ["--epochs", MODEL_EPOCHS, source, model]
    command = [sys.executable, OURS, "train", *options]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return model
