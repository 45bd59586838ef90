"""The run of `prepare`: sources are loaded on all cores, cleaned, and written once."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import compress, islice
from types import FrameType
from typing import Any

import numpy as np

from vae.config import PrepareConfig
from vae.data.shards import MOST_FILES, cut_shards, find_shards, name_shards
from vae.data.sources import Batch, FileSource, Source
from vae.data.writer import ImageWriter
from vae.errors import StoppedError, VaeError
from vae.files import printable
from vae.images.pixels import Target, limit_size, resize_image
from vae.images.sheets import make_grid, stack_pairs, write_png
from vae.parallel import count_cores, map_ordered
from vae.preparation.cleaning import find_bad, measure_images
from vae.preparation.faces import FaceDetector, crop_face, is_cut_already
from vae.terminal import list_failures, progress_bar, signals_to, tell, watch

BAD_KINDS = {  # kind -> the option that drops it
    "duplicates": "dedupe",
    "blurred": "drop_blurred",
    "outliers": "drop_outliers",
}
TITLES = {
    "duplicates": "near duplicates",
    "blurred": "blurred",
    "outliers": "far from the average",
}
SHEET_IMAGES = 100  # shown at most; they are spread over all
SHEET_COLUMNS = 10
SHEET_SIDE = 112  # pixels, of the longer side of an image on a sheet
NAMES_SHOWN = 3


@dataclass(frozen=True)
class Pipeline:
    """A data file to be made.

    Attributes:
        sources: where images come from, in order.
        old: what is in the file already, or None.
        target: the form of its images. compression: of its chunks.
        sheets: kinds of bad images to drop -> picture to show them in.
        faces: whether to cut faces out. masked: whether to blacken what is round them.
        shard_size: images a file, where they go into several; or None.
    """

    sources: list[Source]
    old: FileSource | None
    output: str
    target: Target
    compression: str
    config: PrepareConfig
    sheets: dict[str, str]
    faces: bool
    masked: bool
    shard_size: int | None = None
    _cut_already: list[bool] = field(default_factory=list)  # of each face found

    def run(self) -> int:
        """Writes the file and prints what is in it; returns the exit status.

        Raises:
            StoppedError: a signal came; what was there is as it was.
            VaeError: no image could be used, or the file can't be written.
        """
        stop = _Stop(self.output)
        with signals_to(stop.later), self._create(self.output) as writer:
            measures, failed, faceless = self._fill(writer, stop)
            if writer.count == self._count_old():
                list_failures(failed, verb="used")
                reason = "no face was found" if faceless else "no image could be read"
                raise VaeError(f"{printable(self.output)}: not written, since {reason}")
            with signals_to(stop.now):
                stop.check()
                show = partial(watch, text="compare")
                limits = self.config, self._count_old(), self.sheets
                found = find_bad(*measures, *limits, show)
            examples = {kind: _read_names(writer, found[kind]) for kind in found}
            shown = [kind for kind in self.sheets if found[kind]]
            drawn = {kind: _draw_sheet(writer, found[kind]) for kind in shown}
            dropped = {row for kind in shown for row in found[kind]}
            files = self._commit(writer, dropped, stop)
        for kind, sheet in drawn.items():
            write_png(self.sheets[kind], sheet)
        self._report(files, writer.count - len(dropped), faceless, found, examples)
        list_failures(failed, verb="used")
        return 1 if failed else 0

    def _count_old(self) -> int:
        return self.old.count if self.old else 0

    def _create(self, path: str) -> ImageWriter:
        settings = self.target.shape, self.compression, self.old is not None
        return ImageWriter(path, *settings)

    def _fill(self, writer: ImageWriter, stop: "_Stop") -> tuple[list, list, int]:
        """Writes all images; returns measures, failures, and how many had no face."""
        sources = [self.old, *self.sources] if self.old else self.sources
        counts = [source.count for source in sources]
        total = None if None in counts else sum(counts)
        measures, failed = [], []
        written, faceless = Counter(), Counter()  # of each source
        loaded = closing(self._load(sources))
        with progress_bar(total, "prepare") as bar, loaded as batches:
            for source, batch, measured in batches:
                stop.check()
                writer.write(batch.images, batch.names, batch.frames)
                measures.append(measured)
                failed += batch.failed
                for name, line in batch.notes:
                    tell(f"{name}: {line}")
                written[source] += len(batch.names)
                faceless[source] += batch.faceless
                bar.update(len(batch.names) + len(batch.failed) + batch.faceless)
        for source, count in faceless.items():
            if count and not written[source]:
                pictures = f" in {count} pictures" if count > 1 else ""
                failed.append((source.title, f"no face found{pictures}"))
        columns = zip(*measures, strict=True)
        return [np.concatenate(column) for column in columns], failed, faceless.total()

    def _load(self, sources: list[Source]) -> Iterator[tuple[Source, Batch, tuple]]:
        """Yields (source, batch, its measures), loading a few units ahead."""
        target = self.target
        if self.faces:
            target = replace(target, cut_face=self._make_cutter())

        def load(item: tuple[Source, Any]) -> tuple:
            source, unit = item
            is_old = source is self.old  # its faces are cut out already
            batch = source.load(unit, self.target if is_old else target)
            return source, batch, measure_images(batch.images)

        units = ((source, unit) for source in sources for unit in source.units(target))
        return map_ordered(load, units)

    def _make_cutter(self) -> Callable[[np.ndarray], np.ndarray | None]:
        """Returns a function that cuts the largest face out of an image."""
        detector = FaceDetector(count_cores())
        size = self.target.width, self.target.height

        def cut(image: np.ndarray) -> np.ndarray | None:
            face = detector.find(image)
            if face is None:
                return None
            self._cut_already.append(is_cut_already(image, face))
            return crop_face(image, face, *size, self.masked)

        return cut

    def _commit(self, writer: ImageWriter, dropped: set[int], stop: "_Stop") -> int:
        """Puts the file in place, or those of a set, without the rows to drop.

        Returns the number of files.
        """
        if not dropped and self.shard_size is None:
            writer.commit()
            return 1
        kept = np.ones(writer.count, bool)
        kept[list(dropped)] = False
        rows = np.flatnonzero(kept)
        paths, parts = [self.output], [range(len(rows))]
        old = [] if self.shard_size is None else find_shards(self.output)
        if self.shard_size is not None:
            whole = -(-self.shard_size // writer.chunk_rows) * writer.chunk_rows
            parts = cut_shards(len(rows), whole)
            if len(parts) > MOST_FILES:
                raise VaeError(
                    f"--shard-size: {self.shard_size} found, which makes {len(parts)}"
                    f" files, at most {MOST_FILES} expected; make them larger"
                )
            paths = name_shards(self.output, len(parts))
        with ExitStack() as stack:
            written = []
            for path, part in zip(paths, parts, strict=True):
                new = stack.enter_context(self._create(path))
                written.append(new)
                _copy(
                    writer, kept, rows[part.start], rows[part.stop - 1] + 1, new, stop
                )
            for new in written:
                new.commit()
        for path in set(old) - set(paths):
            os.unlink(path)
        return len(paths)

    def _report(
        self, files: int, count: int, faceless: int, found: dict, examples: dict
    ) -> None:
        target, old = self.target, self._count_old()
        added, name = f", {count - old} of them new" if old else "", self.output
        if self.shard_size is not None:
            start, ending = os.path.splitext(name)
            name, added = f"{start}-*{ending}", f" in {files} files"
        print(f"{printable(name)}: {count} images{added}, {target.describe()}")
        skipped = sum(source.skipped for source in self.sources)
        if skipped:
            print(f"skipped: {skipped} crops that OpenFace failed on")
        if faceless:
            print(f"skipped: {faceless} pictures without a face")
        cut = sum(self._cut_already)
        if cut > len(self._cut_already) / 2:
            print(
                f"--faces: {cut} pictures are face crops already, and were cut once"
                " more; leave it out to keep them as they are"
            )
        for kind, rows in found.items():
            print(f"{TITLES[kind]}: {self._describe(kind, len(rows), examples[kind])}")

    def _describe(self, kind: str, count: int, examples: list[str]) -> str:
        if not count:
            return "0"
        if kind in self.sheets:
            return f"{count} dropped, see {printable(self.sheets[kind])}"
        more = ", ..." if count > len(examples) else ""
        option = BAD_KINDS[kind].replace("_", "-")
        return f"{count} kept ({', '.join(examples)}{more}); drop them with --{option}"


class _Stop:
    """Ctrl-C and SIGTERM, answered where HDF5 is not in the middle of something."""

    def __init__(self, output: str) -> None:
        self._output, self._number = output, None

    def later(self, number: int, _: FrameType | None) -> None:
        """Has a signal stop the run at the next `check`."""
        self._number = number

    def now(self, number: int, frame: FrameType | None) -> None:
        """Has a signal stop the run wherever it is."""
        self.later(number, frame)
        self.check()

    def check(self) -> None:
        """Raises `StoppedError` if a signal has come."""
        if self._number is not None:
            name = printable(self._output)
            raise StoppedError(f"{name}: stopped, left as it was", self._number)


def _copy(writer, kept, start, stop_at, new, stop):
    """Writes those rows of start..stop_at that are kept into another file."""
    for first in range(start, stop_at, writer.chunk_rows):
        stop.check()
        last = min(first + writer.chunk_rows, stop_at)
        images, *origins = writer.read(first, last)
        chosen = kept[first:last]
        names, frames = (list(compress(part, chosen)) for part in origins)
        new.write(images[chosen], names, frames)


def _read_names(writer: ImageWriter, rows: Iterable[int]) -> list[str]:
    return [writer.read(row, row + 1)[1][0] for row in islice(rows, NAMES_SHOWN)]


def _draw_sheet(writer: ImageWriter, rows: dict[int, int | None]) -> np.ndarray:
    """Draws images that are dropped; a duplicate, below the image it is a copy of."""
    count = min(len(rows), SHEET_IMAGES)
    chosen = np.array(list(rows))[np.linspace(0, len(rows) - 1, count).astype(int)]
    images = _read_small(writer, chosen)
    earlier = [rows[int(row)] for row in chosen]
    if None not in earlier:
        images = stack_pairs(_read_small(writer, earlier), images)
    return make_grid(images, min(SHEET_COLUMNS, count))


def _read_small(writer: ImageWriter, rows: Iterable[int]) -> np.ndarray:
    images = np.concatenate([writer.read(row, row + 1)[0] for row in rows])
    size = limit_size(images.shape, SHEET_SIDE)
    return np.stack([resize_image(image, *size) for image in images])
