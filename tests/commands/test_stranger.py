"""`evaluate --stranger` from the command line, with a reader of drawn pictures."""

import json

import numpy as np
import pytest

from examples.faces import render
from examples.people import make_identity
from examples.performance import perform
from tests.actors import write_model
from tests.drawing import make_faces
from tests.files import write_h5
from vae.evaluation import transfer
from vae.images import networks
from vae.strangers.landmarks import NAMES

COUNT = 150


def read(images):
    """Returns measures (N, M) that follow how bright parts of pictures are."""
    images = np.asarray(images, "f8")
    rows = images.mean((2, 3))  # (N, H)
    return np.column_stack([rows, images.mean((1, 3))])[:, : len(NAMES)] / 255


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model of 16x16; the networks that read are replaced."""
    monkeypatch.setattr(networks, "is_installed", lambda: True)
    monkeypatch.setattr("vae.commands.evaluate.is_installed", lambda: True)
    monkeypatch.setattr(transfer, "measure_faces", read)
    return write_model(tmp_path / "model")


def test_what_comes_across_is_printed_and_written(model, tmp_path, run_cli):
    crops = write_h5(tmp_path / "clip.h5", make_faces(COUNT, 20, 20, seed=4))
    report = tmp_path / "report.json"
    line = ["evaluate", model, "--stranger", crops, "--json", report]
    status, out, err = run_cli(*line)
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == f"{crops}: {COUNT} crops, as {model}"
    assert lines[-1].startswith("read by the tool itself; a ruler that shares nothing")
    assert "--align register" in err and "read by edges alone" in err
    verdict = json.loads(report.read_text())
    assert verdict["stranger"] == str(crops)
    [found] = verdict["models"]
    assert (found["model"], found["crops"]) == (str(model), COUNT)
    mean = found["mean"]
    assert f"mean r {mean['mean']:.2f} ({mean['low']:.2f} to {mean['high']:.2f}" in out
    assert f"torn faces: {len(found['torn'])} of {COUNT}" in out
    status, _, err = run_cli(*line)
    assert status == 2 and "already there" in err


def test_the_faces_are_those_of_reconstruct(model, tmp_path, run_cli, monkeypatch):
    seen = []
    monkeypatch.setattr(
        transfer, "measure_faces", lambda images: seen.append(images) or read(images)
    )
    crops = write_h5(tmp_path / "clip.h5", make_faces(COUNT, 16, 16, seed=4))
    assert run_cli("evaluate", model, "--stranger", crops)[0] == 0
    assert run_cli("reconstruct", model, crops, tmp_path / "out")[0] == 0
    shown = run_cli("evaluate", model, "--stranger", tmp_path / "out")
    assert shown[0] == 0
    np.testing.assert_array_equal(seen[1], seen[2])  # what was made, what was read


def test_a_stranger_who_is_not_there_is_refused(model, tmp_path, run_cli):
    status, out, err = run_cli("evaluate", model, "--stranger", tmp_path / "nobody")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"error: {tmp_path / 'nobody'}: can't be listed (no such file or" in err


@pytest.mark.skipif(not networks.is_installed(), reason="needs the extra faces")
def test_an_actor_who_makes_one_face_makes_no_expression(tmp_path, run_cli):
    faces = render(make_identity(2), perform(2, 96)[::4], 48, 48)
    model = write_model(tmp_path / "model", 48, 48, picture=faces[0])
    crops = write_h5(tmp_path / "clip.h5", faces)
    status, out, _ = run_cli("evaluate", model, "--stranger", crops)
    assert status == 0
    table = [line.split() for line in out.splitlines()]
    assert ["mouth", "open", "0.00", "-", "-", "-"] in [row[:6] for row in table]
    assert "mean r 0.00 (not bounded, under 5 blocks of 24 frames)" in out


def test_crops_that_cannot_be_read_are_listed(model, tmp_path, run_cli):
    crops = write_h5(tmp_path / "clip.h5", make_faces(40, 16, 16, seed=4))
    run_cli("reconstruct", "--align", "none", model, crops, tmp_path / "clip")
    (tmp_path / "clip" / "clip_000007.png").write_bytes(b"")
    status, out, err = run_cli("evaluate", model, "--stranger", tmp_path / "clip")
    assert status == 1 and out.startswith(f"{tmp_path / 'clip'}: 39 crops, as ")
    assert err.splitlines()[-2:] == [
        "clip_000007.png: an empty file",
        "1 of 40 could not be read",
    ]
