"""Tables, sums, nearest frames and contact sheets, on numbers made up here."""

import json

import numpy as np
import pytest

from vae.config import ModelConfig
from vae.evaluation.judge import Judge, Measured
from vae.evaluation.metrics import NearestFrames, measure_distance
from vae.evaluation.report import (
    SHOWN,
    BestAndWorst,
    compare,
    format_comparison,
    format_details,
    format_summaries,
)
from vae.images.pixels import psnr
from vae.model.network import VAE

pytestmark = pytest.mark.tensorflow

RNG = np.random.default_rng(0)
SHAPE = 12, 16, 3


def make_measured(count, noise=3, rng=RNG):
    """Returns a batch whose reconstructions are off by some gray levels."""
    images = rng.integers(20, 236, (count, *SHAPE))
    again = images + rng.integers(-noise, noise + 1, images.shape)
    z_mean = rng.normal(size=(count, 4)) * [1, 1, 0.2, 0.01]
    return Measured(
        images.astype(np.uint8),
        again.astype(np.uint8),
        z_mean.astype("f4"),
        np.full((count, 4), -1.0, "f4"),
        rng.normal(-900, 10, count),
        rng.normal(-890, 10, count),
    )


def make_judge(batches, likelihood="discretized", shape=SHAPE):
    """Returns the judge of batches."""
    height, width, channels = shape
    model = VAE(ModelConfig(width, height, channels, 4, likelihood))
    model.variation.assign(np.full(shape, 0.1))
    judge = Judge(model, samples=1)
    for batch in batches:
        judge.add(batch)
    return judge


def name(row):
    """Returns the name of a row."""
    return f"row {row}"


def test_a_judge_adds_up_over_batches():
    batches = [make_measured(count) for count in (5, 1, 9)]
    judge = make_judge(batches)
    series, summary = judge.series(), judge.summarise(name)
    z_mean = np.concatenate([batch.z_mean for batch in batches])
    kl = 0.5 * (np.exp(-1) + z_mean**2 - 1 + 1)
    np.testing.assert_allclose(series["kl"], kl.sum(1), rtol=1e-6)
    np.testing.assert_allclose(series["elbo"], series["reconstruction"] - kl.sum(1))
    np.testing.assert_allclose(summary["kl_per_dimension"], kl.mean(0), rtol=1e-6)
    assert summary["active_units"] == 3 and summary["images"] == 15
    bits = -series["elbo"].mean() / (12 * 16 * 3 * np.log(2))
    assert summary["bits"] == pytest.approx(bits)
    missing = sum((b.images.sum(0, int) - b.reconstructed.sum(0, int)) for b in batches)
    power = np.square(missing / 15 / 255).mean() / 0.1**2
    assert summary["stranger_score"] == pytest.approx(power)
    assert json.loads(json.dumps(summary)) == summary


def test_the_worst_images_are_named():
    good, bad = make_measured(6), make_measured(1, noise=15)
    summary = make_judge([good, bad, make_measured(2)]).summarise(name)
    worst = summary["psnr"]["worst"]
    assert worst[0] == {
        "name": "row 6",
        "value": psnr(bad.images, bad.reconstructed)[0],
    }
    assert [one["value"] for one in worst] == sorted(one["value"] for one in worst)
    assert summary["ssim"]["worst"][0]["name"] == "row 6"
    assert f"worst PSNR: {worst[0]['value']:.2f} row 6; " in format_details(summary)[0]


def test_row_99_codes_that_say_nothing_are_told():
    summary = make_judge([make_measured(3)]).summarise(name)
    told = "it says next to nothing of a face, the posterior has collapsed"
    assert not any(told in line for line in format_details(summary))
    summary["kl_per_dimension"] = [0.2, 0.05, 0.01]
    assert any(told in line for line in format_details(summary))


def test_what_does_not_exist_is_said_and_not_made_up():
    judge = make_judge([make_measured(3)], "bernoulli")
    summary = judge.summarise(name)
    assert summary["bits"] is None and "bits" not in judge.series()
    rows = format_summaries([summary], 1)
    assert [row.split()[-1] for row in rows if row.startswith("bits")] == ["-", "-"]
    assert any(line.startswith("bits/dim: none") for line in format_details(summary))
    small = [
        Measured(
            part.images[:, :9],
            part.reconstructed[:, :9],
            *list(vars(part).values())[2:],
        )
        for part in [make_measured(3)]
    ]
    summary = make_judge(small, shape=(9, 16, 3)).summarise(name)
    assert summary["ssim"] is None and summary["psnr"]["mean"] > 30
    assert summary["stranger_score"] is None  # three images say nothing of a person
    assert any(line.startswith("SSIM: none") for line in format_details(summary))


