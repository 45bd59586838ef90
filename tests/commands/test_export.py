"""`export`: each format, loaded by a program without this package, is the model."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.drawing import make_faces
from vae import load
from vae.config import ModelConfig
from vae.errors import VaeError
from vae.model import export as exports
from vae.model.network import VAE

pytestmark = pytest.mark.tensorflow

LOAD = {  # programs that turn x.npz into codes and images, batch by batch
    "saved-model": """
import tensorflow as tf
found = tf.saved_model.load("out/1")
def encode(faces):
    faces = tf.constant((faces * 255).round().astype("u1"))
    return found.signatures["encode"](images=faces)["z_mean"]
def decode(z):
    return found.signatures["decode"](z=tf.constant(z))["images"].numpy() / 255
def both(faces):
    faces = tf.constant((faces * 255).round().astype("u1"))
    return found.signatures["serving_default"](images=faces)["images"].numpy() / 255
""",
    "keras": """
import keras
encoder, decoder, autoencoder = (
    keras.models.load_model(f"out/{n}.keras")
    for n in ("encoder", "decoder", "autoencoder"))
encode = lambda faces: encoder(faces)["z_mean"]
decode = lambda z: decoder(z)["images"]
both = lambda faces: autoencoder(faces)["reconstruction"]
""",
    "onnx": """
import onnxruntime as ort
encoder, decoder, autoencoder = (
    ort.InferenceSession(f"out/{n}.onnx")
    for n in ("encoder", "decoder", "autoencoder"))
encode = lambda faces: encoder.run(["z_mean"], {"images": faces})[0]
decode = lambda z: decoder.run(["images"], {"z": z})[0]
both = lambda faces: autoencoder.run(["reconstruction"], {"images": faces})[0]
""",
    "litert": """
from ai_edge_litert.interpreter import Interpreter
encoder, decoder, autoencoder = (
    Interpreter(f"out/{n}.tflite").get_signature_runner()
    for n in ("encoder", "decoder", "autoencoder"))
encode = lambda faces: encoder(images=faces)["z_mean"]
decode = lambda z: decoder(z=z)["images"]
both = lambda faces: autoencoder(images=faces)["reconstruction"]
""",
}
RUN = """
import sys
import numpy as np
faces = np.load("faces.npy")
parts = faces[:1], faces[1:]
z = [np.asarray(encode(part)) for part in parts]
images = [np.asarray(decode(part)) for part in z]
same = [np.asarray(both(part)) for part in parts]
assert not any(name.split(".")[0] == "vae" for name in sys.modules)
np.savez("found.npz", z=np.concatenate(z), images=np.concatenate(images),
         same=np.concatenate(same))
