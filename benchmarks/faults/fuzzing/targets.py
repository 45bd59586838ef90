"""The readers of untrusted files, each with good files to start from.

A target is opened with a folder of its own; `read(content, guard)` lets the tool read a
damaged file. It returns "accepted" or "refused" or raises what is a finding. `guard` is
told when the reads that follow are no longer made in a child process first.
"""

import io
import json
import shutil

import h5py
import numpy as np
from PIL import Image

try:
    import av
except ImportError:
    av = None

from benchmarks.faults.fuzzing.mutations import damage_bytes, damage_csv, damage_json
from vae.checkpoint.directory import find_checkpoint, save_checkpoint
from vae.checkpoint.model_files import (
    read_metadata,
    read_model_files,
    write_model_files,
)
from vae.checkpoint.storage import CHECKPOINT_SCHEMA, pack_arrays
from vae.config import ModelConfig, TrainConfig
from vae.data import preflight
from vae.data.openface import read_failed
from vae.data.video import VideoSource
from vae.errors import ImageError, VaeError
from vae.images.pixels import Target
from vae.images.reading import read_image
from vae.training.progress import Arithmetic, Progress, read_state


class Finding(Exception):
    """The reader did something that it must never do."""


def told(error):
    """Returns "refused" for an error that is one line of text.

    Raises:
        Finding: it is not.
    """
    text = str(error)
    text.encode()
    if not text or len(text.splitlines()) != 1 or len(text) > 3000:
        raise Finding(f"message {text!r}")
    return "refused"


