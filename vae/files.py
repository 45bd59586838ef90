"""File names and file replacement: what is safe to print, sort by and write to.

Names come from strangers' folders, so that any of them may hold line breaks, bytes that
are no text, or a name that another system reserves. Standard library only.
"""

import contextlib
import errno
import functools
import itertools
import os
import re
import secrets
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from vae.errors import RefusedError, VaeError

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None

_NO_FOLDER_SYNC = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS}
_NO_FOLDER_SYNC |= {errno.EISDIR, errno.EACCES, errno.EPERM}
MAX_NAME = 255  # bytes of one path part, on every common file system
_NUMBER_ROOM = 12  # bytes kept free for the number of a colliding name
# Control characters, other line breaks, what Windows forbids, bytes that are no text.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029<>:"|?*\\\ud800-\udfff]')
_RESERVED = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    port + digit for port in ("COM", "LPT") for digit in "0123456789¹²³"
}


def printable(path: str | bytes | os.PathLike) -> str:
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


def explain(error: OSError) -> str:
    """Returns the reason an `OSError` gives, in one line and without the path."""
    return " ".join((error.strerror or str(error)).lower().split())


def check_regular(path: str | os.PathLike) -> None:
    """Raises OSError unless a path is a file; a named pipe would wait for ever."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("not a regular file")


def natural_key(name: str) -> tuple[list, str]:
    """Returns a sort key that puts `frame_2` before `frame_10`, part by path part.

    Case and Unicode form count only between names that are equal otherwise.
    """
    return [_part_key(part) for part in name.split("/")], name


def _part_key(part):
    pieces = re.split("([0-9]+)", unicodedata.normalize("NFC", part).casefold())
    pieces[1::2] = map(int, pieces[1::2])  # always text, number, text, ... text
    return pieces


def plan_outputs(names: list[str], suffix: str = ".png") -> list[str]:
    """Returns one output path for each input path, all of them distinct and writable.

    `clip/a.jpg` becomes `clip/a.png`. Where that is the output of several inputs, or a
    folder of another output, the extension stays in the name (`a_jpg.png`), and a
    number follows where even that is taken (`a_jpg_2.png`). Paths that differ in case
    or Unicode form alone count as equal, since they are one file on some systems.

    Args:
        names: relative paths with "/" between parts.
        suffix: ASCII text that ends every output name.
    """
    plain = [_safe_stem(name, len(suffix)) + suffix for name in names]
    same = [_identity(path) for path in plain]
    folders = {
        path[: slash.start()] for path in same for slash in re.finditer("/", path)
    }
    counts = Counter(same)
    taken = folders | {path for path in same if counts[path] == 1}
    numbers = Counter()
    outputs = []
    for name, path, identity in zip(names, plain, same, strict=True):
        if counts[identity] > 1 or identity in folders:
            path = _free_path(name, suffix, taken, numbers)
            taken.add(_identity(path))
        outputs.append(path)
    return outputs


def _identity(path):
    folded = unicodedata.normalize("NFC", path).casefold()
    return unicodedata.normalize("NFC", folded)


def _safe_stem(name, reserved, extended=False):
    """Returns an output path without suffix, for which `reserved` bytes are kept free.

    `extended`: the extension stays in it, as `_jpg`.
    """
    *folders, last = name.split("/")
    stem, extension = os.path.splitext(last)
    if extended:
        stem += extension.replace(".", "_")
    folders = map(_sanitised, filter(None, folders))
    return "/".join([*folders, _sanitised(stem, MAX_NAME - reserved)])


def _free_path(name, suffix, taken, numbers):
    """Tries `name` with its extension in the stem, then with 2, 3, ... after that.

    `numbers` remembers the last one tried, so that many twins take linear time.
    """
    start = _safe_stem(name, len(suffix) + _NUMBER_ROOM, extended=True)
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


def find_writable_folder(path: str | os.PathLike) -> str:
    """Returns the folder at a path or, of those above it, the first that exists.

    Raises:
        RefusedError: what exists there is a file, or nothing can be written in it.
    """
    name, path = printable(path), Path(os.path.abspath(path))
    folder = str(next(at for at in (path, *path.parents) if os.path.lexists(at)))
    if not os.path.isdir(folder):
        raise RefusedError(
            f"{name}: below {printable(folder)}, which is a file, a folder expected"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RefusedError(f"{name}: permission denied, a folder to write expected")
    return folder


def refuse_existing(
    folder: str | os.PathLike, names: Iterable[str], overwrite: bool
) -> None:
    """Raises RefusedError if a folder can't be written, or files are in it already.

    The folder need not be there yet; with `overwrite` the files may be replaced.
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


