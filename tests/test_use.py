"""`sample` and `reconstruct` with a trained model, and the SavedModel without us."""

import json
import shutil
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from tests.drawing import make_faces
from tests.files import ROOT, write_h5
from vae import load

pytestmark = pytest.mark.tensorflow


def read(path):
    return np.asarray(Image.open(path))


@pytest.fixture
def crops(tmp_path):
    folder = tmp_path / "crops"
    (folder / "clip").mkdir(parents=True)
    for number, face in enumerate(make_faces(12, seed=3), 1):
        Image.fromarray(face).save(folder / "clip" / f"frame_{number}.bmp")
    return folder


def test_sample_writes_walks_that_sort_and_a_sheet(tiny_model, tmp_path, run_cli):
    arguments = ["--walks", 3, "--steps", 4, "--output--dir", tmp_path / "s"]
    status, out, _ = run_cli("sample", *arguments, tiny_model)
    assert status == 0
    assert out.splitlines()[0] == f"12 pictures in {tmp_path / 's'}"
    names = sorted(path.name for path in (tmp_path / "s").iterdir())
    assert names[0] == "walk_000_step_00.png" and names[11] == "walk_002_step_03.png"
    assert names[12:] == ["walks.png"]
    pictures = [read(tmp_path / "s" / name) for name in names[:12]]
    sheet = read(tmp_path / "s" / "walks.png")
    # Labels are above and to the left of the pictures.
    np.testing.assert_array_equal(sheet[-50:-26, -64:-44], pictures[5])
    for one, next_one in pairwise(pictures):
        assert (one != next_one).any()  # no end point twice


def test_row_53_the_same_seed_gives_the_same_bytes(tiny_model, tmp_path, run_cli):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        arguments = ["--walks", 2, "--steps", 2, "--seed", seed]
        run_cli("sample", *arguments, "--output-dir", tmp_path / name, tiny_model)
    bytes_of = {
        name: [path.read_bytes() for path in sorted((tmp_path / name).iterdir())]
        for name in "abc"
    }
    assert bytes_of["a"] == bytes_of["b"] != bytes_of["c"]


def test_reconstruct_keeps_names_and_reports_quality(
    tiny_model, crops, tmp_path, run_cli
):
    status, out, _ = run_cli("reconstruct", tiny_model, crops, tmp_path / "out")
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == f"12 of 12 crops in {tmp_path / 'out'}"
    assert lines[1].startswith("PSNR: mean ") and "clip/frame_" in lines[1]
    found = sorted(p.name for p in (tmp_path / "out" / "clip").iterdir())
    assert len(found) == 12 and found[0] == "frame_1.png"
    assert read(tmp_path / "out" / "clip" / "frame_1.png").shape == (24, 20, 3)


@pytest.mark.parametrize("command", ["reconstruct", "evaluate"])
def test_row_80_row_81_row_83_what_a_folder_of_crops_holds_is_told(
    command, tiny_model, crops, tmp_path, run_cli
):
    for number, face in enumerate(make_faces(4)):
        name = f"frame_det_{number % 2:02d}_{number:06d}.bmp"
        Image.fromarray(face).save(crops / name)
    (crops / "._a.png").touch()
    (crops / "b.heic").touch()
    output = [tmp_path / "out"] if command == "reconstruct" else []
    status, _, err = run_cli(command, tiny_model, crops, *output)
    assert status == 0 and err.splitlines()[:3] == [
        f"{crops}: left out: 1 .heic, 1 hidden or system file; PNG, JPEG, BMP, WebP and"
        " TIFF are read",
        f"{crops}: crops of 2 faces in one folder: face 0 (2), face 1 (2); all are"
        " taken for one person, copy those of one into a folder",
        f"{crops}: pictures in 2 folders: itself (4), clip (12); all are taken for one"
        " person, give each folder alone if they are of several",
    ]