def compare_shifted(shift, spread, count=400):
    """Compares a series of PSNR with one that is higher on average."""
    first = np.random.default_rng(1).normal(25, 3, count)
    second = first + np.random.default_rng(2).normal(shift, spread, count)
    return compare({"psnr": first, "bits": -first}, {"psnr": second, "bits": -second})


def test_a_small_but_steady_lead_is_seen_in_pairs():
    found = compare_shifted(0.1, 0.3)
    assert [one.better for one in found] == ["B", "B"]  # bits: fewer are better
    lines = format_comparison(found)
    assert lines[-1] == "verdict: B is better"
    assert "+0.1" in lines[2] and lines[2].endswith("B is better")


def test_a_lead_within_the_noise_is_not_told():
    found = compare_shifted(0.005, 0.3)
    assert {one.better for one in found} == {None}
    assert format_comparison(found)[-1] == "verdict: can't tell which is better"


def test_a_lead_in_copies_of_two_images_is_not_told():
    first = np.repeat([24.0, 26.0], 50)
    lead = np.repeat([0.1, 0.4], 50)
    found = compare({"psnr": first}, {"psnr": first + lead})
    assert found[0].better is None
    assert "independent blocks are too few" in format_comparison(found)[1]


def test_two_models_can_each_be_better_in_something():
    first, second = {"psnr": np.arange(99.0)}, {"psnr": np.arange(99.0) + 1}
    found = compare(first | {"ssim": np.ones(99)}, second | {"ssim": np.zeros(99)})
    assert format_comparison(found)[-1] == "verdict: each is better in something"


def test_the_nearest_frame_is_found_across_batches():
    frames = RNG.integers(0, 256, (30, 6, 5, 1)).astype(np.uint8)
    images = np.stack([frames[17], frames[4], 255 - frames[0]])
    images[1, 0, 0, 0] ^= 7
    seeker = NearestFrames(images)
    for at in (0, 11, 22):
        seeker.look(frames[at : at + 11], at)
    every = np.stack([measure_distance(frames, image[None]) for image in images])
    assert seeker.rows.tolist() == every.argmin(1).tolist()
    assert seeker.rows[:2].tolist() == [17, 4] and seeker.distances[0] == 0
    np.testing.assert_allclose(seeker.distances, every.min(1))
    np.testing.assert_array_equal(seeker.frames, frames[seeker.rows])


def test_a_sheet_shows_the_best_above_the_worst_and_no_neighbours():
    scores = np.repeat(np.arange(64), 4) % 32 + np.tile([0.0, 0.1, 0.2, 0.3], 64)
    images = np.broadcast_to(
        np.arange(256, dtype=np.uint8)[:, None, None, None], (256, 112, 20, 1)
    )
    gallery = BestAndWorst(256)
    for at in range(0, 256, 50):
        part = images[at : at + 50]
        gallery.add(scores[at : at + 50], [part, 255 - part])
    sheet = gallery.draw()
    assert sheet.shape == (4 * 112 + 8, SHOWN * 22 - 2, 1)
    best = sheet[50, 10::22, 0].tolist()
    assert best[:2] == [127, 255]  # the last of its four neighbours, once
    stretches = [value // 8 for value in best]
    assert len(set(stretches)) == SHOWN
    np.testing.assert_array_equal(sheet[162, 10::22, 0], 255 - sheet[50, 10::22, 0])
    assert sheet[112 * 2 + 8 + 50, 10::22, 0].tolist()[:2] == [0, 128]


def test_small_images_are_shown_larger():
    gallery = BestAndWorst(3)
    gallery.add(np.arange(3.0), [RNG.integers(0, 256, (3, 28, 20, 1)).astype(np.uint8)])
    gallery.add_pairs(np.zeros((9, 28, 20, 1), "u1"), np.zeros((9, 28, 20, 1), "u1"))
    assert gallery.draw().shape == (2 * 112 + 2 * 8 + 2 * 112, SHOWN * 82 - 2, 1)
