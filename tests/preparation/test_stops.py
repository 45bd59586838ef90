"""`prepare` stopped, killed or out of space; what it loads, and how much memory."""

import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.drawing import make_faces
from tests.files import ROOT, files_below, write_crops
from vae.images.sheets import write_png


def start(arguments, limit=None, code=""):
    """Starts the tool in a process of its own."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}\n"
    program += "from vae.cli import main; sys.exit(main(sys.argv[1:]))"
    limits = resource.RLIMIT_FSIZE, (limit, limit)
    bound = (lambda: resource.setrlimit(*limits)) if limit else None
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=bound,
    )


SLOW = """
import time
import vae.data.sources
load = vae.data.sources.PictureSource.load
def slow(*arguments):
    time.sleep(0.2)
    return load(*arguments)
vae.data.sources.PictureSource.load = slow
"""


@pytest.mark.parametrize("old", [None, b"precious"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_leaves_what_was_there(tmp_path, run_cli, number, old):
    crops = write_crops(tmp_path / "crops", make_faces(600, 8, 8))
    folder = tmp_path / "output"
    folder.mkdir()
    output = folder / "data.h5"
    if old:
        output.write_bytes(old)
    process = start(["prepare", "--overwrite", crops, output], code=SLOW)
    deadline = time.monotonic() + 60
    while len(list(folder.glob(".data.h5.*.part"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    expected = -number if number == signal.SIGKILL else 128 + number
    assert process.returncode == expected
    assert "Traceback" not in err
    assert (output.read_bytes() if old else output.exists()) == (old or False)
    if number != signal.SIGKILL:
        assert files_below(folder) == (["data.h5"] if old else [])
    assert run_cli("prepare", "--overwrite", crops, output)[0] == 0
    assert files_below(folder) == ["data.h5"]


def test_a_killed_append_keeps_the_old_file(tmp_path, run_cli):
    crops = write_crops(tmp_path / "crops", make_faces(300, 8, 8))
    output = tmp_path / "data.h5"
    assert run_cli("prepare", crops, output)[0] == 0
    before = output.read_bytes()
    process = start(["prepare", "--append", crops, output], code=SLOW)
    deadline = time.monotonic() + 60
    parts = ".data.h5.*.part"  # the one that holds the place, and the new file
    while len(list(tmp_path.glob(parts))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    process.kill()
    process.communicate(timeout=60)
    assert output.read_bytes() == before


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (90, 112, 112, 3), np.uint8)
    crops = write_crops(tmp_path / "crops", images)
    folder = tmp_path / "output"
    folder.mkdir()
    (folder / "data.h5").write_bytes(b"precious")
    arguments = ["prepare", "--overwrite", crops, folder / "data.h5"]
    process = start(arguments, limit=1_500_000)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert err.splitlines()[-1].endswith("data.h5: can't be written (file too large)")
    assert "Traceback" not in err
    assert files_below(folder) == ["data.h5"]
    assert (folder / "data.h5").read_bytes() == b"precious"


def test_tensorflow_is_not_loaded(tmp_path):
    crops = write_crops(tmp_path / "crops", make_faces(2))
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from vae.cli import main; assert main(sys.argv[1:]) == 0\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    arguments = ["prepare", str(crops), str(tmp_path / "data.h5")]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)


def test_memory_does_not_grow_with_the_number_of_files(tmp_path):
    crops = tmp_path / "crops"
    crops.mkdir()
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    write_png(str(crops / "0.png"), image)
    for number in range(1, 2400):
        os.link(crops / "0.png", crops / f"{number}.png")
    few = tmp_path / "few"
    few.mkdir()
    for number in range(240):
        os.link(crops / "0.png", few / f"{number}.png")
    peaks = []
    for folder in (few, crops):
        program = (
            f"import sys, resource; sys.path.insert(0, {str(ROOT)!r})\n"
            "from vae.cli import main; assert main(sys.argv[1:]) == 0\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        arguments = ["prepare", str(folder), str(tmp_path / f"{folder.name}.h5")]
        result = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            check=True,
            capture_output=True,
            text=True,
        )
        peaks.append(int(result.stdout.split()[-1]) / 1024)
    assert peaks[1] - peaks[0] < 16, peaks  # MB; the images are 81 MB more
