"""The pictures of a folder, in natural order, and what is left out of it."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from vae.errors import RefusedError
from vae.files import explain, natural_key, printable

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
EXTENSIONS += (".apng", ".jfif", ".jif", ".jpe", ".dib")  # seldom; as Pillow has them
# Pictures and videos that a folder may hold and that are not read from it.
_OTHER_EXTENSIONS = frozenset(
    ".gif .heic .heif .avif .jxl .jp2 .j2k .jpx .jxr .psd .xcf .tga .exr .hdr .svg .eps"
    " .ppm .pgm .pbm .pnm .pcx .ico .icns .mpo .dng .cr2 .cr3 .crw .nef .nrw .arw .srf"
    " .sr2 .orf .rw2 .raf .pef .srw .3fr .raw"
    " .mp4 .m4v .mov .avi .mkv .webm .mpg .mpeg .wmv".split()
)
# What systems leave behind, in any case; names that begin with a dot are besides.
_SYSTEM_NAMES = frozenset(
    ("__macosx", "@eadir", "@recycle", "#recycle", "$recycle.bin", "lost+found")
    + ("system volume information", "thumbs.db", "desktop.ini")
)
_HIDDEN_FILE, _HIDDEN_FOLDER = "hidden or system file", "hidden or system folder"
_BROKEN, _OUTWARD = "broken link", "link that leads out of it"
_PLURALS = {kind: f"{kind}s" for kind in (_HIDDEN_FILE, _HIDDEN_FOLDER, _BROKEN)}
_PLURALS[_OUTWARD] = "links that lead out of it"


def find_images(
    folder: str | os.PathLike, on_note: Callable[[str], Any] | None = None
) -> list[str]:
    """Returns the paths of all image files below `folder`, in natural order.

    They are relative to it, with "/" between parts. A file counts by its extension, in
    any case; pipes and folders of such a name are returned as well, for `read_image` to
    refuse. Hidden names, what systems leave behind (`__MACOSX`) and links that lead out
    of `folder` are left out. Linked folders are not entered; what they hold is found
    where it is.

    Args:
        on_note: called with a line that counts what is left out, if anything is.

    Raises:
        RefusedError: `folder` or one below can't be listed, or there is no image.
    """
    root = os.path.join(os.path.realpath(folder), "")
    names, left_out, pending = [], Counter(), [(folder, "")]
    while pending:
        path, prefix = pending.pop()
        for entry in _list_folder(path):
            kind = _find_kind(entry, root)
            if kind:
                left_out[kind] += 1
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append((entry.path, f"{prefix}{entry.name}/"))
            if _find_extension(entry) in EXTENSIONS:
                names.append(prefix + entry.name)
    counts = f"left out: {_list_counts(left_out)}"
    if not names:
        counts = f"; {counts}" if left_out else ""
        raise RefusedError(
            f"{printable(folder)}: no image found "
            f"(looked for {' '.join(EXTENSIONS)}{counts})"
        )
    if on_note and left_out:
        is_picture = not _OTHER_EXTENSIONS.isdisjoint(left_out)
        read = "; PNG, JPEG, BMP, WebP and TIFF are read" if is_picture else ""
        on_note(f"{printable(folder)}: {counts}{read}")
    return sorted(sorted(names), key=natural_key)  # what is in order sorts fast


def _find_extension(entry):
    return os.path.splitext(entry.name)[1].lower()


def _find_kind(entry, root):
    """Returns what an entry is left out as, or None.

    A broken link is kept if it is called like an image, to be told by its name.
    """
    extension = _find_extension(entry)
    if entry.name.startswith(".") or entry.name.lower() in _SYSTEM_NAMES:
        return _HIDDEN_FOLDER if entry.is_dir(follow_symlinks=False) else _HIDDEN_FILE
    if entry.is_symlink():
        is_image = extension in EXTENSIONS
        leads_out = not os.path.realpath(entry).startswith(root)
        if not os.path.exists(entry):
            return None if is_image and not leads_out else _BROKEN
        if leads_out and (is_image or entry.is_dir()):
            return _OUTWARD
    return extension if extension in _OTHER_EXTENSIONS and entry.is_file() else None


def _list_counts(counts):
    return ", ".join(
        f"{count} {_PLURALS.get(kind, kind) if count > 1 else kind}"
        for kind, count in sorted(counts.items())
    )


def _list_folder(folder: str | os.PathLike) -> Iterator[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise RefusedError(
            f"{printable(folder)}: can't be listed ({explain(error)}), "
            "a folder of images expected"
        ) from error
