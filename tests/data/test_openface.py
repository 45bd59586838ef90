"""Behaviour of `prepare` on the output of OpenFace, with the CSV that lies beside."""

import csv
import shutil
import tracemalloc

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.drawing import make_faces
from tests.files import load, write_crops, write_h5
from vae.data import openface
from vae.data.openface import find_csv, read_failed
from vae.errors import RefusedError


def write_csv(path, rows, header=("frame", "face_id", "confidence", "success")):
    """Writes a CSV the way OpenFace does, with blanks before the names."""
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([[header[0], *(f" {name}" for name in header[1:])]])
        csv.writer(file).writerows(rows)


def test_frames_that_openface_failed_on_are_skipped(tmp_path, run_cli):
    images = make_faces(6)
    folder = write_crops(tmp_path / "clip_aligned", images)
    rows = [[1, 0, 0.98, 1], [2, 0, 0.1, 0], [3, 0, 0.5, 1], [4, 1, 0.0, 0], []]
    write_csv(tmp_path / "clip.csv", rows)
    output = tmp_path / "data.h5"
    status, out, _ = run_cli("prepare", "--min-confidence", "0.7", folder, output)
    assert status == 0
    assert "skipped: 2 crops that OpenFace failed on" in out.splitlines()
    data, _, frames = load(output)
    assert frames == [1, 4, 5, 6]
    assert np.array_equal(data, images[[0, 3, 4, 5]])


def test_old_names_and_a_parent_folder_find_the_csv(tmp_path, run_cli):
    folder = tmp_path / "processed" / "clip_aligned"
    write_crops(folder, make_faces(3), "frame_det_{:06d}.bmp")
    rows = [[1, 1, 0.9], [2, 0, 0.0], [3, 1, 0.9]]
    header = ("frame", "success", "confidence")
    write_csv(tmp_path / "processed" / "clip.csv", rows, header)
    output = tmp_path / "data.h5"
    assert run_cli("prepare", tmp_path / "processed", output)[0] == 0
    assert load(output)[1:] == (
        [f"processed/clip_aligned/frame_det_00000{n}.bmp" for n in (1, 3)],
        [1, 3],
    )


@pytest.mark.parametrize(
    "content, message",
    [
        ("frame, success\n1, 1\n", "no column 'confidence', OpenFace's CSV expected"),
        ("", "no column 'frame'"),
        ("frame, confidence, success\n1, x, 1\n", "line 2 is not numbers in columns"),
        ("frame, confidence, success\n1\n", "line 2 is not numbers in columns"),
        ("frame, confidence, success\n1, 0, 0\n2, 0, 0\n", "failed on all of its 2"),
    ],
)
def test_a_csv_of_another_kind_is_refused(tmp_path, run_cli, content, message):
    folder = write_crops(tmp_path / "clip_aligned", make_faces(2))
    (tmp_path / "clip.csv").write_text(content)
    status, _, err = run_cli("prepare", folder, tmp_path / "data.h5")
    assert status == 2 and message in err
    assert not (tmp_path / "data.h5").exists()


def spreadsheet(content):
    """Returns a CSV as a spreadsheet saves it where "," is the decimal point."""
    return content.replace(", ", ";").replace(".", ",").replace("\n", "\r\n")


def quoted(content):
    """Returns a CSV with each field in quotes, and decimal commas in them."""
    lines = content.replace(".", ",").splitlines()
    return "\n".join(
        ", ".join(f'"{field}"' for field in line.split(", ")) for line in lines
    )


CLIP = "frame, face_id, timestamp, confidence, success\n"
CLIP += "1, 0, 0.0, 0.98, 1\n2, 0, 0.04, 0.1, 0\n3, 0, 0.08, 0.5, 1\n, , , , \n\n"
SAVED = {
    "plain": CLIP.encode(),
    "mark": CLIP.encode("utf-8-sig"),
    "semicolons": spreadsheet(CLIP).encode("utf-8-sig"),
    "tabs": CLIP.replace(", ", "\t").encode("utf-16"),
    "quotes": quoted(CLIP).encode(),
    "old Mac": CLIP.replace("\n", "\r").encode(),
    "floats": CLIP.replace("2, 0,", "2.0, 0.0,").encode(),
}


