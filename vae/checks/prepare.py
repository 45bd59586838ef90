"""Checks a request for a data file: inputs, output, and the size of its images."""
import os
import stat
import sys
from dataclasses import dataclass

import h5py

from vae.checks.pictures import check_outputs
from vae.config import FALLBACK_SIDE, MAX_SIDE, PrepareConfig
from vae.data.sources import FileSource, PictureSource, open_folder
from vae.data.video import VideoSource
from vae.errors import RefusedError
from vae.files import explain, natural_key, printable
from vae.images.pixels import Target
from vae.images.sheets import EXTENSIONS
from vae.preparation.detector import is_installed

MIN_SIDE = 4  # pixels; of what train reads
HDF5_EXTENSIONS = (".h5", ".hdf5")
BAD_KINDS = {  # kind -> the option that drops it
    "duplicates": "dedupe",
    "blurred": "drop_blurred",
    "outliers": "drop_outliers",
}


@dataclass(frozen=True)
class PrepareRequest:
    """What `prepare` was asked for, checked.

    Attributes:
        sources: where images come from, in order; first what is in the file already.
        old: number of images in the file already.
        output: the file. target: its images. compression: of its chunks.
        config: thresholds and the like.
        sheets: kinds of bad images to drop -> picture to show them in.
        faces: whether to cut faces out; masked: whether to blacken what is round them.
    """

    sources: list
    old: int
    output: str
    target: Target
    compression: str
    config: PrepareConfig
    sheets: dict
    faces: bool
    masked: bool


def check(args):
    """Returns a `PrepareRequest`; raises `RefusedError` for what can't work."""
    config = PrepareConfig(**PrepareConfig.pick(vars(args)))
    for side in ("width", "height"):
        wanted = getattr(args, side)
        if wanted is not None and not MIN_SIDE <= wanted <= MAX_SIDE:
            raise RefusedError(
                f"--{side}: {wanted} found, {MIN_SIDE} to {MAX_SIDE} expected"
            )
    sheets = {
        kind: f"{os.path.splitext(args.output)[0]}.{kind}.png"
        for kind, option in BAD_KINDS.items()
        if getattr(args, option)
    }
    _check_faces(args)
    _check_output(args, sheets)
    sources = _open_inputs(args.inputs, config)
    old = _open_old(args)
    target = _decide_target(args, config, sources, old)
    compression = old.compression or "none" if old else config.compression
    if old:
        sources.insert(0, old)
    return PrepareRequest(
        sources,
        old.count if old else 0,
        args.output,
        target,
        compression,
        config,
        sheets,
        args.faces,
        args.mask,
    )


def _check_faces(args):
    if args.mask and not args.faces:
        raise RefusedError(
            "--mask: found without --faces; it follows the outline that --faces finds,"
            " add that or leave it out"
        )
    if args.faces and not is_installed():
        raise RefusedError(
            "--faces: the networks that find faces are missing: pip install"
            " 'vae-faces[faces]'"
        )


def _check_output(args, sheets):
    name = printable(args.output)
    if args.append and args.overwrite:
        raise RefusedError("--append: --overwrite found as well, one of them expected")
    if os.path.isdir(args.output):
        raise RefusedError(f"{name}: a folder found, a file to write expected")
    if not args.output.endswith(HDF5_EXTENSIONS):
        raise RefusedError(
            f"{name}: found as output, the name of an HDF5 file (.h5) expected as the"
            " last argument"
        )
    for path in args.inputs:
        _check_apart(path, args.output)
    if os.path.lexists(args.output) and not (args.append or args.overwrite):
        raise RefusedError(
            f"{name}: already there; add to it with --append, replace it with"
            " --overwrite, or name another file"
        )
    folder = os.path.dirname(args.output) or "."
    names = [os.path.basename(path) for path in sheets.values()]
    check_outputs(folder, names, args.append or args.overwrite)


def _check_apart(path, output):
    inside, outside = os.path.realpath(path), os.path.realpath(output)
    if outside == inside:
        raise RefusedError(
            f"{printable(output)}: an input as well, another file to write expected"
        )
    if os.path.isdir(path) and outside.startswith(os.path.join(inside, "")):
        raise RefusedError(
            f"{printable(output)}: inside the input {printable(path)}, another folder"
            " expected, so that nothing that is written is read as a crop"
        )


