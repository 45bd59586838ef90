"""Behaviour of `prepare`: pixels, sizes, origins, appending, repacking, refusals."""
import csv
import os

import h5py
import numpy as np
import pytest
from conftest import make_faces, write_h5
from PIL import Image

from vae import sources
from vae.data import ImageFile
from vae.fit import Target, fit_image


def write_crops(folder, images, name="frame_det_00_{:06d}.bmp"):
    """Writes images as a folder of crops, numbered from 1; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images, 1):
        Image.fromarray(image.squeeze()).save(folder / name.format(number))
    return folder


def load(path):
    """Returns (images, sources, frames) of a data file."""
    with h5py.File(path) as file:
        names = file["source"].asstr()[:].tolist()
        return file["data"][:], names, file["frame"][:].tolist()


def files_below(folder):
    """Returns every file name, hidden ones as well."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def write_csv(path, rows, header=("frame", "face_id", "confidence", "success")):
    """Writes a CSV the way OpenFace does, with blanks before the names."""
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([[header[0], *(f" {name}" for name in header[1:])]])
        csv.writer(file).writerows(rows)


def test_pixels_order_and_origin_survive(tmp_path, run_cli):
    images = make_faces(70)
    folder = write_crops(tmp_path / "crops", images, "f{}.png")
    output = tmp_path / "data.h5"
    status, out, err = run_cli("prepare", folder, output)
    assert status == 0
    assert out.splitlines()[0] == f"{output}: 70 images, 20x24 RGB"
    data, names, frames = load(output)
    assert np.array_equal(data, images)
    assert names == [f"crops/f{number}.png" for number in range(1, 71)]
    assert frames == [0] * 70
    with ImageFile(str(output)) as file:
        assert (file.width, file.height, file.layout.name) == (20, 24, "rows-first")
        assert np.array_equal(file.read(0, 70), images)
    assert files_below(tmp_path).count("data.h5") == 1
    assert not [name for name in files_below(tmp_path) if name.endswith(".part")]


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_chunks_are_whole_images_of_a_megabyte_and_checked(
    tmp_path, run_cli, compression
):
    images = np.random.default_rng(0).integers(0, 256, (60, 112, 112, 3), np.uint8)
    folder = write_crops(tmp_path / "crops", images)
    output = tmp_path / "data.h5"
    assert run_cli("prepare", "--compression", compression, folder, output)[0] == 0
    with h5py.File(output) as file:
        assert file["data"].chunks == (27, 112, 112, 3)
        assert file["data"].fletcher32 and file["frame"].fletcher32
        assert file["data"].compression == (None if compression == "none" else "gzip")
        assert file["data"].attrs["layout"] == "rows-first"
        assert np.array_equal(file["data"][:], images)
        assert file["frame"][:].tolist() == list(range(1, 61))


def test_sizes_that_differ_become_112_with_a_line(tmp_path, run_cli):
    folder = write_crops(tmp_path / "crops", make_faces(2))
    write_crops(folder, make_faces(1, 30, 30), "large{}.png")
    output = tmp_path / "data.h5"
    status, _, err = run_cli("prepare", folder, output)
    assert status == 0
    assert err == (
        "--width, --height: images of 2 sizes found, 20x24 to 30x30; all are made"
        " 112x112 (--fit crop)\n"
    )
    assert load(output)[0].shape == (3, 112, 112, 3)


@pytest.mark.parametrize(
    "options, size",
    [
        (["--width", "10"], (10, 12)),
        (["--height", "12"], (10, 12)),
        (["--width", "8", "--height", "8"], (8, 8)),
    ],
)
def test_a_size_can_be_asked_for(tmp_path, run_cli, options, size):
    folder = write_crops(tmp_path / "crops", make_faces(3))
    output = tmp_path / "data.h5"
    assert run_cli("prepare", *options, folder, output)[0] == 0
    assert load(output)[0].shape == (3, size[1], size[0], 3)


