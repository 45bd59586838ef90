"""Draw a cartoon person's performance as training data: an HDF5 file for an
actor, a folder of crops for a stranger. `python examples/draw.py -h` says how."""

import argparse
import os
import shutil
import sys
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import h5py
from PIL import Image
from tqdm import tqdm

# Run as a script, Python looks for modules beside this file and not above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples.faces import render  # noqa: E402
from examples.people import make_identity  # noqa: E402
from examples.performance import PARAMETERS, perform  # noqa: E402

CHUNK_BYTES = 2**20  # of an HDF5 chunk, which is drawn and written as one block
QUIET_SECONDS = 2  # of work before a progress bar is shown


def main(arguments=None):
    """Run the command line and return its exit status."""
    parser = _build_parser()
    options = parser.parse_args(arguments)
    if options.output is None and options.folder is None:
        parser.error("expected OUT.h5, --folder or both")
    if options.folder and options.folder.exists():
        parser.error(f"--folder: {options.folder} exists; expected a new folder")
    for path in filter(None, (options.output, options.folder)):
        if not path.absolute().parent.is_dir():
            parser.error(f"{path}: there is no folder {path.parent}")
    parameters = perform(options.seed, options.frames)
    size = options.width, options.height
    if options.output:
        write_file(options.output, options.identity, options.seed, parameters, *size)
        print(options.output)
    if options.folder:
        write_folder(options.folder, options.identity, parameters, *size)
        print(options.folder)
    return 0


def write_file(path, identity, seed, parameters, width, height):
    """Write an identity's faces for `parameters` (N, P) to an HDF5 file: `data`
    (N, H, W, 3) uint8 rows first, and `parameters`, whose attribute `names` says
    what they are. The file appears when it is complete, in place of an older one.
    """
    count, block = len(parameters), _count_block(width, height)
    aside = _name_aside(path)
    try:
        with h5py.File(aside, "w") as file:
            file.attrs.update(identity=identity, seed=seed)
            file["parameters"] = parameters
            file["parameters"].attrs["names"] = list(PARAMETERS)
            shape, chunk = (count, height, width, 3), min(block, count)
            data = file.create_dataset(
                "data", shape, "u1", chunks=(chunk, *shape[1:]), compression=1
            )
            for start, faces in _draw_blocks(identity, parameters, width, height):
                data[start : start + len(faces)] = faces
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_folder(path, identity, parameters, width, height):
    """Write an identity's faces for `parameters` (N, P) to a new folder, as
    frame_000001.png and so on. The folder appears when it is complete."""
    aside = _name_aside(path)
    aside.mkdir()
    try:
        for start, faces in _draw_blocks(identity, parameters, width, height):
            for number, face in enumerate(faces, start + 1):
                Image.fromarray(face).save(aside / f"frame_{number:06d}.png")
        aside.rename(path)
    except BaseException:
        shutil.rmtree(aside)
        raise


def _draw_blocks(identity, parameters, width, height):
    """Yield (first frame, faces) for each block of frames, drawn on all cores."""
    size = _count_block(width, height)
    starts = range(0, len(parameters), size)
    blocks = (parameters[start : start + size] for start in starts)
    draw = partial(render, make_identity(identity), width=width, height=height)
    bar = tqdm(total=len(parameters), unit="face", delay=QUIET_SECONDS)
    with bar, Pool(min(os.cpu_count(), len(starts))) as pool:
        for start, faces in zip(starts, pool.imap(draw, blocks), strict=True):
            yield start, faces
            bar.update(len(faces))


def _count_block(width, height):
    return max(1, CHUNK_BYTES // (width * height * 3))


def _name_aside(path):
    return path.with_name(f".{path.name}.{os.getpid()}")


def _build_parser():
    parser = argparse.ArgumentParser(
        description="Draw a cartoon person making faces.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    output = parser.add_argument("output", metavar="OUT.h5", nargs="?", type=Path)
    output.help = "HDF5 file to write"
    parser.add_argument("--folder", type=Path, help="new folder of PNG files to write")
    whole, positive = partial(_parse_integer, 0), partial(_parse_integer, 1)
    for name, parse, default, text in (
        ("identity", whole, 0, "number of the person"),
        ("seed", whole, 0, "number of the performance"),
        ("frames", positive, 1500, "faces to draw"),
        ("width", positive, 64, "pixels across"),
        ("height", positive, 64, "pixels down"),
    ):
        parser.add_argument(f"--{name}", type=parse, default=default, help=text)
    return parser


def _parse_integer(least, text):
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"{text!r}: expected an integer >= {least}")
    return value


if __name__ == "__main__":
    sys.exit(main())
