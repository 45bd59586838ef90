"""`evaluate`: how good a model is on images, or which of two models is better."""

import argparse
import glob
import os
import re

from vae.checkpoint.model_files import (
    ModelFiles,
    open_model,
    read_metadata,
    read_model_files,
)
from vae.checkpoint.storage import write_json
from vae.config import EvaluateConfig, ReconstructConfig, TrainConfig, option_name
from vae.data.hdf5 import count_held_out
from vae.data.sources import PictureSource, list_crops, open_files
from vae.errors import RefusedError
from vae.evaluation.projector import CONFIG, METADATA, SPRITE, name_codes
from vae.evaluation.report import format_transfer
from vae.evaluation.transfer import judge_transfer
from vae.files import printable, refuse_existing, refuse_output, refuse_overlap
from vae.images.networks import is_installed
from vae.images.pixels import Target, show_channels, show_size
from vae.reconstruction.footage import Footage, read_crops
from vae.strangers.alignment import LoadedActor
from vae.terminal import list_failures, progress_bar, quiet_tensorflow, tell

MAX_MODELS = 2


def run(args: argparse.Namespace) -> int:
    """Measures, prints, writes what was asked for; returns 1 if images failed.

    Raises:
        RefusedError: something in the request can't work.
        VaeError: no image could be read, or a file can't be written.
    """
    config = EvaluateConfig(**EvaluateConfig.pick(vars(args)))
    if args.stranger is not None:
        return _run_on_stranger(args)
    if args.data is None:
        raise RefusedError(
            "IMAGES: none found after the model, an HDF5 file or a folder of crops"
            " expected, or a stranger's crops with --stranger"
        )
    if len(args.models) > MAX_MODELS:
        raise RefusedError(
            f"{printable(args.models[MAX_MODELS])}: {len(args.models)} models found,"
            " one or two expected, then the images"
        )
    found = [read_metadata(folder) for folder in args.models]
    models = [model for _, model in found]
    _check_alike(args.models, models)
    inputs = [*args.models, args.data, *filter(None, [args.actor])]
    refuse_output("--json", args.json, ".json", inputs, args.overwrite)
    refuse_output("--sheet", args.sheet, ".png", inputs, args.overwrite)
    if args.projector is not None:
        names = [CONFIG, SPRITE, METADATA, *name_codes(len(models))]
        refuse_overlap([os.path.join(args.projector, CONFIG)], inputs)
        refuse_existing(args.projector, names, args.overwrite)
    first = models[0]
    target = Target(first.width, first.height, first.channels, "stretch")
    source = _open(args.data, config, first)
    _check_size(args.data, source, target, found[0][0])
    actor, count = None, 0
    if args.actor is not None:
        actor, count = _open_actor(args.actor, args.models, found)
    # A folder's images can't be told from others.
    own = None if isinstance(source, PictureSource) else source.fingerprint()
    files = []
    for folder, (metadata, model) in zip(args.models, found, strict=True):
        contents = read_model_files(folder, metadata)
        files.append(ModelFiles(folder, model, contents))
        if own and own == _trained_on(metadata).get("fingerprint"):
            _tell_of_training(args.data, folder)
    with quiet_tensorflow():
        from vae.evaluation.session import Session
    session = Session(
        models=files,
        data=args.data,
        source=source,
        target=target,
        actor=actor,
        actor_count=count,
        json=args.json,
        sheet=args.sheet,
        projector=args.projector,
        config=config,
    )
    return session.run()


def _run_on_stranger(args):
    """Measures how well a stranger's expressions come across; returns as `run`."""
    _check_stranger(args)
    [folder], path = args.models, args.stranger
    refuse_output("--json", args.json, ".json", [folder, path], args.overwrite)
    files = open_model(folder, {}, tell)
    config = ReconstructConfig()
    footage = Footage(path, config.fps, files.config, tell)
    actor = LoadedActor(files)
    with progress_bar(footage.count, "read") as bar:
        crops = read_crops(footage, files.config, False, False, bar.update)
    failures = crops.printable_failures() + footage.failures
    if len(crops.images):
        aligned = actor.align(crops.images, config)
        for line in aligned.lines:
            tell(line)
        found = judge_transfer(actor, crops.images, aligned, footage.title)
        print(f"{footage.title}: {found['crops']} crops, as {printable(folder)}")
        print("\n".join(format_transfer(found)))
        if args.json is not None:
            models = [{"model": printable(folder), **found}]
            write_json(args.json, {"stranger": footage.title, "models": models})
    for place, line in crops.notes:
        tell(f"{printable(crops.names[place])}: {line}")
    list_failures(failures, len(crops.names))
    return 1 if failures else 0


