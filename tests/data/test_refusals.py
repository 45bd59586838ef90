"""What data is refused: one line that says why, nothing written, no TensorFlow."""

import os

import h5py
import numpy as np
import pytest

from tests.drawing import make_faces
from tests.files import write_h5

PIXELS = make_faces(12, 8, 8)
FLOATS = PIXELS.astype(np.float32) / 255
SHAPE = "N x width x height x 3 (or 1) expected"
KINDS = "uint8, or float16, float32 or float64 between 0 and 1 expected"
OWN = "images stored in the file itself expected; copy them into one file"
NOT_IT = "in.h5: not an HDF5 file; see docs/files.md for the format"
SCALE = "floats between 0 and 1 expected; scale them, or store uint8"


def change_h5(change, **settings):
    """Returns a function that writes PIXELS as `other`, then changes the file."""

    def make(path):
        write_h5(path, PIXELS, "other", **settings)
        with h5py.File(path, "a") as file:
            change(file)

    return make


def store(images):
    """Returns a function that writes images as `data`."""
    return lambda path: write_h5(path, images)


def declare(*shape, **settings):
    """Returns a function that declares `data` without writing it."""
    settings = {"dtype": "u1", "fillvalue": 0} | settings
    return change_h5(lambda file: file.create_dataset("data", shape, **settings))


def virtual(file):
    """Adds `data` as a view of another dataset."""
    layout = h5py.VirtualLayout(PIXELS.shape, "u1")
    layout[:] = h5py.VirtualSource(file["other"])
    file.create_virtual_dataset("data", layout)


def external(file):
    """Adds `data` with its values in another file."""
    where = [("secret", 0, PIXELS.nbytes)]
    file.create_dataset("data", PIXELS.shape, "u1", external=where)


def link_to(link):
    """Returns a function that adds `data` as a link."""
    return change_h5(lambda file: file.__setitem__("data", link))


def truncated(path):
    """Writes a good file and cuts off its end."""
    write_h5(path, PIXELS)
    os.truncate(path, path.stat().st_size - 1)


def with_value(value):
    """Returns a function that writes floats, one of them out of place."""
    images = FLOATS.copy()
    images[7, 0, 0, 0] = value
    return store(images)


