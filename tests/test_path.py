"""The whole path that the README shows, from crops to a verdict, in miniature."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.files import ROOT

pytestmark = pytest.mark.tensorflow


def test_drawn_crops_become_the_actor_and_a_verdict(tmp_path, run_cli):
    draw = [sys.executable, ROOT / "examples" / "draw.py", "--frames", "60"]
    size = ["--width", "32", "--height", "32"]
    for name, identity in (("actor", "0"), ("stranger", "1")):
        person = ["--identity", identity, "--seed", identity]
        folder = ["--folder", tmp_path / name]
        subprocess.run([*draw, *size, *person, *folder], check=True, timeout=120)
    data, model, output = tmp_path / "actor.h5", tmp_path / "model", tmp_path / "out"

    status, out, _ = run_cli("prepare", tmp_path / "actor", data)
    assert status == 0 and out.startswith(f"{data}: 60 images, 32x32 RGB\n")
    with h5py.File(data) as file:
        assert file["source"].asstr()[59] == "actor/frame_000060.png"

    few = ["--epochs", "2", "--batch-size", "16", "--latent-dim", "4"]
    assert run_cli("train", *few, data, model)[0] == 0

    status, out, _ = run_cli("reconstruct", model, tmp_path / "stranger", output)
    assert status == 0
    names = sorted(path.name for path in output.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "stranger").iterdir())
    pictures = np.stack([np.asarray(Image.open(output / name)) for name in names])
    assert pictures.shape == (60, 32, 32, 3) and pictures.std() > 1

    status, out, _ = run_cli("evaluate", "--samples", 2, model, data)
    assert status == 0 and out.startswith(f"{data}: 60 images")
    assert "bits/dim" in out
