"""A run that was stopped at any moment ends with the weights of a straight run."""

import os
import shutil
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.drawing import encode, make_faces
from tests.files import ROOT, read_history, write_h5
from vae import load
from vae.checkpoint.directory import find_checkpoint, save_checkpoint
from vae.training import schedule, trainer
from vae.training.pace import Pace
from vae.training.session import Session

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("no_saved_model")]

OPTIONS = ["--epochs", "4", "--batch-size", "16", "--latent-dim", "4"]
STEPS = 16  # 54 training images, four batches an epoch


class Crash(BaseException):
    """Stands for a power cut: nothing in the tool may handle it."""


def read_weights(output):
    with h5py.File(output / "weights.h5") as file:
        return {name: file[name][()] for name in file}


def assert_same_run(output, straight, steps=STEPS):
    """Every array, every row of the history but its clock, every exported file."""
    expected, found = read_weights(straight), read_weights(output)
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert read_history(output) == read_history(straight)
    newest = f"checkpoints/step-{steps:08}/arrays.h5"
    assert (output / newest).read_bytes() == (straight / newest).read_bytes()


@pytest.fixture(scope="module")
def straight(faces_file, tmp_path_factory):
    from vae.cli import main

    output = tmp_path_factory.mktemp("straight") / "out"
    assert main(["train", *OPTIONS, str(faces_file), str(output)]) == 0
    return output


def test_the_same_command_gives_the_same_weights(
    straight, faces_file, tmp_path, run_cli
):
    assert run_cli("train", *OPTIONS, faces_file, tmp_path / "out")[0] == 0
    assert_same_run(tmp_path / "out", straight)


def crash_after(number, monkeypatch, run_cli, *arguments):
    """Trains, and crashes after the step of that number."""

    def crash(session, losses, original=Session.on_step):
        original(session, losses)
        if session.progress.step == number:
            raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Session, "on_step", crash)
        with pytest.raises(Crash):
            run_cli("train", *arguments)


@pytest.mark.parametrize("crash_at, every", [(1, "99"), (4, "0"), (7, "0"), (16, "0")])
def test_row_03_resume_after_a_crash(
    straight, faces_file, tmp_path, run_cli, monkeypatch, crash_at, every
):
    output = tmp_path / "out"
    options = [*OPTIONS, "--checkpoint-minutes", every]
    crash_after(crash_at, monkeypatch, run_cli, *options, faces_file, output)
    status, _, err = run_cli("train", "--resume", faces_file, output)
    assert status == 0, err
    begun = crash_at if every == "0" else 0
    assert f"going on from step {begun}" in err
    assert_same_run(output, straight)


UNPLANNED = ["--batch-size", "16", "--latent-dim", "4"]


def test_a_run_that_is_planned_by_the_clock_resumes_to_the_same_weights(
    faces_file, tmp_path, run_cli, monkeypatch
):
    """After fifty steps its length is counted out, and no clock is asked again."""
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    monkeypatch.setattr(Pace, "plan", lambda *_, **__: 64)
    timed = [*UNPLANNED, "--minutes", "3"]
    assert run_cli("train", *timed, faces_file, straight)[0] == 0
    crash_after(57, monkeypatch, run_cli, *timed, faces_file, stopped)
    monkeypatch.setattr(Pace, "plan", lambda *_, **__: 80)
    status, _, err = run_cli("train", "--resume", faces_file, stopped)
    assert status == 0 and "going on from step 50" in err
    assert_same_run(stopped, straight, steps=64)


def test_a_run_ends_by_itself_when_its_held_out_psnr_is_flat(
    faces_file, tmp_path, run_cli, monkeypatch
):
    monkeypatch.setattr(schedule, "FLAT_STEPS", (12, 12))
    monkeypatch.setattr(schedule, "FLAT_GAIN", 100.0)
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    status, _, err = run_cli("train", *UNPLANNED, faces_file, straight)
    assert status == 0
    assert "from one third of the epochs to the next: 5 more, in which the" in err
    rates = [float(row["learning_rate"]) for row in read_history(straight)]
    last = 0.01 + 0.99 / (0.6 * 32)  # of the last step before the end
    assert len(rates) == 8 and rates[7] == pytest.approx(5e-3 * last)
    crash_after(14, monkeypatch, run_cli, *UNPLANNED, faces_file, stopped)
    assert run_cli("train", "--resume", faces_file, stopped)[0] == 0
    assert_same_run(stopped, straight, steps=32)


