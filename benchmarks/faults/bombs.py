"""Peak memory and time of small files that ask for a lot: the tool's worst cases.

    python benchmarks/faults/bombs.py

Each bomb is read by the tool in a process of its own. What is printed is its size, the
most memory that process (or its child) held above one that reads a good file of the
same kind, the processor time it took more than that one, and the first words of what it
said.
"""

import argparse
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

# Run as a script, Python looks for modules beside this file and not above it.
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import h5py  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from vae.checkpoint.model_files import write_model_files  # noqa: E402
from vae.checkpoint.storage import pack_arrays  # noqa: E402
from vae.config import ModelConfig  # noqa: E402
from vae.model.architecture import shape_arrays  # noqa: E402
from vae.model.latent import LatentStatistics, no_measures  # noqa: E402
from vae.strangers.features import FEATURES  # noqa: E402

RUN = """
import os, resource, sys
sys.path.insert(0, sys.argv[1])
import vae.commands.prepare, vae.commands.sample, vae.model.latent
from vae.cli import main
from vae.errors import VaeError
from vae.parallel import map_ordered
from vae.data.video import VideoSource
from vae.images.pixels import Target
from vae.images.reading import read_image, read_size
path, kind, started = sys.argv[2], sys.argv[3], sum(os.times()[:4])
try:
    if kind == "image":
        read_size(path)
        read_image(path, 112, 112, 3)
    elif kind == "video":
        target, source = Target(112, 112, 3, "crop"), VideoSource(path, 1)
        for number in map_ordered(
            lambda unit: len(source.load(unit, target).names), source.units(target)
        ):
            pass
    elif kind == "latent":
        vae.model.latent.load_statistics(path, open(path, "rb").read(), 30)
    elif kind == "model":
        main(["sample", "--walks", "1", "--output-dir", path + ".out", path])
    else:
        main(["prepare", path, path + ".out.h5"])
    said = "read"
except VaeError as error:
    said = str(error)
seconds = sum(os.times()[:4]) - started
with open("/proc/self/status") as file:
    own = [int(line.split()[1]) for line in file if line.startswith("VmHWM")]
children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print("FIGURES", max(*own, children), seconds, said)
"""


def png(width, height, extra=b""):
    """Returns a PNG of black rows, well packed."""
    head = width.to_bytes(4) + height.to_bytes(4) + bytes((8, 0, 0, 0, 0))
    packer = zlib.compressobj(9)
    row = bytes(width + 1)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    parts = png_chunk(b"IHDR", head) + extra + png_chunk(b"IDAT", rows)
    return b"\x89PNG\r\n\x1a\n" + parts + png_chunk(b"IEND", b"")


def png_chunk(name, data):
    """Returns one chunk of a PNG."""
    checked = name + data
    return len(data).to_bytes(4) + checked + zlib.crc32(checked).to_bytes(4)


def text_chunk():
    """Returns a PNG chunk of text that unpacks to 100 MB."""
    return png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100 << 20), 9))


def profile_chunk():
    """Returns a PNG chunk of a colour profile that unpacks to 1 MB."""
    return png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 20), 9))