def _noise(*shape):
    rng = np.random.default_rng(0)
    return (rng.integers(0, 256, shape) // 4 * 4).astype(np.uint8)


class Hdf5:
    """The opener of data files: all that `train` and `prepare` read, in one process."""

    damage = staticmethod(damage_bytes)
    guarded = True  # a crash or a loop ends a child of the tool, not the tool

    def __init__(self, folder):
        self.path = folder / "in.h5"
        self.seeds = [self._make(settings) for settings in self._settings()]

    @staticmethod
    def _settings():
        yield {}
        yield {
            "chunks": (5, 8, 8, 3),
            "compression": "gzip",
            "maxshape": (None, 8, 8, 3),
        }
        yield {"chunks": (4, 8, 8, 3), "compression": "lzf", "shuffle": True}
        yield {"chunks": (1, 8, 8, 3), "fletcher32": True}
        yield {"libver": "latest", "chunks": (7, 8, 8, 3), "maxshape": (None, 8, 8, 3)}
        yield {"libver": "latest", "chunks": (30, 8, 8, 3), "compression": "gzip"}

    @staticmethod
    def _make(settings):
        buffer, settings = io.BytesIO(), dict(settings)
        with h5py.File(buffer, "w", libver=settings.pop("libver", None)) as file:
            file.create_dataset("data", data=_noise(30, 8, 8, 3), **settings)
            file["data"].attrs["layout"] = "rows-first"
            names = [f"clip/{number}.png" for number in range(30)]
            file.create_dataset("source", data=names, dtype=h5py.string_dtype())
            file.create_dataset("frame", data=np.arange(30))
        return buffer.getvalue()

    def read(self, content, guard):
        """Opens the file, walks its index, reads all of it."""
        self.path.write_bytes(content)
        try:
            preflight.check(str(self.path), "data", "source", "frame")
            guard(False)
            with preflight.ImageFile(self.path) as file:
                images = file.read(0, min(file.count, 1000))
                file.fingerprint()
            if images.dtype != np.uint8 or images.ndim != 4:
                raise Finding(f"images of {images.dtype} {images.shape}")
        except VaeError as error:
            return told(error)
        except MemoryError:
            return "refused"
        return "accepted"


class Metadata:
    """The description of a model, and the digests in it."""

    damage = staticmethod(damage_json)
    guarded = False

    def __init__(self, folder):
        self.folder = folder
        metadata = {
            "schema": 1,
            "model": ModelConfig().to_dict(),
            "train": TrainConfig().to_dict(),
            "best": {"epoch": 3, "loss": 1.5},
        }
        arrays = {"weights.h5": pack_arrays({}), "latent.npz": b"x"}
        write_model_files(folder, metadata, arrays)
        self.path = folder / "metadata.json"
        self.seeds = [self.path.read_bytes()]
        write_model_files(folder, metadata, arrays | {"latent.npz": b"y"})
        self.seeds.append(self.path.read_bytes())

    def read(self, content, guard):
        """Reads the description; what is accepted must be a model within the limits."""
        self.path.write_bytes(content)
        try:
            metadata, config = read_metadata(self.folder)
            read_model_files(self.folder, metadata)
        except VaeError as error:
            return told(error)
        ModelConfig(**config.to_dict())
        return "accepted"


class Manifest:
    """A checkpoint's manifest, and, below a right hash, its state."""

    damage = staticmethod(damage_json)
    guarded = False

    def __init__(self, folder):
        self.folder = folder
        row = {"epoch": 1, "step": 4, "learning_rate": 0.002, "seconds": 1.0}
        rows = [row | {"loss": 1.5, "reconstruction_loss": 1.25, "kl_loss": 0.25}]
        progress = Progress(5, 1, 1, history=rows, best=-20.0, best_epoch=1)
        self.state = {
            "schema": CHECKPOINT_SCHEMA,
            "model": ModelConfig().to_dict(),
            "config": TrainConfig().to_dict(),
            "source": {"count": 60},
            "progress": vars(progress),
            "arithmetic": vars(Arithmetic(2, "2.21.0", "avx2")),
        }
        save_checkpoint(folder, 5, {"a": np.ones(3)}, self.state)
        self.good = folder / "checkpoints" / "step-00000005"
        manifest = (self.good / "MANIFEST.json").read_bytes()
        self.seeds = [manifest, json.dumps(self.state).encode()]
        self.aside = folder / "aside"
        shutil.copytree(self.good, self.aside)

    def read(self, content, guard):
        """Finds the checkpoint as `train --resume` does, and reads its state."""
        is_manifest = b'"files"' in content or b'"progress"' not in content
        if is_manifest:
            shutil.copyfile(self.aside / "state.json", self.good / "state.json")
            (self.good / "MANIFEST.json").write_bytes(content)
        else:
            try:
                state = json.loads(content)
                shutil.rmtree(self.good)
                save_checkpoint(self.folder, 5, {"a": np.ones(3)}, state)
            except (ValueError, TypeError, RecursionError):
                return "refused"
        warnings = []
        try:
            checkpoint, state = find_checkpoint(self.folder, warnings.append)
            read_state(checkpoint, state)
        except VaeError as error:
            for warning in warnings:
                told(warning)
            return told(error)
        return "accepted"


class Pictures:
    """The reader of image files, in every format it takes."""

    damage = staticmethod(damage_bytes)
    guarded = False
    seconds = 1  # a JPEG without its end is decoded five times

    def __init__(self, folder):
        self.path = folder / "in.png"
        self.seeds = [self._encode(*each) for each in self._settings()]

    @staticmethod
    def _settings():
        rgb, gray = Image.fromarray(_noise(20, 24, 3)), Image.fromarray(_noise(20, 24))
        frames = {"save_all": True, "append_images": [rgb, rgb.rotate(90)]}
        for picture in (
            rgb,
            gray,
            rgb.quantize(16),
            gray.convert("1"),
            gray.convert("LA"),
        ):
            yield picture, "PNG", {}
        yield rgb, "PNG", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0", **frames}
        yield Image.fromarray(_noise(20, 24).astype(np.uint16) * 257), "PNG", {}
        yield rgb, "JPEG", {}
        yield rgb, "JPEG", {"progressive": True, "optimize": True}
        yield gray, "JPEG", {"quality": 30}
        yield rgb.convert("CMYK"), "JPEG", {}
        yield rgb, "BMP", {}
        yield rgb.quantize(16), "BMP", {}
        yield rgb, "WEBP", {"lossless": True}
        yield rgb, "WEBP", frames
        yield rgb.convert("RGBA"), "WEBP", {}
        for packing in (None, "packbits", "tiff_lzw", "tiff_adobe_deflate", "jpeg"):
            yield rgb, "TIFF", {"compression": packing}
        yield gray.convert("1"), "TIFF", {"compression": "group4"}
        yield Image.fromarray(_noise(20, 24).astype(np.float32) / 255), "TIFF", {}

    @staticmethod
    def _encode(picture, form, options):
        buffer = io.BytesIO()
        picture.save(buffer, form, **options)
        return buffer.getvalue()

    def read(self, content, guard):
        """Reads the image at another size."""
        self.path.write_bytes(content)
        notes = []
        try:
            image = read_image(self.path, 16, 16, 3, notes.append)
        except ImageError as error:
            return told(error)
        if image.dtype != np.uint8 or image.shape != (16, 16, 3):
            raise Finding(f"image of {image.dtype} {image.shape}")
        return "accepted"


class OpenFaceCsv:
    """The reader of OpenFace's CSV, of a clip or a picture, its own or saved anew."""

    damage = staticmethod(damage_csv)
    guarded = False

    def __init__(self, folder):
        self.path = folder / "clip.csv"
        clip = "frame, face_id, timestamp, confidence, success, gaze_0_x\n"
        for frame in range(1, 30):
            clip += f"{frame}, {frame % 2}, {frame / 25}, 0.{frame}, {frame % 3 and 1}"
            clip += ", -0.1\n"
        photo = "face, confidence, gaze_0_x\n0, 0.975, 0.1\n1, 0.25, 0.2\n"
        decimal = clip.replace(", ", ";").replace(".", ",").replace("\n", "\r\n")
        quoted = decimal.replace(";", '","').replace("\r\n", '"\n"')
        self.seeds = [clip.encode(), photo.encode(), decimal.encode("utf-8-sig")]
        self.seeds += [quoted.encode(), clip.replace(", ", "\t").encode("utf-16")]
        self.crops = {(face, frame) for face in range(2) for frame in range(30)}

    def read(self, content, guard):
        """Reads which crops failed; they must be among those that were asked about."""
        self.path.write_bytes(content)
        try:
            failed = read_failed(self.path, 0.5, self.crops)
        except VaeError as error:
            return told(error)
        if not failed <= self.crops:
            raise Finding(f"{failed - self.crops} failed")
        return "accepted"


class Videos:
    """The reader of videos, in the containers people have."""

    damage = staticmethod(damage_bytes)
    guarded = False
    seconds = 5  # a damaged header may ask for frames of 64 megapixels

    def __init__(self, folder):
        self.path = folder / "in.mp4"
        self.seeds = [self._encode(*each) for each in self._settings()]

    @staticmethod
    def _settings():
        yield "mp4", "libx264", "yuv420p", {}
        yield "mp4", "libx264", "yuv420p", {"g": "1"}
        yield "matroska", "libx264", "yuv420p", {}
        yield "webm", "libvpx", "yuv420p", {"deadline": "realtime"}
        yield "avi", "mpeg4", "yuv420p", {}
        yield "mpegts", "mpeg2video", "yuv420p", {}
        yield "mov", "mjpeg", "yuvj420p", {}
        yield "gif", "gif", "rgb8", {}

    @staticmethod
    def _encode(form, codec, pixels, options):
        buffer, images = io.BytesIO(), _noise(10, 32, 32, 3) // 8 + 99
        with av.open(buffer, "w", format=form) as container:
            stream = container.add_stream(codec, rate=25, options=options)
            stream.width = stream.height = 32
            stream.pix_fmt = pixels
            for image in images:
                frame = av.VideoFrame.from_ndarray(image, "rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return buffer.getvalue()

    def read(self, content, guard):
        """Opens the video and converts its frames, as `prepare` does."""
        self.path.write_bytes(content)
        target = Target(16, 16, 3, "crop")
        try:
            source = VideoSource(str(self.path), 1)
        except VaeError as error:
            return told(error)
        for unit in source.units(target):
            batch = source.load(unit, target)
            if batch.images.shape != (len(batch.names), 16, 16, 3):
                raise Finding(f"images of {batch.images.shape}")
            for name, reason in batch.failed:
                told(f"{name}: {reason}")
        return "accepted"


TARGETS = {"hdf5": Hdf5, "metadata": Metadata, "manifest": Manifest, "images": Pictures}
TARGETS["openface"] = OpenFaceCsv
if av:  # an extra
    TARGETS["videos"] = Videos
