"""Several files are one set: the same images, order, fingerprint and weights."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drawing import make_faces
from tests.files import files_below, load, write_h5, write_set
from vae.data import arrays, hdf5, shards
from vae.data.arrays import load_images
from vae.data.batches import cut_batches
from vae.data.hdf5 import ImageFile
from vae.data.shards import ImageSet, find_files, open_images
from vae.errors import RefusedError

FACES = make_faces(60, 16, 16)
UNEQUAL = [0, 7, 8, 31, 60]


def open_set(*paths):
    """Opens paths or patterns with the defaults."""
    return open_images(list(map(str, paths)), "data", "auto", (None, None))


def test_a_set_is_read_as_one_file(tmp_path):
    one = open_set(write_h5(tmp_path / "one.h5", FACES))
    many = open_set(write_set(tmp_path / "many", FACES, UNEQUAL))
    assert isinstance(one, ImageFile) and isinstance(many, ImageSet)
    for name in ("count", "width", "height", "channels"):
        assert getattr(many, name) == getattr(one, name)
    for start, stop in ((0, 60), (0, 1), (6, 9), (7, 8), (30, 60), (59, 60)):
        np.testing.assert_array_equal(many.read(start, stop), FACES[start:stop])


@given(st.sets(st.integers(1, 59), max_size=8), st.integers(0, 59), st.integers(1, 60))
def test_any_cut_reads_any_stretch(cuts, start, length):
    class Part:
        """A file whose images are their number."""

        width = height = 4
        channels, block_rows, notes, name = 3, 8, (), "a.h5"
        layout = hdf5.Layout(False)

        def __init__(self, first, stop):
            self.first, self.count = first, stop - first

        def read(self, start, stop):
            assert 0 <= start < stop <= self.count
            return np.arange(self.first + start, self.first + stop)

    bounds = [0, *sorted(cuts), 60]
    found = ImageSet([Part(a, b) for a, b in zip(bounds, bounds[1:], strict=False)])
    stop = min(60, start + length)
    assert found.read(start, stop).tolist() == list(range(start, stop))


def test_row_69_repacked_or_cut_the_fingerprint_stays(tmp_path):
    whole = open_set(write_h5(tmp_path / "one.h5", FACES, chunks=(5, 16, 16, 3)))
    cut = open_set(write_set(tmp_path / "cut", FACES, UNEQUAL))
    packed = open_set(
        write_set(tmp_path / "gz", FACES, [0, 20, 60], compression="gzip")
    )
    found = {images.fingerprint() for images in (whole, cut, packed)}
    assert len(found) == 1
    turned = open_set(*[tmp_path / "cut" / f"part_{n}.h5" for n in (2, 1, 3, 4)])
    assert turned.fingerprint() not in found


def test_a_streamed_set_has_the_order_of_one_file(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "HOLD_BYTES", 0)
    monkeypatch.setattr(hdf5, "TARGET_BLOCK_BYTES", 8 * 16 * 16 * 3)
    monkeypatch.setattr("vae.data.batches.POOL_BYTES", 20 * 16 * 16 * 3)
    one = open_set(write_h5(tmp_path / "one.h5", FACES))
    many = open_set(write_set(tmp_path / "many", FACES, UNEQUAL))
    orders = []
    for images in (one, many):
        rows = load_images(images, 0, 54, (16, 16))
        orders.append(np.concatenate(list(cut_batches(rows, 7, seed=3, epoch=1))))
    np.testing.assert_array_equal(*orders)


def test_patterns_are_in_natural_order_and_a_name_comes_first(tmp_path):
    for name in ("f_10.h5", "f_9.h5", "[a].h5", "a.h5"):
        (tmp_path / name).touch()
    found = find_files([str(tmp_path / "f_*.h5"), str(tmp_path / "[a].h5")])
    names = [path.rpartition("/")[2] for path in found]
    assert names == ["f_9.h5", "f_10.h5", "[a].h5"]


def test_what_is_no_set_is_refused(tmp_path, monkeypatch):
    pattern = write_set(tmp_path / "set", FACES, UNEQUAL)
    with pytest.raises(RefusedError, match=r"x\*\.h5: no file fits the pattern"):
        open_set(tmp_path / "x*.h5")
    with pytest.raises(RefusedError, match="part_2.h5: named twice"):
        open_set(pattern, tmp_path / "set" / "part_2.h5")
    other = write_h5(tmp_path / "other.h5", make_faces(5, 12, 12))
    with pytest.raises(
        RefusedError, match=r"other.h5: dataset 'data': 12x12.+16x16.+as in .+part_1.h5"
    ):
        open_set(pattern, other)
    lying = write_h5(tmp_path / "lying.h5", make_faces(5, 16, 12))
    upright = write_h5(tmp_path / "upright.h5", make_faces(5, 16, 12))
    with h5py.File(upright, "a") as file:
        file["data"].attrs["layout"] = "rows-first"
    with pytest.raises(RefusedError, match="16x12, 3 channels, width-first found"):
        open_set(upright, lying)
    monkeypatch.setattr(shards, "MOST_FILES", 3)
    with pytest.raises(RefusedError, match="4 files found, at most 3 expected"):
        open_set(pattern)


def test_prepare_writes_a_set_of_whole_chunks_and_reads_it_again(
    tmp_path, run_cli, monkeypatch
):
    monkeypatch.setattr("vae.data.writer.CHUNK_BYTES", 8 * 16 * 16 * 3)
    one = write_h5(tmp_path / "one.h5", FACES)
    command = ["prepare", "--shard-size", 10, one, tmp_path / "faces.h5"]
    status, out, _ = run_cli(*command)
    assert status == 0
    assert (
        out.splitlines()[0] == f"{tmp_path}/faces-*.h5: 60 images in 4 files, 16x16 RGB"
    )
    names = [f"faces-0000{n}-of-00004.h5" for n in range(4)]
    assert files_below(tmp_path) == [*names, "one.h5"]
    assert [len(load(tmp_path / name)[0]) for name in names] == [16, 16, 16, 12]
    assert load(tmp_path / names[1])[1:] == (["one.h5"] * 16, list(range(16, 32)))
    again = open_set(tmp_path / "faces-*.h5")
    np.testing.assert_array_equal(again.read(0, 60), FACES)
    assert again.fingerprint() == open_set(one).fingerprint()
    status, _, err = run_cli(*command)
    assert status == 2 and f"{names[0]}: already there" in err
    command[2] = 30
    assert run_cli(*command, "--overwrite")[0] == 0
    names = [f"faces-0000{n}-of-00002.h5" for n in range(2)]
    assert files_below(tmp_path) == [*names, "one.h5"]
    (tmp_path / names[1]).unlink()
    other = write_h5(tmp_path / "more.h5", FACES[:3])
    with pytest.raises(RefusedError, match=f"{names[1]}: missing, 1 of 2 files of the"):
        open_set(tmp_path / "faces-*.h5", other)


def test_a_part_of_a_set_alone_is_refused_where_a_pattern_found_it(tmp_path):
    write_h5(tmp_path / "f-00000-of-00002.h5", FACES)
    assert open_set(tmp_path / "f-00000-of-00002.h5").count == 60  # asked for by name
    with pytest.raises(RefusedError, match="f-00001-of-00002.h5: missing, 1 of 2"):
        open_set(tmp_path / "f-*.h5")


@pytest.mark.parametrize(
    "options, reason",
    [
        (["--shard-size", 0], "--shard-size: 0 found, at least 1 expected"),
        (["--shard-size", 5, "--append"], "--append: --shard-size found as well"),
    ],
)
def test_settings_that_make_no_set_are_refused(options, reason, tmp_path, run_cli):
    one = write_h5(tmp_path / "one.h5", FACES)
    status, _, err = run_cli("prepare", *options, one, tmp_path / "faces.h5")
    assert status == 2 and reason in err
    assert files_below(tmp_path) == ["one.h5"]


@pytest.mark.tensorflow
def test_a_set_trains_to_the_weights_of_one_file_and_they_may_be_swapped(
    tmp_path, run_cli, no_saved_model
):
    one = write_h5(tmp_path / "one.h5", FACES)
    many = write_set(tmp_path / "many", FACES, sorted({*range(0, 60, 3), 4, 59, 60}))
    options = ["--epochs", 2, "--batch-size", 16, "--latent-dim", 3]
    outputs = [tmp_path / name for name in "ab"]
    for data, output in zip((one, many), outputs, strict=True):
        assert run_cli("train", *options, data, output)[0] == 0
    first, second = ((output / "weights.h5").read_bytes() for output in outputs)
    assert first == second
    more = ["--resume", "--epochs", 3]
    for data, output in zip((many, one), outputs, strict=True):
        assert run_cli("train", *more, data, output)[0] == 0
    first, second = ((output / "weights.h5").read_bytes() for output in outputs)
    assert first == second
