"""The run of `evaluate`: every image is shown to every model, then the verdict."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from vae.checkpoint.directory import restore
from vae.checkpoint.model_files import ModelFiles
from vae.checkpoint.storage import write_json
from vae.config import EvaluateConfig
from vae.data.sources import Batch, Source
from vae.errors import VaeError
from vae.evaluation import report
from vae.evaluation.judge import Judge, Measured
from vae.evaluation.metrics import NearestFrames, measure_distance
from vae.evaluation.projector import Projection
from vae.evaluation.report import LABELS
from vae.files import printable
from vae.images.pixels import Target
from vae.images.sheets import write_png
from vae.model.latent import load_statistics
from vae.model.network import VAE
from vae.parallel import map_ordered
from vae.strangers.measures import describe_film
from vae.terminal import list_failures, progress_bar

SAMPLE = 64  # images drawn, and images of the data, that are sought among the frames
SEED = 0  # of the images drawn


@dataclass
class Session:
    """One run of `evaluate`: all that is kept of the images while they pass by.

    Attributes:
        models: the one or two models.
        data, source: path of the images, and where they are read from.
        actor, actor_count: the images that were trained on, and how many of the first
            images were; None and 0 without.
        json, sheet, projector: files and folder to write, or None.
        failed: (name, reason) of what could not be read. count: images so far.
    """

    models: list[ModelFiles]
    data: str
    source: Source
    target: Target
    actor: Source | None
    actor_count: int
    json: str | None
    sheet: str | None
    projector: str | None
    config: EvaluateConfig
    failed: list[tuple[str, str]] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        self._judges = []
        for files in self.models:
            model = VAE(files.config)
            restore(model.arrays, *files.find("weights.h5"))
            self._judges.append(Judge(model, self.config.samples))
        self._shown, self._names = report.BestAndWorst(self.source.count), []
        chosen = np.linspace(0, self.source.count - 1, SAMPLE).astype(int)
        self._chosen, self._sample = set(chosen.tolist()), []
        self._projection = None
        if self.projector is not None:
            self._projection = Projection(self.source.count, len(self.models))

    def run(self) -> int:
        """Measures, prints, writes what was asked for; returns the exit status.

        Raises:
            VaeError: no image could be read, or a file can't be written.
        """
        bar = progress_bar(self.source.count, "evaluate")
        with bar, self._read(self.source) as batches:
            for batch in batches:
                self._measure(batch, bar)
                self.failed += batch.failed
                bar.update(len(batch.failed))
        if not self.count:
            list_failures(self.failed, self.source.count)
            raise VaeError(f"{printable(self.data)}: no image could be read")
        verdict = self._describe()
        if self.actor:
            verdict["nearest"] = self._seek_frames()
        if self.sheet is not None:
            write_png(self.sheet, self._shown.draw())
            print(f"best and worst: {printable(self.sheet)}")
        if self._projection:
            self._projection.write(self.projector)
            print(f"tensorboard --logdir {printable(self.projector)}")
        if self.json is not None:
            write_json(self.json, verdict)
        list_failures(self.failed, self.source.count)
        return 1 if self.failed else 0

    def _read(self, source: Source) -> closing[Iterator[Batch]]:
        """Opens the batches of a source, which is read a little ahead."""
        load = partial(source.load, target=self.target)
        return closing(map_ordered(load, source.units(self.target)))

    def _measure(self, batch: Batch, bar: tqdm) -> None:
        first = self.count
        streams = [judge.measure(batch.images, first) for judge in self._judges]
        if os.path.isdir(self.data):
            self._names += batch.names
        for parts in zip(*streams, strict=True):
            judged = zip(self._judges, parts, strict=True)
            decibels = [judge.add(part) for judge, part in judged]
            images = parts[0].images
            score = decibels[0] - (decibels[1] if len(decibels) > 1 else 0)
            self._shown.add(score, [images, *(part.reconstructed for part in parts)])
            rows = range(self.count, self.count + len(images))
            chosen = [at for at, row in enumerate(rows) if row in self._chosen]
            self._sample += [images[at].copy() for at in chosen]  # no view of the batch
            if self._projection:
                self._project(batch, self.count - first, parts, decibels[0])
            self.count += len(images)
            bar.update(len(images))

    def _project(
        self, batch: Batch, start: int, parts: Sequence[Measured], decibel: np.ndarray
    ) -> None:
        """Keeps those images of a batch, from `start` on, that the projector shows."""
        for at, image in enumerate(parts[0].images):
            codes = [part.z_mean[at] for part in parts]
            origin = batch.names[start + at], batch.frames[start + at]
            self._projection.add(self.count + at, *origin, image, codes, decibel[at])

    def _describe(self) -> dict[str, Any]:
        """Prints the tables; returns what they say as a dictionary for JSON."""
        print(f"{printable(self.data)}: {self.count} images, {self.target.describe()}")
        summaries = [judge.summarise(self._name) for judge in self._judges]
        names = [printable(files.folder) for files in self.models]
        samples = self.config.samples
        named = list(zip(names, summaries, strict=True))
        models = [{"model": name, **summary} for name, summary in named]
        verdict = {"data": printable(self.data), "samples": samples, "models": models}
        print("\n".join(report.format_summaries(summaries, samples)))
        for label, (name, summary) in zip(LABELS, named, strict=False):
            print(f"{label if len(named) > 1 else 'model'}: {name}")
            print("\n".join(f"  {line}" for line in report.format_details(summary)))
        for files in self.models:
            size = files.config.latent_dim
            statistics = load_statistics(*files.find("latent.npz"), size)
            if line := describe_film(statistics.span):
                print(f"{printable(files.folder)}: {line}")
        if len(named) > 1:
            found = report.compare(*(judge.series() for judge in self._judges))
            verdict["comparison"] = [one.to_dict() for one in found]
            print("\n".join(report.format_comparison(found)))
        return verdict

    def _seek_frames(self) -> dict[str, dict[str, float]]:
        """Prints how near training frames come to images; returns it for JSON."""
        drawn = {}
        for label, judge, files in zip(LABELS, self._judges, self.models, strict=False):
            rng = np.random.default_rng(SEED)
            z = rng.standard_normal((SAMPLE, files.config.latent_dim)).astype("f4")
            name = f"drawn by {label if len(self.models) > 1 else 'the model'}"
            drawn[name] = judge, NearestFrames(judge.decode(z))
        own = NearestFrames(np.stack(self._sample))
        self._pass_frames([own, *(seeker for _, seeker in drawn.values())])
        found = {"these images": own.summarise()}
        for name, (judge, seeker) in drawn.items():
            reconstructed = judge.reconstruct(seeker.frames)
            learnt = float(np.median(measure_distance(seeker.frames, reconstructed)))
            found[name] = seeker.summarise() | {"reconstructed": learnt}
            self._shown.add_pairs(seeker.images, seeker.frames)
        print("\n".join(report.format_nearest(found)))
        return found

    def _pass_frames(self, seekers: Iterable[NearestFrames]) -> None:
        row, bar = 0, progress_bar(self.actor_count, "seek")
        with bar, self._read(self.actor) as batches:
            for batch in batches:
                frames = batch.images[: self.actor_count - row]
                if not len(frames):  # what follows was held out
                    break
                for seeker in seekers:
                    seeker.look(frames, row)
                row += len(frames)
                bar.update(len(frames))

    def _name(self, row: int) -> str:
        if self._names:
            return self._names[row]
        batch = self.source.load(range(row, row + 1), self.target)
        [name], [frame] = batch.names, batch.frames
        if name == printable(os.path.basename(self.data)):
            return f"row {row}"
        return f"row {row} ({name}, frame {frame})"
