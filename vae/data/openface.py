"""OpenFace's results: whose crops are in a folder, and which of them it failed on.

The crops of a `NAME_aligned` folder are called `frame_det_00_000001.bmp` (face, frame),
or, of a single picture, `face_det_000000.bmp` (face). `NAME.csv` beside the folder has
a row for each of them; a spreadsheet may have saved it anew. Standard library only.
"""

import codecs
import csv
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from vae.errors import RefusedError
from vae.files import explain, natural_key, printable

SUFFIX = "_aligned"
MAX_LINE = 100_000  # characters; OpenFace's 714 columns take about 8,000
MAX_CONFIDENCE = 2  # it is about 0 to 1; 975 is 0.975 to whom "." parts thousands
_BLANK = ' \t\n,;"'  # all there is in an empty row of a spreadsheet
SHOWN = 3  # folders or faces that a line names
_DIGITS = r"(\d{1,18})"  # what a data file holds as a number
_CROP_NAME = re.compile(
    rf"(?:frame_det_(?:{_DIGITS}_)?{_DIGITS}|face_det_{_DIGITS})\.\w+\Z"
)
_WHOLE = re.compile(rf"\s*{_DIGITS}(?:\.0)?\s*")  # 1,000 or 1.000 may be a thousand
_FRAME_COLUMNS = ("frame", "confidence", "success")
_FACE_COLUMNS = ("face", "confidence")  # of a single picture


def parse_crop(name: str) -> tuple[int, int] | None:
    """Returns (face, frame) of a crop's file name, or None if it is not OpenFace's.

    A crop of a single picture has frame 0.
    """
    match = _CROP_NAME.match(name)
    return match and (int(match[1] or match[3] or 0), int(match[2] or 0))


def choose_face(
    names: list[str], face: int, title: str, on_note: Callable[[str], Any]
) -> list[str]:
    """Returns those image files that are OpenFace's crops of one face.

    Args:
        title: where they are, printable.
        on_note: called with a line that counts the others, if there are any.

    Raises:
        RefusedError: there is none.
    """
    crops = [parse_crop(name.rpartition("/")[2]) for name in names]
    found = zip(names, crops, strict=True)
    chosen = [name for name, crop in found if crop and crop[0] == face]
    if chosen:
        others = len(names) - len(chosen)
        if others:
            on_note(
                f"--face: {others} of {len(names)} pictures in {title} are left out,"
                f" not of face {face}"
            )
        return chosen
    faces = sorted({crop[0] for crop in crops if crop})
    if not faces:
        raise RefusedError(
            f"--face: {face} found and no crop in {title} is called as OpenFace calls"
            " them (frame_det_00_000001.bmp); leave it out"
        )
    raise RefusedError(
        f"--face: {face} found, {_join(map(str, faces))} expected, the faces in {title}"
    )


def describe_faces(folder: str, names: list[str], advice: str) -> str | None:
    """Returns a line if OpenFace's crops of several faces are in one folder, or None.

    Args:
        folder: what `names` of image files are relative to.
        advice: how to choose one.
    """
    counts = defaultdict(Counter)  # folder -> face -> crops
    for name in names:
        below, _, last = name.rpartition("/")
        if crop := parse_crop(last):
            counts[below][crop[0]] += 1
    mixed = [(below, faces) for below, faces in counts.items() if len(faces) > 1]
    if not mixed:
        return None
    below, faces = mixed[0]
    shown = _join(f"face {face} ({faces[face]})" for face in sorted(faces))
    others = f" (and so in {len(mixed) - 1} more)" if mixed[1:] else ""
    place = printable(os.path.join(folder, below) if below else folder)
    return (
        f"{place}: crops of {len(faces)} faces in one"
        f" folder: {shown}{others}; all are taken for one person, {advice}"
    )


def describe_folders(folder: str, names: list[str]) -> str | None:
    """Returns a line if image files below a folder are in several, or None."""
    counts = Counter(name.rpartition("/")[0] for name in names)
    if len(counts) < 2:
        return None
    shown = _join(
        f"{printable(below) or 'itself'} ({counts[below]})"
        for below in sorted(counts, key=natural_key)
    )
    return (
        f"{printable(folder)}: pictures in {len(counts)} folders: {shown}; all are"
        " taken for one person, give each folder alone if they are of several"
    )


