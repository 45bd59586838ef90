"""What `prepare` refuses, or leaves out, and with which words."""

import os

import numpy as np
import pytest

from tests.drawing import make_faces
from tests.files import files_below, load, write_crops, write_h5


def write_bad_inputs(folder):
    """Lays out what the table below refers to."""
    write_crops(folder / "crops", make_faces(2))
    write_crops(folder / "small", make_faces(2, 2, 3))
    write_h5(folder / "faces.h5", make_faces(3, 24, 24))
    (folder / "out.h5").write_bytes(b"precious")
    (folder / "notes.txt").write_text("no video")
    (folder / "bad.h5").write_bytes(b"not hdf5")
    for name in ("empty", "folder.h5"):
        (folder / name).mkdir()
    os.mkfifo(folder / "pipe")
    floats = make_faces(3, 24, 24).astype(np.float32)
    write_h5(folder / "floats.h5", floats / 100)


BAD_REQUESTS = [
    ("empty new.h5", "empty: no image found"),
    ("nowhere new.h5", "nowhere: no such file or directory, a folder of crops"),
    ("notes.txt new.h5", "notes.txt: "),
    ("pipe new.h5", "pipe: "),
    ("bad.h5 new.h5", "bad.h5: not an HDF5 file"),
    ("small new.h5", "--width, --height: images of 3x2 found, sides of 4 to 1024"),
    ("--width 2 crops new.h5", "--width: 2 found, 4 to 1024 expected"),
    ("--height 2000 crops new.h5", "--height: 2000 found, 4 to 1024 expected"),
    ("--every 0 crops new.h5", "--every: 0 found, 1 to 1000000 expected"),
    ("--every 2 crops new.h5", "--every: 2 found and no video among the inputs"),
    ("--hdf5-dataset-name x faces.h5 new.h5", "--hdf5-dataset-name: 'x' found"),
    ("floats.h5 new.h5", "floats.h5: dataset 'data': image 0 spans"),
    ("crops out.h5", "out.h5: already there; add to it with --append"),
    ("--append crops out.h5", "out.h5: not an HDF5 file"),
    ("--append --overwrite crops out.h5", "--append: --overwrite found as well"),
    ("crops folder.h5", "folder.h5: a folder found"),
    ("crops crops/new.h5", "crops/new.h5: inside the input crops"),
    ("faces.h5 faces.h5 --overwrite", "faces.h5: an input as well"),
    ("crops crops/frame_det_00_000001.bmp", ".bmp: found as output"),
    ("--append crops faces.h5", "--append: images of 20x24 found, 24x24 expected"),
    ("--append --width 9 crops faces.h5", "--width: 9 found, 24 expected"),
    ("crops notes.txt/new.h5", "notes.txt: a file found, a folder expected"),
]


@pytest.mark.parametrize("line, message", BAD_REQUESTS)
def test_bad_requests_are_refused(tmp_path, monkeypatch, run_cli, line, message):
    write_bad_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))}
    status, out, err = run_cli("prepare", *line.split())
    assert status == 2 and out == ""
    assert message in err and err.count("\n") == 1
    after = {path: path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))}
    assert before == after


def test_no_readable_image_writes_nothing(tmp_path, run_cli):
    folder = tmp_path / "crops"
    folder.mkdir()
    (folder / "a.png").write_text("no image")
    output = tmp_path / "data.h5"
    status, _, err = run_cli("prepare", folder, output)
    assert status == 2 and "no image that can be read" in err
    size = ["--width", "8", "--height", "8"]
    status, _, err = run_cli("prepare", *size, folder, output)
    assert status == 1
    assert err.splitlines()[-1].endswith("not written, since no image could be read")
    assert files_below(tmp_path) == ["a.png"]


def test_unreadable_images_are_listed_and_the_others_kept(tmp_path, run_cli):
    images = make_faces(3)
    folder = write_crops(tmp_path / "crops", images, "{}.png")
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:60])
    (folder / "4.jpg").write_text("no image")
    output = tmp_path / "data.h5"
    status, out, err = run_cli("prepare", folder, output)
    assert status == 1
    assert out.startswith(f"{output}: 2 images")
    assert err.splitlines()[-3].startswith("crops/2.png: ")
    assert err.splitlines()[-2:] == [
        "crops/4.jpg: not an image (PNG, JPEG, BMP, WebP or TIFF)",
        "2 could not be used",
    ]
    assert np.array_equal(load(output)[0], images[[0, 2]])
