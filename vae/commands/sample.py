"""`sample`: pictures from a model's latent space: walks, grids, directions, films."""

import argparse
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain

import numpy as np

from vae.checkpoint.model_files import open_model
from vae.config import ModelChecks, ReconstructConfig, SampleConfig, option_name
from vae.data.arrays import read_pictures
from vae.errors import RefusedError, StoppedError
from vae.files import (
    plan_outputs,
    printable,
    refuse_existing,
    refuse_output,
    refuse_overlap,
)
from vae.images.films import Frame, check_film, write_film
from vae.images.sheets import label_grid, make_grid, write_face, write_png
from vae.model.latent import load_codes
from vae.model.walks import (
    draw_samples,
    find_directions,
    make_prior,
    number_parts,
    traverse,
    walk_at_random,
    walk_through,
)
from vae.parallel import cut_evenly, map_ordered
from vae.strangers.alignment import LoadedActor
from vae.strangers.directions import (
    check_name,
    choose_direction,
    describe_direction,
    list_directions,
    list_pictures,
    save_direction,
)
from vae.terminal import progress_bar, signals_to, tell

SHEET_NAME = "walks.png"
SHEET_WALKS = 30  # rows of the sheet, at most
SHEET_STEPS = 20  # pictures of a row, at most
MAX_PICTURES = 1_000_000
UNUSED = {  # what a walk has no use for
    "random": ("count", "path"),
    "loop": ("count", "path"),
    "images": ("walks", "count", "prior", "temperature", "seed"),
    "grid": ("walks", "steps", "path"),
    "traverse": ("count", "path", "seed"),
    "latents": ("walk", "walks", "steps", "count", "path", "prior", "temperature"),
}


@dataclass(frozen=True)
class Series:
    """Pictures to draw, in order.

    Attributes:
        count: how many.
        columns: how many of them make one row of the sheet.
        name: function of a number to the name of a file.
        inputs: what they come from, if from files.
    """

    count: int
    columns: int
    name: Callable[[int], str]
    inputs: list[str] | np.ndarray | None = None


def run(args: argparse.Namespace) -> int:
    """Draws the pictures; prints where they are; returns the exit status.

    Raises:
        RefusedError: something in the request can't work.
        StoppedError: a signal came while a film was written; there is none.
        VaeError: the model is damaged, or a picture can't be written.
    """
    config = SampleConfig(**SampleConfig.pick(vars(args)))
    _check_options(args, config)
    files = open_model(args.input, ModelChecks.pick(vars(args)), tell)
    model = files.config
    if args.list:
        for name in list_directions(args.input):
            print(describe_direction(files, name))
        return 0
    series = _plan(args, config, model)
    _check_outputs(args, config, series)
    actor = LoadedActor(files)
    codes, labels = _find_codes(args, config, model, actor, series)
    if args.direction:
        step = config.strength * _find_direction(args, files, actor)
        codes = (z + step for z in codes)
    draw = _draw if args.film is None else _film
    draw(args, config, series, actor.network, codes, labels)
    return 0


def _check_options(args, config):
    if config.walks * config.steps > MAX_PICTURES:
        raise RefusedError(
            f"--walks: {config.walks} of {config.steps} steps found, at most"
            f" {MAX_PICTURES} pictures expected"
        )
    _check_use(args, config)
    given, wanted = args.images is not None, config.walk == "images"
    if given != wanted and not args.latents:
        found = f"--walk {config.walk}" if given else "no --images"
        raise RefusedError(
            f"{'--images' if given else '--walk images'}: found with {found}; both"
            " belong together"
        )
    if args.latents and given:
        raise RefusedError("--latents: --images found as well, one of them expected")
    if args.constant_speed and (config.walk in ("grid", "traverse") or args.latents):
        raise RefusedError(
            "--constant-speed: a walk from point to point expected: --walk random, loop"
            " or images"
        )
    if args.save_direction is not None:
        check_name(args.save_direction)
        if len(args.direction or ()) != 2:
            raise RefusedError("--save-direction: found without --direction FROM TO")
    if args.film is not None:
        check_film("--film", args.film)


def _check_use(args, config):
    """Refuses options that were given and would change nothing."""
    kind = "latents" if args.latents is not None else config.walk
    reason = "--latents" if args.latents is not None else f"--walk {config.walk}"
    unused = [(name, reason) for name in UNUSED[kind]]
    unused += [("strength", "no --direction")] * (args.direction is None)
    unused += [("fps", "no --film")] * (args.film is None)
    for name, found in unused:
        if name in vars(args):
            raise RefusedError(
                f"{option_name(name)}: found with {found}, where it changes nothing;"
                " leave it out"
            )


def _plan(args, config, model):
    """Returns the `Series`; files are listed, and of --latents read."""
    if args.latents is not None:
        names, z = load_codes(args.latents, model.latent_dim)
        outputs = plan_outputs(names)
        return Series(len(z), _square(len(z)), outputs.__getitem__, z)
    if config.walk == "grid":
        digits = max(4, len(str(config.count - 1)))
        name = "sample_{:0{}}.png".format
        return Series(
            config.count, _square(config.count), lambda number: name(number, digits)
        )
    walks, count, inputs = config.walks, config.walks * config.steps, None
    if config.walk == "images":
        inputs = list_pictures(args.images)
        if len(inputs) < 2:
            raise RefusedError(f"--images: {len(inputs)} found, two or more expected")
        walks, count = len(inputs), (len(inputs) - 1) * config.steps + 1
    elif config.walk == "traverse":
        walks = min(config.walks, model.latent_dim)
        count = walks * config.steps
    name = partial(_name_picture, config.steps, walks)
    return Series(count, config.steps, name, inputs)


