"""`train`: a model directory from a file of face crops, safe to stop at any moment.

Options, output and data file are checked completely before TensorFlow starts; the model
directory is locked first, and given back as it was if the request is refused.
"""

import argparse
import os
import tempfile
import time
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version

from vae import __version__
from vae.checkpoint.directory import (
    clear,
    describe_output,
    find_checkpoint,
    locked,
    sweep,
)
from vae.config import (
    CHANGEABLE_ON_RESUME,
    MAX_SIDE,
    MIN_SIDE,
    ModelConfig,
    TrainConfig,
    option_name,
)
from vae.data.arrays import load_images, spread_images
from vae.data.hdf5 import count_held_out
from vae.data.shards import find_files, open_images, show_files
from vae.errors import RefusedError
from vae.files import find_writable_folder, printable
from vae.images.pixels import show_channels
from vae.parallel import cut_evenly
from vae.terminal import quiet_tensorflow, tell, watch
from vae.training.cluster import READY_SECONDS, meet, read_cluster
from vae.training.progress import Arithmetic, Progress, read_state


def run(args: argparse.Namespace) -> int:
    """Trains, or goes on training; returns the exit status.

    Raises:
        RefusedError: something in the request can't work.
        StoppedError: a signal came; the state is saved.
        VaeError: the data file is damaged, the loss is not finite, or something can't
            be written.
    """
    distribute = args.distribute or "auto"
    cluster = _find_cluster(distribute)
    if cluster and not cluster.is_chief:
        return _follow(args, cluster)
    _check_output(args, warn=lambda line: None)
    if args.overwrite:
        _keep_inputs(args)
    with locked(args.output):
        checkpoint, state = _check_output(args, warn=tell)
        with _gather(args, cluster) as others:
            wanted = _open_data(args, checkpoint, state)
            _check_sharing(wanted, cluster)
            _tell(others, wanted, state)
        with quiet_tensorflow():
            from vae.training.session import Session
        how = {"tensorboard": args.tensorboard, "distribute": distribute}
        session = Session(args.output, **wanted, **how, cluster=cluster)
        if state is None:
            clear(args.output)
        sweep(args.output)
        session.run(checkpoint, state)
    return 0


def _find_cluster(distribute):
    """Returns the cluster that TF_CONFIG names, if it is to be used."""
    if distribute in ("none", "mirrored"):
        return None
    cluster = read_cluster(os.environ.get("TF_CONFIG"))
    if distribute == "multi-worker" and cluster is None:
        raise RefusedError(
            "--distribute: multi-worker found and no TF_CONFIG that names two workers"
            " or more, see docs/distributed.md"
        )
    return cluster


def _gather(args, cluster):
    """Waits for all workers; returns a context with the lines to them, if any."""
    if cluster is None:
        return nullcontext([])
    given = TrainConfig.pick(vars(args)) | ModelConfig.pick(vars(args))
    sizes = {"input_width": args.input_width, "input_height": args.input_height}
    versions = {name: version(name) for name in ("tensorflow", "keras", "numpy")}
    alike = {option_name(name): value for name, value in given.items()}
    alike |= {option_name(name): value for name, value in sizes.items() if value}
    alike["--validation"] = bool(args.validation)
    return meet(cluster, {"version": __version__} | versions | {"options": alike})


def _check_sharing(wanted, cluster):
    """Refuses what workers can't share: small batches, and a plan by the clock."""
    if cluster is None:
        return
    if wanted["config"].minutes:
        raise RefusedError(
            f"--minutes: {wanted['config'].minutes:g} found with several workers, whose"
            " clocks differ; --epochs expected"
        )
    workers, config = len(cluster.addresses), wanted["config"]
    smallest = min(
        batch.stop - batch.start
        for batch in cut_evenly(len(wanted["images"]), config.batch_size)
    )
    if smallest < workers:
        raise RefusedError(
            f"--batch-size: batches of {smallest} images found for {workers} workers,"
            " one image for each expected"
        )


def _tell(others, wanted, state):
    """Tells the other workers what is trained, and waits until they are ready."""
    arithmetic = wanted["arithmetic"]
    message = {
        "model": wanted["model"].to_dict(),
        "config": wanted["config"].to_dict(),
        "source": wanted["data_description"],
        "progress": state["progress"] if state else asdict(Progress()),
        "arithmetic": asdict(arithmetic) if arithmetic else None,
    }
    for line in others:
        line.send(message)
    deadline = time.monotonic() + READY_SECONDS
    for line in others:
        line.receive(deadline)
    for line in others:
        line.send({})


def _follow(args, cluster):
    """Trains as a worker that writes nothing; returns the exit status."""
    with _gather(args, cluster) as [chief]:
        told = chief.receive(time.monotonic() + READY_SECONDS)
        model = ModelConfig.from_dict(told.get("model"))
        config = TrainConfig.from_dict(told.get("config"))
        progress = Progress.from_dict(told.get("progress"))
        arithmetic = told.get("arithmetic")
        file = _open(args.inputs, config, model.to_dict())
        validation = _open_validation(args.validation, config, model)
        if _describe(file, validation) != told.get("source"):
            raise RefusedError(
                f"{show_files(args.inputs)}: other images than worker 0 has, the same"
                " expected on all workers"
            )
        beside = os.path.join(tempfile.gettempdir(), "model")
        images, held_out = _load(file, validation, config, model, beside)
        chief.send({})
        chief.receive(time.monotonic() + READY_SECONDS)
    with quiet_tensorflow():
        from vae.training.session import Session
    session = Session(
        args.output,
        model,
        config,
        images,
        held_out,
        told["source"],
        arithmetic and Arithmetic.from_dict(arithmetic),
        cluster=cluster,
    )
    session.follow(progress)
    return 0


