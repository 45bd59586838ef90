"""The run of `reconstruct` on one person: crops read, codes found, results written."""

import csv
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from vae.config import ModelConfig, ReconstructConfig
from vae.errors import StoppedError, VaeError
from vae.files import plan_outputs, printable, replace_file, shorten_name
from vae.images.films import Frame, write_film
from vae.images.pixels import psnr, show_size
from vae.images.sheets import (
    join_side_by_side,
    label_grid,
    make_grid,
    write_face,
    write_png,
)
from vae.parallel import cut_evenly, map_ordered
from vae.reconstruction.compositing import Compositor, Patch, invert, lay
from vae.reconstruction.footage import Footage, read_crops
from vae.strangers.alignment import LoadedActor
from vae.terminal import list_failures, progress_bar, signals_to, tell

SAMPLE = 256  # results whose colours stand for all
LABELS = ["input", "actor"]
PATCHES = ("patches.csv", "patches.npz")
SHEET = 12  # crops on the sheet, evenly spread
Picture = tuple[int, np.ndarray]  # place among all pictures, uint8 (H, W, C)


@dataclass(frozen=True)
class Request:
    """What is to be made of one person's footage.

    Attributes:
        output: folder, or the film of `is_film`.
        faces: whether to find faces. paste: whether to put results back.
        patches: folder of patches, or None. latents: file of codes, or None.
        direction: (Z,), added to codes, or None.
    """

    config: ReconstructConfig
    output: str
    is_film: bool
    faces: bool
    paste: bool
    side_by_side: bool
    patches: str | None
    latents: str | None
    neutral: np.ndarray | None
    direction: np.ndarray | None


def name_sheet(output: str) -> str:
    """Returns where the sheet of a folder or a film goes, beside it."""
    folder, name = os.path.split(os.path.normpath(output))
    if name in (os.curdir, os.pardir):
        folder, name = os.path.split(os.path.abspath(output))
    return os.path.join(folder, shorten_name(name, ".sheet.png"))


