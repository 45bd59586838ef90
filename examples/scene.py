"""Film a drawn person in front of a busy background: the head moves, turns and is away
for a while, frames last for unequal times, the camera lay on its side, and a tone is
heard. `python examples/scene.py OUT.mp4`; it needs PyAV."""

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples.faces import render  # noqa: E402
from examples.people import make_identity  # noqa: E402
from examples.performance import PARAMETERS, perform  # noqa: E402

WIDTH, HEIGHT = 320, 240  # upright
HEAD = 128  # pixels, of a drawn face before it is laid into the scene
TICK = Fraction(1, 600)  # seconds
LENGTHS = 20, 25, 24, 31  # ticks of a frame, one after another
PITCH, SOUND_RATE = 440, 48000  # hertz
AWAY = 0.4, 0.55  # of the film, without the head


def film_scene(path, frames=75, identity=3, seed=3, turned=True, codec="aac"):
    """Writes the film.

    Args:
        turned: whether it is stored on its side, with a line that says so.
        codec: of the sound.

    Returns:
        (images, matrices, starts): uint8 (N, H, W, 3), upright; (N, 2, 3), from places
        in a face of `HEAD` pixels to those in the image, of nan where it is away; (N,),
        ticks.
    """
    import av

    images, matrices = draw_scene(frames, identity, seed)
    starts = np.cumsum([0, *np.resize(LENGTHS, frames)])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "8"})
        stored = np.rot90(images, -1, (1, 2)) if turned else images
        stream.height, stream.width = stored.shape[1:3]
        stream.pix_fmt = "yuv444p"
        stream.codec_context.time_base = stream.time_base = TICK
        if turned:
            stream.set_display_rotation(90)
        sound = container.add_stream(codec, rate=SOUND_RATE, layout="stereo")
        samples = int(starts[-1] * TICK * SOUND_RATE)
        tone = np.sin(np.arange(samples) * 2 * np.pi * PITCH / SOUND_RATE) / 2
        for at in range(0, samples, 1024):
            part = np.repeat(tone[None, at : at + 1024].astype("f4"), 2, axis=0)
            heard = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(part), "fltp", "stereo"
            )
            heard.sample_rate, heard.pts = SOUND_RATE, at
            heard.time_base = Fraction(1, SOUND_RATE)
            container.mux(sound.encode(heard))
        container.mux(sound.encode(None))
        for image, start in zip(stored, starts, strict=False):
            seen = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
            seen.pts, seen.time_base = int(start), TICK
            container.mux(stream.encode(seen))
        container.mux(stream.encode(None))
    return images, matrices, starts[:-1]


def draw_scene(frames, identity=3, seed=3):
    """Returns the images and the matrices of `film_scene`."""
    parameters = perform(seed, frames)
    for turn in ("yaw", "tilt"):  # the scene turns the head, so that its place is known
        parameters[:, PARAMETERS.index(turn)] = 0
    faces = render(make_identity(identity), parameters, HEAD, HEAD)
    random = np.random.default_rng(0)
    coarse = random.integers(40, 200, (HEIGHT // 20, WIDTH // 20, 3), np.uint8)
    wall = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    outline = Image.new("L", (HEAD, HEAD))
    ImageDraw.Draw(outline).ellipse((10, 2, HEAD - 10, HEAD - 2), fill=255)
    images, matrices = [], []
    for number, face in enumerate(faces):
        phase = 2 * np.pi * number / 60
        share = number / frames
        matrix = np.full((2, 3), np.nan)
        scene = wall.copy()
        if not AWAY[0] <= share < AWAY[1]:
            matrix = _lay(phase)
            back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2].ravel()
            settings = (WIDTH, HEIGHT), Image.Transform.AFFINE, back
            bicubic = Image.Resampling.BICUBIC
            moved = Image.fromarray(face).transform(*settings, bicubic)
            scene.paste(moved, mask=outline.transform(*settings, bicubic))
        images.append(np.asarray(scene))
        matrices.append(matrix)
    return np.stack(images), np.stack(matrices)


def _lay(phase):
    """The turn, size and shift of the head, (2, 3)."""
    angle, size = 0.25 * np.sin(phase), 1.1 + 0.1 * np.cos(phase / 2)
    turn = size * np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    middle = [WIDTH / 2 + 50 * np.sin(phase / 2), HEIGHT / 2 + 15 * np.sin(phase)]
    return np.column_stack([turn, middle - turn @ [HEAD / 2, HEAD / 2]])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: scene.py OUT.mp4")
    film_scene(sys.argv[1])
