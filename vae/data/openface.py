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


def parse_crop(name):
    """Returns (face, frame) of a crop's file name, or None if it is not OpenFace's."""
    match = _CROP_NAME.match(name)
    return match and (int(match[1] or 0), int(match[2]))


def find_csv(folder):
    """Returns the path of the CSV beside a folder of aligned crops, or None."""
    folder = os.path.abspath(folder)
    if not folder.endswith(SUFFIX):
        return None
    path = folder.removesuffix(SUFFIX) + ".csv"
    return path if os.path.isfile(path) else None


def read_failed(path, min_confidence):
    """Reads which frames failed: no success, or less confidence than asked for.

    Returns:
        Set of (face, frame).

    Raises:
        RefusedError: it can't be read, or is not what OpenFace writes.
    """
    name = printable(path)
    failed = set()
    try:
        with open(path, newline="", encoding="utf-8", errors="replace") as file:
            rows = csv.reader(file)
            columns = _find_columns(next(rows, []), name)
            for row in rows:
                if row:
                    key, failure = _read_row(row, columns, min_confidence)
                    failed.update([key] if failure else [])
    except OSError as error:
        raise RefusedError(
            f"{name}: {explain(error)}, OpenFace's CSV expected"
        ) from None
    except (csv.Error, ValueError, OverflowError, IndexError):
        raise RefusedError(
            f"{name}: line {rows.line_num} is not numbers in columns, OpenFace's CSV"
            " expected; mend it or move it away"
        ) from None
    return failed


def _find_columns(header, name):
    columns = {title.strip(): index for index, title in enumerate(header)}
    missing = [title for title in _COLUMNS if title not in columns]
    if missing:
        raise RefusedError(
            f"{name}: no column {missing[0]!r}, OpenFace's CSV expected beside a folder"
            f" called *{SUFFIX}; move it away if it is another"
        )
    return columns


def _read_row(row, columns, min_confidence):
    """Returns ((face, frame), whether it failed)."""
    frame, confidence, success = (float(row[columns[title]]) for title in _COLUMNS)
    face = float(row[columns["face_id"]]) if "face_id" in columns else 0
    passed = success == 1 and confidence >= min_confidence
    return (int(face), int(frame)), not passed