def test_fit():
    image = np.zeros((10, 20, 3), np.uint8)
    image[:, :5], image[:, 5:15], image[:, 15:] = 50, 100, 200
    cropped = fit_image(image, Target(10, 10, 3, "crop"))
    assert (cropped == 100).all()
    padded = fit_image(image, Target(20, 20, 3, "pad"))
    assert np.array_equal(padded[5:15], image)
    assert not padded[:5].any() and not padded[15:].any()
    stretched = fit_image(image, Target(20, 40, 3, "stretch"))
    assert (stretched[:, 1] == 50).all() and (stretched[:, -2] == 200).all()
    gray = fit_image(image, Target(20, 10, 1, "crop"))
    assert gray.shape == (10, 20, 1) and (gray[:, 10] == 100).all()
    assert fit_image(gray, Target(20, 10, 3, "crop")).shape == (10, 20, 3)


def test_a_photo_that_lies_counts_with_its_upright_size(tmp_path, run_cli):
    exif = Image.Exif()
    exif[0x0112] = 6
    folder = tmp_path / "crops"
    folder.mkdir()
    Image.new("RGB", (30, 20)).save(folder / "a.jpg", exif=exif)
    output = tmp_path / "data.h5"
    assert run_cli("prepare", folder, output)[1].splitlines()[0].endswith("20x30 RGB")


@pytest.mark.parametrize("flip", [1, -1])
def test_bitmap_headers_are_read_as_pillow_reads_them(tmp_path, flip):
    path = tmp_path / "a.bmp"
    Image.new("RGB", (7, 5)).save(path)
    content = bytearray(path.read_bytes())
    content[22:26] = (5 * flip).to_bytes(4, "little", signed=True)
    path.write_bytes(content)
    with Image.open(path) as image:
        assert sources.read_size(path) == image.size == (7, 5)


def test_frames_that_openface_failed_on_are_skipped(tmp_path, run_cli):
    images = make_faces(6)
    folder = write_crops(tmp_path / "clip_aligned", images)
    rows = [[1, 0, 0.98, 1], [2, 0, 0.1, 0], [3, 0, 0.5, 1], [4, 1, 0.0, 0], []]
    write_csv(tmp_path / "clip.csv", rows)
    output = tmp_path / "data.h5"
    status, out, _ = run_cli("prepare", "--min-confidence", "0.7", folder, output)
    assert status == 0
    assert "skipped: 2 crops that OpenFace failed on" in out.splitlines()
    data, _, frames = load(output)
    assert frames == [1, 4, 5, 6]
    assert np.array_equal(data, images[[0, 3, 4, 5]])


def test_old_names_and_a_parent_folder_find_the_csv(tmp_path, run_cli):
    folder = tmp_path / "processed" / "clip_aligned"
    write_crops(folder, make_faces(3), "frame_det_{:06d}.bmp")
    rows = [[1, 1, 0.9], [2, 0, 0.0], [3, 1, 0.9]]
    header = ("frame", "success", "confidence")
    write_csv(tmp_path / "processed" / "clip.csv", rows, header)
    output = tmp_path / "data.h5"
    assert run_cli("prepare", tmp_path / "processed", output)[0] == 0
    assert load(output)[1:] == (
        [f"processed/clip_aligned/frame_det_00000{n}.bmp" for n in (1, 3)],
        [1, 3],
    )


@pytest.mark.parametrize(
    "content, message",
    [
        ("frame, success\n1, 1\n", "no column 'confidence', OpenFace's CSV expected"),
        ("", "no column 'frame'"),
        ("frame, confidence, success\n1, x, 1\n", "line 2 is not numbers in columns"),
        ("frame, confidence, success\n1\n", "line 2 is not numbers in columns"),
        ("frame, confidence, success\n1, 0, 0\n2, 0, 0\n", "failed on all of its 2"),
    ],
)
def test_a_csv_of_another_kind_is_refused(tmp_path, run_cli, content, message):
    folder = write_crops(tmp_path / "clip_aligned", make_faces(2))
    (tmp_path / "clip.csv").write_text(content)
    status, _, err = run_cli("prepare", folder, tmp_path / "data.h5")
    assert status == 2 and message in err
    assert not (tmp_path / "data.h5").exists()


def test_unreadable_images_are_listed_and_the_others_kept(tmp_path, run_cli):
    images = make_faces(3)
    folder = write_crops(tmp_path / "crops", images, "{}.png")
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:60])
    (folder / "4.jpg").write_text("no image")
    output = tmp_path / "data.h5"
    status, out, err = run_cli("prepare", folder, output)
    assert status == 1
    assert out.startswith(f"{output}: 2 images")
    assert err.splitlines()[-3].startswith("crops/2.png: ")
    assert err.splitlines()[-2:] == [
        "crops/4.jpg: not an image (PNG, JPEG, BMP, WebP or TIFF)",
        "2 could not be read",
    ]
    assert np.array_equal(load(output)[0], images[[0, 2]])


