"""OpenFace's results: which crops of a `NAME_aligned` folder it failed on.

The crops are called `frame_det_00_000001.bmp` (face, frame); `NAME.csv` beside the
folder has a row for each of them. Standard library only.
"""

import csv
import os
import re

from vae.errors import RefusedError
from vae.files import explain, printable

SUFFIX = "_aligned"
_CROP_NAME = re.compile(r"frame_det_(?:(\d+)_)?(\d+)\.\w+\Z")
_COLUMNS = ("frame", "confidence", "success")


def parse_crop(name: str) -> tuple[int, int] | None:
    """Returns (face, frame) of a crop's file name, or None if it is not OpenFace's."""
    match = _CROP_NAME.match(name)
    return match and (int(match[1] or 0), int(match[2]))


def find_csv(folder: str | os.PathLike) -> str | None:
    """Returns the path of the CSV beside a folder of aligned crops, or None."""
    folder = os.path.abspath(folder)
    path = folder.removesuffix(SUFFIX) + ".csv"
    return path if folder.endswith(SUFFIX) and os.path.isfile(path) else None


def read_failed(path: str, min_confidence: float) -> set[tuple[int, int]]:
    """Returns (face, frame) of what failed: no success, or too little confidence.

    Raises:
        RefusedError: it can't be read, or is not what OpenFace writes.
    """
    name, failed = printable(path), set()
    try:
        with open(path, newline="", encoding="utf-8", errors="replace") as file:
            lines = csv.reader(file)
            places = {title.strip(): at for at, title in enumerate(next(lines, []))}
            missing = [title for title in _COLUMNS if title not in places]
            if missing:
                raise RefusedError(
                    f"{name}: no column {missing[0]!r}, OpenFace's CSV expected beside"
                    f" a folder called *{SUFFIX}; move it away if it is another"
                )
            for line in filter(None, lines):
                frame, confidence, success = (float(line[places[t]]) for t in _COLUMNS)
                face = float(line[places["face_id"]]) if "face_id" in places else 0
                key = int(face), int(frame)
                if success != 1 or not confidence >= min_confidence:
                    failed.add(key)
    except OSError as error:
        raise RefusedError(
            f"{name}: {explain(error)}, OpenFace's CSV expected"
        ) from None
    except (csv.Error, ValueError, OverflowError, IndexError):
        raise RefusedError(
            f"{name}: line {lines.line_num} is not numbers in columns, OpenFace's CSV"
            " expected; mend it or move it away"
        ) from None
    return failed