def _check_stranger(args):
    """Refuses what is of no use to a stranger's crops, and a missing extra."""
    unused = [printable(path) for path in [*args.models[1:], args.data] if path]
    options = [*EvaluateConfig.pick(vars(args)), "actor", "sheet", "projector"]
    unused += [option_name(name) for name in options if getattr(args, name) is not None]
    if unused:
        raise RefusedError(
            f"{unused[0]}: found with --stranger, which one model alone, --json and"
            " --overwrite go with; leave it out"
        )
    if not is_installed():
        raise RefusedError(
            "--stranger: the networks that read faces are missing: pip install"
            " 'vae-faces[faces]'"
        )


def _check_alike(folders, models):
    shown = [
        f"{show_size((model.width, model.height))}, {show_channels(model.channels)}"
        for model in models
    ]
    if len(set(shown)) > 1:
        raise RefusedError(
            f"{printable(folders[1])}: a model of {shown[1]} found, {shown[0]}"
            f" expected, as in {printable(folders[0])}; only models of one size can be"
            " compared"
        )


def _open(path, config, model):
    if os.path.isdir(path):
        return PictureSource(path, list_crops(path, tell))
    if not (os.path.lexists(path) or glob.has_magic(path)):
        raise RefusedError(
            f"{printable(path)}: no such file or directory, an HDF5 file or a folder of"
            " crops expected"
        )
    size = model.width, model.height
    source = open_files(path, config.hdf5_dataset_name, config.layout, size)
    for note in source.layout_notes:
        tell(note)
    if source.channels != model.channels:
        raise RefusedError(
            f"{printable(path)}: {show_channels(source.channels)} found,"
            f" {model.channels} expected, as in the model"
        )
    return source


def _check_size(path, source, target, metadata):
    """Refuses images of several sizes, or of a shape that would have to be bent."""
    name, sizes = printable(path), sorted(source.sizes())
    if not sizes:
        raise RefusedError(
            f"{name}: no image that can be read, PNG, JPEG, BMP, WebP or TIFF expected"
        )
    if len(sizes) > 1:
        raise RefusedError(
            f"{name}: images of {len(sizes)} sizes found, {show_size(sizes[0])} to"
            f" {show_size(sizes[-1])}, one expected; make them one with prepare"
        )
    [(width, height)] = sizes
    wanted = target.width, target.height
    if (width, height) == wanted:
        return
    trained = _trained_on(metadata)
    shapes = [wanted, (trained.get("width"), trained.get("height"))]
    if not any(_same_shape((width, height), shape) for shape in shapes):
        raise RefusedError(
            f"{name}: images of {show_size(sizes[0])} found, {show_size(wanted)} or"
            " that shape expected, as in the model"
        )
    tell(
        f"{name}: images of {show_size(sizes[0])} are made {show_size(wanted)}, the"
        " model's size, and measured there"
    )


def _same_shape(size, other):
    """Whether one size is the other, but for the rounding of a side."""
    if not all(isinstance(side, int) and side > 0 for side in other):
        return False
    return abs(size[0] * other[1] - size[1] * other[0]) <= max(*size, *other) / 2


def _tell_of_training(path, folder):
    tell(
        f"{printable(path)}: the images that {printable(folder)} was trained on;"
        " what is measured flatters it, so take others to judge it by"
    )


def _open_actor(path, folders, found):
    """Returns the training files as a source, and the number of images trained on."""
    opened = {}
    for folder, (metadata, _) in zip(folders, found, strict=True):
        try:
            config = TrainConfig.from_dict(metadata.get("train"))
        except RefusedError as error:
            name = printable(os.path.join(folder, "metadata.json"))
            raise RefusedError(f"{name}: {error}") from None
        trained = _trained_on(metadata)
        if re.fullmatch("[0-9a-f]{64}", str(trained.get("fingerprint"))):
            raise RefusedError(
                f"--actor: {printable(folder)} is a model of another version, which"
                " does not tell its images; train it again, or leave --actor out"
            )
        how = config.hdf5_dataset_name, config.layout
        if how not in opened:
            actor = open_files(path, *how)
            opened[how] = actor, actor.fingerprint()
        actor, fingerprint = opened[how]
        if fingerprint != trained.get("fingerprint"):
            raise RefusedError(
                f"--actor: {printable(path)} holds other images than the model in"
                f" {printable(folder)} was trained on, that file expected"
            )
        share = 0.0 if trained.get("validation") else config.validation_split
    return actor, actor.count - count_held_out(actor.count, share)


def _trained_on(metadata):
    source = metadata.get("source")
    return source if isinstance(source, dict) else {}
