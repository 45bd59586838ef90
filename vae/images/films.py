"""Films out: a sequence of images and the times at which they are shown.

Videos are encoded by PyAV, which is an extra. Pillow encodes the frames of GIF, WebP
and PNG; they are put together here, one after another, since Pillow holds all frames of
an animation until the last one is there, and rounds their times. Equal frames give
equal bytes, on any number of cores.
"""

import contextlib
import io
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import GifImagePlugin

from vae.errors import RefusedError, VaeError
from vae.files import explain, printable, write_aside
from vae.images.pixels import to_picture
from vae.parallel import map_ordered

try:
    import av
except ImportError:
    av = None

# Encoders. Threads are fixed, since bytes depend on them; and frames are in the order
# that they are shown in ("bf"), since MP4 gives the last one no length otherwise.
X264 = "libx264", {"crf": "16", "preset": "veryfast", "bf": "0", "threads": "2"}
VP9 = "libvpx-vp9", {"crf": "18", "b": "0", "cpu-used": "5", "threads": "2"}
VIDEOS = {".mp4": ("mp4", *X264), ".mov": ("mov", *X264), ".webm": ("webm", *VP9)}
ANIMATIONS = (".gif", ".webp", ".png")
SUFFIXES = (*VIDEOS, *ANIMATIONS)
WEBP_QUALITY = 90
OPUS_RATE = 48000  # hertz, the only rate that FFmpeg's Opus always takes
MOST_AHEAD = 500  # packets of sound that are read to find the first of each track
MOST_TERMS = 65535  # of the fraction that is a PNG's delay
BT709 = 1  # the number of these colours in FFmpeg's lists
LIMITED = 1  # FFmpeg's range of 16 to 235
Chunk = tuple[bytes, bytes]  # name, content


class Frame(NamedTuple):
    """An image of a film.

    Attributes:
        image: uint8 (H, W, C), C 1 or 3, of the same shape throughout a film.
        start, length: when and how long it is shown, in the film's ticks.
    """

    image: np.ndarray
    start: int
    length: int


