"""Training pace of the tool, with its defaults or without augmentation."""

import json

from clock import StepClock
from dataset import read_faces
from options import parse_options
from trained import build_trainer, train_watched


def main():
    """Prints the figures as one JSON line."""
    options = parse_options("--plain")
    faces = read_faces(options.file, options.batch)
    trainer = build_trainer(
        faces.shape, options.batch, options.latent_dim, augmented=not options.plain
    )
    clock = StepClock(options.warmup, options.seconds)
    print(json.dumps(train_watched(trainer, faces, clock)))


if __name__ == "__main__":
    main()
