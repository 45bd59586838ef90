"""Crops a second into a data file, beside a program that only decodes them."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmarks.speed.places import OURS, contender_path
from benchmarks.speed.reconstruct import FIGURES
from benchmarks.speed.settings import setting
from benchmarks.speed.turns import FRESH, Benchmark, Contender
from examples.faces import render
from examples.people import make_identity
from examples.performance import perform

BLOCK = 250  # faces drawn at a time


@dataclass(frozen=True)
class Settings:
    """What can be changed."""

    crops: int = setting(5000, "picture files to prepare")
    side: int = setting(112, "pixels of a crop; what OpenFace writes by default")
    extension: str = setting("bmp", "of the files; png and jpg are others to try")


def prepare(settings, place):
    """Returns the `Benchmark`; drawn crops under the names that OpenFace gives.

    `vae.py prepare` is the whole process; in the row that has started, Python and its
    imports aren't counted, neither ours nor those of the peers. The last rows of ours
    are for their memory: a tenth of the files, and four links to each of them.
    """
    folders = {
        times: f"{place.folder}/{name}"
        for times, name in ((0.1, "tenth"), (1, "crops"), (4, "fourfold"))
    }
    draw_crops(folders[1], settings)
    link_crops(folders[1], folders[0.1], settings.crops // 10, 1)
    link_crops(folders[1], folders[4], settings.crops, 4)
    commands = {times: ["prepare", folders[times], FRESH + ".h5"] for times in folders}
    first = ["prepare", folders[0.1], FRESH + "-first.h5"]
    started = [sys.executable, contender_path("started.py")]
    started.append(json.dumps([first, commands[1]]))
    ours = {times: [sys.executable, OURS, *commands[times]] for times in folders}
    rows = [
        Contender("vae.py prepare", ours[1], ours=True),
        Contender("the same, started", started, ours=True),
    ]
    for way in ("threads", "processes"):
        program = [sys.executable, contender_path("pillow_only.py"), way]
        rows.append(Contender(f"Pillow, {way}", [*program, "decode", folders[1]]))
    rows.append(Contender("a tenth of the crops", ours[0.1]))
    rows.append(Contender("four times the crops", ours[4]))
    counts = dict.fromkeys([row.name for row in rows], settings.crops)
    counts |= {rows[-2].name: settings.crops // 10, rows[-1].name: settings.crops * 4}

    def rate(found):
        return {
            name: {"images_per_second": counts[name] / row["seconds"]}
            for name, row in found.items()
        }

    return Benchmark(rows, FIGURES, rate)


def draw_crops(folder, settings):
    """Draws a new folder of crops of one person."""
    Path(folder).mkdir()
    parameters = perform(0, settings.crops)
    for start in range(0, settings.crops, BLOCK):
        part = parameters[start : start + BLOCK]
        faces = render(make_identity(0), part, settings.side, settings.side)
        for number, face in enumerate(faces, start + 1):
            name = f"frame_det_00_{number:06d}.{settings.extension}"
            Image.fromarray(face).save(f"{folder}/{name}")


def link_crops(source, folder, count, times):
    """Makes a new folder of the first `count` crops, each under so many names."""
    Path(folder).mkdir()
    for name in sorted(os.listdir(source))[:count]:
        for copy in range(times):
            os.link(f"{source}/{name}", f"{folder}/{copy}_{name}")