def test_no_readable_image_writes_nothing(tmp_path, run_cli):
    folder = tmp_path / "crops"
    folder.mkdir()
    (folder / "a.png").write_text("no image")
    output = tmp_path / "data.h5"
    status, _, err = run_cli("prepare", folder, output)
    assert status == 2 and "no image that can be read" in err
    size = ["--width", "8", "--height", "8"]
    status, _, err = run_cli("prepare", *size, folder, output)
    assert status == 1
    assert err.splitlines()[-1].endswith("not written, since no image could be read")
    assert files_below(tmp_path) == ["a.png"]


def test_inputs_keep_their_order_and_pictures_sort_naturally(tmp_path, run_cli):
    images = make_faces(12)
    folder = write_crops(tmp_path / "z", images, "{}.png")
    old = write_h5(tmp_path / "old.h5", images[:2])
    pictures = sorted(folder.iterdir(), key=str)  # 1, 10, 11, 12, 2, as a shell does
    output = tmp_path / "data.h5"
    options = ["--layout", "rows-first"]
    assert run_cli("prepare", *options, old, *pictures, old, output)[0] == 0
    data, names, frames = load(output)
    assert np.array_equal(data, np.concatenate([images[:2], images, images[:2]]))
    assert names[:2] == ["old.h5"] * 2 and frames[:2] == [0, 1]
    last_parts = [os.path.basename(name) for name in names]
    assert last_parts[2:5] == ["1.png", "2.png", "3.png"]


def test_append_adds_and_keeps_what_was_there(tmp_path, run_cli):
    images = make_faces(50)
    first = write_crops(tmp_path / "first", images[:30], "{}.png")
    second = write_crops(tmp_path / "second", images[30:], "{}.png")
    output = tmp_path / "data.h5"
    assert run_cli("prepare", "--compression", "gzip", first, output)[0] == 0
    status, out, _ = run_cli("prepare", "--append", second, output)
    assert status == 0
    assert out.startswith(f"{output}: 50 images, 20 of them new, 20x24 RGB\n")
    data, names, _ = load(output)
    assert np.array_equal(data, images)
    assert names[0] == "first/1.png" and names[30] == "second/1.png"
    with h5py.File(output) as file:
        assert file["data"].compression == "gzip"


def test_append_never_drops_what_was_there(tmp_path, run_cli):
    images = make_faces(20)
    same = np.concatenate([images[:1]] * 2 + [images])
    output = tmp_path / "data.h5"
    assert run_cli("prepare", write_crops(tmp_path / "a", same), output)[0] == 0
    again = write_crops(tmp_path / "b", images)
    assert run_cli("prepare", "--append", "--dedupe", again, output)[0] == 0
    assert np.array_equal(load(output)[0], same)


def test_repack_mends_chunks_floats_layout_and_size(tmp_path, run_cli):
    images = make_faces(40)
    lying = images.transpose(0, 2, 1, 3)
    floats = (lying / 255).astype(np.float32)
    old = write_h5(tmp_path / "old.h5", floats, "faces", chunks=(40, 4, 4, 1))
    new = tmp_path / "new.h5"
    dataset = ["--hdf5-dataset-name", "faces"]
    status, out, err = run_cli("prepare", *dataset, old, new)
    assert status == 0 and "read as 20 wide and 24 high" in err
    assert np.array_equal(load(new)[0], images)
    rows = ["--layout", "rows-first", "--overwrite"]
    assert run_cli("prepare", *dataset, *rows, old, new)[0] == 0
    assert np.array_equal(load(new)[0], lying)
    assert run_cli("prepare", "--width", "10", new, tmp_path / "small.h5")[0] == 0
    assert load(tmp_path / "small.h5")[0].shape == (40, 8, 10, 3)


