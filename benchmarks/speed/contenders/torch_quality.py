"""Held-out PSNR over time of the original network in PyTorch, float32, Adam.

The clock stands still while held-out images are measured.
"""

import argparse
import json
import time

import torch
from dataset import read_faces
from torch_network import (
    LEARNING_RATE,
    Network,
    shuffled_batches,
    to_tensor,
    total_loss,
)

SMALLEST_ERROR = 1e-10


def measure_psnr(network, faces):
    """Returns the mean PSNR, dB, through `z_mean`; faces uint8 (N, C, H, W)."""
    network.eval()
    with torch.no_grad():
        images = faces.float() / 255
        outputs = torch.sigmoid(network.decoder(network.encoder(images)[0]))
        error = (outputs - images).square().mean(dim=(1, 2, 3))
    network.train()
    return float((-10 * error.clamp_min(SMALLEST_ERROR).log10()).mean())


def train(faces, held_out, options):
    """Returns a list of [seconds, dB], one every `options.every` seconds."""
    network = Network(faces.shape[1], options.latent_dim, faces.shape[2])
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    curve, spent, started = [], 0.0, time.perf_counter()
    for images in shuffled_batches(faces, options.batch):
        optimizer.zero_grad()
        total_loss(network, images).backward()
        optimizer.step()
        seconds = spent + time.perf_counter() - started
        if seconds >= (len(curve) + 1) * options.every or seconds >= options.late:
            curve.append([seconds, measure_psnr(network, held_out)])
            spent, started = seconds, time.perf_counter()
        if seconds >= options.late:
            return curve


def main():
    """Prints the curve as one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--held-out", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--latent-dim", type=int, required=True)
    parser.add_argument("--every", type=float, required=True)
    parser.add_argument("--late", type=float, required=True)
    options = parser.parse_args()
    faces = to_tensor(read_faces(options.file, 1))
    split = len(faces) - options.held_out
    print(json.dumps({"curve": train(faces[:split], faces[split:], options)}))


if __name__ == "__main__":
    main()
