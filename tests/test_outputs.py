"""What is written, and where, whatever happens: faults, links, closed streams."""

import os
import resource
import subprocess
import sys
import time

import pytest
from PIL import Image

from tests.checkpoints import load, names_in, save
from tests.drawing import encode, make_faces, noise, write_animation
from tests.faults import MANY, Faults, Killed
from tests.files import ROOT, STRANGE_NAMES, hash_below, snapshot, write_h5
from vae.checkpoint.directory import publish_folder
from vae.config import ModelConfig
from vae.data.arrays import read_pictures
from vae.errors import ImageError, VaeError
from vae.files import replace_file
from vae.images.folders import find_images
from vae.images.reading import read_image
from vae.images.sheets import write_png

TOOL = [sys.executable, str(ROOT / "vae.py")]


@pytest.mark.parametrize("kill", [False, True], ids=["error", "kill"])
def test_row_02_a_picture_that_ends_anywhere_is_the_old_or_the_new(kill, tmp_path):
    path, found = tmp_path / "a.png", []
    images = make_faces(2, 8, 8)
    for fatal_call in range(1, MANY):
        write_png(path, images[0])
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, fatal_call, kill)
            try:
                replace_file(path, encode(Image.fromarray(images[1])), sync=True)
            except (VaeError, Killed):
                pass
        found.append(read_image(path, 8, 8, 3).tolist() == images[1].tolist())
        assert kill or os.listdir(tmp_path) == ["a.png"]
        if faults.calls < fatal_call:
            break
    assert len(found) > 4 and found == sorted(found) and found[-1]


def fill_folder(folder, tag):
    """Makes a folder of two files that hold a tag."""
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_text(tag)


@pytest.mark.parametrize("fatal_call", range(1, 6))
@pytest.mark.parametrize("kill", [False, True], ids=["error", "kill"])
def test_row_16_a_folder_is_the_old_or_the_new_or_none(kill, fatal_call, tmp_path):
    fill_folder(tmp_path / "saved_model", "old")
    fill_folder(tmp_path / ".tmp-saved_model", "new")
    with pytest.MonkeyPatch.context() as patch:
        Faults(patch, fatal_call, kill)
        try:
            publish_folder(tmp_path / ".tmp-saved_model", tmp_path / "saved_model")
        except (OSError, Killed):
            pass
    final = tmp_path / "saved_model"
    found = {path.read_text() for path in final.iterdir()} if final.exists() else {}
    assert found in ({}, {"old"}, {"new"}) and (kill or found)
    assert not found or len(os.listdir(final)) == 2


