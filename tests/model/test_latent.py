"""Statistics of codes and walks between them, against plain arithmetic."""

import io
import json
import os
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from tests.actors import MIXTURE, PLAIN
from tests.faults import Code
from vae.errors import RefusedError, VaeError
from vae.model import latent
from vae.model.latent import (
    CODES_A_CLUSTER,
    LatentStatistics,
    describe_collapse,
    fit_mixture,
    load_codes,
    load_statistics,
    no_measures,
    summarise_codes,
)
from vae.strangers.features import FEATURES

CODES = np.array([[0, 0], [2, 0], [0, 4], [2, 5], [1, 2]], np.float32)


def random_statistics(count=500, latent_dim=6, seed=0):
    """Returns the statistics of codes that are correlated and off centre."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(latent_dim, latent_dim))
    return describe(rng.normal(size=(count, latent_dim)) @ mix + 5)


def describe(codes):
    """Returns the statistics of codes, with a reader of nothing."""
    rest = {name: PLAIN[name] for name in ("reader", "blink", "mouth_share")}
    rest |= no_measures(np.shape(codes)[1])
    return LatentStatistics(**summarise_codes(codes), **rest)


def test_statistics_are_those_of_arithmetic():
    found = summarise_codes(CODES)
    assert found["mean"].tolist() == [1, pytest.approx(2.2)]
    np.testing.assert_allclose(found["std"] ** 2, [0.8, 20.8 / 5], rtol=1e-6)
    expected = [[0.8, 0.2], [0.2, 20.8 / 5]]
    np.testing.assert_allclose(found["covariance"], expected, rtol=1e-6)
    assert found["neutral"].tolist() == [1, 2]
    film = found.pop("film")
    assert film.dtype == np.float16 and film.tolist() == CODES.tolist()
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}


def test_the_film_is_bounded_evenly_spread_and_finite(monkeypatch):
    monkeypatch.setattr(latent, "FILM", 20)
    film = summarise_codes(np.arange(50.0)[:, None] * [1, 10_000])["film"]
    assert film[:, 0].tolist() == list(range(0, 50, 3)) and np.isfinite(film).all()
    monkeypatch.setattr(latent, "FILM_NUMBERS", 16)
    assert len(summarise_codes(np.ones((50, 2)))["film"]) == 8


def test_the_neutral_code_is_near_in_units_of_each_deviation():
    codes = [[-100, -1], [100, 1], [-100, 1], [100, -1], [50, 0], [0, 0.9]]
    assert summarise_codes(codes)["neutral"].tolist() == [50, 0]


def test_codes_that_are_all_one_have_a_neutral_one():
    found = describe(np.ones((4, 3)))
    assert found.neutral.tolist() == [1, 1, 1] and not found.std.any()


def test_far_codes_do_not_lose_their_deviation():
    found = summarise_codes(np.float32([[1e4, 0], [1e4 + 1, 0]]))
    assert found["std"].tolist() == [0.5, 0]


def test_statistics_come_back_as_they_were(tmp_path):
    reader = np.arange(FEATURES * 6, dtype="f4").reshape(FEATURES, 6)
    blink = np.arange(12, dtype="f4").reshape(2, 6)
    rest = {
        "mouth_share": np.full(1, 0.25, "f4"),
        "effect": np.arange(12, dtype="f4").reshape(6, 2),
        "gain": np.arange(12, dtype="f4").reshape(2, 6),
        "span": np.arange(10, dtype="f4").reshape(5, 2),
    }
    statistics = replace(random_statistics(), reader=reader, blink=blink, **rest)
    (tmp_path / "a.npz").write_bytes(statistics.pack())
    found = load(tmp_path / "a.npz", 6)
    for name in (*PLAIN, "film"):
        np.testing.assert_array_equal(getattr(found, name), getattr(statistics, name))
    (tmp_path / "a.npz").write_bytes(replace(statistics, film=None).pack())
    assert load(tmp_path / "a.npz", 6).film is None  # of an older version


def test_statistics_of_older_models_have_no_measures(tmp_path):
    (tmp_path / "a.npz").write_bytes(npz(effect=None, gain=None, span=None))
    found = load(tmp_path / "a.npz", 3)
    assert found.effect.shape == (3, 0) and found.gain.shape == (0, 3)
    assert found.span.shape == (5, 0)


def load(path, latent_dim):
    """Reads the statistics in a file."""
    return load_statistics(path, path.read_bytes(), latent_dim)


def npz(**changes):
    """Returns the bytes of a file of statistics, with some of them replaced."""
    buffer = io.BytesIO()
    np.savez(buffer, **{k: v for k, v in (PLAIN | changes).items() if v is not None})
    return buffer.getvalue()


def npy(array):
    """Returns the bytes of a file of a single array."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