def test_one_crop_gives_the_picture_that_it_gives_in_its_folder(
    tiny_model, crops, tmp_path, run_cli
):
    out, one = tmp_path / "out", crops / "clip" / "frame_7.bmp"
    run_cli("reconstruct", "--align", "none", tiny_model, crops, out)
    status, printed, told = run_cli("reconstruct", tiny_model, one, crops / "seven")
    assert status == 0 and printed.startswith("1 of 1 crops in ")
    assert "don't tell a stranger (found: 1)" in told
    assert [path.name for path in (crops / "seven").iterdir()] == ["frame_7.png"]
    difference = read(crops / "seven/frame_7.png").astype(int)
    difference -= read(out / "clip/frame_7.png")
    assert abs(difference).max() <= 1  # batches of other sizes round otherwise


def test_the_neutral_crop_becomes_the_actor_at_rest(
    tiny_model, crops, tmp_path, run_cli
):
    rest, folder = crops / "clip" / "frame_3.bmp", tmp_path / "out"
    options = [
        "--align",
        "relative",
        "--neutral",
        rest,
        "--latents",
        tmp_path / "z.npz",
    ]
    assert run_cli("reconstruct", *options, tiny_model, crops, folder)[0] == 0
    z = np.load(tmp_path / "z.npz")["z_mean"]  # (12, Z)
    neutral = np.load(tiny_model / "latent.npz")["neutral"]
    np.testing.assert_allclose(z[2], neutral, atol=1e-4)


def test_the_model_keeps_the_films_codes_and_a_page_plays_them(
    tiny_model, tmp_path, run_cli
):
    film = np.load(tiny_model / "latent.npz")["film"]
    images = make_faces(60)[: len(film)]  # the rest is held out
    assert len(film) == 54 and film.dtype == np.float16
    codes = load(str(tiny_model)).encode(images)[0]
    np.testing.assert_allclose(film, codes, atol=0.01)
    status, out, err = run_cli("explore", tiny_model, tmp_path / "page.html")
    assert status == 0 and "codes of 54 frames" in err and "sliders: " in out


def test_reconstruction_of_a_known_face_is_closer_than_of_another(
    tiny_model, crops, tmp_path, run_cli
):
    run_cli("reconstruct", "--side-by-side", tiny_model, crops, tmp_path / "out")
    pairs = [read(p).astype(int) for p in sorted((tmp_path / "out/clip").iterdir())]
    inputs = [pair[:, :20] for pair in pairs]
    results = [pair[:, 20:] for pair in pairs]
    original = read(crops / "clip" / "frame_1.bmp")
    np.testing.assert_array_equal(inputs[0], original)
    black = np.mean([np.abs(face).mean() for face in inputs])
    both = zip(inputs, results, strict=True)
    error = np.mean([np.abs(a - b).mean() for a, b in both])
    assert error < 0.8 * black


def test_row_36_unreadable_crops_are_listed_and_the_others_done(
    tiny_model, crops, tmp_path, run_cli
):
    (crops / "clip" / "frame_5.bmp").write_bytes(b"")
    (crops / "notes.png").write_text("not a picture")
    status, out, err = run_cli("reconstruct", tiny_model, crops, tmp_path / "out")
    assert status == 1
    assert out.startswith("11 of 13 crops in")
    lines = err.splitlines()
    assert [line.split(":")[0] for line in lines[-3:-1]] == [
        "clip/frame_5.bmp",
        "notes.png",
    ]
    assert lines[-1] == "2 of 13 could not be read"


def test_latents_belong_to_their_files(tiny_model, crops, tmp_path, run_cli):
    path = tmp_path / "codes.npz"
    arguments = ["--latents", path, tiny_model, crops, tmp_path / "out"]
    assert run_cli("reconstruct", *arguments)[0] == 0
    with np.load(path) as codes:
        assert codes["files"].tolist() == [f"clip/frame_{n}.bmp" for n in range(1, 13)]
        assert codes["z_mean"].shape == codes["z_log_var"].shape == (12, 4)
        import tensorflow as tf

        loaded = tf.saved_model.load(str(tiny_model / "saved_model"))
        z_mean = loaded.encode(make_faces(12, seed=3)[3:5])["z_mean"]
        np.testing.assert_allclose(codes["z_mean"][3:5], z_mean, rtol=1e-4, atol=1e-5)