def _check_output(args, warn):
    """Returns (checkpoint folder, state) to resume from, or (None, None)."""
    if args.resume and args.overwrite:
        raise RefusedError("--resume: --overwrite found as well, one of them expected")
    condition = describe_output(args.output)
    if args.resume:
        return find_checkpoint(args.output, warn)
    if condition == "used" and not args.overwrite:
        raise RefusedError(
            f"{printable(args.output)}: not empty, a new folder expected; go on with"
            " --resume, replace the model with --overwrite, or name another folder"
        )
    return None, None


def _keep_inputs(args):
    """Refuses to clear a model directory that the data is in."""
    folder = os.path.join(os.path.realpath(args.output), "")
    for path in filter(None, [*find_files(args.inputs), args.validation]):
        if os.path.realpath(path).startswith(folder):
            raise RefusedError(
                f"--overwrite: {printable(path)} lies in {printable(args.output)},"
                " which is to be replaced; move it out, or name another folder"
            )


def _open_data(args, checkpoint, state):
    """Returns what to train, and on which images, as `Session` takes it."""
    sizes = {"width": args.input_width, "height": args.input_height}
    requested = ModelConfig.pick(vars(args) | sizes)
    if state:
        stored_model, stored_config, progress, arithmetic = read_state(
            checkpoint, state
        )
        config = _merge(stored_config, TrainConfig.pick(vars(args)))
        requested = _merge(stored_model, requested).to_dict()
    else:
        config, arithmetic = TrainConfig(**TrainConfig.pick(vars(args))), None
        if config.epochs and config.minutes:
            raise RefusedError(
                f"--minutes: {config.minutes:g} found and --epochs {config.epochs},"
                " one of them expected"
            )
    file = _open(args.inputs, config, requested)
    for note in file.notes:
        tell(note)
    size = _complete_size(requested, file.width, file.height)
    model = ModelConfig(**requested | size | {"channels": file.channels})
    config = replace(config, layout=file.layout.name)
    validation = _open_validation(args.validation, config, model)
    data_description = _describe(file, validation)
    if state and state.get("source") != data_description:  # repacked, rows first?
        file = _open(args.inputs, replace(config, layout="auto"), requested)
        data_description = _describe(file, validation)
    if state and state.get("source") != data_description:
        raise RefusedError(
            f"{show_files(args.inputs)}: not the images that the run in"
            f" {printable(args.output)} was begun with; --resume needs the same data"
        )
    images, held_out = _load(file, validation, config, model, args.output)
    if state and progress.history and progress.holds_out != (held_out is not None):
        raise RefusedError(
            f"{printable(os.path.join(checkpoint, 'state.json'))}: a history"
            f" {'with' if progress.holds_out else 'without'} held-out images found, the"
            " other kind expected by its settings; it is no state that train wrote"
        )
    if held_out is not None and (held_out == held_out[:1]).all():
        tell("the held-out images are all alike; PSNR says nothing")
    return {
        "model": model,
        "config": config,
        "images": images,
        "held_out": held_out,
        "data_description": data_description,
        "arithmetic": arithmetic,
    }


def _merge(stored, requested):
    """The stored config, with those changes that a resumed run may still make."""
    for name, value in requested.items():
        begun_with = getattr(stored, name)
        if name in CHANGEABLE_ON_RESUME or value in ("auto", begun_with):
            continue
        raise RefusedError(
            f"{option_name(name)}: {value} found, {begun_with} expected: the run to"
            " resume was begun with it; leave the option out"
        )
    allowed = {name: requested[name] for name in CHANGEABLE_ON_RESUME & set(requested)}
    if allowed.get("epochs"):
        allowed["minutes"] = None
    return replace(stored, **allowed)


def _open(paths, config, requested):
    size = requested.get("width"), requested.get("height")
    return open_images(paths, config.hdf5_dataset_name, config.layout, size)


def _complete_size(requested, width, height):
    """Returns the size asked for; with one side alone, images keep their shape."""
    wide, high = requested.get("width"), requested.get("height")
    scale = (wide / width if wide else 0) or (high / height if high else 1)
    sides = [
        min(max(round(scale * side), MIN_SIDE), MAX_SIDE) for side in (width, height)
    ]
    return {"width": wide or sides[0], "height": high or sides[1]}


def _open_validation(path, config, model):
    if path is None:
        return None
    file = _open([path], config, model.to_dict())
    if file.channels != model.channels:
        raise RefusedError(
            f"--validation: {printable(path)} has {show_channels(file.channels)},"
            f" {model.channels} expected, as in input"
        )
    return file


def _describe(file, validation):
    """Returns the form and the fingerprint of the data, for metadata and resume."""
    return {
        "count": file.count,
        "width": file.width,
        "height": file.height,
        "fingerprint": file.fingerprint(),
        "validation": validation.fingerprint() if validation else None,
    }


def _load(file, validation, config, model, output):
    """Returns (images, held_out); held out is the end of the file, or `validation`."""
    size, show = (model.width, model.height), partial(watch, text="reading")
    share = 0.0 if validation else config.validation_split
    split = file.count - count_held_out(file.count, share)
    held_out = None
    if validation:
        held_out = spread_images(validation, 0, validation.count, size, show)
    elif split < file.count:
        held_out = spread_images(file, split, file.count, size, show)
    spill = find_writable_folder(os.path.dirname(os.path.abspath(output)))
    return load_images(file, 0, split, size, spill, show), held_out
