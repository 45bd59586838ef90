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


def test_row_71_images_that_were_never_written_are_refused(refused, tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        data = file.create_dataset("data", (100, 8, 8, 3), "u1", chunks=(5, 8, 8, 3))
        data[:24] = 9
    for line in ("train in.h5 out", "prepare in.h5 out.h5"):
        assert refused(line) == (
            f"{DATASET}image 25 was never written; cut the dataset to what was, or copy"
            " the file again"
        )


def test_row_73_one_compression_upon_another_is_refused(refused, tmp_path):
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk((4, 8, 8, 3))
    settings.set_deflate(9)
    settings.set_deflate(9)
    space = h5py.h5s.create_simple((12, 8, 8, 3))

    def add(file):
        h5py.h5d.create(file.id, b"data", h5py.h5t.STD_U8LE, space, settings)
        h5py.Dataset(file["data"].id)[:] = PIXELS

    write(tmp_path / "in.h5", add)
    assert refused("train in.h5 out") == (
        f"{DATASET}filters gzip, gzip found, one compression at most expected; repack"
        " the file"
    )


def test_row_73_filters_of_the_origins_are_checked_as_well(refused, tmp_path):
    write_h5(tmp_path / "in.h5", PIXELS)
    with h5py.File(tmp_path / "in.h5", "a") as file:
        file.create_dataset("frame", data=np.arange(12), scaleoffset=0)
    message = refused("prepare in.h5 out.h5")
    assert message.startswith(
        "in.h5: dataset 'frame': filter 6 found, gzip, lzf, shuff"
    )


def test_row_74_what_is_no_hdf5_file_is_named(refused, tmp_path):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (tmp_path / "in.h5").write_text(pointer)
    assert refused("train in.h5 out").startswith("in.h5: a Git LFS pointer, an HDF5 fi")
    (tmp_path / "in.h5").write_bytes(b"\0\0\0 ftypmp42")
    message = refused("train in.h5 out")
    assert message.endswith("prepare makes one of pictures and videos")
    (tmp_path / "crops").mkdir()
    assert refused("train crops out") == (
        "crops: a directory, an HDF5 file expected; prepare makes one of it"
    )


def test_row_74_a_file_that_a_crashed_program_left_open_is_named(refused, tmp_path):
    path = tmp_path / "in.h5"
    code = "import sys, os, h5py, numpy\n"
    code += "file = h5py.File(sys.argv[1], 'w', libver='latest')\n"
    code += "file['data'] = numpy.zeros((4, 8, 8, 3), 'u1')\n"
    code += "file.swmr_mode = True; file.flush(); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, path])
    message = refused("train in.h5 out")
    assert message == (
        "in.h5: not closed by the program that wrote it; h5clear -s in.h5"
    )


def test_row_75_images_that_are_too_large_are_made_smaller(refused, tmp_path, run_cli):
    write_h5(tmp_path / "in.h5", np.full((2, 1500, 1500, 3), 7, np.uint8))
    assert refused("train in.h5 out").endswith("; prepare --width 112 old.h5 new.h5")
    assert run_cli("prepare", "--width", "112", "in.h5", "new.h5")[0] == 0
    with ImageFile(tmp_path / "new.h5") as file:
        assert (file.width, file.height) == (112, 112) and (file.read(0, 2) == 7).all()