def encoded(form, size, **options):
    """Returns a gray picture of one level in a format."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (9, 9, 9)).save(buffer, form, **options)
    return buffer.getvalue()


def many_scans():
    """Returns a JPEG of 64 megapixels whose last pass comes a thousand times."""
    content = encoded("JPEG", (8000, 8000), progressive=True, quality=10)
    last = content.rindex(b"\xff\xda")
    scan = content[last:-2]
    return (
        content[:last]
        + scan * max(1, min(1000, (200 << 20) // len(scan)))
        + b"\xff\xd9"
    )


MILLIONS = 5_000_000


def rationals():
    """Returns an EXIF record of five million rationals, and an orientation."""
    head = struct.pack("<2sHIH", b"II", 42, 8, 2)
    entries = struct.pack("<HHII", 0x0112, 3, 1, 6)
    entries += struct.pack("<HHII", 0x011A, 5, MILLIONS, 38)
    return head + entries + bytes(4) + bytes(8 * MILLIONS)


def jpeg_exif():
    """Returns a JPEG with that record in as many segments as it takes."""
    record, content = rationals(), encoded("JPEG", (112, 112))
    parts = [record[start : start + 65_000] for start in range(0, len(record), 65_000)]
    return content[:2] + b"".join(segment(b"\xe1", b"Exif\0\0" + p) for p in parts)


def segment(kind, body):
    """Returns one segment of a JPEG."""
    return b"\xff" + kind + (len(body) + 2).to_bytes(2) + body


def jpeg_comments():
    """Returns a JPEG of a million comments."""
    content = encoded("JPEG", (112, 112))
    return content[:2] + segment(b"\xfe", b"x") * 1_000_000 + content[2:]


def jpeg_frames():
    """Returns a JPEG whose directory lists five million pictures."""
    content = encoded("JPEG", (112, 112))
    entry = struct.pack("<HHII", 0xB001, 4, 1, MILLIONS)
    index = struct.pack("<2sHIH", b"II", 42, 8, 1) + entry
    return content[:2] + segment(b"\xe2", b"MPF\0" + index) * 4000 + content[2:]


def tiff(tags, pages=1, rest=b""):
    """Returns a TIFF of 8x8 gray pixels; tags: (number, type, count, value)."""
    plain = {256: (3, 1, 8), 257: (3, 1, 8), 258: (3, 1, 8), 259: (3, 1, 1)}
    plain |= {262: (3, 1, 1), 273: (4, 1, 8), 278: (3, 1, 8), 279: (4, 1, 64)}
    plain |= tags
    size = 2 + 12 * len(plain) + 4
    entries = [struct.pack("<HHII", tag, *plain[tag]) for tag in sorted(plain)]
    body = len(plain).to_bytes(2, "little") + b"".join(entries)
    places = [72 + size * (page + 1) for page in range(pages)]
    places[-1] = 0
    directories = b"".join(body + place.to_bytes(4, "little") for place in places)
    return struct.pack("<2sHI", b"II", 42, 72) + bytes(64) + directories + rest


def tiff_strips():
    """Returns a TIFF of five million strips."""
    start = 72 + 2 + 12 * 8 + 4
    rest = bytes(4 * MILLIONS)
    tags = {273: (4, MILLIONS, start), 279: (4, MILLIONS, start), 278: (3, 1, 1)}
    return tiff(tags, rest=rest)


def tiff_again():
    """Returns a TIFF of 8000x7998 pixels that come twenty thousand times."""
    count, start, pixels = 40_000, 72 + 2 + 12 * 8 + 4, 8000 * 7997
    tags = {256: (3, 1, 8000), 257: (3, 1, 7998), 278: (3, 1, 7997)}
    tags |= {273: (4, count, start), 279: (4, count, start)}
    return tiff(tags, rest=struct.pack("<I", 8) * count + bytes(pixels))


def tiff_exif():
    """Returns a TIFF whose EXIF directory holds five million rationals."""
    start = 72 + 2 + 12 * 9 + 4
    entry = struct.pack("<HHHIII", 1, 0x829A, 5, MILLIONS, start + 18, 0)
    tags = {34665: (4, 1, start)}
    return tiff(tags, rest=entry + bytes(8 * MILLIONS))


def sparse(path):
    """Writes a TIFF of 3 GB, nearly all of which is a hole."""
    path.write_bytes(tiff({}))
    with path.open("r+b") as file:
        file.truncate(3 << 30)


def video(pictures, size):
    """Returns a function that writes an AVI of PNG pictures, as frames of one size."""

    def write(path):
        import av  # an extra

        with av.open(str(path), "w", format="avi") as container:
            stream = container.add_stream("png", rate=25)
            stream.width, stream.height = size
            stream.pix_fmt = "rgb24"
            for place, content in enumerate(pictures()):
                packet = av.Packet(content)
                packet.stream, packet.pts, packet.dts = stream, place, place
                packet.is_keyframe = True
                container.mux(packet)

    return write


def many_streams(path):
    """Writes a Matroska file of a thousand streams."""
    import av

    with av.open(str(path), "w", format="matroska") as container:
        for _ in range(1000):
            stream = container.add_stream("mpeg4", rate=25)
            stream.width = stream.height = 32
            stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame(32, 32, "yuv420p")
        for stream in container.streams:
            container.mux(stream.encode(frame))


def hdf5(add):
    """Returns a function that writes an HDF5 file with what `add` puts into it."""

    def write(path):
        with h5py.File(path, "w") as file:
            add(file)

    return write


def declared(file):
    """Declares a thousand million images and writes none."""
    file.create_dataset("data", (10**9, 64, 64, 3), "u1", chunks=(1, 64, 64, 3))


def giant_chunk(file):
    """Writes one chunk that unpacks to 240 MB."""
    data = file.create_dataset(
        "data", (20_000, 64, 64, 3), "u1", chunks=(20_000, 64, 64, 3), compression=9
    )
    data[0] = 1


def large_chunks(file):
    """Writes chunks of the most that is taken, 64 MB, as floats."""
    rows = (64 << 20) // (64 * 64 * 3 * 4)
    shape = (rows, 64, 64, 3)
    file.create_dataset(
        "data", (4 * rows, 64, 64, 3), "f4", chunks=shape, compression=1
    )
    for start in range(0, 4 * rows, rows):
        file["data"][start : start + rows] = np.zeros(shape, "f4")


def deflate_zeros(megabytes):
    """Returns a zlib stream of so many megabytes of zeros; the same block, repeated."""
    packer = zlib.compressobj(9)
    start = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = (megabytes << 20) % 65521 << 16 | 1  # Adler-32
    return start[:2] + start[2:] * megabytes + b"\x03\0" + checksum.to_bytes(4)


def deep_chunk(file):
    """Writes a chunk of 4 MB, between others, that unpacks to 4 GB."""
    shape = (1020, 64, 64, 3)
    data = file.create_dataset(
        "data", shape, "u1", chunks=(340, 64, 64, 3), compression=1
    )
    data[:] = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    data.id.write_direct_chunk((340, 0, 0, 0), deflate_zeros(4000))


def long_names(file):
    """Writes origins of a quarter of a megabyte each."""
    file.create_dataset("data", data=np.zeros((256, 8, 8, 3), "u1"))
    names = file.create_dataset("source", (256,), h5py.string_dtype())
    names[:] = "x" * (1 << 18)


def long_layout(file):
    """Writes an attribute of 32 MB where a word is expected."""
    file.create_dataset("data", data=np.zeros((40, 8, 8, 3), "u1"))
    file["data"].attrs["layout"] = "rows-first" * (3 << 20)


def many_datasets(file):
    """Writes a file of thirty thousand datasets, none of them the one looked for."""
    for number in range(30_000):
        file.create_dataset(f"{number}", data=0)


def endless(path):
    """Writes an attribute that is never read to its end."""
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=np.zeros((40, 8, 8, 3), "u1"))
        file["data"].attrs["layout"] = "rows-first"
    content = bytearray(path.read_bytes())
    rest = content.index(b"GCOL") + 56
    content[rest : rest + 2] = (3876).to_bytes(2, "little")
    path.write_bytes(content)


def model(weights=None, text=None):
    """Returns a function that writes a model directory."""

    def write(path):
        config = ModelConfig()
        metadata = {"schema": 1, "model": config.to_dict()}
        shapes = shape_arrays(config)
        arrays = {name: np.zeros(shape, "f4") for name, shape in shapes.items()}
        size = config.latent_dim
        statistics = LatentStatistics(
            **{name: np.zeros(size, "f4") for name in ("mean", "std", "neutral")},
            covariance=np.zeros((size, size), "f4"),
            reader=np.zeros((FEATURES, size), "f4"),
            blink=np.zeros((2, size), "f4"),
            mouth_share=np.zeros(1, "f4"),
            **no_measures(size),
        )
        contents = {
            "weights.h5": weights or pack_arrays(arrays),
            "latent.npz": statistics.pack(),
        }
        write_model_files(path, metadata, contents)
        if text:
            (path / "metadata.json").write_bytes(text)

    return write


def giant_array():
    """Returns a file of weights with one array of 8 GB, packed to a few MB."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        chunks = (1 << 22,)
        file.create_dataset("a", (1 << 31,), "f4", chunks=chunks, compression=9)
    return buffer.getvalue()