def test_row_10_a_full_disk_leaves_the_checkpoints_before(tmp_path):
    save(tmp_path, 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(
            VaeError, match=r"step 2 can't be saved \(file too large\);"
        ):
            save(tmp_path, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load(tmp_path) == (1, []) and names_in(tmp_path) == ["step-00000001"]


LINES = ["train in.h5 out", "train in.h5 out/below", "prepare in.h5 out/a.h5"]


@pytest.mark.parametrize("line", LINES)
def test_row_11_a_folder_that_is_read_only_is_refused(
    line, refused, tmp_path, monkeypatch
):
    write_h5(tmp_path / "in.h5", make_faces(12, 8, 8))
    (tmp_path / "out").mkdir()
    access = os.access  # root may write everywhere, so that the answer is made up
    monkeypatch.setattr(
        os, "access", lambda path, mode: not mode & os.W_OK and access(path, mode)
    )
    expected = "permission denied, a folder to write expected"
    assert refused(line).endswith(expected)


def test_row_13_the_clock_does_not_say_which_checkpoint_is_newest(tmp_path):
    for step in (1, 2):
        save(tmp_path, step)
    folder = tmp_path / "checkpoints"
    for name, when in (("step-00000001", time.time() + 10**6), ("step-00000002", 0)):
        os.utime(folder / name, (when, when))
        for path in (folder / name).iterdir():
            os.utime(path, (when, when))
    (folder / "step-00000009.old").mkdir()
    (folder / "step-99999999x").mkdir()
    assert load(tmp_path)[0] == 2
    save(tmp_path, 3)
    kept = ["step-00000002", "step-00000003", "step-00000009.old", "step-99999999x"]
    assert names_in(tmp_path) == kept


def test_row_14_nothing_that_a_manifest_names_is_touched(tmp_path):
    save(tmp_path / "out", 1)
    save(tmp_path / "out", 2)
    secret = tmp_path / "secret"
    secret.write_text("precious")
    before = snapshot(tmp_path)
    for name in (str(secret), "../../../secret", "state.json/../../secret"):
        path = tmp_path / "out" / "checkpoints" / "step-00000002" / "MANIFEST.json"
        text = path.read_text()
        path.write_text(text.replace("arrays.h5", name))
        tag, warnings = load(tmp_path / "out")
        assert tag == 1 and warnings[0].endswith("does not fit; passed over")
        path.write_text(text)
    assert before.keys() == snapshot(tmp_path).keys()
    assert secret.read_text() == "precious"


@pytest.mark.parametrize("form", ["WEBP", "PNG", "TIFF"])
def test_row_41_the_first_frame_is_read_and_that_is_said(form, tmp_path):
    write_animation(tmp_path / "b.png", form)
    (tmp_path / "a.png").write_bytes(encode(noise()))
    config = ModelConfig(8, 8)
    notes = []
    images = read_pictures(tmp_path, ["a.png", "b.png"], config, notes.append)
    assert notes == ["b.png: several frames, the first one is used"]
    assert abs(int(images[1].mean()) - 10) < 3


def test_row_41_prepare_says_it_as_well(tmp_path, run_cli):
    (tmp_path / "crops").mkdir()
    write_animation(tmp_path / "crops" / "b.webp")
    status, _, err = run_cli("prepare", tmp_path / "crops", tmp_path / "a.h5")
    assert status == 0
    assert err.splitlines()[0] == "crops/b.webp: several frames, the first one is used"


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 7)])
def test_row_42_an_image_of_any_shape_gets_the_size_of_the_model(size, tmp_path):
    (tmp_path / "a.png").write_bytes(encode(Image.new("RGB", size, (7, 8, 9))))
    image = read_image(tmp_path / "a.png", 20, 24, 3)
    assert image.shape == (24, 20, 3) and (image == [7, 8, 9]).all()


@pytest.mark.parametrize("output", ["crops/a.h5", "crops/new/a.h5", "link/a.h5"])
def test_row_44_inputs_are_as_they_were(output, refused, tmp_path):
    (tmp_path / "crops").mkdir()
    (tmp_path / "link").symlink_to("crops")
    (tmp_path / "crops" / "a.png").write_bytes(encode(noise()))
    before = hash_below(tmp_path)
    assert refused(f"prepare --overwrite crops {output}").startswith(
        f"{output}: inside"
    )
    assert hash_below(tmp_path) == before


def test_row_45_an_existing_file_is_refused_and_intact(refused, tmp_path):
    write_h5(tmp_path / "in.h5", make_faces(12, 8, 8))
    (tmp_path / "a.h5").write_bytes(b"precious")
    assert refused("prepare in.h5 a.h5").startswith("a.h5: already there; add to it")
    assert (tmp_path / "a.h5").read_bytes() == b"precious"


def test_row_48_names_of_any_bytes_are_read_and_told(tmp_path, run_cli):
    folder = os.fsencode(tmp_path / "crops")
    os.mkdir(folder)
    for number, name in enumerate(STRANGE_NAMES):
        good = number % 2
        with open(os.path.join(folder, name), "wb") as file:
            file.write(encode(noise()) if good else b"no picture")
    status, out, err = run_cli("prepare", tmp_path / "crops", tmp_path / "a.h5")
    assert status == 1 and out.startswith(f"{tmp_path}/a.h5: 4 images")
    lines = err.splitlines()
    assert len(lines) == 5 and lines[-1] == "4 could not be used"
    assert sum("not an image" in line for line in lines) == 4
    assert err.isprintable() or all(line.isprintable() for line in lines)