def test_the_saved_model_needs_nothing_of_ours(tiny_model, crops, tmp_path, run_cli):
    shutil.copytree(tiny_model / "saved_model", tmp_path / "saved_model")
    np.save(tmp_path / "faces.npy", make_faces(12, seed=3))
    code = (
        "import numpy as np, tensorflow as tf, sys\n"
        "model = tf.saved_model.load('saved_model')\n"
        "faces = np.load('faces.npy')\n"
        "for n in (12, 5):\n"
        "    z = model.signatures['encode'](images=tf.constant(faces[:n]))['z_mean']\n"
        "    back = model.signatures['decode'](z=z)['images']\n"
        "    same = model.signatures['reconstruct'](images=tf.constant(faces[:n]))\n"
        "    assert (back.numpy() == same['images'].numpy()).all()\n"
        "np.save('back.npy', model.reconstruct(faces)['images'].numpy())\n"
        "assert not any(name.split('.')[0] == 'vae' for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    run_cli("reconstruct", tiny_model, crops, tmp_path / "out")
    for number, image in enumerate(np.load(tmp_path / "back.npy"), 1):
        ours = read(tmp_path / "out" / "clip" / f"frame_{number}.png").astype(int)
        assert np.abs(ours - image).max() <= 1  # rounding of a float


def test_pictures_are_made_without_tensorflow(tiny_model, crops, tmp_path):
    """Starting it takes longer than thousands of pictures do."""
    code = (
        "import sys\n"
        "from vae.cli import main\n"
        "model, crops, out = sys.argv[1:]\n"
        "assert main(['sample', '--walks', '1', '--output-dir', out, model]) == 0\n"
        "assert main(['reconstruct', model, crops, out]) == 0\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-c", code, tiny_model, crops, tmp_path / "out"]
    subprocess.run(command, cwd=ROOT, check=True)


def test_sizes_and_latents_given_are_checked(tiny_model, crops, tmp_path, run_cli):
    good = ["--latent-dim", 4, "--input-width", 20, "--input-height", 24]
    out = tmp_path / "out"
    assert run_cli("reconstruct", *good, tiny_model, crops, out)[0] == 0
    status, _, err = run_cli("sample", "--input-width", 64, tiny_model)
    assert status == 2
    assert err.startswith("vae.py sample: error: --input-width: 64 found, 20 expected")


def test_both_layouts_give_the_same_upright_pictures(tmp_path, run_cli, no_saved_model):
    faces = make_faces(40, 24, 20)
    upright = write_h5(tmp_path / "rows.h5", faces)
    sideways = write_h5(tmp_path / "width.h5", faces.transpose(0, 2, 1, 3))
    options = ["--epochs", 1, "--latent-dim", 3, "--seed", 1]
    rows = ["--layout", "rows-first", upright, tmp_path / "rows"]
    assert run_cli("train", *options, *rows)[0] == 0
    status, _, err = run_cli("train", *options, sideways, tmp_path / "width")
    assert status == 0
    assert err.startswith("--layout: images of 20 x 24 are read as 20 wide and 24 high")
    first, second = tmp_path / "rows", tmp_path / "width"
    assert (first / "weights.h5").read_bytes() == (second / "weights.h5").read_bytes()
    np.testing.assert_array_equal(
        read(first / "previews/epoch-0001.png")[:24, :20], faces[36]
    )


@pytest.mark.parametrize("side, pixels", [("width", 10), ("height", 12)])
def test_one_side_alone_keeps_the_shape(
    side, pixels, faces_file, tmp_path, run_cli, no_saved_model
):
    options = ["--epochs", "1", "--latent-dim", "2", f"--input-{side}", pixels]
    assert run_cli("train", *options, faces_file, tmp_path / "out")[0] == 0
    model = json.loads((tmp_path / "out" / "metadata.json").read_text())["model"]
    assert (model["width"], model["height"]) == (10, 12)