def check_film(option: str, path: str) -> None:
    """Raises RefusedError unless a film of this name can be written.

    Args:
        option: what begins the message.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise RefusedError(
            f"{option}: {printable(path)} found, a name that ends in one of"
            f" {' '.join(SUFFIXES)} expected"
        )
    if suffix in VIDEOS and av is None:
        raise RefusedError(
            f"{option}: PyAV is needed to write {suffix}: pip install"
            f" 'vae-faces[video]', or write one of {' '.join(ANIMATIONS)}"
        )
    if suffix in VIDEOS and VIDEOS[suffix][1] not in av.codecs_available:
        raise RefusedError(
            f"{option}: this PyAV is without {VIDEOS[suffix][1]}, which {suffix} needs;"
            f" write one of {' '.join(ANIMATIONS)}"
        )


def write_film(
    path: str | os.PathLike,
    frames: Iterable[Frame],
    tick: Fraction,
    sound: Any = None,
    warn: Callable[[str], Any] = lambda line: None,
) -> int:
    """Writes a film whole or not at all, in place of what was there.

    Times are exact in MP4 and MOV; WebM and WebP have milliseconds, GIF hundredths of a
    second, PNG fractions, and rounding never adds up. Few frames are held at any time.

    Args:
        path: its suffix, one of `SUFFIXES`, decides the kind.
        tick: seconds.
        sound: an open PyAV container whose sound goes along, packet by packet as it is
            wherever the kind can hold it; else it is encoded again.
        warn: called with a line about what can't be kept.

    Returns:
        The number of frames.

    Raises:
        VaeError: it can't be written; an older file is still intact.
    """
    suffix = os.path.splitext(path)[1].lower()
    with write_aside(path) as aside:
        if suffix in VIDEOS:
            try:
                return _write_video(path, aside, frames, tick, sound, warn)
            except av.FFmpegError as error:
                text = f"{printable(path)}: can't be encoded ({explain(error)})"
                raise VaeError(text) from error
        if sound is not None and sound.streams.audio:
            warn(f"{printable(path)}: without the sound, which {suffix} can't hold")
        with open(aside, "wb") as file:
            write = {".gif": _write_gif, ".webp": _write_webp, ".png": _write_png}
            return write[suffix](file, frames, tick)


def _write_video(path, aside, frames, tick, sound, warn):
    form, codec, options = VIDEOS[os.path.splitext(path)[1].lower()]
    # Without the flag, some containers hold a random number and the library's version.
    settings = {"fflags": "bitexact"}
    if form in ("mp4", "mov"):
        # By default the start of a film is rounded to milliseconds.
        settings |= {"movflags": "faststart", "movie_timescale": str(tick.denominator)}
    with ExitStack() as stack:
        container = stack.enter_context(
            av.open(f"file:{aside}", "w", format=form, container_options=settings)
        )
        encoder, count = None, 0
        for frame in frames:
            count += 1
            if encoder is None:
                encoder = _VideoEncoder(container, codec, options, frame, tick)
                track = _Soundtrack(container, sound, path, warn)
            track.write_until(frame.start * tick)
            encoder.write(frame)
        if encoder:
            encoder.write(None)
            track.write_until(None)
    return count


class _VideoEncoder:
    """The pictures of a video."""

    def __init__(self, container, codec, options, first, tick):
        height, width = first.image.shape[:2]
        rate = (1 / (max(first.length, 1) * tick)).limit_denominator(100_000)
        self._stream = container.add_stream(codec, rate=rate, options=dict(options))
        # Colours have half the resolution, so that sides must be even.
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.time_base = self._stream.time_base = tick
        context.color_range = LIMITED
        context.colorspace = context.color_primaries = context.color_trc = BT709
        self._container, self._tick, self._lengths = container, tick, {}

    def write(self, frame):
        """Encodes a frame, or, given None, what waits."""
        if frame is not None:
            self._lengths[frame.start] = frame.length
            frame = self._convert(frame)
        for packet in self._stream.encode(frame):
            packet.duration = self._lengths.pop(packet.pts, 0)
            self._container.mux(packet)

    def _convert(self, frame):
        image = frame.image
        if image.shape[2] == 1:
            image = np.repeat(image, 3, axis=2)
        odd = [(0, length % 2) for length in image.shape[:2]]
        image = np.ascontiguousarray(np.pad(image, [*odd, (0, 0)], "edge"))
        picture = av.VideoFrame.from_ndarray(image, "rgb24").reformat(
            format="yuv420p", dst_colorspace="ITU709", dst_color_range=LIMITED
        )
        picture.pts, picture.time_base = frame.start, self._tick
        return picture


class _Soundtrack:
    """The sound that goes along with a video."""

    def __init__(self, container, source, path, warn):
        self._container, self._path, self._warn = container, printable(path), warn
        self._outputs, self._next = (
            {},
            None,
        )  # stream of the source -> stream, resampler
        streams = list(source.streams.audio) if source is not None else []
        packets = source.demux(streams) if streams else iter(())
        held = self._look_ahead(packets, len(streams))
        self._packets = self._read(chain(held, packets))
        for stream in streams:
            first = next((each for each in held if each.stream is stream), None)
            framed = first is not None and _is_adts(stream, first)
            if not framed and _can_copy(container.format.name, stream, first):
                copied = container.add_stream_from_template(stream)
                self._outputs[stream] = copied, None
            else:
                self._outputs[stream] = self._encode_again(stream)

    def _look_ahead(self, packets, streams):
        """Returns packets until there is one of each stream."""
        held, seen = [], set()
        for packet in self._read(packets):
            held.append(packet)
            seen.add(packet.stream)
            if len(seen) == streams or len(held) == MOST_AHEAD:
                break
        return held

    def _read(self, packets):
        """Yields packets, as far as they can be read."""
        try:
            yield from (packet for packet in packets if packet.size)  # others end it
        except av.FFmpegError as error:
            self._warn(f"{self._path}: the sound ends early ({explain(error)})")

    def _encode_again(self, stream):
        held = stream.codec_context.codec.canonical_name
        codec = self._container.default_audio_codec
        self._warn(f"{self._path}: the sound, {held}, is encoded again as {codec}")
        rate = OPUS_RATE if "opus" in codec else stream.rate
        encoded = self._container.add_stream(codec, rate=rate)
        return encoded, av.AudioResampler(encoded.format.name, "stereo", rate)

    def write_until(self, time):
        """Writes what is heard before a time in seconds, or, given None, the rest."""
        while packet := self._next or next(self._packets, None):
            self._next = packet
            at = packet.dts if packet.dts is not None else packet.pts
            if time is not None and at is not None and at * packet.time_base >= time:
                return
            self._next = None
            self._write(packet)
        if time is None:
            for stream, resampler in self._outputs.values():
                if resampler:
                    self._encode(stream, resampler, None)

    def _write(self, packet):
        stream, resampler = self._outputs[packet.stream]
        if resampler:
            with contextlib.suppress(av.InvalidDataError):  # a gap in the sound
                for frame in packet.decode():
                    self._encode(stream, resampler, frame)
        else:
            packet.stream = stream
            self._container.mux(packet)

    def _encode(self, stream, resampler, frame):
        for part in resampler.resample(frame):
            self._container.mux(stream.encode(part))
        if frame is None:
            self._container.mux(stream.encode(None))


def _is_adts(stream, packet):
    """Whether each packet of AAC has a header of its own, as in MPEG-TS.

    Other containers want it in one place, and their muxers fail at the end only.
    """
    is_aac = stream.codec_context.codec.canonical_name == "aac"
    return is_aac and bytes(packet)[:1] == b"\xff" and bytes(packet)[1] & 0xF0 == 0xF0


def _can_copy(form, stream, packet):
    """Whether a container takes sound as it is; only a trial tells for sure."""
    try:
        with av.open(io.BytesIO(), "w", format=form) as trial:
            copied = trial.add_stream_from_template(stream)
            if packet is not None:
                one = av.Packet(bytes(packet))
                one.pts, one.dts = packet.pts, packet.dts
                one.time_base, one.stream = packet.time_base, copied
                trial.mux(one)
    except (av.FFmpegError, ValueError):
        return False
    return True


def _write_png(file, frames, tick):
    """Writes an animated PNG (third edition of the specification, 2025)."""
    number = 0  # of a chunk that belongs to the animation

    def delay(length: Fraction) -> Fraction:
        length = max(length, Fraction(1, MOST_TERMS))
        if length.numerator > MOST_TERMS or length.denominator > MOST_TERMS:
            most = min(MOST_TERMS, int(MOST_TERMS / length))
            length = length.limit_denominator(max(1, most))
        return min(length, Fraction(MOST_TERMS))

    count = 0
    for picture, shown in _encode_each(frames, tick, _to_png, delay):
        if not count:
            file.write(b"\x89PNG\r\n\x1a\n")
            header = next(content for name, content in picture if name == b"IHDR")
            size = header[:8]
            _write_png_chunk(file, b"IHDR", header)
            place = file.tell()
            _write_png_chunk(file, b"acTL", bytes(8))
        count += 1
        control = struct.pack(">I8sII", number, size, 0, 0)
        control += struct.pack(">HHBB", shown.numerator, shown.denominator, 0, 0)
        _write_png_chunk(file, b"fcTL", control)
        number += 1
        for name, content in picture:
            if name != b"IDAT":
                continue
            if count > 1:
                name, content = b"fdAT", struct.pack(">I", number) + content
                number += 1
            _write_png_chunk(file, name, content)
    if count:
        _write_png_chunk(file, b"IEND", b"")
        file.seek(place)
        _write_png_chunk(file, b"acTL", struct.pack(">II", count, 0))
    return count


def _to_png(image) -> list[Chunk]:
    content = io.BytesIO()
    to_picture(image).save(content, "PNG", compress_type=zlib.Z_RLE)
    return list(_cut_chunks(content.getvalue()[8:], ">I4s", 4))


def _write_png_chunk(file: BinaryIO, name: bytes, content: bytes) -> None:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    file.write(struct.pack(">I", len(content)) + name + content + checksum)


def _write_webp(file, frames, tick):
    """Writes an animated WebP (RFC 9649, section 2.7)."""
    count = 0
    for picture, shown in _encode_each(frames, tick, _to_webp, _round_to(1000)):
        chunks, width, height = picture
        sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        if not count:
            file.write(b"RIFF\0\0\0\0WEBP")
            animated = 2
            file.write(b"VP8X" + struct.pack("<II", 10, animated) + sides)
            file.write(b"ANIM" + struct.pack("<IIH", 6, 0, 0))
        count += 1
        length = min(int(shown * 1000), (1 << 24) - 1).to_bytes(3, "little")
        unblended = b"\2"
        content = bytes(6) + sides + length + unblended + chunks
        file.write(b"ANMF" + struct.pack("<I", len(content)) + content)
    size = file.tell() - 8
    file.seek(4)
    file.write(struct.pack("<I", size))
    return count


def _to_webp(image):
    content = io.BytesIO()
    picture = to_picture(image).convert("RGB")
    picture.save(content, "WEBP", quality=WEBP_QUALITY, method=4)
    return content.getvalue()[12:], picture.width, picture.height


def _write_gif(file, frames, tick):
    """Writes an animated GIF; each frame has 256 colours of its own."""
    count = 0
    for picture, shown in _encode_each(frames, tick, _to_gif, _round_to(100)):
        if not count:
            header, _ = GifImagePlugin.getheader(picture.copy(), info={"loop": 0})
            file.write(b"".join(header))
        count += 1
        length = int(shown * 1000)
        settings = {"duration": length, "include_color_table": True}
        file.write(b"".join(GifImagePlugin.getdata(picture, **settings)))
    file.write(b";")
    return count


def _to_gif(image):
    picture = to_picture(image)
    return picture if picture.mode == "L" else picture.quantize(256)


def _round_to(parts: int) -> Callable[[Fraction], Fraction]:
    """Returns a function that rounds seconds to so many parts of one, at least one."""
    return lambda length: Fraction(max(1, round(length * parts)), parts)


def _encode_each(frames, tick, encode, rounded) -> Iterator[tuple[Any, Fraction]]:
    """Yields each frame, encoded on all cores, and how long it is shown, in seconds.

    A frame is shown until the next; what rounding leaves is made up for by the next.
    """
    late, waiting = Fraction(0), None
    for picture, start, length in map_ordered(
        lambda frame: (encode(frame.image), frame.start, frame.length), frames
    ):
        if waiting:
            shown = rounded((start - waiting[1]) * tick + late)
            late += (start - waiting[1]) * tick - shown
            yield waiting[0], shown
        waiting = picture, start, length
    if waiting:
        yield waiting[0], rounded(waiting[2] * tick + late)


def _cut_chunks(content: bytes, head: str, tail: int) -> Iterator[Chunk]:
    """Yields (name, content) of chunks that begin with their length and their name."""
    at = 0
    while at < len(content):
        length, name = struct.unpack_from(head, content, at)
        at += struct.calcsize(head)
        yield name, content[at : at + length]
        at += length + tail