"""


@pytest.mark.parametrize("kind", LOAD)
def test_each_format_computes_the_model_without_us(kind, tiny_model, tmp_path, run_cli):
    if kind == "onnx":
        for name in ("onnx", "tf2onnx", "onnxruntime"):
            pytest.importorskip(name, reason="pip install '.[onnx]'")
    command = ["export", "--format", kind, tiny_model, tmp_path / "out"]
    status, out, err = run_cli(*command)
    assert (status, err) == (0, "")
    *paths, told = out.splitlines()
    assert told.startswith("largest difference from the model: ")
    assert float(told.split()[-1]) < 1e-4
    assert sorted(paths) == sorted(map(str, (tmp_path / "out").iterdir()))
    faces = make_faces(6, seed=3)
    np.save(tmp_path / "faces.npy", faces.astype("f4") / 255)
    code = [sys.executable, "-c", LOAD[kind] + RUN]
    subprocess.run(code, cwd=tmp_path, check=True, capture_output=True)
    found, actor = np.load(tmp_path / "found.npz"), load(tiny_model)
    z_mean = actor.encode(faces)[0]
    np.testing.assert_allclose(found["z"], z_mean, rtol=1e-4, atol=1e-4)
    for name in ("images", "same"):
        levels = found[name] * 255 - actor.decode(z_mean).astype(float)
        assert np.abs(levels).max() < (1.01 if kind == "saved-model" else 0.55)


def test_a_saved_model_is_the_next_version_and_files_are_not_replaced(
    tiny_model, tmp_path, run_cli
):
    out = tmp_path / "serving"
    (out / "7").mkdir(parents=True)
    (out / "notes").mkdir()
    for version in ("8", "9"):
        status, printed, _ = run_cli("export", tiny_model, out)
        assert status == 0 and printed.splitlines()[0] == str(out / version)
    assert sorted(path.name for path in out.iterdir()) == ["7", "8", "9", "notes"]
    (tmp_path / "k").mkdir()
    (tmp_path / "k" / "decoder.keras").write_text("mine")
    command = ["export", "--format", "keras", tiny_model, tmp_path / "k"]
    status, _, err = run_cli(*command)
    assert status == 2 and f"{tmp_path}/k/decoder.keras: already there" in err
    assert run_cli(*command, "--overwrite")[0] == 0
    assert len(list((tmp_path / "k").iterdir())) == 3


def test_an_export_that_is_another_model_is_not_kept(
    tiny_model, tmp_path, run_cli, monkeypatch
):
    def write(model, folder, original=exports.export_keras):
        image = model.decoder.get_layer("mean_image").image
        image.assign(image + 2e-4)
        original(model, folder)
        image.assign(image - 2e-4)

    entry = write, exports.FORMATS["keras"][1]
    monkeypatch.setitem(exports.FORMATS, "keras", entry)
    out = tmp_path / "out"
    status, printed, err = run_cli("export", "--format", "keras", tiny_model, out)
    assert (status, printed) == (1, "")
    assert err == (
        "vae.py export: error: --format: keras differs by 0.0002 from the model, at"
        " most 0.0001 expected; it is not kept\n"
    )
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("kind", ["keras", "saved-model"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "discretized"])
def test_other_likelihoods_and_gray_images_leave_as_well(likelihood, kind, tmp_path):
    model = VAE(ModelConfig(13, 10, 1, 3, likelihood))
    average = make_faces(1, 10, 13, 1)[0] / 255
    model.start_from(average, np.full(average.shape, 0.1))
    assert exports.export(model, kind, str(tmp_path / "out")) < 1e-5


def test_a_full_disk_leaves_nothing_half_written(tiny_model, tmp_path, run_cli):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        status, _, err = run_cli("export", tiny_model, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert status == 1
    assert err.startswith(f"vae.py export: error: {tmp_path}/out: can't be written (")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_can_not_be_exported_is_refused(
    tiny_model, tmp_path, run_cli, monkeypatch
):
    shutil.copytree(tiny_model, tmp_path / "model")
    status, _, err = run_cli("export", tmp_path / "model", tmp_path / "model" / "x")
    assert status == 2 and "inside the input" in err
    monkeypatch.setattr(
        "vae.commands.export.find_spec", lambda name: name == "onnx" or None
    )
    status, _, err = run_cli("export", "--format", "onnx", tiny_model, tmp_path / "o")
    assert (status, err) == (
        2,
        "vae.py export: error: --format: onnx needs tf2onnx, onnxruntime: pip install"
        " 'vae-faces[onnx]'\n",
    )
    assert not (tmp_path / "o").exists()


def test_a_difference_beyond_the_tolerance_is_an_error_with_nan_as_well(tmp_path):
    model = VAE(ModelConfig(8, 8, 1, 2))
    broken = [lambda array: {"z_mean": np.nan, "z_log_var": np.nan}]
    broken += [lambda array: {"images": np.full((len(array), 8, 8, 1), np.nan)}] * 2
    assert not exports.measure_difference(model, broken) <= exports.TOLERANCE
    with pytest.MonkeyPatch.context() as patch, pytest.raises(VaeError):
        kinds = {"keras": (lambda *_: None, lambda folder: broken)}
        patch.setattr(exports, "FORMATS", kinds)
        exports.export(model, "keras", str(tmp_path / "out"))
