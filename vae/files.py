"""File names and file replacement: what is safe to print, sort by and write to.

Names come from strangers' folders, so that any of them may hold line breaks, bytes that
are no text, or a name that another system reserves. Standard library only.
"""

import contextlib
import itertools
import os
import re
import secrets
import unicodedata
from collections import Counter

from vae.errors import RefusedError, VaeError

MAX_NAME = 255  # bytes of one path part, on every common file system
_NUMBER_ROOM = 12  # bytes kept free for the number of a colliding name
# Control characters, other line breaks, what Windows forbids, bytes that are no text.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029<>:"|?*\\\ud800-\udfff]')
_RESERVED = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    port + digit for port in ("COM", "LPT") for digit in "0123456789¹²³"
}


def printable(path):
    """Returns `path` as one line of text that any UTF-8 stream takes.

    Line breaks, control characters and bytes that are no UTF-8 become backslash
    escapes; everything else stays as it is.
    """
    text = os.fsdecode(path)
    if text.isprintable():  # nearly all are, and of a folder's files it saves a third
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char):
    if "\udc80" <= char <= "\udcff":  # how Python carries a byte that is no UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()


def explain(error):
    """Returns the reason an `OSError` gives, in one line and without the path."""
    return " ".join((error.strerror or str(error)).lower().split())


def natural_key(name):
    """Returns a sort key that puts `frame_2` before `frame_10`, part by path part.

    Case and Unicode form count only between names that are equal otherwise.
    """
    return [_part_key(part) for part in name.split("/")], name


def _part_key(part):
    pieces = re.split("([0-9]+)", unicodedata.normalize("NFC", part).casefold())
    pieces[1::2] = map(int, pieces[1::2])  # always text, number, text, ... text
    return pieces


def plan_outputs(names, suffix=".png"):
    """Returns one output path for each input path, all of them distinct and writable.

    `clip/a.jpg` becomes `clip/a.png`. Where that is the output of several inputs, or a
    folder of another output, the extension stays in the name (`a_jpg.png`), and a
    number follows where even that is taken (`a_jpg_2.png`). Paths that differ in case
    or Unicode form alone count as equal, since they are one file on some systems.

    Args:
        names: list of relative paths with "/" between parts.
        suffix: ASCII text that ends every output name.
    """
    plain = [_output_path(name, suffix) for name in names]
    same = [_identity(path) for path in plain]
    folders = {path[:end] for path in same for end in _slashes(path)}
    counts = Counter(same)
    taken = folders | {path for path in same if counts[path] == 1}
    numbers = Counter()
    outputs = []
    for name, path, identity in zip(names, plain, same):
        if counts[identity] > 1 or identity in folders:
            path = _free_path(name, suffix, taken, numbers)
            taken.add(_identity(path))
        outputs.append(path)
    return outputs


def _identity(path):
    folded = unicodedata.normalize("NFC", path).casefold()
    return unicodedata.normalize("NFC", folded)


def _slashes(path):
    return (index for index, char in enumerate(path) if char == "/")


def _output_path(name, suffix):
    *folders, last = name.split("/")
    stem = _sanitised(os.path.splitext(last)[0], MAX_NAME - len(suffix))
    return "/".join([*map(_sanitised, filter(None, folders)), stem + suffix])


def _free_path(name, suffix, taken, numbers):
    """Tries `name` with its extension in the stem, then with 2, 3, ... after that.

    `numbers` remembers the last one tried, so that many twins take linear time.
    """
    *folders, last = name.split("/")
    stem, extension = os.path.splitext(last)
    tagged = stem + extension.replace(".", "_")
    tagged = _sanitised(tagged, MAX_NAME - len(suffix) - _NUMBER_ROOM)
    start = "/".join([*map(_sanitised, filter(None, folders)), tagged])
    for number in itertools.count(numbers[_identity(start)] + 1):
        path = f"{start}_{number}{suffix}" if number > 1 else start + suffix
        if _identity(path) not in taken:
            numbers[_identity(start)] = number
            return path


def _sanitised(part, room=MAX_NAME):
    """Returns a path part of at most `room` bytes that every system can store."""
    part = _FORBIDDEN.sub("_", part).encode()[: room - 1].decode(errors="ignore")
    part = part.rstrip(". ")
    if part.partition(".")[0].rstrip().upper() in _RESERVED:
        part = "_" + part
    return part or "_"


def find_writable_folder(path):
    """Returns the folder at a path or, of those above it, the first that exists.

    Raises:
        RefusedError: what exists there is a file, or nothing can be written in it.
    """
    name, folder = printable(path), os.path.abspath(path)
    while not os.path.isdir(folder):
        if os.path.lexists(folder):
            raise RefusedError(
                f"{name}: below {printable(folder)}, which is a file, a folder expected"
            )
        folder = os.path.dirname(folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RefusedError(f"{name}: permission denied, a folder to write expected")
    return folder


def refuse_existing(folder, names, overwrite):
    """Refuses a folder that can't be written, or files that are already there.

    Args:
        folder: where files will be written; it need not be there yet.
        names: their paths below it.
        overwrite: whether those that are there may be replaced.

    Raises:
        RefusedError
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise RefusedError(f"{printable(folder)}: a file found, a folder expected")
    existing = find_writable_folder(folder)
    if overwrite or existing != os.path.abspath(folder):
        return
    for name in names:
        if os.path.lexists(os.path.join(folder, name)):
            raise RefusedError(
                f"{printable(os.path.join(folder, name))}: already there; replace it"
                " with --overwrite, or name another folder"
            )


def replace_file(path, content, sync=False):
    """Writes a file whole or not at all, in place of what was there.

    A link at `path` is replaced, its target left alone; missing folders are made.

    Args:
        path: file to write.
        content: bytes.
        sync: wait until the disk holds the file and its name, which is slow.

    Raises:
        VaeError: it can't be written; an older file is still intact.
    """
    replace_files({path: content}, sync)


def replace_files(contents, sync=False):
    """Writes files of one folder as `replace_file` does: all of them aside, then each.

    Args:
        contents: dict of path -> bytes.
        sync: wait until the disk holds the files and their names.

    Raises:
        VaeError: one can't be written; unless it is for a name that another program
            took away, all older files are still intact.
    """
    aside = {}
    try:
        for path, content in contents.items():
            folder = os.path.dirname(path) or "."
            os.makedirs(folder, exist_ok=True)
            temporary = os.path.join(folder, f".{secrets.token_hex(8)}.tmp")
            # "x" is O_CREAT | O_EXCL, which follows no link at the end of a path.
            with open(temporary, "xb") as file:
                aside[path] = temporary
                _write(file, content, sync)
        for path in contents:
            os.replace(aside[path], path)
            del aside[path]
        if sync:
            sync_folder(folder)
    except OSError as error:
        reason = explain(error)
        raise VaeError(f"{printable(path)}: can't be written ({reason})") from error
    finally:
        for temporary in aside.values():
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _write(file, content, sync):
    file.write(content)
    if sync:
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder):
    """Waits until the disk holds the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
