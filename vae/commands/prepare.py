"""`prepare`: folders of crops, pictures, videos and HDF5 files into one data file."""

import argparse
import os
import stat

from vae.config import FALLBACK_SIDE, MAX_SIDE, MIN_SIDE, PrepareConfig
from vae.data.openface import choose_face, describe_faces
from vae.data.shards import find_shards
from vae.data.sources import (
    FACE_ADVICE,
    HDF5_EXTENSIONS,
    FileSource,
    PictureSource,
    is_hdf5,
    open_folder,
)
from vae.data.video import VideoSource
from vae.data.writer import reserve
from vae.errors import RefusedError
from vae.files import (
    explain,
    natural_key,
    printable,
    refuse_existing,
    refuse_overlap,
    shorten_name,
)
from vae.images.folders import EXTENSIONS
from vae.images.networks import is_installed
from vae.images.pixels import Target, show_size
from vae.preparation.pipeline import BAD_KINDS, Pipeline
from vae.terminal import tell


def run(args: argparse.Namespace) -> int:
    """Writes the file and says what is in it; returns 1 if something was unreadable.

    Raises:
        RefusedError: something in the request can't work.
        StoppedError: a signal came; what was there is as it was.
        VaeError: no image could be used, or the file can't be written.
    """
    config = PrepareConfig(**PrepareConfig.pick(vars(args)))
    for side in ("width", "height"):
        wanted = getattr(args, side)
        if wanted is not None and not MIN_SIDE <= wanted <= MAX_SIDE:
            raise RefusedError(
                f"--{side}: {wanted} found, {MIN_SIDE} to {MAX_SIDE} expected"
            )
    sheets = {
        kind: _name_sheet(args.output, kind)
        for kind, option in BAD_KINDS.items()
        if getattr(args, option)
    }
    _check_faces(args)
    _check_output(args, sheets)
    with reserve(args.output, args.append):
        _refuse_what_is_there(args, sheets)
        return _run(args, config, sheets)


def _run(args, config, sheets):
    """Opens everything, and writes the file that is held."""
    sources = _open_inputs(args.inputs, config, args.face)
    old = _open_old(args)
    pipeline = Pipeline(
        sources=sources,
        old=old,
        output=args.output,
        target=_decide_target(args, config, sources, old),
        compression=old.compression or "none" if old else config.compression,
        config=config,
        sheets=sheets,
        faces=args.faces,
        masked=args.mask,
        shard_size=args.shard_size,
    )
    return pipeline.run()


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


def _name_sheet(output, kind):
    """Returns OUTPUT.kind.png."""
    folder, name = os.path.split(output)
    stem = os.path.splitext(name)[0]
    return os.path.join(folder, shorten_name(stem, f".{kind}.png"))


def _check_output(args, sheets):
    name = printable(args.output)
    if args.append and args.overwrite:
        raise RefusedError("--append: --overwrite found as well, one of them expected")
    if os.path.isdir(args.output):
        raise RefusedError(f"{name}: a folder found, a file to write expected")
    if not args.output.lower().endswith(HDF5_EXTENSIONS):
        raise RefusedError(
            f"{name}: found as output, the name of an HDF5 file (.h5) expected as the"
            " last argument"
        )
    refuse_overlap([args.output, *sheets.values()], args.inputs)
    if args.shard_size is not None and args.append:
        raise RefusedError("--append: --shard-size found as well, one of them expected")
    if args.shard_size is not None and args.shard_size < 1:
        raise RefusedError(
            f"--shard-size: {args.shard_size} found, at least 1 expected"
        )
    refuse_existing(os.path.dirname(args.output) or ".", [], overwrite=False)


def _refuse_what_is_there(args, sheets):
    name = printable(args.output)
    if args.shard_size is not None:
        _refuse_shards(args)
    elif os.path.lexists(args.output) and not (args.append or args.overwrite):
        raise RefusedError(
            f"{name}: already there; add to it with --append, replace it with"
            " --overwrite, or name another file"
        )
    folder = os.path.dirname(args.output) or "."
    names = [os.path.basename(path) for path in sheets.values()]
    refuse_existing(folder, names, args.append or args.overwrite)


def _refuse_shards(args):
    """Refuses to replace a set of files, or to write one that is an input."""
    old = find_shards(args.output)
    refuse_overlap(old, args.inputs)
    if old and not args.overwrite:
        raise RefusedError(
            f"{printable(old[0])}: already there; replace the set with --overwrite, or"
            " name another file"
        )


def _open_inputs(paths, config, face):
    """Opens every input; pictures named one after another make one source."""
    sources, pictures = [], []
    for path in [*paths, None]:
        if path is not None and _is_picture(path):
            pictures.append(path)
            continue
        if pictures:
            sources.append(_open_pictures(sorted(pictures, key=natural_key), face))
            pictures = []
        if path is not None:
            sources.append(_open_input(path, config, face))
    if config.every > 1 and not any(isinstance(item, VideoSource) for item in sources):
        raise RefusedError(
            f"--every: {config.every} found and no video among the inputs; it thins"
            " videos only, leave it out"
        )
    if face is not None and not any(isinstance(x, PictureSource) for x in sources):
        raise RefusedError(
            f"--face: {face} found and no crops among the inputs, leave it out"
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


def _open_pictures(names, face):
    if face is not None:
        names = choose_face(names, face, "the command line", tell)
    if line := describe_faces("", names, FACE_ADVICE):
        tell(line)
    return PictureSource("", names)


def _open_input(path, config, face):
    if os.path.isdir(path):
        return open_folder(path, config.min_confidence, tell, face)
    if is_hdf5(path):
        source = FileSource(path, config.hdf5_dataset_name, config.layout)
        for note in source.layout_notes:
            tell(note)
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
    for side, actual in zip(("width", "height"), size, strict=True):
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
            f"--append: images of {show_size(other)} found, {show_size(size)} expected,"
            f" as in {printable(args.output)}; resize them with --width {size[0]}"
            f" --height {size[1]}"
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
        tell(
            f"--width, --height: images of {len(sizes)} sizes found,"
            f" {show_size(sizes[0])} to {show_size(sizes[-1])}; all are made"
            f" {FALLBACK_SIDE}x{FALLBACK_SIDE} (--fit {config.fit})"
        )
        return FALLBACK_SIDE, FALLBACK_SIDE
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in sizes[0]):
        raise RefusedError(
            f"--width, --height: images of {show_size(sizes[0])} found, sides of"
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
