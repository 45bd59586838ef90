"""Rows of docs/reliability.md on disks without locks or folder syncs, and on links."""

import errno
import os
import stat

import h5py
import pytest

from tests.checkpoints import load, save
from tests.drawing import make_faces
from tests.files import snapshot, write_crops, write_h5
from vae import files
from vae.checkpoint.directory import clear, locked
from vae.errors import RefusedError, VaeError


@pytest.fixture
def no_folder_sync(monkeypatch):
    """A disk that can't say that it holds the names in a folder, as CIFS and FUSE."""
    sync = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


def test_row_59_without_folder_syncs_all_is_saved(no_folder_sync, tmp_path, run_cli):
    save(tmp_path / "model", 3)
    assert load(tmp_path / "model") == (3, [])
    crops = write_crops(tmp_path / "crops", make_faces(3))
    status, _, err = run_cli("prepare", crops, tmp_path / "new.h5")
    assert (status, err) == (0, "") and (tmp_path / "new.h5").exists()


def test_row_59_a_disk_that_fails_to_sync_is_told(tmp_path, monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(VaeError, match="can't be saved .input/output error."):
        save(tmp_path, 1)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_row_60_without_locks_nothing_is_held_by_others(
    code, tmp_path, run_cli, monkeypatch
):
    def flock(file, operation):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with locked(tmp_path / "out"):
        assert os.listdir(tmp_path / "out") == [".lock"]
    crops = write_crops(tmp_path / "crops", make_faces(3))
    open_file = h5py.File

    def open_locked(path, mode, locking=True):
        if mode == "r" and locking:
            raise OSError(code, "unable to lock file, errno = ...")
        return open_file(path, mode, locking=locking)

    monkeypatch.setattr(h5py, "File", open_locked)
    (tmp_path / ".new.h5.0123.part").touch()  # another run's, for all one can know
    assert run_cli("prepare", crops, tmp_path / "new.h5")[0] == 0
    assert (tmp_path / ".new.h5.0123.part").exists()
    assert run_cli("prepare", tmp_path / "new.h5", tmp_path / "again.h5")[0] == 0


LINKS = {
    ".lock link": lambda out: (out / ".lock").symlink_to("../precious"),
    ".lock pipe": lambda out: os.mkfifo(out / ".lock"),
    "previews": lambda out: (out / "previews").symlink_to("../folder"),
    "checkpoints": lambda out: (out / "checkpoints").symlink_to("../folder"),
    "saved_model": lambda out: (out / "saved_model").symlink_to("../folder"),
    "tensorboard": lambda out: (out / "tensorboard").symlink_to("../folder"),
}


@pytest.mark.parametrize("case", LINKS)
def test_row_61_links_and_pipes_in_a_model_directory_are_refused(case, tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "epoch-0001.png").touch()
    out = tmp_path / "out"
    out.mkdir()
    LINKS[case](out)
    before = snapshot(tmp_path)
    with pytest.raises(
        RefusedError, match=f"{case.split()[0]}: a .+ expected, as trai"
    ):
        with locked(out):
            pass
    assert snapshot(tmp_path) == before


def test_row_62_files_of_others_outlive_an_overwrite(tmp_path):
    save(tmp_path, 1)
    kept = ["checkpoints/step-00000009/mine", "checkpoints/notes", "previews/me.png"]
    kept += ["saved_model/mine.txt", "tensorboard/mine.txt"]
    own = ["previews/epoch-0001.png", "weights.h5", "tensorboard/events.out.tfevents.0"]
    for name in [*kept, *own]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    clear(tmp_path)
    left = [path.relative_to(tmp_path) for path in tmp_path.rglob("*")]
    files_left = [str(path) for path in left if (tmp_path / path).is_file()]
    assert sorted(files_left) == sorted(kept)


def test_row_98_an_overwrite_refuses_to_clear_its_own_input(refused, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    write_h5(tmp_path / "out" / "weights.h5", make_faces(4))
    write_h5(tmp_path / "in.h5", make_faces(4))
    for line in (
        "out/weights.h5 out",
        "out/weights.h5 link",
        "--validation link/weights.h5 in.h5 out",
    ):
        path = next(word for word in line.split() if word.endswith("weights.h5"))
        assert refused(f"train --overwrite {line}") == (
            f"--overwrite: {path} lies in {line.split()[-1]}, which is to be replaced;"
            " move it out, or name another folder"
        )
