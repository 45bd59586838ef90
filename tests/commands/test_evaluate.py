"""`evaluate` with trained models: what it prints, writes, and against what is exact."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.actors import PLAIN
from tests.drawing import make_faces
from tests.files import write_h5, write_set
from vae.checkpoint.model_files import write_model_files
from vae.checkpoint.storage import pack_arrays, read_json
from vae.config import ModelConfig
from vae.evaluation.judge import Judge
from vae.images.pixels import psnr
from vae.model.latent import LatentStatistics
from vae.model.losses import LOG_SIGMA_RANGE
from vae.model.network import VAE

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def blank_model(tiny_model, tmp_path):
    """A model that was begun with the same file and never trained."""
    folder = tmp_path / "blank"
    folder.mkdir()
    metadata = read_json(tiny_model / "metadata.json")
    config = ModelConfig(20, 24, 3, 3)
    metadata["model"] = config.to_dict()
    arrays = {name: v.numpy() for name, v in VAE(config).arrays.items()}
    latent = LatentStatistics(**PLAIN).pack()
    contents = {"weights.h5": pack_arrays(arrays), "latent.npz": latent}
    write_model_files(folder, metadata, contents)
    return folder


@pytest.fixture
def crops(tmp_path):
    """A folder of pictures of the actor."""
    folder = tmp_path / "crops"
    folder.mkdir()
    for number, face in enumerate(make_faces(30, seed=0), 1):
        Image.fromarray(face).save(folder / f"frame_{number}.png")
    return folder


def test_what_is_printed_is_what_is_written(tiny_model, faces_file, tmp_path, run_cli):
    report, sheet = tmp_path / "new" / "report.json", tmp_path / "sheet.png"
    options = ["--samples", 4, "--json", report, "--sheet", sheet]
    status, out, _ = run_cli("evaluate", *options, tiny_model, faces_file)
    assert status == 0
    assert out.startswith(f"{faces_file}: 60 images, 20x24 RGB\n")
    table = dict(line.rsplit(None, 1) for line in out.splitlines() if "  " in line)
    [found] = json.loads(report.read_text())["models"]
    assert found["model"] == str(tiny_model)
    assert found["elbo"] == pytest.approx(found["reconstruction"] - found["kl"])
    assert found["weighted"] > found["elbo"]
    bits = (-found["elbo"] / 1440 + np.log(255)) / np.log(2)
    assert found["bits"] == pytest.approx(bits)
    assert sum(found["kl_per_dimension"]) == pytest.approx(found["kl"])
    assert f"{found['bits']:.4f}" == table["bits/dim, ELBO"]
    assert f"{found['psnr']['median']:.2f}" == table["PSNR, median"]
    assert f"worst PSNR: {found['psnr']['worst'][0]['value']:.2f} row " in out
    assert 0 < found["ssim"]["mean"] < 1
    assert found["stranger_score"] < found["stranger_above"]
    assert f"best and worst: {sheet}" in out
    with Image.open(sheet) as picture:
        assert picture.size == (8 * 82 - 2, 4 * 96 + 8)


def test_row_99_the_training_images_flatter(tiny_model, faces_file, tmp_path, run_cli):
    options = ["evaluate", "--samples", 1, tiny_model]
    _, _, err = run_cli(*options, faces_file)
    assert f"{faces_file}: the images that {tiny_model} was trained on; what is" in err
    others = write_h5(tmp_path / "data.h5", make_faces(8, seed=3))
    _, _, err = run_cli(*options, "--layout", "rows-first", others)
    assert "trained on" not in err


def test_a_folder_and_a_file_of_the_same_images_agree(
    tiny_model, crops, tmp_path, run_cli
):
    path = write_h5(tmp_path / "data.h5", make_faces(30, seed=0))
    reports = []
    for data in (path, crops):
        report = tmp_path / f"{data.name}.json"
        options = ["--samples", 3, "--json", report, "--layout", "rows-first"]
        assert run_cli("evaluate", *options, tiny_model, data)[0] == 0
        [found] = json.loads(report.read_text())["models"]
        reports.append(found)
    worst = reports[0]["psnr"]["worst"][0]["name"]
    number = int(worst.removeprefix("row ")) + 1
    assert reports[1]["psnr"]["worst"][0]["name"] == f"frame_{number}.png"
    for name in ("elbo", "weighted", "kl", "stranger_score"):
        assert reports[0][name] == pytest.approx(reports[1][name], rel=1e-5)


def test_several_files_are_judged_as_one(tiny_model, tmp_path, run_cli):
    faces, reports = make_faces(60, seed=0), []
    one = write_h5(tmp_path / "one.h5", faces)
    parts = write_set(tmp_path / "parts", faces, (0, 7, 41, 60))
    for data in (one, parts):
        report = tmp_path / "report.json"
        options = ["--samples", 2, "--json", report, "--layout", "rows-first"]
        options += ["--overwrite", "--actor", data, tiny_model, data]
        status, _, err = run_cli("evaluate", *options)
        assert status == 0
        assert f"{data}: the images that {tiny_model} was trained on" in err
        reports.append(json.loads(report.read_text()))
    names = [one["models"][0]["psnr"].pop("worst") for one in reports]
    rows = [[each["name"].partition(" (")[0] for each in worst] for worst in names]
    assert rows[0] == rows[1]
    assert "(part_" in names[1][0]["name"]
    elbos = [one["models"][0]["elbo"] for one in reports]
    assert elbos[0] == pytest.approx(elbos[1])
    found = [one["nearest"]["drawn by the model"] for one in reports]
    assert found[0]["row"] == found[1]["row"]
    assert found[0] == pytest.approx(found[1])
    status, _, err = run_cli("evaluate", tiny_model, tmp_path / "none-*.h5")
    assert status == 2 and "none-*.h5: no file fits the pattern" in err


def test_the_better_of_two_models_is_named(
    tiny_model, blank_model, faces_file, tmp_path, run_cli
):
    data = write_h5(tmp_path / "data.h5", make_faces(300, 24, 20, seed=5))
    options = ["--layout", "rows-first", "--samples", 1, "--actor", faces_file]
    options += ["--json", tmp_path / "r.json", "--sheet", tmp_path / "s.png"]
    status, out, _ = run_cli("evaluate", *options, blank_model, tiny_model, data)
    assert status == 0
    lines = out.splitlines()
    assert lines[1].split() == ["A", "B"]
    assert f"A: {blank_model}" in lines and f"B: {tiny_model}" in lines
    assert any(line.startswith("verdict: B is better") for line in lines)
    report = json.loads((tmp_path / "r.json").read_text())
    lead = {one["measure"]: one for one in report["comparison"]}["psnr"]
    means = [one["psnr"]["mean"] for one in report["models"]]
    assert lead["mean"] == pytest.approx(means[1] - means[0])
    assert lead["low"] < lead["mean"] < lead["high"] and lead["better"] == "B"
    nearest = report["nearest"]
    assert list(nearest) == ["these images", "drawn by A", "drawn by B"]
    assert nearest["drawn by A"]["least"] > nearest["drawn by B"]["least"] > 0
    assert 0 <= nearest["drawn by B"]["row"] < 54  # the last six were held out
    with Image.open(tmp_path / "s.png") as picture:
        assert picture.size[1] == 2 * 3 * 96 + 2 * 2 * 96 + 3 * 8


def test_a_model_is_not_better_than_itself(tiny_model, faces_file, tmp_path, run_cli):
    same = shutil.copytree(tiny_model, tmp_path / "same")
    status, out, _ = run_cli("evaluate", "--samples", 1, same, tiny_model, faces_file)
    assert status == 0
    assert out.splitlines()[-1] == "verdict: can't tell which is better"


def test_crops_that_cannot_be_read_are_listed(tiny_model, crops, run_cli):
    (crops / "frame_3.png").write_bytes(b"")
    status, out, err = run_cli("evaluate", "--samples", 1, tiny_model, crops)
    assert status == 1
    assert out.startswith(f"{crops}: 29 images")
    assert err.splitlines()[-2:] == [
        "frame_3.png: an empty file",
        "1 of 30 could not be read",
    ]


@pytest.mark.parametrize("likelihood", ["gaussian", "discretized", "bernoulli"])
def test_the_estimate_is_the_models_own_loss(likelihood):
    config = ModelConfig(16, 12, 1, 3, likelihood)
    model = VAE(config)
    model.sigma.assign(0.2)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (70, 12, 16, 1)).astype(np.uint8)
    parts = list(Judge(model, 3).measure(images, row=0))
    assert [len(part.images) for part in parts] == [64, 6]
    z_mean, z_log_var = (np.asarray(part) for part in model.encoder(images / 255.0))
    np.testing.assert_allclose(parts[1].z_mean, z_mean[64:], rtol=1e-3, atol=1e-4)
    noise = np.random.default_rng([0, 66]).standard_normal((3, 3))
    z = z_mean[66] + np.exp(0.5 * z_log_var[66]) * noise
    means = np.asarray(model.decoder(z), np.float64)
    x = images[66] / 255
    if likelihood == "gaussian":
        nats = 0.5 * ((x - means) / 0.2) ** 2 + np.log(0.2 * np.sqrt(2 * np.pi))
    elif likelihood == "bernoulli":
        nats = np.log1p(np.exp(means)) - x * means
    else:
        means, log_sigma = means[..., :1], means[..., 1:]
        scale = np.exp(log_sigma.clip(*LOG_SIGMA_RANGE)) * np.sqrt(3) / np.pi
        edges = [(x + side / 510 - means) / scale for side in (-1, 1)]
        low, high = (1 / (1 + np.exp(-edge)) for edge in edges)
        nats = -np.log(np.where(x == 1, 1, high) - np.where(x == 0, 0, low))
    expected = -nats.sum((1, 2, 3))
    assert parts[1].reconstruction[2] == pytest.approx(expected.mean(), rel=1e-4)
    log_weights = expected + 0.5 * (noise**2 - z**2 + z_log_var[66]).sum(1)
    weighted = np.logaddexp.reduce(log_weights) - np.log(3)
    assert parts[1].weighted[2] == pytest.approx(weighted, rel=1e-4)
    again = Judge(model, 1).reconstruct(images)
    np.testing.assert_array_equal(parts[1].reconstructed, again[64:])
    assert psnr(images, again).shape == (70,)
