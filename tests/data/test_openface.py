"""Behaviour of `prepare` on the output of OpenFace, with the CSV that lies beside."""

import csv

import numpy as np
import pytest

from tests.drawing import make_faces
from tests.files import load, write_crops


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
