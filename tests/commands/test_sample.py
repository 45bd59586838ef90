"""`sample` on a model of drawn weights: each kind of walk, films, kept directions."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.actors import write_model
from tests.drawing import make_faces
from tests.files import files_below, write_crops
from vae import load
from vae.images.sheets import label_grid, make_grid

FACES = make_faces(20, 16, 16, seed=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture
def crops(tmp_path):
    return write_crops(tmp_path / "crops", FACES[:4], "{}.png")


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def read_all(folder):
    """Returns the pictures of a folder but for its sheet, in order."""
    return np.stack([read(p) for p in sorted(folder.iterdir()) if p.stem != "walks"])


SHORT = ["--walks", "2", "--steps", "4"]
KINDS = {
    "random": SHORT,
    "loop": SHORT,
    "traverse": SHORT,
    "grid": ["--count", "7"],
    "speed": ["--walk", "loop", "--constant-speed", *SHORT],
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_bytes(kind, model, tmp_path, run_cli):
    walk = [] if kind == "speed" else ["--walk", kind]
    contents = []
    for name in "ab":
        options = [*walk, *KINDS[kind], "--output-dir", tmp_path / name]
        status, out, err = run_cli("sample", *options, model)
        count = 7 if kind == "grid" else 8
        assert (status, err) == (0, "")
        assert out.splitlines()[0] == f"{count} pictures in {tmp_path / name}"
        paths = sorted((tmp_path / name).iterdir())
        contents.append([path.read_bytes() for path in paths])
    first = "sample_0000.png" if kind == "grid" else "walk_000_step_00.png"
    assert paths[0].name == first and len(paths) == count + 1
    assert contents[0] == contents[1]


def test_a_walk_goes_through_the_pictures_given(model, crops, tmp_path, run_cli):
    output = tmp_path / "out"
    options = ["--walk", "images", "--steps", 5, "--output-dir", output]
    status, out, err = run_cli("sample", model, *options, "--images", crops)
    assert status == 0 and "(--align none)" in err
    pictures = read_all(output)
    assert len(pictures) == 3 * 5 + 1
    expected = load(model).reconstruct(FACES[:4], align="none").astype(int)
    assert np.abs(pictures[::5] - expected).max() <= 1
    assert "left out" not in err
    names = [crops / "3.png", crops / "1.png"]
    options[-1] = tmp_path / "two"
    assert run_cli("sample", model, *options, "--images", *names)[0] == 0
    found = read_all(tmp_path / "two")[[0, -1]]
    assert np.abs(found - expected[[2, 0]]).max() <= 1


def test_what_a_walk_leaves_out_is_told(model, crops, tmp_path, run_cli):
    folder = tmp_path / "more"
    shutil.copytree(crops, folder)
    (folder / ".hidden.png").write_bytes(b"")
    picture = Image.open(folder / "1.png")
    picture.save(folder / "5.tif", save_all=True, append_images=[picture])
    options = ["--walk", "images", "--steps", 2, "--output-dir", tmp_path / "out"]
    _, _, err = run_cli("sample", model, *options, "--images", folder)
    assert f"{folder}: left out: 1 hidden or system file" in err
    assert f"{folder}/5.tif: several frames, the first one is used\n" in err


def test_codes_go_out_and_come_back(model, crops, tmp_path, run_cli):
    codes, out, again = (tmp_path / name for name in ("codes.npz", "out", "again"))
    write = ["reconstruct", "--latents", codes, model, crops, out]
    assert run_cli(*write)[0] == 0
    assert run_cli("sample", "--latents", codes, "--output-dir", again, model)[0] == 0
    assert files_below(again) == [*files_below(out), "walks.png"]
    np.testing.assert_array_equal(read_all(again), read_all(out))
    with np.load(codes) as stored:
        z = stored["z_mean"][::-1]
    np.savez(codes, z_mean=z)
    edited = tmp_path / "edited"
    assert run_cli("sample", "--latents", codes, "--output-dir", edited, model)[0] == 0
    np.testing.assert_array_equal(read_all(edited), read_all(out)[::-1])
    for bad in ({"z_mean": z[:, :2]}, {"z_mean": z * np.nan}, {"other": z}):
        np.savez(codes, **bad)
        status, _, err = run_cli("sample", "--latents", codes, model)
        assert status == 2 and err.startswith("vae.py sample: error: --latents: ")


def test_a_direction_is_added_kept_listed_and_bound_to_its_weights(
    tmp_path, run_cli, monkeypatch
):
    model = write_model(tmp_path / "model")
    ends = [
        write_crops(tmp_path / name, FACES[part], "{}.png")
        for name, part in (("rest", slice(0, 3)), ("smile", slice(3, 6)))
    ]
    grid = ["--walk", "grid", "--count", 3, "--temperature", 0, "--prior", "gaussian"]
    given = ["--direction", *ends, "--strength", 2, "--save-direction", "smile"]
    outputs = [tmp_path / name for name in "abc"]
    status, out, _ = run_cli("sample", model, *grid, *given, "--output-dir", outputs[0])
    assert status == 0 and out.splitlines()[0] == (
        f"direction kept: {model / 'directions' / 'smile.json'}"
    )
    actor = load(model)
    z = actor.encode(FACES[:6])[0]
    with np.load(model / "latent.npz") as stored:
        mean = stored["mean"]
    expected = actor.decode((mean + 2 * (z[3:].mean(0) - z[:3].mean(0)))[None])
    found = read_all(outputs[0]).astype(int)
    assert np.abs(found - expected).max() <= 1
    for output, strength in zip(outputs[1:], (2, -2), strict=True):
        kept = ["--direction", "smile", "--strength", strength, "--output-dir", output]
        assert run_cli("sample", model, *grid, *kept)[0] == 0
    np.testing.assert_array_equal(read_all(outputs[1]), found)
    assert (read_all(outputs[2]) != found).any()
    listed = f"smile: {ends[0]} -> {ends[1]}"
    assert run_cli("sample", "--list", model) == (0, listed + "\n", "")
    status, _, err = run_cli("sample", model, "--direction", "frown")
    assert status == 2 and "kept in" in err and "(smile)" in err
    told = json.loads((model / "directions" / "smile.json").read_text())
    write_model(model, seed=1)
    status, _, err = run_cli("sample", model, "--direction", "smile")
    assert status == 2 and "belongs to other weights" in err
    assert "not usable" in run_cli("sample", "--list", model)[1]
    assert len(told["direction"]) == 3


@pytest.mark.parametrize("walk, count", [("loop", 8), ("traverse", 6)])
def test_a_film_of_a_walk(walk, count, model, tmp_path, run_cli):
    film, folder = tmp_path / "walk.png", tmp_path / "pictures"
    options = ["--walk", walk, *SHORT]
    status, out, err = run_cli("sample", *options, "--film", film, "--fps", 10, model)
    assert (status, out, err) == (0, f"{count} pictures in {film}\n", "")
    assert files_below(tmp_path) == ["walk.png"]
    run_cli("sample", *options, "--output-dir", folder, model)
    pictures = read_all(folder)
    with Image.open(film) as found:
        assert found.n_frames == count and found.info["duration"] == 100
        for number in range(count):
            found.seek(number)
            if walk == "loop":
                np.testing.assert_array_equal(np.asarray(found), pictures[number])
            else:  # both directions side by side, there and back
                step = [0, 1, 2, 3, 2, 1][number]
                beside = make_grid(pictures[[step, 4 + step]], 2)
                np.testing.assert_array_equal(np.asarray(found), beside)
    status, _, err = run_cli("sample", *options, "--film", film, model)
    assert status == 2 and "already there" in err


@pytest.mark.parametrize("channels", [1, 3])
def test_labels_leave_the_pictures_as_they_are(channels):
    images = make_faces(6, 24, 20, channels)
    sheet = make_grid(images, 3)
    labelled = label_grid(sheet, (20, 24), ["walk 0", "walk 1"], ["0", "1", "2"])
    height, width = sheet.shape[:2]
    np.testing.assert_array_equal(labelled[-height:, -width:], sheet)
    first, second = labelled[14 : 14 + 26, :-width], labelled[14 + 26 :, :-width]
    assert first.any() and second.any() and (first[:24] != second[:24]).any()
    assert labelled[:14, -width:].any()


WRONG = {
    "--walk images": "--walk images: found with no --images; both belong together",
    "--images a.png b.png": "--images: found with --walk random; both belong together",
    "--walk images --images one": "--images: 1 found, two or more expected",
    "--walk grid --constant-speed": "--constant-speed: a walk from point to point"
    " expected: --walk random, loop or images",
    "--save-direction a": "--save-direction: found without --direction FROM TO",
    "--direction a b --save-direction ../a": "--save-direction: ../a found, a name of"
    " at most 64 letters, digits, - and _ expected",
    "--film a.avi": "--film: a.avi found, a name that ends in one of .mp4 .mov .webm"
    " .gif .webp .png expected",
    "--walk grid --steps 3": "--steps: found with --walk grid, where it changes"
    " nothing; leave it out",
    "--latents a.npz --walk loop": "--walk: found with --latents, where it changes"
    " nothing; leave it out",
    "--strength 2": "--strength: found with no --direction, where it changes nothing;"
    " leave it out",
    "--walks 1 --walk grid --count 0": "--count: 0 found, 1 to 1000000 expected",
    "--temperature -1": "--temperature: -1.0 found, 0.0 to 10.0 expected",
    "--latents no.npz": "--latents: no.npz: can't be read (FileNotFoundError), codes as"
    " reconstruct --latents stores them expected",
}


@pytest.mark.parametrize("line", WRONG)
def test_what_can_not_work_is_refused(line, refused, tmp_path):
    write_model(tmp_path / "model")
    write_crops(tmp_path / "one", FACES[:1], "{}.png")
    assert refused(f"sample model {line}") == WRONG[line]