def test_a_run_without_held_out_images_has_a_length_of_its_own(
    faces_file, tmp_path, run_cli, monkeypatch
):
    monkeypatch.setattr(trainer, "UNJUDGED_EPOCHS", 2)
    options = [*UNPLANNED, "--validation-split", "0"]
    assert run_cli("train", *options, faces_file, tmp_path / "out")[0] == 0
    assert len(read_history(tmp_path / "out")) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_row_04_a_signal_saves_and_says_how_to_go_on(
    straight, faces_file, tmp_path, run_cli, monkeypatch, number
):
    output = tmp_path / "out"

    def stop(session, losses, original=Session.on_step):
        if session.progress.step == 6:
            os.kill(os.getpid(), number)
        original(session, losses)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "on_step", stop)
        status, _, err = run_cli("train", *OPTIONS, faces_file, output)
    assert status == 128 + number
    assert err.splitlines()[-1] == (
        f"vae.py train: {output}: stopped and saved at step 6; go on with --resume"
    )
    assert run_cli("train", "--resume", faces_file, output)[0] == 0
    assert_same_run(output, straight)


def test_row_09_resume_of_a_finished_run_changes_nothing(straight, faces_file, run_cli):
    before = read_weights(straight)
    status, _, err = run_cli("train", "--resume", "--epochs", 3, faces_file, straight)
    assert status == 0
    assert "nothing is left to train: 4 epochs done; --epochs N trains on, to N" in err
    after = read_weights(straight)
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)


@pytest.mark.parametrize(
    "option, value, begun_with",
    [
        ("--latent-dim", 5, 4),
        ("--batch-size", 8, 16),
        ("--seed", 1, 0),
        ("--input-width", 30, 20),
        ("--beta", 2.0, 1.0),
    ],
)
def test_row_08_resume_with_another_setting_is_refused(
    straight, faces_file, run_cli, option, value, begun_with
):
    arguments = ["--resume", option, value, faces_file, straight]
    status, _, err = run_cli("train", *arguments)
    assert status == 2
    assert err == (
        f"vae.py train: error: {option}: {value} found, {begun_with} expected: the run"
        " to resume was begun with it; leave the option out\n"
    )


def test_row_08_resume_with_other_images_is_refused(straight, tmp_path, run_cli):

    other = write_h5(tmp_path / "other.h5", make_faces(60, seed=1))
    status, _, err = run_cli("train", "--resume", other, straight)
    assert status == 2
    assert err.endswith("--resume needs the same data\n")


ON_ONE_CORE = """
import os, shutil, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from vae.training.session import Session
step = Session.on_step
def on_step(self, losses):
    step(self, losses)
    if self.progress.step == 5:
        shutil.copytree("out", "early")
Session.on_step = on_step
from vae.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_row_76_a_run_goes_on_with_another_number_of_cores(tmp_path):
    path = write_h5(tmp_path / "faces.h5", make_faces(60, 64, 64))
    options = [*OPTIONS, "--epochs", "2", "--checkpoint-minutes", "0", path, "out"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for command in (
        ["-c", ON_ONE_CORE, "train", *options],
        ["-m", "vae", "train", "--resume", path, "early"],
    ):
        subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, check=True
        )
    assert_same_run(tmp_path / "early", tmp_path / "out", STEPS // 2)


def test_row_76_a_resume_that_can_not_be_exact_says_so(
    straight, faces_file, tmp_path, run_cli
):
    shutil.copytree(straight, tmp_path / "out")
    folder, state = find_checkpoint(straight, pytest.fail)
    with h5py.File(os.path.join(folder, "arrays.h5")) as file:
        arrays = {name: file[name][()] for name in file}
    del state["schema"]
    state["arithmetic"] |= {"tensorflow": "2.20.0\x1b[2J"}
    save_checkpoint(tmp_path / "out", STEPS, arrays, state)
    status, _, err = run_cli("train", "--resume", faces_file, tmp_path / "out")
    assert status == 0
    assert "begun in other arithmetic (tensorflow 2.20.0\\x1b[2J then, " in err


def test_row_77_a_killed_training_leaves_a_model_from_its_first_epoch_on(
    faces_file, tmp_path, run_cli, monkeypatch
):
    output = tmp_path / "out"

    def crash(session, losses, original=Session.on_step):
        original(session, losses)
        if session.progress.epoch == 2:
            raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Session, "on_step", crash)
        with pytest.raises(Crash):
            run_cli("train", *OPTIONS, faces_file, output)
    (tmp_path / "a.png").write_bytes(encode(Image.fromarray(make_faces(1)[0])))
    line = (
        f"{output}: the training goes on or was stopped; the best of 1 epochs so far is"
        " used, epoch 1\n"
    )
    for command in (
        ["sample", "--output-dir", tmp_path / "samples", output],
        ["reconstruct", output, tmp_path / "a.png", tmp_path / "faces"],
    ):
        status, _, err = run_cli(*command)
        assert status == 0 and line in err, err
    with pytest.warns(UserWarning, match="the best of 1 epochs so far"):
        load(output)
