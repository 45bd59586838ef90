"""`evaluate`: how good a model is on images, or which of two models is better."""
import os
import sys

import numpy as np
from tqdm import tqdm

from vae.checkpoint.storage import write_json
from vae.errors import VaeError
from vae.evaluation.gallery import Gallery
from vae.evaluation.judge import load_judge
from vae.evaluation.memorisation import (
    NearestFrames,
    measure_distance,
    summarise_distances,
)
from vae.evaluation.report import (
    LABELS,
    compare,
    format_comparison,
    format_details,
    format_nearest,
    format_summaries,
)
from vae.evaluation.tally import Tally
from vae.files import printable
from vae.images.sheets import write_png
from vae.parallel import map_ordered

PROBE = 64  # images drawn, and images of the data, that are sought among the frames
SEED = 0  # of the images drawn


def run(request):
    """Measures, prints, writes what was asked for; returns 1 if images failed."""
    judges = [
        load_judge(folder, model, request.config.samples)
        for folder, model in zip(request.folders, request.models)
    ]
    session = Session(request, judges)
    session.measure()
    if not session.count:
        session.list_failed()
        raise VaeError(f"{printable(request.data)}: no image could be read")
    verdict = session.describe()
    if request.actor:
        verdict["nearest"] = session.seek_frames()
    if request.sheet is not None:
        write_png(request.sheet, session.gallery.draw())
        print(f"best and worst: {printable(request.sheet)}")
    if request.json is not None:
        write_json(request.json, verdict)
    session.list_failed()
    return 1 if session.failed else 0


class Session:
    """One run of `evaluate`: all that is kept of the images while they pass by."""

    def __init__(self, request, judges):
        self.request, self.judges = request, judges
        self.tallies = [
            Tally(model, judge.variation)
            for model, judge in zip(request.models, judges)
        ]
        self.gallery = Gallery(request.source.count)
        self.failed, self.names, self.count = [], [], 0
        chosen = np.linspace(0, request.source.count - 1, PROBE).astype(int)
        self._chosen, self._probe = set(chosen.tolist()), []

    def measure(self):
        """Shows every image to every model."""
        source = self.request.source
        bar = tqdm(total=source.count, desc="evaluate", unit="img", delay=2)
        with bar:
            for batch in _read(source, self.request.target):
                self._measure(batch, bar)
                self.failed += batch.failed
                bar.update(len(batch.failed))

    def _measure(self, batch, bar):
        streams = [judge.measure(batch.images, self.count) for judge in self.judges]
        if os.path.isdir(self.request.data):
            self.names += batch.names
        for parts in zip(*streams):
            decibels = [t.add(part) for t, part in zip(self.tallies, parts)]
            images = parts[0].images
            rows = range(self.count, self.count + len(images))
            score = decibels[0] - (decibels[1] if len(decibels) > 1 else 0)
            self.gallery.add(score, [images, *(part.again for part in parts)])
            chosen = [at for at, row in enumerate(rows) if row in self._chosen]
            self._probe += [images[at].copy() for at in chosen]  # no view of the batch
            self.count += len(images)
            bar.update(len(images))

    def describe(self):
        """Prints the tables; returns what they say as a dictionary for JSON."""
        request, target = self.request, self.request.target
        kind = "RGB" if target.channels == 3 else "gray"
        size = f"{target.width}x{target.height} {kind}"
        print(f"{printable(request.data)}: {self.count} images, {size}")
        summaries = [tally.summarise(self._name) for tally in self.tallies]
        names = [f"{printable(folder)}" for folder in request.folders]
        verdict = {"data": printable(request.data), "samples": request.config.samples}
        verdict["models"] = [
            {"model": name, **summary} for name, summary in zip(names, summaries)
        ]
        for line in format_summaries(summaries, request.config.samples):
            print(line)
        for label, name, summary in zip(LABELS, names, summaries):
            print(f"{label}: {name}" if len(names) > 1 else f"model: {name}")
            print("\n".join(f"  {line}" for line in format_details(summary)))
        if len(names) > 1:
            found = compare(*(tally.series() for tally in self.tallies))
            verdict["comparison"] = [one.to_dict() for one in found]
            print("\n".join(format_comparison(found)))
        return verdict

    def seek_frames(self):
        """Finds the training frames nearest to what the models draw, and says how near.

        Returns:
            dict for JSON: name of a group of images -> distances, gray levels.
        """
        drawn = {}
        for label, judge, model in zip(LABELS, self.judges, self.request.models):
            rng = np.random.default_rng(SEED)
            z = rng.standard_normal((PROBE, model.latent_dim)).astype(np.float32)
            name = f"drawn by {label if len(self.judges) > 1 else 'the model'}"
            drawn[name] = judge, NearestFrames(judge.decode(z))
        own = NearestFrames(np.stack(self._probe))
        self._pass_frames([own, *(seeker for _, seeker in drawn.values())])
        found = {"these images": summarise_distances(own)}
        for name, (judge, seeker) in drawn.items():
            again = judge.reconstruct(seeker.frames)
            learnt = float(np.median(measure_distance(seeker.frames, again)))
            found[name] = summarise_distances(seeker) | {"reconstructed": learnt}
            self.gallery.add_pairs(seeker.images, seeker.frames)
        print("\n".join(format_nearest(found)))
        return found

    def _pass_frames(self, seekers):
        total = self.request.actor_count
        row = 0
        with tqdm(total=total, desc="seek", unit="img", delay=2) as bar:
            for batch in _read(self.request.actor, self.request.target):
                frames = batch.images[: total - row]
                if not len(frames):  # what follows was held out
                    break
                for seeker in seekers:
                    seeker.look(frames, row)
                row += len(frames)
                bar.update(len(frames))

    def list_failed(self):
        """Says which images could not be read."""
        for name, reason in self.failed:
            print(f"{name}: {reason}", file=sys.stderr)
        if self.failed:
            counts = f"{len(self.failed)} of {self.request.source.count}"
            print(f"{counts} could not be read", file=sys.stderr)

    def _name(self, row):
        if self.names:
            return self.names[row]
        batch = self.request.source.load(range(row, row + 1), self.request.target)
        [name], [frame] = batch.names, batch.frames
        if name == printable(os.path.basename(self.request.data)):
            return f"row {row}"
        return f"row {row} ({name}, frame {frame})"


def _read(source, target):
    """Yields the batches of a source, reading a little ahead."""

    def load(unit):
        return source.load(unit, target)

    yield from map_ordered(load, source.units(target))