@pytest.mark.parametrize("content", SAVED.values(), ids=SAVED)
def test_row_78_a_csv_that_a_spreadsheet_saved_says_the_same(content, tmp_path):
    (tmp_path / "clip.csv").write_bytes(content)
    crops = [(0, frame) for frame in range(1, 5)] + [None]
    failed = read_failed(tmp_path / "clip.csv", 0.7, crops)
    assert failed == {(0, 2), (0, 3)}
    assert read_failed(tmp_path / "clip.csv", 0.0, crops) == {(0, 2)}
    assert read_failed(tmp_path / "clip.csv", 0.0, [(0, 1)]) == set()


@pytest.mark.parametrize(
    "line", ["1,000;0;0;0,9;1", "1.000;0;0;0,9;1", "1;0;0;975;1", "1;0;0;Jan 98;1"]
)
def test_row_78_what_a_spreadsheet_has_spoilt_is_refused(line, tmp_path):
    (tmp_path / "clip.csv").write_text(f"{spreadsheet(CLIP)}{line}\n")
    with pytest.raises(RefusedError, match="clip.csv: line 7 is not numbers in col"):
        read_failed(tmp_path / "clip.csv", 0.0, [])


def test_row_78_crops_of_a_single_picture_find_their_rows(tmp_path, run_cli):
    images = make_faces(3)
    folder = write_crops(tmp_path / "photo_aligned", images, "face_det_{:06d}.bmp")
    text = "face, confidence, gaze_0_x\n1, 0.975, 0.1\n2, 0.5, 0.2\n3, 0.9, 0.3\n"
    (tmp_path / "photo.csv").write_text(text)
    output = tmp_path / "data.h5"
    options = ["--min-confidence", "0.7", "--overwrite"]
    assert run_cli("prepare", *options, folder, output)[0] == 0
    assert np.array_equal(load(output)[0], images[[0, 2]])
    assert load(output)[2] == [0, 0]
    status, _, err = run_cli("prepare", *options, "--face", "3", folder, output)
    assert status == 0 and np.array_equal(load(output)[0], images[2:])
    assert err == (f"--face: 2 of 3 pictures in {folder} are left out, not of face 3\n")


def test_row_78_a_link_to_the_crops_finds_their_csv(tmp_path, run_cli):
    write_crops(tmp_path / "clip_aligned", make_faces(3))
    (tmp_path / "clip.csv").write_text(CLIP)
    (tmp_path / "faces").symlink_to("clip_aligned")
    (tmp_path / "other_aligned").symlink_to("clip_aligned")
    for number, name in enumerate(("faces", "other_aligned")):
        output = tmp_path / f"{number}.h5"
        assert run_cli("prepare", tmp_path / name, output)[0] == 0
        assert load(output)[2] == [1, 3]
    (tmp_path / "other.csv").write_text(CLIP.replace("2, 0,", "1, 0,"))
    assert find_csv(tmp_path / "other_aligned") == str(tmp_path / "other.csv")


@pytest.mark.parametrize("byte", [b"\0", b"1", b","])
def test_row_79_a_line_without_end_is_refused_before_it_is_read(
    byte, tmp_path, monkeypatch
):
    path = tmp_path / "clip.csv"
    for content in (b"", CLIP.encode()):
        path.write_bytes(content + byte * (openface.MAX_LINE + 1))
        with path.open("ab") as file:
            file.truncate(2 << 30)
        tracemalloc.start()
        try:
            with pytest.raises(RefusedError, match="a line of over 100000 characters"):
                read_failed(path, 0.0, [])
            assert tracemalloc.get_traced_memory()[1] < 2 << 20
        finally:
            tracemalloc.stop()