FILES = {
    "row_18 missing": (
        lambda path: None,
        "in.h5: no such file or directory, an HDF5 file expected",
    ),
    "row_18 directory": (
        lambda p: p.mkdir(),
        "in.h5: a directory, an HDF5 file expected",
    ),
    "row_18 pipe": (os.mkfifo, "in.h5: not a regular file, an HDF5 file expected"),
    "row_18 empty": (
        lambda p: p.touch(),
        "in.h5: an empty file, an HDF5 file expected",
    ),
    "row_18 text": (lambda p: p.write_text("hello\n" * 500), NOT_IT),
    "row_18 superblock": (
        lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(999)),
        NOT_IT,
    ),
    "row_19 truncated": (
        truncated,
        "in.h5: truncated, a whole HDF5 file expected; copy it",
    ),
    "row_26 other name": (
        change_h5(lambda file: None),
        "--hdf5-dataset-name: 'data' found, one of the datasets in in.h5 expected:"
        " other (12, 8, 8, 3)",
    ),
    "row_26 hostile name": (
        change_h5(lambda file: file.move("other", "a\nb\x1b")),
        "--hdf5-dataset-name: 'data' found, one of the datasets in in.h5 expected:"
        r" a\nb\x1b (12, 8, 8, 3)",
    ),
    "row_26 group": (
        change_h5(lambda file: file.move("other", "data/inner")),
        "--hdf5-dataset-name: 'data' is a group in in.h5, one of its datasets expected:"
        " data/inner (12, 8, 8, 3)",
    ),
    "row_26 no dataset": (
        change_h5(lambda file: file.pop("other")),
        "--hdf5-dataset-name: 'data' found, one of the datasets in in.h5 expected: it"
        " holds none",
    ),
    "row_20 soft link": (
        link_to(h5py.SoftLink("/other")),
        "in.h5: 'data' is a SoftLink, a",
    ),
    "row_20 external link": (
        link_to(h5py.ExternalLink("x.h5", "/data")),
        "in.h5: 'data' is an ExternalLink, a dataset stored in the file itself"
        " expected; copy it into one file",
    ),
}
FORMS = {  # what is said after the name of the dataset
    "row_21 virtual": (change_h5(virtual), f"virtual dataset found, {OWN}"),
    "row_21 external": (change_h5(external), f"external storage found, {OWN}"),
    "row_22 never written": (
        declare(1_000_000, 64, 64, 3),
        "12288000000 bytes declared and 0 stored; it was never"
        " written, or only in part",
    ),
    "row_22 huge chunk": (
        declare(30, 1024, 1024, 3, chunks=(30, 1024, 1024, 3)),
        "chunks of 90 MB found, at most 64 MB expected; repack",
    ),
    "row_29 nul": (store(h5py.Empty("u1")), f"shape None found, {SHAPE}"),
    "row_27 rank 3": (store(PIXELS[..., 0]), f"shape (12, 8, 8) found, {SHAPE}"),
    "row_27 rank 5": (store(PIXELS[None]), "shape (1, 12, 8, 8, 3) found"),
    "row_27 channels first": (
        store(PIXELS.transpose(0, 3, 1, 2)),
        f"shape (12, 3, 8, 8) found, {SHAPE}; move the channels to the end",
    ),
    "row_27 alpha": (
        store(np.zeros((2, 8, 8, 4), np.uint8)),
        f"shape (2, 8, 8, 4) found, {SHAPE}",
    ),
    "row_31 no rows": (declare(0, 8, 8, 3), "no images found, at least"),
    "row_27 side 0": (declare(2, 0, 8, 3), "images of 0x8 pixels found"),
    "row_27 small": (
        declare(2, 8, 3, 3),
        "images of 8x3 pixels found, sides of 4 to 1024 expected",
    ),
    "row_27 large": (declare(2, 1025, 8, 3), "images of 1025x8 pixels"),
    "row_30 0 to 255": (
        store(PIXELS.astype(np.float32)),
        f"image 0 spans 0 to 220, {SCALE}",
    ),
    "row_30 -1 to 1": (
        with_value(-1),
        f"image 7 spans -1 to {FLOATS[7].max():.4g}, {SCALE}",
    ),
    "row_30 nan": (with_value(np.nan), "image 7 spans nan to nan, floats"),
    "row_30 inf": (with_value(np.inf), "image 7 spans 0 to inf, floats"),
}
DTYPES = {
    "uint16": (28, np.uint16),
    "int8": (28, np.int8),
    "bool": (28, np.bool_),
    "complex64": (29, np.complex64),
    "|S3": (29, "S3"),
    "[('r', 'u1')]": (29, [("r", "u1")]),
    "object": (29, h5py.vlen_dtype(np.uint8)),
}
for dtype_name, (row, dtype) in DTYPES.items():
    FORMS[f"row_{row} {dtype_name}"] = (
        declare(2, 8, 8, 3, dtype=dtype, fillvalue=None),
        f"{dtype_name} values found, {KINDS}",
    )


@pytest.mark.parametrize("case", FILES)
def test_train_refuses_a_file_that_is_not_images(case, refused, tmp_path):
    make, message = FILES[case]
    make(tmp_path / "in.h5")
    assert refused("train in.h5 out").startswith(message)


@pytest.mark.parametrize("case", FORMS)
def test_train_refuses_a_dataset_of_another_form(case, refused, tmp_path):
    make, message = FORMS[case]
    make(tmp_path / "in.h5")
    assert refused("train in.h5 out").startswith(f"in.h5: dataset 'data': {message}")


def test_row_19_train_names_the_chunk_that_is_damaged_and_returns_1(refused, tmp_path):
    path = write_h5(tmp_path / "in.h5", PIXELS, chunks=(4, 8, 8, 3), compression="gzip")
    with h5py.File(path) as file:
        chunk = file["data"].id.get_chunk_info(1)
    content = bytearray(path.read_bytes())
    for at in range(chunk.byte_offset, chunk.byte_offset + chunk.size):
        content[at] ^= 0xFF
    path.write_bytes(content)
    message = refused("train in.h5 out", status=1)
    assert message.startswith("in.h5: dataset 'data': images 0 to 11 can't be read (")
    assert message.endswith("); copy the file again")


def test_train_refuses_validation_images_of_another_kind(refused, tmp_path):
    write_h5(tmp_path / "in.h5", PIXELS)
    write_h5(tmp_path / "gray.h5", PIXELS[..., :1])
    assert refused("train --validation gray.h5 in.h5 out") == (
        "--validation: gray.h5 has 1 channel, 3 expected, as in input"
    )