def refuse_overlap(files: Iterable[str], inputs: Iterable[str]) -> None:
    """Raises RefusedError if a file to write is an input, or lies in an input's folder.

    A link at the end of its path does not count, since it will be replaced.
    """
    resolve = functools.cache(os.path.realpath)
    for file in files:
        folder, last = os.path.split(os.path.abspath(file))
        outside = os.path.join(resolve(folder), last)
        for path in inputs:
            if outside == resolve(path):
                raise RefusedError(
                    f"{printable(file)}: an input as well, another file to write"
                    " expected"
                )
            if outside.startswith(os.path.join(resolve(path), "")):
                raise RefusedError(
                    f"{printable(file)}: inside the input {printable(path)}, another"
                    " folder expected, so that nothing of it is overwritten or read"
                )


def shorten_name(stem: str, ending: str) -> str:
    """Returns stem + ending; a long stem is cut, so that every disk takes the name."""
    kept = os.fsencode(stem)[: MAX_NAME - len(ending)]
    return kept.decode(errors="ignore") + ending


def refuse_output(
    option: str, path: str | None, ending: str, inputs: Iterable[str], overwrite: bool
) -> None:
    """Raises RefusedError if an option names a file that must not be written.

    Args:
        path: the file, or None.
        ending: of its name. inputs: files and folders it must be apart from.
    """
    if path is None:
        return
    if not path.lower().endswith(ending):
        raise RefusedError(f"{option}: {printable(path)} found, NAME{ending} expected")
    if os.path.isdir(path):
        found = f"{printable(path)}: a folder found, a file expected"
        raise RefusedError(f"{option}: {found}")
    refuse_overlap([path], inputs)
    refuse_existing(os.path.dirname(path) or ".", [os.path.basename(path)], overwrite)


def replace_file(path: str | os.PathLike, content: bytes, sync: bool = False) -> None:
    """Writes a file whole or not at all, in place of what was there.

    A link at `path` is replaced, its target left alone; missing folders are made.

    Args:
        sync: wait until the disk holds the file and its name, which is slow.

    Raises:
        VaeError: it can't be written; an older file is still intact.
    """
    replace_files({path: content}, sync)


def replace_files(contents: dict[str | os.PathLike, bytes], sync: bool = False) -> None:
    """Writes files of one folder as `replace_file` does: all of them aside, then each.

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
                file.write(content)
                if sync:
                    sync_file(file)
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


@contextlib.contextmanager
def write_aside(path: str | os.PathLike) -> Iterator[str]:
    """Yields the name of an empty file that takes the place of `path` at the end.

    Unless all went well it is removed, and an older file left as it was; missing
    folders are made, a link at `path` is replaced.

    Raises:
        VaeError: it can't be written.
    """
    folder = os.path.dirname(path) or "."
    aside = os.path.join(folder, f".{secrets.token_hex(8)}.tmp")
    try:
        os.makedirs(folder, exist_ok=True)
        open(aside, "xb").close()
        yield aside
        os.replace(aside, path)
    except OSError as error:
        reason = explain(error)
        raise VaeError(f"{printable(path)}: can't be written ({reason})") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(aside)


def sync_file(file: BinaryIO) -> None:
    """Waits until the disk holds an open file."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: str | os.PathLike) -> None:
    """Waits until the disk holds the names in a folder, where the disk can say so.

    Network disks and Windows can't; there the names are as safe as they get.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def lock_file(file: BinaryIO) -> bool | None:
    """Takes the lock of an open file, which ends with the process.

    Returns:
        False if another process holds it; None where there are no locks, as on some
        network disks and on Windows.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (AttributeError, OSError):
        return None
    return True
