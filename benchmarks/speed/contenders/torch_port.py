"""Training pace of the original network in PyTorch, plain or at its best."""

import json

import torch
from clock import StepClock
from dataset import read_faces
from options import parse_options
from torch_network import (
    LEARNING_RATE,
    Network,
    shuffled_batches,
    to_tensor,
    total_loss,
)


def train_plain(faces, options):
    """float32, eager: as most would write it. Returns the figures."""
    network = Network(faces.shape[1], options.latent_dim, faces.shape[2])
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    clock = StepClock(options.warmup, options.seconds)
    for images in shuffled_batches(faces, options.batch):
        optimizer.zero_grad()
        total_loss(network, images).backward()
        optimizer.step()
        if clock.tick(len(images)):
            return clock.figures()


def train_best(faces, options):
    """Channels last, compiled, fused Adam; bfloat16 if asked for. Returns figures."""
    network = Network(faces.shape[1], options.latent_dim, faces.shape[2])
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, fused=True)
    clock = StepClock(options.warmup, options.seconds)
    first = faces[: options.batch].float() / 255
    loss_of, note = _compile(network, first, options.bfloat16)
    for images in shuffled_batches(faces, options.batch):
        images = images.to(memory_format=torch.channels_last)
        optimizer.zero_grad()
        _autocast(loss_of, network, images, options.bfloat16).backward()
        optimizer.step()
        if clock.tick(len(images)):
            return clock.figures() | note


def _compile(network, images, bfloat16):
    """Returns (loss function, note): compiled, or as it is where that fails."""
    compiled = torch.compile(total_loss)
    images = images.to(memory_format=torch.channels_last)
    try:
        _autocast(compiled, network, images, bfloat16).backward()
    except Exception as error:  # whatever the compiler, or g++, says
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        return total_loss, {"note": f"not compiled, eager instead: {reason}"}
    return compiled, {}


def _autocast(loss_of, network, images, bfloat16):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        return loss_of(network, images)


def main():
    """Prints the figures as one JSON line."""
    options = parse_options("--best", "--bfloat16")
    faces = to_tensor(read_faces(options.file, options.batch))
    train = train_best if options.best else train_plain
    print(json.dumps(train(faces, options)))


if __name__ == "__main__":
    main()
