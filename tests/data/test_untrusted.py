"""Untrusted data files: links, views, filters, locks, types and chunks of any kind."""

import fcntl
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from tests.drawing import make_faces
from tests.files import ROOT, write_h5
from vae.data.hdf5 import ImageFile
from vae.errors import RefusedError

PIXELS = make_faces(12, 8, 8)
DATASET = "in.h5: dataset 'data': "


def write(path, add):
    """Writes a good dataset `other`, and lets `add` put `data` into the file."""
    write_h5(path, PIXELS, "other")
    with h5py.File(path, "a") as file:
        add(file)


def add_references(file):
    """Adds `data` as references to another object."""
    data = file.create_dataset("data", (1, 8, 8, 3), h5py.ref_dtype)
    data[...] = file["other"].ref


def add_loop(file):
    """Adds `data` as one of two links to each other."""
    file["data"], file["loop"] = h5py.SoftLink("/loop"), h5py.SoftLink("/data")


LINKS = {
    "loop": add_loop,
    "dangling": lambda file: file.__setitem__("data", h5py.SoftLink("/nowhere")),
    "out": lambda file: file.__setitem__(
        "data", h5py.ExternalLink("secret.h5", "data")
    ),
}


@pytest.mark.parametrize("case", LINKS)
def test_row_20_no_link_is_followed(case, refused, tmp_path):
    write(tmp_path / "in.h5", LINKS[case])
    message = refused("train in.h5 out")
    kind = "an ExternalLink" if case == "out" else "a SoftLink"
    assert message.startswith(f"in.h5: 'data' is {kind}, a dataset")


def test_row_20_a_link_above_the_dataset_is_not_followed(refused, tmp_path):
    write_h5(tmp_path / "secret.h5", PIXELS, "inner/data")
    os.utime(tmp_path / "secret.h5", (0, 1))
    out = h5py.ExternalLink("secret.h5", "/inner")
    write(tmp_path / "in.h5", lambda file: file.__setitem__("group", out))
    message = refused("train --hdf5-dataset-name group/data in.h5 out")
    assert message.startswith(
        "in.h5: 'group/data' is an ExternalLink, a dataset stored"
    )
    assert os.stat(tmp_path / "secret.h5").st_atime == 0  # it was not read


def test_row_21_views_of_other_files_are_refused(refused, tmp_path):
    write_h5(tmp_path / "secret.h5", PIXELS)

    def view(file):
        layout = h5py.VirtualLayout(PIXELS.shape, "u1")
        layout[:] = h5py.VirtualSource("secret.h5", "data", PIXELS.shape)
        file.create_virtual_dataset("data", layout)

    write(tmp_path / "in.h5", view)
    assert refused("train in.h5 out").startswith(DATASET + "virtual dataset found, ima")


def add_filtered(number, flags):
    """Returns a function that adds `data` stored through a filter, by its number."""

    def add(file):
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk((4, 8, 8, 3))
        settings.set_filter(number, flags, ())
        space = h5py.h5s.create_simple((12, 8, 8, 3))
        h5py.h5d.create(file.id, b"data", h5py.h5t.STD_U8LE, space, settings)
        h5py.Dataset(file["data"].id)[:] = PIXELS

    return add


@pytest.mark.parametrize("number", [32001, 307, 511])
def test_row_23_an_unknown_filter_is_named(number, refused, tmp_path, monkeypatch):
    monkeypatch.setenv("HDF5_PLUGIN_PATH", str(tmp_path))
    optional = h5py.h5z.FLAG_OPTIONAL
    write(tmp_path / "in.h5", add_filtered(number, optional))
    assert refused("train in.h5 out") == (
        f"{DATASET}filter {number} found, gzip, lzf, shuffle, fletcher32 or none"
        " expected; repack the file"
    )


def test_row_23_a_filter_of_the_library_that_is_not_needed_is_not_run(tmp_path):
    path = write_h5(tmp_path / "in.h5", PIXELS, scaleoffset=8)
    with pytest.raises(RefusedError, match="filter 6 found, gzip, lzf, shuffle"):
        ImageFile(path)


@pytest.mark.parametrize(
    "settings",
    [
        {"compression": "gzip"},
        {"compression": "lzf"},
        {"shuffle": True, "fletcher32": True},
    ],
)
def test_row_23_the_filters_of_h5py_are_read(settings, tmp_path):
    path = write_h5(tmp_path / "in.h5", PIXELS, chunks=(4, 8, 8, 3), **settings)
    with ImageFile(path) as file:
        np.testing.assert_array_equal(file.read(0, 12), PIXELS)


def test_row_25_a_file_that_is_being_written_is_refused(refused, tmp_path):
    path = write_h5(tmp_path / "in.h5", PIXELS)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert refused("train in.h5 out") == (
            "in.h5: another program is writing it; wait until it is done"
        )


def test_row_25_a_file_that_is_replaced_is_read_as_it_was(tmp_path):
    path = write_h5(tmp_path / "in.h5", PIXELS)
    with ImageFile(path) as file:
        before = file.fingerprint()
        write_h5(tmp_path / "new.h5", 255 - PIXELS)
        os.replace(tmp_path / "new.h5", path)
        np.testing.assert_array_equal(file.read(0, 12), PIXELS)
        assert file.fingerprint() == before
    with ImageFile(path) as file:
        assert file.fingerprint() != before  # which --resume compares


def test_row_25_no_hdf5_program_can_write_a_file_that_is_read(tmp_path):
    path = write_h5(tmp_path / "in.h5", PIXELS)
    code = "import sys, h5py; h5py.File(sys.argv[1], 'a')"
    with ImageFile(path):
        command = [sys.executable, "-c", code, path]
        writer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert writer.returncode == 1 and "lock" in writer.stderr


def test_row_26_the_datasets_of_a_file_are_listed(refused, tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        for number in range(30):
            file.create_dataset(f"{number:02}", data=PIXELS[:1])
    message = refused("train in.h5 out")
    assert message.count("(1, 8, 8, 3)") == 20  # no more, however many there are


ODD = {
    "scalar": (lambda file: file.create_dataset("data", data=3), "shape () found, N x"),
    "references": (add_references, "object values found, uint8, or float16"),
    "enum": (
        lambda f: f.create_dataset(
            "data", (1, 8, 8, 3), h5py.enum_dtype({"a": 1}, "i2")
        ),
        "int16 values found, uint8, or",
    ),
    "time": (
        lambda f: f.create_dataset("data", (1, 8, 8, 3), h5py.opaque_dtype("M8[s]")),
        "datetime64[s] values found, uint8",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_row_29_what_is_no_number_is_refused(case, refused, tmp_path):
    add, message = ODD[case]
    write(tmp_path / "in.h5", add)
    assert refused("train in.h5 out").startswith(DATASET + message)


LAYOUTS = {
    "auto-chunked": (
        (12, 4, 4, 1),
        "chunks of 12 x 4 x 4 x 1 split every image, which",
    ),
    "one row": ((1, 8, 8, 3), None),
    "one chunk": ((12, 8, 8, 3), None),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_row_33_chunks_of_any_form_are_read_and_bad_ones_told(case, tmp_path):
    chunks, advice = LAYOUTS[case]
    path = write_h5(tmp_path / "in.h5", PIXELS, chunks=chunks)
    with ImageFile(path) as file:
        np.testing.assert_array_equal(file.read(0, 12), PIXELS)
        told = [note.split("'data': ")[1] for note in file.notes]
    assert len(told) == bool(advice) and all(note.startswith(advice) for note in told)