UNREADABLE = {
    "empty": b"",
    "text": b"mean",
    "cut": npz()[:-30],
    "pickle": pickle.dumps(Code()),
    "array": npy(np.zeros(3)),
    "object": npy(np.array([Code()])),
    "object inside": npz(mean=np.array([Code(), None, None])),
    "no neutral": npz(neutral=None),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_without_the_statistics_is_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.npz"
    path.write_bytes(UNREADABLE[case])
    with pytest.raises(VaeError) as caught:
        load(path, 3)
    text = str(caught.value)
    assert text.startswith(f"{path}: can't be read (")
    assert text.endswith("), the latent statistics that train wrote expected")
    assert os.listdir() == ["a.npz"]


MEASURED = PLAIN | {"effect": np.ones((3, 2)), "gain": np.ones((2, 3))}
MEASURED |= {"span": np.ones((5, 2))}
BAD_ARRAYS = {
    "mean": np.zeros(4),
    "std": np.zeros((3, 1)),
    "covariance": np.zeros(9),
    "neutral": np.zeros(3, int),
    "blink": np.zeros(3),
    "mouth_share": np.zeros(3),
    "effect": np.zeros((2, 4)),
    "gain": np.zeros((4, 2)),
    "span": np.zeros((4, 4)),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_statistics_of_another_form_are_refused(name, tmp_path):
    path = tmp_path / "a.npz"
    message = rf"^{path}: {name} is not \(([235F], )?[13F],?( 3)?\) finite numbers$"
    good = MEASURED[name]
    with_nan = good.copy()
    with_nan[0] = np.nan
    for array in (BAD_ARRAYS[name], with_nan, good + 1j):
        path.write_bytes(npz(**{name: array}))
        with pytest.raises(VaeError, match=message):
            load(path, 3)


@pytest.mark.parametrize("name", ["effect", "gain", "span"])
def test_statistics_of_unlike_numbers_of_measures_are_refused(name, tmp_path):
    (tmp_path / "a.npz").write_bytes(npz(**{name: MEASURED[name]}))
    with pytest.raises(VaeError, match=r"a.npz: effect, gain and span of \[0, 2\] "):
        load(tmp_path / "a.npz", 3)


def test_statistics_that_unpack_to_gigabytes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(latent, "MAX_BYTES", 40_000)
    path = tmp_path / "a.npz"
    path.write_bytes(npz())
    assert load(path, 3).std.tolist() == [1, 1, 1]
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("more.npy", bytes(40_000))
    with pytest.raises(VaeError, match="can't be read"):
        load(path, 3)


def test_row_99_a_collapse_is_told_by_its_nats():
    assert describe_collapse(0.1 * 30, 30) is None
    assert describe_collapse(1.5, 30).startswith("a KL of 0.050 nats a number of the c")


def test_a_mixture_follows_the_clusters_of_a_film():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, 5)) * 20
    codes = np.repeat(centres, 60, axis=0) + rng.normal(size=(240, 5))
    found = fit_mixture(codes)
    assert len(found["mixture_weights"]) == 240 // CODES_A_CLUSTER
    assert found["mixture_weights"].sum() == pytest.approx(1)
    distance = np.linalg.norm(found["mixture_means"][:, None] - centres, axis=2)
    assert distance.min(1).max() < 8  # none between two clusters
    within = np.sqrt(np.diag(found["mixture_covariance"]))
    assert (0.3 < within).all() and (within < 1.2).all()
    mean = found["mixture_weights"] @ found["mixture_means"]
    np.testing.assert_allclose(mean, codes.mean(0), atol=1e-9)
    again = fit_mixture(codes)
    np.testing.assert_array_equal(again["mixture_means"], found["mixture_means"])