def test_row_49_many_files_are_found_in_order_and_in_little_memory(tmp_path):
    count = 100_000
    code = (
        "import os, resource, sys; sys.path.insert(0, sys.argv[1])\n"
        "from vae.images.folders import find_images\n"
        "from vae.files import plan_outputs\n"
        "class Entry:\n"
        "    def __init__(self, n): self.name = f'frame_{n}.png'\n"
        "    is_symlink = is_dir = lambda self, **_: False\n"
        "import vae.images.folders\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "numbers = range(1, int(sys.argv[2]) + 1)\n"
        "vae.images.folders._list_folder = lambda f: map(Entry, reversed(numbers))\n"
        "names = find_images('.')\n"
        "assert names == [f'frame_{n}.png' for n in numbers]\n"
        "assert plan_outputs(names) == names\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    command = [sys.executable, "-c", code, str(ROOT), str(count)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(found.stdout) < 200 << 10  # KB: at most 2 KB a name


CLOSED = {
    "stdout": ">&-",
    "stderr": "2>&-",
    "all": "<&- >&- 2>&-",
    "reader left": "2>&1 | true",
    "no terminal": "</dev/null >/dev/null 2>/dev/null",
}


@pytest.mark.parametrize("case", CLOSED)
def test_row_17_outputs_are_whole_whatever_the_streams(case, tmp_path, run_cli):
    crops = tmp_path / "crops"
    crops.mkdir()
    write_animation(crops / "b.webp")  # of which something is said
    for number, face in enumerate(make_faces(30)):
        write_png(str(crops / f"{number}.png"), face)
    command = f'"$0" "$1" prepare "$2" "$3" {CLOSED[case]}'
    arguments = [*TOOL, crops, tmp_path / "a.h5"]
    environment = os.environ | {"TERM": "dumb", "PYTHONUNBUFFERED": "1"}
    subprocess.run(["sh", "-c", command, *arguments], env=environment, timeout=60)
    _, out, _ = run_cli("prepare", tmp_path / "a.h5", tmp_path / "again.h5")
    assert out.startswith(f"{tmp_path}/again.h5: 31 images")


def test_pictures_that_are_written_hold_nothing_of_those_that_were_read(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x8825] = "Camera of Zoë", {1: "N"}
    options = {"exif": exif, "dpi": (300, 300), "icc_profile": b"profile of Zoe"}
    (tmp_path / "a.jpg").write_bytes(encode(noise(), "JPEG", comment=b"Zoe", **options))
    write_png(tmp_path / "b.png", read_image(tmp_path / "a.jpg", 32, 32, 3))
    content = (tmp_path / "b.png").read_bytes()
    kinds = []
    at = 8
    while at < len(content):
        size = int.from_bytes(content[at : at + 4])
        kinds.append(content[at + 4 : at + 8])
        at += 12 + size
    assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"} and b"Zo" not in content


def test_row_38_no_other_program_is_started(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(a))
    monkeypatch.setattr(os, "system", started.append)
    for name, form in (("a.png", "EPS"), ("b.png", "PDF")):
        (tmp_path / name).write_bytes(encode(noise(), form))
        with pytest.raises(ImageError, match="^not an image"):
            read_image(tmp_path / name, 8, 8, 3)
    assert started == [] and len(find_images(tmp_path)) == 2


def test_row_43_twins_in_one_folder_have_outputs_of_their_own(tmp_path, run_cli):
    crops = tmp_path / "crops"
    crops.mkdir()
    for name in ("a.png", "a.jpg", "A.png"):
        content = encode(noise(), "JPEG" if name.endswith("jpg") else "PNG")
        (crops / name).write_bytes(content)
    status, out, _ = run_cli("prepare", crops, tmp_path / "a.h5")
    assert status == 0 and out.startswith(f"{tmp_path}/a.h5: 3 images")