def test_row_79_memory_follows_the_crops_and_not_the_rows(tmp_path):
    path = tmp_path / "clip.csv"
    rows = (f"{frame},0,0\n" for frame in range(50_000))
    path.write_text("frame,confidence,success\n" + "".join(rows))
    tracemalloc.start()
    try:
        assert read_failed(path, 0.0, [(0, 7), (0, 50_000)]) == {(0, 7)}
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_row_79_a_number_too_long_for_a_data_file_is_no_frame(tmp_path, run_cli):
    folder, digits = tmp_path / "crops", "9" * 30
    write_crops(folder, make_faces(1), f"frame_det_00_{digits}.bmp")
    assert run_cli("prepare", folder, tmp_path / "data.h5")[0] == 0
    assert load(tmp_path / "data.h5")[2] == [0]
    write_h5(tmp_path / "old.h5", make_faces(3, 24, 24))
    with h5py.File(tmp_path / "old.h5", "a") as file:
        file["frame"] = np.array([1, 2, 2**63], np.uint64)
    status, _, err = run_cli("prepare", tmp_path / "old.h5", tmp_path / "new.h5")
    assert status == 1 and not (tmp_path / "new.h5").exists()
    found = f"old.h5: frame: {2**63} found, at most {2**63 - 1} expected; mend the"
    assert err.startswith(f"vae.py prepare: error: {found}") and err.count("\n") == 1


@pytest.fixture
def couple(tmp_path):
    """Writes crops of faces 0 and 1 of one clip; returns (folder, images)."""
    images = make_faces(5)
    folder = write_crops(tmp_path / "clip_aligned", images[:3])
    write_crops(folder, images[3:], "frame_det_01_{:06d}.bmp")
    return folder, images


def test_row_80_several_faces_in_one_folder_are_told(couple, tmp_path, run_cli):
    folder, _ = couple
    found = "crops of 2 faces in one folder: face 0 (3), face 1 (2)"
    end = "all are taken for one person, choose one with --face\n"
    for number, pictures in enumerate([[folder], sorted(folder.iterdir())]):
        command = ["prepare", *pictures, tmp_path / f"{number}.h5"]
        assert run_cli(*command)[::2] == (0, f"{folder}: {found}; {end}")
    shutil.copytree(folder, tmp_path / "in" / "a_aligned")
    shutil.copytree(folder, tmp_path / "in" / "b_aligned")
    err = run_cli("prepare", tmp_path / "in", tmp_path / "3.h5")[2]
    below = tmp_path / "in" / "a_aligned"
    assert err.startswith(f"{below}: {found} (and so in 1 more); {end}")


def test_row_80_one_face_is_chosen(couple, tmp_path, run_cli):
    folder, images = couple
    Image.fromarray(images[0]).save(folder / "other.png")
    for number, pictures in enumerate([[folder], sorted(folder.iterdir())]):
        output = tmp_path / f"{number}.h5"
        status, _, err = run_cli("prepare", "--face", "1", *pictures, output)
        assert status == 0 and np.array_equal(load(output)[0], images[3:])
        place = "the command line" if number else folder
        assert err == (
            f"--face: 4 of 6 pictures in {place} are left out, not of face 1\n"
        )


def test_row_80_a_face_that_is_not_there_is_refused(couple, tmp_path, refused):
    write_crops(tmp_path / "crops", make_faces(1), "{}.png")
    write_h5(tmp_path / "faces.h5", make_faces(2, 24, 24))
    found = "--face: 7 found, 0, 1 expected, the faces in clip_aligned"
    assert refused("prepare --face 7 clip_aligned out.h5") == found
    found = "--face: 0 found and no crop in crops is called as OpenFace calls them"
    assert refused("prepare --face 0 crops out.h5").startswith(found)
    found = "--face: 0 found and no crops among the inputs, leave it out"
    assert refused("prepare --face 0 faces.h5 out.h5") == found


def test_row_83_pictures_in_several_folders_are_told(tmp_path, run_cli):
    for name in ("anna", "ben", "c10", "c9"):
        write_crops(tmp_path / "people" / name, make_faces(2), "{}.png")
    write_crops(tmp_path / "people", make_faces(1), "{}.png")
    people = tmp_path / "people"
    status, _, err = run_cli("prepare", people, tmp_path / "1.h5")
    assert status == 0 and err == (
        f"{people}: pictures in 5 folders: itself (1), anna (2), ben (2), ...; all are"
        " taken for one person, give each folder alone if they are of several\n"
    )
    for name in ("anna", "ben"):
        output = tmp_path / f"{name}.h5"
        assert run_cli("prepare", people / name, output)[::2] == (0, "")
