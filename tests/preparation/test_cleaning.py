"""What `prepare` says of near duplicates, blurred images and outliers, and drops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from tests.files import files_below, load, write_crops
from vae.preparation import cleaning
from vae.preparation.cleaning import find_duplicates, find_outliers, measure_images


def make_textures(count, seed=0):
    """Draws noise over one smooth picture: sharp, alike, and no two the same."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:32, 0:32] / 32
    base = 128 + 60 * np.sin(4 * x + 3 * y)
    coarse = rng.normal(0, 12, (count, 8, 8)).repeat(4, 1).repeat(4, 2)
    images = base + coarse + rng.normal(0, 8, (count, 32, 32))
    return np.repeat(images.clip(0, 255).astype(np.uint8)[..., None], 3, axis=3)


def make_bad_set():
    """Returns 42 images: 40 is a near copy of 3, 41 is blurred, 20 is noise."""
    images = make_textures(42)
    images[40] = images[3] ^ 1
    blurred = Image.fromarray(images[41]).filter(ImageFilter.GaussianBlur(2))
    images[41] = np.asarray(blurred)
    images[20] = np.random.default_rng(1).integers(0, 2, (32, 32, 1)) * 255
    images[20, :16] = 0
    return images


def test_bad_images_are_reported_and_kept(tmp_path, run_cli):
    images = make_bad_set()
    folder = write_crops(tmp_path / "crops", images, "{}.png")
    output = tmp_path / "data.h5"
    status, out, _ = run_cli("prepare", folder, output)
    assert status == 0
    assert out.splitlines()[1:] == [
        "near duplicates: 1 kept (crops/41.png); drop them with --dedupe",
        "blurred: 1 kept (crops/42.png); drop them with --drop-blurred",
        "far from the average: 1 kept (crops/21.png); drop them with --drop-outliers",
    ]
    assert np.array_equal(load(output)[0], images)
    assert not list(tmp_path.glob("*.png"))


def test_bad_images_are_dropped_and_shown(tmp_path, run_cli):
    images = make_bad_set()
    folder = write_crops(tmp_path / "crops", images, "{}.png")
    output = tmp_path / "data.h5"
    options = ["--dedupe", "--drop-blurred", "--drop-outliers"]
    status, out, _ = run_cli("prepare", *options, folder, output)
    assert status == 0
    assert out.splitlines() == [
        f"{output}: 39 images, 32x32 RGB",
        f"near duplicates: 1 dropped, see {tmp_path}/data.duplicates.png",
        f"blurred: 1 dropped, see {tmp_path}/data.blurred.png",
        f"far from the average: 1 dropped, see {tmp_path}/data.outliers.png",
    ]
    data, names, _ = load(output)
    kept = [row for row in range(42) if row not in (20, 40, 41)]
    assert np.array_equal(data, images[kept])
    assert names == [f"crops/{row + 1}.png" for row in kept]
    pair = np.asarray(Image.open(tmp_path / "data.duplicates.png"))
    assert np.array_equal(pair, np.concatenate(images[[3, 40]]))
    sheet = np.asarray(Image.open(tmp_path / "data.blurred.png"))
    assert np.array_equal(sheet, images[41])
    assert not [name for name in files_below(tmp_path) if name.endswith(".part")]
    status, _, err = run_cli("prepare", "--dedupe", folder, tmp_path / "data.hdf5")
    assert status == 2 and "data.duplicates.png: already there" in err


def test_a_still_video_is_reduced_to_one_image(tmp_path, run_cli):
    images = np.repeat(make_textures(1), 130, axis=0)
    folder = write_crops(tmp_path / "crops", images)
    output = tmp_path / "data.h5"
    _, out, _ = run_cli("prepare", "--dedupe", folder, output)
    assert out.splitlines()[0].endswith(": 1 images, 32x32 RGB")
    assert "near duplicates: 129 dropped" in out
    with Image.open(tmp_path / "data.duplicates.png") as sheet:
        assert sheet.size == (10 * 34 - 2, 10 * 66 - 2)


def test_a_copy_of_an_image_that_goes_for_another_reason_stays(tmp_path, run_cli):
    images = make_bad_set()
    blurred = np.concatenate([images[[41]], images[:41], images[[41]]])
    folder = write_crops(tmp_path / "crops", blurred)
    output = tmp_path / "data.h5"
    _, out, _ = run_cli("prepare", "--dedupe", "--drop-blurred", folder, output)
    assert "near duplicates: 1 dropped" in out and "blurred: 2 dropped" in out


def find_slowly(thumbnails, distance, first, gone):
    """The same as `find_duplicates`, as one would say it."""
    kept, found = [], []
    for row, thumbnail in enumerate(thumbnails.astype(float)):
        differences = ((thumbnails[kept].astype(float) - thumbnail) ** 2).mean(axis=1)
        near = np.flatnonzero(differences <= distance**2)
        if gone[row]:
            continue
        if len(near) and row >= first:
            found.append((row, kept[near[0]]))
        else:
            kept.append(row)
    return found


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 8, 64]), st.integers(0, 50))
def test_duplicates_in_blocks_are_those_found_one_by_one(seed, block, first):
    rng = np.random.default_rng(seed)
    base = rng.integers(1, 255, (9, 256))
    thumbnails = base[rng.integers(0, 9, 60)]
    thumbnails = (thumbnails + rng.integers(-1, 2, (60, 256))).astype(np.uint8)
    gone = rng.random(60) < 0.2
    distance = rng.choice([0.0, 1.1, 1.15, 1.2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cleaning, "BLOCK", block)
        found = find_duplicates(thumbnails, distance, first, gone)
    assert found == find_slowly(thumbnails, distance, first, gone)


@pytest.mark.parametrize("shape", [(16, 16, 3), (7, 5, 3), (33, 40, 1), (4, 4, 1)])
def test_thumbnails_average_and_sharpness_grows_with_detail(shape):
    flat = np.full((2, *shape), 77, np.uint8)
    thumbnails, sharpness = measure_images(flat)
    assert thumbnails.shape == (2, 256) and (thumbnails == 77).all()
    assert (sharpness == 0).all()
    noisy = np.random.default_rng(0).integers(0, 256, (1, *shape), np.uint8)
    assert measure_images(noisy)[1][0] > 0
    assert measure_images(flat[:0])[0].shape == (0, 256)


def test_few_or_equal_images_have_no_outliers():
    few = np.array([[0] * 256] * 3 + [[255] * 256], np.uint8)
    assert find_outliers(few, 8.0) == []
    assert find_outliers(np.repeat(few[:1], 50, axis=0), 8.0) == []
    many = np.concatenate([np.repeat(few[:1], 50, axis=0), few[3:]])
    assert find_outliers(many, 8.0) == [50]
