"""A run that was stopped at any moment ends with the weights of a straight run."""

import os
import signal

import h5py
import numpy as np
import pytest

from tests.drawing import make_faces
from tests.files import read_history, write_h5
from vae.training.session import Session

pytestmark = pytest.mark.tensorflow

OPTIONS = ["--epochs", "4", "--batch-size", "16", "--latent-dim", "4"]
STEPS = 16  # 54 training images, four batches an epoch


class Crash(BaseException):
    """Stands for a power cut: nothing in the tool may handle it."""


def read_weights(output):
    with h5py.File(output / "weights.h5") as file:
        return {name: file[name][()] for name in file}


def assert_same_run(output, straight):
    """Every array, every row of the history but its clock, every exported file."""
    expected, found = read_weights(straight), read_weights(output)
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert read_history(output) == read_history(straight)
    newest = f"checkpoints/step-{STEPS:08}/arrays.h5"
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


@pytest.mark.parametrize("crash_at, every", [(1, "99"), (4, "0"), (7, "0"), (16, "0")])
def test_row_03_resume_after_a_crash(
    straight, faces_file, tmp_path, run_cli, monkeypatch, crash_at, every
):
    output = tmp_path / "out"
    steps = []

    def crash(session, losses, original=Session.on_step):
        original(session, losses)
        steps.append(losses)
        if len(steps) == crash_at:
            raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Session, "on_step", crash)
        with pytest.raises(Crash):
            options = [*OPTIONS, "--checkpoint-minutes", every]
            run_cli("train", *options, faces_file, output)
    status, _, err = run_cli("train", "--resume", faces_file, output)
    assert status == 0, err
    begun = crash_at if every == "0" else 0
    assert f"going on from step {begun}" in err
    assert_same_run(output, straight)


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
        f"vae.py train: error: {output}: stopped and saved at step 6;"
        " go on with --resume"
    )
    assert run_cli("train", "--resume", faces_file, output)[0] == 0
    assert_same_run(output, straight)


def test_row_09_resume_of_a_finished_run_changes_nothing(straight, faces_file, run_cli):
    before = read_weights(straight)
    assert run_cli("train", "--resume", faces_file, straight)[0] == 0
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
