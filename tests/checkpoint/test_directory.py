"""Checkpoints: whole or not at all, verified when found, and nothing else touched."""

import os
from types import SimpleNamespace

import numpy as np
import pytest

from tests.checkpoints import load, names_in, save
from tests.faults import DAMAGES, MANY, Faults, Killed
from vae.checkpoint.directory import restore, save_checkpoint, sweep
from vae.errors import RefusedError, VaeError


def test_what_is_saved_is_found_and_restored(tmp_path):
    save(tmp_path, 7)
    assert load(tmp_path) == (7, [])
    assert names_in(tmp_path) == ["step-00000007"]


def test_the_newest_two_are_kept(tmp_path):
    for step in (0, 5, 100_000_000, 99_999_999):
        save(tmp_path, step)
    assert names_in(tmp_path) == ["step-100000000", "step-99999999"]
    assert load(tmp_path)[0] == 100_000_000


def test_a_step_can_be_saved_again(tmp_path):
    save(tmp_path, 3, tag=30)
    save(tmp_path, 3, tag=31)
    assert load(tmp_path) == (31, [])
    assert names_in(tmp_path) == ["step-00000003"]


def test_row_15_an_array_that_is_not_finite_is_not_saved(tmp_path):
    save(tmp_path, 1)
    with pytest.raises(VaeError, match=": b is not finite; not saved$"):
        save_checkpoint(tmp_path, 2, {"a": np.ones(2), "b": np.array([np.nan])}, {})
    assert names_in(tmp_path) == ["step-00000001"]


@pytest.mark.parametrize("step", [3, 2], ids=["next step", "same step"])
@pytest.mark.parametrize("kill", [False, True], ids=["error", "kill"])
def test_row_02_a_save_that_ends_anywhere_leaves_the_old_or_the_new(
    step, kill, tmp_path
):
    outcomes = []
    for fatal_call in range(1, MANY):
        output = tmp_path / str(fatal_call)
        save(output, 1)
        save(output, 2)
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, fatal_call, kill)
            try:
                save(output, step, tag=9)
                reported = "saved"
            except (VaeError, Killed) as error:
                reported = str(error)
        outcomes.append(check_outcome(output, step, kill, reported))
        sweep(output)
        assert not [name for name in names_in(output) if name.startswith(".")]
        save(output, 10)
        assert load(output) == (10, []) and len(names_in(output)) == 2
        if faults.calls < fatal_call:
            break
    assert len(outcomes) > 12 and {2, 9} <= set(outcomes) and fatal_call < MANY - 1


def check_outcome(output, step, kill, reported):
    """Returns the tag found after a save that may have failed."""
    tag, warnings = load(output)
    assert warnings == []
    # Two renames put a second save of one step in place: a kill between them leaves
    # the checkpoint before it.
    assert tag in ((1, 2, 9) if kill and step == 2 else (2, 9))
    if reported == "saved":
        assert tag == 9
    elif not kill:
        assert reported == (
            f"{output}: step {step} can't be saved (no space left); earlier"
            " checkpoints are intact"
        )
        assert not [name for name in names_in(output) if name.startswith(".tmp")]
    return tag


FILES = ("arrays.h5", "state.json", "MANIFEST.json")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_row_05_a_damaged_checkpoint_is_named_and_passed_over(name, damage, tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 2)
    folder = tmp_path / "checkpoints" / "step-00000002"
    DAMAGES[damage](folder / name)
    tag, (warning,) = load(tmp_path)
    assert tag == 1
    assert warning.startswith(f"{folder}: ") and warning.endswith("; passed over")
    if name != "MANIFEST.json":
        problem = "no such file or directory" if damage == "missing" else "is damaged"
        assert problem in warning and (damage == "missing" or name in warning)


MANIFESTS = ("{}", "[]", '{"schema": 3}', '{"schema": 3, "step": 2, "files": 3}')
MANIFESTS += ('{"schema": 3, "step": 1, "files": {}}', '{"schema": 3, "step": 2')


@pytest.mark.parametrize("text", MANIFESTS)
def test_row_14_a_manifest_of_another_form_is_damage(text, tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 2)
    path = tmp_path / "checkpoints" / "step-00000002" / "MANIFEST.json"
    path.write_text(text)
    assert load(tmp_path)[0] == 1


def test_a_checkpoint_of_another_version_is_refused_and_not_called_damaged(tmp_path):
    save(tmp_path, 1)
    path = tmp_path / "checkpoints" / "step-00000001" / "MANIFEST.json"
    path.write_text(path.read_text().replace('"schema": 3', '"schema": 1'))
    with pytest.raises(RefusedError) as caught:
        load(tmp_path)
    assert str(caught.value) == (
        f"{path}: schema 1 found, 3 expected, as this version writes it; train again,"
        " or use the version that wrote it"
    )


def test_row_06_a_checkpoint_under_another_name_is_damage(tmp_path):
    save(tmp_path, 1)
    folder = tmp_path / "checkpoints"
    (folder / "step-00000001").rename(folder / "step-00000009")
    with pytest.raises(RefusedError, match="^--resume: 1 checkpoints, all damaged, f"):
        load(tmp_path)


def test_row_06_without_any_checkpoint_nothing_is_begun_anew(tmp_path):
    folder = tmp_path / "checkpoints"
    for make in (lambda: None, folder.mkdir, lambda: (folder.rmdir(), folder.touch())):
        make()
        with pytest.raises(RefusedError, match="^--resume: no checkpoint found in "):
            load(tmp_path)


def test_restore_assigns_all_or_nothing(tmp_path):
    save(tmp_path, 1)
    path = tmp_path / "checkpoints" / "step-00000001" / "arrays.h5"
    assigned = []
    held = SimpleNamespace(shape=(3, 2), assign=assigned.append)
    with pytest.raises(VaeError, match="no array 'b'"):
        restore({"a/w": held, "b": held}, path)
    assert assigned == []


def test_row_13_sweep_removes_what_a_killed_save_left_and_nothing_else(tmp_path):
    save(tmp_path, 1)
    folder = tmp_path / "checkpoints"
    kept = ["step-1", "step-00000001.old", ".tmp-step-x-1", ".tmp-step-1-1.txt"]
    kept += [".tmp-step-3-3\n", "notes"]
    for name in [*kept, ".tmp-step-2-77", ".del-step-00000002-77/inner"]:
        (folder / name).mkdir(parents=True)
    (folder / ".tmp-step-4-4").symlink_to(tmp_path)
    sweep(tmp_path)
    assert names_in(tmp_path) == sorted([*kept, ".tmp-step-4-4", "step-00000001"])
    assert load(tmp_path) == (1, [])
    sweep(tmp_path / "nowhere")


def test_a_checkpoint_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    events = []
    for name in ("fsync", "rename"):
        monkeypatch.setattr(os, name, note(events, name, getattr(os, name)))
    save(tmp_path, 1)
    files_and_folder = ["fsync"] * (len(FILES) + 1)
    assert events == [*files_and_folder, "rename", "fsync"]


def note(events, name, function):
    """Returns a function that notes each call of another."""
    return lambda *arguments: events.append(name) or function(*arguments)