class Session:
    """One person, from crops to results."""

    def __init__(
        self, actor: LoadedActor, model: ModelConfig, footage: Footage, request: Request
    ) -> None:
        self._actor, self._model = actor, model
        self._footage, self._request = footage, request
        self._decibel = []  # of each crop whose result is written
        self._compares = False  # whether these tell anything
        self._sheet: str | None = None

    def run(self) -> int:
        """Writes everything and prints what came out; returns the exit status.

        Raises:
            StoppedError: a signal came while a film was written; there is none.
            VaeError: something can't be written.
        """
        footage, request = self._footage, self._request
        masked = request.faces and _is_masked(self._actor.network.average)
        with progress_bar(footage.count, "read") as bar:
            crops = read_crops(footage, self._model, request.faces, masked, bar.update)
        if crops.indices:
            self._use(crops)
        self._report(crops)
        failures = crops.printable_failures() + footage.failures
        if crops.faceless and not crops.indices:
            failures.append((footage.title, "no face found"))
        list_failures(failures, len(crops.names))
        return 1 if failures else 0

    def _use(self, crops):
        config, actor, request = self._request.config, self._actor, self._request
        z, lines, method, _ = actor.align(crops.images, config, request.neutral)
        self._compares = method == "none"  # a stranger's pixels are not the actor's
        for line in lines:
            tell(line)
        if request.direction is not None:
            z = z + config.direction_strength * request.direction
        compositor = None
        if request.paste or request.patches:
            compositor = self._make_compositor(crops, z)
        if request.patches:
            self._write_patches(crops, z, compositor)
        if request.is_film:
            self._write_film(crops, self._compose(crops, z, compositor))
        else:
            self._write_pictures(crops, self._compose(crops, z, compositor))
        if len(z) > 1:
            self._write_sheet(crops, z)
        if request.latents is not None:
            z_log_var = actor.encode(crops.images)[1]
            _save_latents(request.latents, crops.printable_names(), z, z_log_var)

    def _write_sheet(self, crops, z):
        """Shows at a glance what came of it: crops above the actor."""
        chosen = np.unique(np.linspace(0, len(z) - 1, SHEET).astype(int))
        inputs = np.stack([crops.images[number] for number in chosen.tolist()])
        images = np.concatenate([inputs, self._actor.decode(z[chosen])])
        height, width = images.shape[1:3]
        numbers = [str(crops.indices[number] + 1) for number in chosen]
        grid = make_grid(images, columns=len(chosen))
        path = name_sheet(self._request.output)
        write_png(path, label_grid(grid, (width, height), LABELS, numbers))
        self._sheet = path

    def _make_compositor(self, crops, z):
        tick = float(self._footage.tick)
        times = np.array([crops.starts[place] for place in crops.indices]) * tick
        sample = self._actor.decode(z[:: -(-len(z) // SAMPLE)])
        found = crops.faces, times, crops.indices, crops.images
        return Compositor(*found, sample)

    def _decode(self, crops, z) -> Iterator[Picture]:
        """Yields (number of the crop, result), and notes how near it is to the crop."""

        def decode(part):
            results = self._actor.decode(z[part])  # (B, H, W, C)
            return part, results, psnr(crops.images[part], results)

        parts = cut_evenly(len(z), self._actor.network.block)
        self._decibel = []
        for part, results, decibel in map_ordered(decode, parts):
            self._decibel += decibel.tolist()
            yield from enumerate(results, part.start)

    def _compose(self, crops, z, compositor) -> Iterator[Picture]:
        """Yields each picture that goes out, and the place of its input."""
        request, results = self._request, self._decode(crops, z)
        if request.paste:
            results = self._paste(crops, results, compositor)
        for number, result in results:
            if request.side_by_side and not request.paste:
                result = join_side_by_side(crops.images[number], result)
            place = number if request.paste else crops.indices[number]
            yield place, result

    def _paste(self, crops, results, compositor):
        """Yields (place, frame) of all frames that can be read, on all cores."""
        unreadable = {place for place, _ in crops.failures}
        numbers = {place: number for number, place in enumerate(crops.indices)}

        def items():
            for place, shot in enumerate(self._footage.shots(whole=True)):
                result = next(results)[1] if place in numbers else None
                if place not in unreadable:
                    yield place, shot, result

        def paste(item):
            place, shot, result = item
            frame = pasted = shot.load(lambda line: None)
            if result is not None:
                pasted = lay(frame, compositor.make_patch(numbers[place], result))
            if self._request.side_by_side:
                pasted = join_side_by_side(frame, pasted)
            return place, pasted

        yield from map_ordered(paste, items())

    def _write_pictures(self, crops, pictures: Iterable[Picture]) -> None:
        request = self._request
        names, write = plan_outputs(crops.names), write_face

        def save(item):
            place, picture = item
            write(os.path.join(request.output, names[place]), picture)

        with progress_bar(len(crops.names), "write") as bar:
            count = 0
            for _ in map_ordered(save, pictures):
                count += 1
                bar.update(1)
        noun = "pictures" if request.faces else "crops"
        where = printable(request.output)
        print(f"{count} of {len(crops.names)} {noun} in {where}")

    def _write_film(self, crops, pictures: Iterable[Picture]) -> None:
        path, footage = self._request.output, self._footage

        def stop(number, frame):
            raise StoppedError(f"{printable(path)}: stopped, not written", number)

        frames = self._label(self._time(crops, pictures))
        with signals_to(stop), footage.open_sound() as sound:
            with progress_bar(len(crops.names), "write") as bar:
                count = write_film(
                    path, _count(frames, bar.update), footage.tick, sound, tell
                )
        print(f"{count} of {len(crops.names)} frames in {printable(path)}")

    def _time(self, crops, pictures):
        """Yields a `Frame` for each input, the last one again where there is none."""
        unreadable = {place for place, _ in crops.failures}
        wanted = [place for place in range(len(crops.names)) if place not in unreadable]
        pictures = iter(pictures)
        at, picture = next(pictures)
        following = next(pictures, None)
        shape = picture.shape
        for place in wanted:
            if following is not None and following[0] <= place:
                (at, picture), following = following, next(pictures, None)
            if picture.shape != shape:
                found, expected = (show_size(s[1::-1]) for s in (picture.shape, shape))
                raise VaeError(
                    f"{printable(crops.names[at])}: {found} found, {expected} as the"
                    " first expected, since a film has frames of one size; name a"
                    " folder as output"
                )
            yield Frame(picture, crops.starts[place], crops.lengths[place])

    def _label(self, frames):
        """Writes above both halves of each frame what they are."""
        for frame in frames:
            if self._request.side_by_side:
                height, width = frame.image.shape[:2]
                half = width // 2, height
                image = label_grid(frame.image, half, columns=LABELS, gap=0)
                frame = frame._replace(image=image)
            yield frame

    def _write_patches(self, crops, z, compositor):
        folder, rows, matrices = self._request.patches, [], []
        names = plan_outputs(crops.names)
        for number, result in self._decode(crops, z):
            patch: Patch = compositor.make_patch(number, result)
            place = crops.indices[number]
            rgba = np.dstack([patch.image, patch.mask])
            write_png(os.path.join(folder, names[place]), rgba)
            back = invert(patch.matrix)
            matrices.append(back)
            seconds = float(crops.starts[place] * self._footage.tick)
            rows.append([place, f"{seconds:.6f}", names[place], *back.ravel()])
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["frame", "seconds", "file", *"abcdef"])
        writer.writerows(rows)
        replace_file(os.path.join(folder, PATCHES[0]), table.getvalue().encode())
        buffer = io.BytesIO()
        starts = [crops.starts[place] for place in crops.indices]
        np.savez(
            buffer,
            frame=crops.indices,
            start=starts,
            tick=[self._footage.tick.numerator, self._footage.tick.denominator],
            matrix=np.stack(matrices),
        )
        replace_file(os.path.join(folder, PATCHES[1]), buffer.getvalue())
        print(f"{len(rows)} patches in {printable(folder)}")

    def _report(self, crops):
        if self._decibel and self._compares:
            decibel = np.array(self._decibel)
            worst = int(np.argmin(decibel))
            name = crops.printable_names()[worst]
            mean = f"mean {decibel.mean():.2f} dB"
            print(f"PSNR: {mean}, worst {decibel[worst]:.2f} dB ({name})")
        if self._sheet:
            print(f"at a glance: {printable(self._sheet)}")
        if crops.faceless and crops.indices:
            done = "left out"
            if self._request.paste:
                done = "as they were"
            elif self._request.is_film:
                done = "the face before is shown"
            tell(f"without a face: {crops.faceless} frames, {done}")
        for place, line in crops.notes:
            tell(f"{printable(crops.names[place])}: {line}")


def _is_masked(average: np.ndarray) -> bool:
    """Whether an actor (H, W, C), 0..1, has black around the face."""
    corners = average[[0, 0, -1, -1], [0, -1, 0, -1]]
    return bool(corners.max() < 0.02)


def _count(items, update):
    for item in items:
        yield item
        update(1)


def _save_latents(path, files, z_mean, z_log_var):
    buffer = io.BytesIO()
    np.savez(buffer, files=np.array(files, np.str_), z_mean=z_mean, z_log_var=z_log_var)
    replace_file(path, buffer.getvalue())
