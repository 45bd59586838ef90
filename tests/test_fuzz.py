"""A short run of each fuzzer, and the damage that once was more than a refusal."""

import subprocess
import sys

import h5py
import pytest

from benchmarks.faults.fuzz import make_case
from benchmarks.faults.fuzzing.targets import TARGETS
from tests.files import ROOT
from vae.data import preflight
from vae.data.preflight import try_images
from vae.errors import RefusedError, VaeError

FUZZ = [sys.executable, str(ROOT / "benchmarks" / "faults" / "fuzz.py"), "--seed", "7"]


CASES = {"hdf5": 120, "images": 400, "json": 400, "openface": 400}


@pytest.mark.parametrize("name, cases", CASES.items())
def test_row_19_row_24_row_36_row_50_row_79_damage_is_refused_or_read(name, cases):
    targets = ["metadata", "manifest"] if name == "json" else [name]
    options = [word for target in targets for word in ("--target", target)]
    command = [*FUZZ, "--cases", str(cases), *options]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    rows = [line.split("|") for line in found.stdout.splitlines()[2:]]
    assert len(rows) == len(targets)
    assert all(int(row[3]) > 0 for row in rows), "no seed is read any more"


def test_row_91_damaged_videos_are_refused_or_read():
    pytest.importorskip("av")
    command = [*FUZZ, "--cases", "120", "--target", "videos"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr


CRASHES = (5330, 35265)  # cases that crash HDF5 1.14.6; others may read them


# These crashed it only after the child, which reads the first and last image, was done.
PAST_THE_CHILD = (7263, 9081, 15585, 25424, 33200, 37276, 43376)


@pytest.mark.parametrize("number", PAST_THE_CHILD)
def test_row_19_a_chunk_of_a_size_that_cannot_be_is_told(number, tmp_path):
    target = TARGETS["hdf5"](tmp_path)
    path = tmp_path / "in.h5"
    path.write_bytes(make_case(target, "hdf5", 0, number))
    with pytest.raises(
        VaeError, match=r"the chunk of image \d+ is damaged \(\d+ bytes"
    ):
        preflight.check(path, "data")


@pytest.mark.child
@pytest.mark.skipif(h5py.version.hdf5_version != "1.14.6", reason="another HDF5")
@pytest.mark.parametrize("number", CRASHES)
def test_row_24_damage_that_crashes_the_library_is_refused(number, tmp_path):
    target = TARGETS["hdf5"](tmp_path)
    path = tmp_path / "in.h5"
    path.write_bytes(make_case(target, "hdf5", 0, number))
    with pytest.raises(RefusedError) as caught:
        try_images(path, "data", ("source", "frame"))
    assert str(caught.value).startswith(
        f"{path}: the HDF5 library crashes on it, a dam"
    )
