"""Plain bitmaps, such as OpenFace writes: read without Pillow, in a third of the time.

Only the commonest kind is taken, 24 bits, not compressed and bottom row first. Of every
other file this module says that it is not one, and Pillow looks at it.
"""
import os
import struct

import numpy as np

# Of the file: magic, offset of the pixels. Of the picture: bytes of this header, width,
# height, planes, bits a pixel, compression.
_HEADER = struct.Struct("<2s8xIIiiHHI20x")
_KIND = 40  # bytes of the header of the picture; other kinds are rare
_FLAGS = os.O_RDONLY
for _name in ("O_BINARY", "O_CLOEXEC", "O_NONBLOCK"):  # a pipe won't be waited for
    _FLAGS |= getattr(os, _name, 0)


def read_bitmap_size(path):
    """Returns the (width, height) that a bitmap's header declares, or None.

    Raises:
        OSError: the file can't be read.
    """
    header = _read(path, _HEADER.size)
    if len(header) < _HEADER.size:
        return None
    magic, _, kind, width, height, *_ = _HEADER.unpack(header)
    plain = magic == b"BM" and kind == _KIND and width > 0 and height != 0
    return (width, abs(height)) if plain else None


def read_bitmaps(paths, width, height):
    """Reads those of some files that are plain bitmaps of one size.

    Pixels are those that Pillow reads, and a file that ends early is not taken.

    Returns:
        (images, taken): uint8 (B, H, W, 3), and the indices in `paths` of these.
    """
    stride = (3 * width + 3) // 4 * 4  # bytes of a row
    raw = np.empty((len(paths), height * stride), np.uint8)
    size = _HEADER.size + raw.shape[1]
    expected = (b"BM", _HEADER.size, _KIND, width, height, 1, 24, 0)
    taken = []
    for index, path in enumerate(paths):
        try:
            content = _read(path, size)
        except OSError:  # Pillow's turn, and then the reason is told
            continue
        if len(content) == size and _HEADER.unpack_from(content) == expected:
            pixels = np.frombuffer(content, np.uint8, offset=_HEADER.size)
            raw[len(taken)] = pixels
            taken.append(index)
    rows = raw[: len(taken)].reshape(-1, height, stride)[:, ::-1, : 3 * width]
    images = np.empty((len(taken), height, width, 3), np.uint8)
    for channel in range(3):  # stored as BGR; one at a time is faster than all at once
        images[..., channel] = rows[..., 2 - channel :: 3]
    return images, taken


def _read(path, size):
    """Returns the first `size` bytes of a file, or those there are."""
    descriptor = os.open(path, _FLAGS)
    try:
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)
