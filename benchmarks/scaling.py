"""How fast several workers would train, from what one step and the network take.

    python benchmarks/scaling.py --image-ms 0.8 --fixed-ms 6 --gigabits 10

A step of W workers takes the fixed part of a step, the images of a worker's share one
after another, and a ring that adds the gradients up: each worker sends 2 (W - 1) / W of
their bytes in 2 (W - 1) messages (Patarasuk and Yuan 2009, equation 3). Nothing
overlaps, so that the figures are on the safe side.
"""

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path

# Run as a script, Python looks for modules beside this file and not above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from vae.config import ModelConfig  # noqa: E402
from vae.model.architecture import shape_arrays  # noqa: E402

NOT_TRAINED = ("sigma", "average", "variation")
FLOAT_BYTES = 4  # gradients are float32, whatever the network computes in
WORKERS = (1, 2, 4, 8, 16, 32, 64)


def count_gradient_bytes(config):
    """Returns how many bytes of gradients a step of a `ModelConfig` exchanges."""
    shapes = shape_arrays(config).items()
    trained = [math.prod(shape) for name, shape in shapes if name not in NOT_TRAINED]
    return FLOAT_BYTES * sum(trained)


@dataclass(frozen=True)
class Plan:
    """What a step consists of.

    Attributes:
        fixed_ms: that a step takes besides its images. image_ms: that an image takes.
        batch: images a step, of all workers together.
        gradient_bytes: to add up. gigabits: a second, each way, of one worker.
        latency_us: of one message.
        shared: whether all workers share one processor, so that none is faster.
    """

    fixed_ms: float
    image_ms: float
    batch: int
    gradient_bytes: int
    gigabits: float
    latency_us: float
    shared: bool = False

    def compute_ms(self, workers):
        """Milliseconds of computing a step."""
        share = math.ceil(self.batch / workers)
        alone = self.fixed_ms + share * self.image_ms
        return alone * workers if self.shared else alone

    def exchange_ms(self, workers):
        """Milliseconds of adding the gradients up."""
        sent = 2 * (workers - 1) / workers * self.gradient_bytes
        messages = 2 * (workers - 1)
        return sent * 8 / (self.gigabits * 1e6) + messages * self.latency_us / 1e3

    def step_ms(self, workers):
        """Milliseconds a step."""
        return self.compute_ms(workers) + self.exchange_ms(workers)

    def find_limit(self):
        """The fewest workers that exchange longer than they compute, or None."""
        most = range(2, self.batch + 1)
        slow = (n for n in most if self.exchange_ms(n) > self.compute_ms(n))
        return next(slow, None)


def format_plan(plan):
    """Returns the lines of the table, and what follows from it."""
    lines = ["workers  computing ms  exchanging ms  images/s  efficiency"]
    alone = plan.batch / plan.step_ms(1)
    for workers in (n for n in WORKERS if n <= plan.batch):
        rate = plan.batch / plan.step_ms(workers)
        lines.append(
            f"{workers:7}  {plan.compute_ms(workers):12.1f}"
            f"  {plan.exchange_ms(workers):13.1f}  {rate * 1000:8.0f}"
            f"  {rate / alone / workers:9.0%}"
        )
    limit = plan.find_limit()
    lines.append(
        f"from {limit} workers on a step exchanges longer than it computes"
        if limit
        else f"up to {plan.batch} workers a step computes longer than it exchanges"
    )
    return lines


def main():
    """Prints the plan that the options describe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image-ms", type=float, required=True)
    parser.add_argument("--fixed-ms", type=float, default=0.0)
    parser.add_argument("--batch", type=int, default=64, help="of all workers together")
    parser.add_argument("--gigabits", type=float, default=10.0)
    parser.add_argument("--latency-us", type=float, default=50.0)
    parser.add_argument("--side", type=int, default=112, help="of the images, pixels")
    parser.add_argument("--latent-dim", type=int, default=ModelConfig().latent_dim)
    args = parser.parse_args()
    config = ModelConfig(args.side, args.side, latent_dim=args.latent_dim)
    size = count_gradient_bytes(config)
    network = args.gigabits, args.latency_us
    plan = Plan(args.fixed_ms, args.image_ms, args.batch, size, *network)
    print(f"gradients of {size / 1e6:.1f} MB a step, batches of {args.batch} images")
    print("\n".join(format_plan(plan)))


if __name__ == "__main__":
    main()