def test_repack_keeps_origins_and_gray(tmp_path, run_cli):
    images = make_faces(5, channels=1)
    old = write_h5(tmp_path / "old.h5", images)
    with h5py.File(old, "a") as file:
        file["data"].attrs["layout"] = "rows-first"
        file["source"] = [f"clip\n{index}" for index in range(5)]
        file["frame"] = np.arange(5) * 7
    status, out, _ = run_cli("prepare", old, tmp_path / "new.h5")
    assert out.splitlines()[0].endswith("5 images, 20x24 gray")
    data, names, frames = load(tmp_path / "new.h5")
    assert np.array_equal(data, images)
    assert names[1] == "clip\\n1" and frames == [0, 7, 14, 21, 28]


def test_origins_in_another_file_are_not_followed(tmp_path, run_cli):
    other = tmp_path / "secret.h5"
    with h5py.File(other, "w") as file:
        file["source"] = ["secret"] * 5
    old = write_h5(tmp_path / "old.h5", make_faces(5, 24, 24))
    with h5py.File(old, "a") as file:
        file["source"] = h5py.ExternalLink(str(other), "/source")
    assert run_cli("prepare", old, tmp_path / "new.h5")[0] == 0
    assert load(tmp_path / "new.h5")[1] == ["old.h5"] * 5


def write_bad_inputs(folder):
    """Lays out what the table below refers to."""
    write_crops(folder / "crops", make_faces(2))
    write_crops(folder / "small", make_faces(2, 2, 3))
    write_h5(folder / "faces.h5", make_faces(3, 24, 24))
    (folder / "out.h5").write_bytes(b"precious")
    (folder / "notes.txt").write_text("no video")
    (folder / "bad.h5").write_bytes(b"not hdf5")
    for name in ("empty", "folder.h5"):
        (folder / name).mkdir()
    os.mkfifo(folder / "pipe")
    floats = make_faces(3, 24, 24).astype(np.float32)
    write_h5(folder / "floats.h5", floats / 100)


BAD_REQUESTS = [
    ("empty new.h5", "empty: no image found"),
    ("nowhere new.h5", "nowhere: no such file or directory, a folder of crops"),
    ("notes.txt new.h5", "notes.txt: "),
    ("pipe new.h5", "pipe: "),
    ("bad.h5 new.h5", "bad.h5: not an HDF5 file"),
    ("small new.h5", "--width, --height: images of 3x2 found, sides of 4 to 1024"),
    ("--width 2 crops new.h5", "--width: 2 found, 4 to 1024 expected"),
    ("--height 2000 crops new.h5", "--height: 2000 found, 4 to 1024 expected"),
    ("--every 0 crops new.h5", "--every: 0 found, 1 to 1000000 expected"),
    ("--every 2 crops new.h5", "--every: 2 found and no video among the inputs"),
    ("--hdf5-dataset-name x faces.h5 new.h5", "--hdf5-dataset-name: 'x' found"),
    ("floats.h5 new.h5", "floats.h5: dataset 'data': image 0 spans"),
    ("crops out.h5", "out.h5: already there; add to it with --append"),
    ("--append crops out.h5", "out.h5: not an HDF5 file"),
    ("--append --overwrite crops out.h5", "--append: --overwrite found as well"),
    ("crops folder.h5", "folder.h5: a folder found"),
    ("crops crops/new.h5", "crops/new.h5: inside the input crops"),
    ("faces.h5 faces.h5 --overwrite", "faces.h5: an input as well"),
    ("crops crops/frame_det_00_000001.bmp", ".bmp: found as output"),
    ("--append crops faces.h5", "--append: images of 20x24 found, 24x24 expected"),
    ("--append --width 9 crops faces.h5", "--width: 9 found, 24 expected"),
    ("crops notes.txt/new.h5", "notes.txt: a file found, a folder expected"),
]


@pytest.mark.parametrize("line, message", BAD_REQUESTS)
def test_bad_requests_are_refused(tmp_path, monkeypatch, run_cli, line, message):
    write_bad_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))}
    status, out, err = run_cli("prepare", *line.split())
    assert status == 2 and out == ""
    assert message in err and err.count("\n") == 1
    after = {path: path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))}
    assert before == after


def test_append_refuses_what_it_would_have_to_change(tmp_path, run_cli):
    crops = write_crops(tmp_path / "crops", make_faces(2))
    floats = write_h5(tmp_path / "floats.h5", make_faces(3) / 255)
    status, _, err = run_cli("prepare", "--append", crops, floats)
    assert status == 2 and "float64, width first found" in err