def _open_inputs(paths, config):
    """Opens every input; pictures named one after another make one source."""
    sources, pictures = [], []
    for path in [*paths, None]:
        if path is not None and _is_picture(path):
            pictures.append(path)
            continue
        if pictures:
            sources.append(PictureSource("", sorted(pictures, key=natural_key)))
            pictures = []
        if path is not None:
            sources.append(_open_input(path, config))
    if config.every > 1 and not any(isinstance(item, VideoSource) for item in sources):
        raise RefusedError(
            f"--every: {config.every} found and no video among the inputs; it thins"
            " videos only, leave it out"
        )
    return sources


def _is_picture(path):
    """Whether it is a regular file that is called like an image."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise RefusedError(
            f"{printable(path)}: {explain(error)}, a folder of crops, an image, a video"
            " or an HDF5 file expected"
        ) from None
    return stat.S_ISREG(mode) and path.lower().endswith(EXTENSIONS)


def _open_input(path, config):
    if os.path.isdir(path):
        return open_folder(path, config.min_confidence)
    regular = os.path.isfile(path)
    if path.endswith(HDF5_EXTENSIONS) or (regular and h5py.is_hdf5(path)):
        source = FileSource(path, config.hdf5_dataset_name, config.layout)
        if source.note:
            print(source.note, file=sys.stderr)
        return source
    return VideoSource(path, config.every)


def _open_old(args):
    """Returns what is in the output already as a source, or None."""
    if not args.append or not os.path.lexists(args.output):
        return None
    old = FileSource(args.output, "data", "auto")
    if old.width_first or old.dtype != "uint8":
        found = f"{old.dtype}, {'width' if old.width_first else 'rows'} first"
        raise RefusedError(
            f"--append: {found} found in {printable(args.output)}, uint8, rows first"
            " expected; repack it first: prepare old.h5 new.h5"
        )
    return old


def _decide_target(args, config, sources, old):
    given = args.width, args.height
    if old:
        channels = old.channels
        width, height = _size_to_append(args, sources, old)
    else:
        channels = max(source.channels for source in sources)
        width, height = given if None not in given else _own_size(args, config, sources)
    return Target(width, height, channels, config.fit)


def _size_to_append(args, sources, old):
    """The size in the file; images of others are refused unless it is asked for."""
    [size] = old.sizes()
    for side, actual in zip(("width", "height"), size):
        wanted = getattr(args, side)
        if wanted not in (None, actual):
            raise RefusedError(
                f"--{side}: {wanted} found, {actual} expected: the images in"
                f" {printable(args.output)} have it"
            )
    sizes = set().union(*[source.sizes() for source in sources])
    if None in (args.width, args.height) and sizes - {size} and not args.faces:
        other = sorted(sizes - {size})[0]
        raise RefusedError(
            f"--append: images of {_shown(other)} found, {_shown(size)} expected, as in"
            f" {printable(args.output)}; resize them with --width {size[0]} --height"
            f" {size[1]}"
        )
    return size


def _own_size(args, config, sources):
    """The size the images have, if it is one, with the sides that were asked for."""
    if args.faces:
        side = args.width or args.height or FALLBACK_SIDE
        return args.width or side, args.height or side
    sizes = sorted(set().union(*[source.sizes() for source in sources]))
    if not sizes:
        raise RefusedError(
            f"{printable(args.inputs[0])}: no image that can be read, PNG, JPEG, BMP,"
            " WebP or TIFF expected"
        )
    if args.width or args.height:
        return _complete(args.width, args.height, sizes)
    if len(sizes) > 1:
        print(
            f"--width, --height: images of {len(sizes)} sizes found,"
            f" {_shown(sizes[0])} to {_shown(sizes[-1])}; all are made"
            f" {FALLBACK_SIDE}x{FALLBACK_SIDE} (--fit {config.fit})",
            file=sys.stderr,
        )
        return FALLBACK_SIDE, FALLBACK_SIDE
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in sizes[0]):
        raise RefusedError(
            f"--width, --height: images of {_shown(sizes[0])} found, sides of"
            f" {MIN_SIDE} to {MAX_SIDE} expected; say what size they should get"
        )
    return sizes[0]


def _complete(width, height, sizes):
    """Finds the side that was not given: of the images' shape, else as the other."""
    own_width, own_height = sizes[0] if len(sizes) == 1 else (1, 1)
    if width:
        side = round(width * own_height / own_width)
        return width, min(max(side, MIN_SIDE), MAX_SIDE)
    side = round(height * own_width / own_height)
    return min(max(side, MIN_SIDE), MAX_SIDE), height


def _shown(size):
    return f"{size[0]}x{size[1]}"