def _square(count):
    """Columns of a sheet that is about as wide as high."""
    return min(SHEET_STEPS, math.isqrt(count - 1) + 1)


def _name_picture(steps, walks, number):
    """Returns `walk_000_step_00.png` and so on, padded so that they sort in order."""
    walk, step = divmod(number, steps)
    walk_digits = max(3, len(str(walks - 1)))
    step_digits = max(2, len(str(steps - 1)))
    return f"walk_{walk:0{walk_digits}}_step_{step:0{step_digits}}.png"


def _check_outputs(args, config, series):
    inputs = [args.input, *filter(None, [args.latents])]
    inputs += [*(args.images or ()), *filter(os.path.exists, args.direction or ())]
    if args.film is not None:
        suffix = os.path.splitext(args.film)[1]
        refuse_output("--film", args.film, suffix, inputs, args.overwrite)
        return
    names = chain(map(series.name, range(series.count)), [SHEET_NAME])
    refuse_overlap([os.path.join(config.output_dir, SHEET_NAME)], inputs)
    refuse_existing(config.output_dir, names, args.overwrite)


def _find_direction(args, files, actor):
    """Returns the direction (Z,), which is kept if that was asked for."""
    direction = choose_direction(actor, files, args.direction)
    if args.save_direction is not None:
        name = args.save_direction
        path = save_direction(files, name, direction, args.direction)
        print(f"direction kept: {printable(path)}")
    return direction


def _find_codes(args, config, model, actor, series):
    """Returns the codes, (B, Z) at a time, and a label for each row of the sheet."""
    numbers = [str(number) for number in range(0, series.count, series.columns)]
    if args.latents is not None:
        return iter(np.array_split(series.inputs, series.count)), numbers
    statistics = actor.statistics
    if config.prior == "mixture" and statistics.mixture_weights is None:
        path = os.path.join(args.input, "latent.npz")
        why = "no mixture found, as in models of version 1.0; --prior gaussian is used"
        tell(f"{printable(path)}: {why}")
    prior = make_prior(config.prior, statistics)
    drawn = config.seed, config.temperature
    decode = actor.network.decode
    if config.walk == "grid":
        return draw_samples(prior, config.count, *drawn), numbers
    rows = [f"walk {number}" for number in range(-(-series.count // series.columns))]
    if config.walk == "traverse":
        count = series.count // config.steps
        directions, shares = find_directions(prior, decode, count)
        rows = [f"{n}: {share:.1%}" for n, share in enumerate(shares, 1)]
        codes = traverse(prior.mean, directions, config.steps, config.temperature)
        return codes, rows
    if config.walk == "images":
        images = read_pictures("", series.inputs, model, tell)
        z, lines, *_ = actor.align(images, ReconstructConfig())
        for line in lines:
            tell(line)
        walk = walk_through(z, config.path)
    else:
        closed = config.walk == "loop"
        walk = walk_at_random(prior, config.walks, *drawn, closed)
    even = args.constant_speed
    times = walk.even_out if even else walk.spread_times
    return walk.follow(times(series.count, *[decode] * even)), rows


def _decode(actor, series, codes):
    """Yields (number of the first, uint8 (B, H, W, C)), decoded on all cores."""

    def decode(part):
        first, z = part  # at most a block of codes: no threads of its own
        return first, actor.decode(z)

    parts = (
        (first + part.start, z[part])
        for first, z in number_parts(codes)
        for part in cut_evenly(len(z), actor.block)
    )
    with progress_bar(series.count, "sample") as bar:
        for first, images in map_ordered(decode, parts):
            yield first, images
            bar.update(len(images))


def _draw(args, config, series, actor, codes, labels):
    """Writes the pictures and a sheet of them."""
    folder = config.output_dir
    shown = np.unique(np.linspace(0, series.columns - 1, SHEET_STEPS).astype(int))
    kept = set(shown.tolist())
    sheet = []
    for first, images in _decode(actor, series, codes):
        for number, image in enumerate(images, first):
            write_face(os.path.join(folder, series.name(number)), image)
            row, column = divmod(number, series.columns)
            if row < SHEET_WALKS and column in kept:
                sheet.append(image)
    grid = make_grid(np.stack(sheet), columns=len(shown))
    height, width = sheet[0].shape[:2]
    columns = list(map(str, shown)) if config.walk != "grid" else []
    path = os.path.join(folder, SHEET_NAME)
    write_png(path, label_grid(grid, (width, height), labels[:SHEET_WALKS], columns))
    print(f"{series.count} pictures in {printable(folder)}")
    print(f"all at a glance: {printable(path)}")


def _film(args, config, series, actor, codes, labels):
    """Writes a film of the pictures; of directions, all of them at a time."""
    tick = 1 / Fraction(config.fps).limit_denominator(1001)

    def stop(number, frame):
        raise StoppedError(f"{printable(args.film)}: stopped, not written", number)

    images = (image for _, part in _decode(actor, series, codes) for image in part)
    if config.walk == "traverse" and args.latents is None:
        images = _sweep(list(images), config.steps)
    frames = (Frame(image, number, 1) for number, image in enumerate(images))
    with signals_to(stop):
        count = write_film(args.film, frames, tick)
    print(f"{count} pictures in {printable(args.film)}")


def _sweep(images, steps):
    """Yields sheets of all directions (rows of images) at a step, there and back."""
    images = np.stack(images).reshape(-1, steps, *images[0].shape)  # (K, S, H, W, C)
    columns = _square(len(images))
    for step in [*range(steps), *range(steps - 2, 0, -1)]:
        yield make_grid(images[:, step], columns)
