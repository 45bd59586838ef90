"""`prepare`: folders of crops, pictures, videos and HDF5 files into one data file."""
import signal
import sys
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from vae.checks.prepare import BAD_KINDS
from vae.data.writer import ImageWriter
from vae.errors import StoppedError, VaeError
from vae.files import printable
from vae.images.sheets import make_grid, resize_image, stack_pairs, write_png
from vae.parallel import count_cores
from vae.preparation.cleaning import find_bad, measure_images
from vae.preparation.detector import FaceDetector
from vae.preparation.faces import crop_face

THREADS = count_cores()
UNITS_AHEAD = 2 * THREADS  # being loaded, or loaded and not yet written
SHEET_IMAGES = 100  # shown at most; they are spread over all
SHEET_COLUMNS = 10
SHEET_SIDE = 112  # pixels, of the longer side of an image on a sheet
NAMES_SHOWN = 3
TITLES = {
    "duplicates": "near duplicates",
    "blurred": "blurred",
    "outliers": "far from the average",
}


def run(request):
    """Writes the file and says what is in it; returns 1 if something was unreadable."""
    with _Stop(request.output) as stop, _create(request) as writer:
        measures, failed, faceless = _fill(writer, request, stop)
        if writer.count == request.old:
            _list_failed(failed)
            reason = "no face was found" if faceless else "no image could be read"
            raise VaeError(f"{printable(request.output)}: not written, since {reason}")
        with stop.at_once():
            bad = find_bad(*measures, request.config, request.old, request.sheets)
        rows = {
            "duplicates": dict(bad.duplicates),
            "blurred": dict.fromkeys(bad.blurred),
            "outliers": dict.fromkeys(bad.outliers),
        }
        examples = {kind: _read_names(writer, rows[kind]) for kind in rows}
        drawn = {kind: _draw_sheet(writer, rows[kind]) for kind in request.sheets}
        dropped = {row for kind in request.sheets for row in rows[kind]}
        _commit(writer, dropped, request, stop)
    for kind, sheet in drawn.items():
        if sheet is not None:
            write_png(request.sheets[kind], sheet)
    _report(request, writer.count - len(dropped), faceless, rows, examples)
    _list_failed(failed)
    return 1 if failed else 0


class _Stop:
    """Ctrl-C and SIGTERM, answered where HDF5 is not in the middle of something."""

    def __init__(self, output):
        self._output, self._number, self._waits = output, None, True

    def __enter__(self):
        self._previous = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *error):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _on_signal(self, number, _):
        self._number = number
        if not self._waits:
            self.check()

    def check(self):
        """Raises `StoppedError` if a signal has come."""
        if self._number is not None:
            name = printable(self._output)
            raise StoppedError(f"{name}: stopped, left as it was", self._number)

    @contextmanager
    def at_once(self):
        """While this lasts, a signal stops the run wherever it is."""
        self._waits = False
        try:
            self.check()
            yield
        finally:
            self._waits = True


def _create(request):
    return ImageWriter(request.output, request.target.shape, request.compression)


def _fill(writer, request, stop):
    """Writes all images.

    Returns:
        ((thumbnails, sharpness), failures, number of pictures without a face)
    """
    counts = [source.count for source in request.sources]
    total = None if None in counts else sum(counts)
    thumbnails, sharpness, failed = [], [], []
    written, faceless = Counter(), Counter()  # of each source
    bar = tqdm(total=total, desc="prepare", unit="img", delay=2)
    with ThreadPoolExecutor(THREADS) as pool, bar:
        for source, batch, measures in _load_in_order(request, pool):
            stop.check()
            writer.write(batch.images, batch.names, batch.frames)
            thumbnails.append(measures[0])
            sharpness.append(measures[1])
            failed += batch.failed
            for name, line in batch.notes:
                print(f"{name}: {line}", file=sys.stderr)
            written[source] += len(batch.names)
            faceless[source] += batch.faceless
            bar.update(len(batch.names) + len(batch.failed) + batch.faceless)
    for source, count in faceless.items():
        if count and not written[source]:
            pictures = f" in {count} pictures" if count > 1 else ""
            failed.append((source.title, f"no face found{pictures}"))
    measures = np.concatenate(thumbnails), np.concatenate(sharpness)
    return measures, failed, faceless.total()


