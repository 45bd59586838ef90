"""What TensorBoard shows: each step once, with its values, whatever stopped the run."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from tests.files import read_history
from vae import load
from vae.model.latent import kl_per_dimension
from vae.training import events
from vae.training.session import Session

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("no_saved_model")]
accumulator = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator",
    reason="pip install tensorboard",
)
OPTIONS = ["--epochs", "3", "--batch-size", "16", "--latent-dim", "4", "--tensorboard"]


class Crash(BaseException):
    """Stands for a power cut: nothing in the tool may handle it."""


def read(output):
    """Returns {(tag, step): value}, each of which TensorBoard's reader finds once."""
    folder = output / "tensorboard"
    everything = accumulator.STORE_EVERYTHING_SIZE_GUIDANCE
    reader = accumulator.EventAccumulator(str(folder), everything)
    reader.Reload()
    found, tags = [], reader.Tags()
    for tag in tags["scalars"]:
        found += [((tag, each.step), each.value) for each in reader.Scalars(tag)]
    for tag in tags["images"]:
        for each in reader.Images(tag):
            found.append(((tag, each.step), each.encoded_image_string))
    assert max(Counter(key for key, _ in found).values()) == 1
    return dict(found)


@pytest.fixture(scope="module")
def straight(faces_file, tmp_path_factory):
    from vae.cli import main

    output = tmp_path_factory.mktemp("straight") / "out"
    assert main(["train", *OPTIONS, str(faces_file), str(output)]) == 0
    return output


def without_clock(found):
    return {key: value for key, value in found.items() if "millisec" not in key[0]}


def test_all_that_is_promised_is_told(straight):
    found, history = read(straight), read_history(straight)
    for row in history:
        step = int(row["step"])
        for name, column in {
            "epoch/loss": "loss",
            "epoch/kl_loss": "kl_loss",
            "held_out/psnr": "val_psnr",
            "held_out/loss": "val_loss",
        }.items():
            assert found[name, step] == pytest.approx(float(row[column]), rel=1e-6)
        assert found["step/learning_rate", step] == pytest.approx(
            float(row["learning_rate"]), rel=1e-6
        )
        kl = [found[f"kl/{at}", step] for at in range(4)]
        assert sum(kl) == pytest.approx(float(row["val_kl_loss"]), rel=0.05)
        assert found["step/milliseconds", step] > 0
        name = f"previews/epoch-{int(row['epoch']):04}.png"
        shown = Image.open(io.BytesIO(found["held_out/reconstructed", step]))
        assert np.array_equal(shown, Image.open(straight / name))
    assert {step for tag, step in found if tag == "step/loss"} == {4, 8, 12}


def test_the_kl_is_that_of_each_dimension(straight, tmp_path):
    from tests.drawing import make_faces
    from vae.checkpoint.model_files import read_metadata

    metadata, _ = read_metadata(straight)
    codes = load(straight).encode(make_faces(60)[54:])
    step = metadata["best"]["step"]
    found = [read(straight)[f"kl/{at}", step] for at in range(4)]
    np.testing.assert_allclose(found, kl_per_dimension(*codes).mean(0), rtol=1e-5)


@pytest.mark.parametrize("crash_at, every", [(6, "99"), (7, "0"), (8, "0")])
def test_after_a_crash_and_a_resume_each_step_is_told_once(
    straight, faces_file, tmp_path, run_cli, monkeypatch, crash_at, every
):
    output, steps = tmp_path / "out", []
    monkeypatch.setattr(events, "STEPS_APART", 1)
    name = "on_epoch" if crash_at == 8 else "on_step"
    original = getattr(Session, name)

    def crash(session, *arguments):
        original(session, *arguments)
        steps.append(arguments)
        if session.progress.step == crash_at:
            session._events.close()  # what a system writes by itself, all of it
            raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Session, name, crash)
        with pytest.raises(Crash):
            options = [*OPTIONS, "--checkpoint-minutes", every]
            run_cli("train", *options, faces_file, output)
    [path] = (output / "tensorboard").iterdir()
    with path.open("ab") as file:
        file.write(b"half a record")
    again = ["train", "--resume", "--tensorboard", faces_file, output]
    assert run_cli(*again)[0] == 0
    found, expected = without_clock(read(output)), without_clock(read(straight))
    assert {step for tag, step in found if tag == "step/loss"} == set(range(1, 13))
    assert {key: found[key] for key in expected} == expected
    assert run_cli(*again)[0] == 0  # nothing is left to train
    assert without_clock(read(output)) == found


def test_overwrite_removes_the_events_and_a_run_without_writes_none(
    faces_file, tmp_path, run_cli
):
    output = tmp_path / "out"
    command = ["train", *OPTIONS, "--epochs", "1", faces_file, output]
    assert run_cli(*command)[0] == 0
    assert run_cli(*command, "--overwrite")[0] == 0
    assert {step for _, step in read(output)} == {4}
    command.remove("--tensorboard")
    assert run_cli(*command, "--overwrite")[0] == 0
    assert not (output / "tensorboard").exists()