@pytest.mark.parametrize("count", [1, 2, 30])
def test_few_codes_or_equal_ones_have_a_mixture(count):
    for codes in (
        np.ones((count, 3)),
        np.random.default_rng(0).normal(size=(count, 3)),
    ):
        found = fit_mixture(codes)
        assert all(np.isfinite(array).all() for array in found.values())
        assert found["mixture_weights"].sum() == pytest.approx(1)


BAD_MIXTURES = {
    "mixture_weights": np.float32([0.5, -0.5]),
    "mixture_means": np.zeros((3, 3), np.float32),
    "mixture_covariance": np.zeros((2, 2), np.float32),
}


@pytest.mark.parametrize("name", BAD_MIXTURES)
def test_a_mixture_comes_back_or_is_refused(name, tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(npz(**MIXTURE))
    found = load(path, 3)
    for key, array in MIXTURE.items():
        np.testing.assert_array_equal(getattr(found, key), array)
    path.write_bytes(found.pack())
    assert load(path, 3).mixture_weights.tolist() == [0.25, 0.75]
    path.write_bytes(npz(**MIXTURE | {name: BAD_MIXTURES[name]}))
    with pytest.raises(VaeError, match=f"{path}: mixture_"):
        load(path, 3)
    path.write_bytes(npz(**MIXTURE | {name: None}))
    with pytest.raises(VaeError, match="can't be read"):
        load(path, 3)
    path.write_bytes(npz())
    assert load(path, 3).mixture_weights is None


@pytest.mark.parametrize("files", [None, ["a", "b"]])
def test_codes_of_the_page_are_read_from_json(files, tmp_path):
    path = tmp_path / "codes.json"
    path.write_text(json.dumps({"z_mean": [[1, 2.5], [3, -4]], "files": files}))
    names, codes = load_codes(str(path), 2)
    assert names == files or names == ["code_000000", "code_000001"]
    assert codes.dtype == np.float32 and codes.tolist() == [[1, 2.5], [3, -4]]


WRONG_CODES = {
    "{": "can't be read (JSONDecodeError)",
    "[]": "can't be read (AttributeError)",
    "{}": "can't be read (KeyError)",
    "[" * 100_000: "can't be read (RecursionError)",
    '{"z_mean": [[1, 2], [3]]}': "can't be read (ValueError)",
    '{"z_mean": [["1", "2"]]}': "z_mean of (1, 2) found",
    '{"z_mean": [[1, NaN]]}': "z_mean of (1, 2) found",
    '{"z_mean": [[1, 2, 3]]}': "z_mean of (1, 3) found",
    '{"z_mean": [[1, 2]], "files": [3]}': "a name in files for each code expected",
    '{"z_mean": [[1, 2]], "files": 3}': "can't be read (TypeError)",
}


@pytest.mark.parametrize("text", WRONG_CODES, ids=lambda text: text[:40])
def test_json_that_holds_no_codes_is_refused(text, tmp_path):
    path = tmp_path / "codes.json"
    path.write_text(text)
    with pytest.raises(RefusedError) as caught:
        load_codes(str(path), 2)
    start = f"--latents: {path}: {WRONG_CODES[text]}"
    assert str(caught.value).startswith(start)


def test_json_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(latent, "MAX_JSON_BYTES", 10)
    path = tmp_path / "codes.json"
    path.write_text('{"z_mean": [[1, 2]]}')
    with pytest.raises(RefusedError, match="ValueError"):
        load_codes(str(path), 2)