def _load_in_order(request, pool):
    """Yields (source, `Batch`, measures), loading a few units ahead."""
    target = request.target
    if request.faces:
        target = replace(target, cut_face=_make_cutter(target, request.masked))

    def load(source, unit, target):
        batch = source.load(unit, target)
        return source, batch, measure_images(batch.images)

    ahead = deque()
    for index, source in enumerate(request.sources):
        as_is = index == 0 and request.old  # what is in the file already
        aim = request.target if as_is else target
        for unit in source.units(aim):
            ahead.append(pool.submit(load, source, unit, aim))
            if len(ahead) == UNITS_AHEAD:
                yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()


def _make_cutter(target, masked):
    """Returns a function that cuts the largest face out of an image."""
    detector = FaceDetector(THREADS)

    def cut(image):
        face = detector.find(image)
        if face is None:
            return None
        return crop_face(image, face, target.width, target.height, masked)

    return cut


def _read_names(writer, rows):
    return [writer.read(row, row + 1)[1][0] for row in list(rows)[:NAMES_SHOWN]]


def _draw_sheet(writer, rows):
    """Shows images that are dropped; a duplicate, below the image it is a copy of.

    Args:
        rows: row -> the row it copies, or None.

    Returns:
        uint8 (H, W, C), or None if there is nothing to show.
    """
    if not rows:
        return None
    count = min(len(rows), SHEET_IMAGES)
    chosen = np.array(list(rows))[np.linspace(0, len(rows) - 1, count).astype(int)]
    images = _read_small(writer, chosen)
    earlier = [rows[int(row)] for row in chosen]
    if None not in earlier:
        images = stack_pairs(_read_small(writer, earlier), images)
    return make_grid(images, min(SHEET_COLUMNS, count))


def _read_small(writer, rows):
    images = np.concatenate([writer.read(row, row + 1)[0] for row in rows])
    height, width = images.shape[1:3]
    scale = min(1, SHEET_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.stack([resize_image(image, *size) for image in images])


def _commit(writer, dropped, request, stop):
    """Puts the file in place, or one without the rows to drop."""
    if not dropped:
        writer.commit()
        return
    kept = np.ones(writer.count, bool)
    kept[list(dropped)] = False
    with _create(request) as cleaned:
        for start in range(0, writer.count, writer.chunk_rows):
            stop.check()
            images, names, frames = writer.read(start, start + writer.chunk_rows)
            chosen = np.flatnonzero(kept[start : start + writer.chunk_rows])
            cleaned.write(
                images[chosen],
                [names[index] for index in chosen],
                [frames[index] for index in chosen],
            )
        cleaned.commit()


def _report(request, count, faceless, rows, examples):
    target = request.target
    added = f", {count - request.old} of them new" if request.old else ""
    kind = "RGB" if target.channels == 3 else "gray"
    print(
        f"{printable(request.output)}: {count} images{added},"
        f" {target.width}x{target.height} {kind}"
    )
    skipped = sum(source.skipped for source in request.sources)
    if skipped:
        print(f"skipped: {skipped} crops that OpenFace failed on")
    if faceless:
        print(f"skipped: {faceless} pictures without a face")
    for name, found in rows.items():
        print(f"{TITLES[name]}: {_describe(request, name, len(found), examples[name])}")


def _describe(request, kind, count, examples):
    if not count:
        return "0"
    if kind in request.sheets:
        return f"{count} dropped, see {printable(request.sheets[kind])}"
    more = ", ..." if count > len(examples) else ""
    option = BAD_KINDS[kind].replace("_", "-")
    return f"{count} kept ({', '.join(examples)}{more}); drop them with --{option}"


def _list_failed(failed):
    for name, reason in failed:
        print(f"{name}: {reason}", file=sys.stderr)
    if failed:
        print(f"{len(failed)} could not be used", file=sys.stderr)
