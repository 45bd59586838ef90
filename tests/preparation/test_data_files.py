"""Behaviour of `prepare` on data files: appending to one, and repacking one."""

import stat

import h5py
import numpy as np

from tests.drawing import make_faces
from tests.files import files_below, load, write_crops, write_h5
from vae.data.writer import reserve


def test_append_adds_and_keeps_what_was_there(tmp_path, run_cli):
    images = make_faces(50)
    first = write_crops(tmp_path / "first", images[:30], "{}.png")
    second = write_crops(tmp_path / "second", images[30:], "{}.png")
    output = tmp_path / "data.h5"
    assert run_cli("prepare", "--compression", "gzip", first, output)[0] == 0
    status, out, _ = run_cli("prepare", "--append", second, output)
    assert status == 0
    assert out.startswith(f"{output}: 50 images, 20 of them new, 20x24 RGB\n")
    data, names, _ = load(output)
    assert np.array_equal(data, images)
    assert names[0] == "first/1.png" and names[30] == "second/1.png"
    with h5py.File(output) as file:
        assert file["data"].compression == "gzip"


def test_append_never_drops_what_was_there(tmp_path, run_cli):
    images = make_faces(20)
    same = np.concatenate([images[:1]] * 2 + [images])
    output = tmp_path / "data.h5"
    assert run_cli("prepare", write_crops(tmp_path / "a", same), output)[0] == 0
    again = write_crops(tmp_path / "b", images)
    assert run_cli("prepare", "--append", "--dedupe", again, output)[0] == 0
    assert np.array_equal(load(output)[0], same)


def test_append_refuses_what_it_would_have_to_change(tmp_path, run_cli):
    crops = write_crops(tmp_path / "crops", make_faces(2))
    floats = write_h5(tmp_path / "floats.h5", make_faces(3) / 255)
    status, _, err = run_cli("prepare", "--append", crops, floats)
    assert status == 2 and "float64, width first found" in err


def test_row_95_a_file_that_another_run_writes_is_refused(refused, run_cli, tmp_path):
    first = write_crops(tmp_path / "first", make_faces(4))
    write_crops(tmp_path / "second", make_faces(3))
    write_h5(tmp_path / "data.h5", make_faces(5))
    (tmp_path / "link.h5").symlink_to("data.h5")
    assert run_cli("prepare", "--overwrite", first, "data.h5")[0] == 0
    for line in ("--append second data.h5", "--append second link.h5"):
        with reserve("data.h5", extends=True):
            assert refused(f"prepare {line}") == (
                f"{line.split()[-1]}: another run is writing it, a file of its own"
                " expected; or wait until that is done"
            )
    before = files_below(tmp_path)
    assert run_cli("prepare", "--append", "second", "link.h5")[0] == 0
    assert len(load("data.h5")[0]) == 7 and files_below(tmp_path) == before


def test_row_95_what_is_left_of_a_killed_run_holds_nothing(tmp_path, run_cli):
    crops = write_crops(tmp_path / "crops", make_faces(4))
    left = tmp_path / f".data.h5.{'0' * 16}.part"
    left.touch()
    assert run_cli("prepare", crops, tmp_path / "data.h5")[0] == 0
    assert not left.exists()


def test_row_96_append_keeps_the_mode_and_follows_the_link(tmp_path, run_cli):
    crops = write_crops(tmp_path / "crops", make_faces(4))
    output, link = tmp_path / "disk" / "data.h5", tmp_path / "link.h5"
    assert run_cli("prepare", crops, output)[0] == 0
    output.chmod(0o640)
    link.symlink_to(output)
    assert run_cli("prepare", "--append", crops, link)[0] == 0
    assert link.is_symlink() and len(load(output)[0]) == 8
    assert stat.S_IMODE(output.stat().st_mode) == 0o640


def test_row_96_names_may_have_all_255_bytes(tmp_path, run_cli):
    crops = write_crops(tmp_path / "crops", make_faces(4)[[0, 0, 1, 2, 3]])
    output = tmp_path / f"{'é' * 126}.h5"
    assert run_cli("prepare", "--dedupe", crops, output)[0] == 0
    assert len(load(output)[0]) == 4
    [sheet] = tmp_path.glob("*.png")
    assert sheet.name == "é" * 120 + ".duplicates.png"


def test_repack_mends_chunks_floats_layout_and_size(tmp_path, run_cli):
    images = make_faces(40)
    lying = images.transpose(0, 2, 1, 3)
    floats = (lying / 255).astype(np.float32)
    old = write_h5(tmp_path / "old.h5", floats, "faces", chunks=(40, 4, 4, 1))
    new = tmp_path / "new.h5"
    dataset = ["--hdf5-dataset-name", "faces"]
    status, out, err = run_cli("prepare", *dataset, old, new)
    assert status == 0 and "read as 20 wide and 24 high" in err
    assert np.array_equal(load(new)[0], images)
    rows = ["--layout", "rows-first", "--overwrite"]
    assert run_cli("prepare", *dataset, *rows, old, new)[0] == 0
    assert np.array_equal(load(new)[0], lying)
    assert run_cli("prepare", "--width", "10", new, tmp_path / "small.h5")[0] == 0
    assert load(tmp_path / "small.h5")[0].shape == (40, 8, 10, 3)


def test_repack_keeps_origins_and_gray(tmp_path, run_cli):
    images = make_faces(5, channels=1)
    old = write_h5(tmp_path / "old.h5", images)
    with h5py.File(old, "a") as file:
        file["data"].attrs["layout"] = "rows-first"
        file["source"] = [f"clip\n{index}" for index in range(5)]
        file["frame"] = np.arange(5) * 7
    status, out, _ = run_cli("prepare", old, tmp_path / "new.h5")
    assert out.splitlines()[0].endswith("5 images, 20x24 gray")
    data, names, frames = load(tmp_path / "new.h5")
    assert np.array_equal(data, images)
    assert names[1] == "clip\\n1" and frames == [0, 7, 14, 21, 28]


def test_origins_in_another_file_are_not_followed(tmp_path, run_cli):
    other = tmp_path / "secret.h5"
    with h5py.File(other, "w") as file:
        file["source"] = ["secret"] * 5
    old = write_h5(tmp_path / "old.h5", make_faces(5, 24, 24))
    with h5py.File(old, "a") as file:
        file["source"] = h5py.ExternalLink(str(other), "/source")
    assert run_cli("prepare", old, tmp_path / "new.h5")[0] == 0
    assert load(tmp_path / "new.h5")[1] == ["old.h5"] * 5
