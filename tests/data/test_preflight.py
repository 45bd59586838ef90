"""HDF5 files that crash the library, loop for ever in it or take all memory."""

import os
import stat

import h5py
import numpy as np
import pytest

from benchmarks.faults.bombs import deflate_zeros
from tests.drawing import make_faces
from tests.files import write_h5
from vae.data import preflight
from vae.data.preflight import try_images
from vae.errors import RefusedError, VaeError

pytestmark = pytest.mark.child
FOR_EVER = (
    "in.h5: reading it takes for ever, a damaged or a hostile file; copy it again, or"
    " repack it if you trust who made it"
)


def write_endless(path):
    """Writes a file whose attribute `layout` is never read to its end.

    Text of variable length lies in a heap of objects, each with its size. The space
    that is left is an object as well; here it ends too early, in zeros, which are an
    object of no size.
    """
    write_h5(path, make_faces(4, 8, 8))
    with h5py.File(path, "a") as file:
        file["data"].attrs["layout"] = "rows-first"
    content = bytearray(path.read_bytes())
    size_of_rest = content.index(b"GCOL") + 16 + 32 + 8
    content[size_of_rest : size_of_rest + 2] = (3876).to_bytes(2, "little")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("line", ["train in.h5 out", "prepare in.h5 out.h5"])
def test_row_24_an_endless_file_is_refused(line, refused, tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "CPU_SECONDS", 1)
    write_endless(tmp_path / "in.h5")
    assert refused(line) == FOR_EVER


def let_child(end, folder, monkeypatch):
    """Puts a shell script in the place of the child."""
    child = folder / "child"
    child.write_text(f"#!/bin/sh\n{end}\n")
    child.chmod(child.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(preflight.sys, "executable", str(child))


@pytest.mark.parametrize(
    "end, told",
    [
        ("kill -SEGV $$", "the HDF5 library crashes on it"),
        ("kill -ABRT $$", "the HDF5 library crashes on it"),
        ("kill -XCPU $$", "reading it takes for ever"),
        ("exit 3", "it can't be read"),
    ],
)
def test_row_24_a_child_that_dies_is_a_refusal(end, told, tmp_path, monkeypatch):
    path = write_h5(tmp_path / "in.h5", make_faces(4, 8, 8))
    let_child(end, tmp_path, monkeypatch)
    with pytest.raises(RefusedError) as caught:
        try_images(path, "data")
    assert str(caught.value).startswith(f"{path}: {told}, a damaged or a hostile file;")


def test_row_92_a_chunk_that_unpacks_to_far_more_than_it_may(tmp_path):
    path, shape = tmp_path / "in.h5", (3, 1000, 1000, 3)
    with h5py.File(path, "w") as file:
        chunks = {"chunks": (1, *shape[1:]), "compression": 1}
        data = file.create_dataset("data", data=np.zeros(shape, "u1"), **chunks)
        data.id.write_direct_chunk((1, 0, 0, 0), deflate_zeros(900))
    with pytest.raises(VaeError, match="image 1 can't be read|takes too much memory"):
        try_images(path, "data")


@pytest.mark.parametrize(
    "end, told",
    [
        ("kill -KILL $$", "the child process that does so was killed (signal 9); try"),
        ("kill -TERM $$", "the child process that does so was killed (signal 15); tr"),
        ("exit 1", "Python could not start once more; memory is short, or a limit of"),
    ],
)
def test_row_94_a_child_that_is_ended_blames_no_file(end, told, tmp_path, monkeypatch):
    path = write_h5(tmp_path / "in.h5", make_faces(4, 8, 8))
    let_child(end, tmp_path, monkeypatch)
    with pytest.raises(VaeError) as caught:
        try_images(path, "data")
    assert str(caught.value).startswith(f"{path}: can't be checked, {told}")
    assert caught.value.exit_status == 1


def test_row_24_a_file_that_takes_all_memory_is_refused(tmp_path):
    path, name = tmp_path / "in.h5", "x" * (1 << 20)
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=make_faces(2000, 8, 8))
        names = file.create_dataset("source", (2000,), h5py.string_dtype())
        names[0] = name
        names[1:] = ""
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        start = file["source"].id.get_offset()
    # Each row says the length and the place of its text: all of them are the first.
    content[start : start + 16 * 2000] = bytes(content[start : start + 16]) * 2000
    path.write_bytes(content)
    with pytest.raises(VaeError, match="takes too much memory|can't be read"):
        try_images(path, "data", ("source",))


def test_row_24_a_good_file_is_nothing_to_speak_of(tmp_path, monkeypatch):
    folder = tmp_path / "-f\udcff\n"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "h5py.py").write_text("raise SystemExit(3)")
    for name in ("data", "é/\n"):
        write_h5("in.h5", make_faces(4, 8, 8), name)
        try_images("in.h5", name)
    write_h5("-a.h5", make_faces(4, 8, 8))
    try_images("-a.h5", "data")


def test_what_the_child_refuses_is_told_as_if_here(tmp_path):
    write_h5(tmp_path / "é.h5", make_faces(4, 8, 8)[..., 0])
    with pytest.raises(
        RefusedError, match=r"é.h5: dataset 'data': shape \(4, 8, 8\) f"
    ):
        try_images(tmp_path / "é.h5", "data")
    path = write_h5(tmp_path / "in.h5", make_faces(4, 8, 8), fletcher32=True)
    with h5py.File(path) as file:
        at = file["data"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(VaeError, match="image 0 can't be read") as caught:
        try_images(path, "data")
    assert caught.value.exit_status == 1


def test_the_index_and_the_origins_are_read_as_well(tmp_path):
    path = tmp_path / "in.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=make_faces(50, 8, 8), chunks=(1, 8, 8, 3))
        file.create_dataset("source", data=["a.png"] * 50, dtype=h5py.string_dtype())
    good = path.read_bytes()
    try_images(path, "data", ("source",))
    path.write_bytes(good.replace(b"GCOL", b"XXXX"))
    with pytest.raises(VaeError, match="where its images came from can't be read"):
        try_images(path, "data", ("source",))
    last = good.rindex(b"TREE\1")  # a leaf of the index of chunks
    path.write_bytes(good[:last] + b"X" + good[last + 1 :])
    with pytest.raises(VaeError, match="can't be read"):
        try_images(path, "data")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.mkdir()])
def test_what_is_no_file_is_not_waited_for(make, tmp_path):
    make(tmp_path / "in.h5")
    with pytest.raises(RefusedError, match="in.h5: (not a regular file|a directory)"):
        try_images(tmp_path / "in.h5", "data")