def _join(items):
    items = list(items)
    return ", ".join(items[:SHOWN] + ["..."] * (len(items) > SHOWN))


def find_csv(folder: str | os.PathLike) -> str | None:
    """Returns the path of the CSV beside a folder of aligned crops, or None.

    A folder that is reached through a link may have it beside the link or itself.
    """
    for place in (os.path.abspath(folder), os.path.realpath(folder)):
        path = place.removesuffix(SUFFIX) + ".csv"
        if place.endswith(SUFFIX) and os.path.isfile(path):
            return path
    return None


def read_failed(
    path: str, min_confidence: float, crops: Iterable[tuple[int, int] | None]
) -> set[tuple[int, int]]:
    """Returns the crops that failed: no success, or too little confidence.

    Args:
        crops: (face, frame) of those that are asked about.

    Raises:
        RefusedError: it can't be read, or is not what OpenFace writes.
    """
    name, wanted, failed = printable(path), set(crops), set()
    try:
        with open(path, encoding=_find_encoding(path), errors="replace") as file:
            lines = _read_lines(file, name)
            parse = _find_columns(next(lines, ""), name)
            for number, line in enumerate(lines, 2):
                if not line.strip(_BLANK):
                    continue
                try:
                    crop, confidence, success = parse(line)
                except (ValueError, IndexError):
                    raise RefusedError(
                        f"{name}: line {number} is not numbers in columns, OpenFace's"
                        " CSV expected; mend it or move it away"
                    ) from None
                if crop in wanted and not (success and confidence >= min_confidence):
                    failed.add(crop)
    except OSError as error:
        raise RefusedError(
            f"{name}: {explain(error)}, OpenFace's CSV expected"
        ) from None
    return failed


def _find_encoding(path):
    """UTF-8, marked or not, unless the file says that it is UTF-16."""
    with open(path, "rb") as file:
        start = file.read(2)
    marks = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE
    return "utf-16" if start in marks else "utf-8-sig"


def _read_lines(file, name):
    while line := file.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise RefusedError(
                f"{name}: a line of over {MAX_LINE} characters found, OpenFace's CSV"
                " expected; mend it or move it away"
            )
        yield line


def _find_columns(titles, name):
    """Returns a function from a line to ((face, frame), confidence, success).

    Raises:
        RefusedError: a column is missing in `titles`, the first line.
    """
    delimiter = max(",;\t", key=titles.count)
    names = _split(titles, delimiter, -1)
    places = {title.strip(): at for at, title in enumerate(names)}
    is_sequence = "frame" in places or "face" not in places
    for title in _FRAME_COLUMNS if is_sequence else _FACE_COLUMNS:
        if title not in places:
            raise RefusedError(
                f"{name}: no column {title!r}, OpenFace's CSV expected beside a folder"
                f" called *{SUFFIX}; move it away if it is another"
            )
    face = places.get("face_id" if is_sequence else "face")
    frame, success = places.get("frame"), places.get("success")
    confidence = places["confidence"]
    most = 1 + max(filter(None, (face, frame, success, confidence)))

    def parse(line):
        row = _split(line, delimiter, most)
        crop = (
            0 if face is None else _parse_whole(row[face]),
            _parse_whole(row[frame]) if is_sequence else 0,
        )
        certainty = _parse_number(row[confidence])
        if certainty > MAX_CONFIDENCE:
            raise ValueError
        return crop, certainty, success is None or _parse_number(row[success]) == 1

    return parse


def _split(line, delimiter, most):
    """Parts a line, no oftener than `most` if it is plain, as OpenFace writes it."""
    if '"' in line:  # a spreadsheet has quoted something
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    return line.split(delimiter, most)


def _parse_whole(text):
    match = _WHOLE.fullmatch(text)
    if not match:
        raise ValueError
    return int(match[1])


def _parse_number(text):
    return float(text.replace(",", "."))
