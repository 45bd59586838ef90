"""Films that tests look at, through another program or packet by packet."""

import json
import shutil
import subprocess
from fractions import Fraction

import numpy as np
import pytest

FFMPEG = shutil.which("ffmpeg")


def decode(path, width, height):
    """Returns what ffmpeg decodes: uint8 (N, H, W, 3)."""
    command = [
        FFMPEG,
        "-v",
        "error",
        "-i",
        path,
        "-f",
        "image2pipe",
        "-c:v",
        "rawvideo",
    ]
    command += ["-pix_fmt", "rgb24", "-vsync", "passthrough", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)


def probe(path):
    """Returns what ffprobe says of the pictures, and the time of each in seconds."""
    command = [FFMPEG.replace("ffmpeg", "ffprobe"), "-v", "error", "-of", "json"]
    command += ["-select_streams", "v", "-show_streams", "-show_frames", path]
    done = subprocess.run(command, capture_output=True, check=True)
    found = json.loads(done.stdout)
    times = [float(frame["pts_time"]) for frame in found["frames"]]
    return found["streams"][0], times


needs_ffmpeg = pytest.mark.skipif(not FFMPEG, reason="ffmpeg is not installed")


def read_times(path):
    """Returns the exact time of each frame, and the end of the last, in seconds."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        shown = [(p.pts, p.duration) for p in container.demux(stream) if p.size]
        tick = Fraction(stream.time_base)
    shown.sort()
    return [start * tick for start, _ in shown] + [sum(shown[-1]) * tick]


def read_frames(path):
    """Returns the frames as PyAV decodes them, as they are stored."""
    import av

    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        return np.stack([frame.to_ndarray(format="rgb24") for frame in frames])


def read_sound(path):
    """Returns (time in seconds, bytes) of each packet of sound, and the codec."""
    import av

    with av.open(str(path)) as container:
        [stream] = container.streams.audio
        packets = [p for p in container.demux(stream) if p.size]
        found = [(p.pts * Fraction(p.time_base), bytes(p)) for p in packets]
        return found, stream.codec_context.codec.canonical_name