def latent_bomb(path):
    """Writes statistics that unpack to four gigabytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("mean.npy", "w", force_zip64=True) as member:
            for _ in range(1024):
                member.write(bytes(4 << 20))


def put(content):
    """Returns a function that writes bytes, made when they are needed."""
    return lambda path: path.write_bytes(content())


BOMBS = {  # name -> (kind, function that writes it); a good file comes first
    "a good image": ("image", put(lambda: encoded("PNG", (112, 112)))),
    "the largest image that is read, 8000x8000": (
        "image",
        put(lambda: encoded("PNG", (8000, 8000))),
    ),
    "PNG of 10000x10000": ("image", put(lambda: png(10_000, 10_000))),
    "PNG of 20000x20000": ("image", put(lambda: png(20_000, 20_000))),
    "PNG of 1x65535": ("image", put(lambda: png(1, 65_535))),
    "PNG of 65535x900": ("image", put(lambda: png(65_535, 900))),
    "PNG with 100 MB of text": ("image", put(lambda: png(9, 9, text_chunk()))),
    "WebP of 16383x3900": ("image", put(lambda: encoded("WEBP", (16_383, 3_900)))),
    "TIFF of 8000x8000, deflated": (
        "image",
        put(lambda: encoded("TIFF", (8000, 8000), compression="tiff_adobe_deflate")),
    ),
    "JPEG of 8000x8000 in a thousand passes": ("image", put(many_scans)),
    "JPEG with EXIF of 5,000,000 rationals": (
        "image",
        put(lambda: jpeg_exif() + encoded("JPEG", (112, 112))[2:]),
    ),
    "PNG with EXIF of 5,000,000 rationals": (
        "image",
        put(lambda: png(9, 9, png_chunk(b"eXIf", rationals()))),
    ),
    "WebP with EXIF of 5,000,000 rationals": (
        "image",
        put(lambda: encoded("WEBP", (112, 112), exif=rationals())),
    ),
    "TIFF with EXIF of 5,000,000 rationals": ("image", put(tiff_exif)),
    "TIFF of 5,000,000 strips": ("image", put(tiff_strips)),
    "TIFF that sends 64 megapixels 20,000 times": ("image", put(tiff_again)),
    "TIFF of 1,000,000 pages": ("image", put(lambda: tiff({}, 1_000_000))),
    "TIFF of 3 GB, a hole": ("image", sparse),
    "JPEG with 1,000,000 comments": ("image", put(jpeg_comments)),
    "JPEG that lists 5,000,000 pictures": ("image", put(jpeg_frames)),
    "PNG with 1,000,000 texts": (
        "image",
        put(lambda: png(9, 9, png_chunk(b"tEXt", b"a\0b") * 1_000_000)),
    ),
    "PNG with 1,000 profiles of 1 MB": (
        "image",
        put(lambda: png(9, 9, profile_chunk() * 1_000)),
    ),
    "a good video": (
        "video",
        video(lambda: [encoded("PNG", (112, 112))] * 20, (112, 112)),
    ),
    "video of the largest frames, four of 8000x8000": (
        "video",
        video(lambda: [encoded("PNG", (8000, 8000))] * 4, (8000, 8000)),
    ),
    "video whose frames grow to 20000x20000": (
        "video",
        video(
            lambda: [encoded("PNG", (112, 112))] + [png(20_000, 20_000)] * 20,
            (112, 112),
        ),
    ),
    "video of 1,000 streams": ("video", many_streams),
    "a good data file": (
        "data",
        hdf5(lambda f: f.create_dataset("data", data=np.zeros((40, 8, 8, 3), "u1"))),
    ),
    "HDF5 that declares 10^9 images": ("data", hdf5(declared)),
    "HDF5 with a chunk of 240 MB": ("data", hdf5(giant_chunk)),
    "HDF5 with a chunk of 4 MB that unpacks to 4 GB": ("data", hdf5(deep_chunk)),
    "HDF5 with the largest chunks, of floats": ("data", hdf5(large_chunks)),
    "HDF5 with names of 256 KB": ("data", hdf5(long_names)),
    "HDF5 with an attribute of 32 MB": ("data", hdf5(long_layout)),
    "HDF5 with 30,000 datasets": ("data", hdf5(many_datasets)),
    "HDF5 that never ends": ("data", endless),
    "a good model": ("model", model()),
    "weights that unpack to 8 GB": ("model", model(weights=giant_array())),
    "metadata of 63 MB": (
        "model",
        model(text=b'{"schema": 1, "x": [' + b"[]," * (21 << 20) + b"0]}"),
    ),
    "metadata of 100,000 levels": ("model", model(text=b"[" * 100_000)),
    "latent.npz that unpacks to 4 GB": ("latent", latent_bomb),
}


def explode(kind, path):
    """Lets the tool read a file; returns (peak in MB, seconds, what it said)."""
    command = [sys.executable, "-c", RUN, ROOT, path, kind]
    found = subprocess.run(command, capture_output=True, text=True, timeout=600)
    line = [line for line in found.stdout.splitlines() if line.startswith("FIGURES")]
    if not line:
        raise RuntimeError(found.stderr[-2000:])
    _, peak, seconds, said = line[0].split(maxsplit=3)
    if kind in ("data", "model"):
        lines = [line for line in found.stderr.splitlines() if "error: " in line]
        said = lines[-1] if lines else "read"
    said = said.split("error: ")[-1].replace(f"{path}", "").lstrip("/:. ")
    return int(peak) / 1024, float(seconds), said


def find_size(path):
    """Returns the bytes of a file, or of those in a folder."""
    paths = path.rglob("*") if path.is_dir() else [path]
    return sum(path.stat().st_size for path in paths)


def main():
    """Prints a row for each bomb."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", help="also write the figures to a file")
    parser.add_argument("--only", default="", help="bombs whose name holds this")
    options = parser.parse_args()
    rows, base = [], None
    print("| file | size, KB | memory, MB more | CPU seconds more | what is said |")
    print("|---|---|---|---|---|")
    for name, (kind, write) in BOMBS.items():
        if options.only not in name and "good" not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bomb"
            write(path)
            size = find_size(path) / 1024
            peak, seconds, said = explode(kind, path)
        if "good" in name:
            base = (peak, seconds) if kind != "latent" else base
        more = peak - base[0], seconds - base[1]
        rows.append({"name": name, "size": size, "memory": more[0], "seconds": more[1]})
        cells = [name, f"{size:.0f}", f"{more[0]:.0f}", f"{more[1]:.1f}", said[:60]]
        print(f"| {' | '.join(cells)} |", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main())
