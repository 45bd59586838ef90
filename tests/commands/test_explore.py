"""What `explore` refuses, and what is in the page that it writes."""

import base64
import hashlib
import json
import re
import sys

import numpy as np
import pytest

from tests.explorer.models import write_random_model
from vae.explorer.content import pack
from vae.explorer.page import MAIN, WORKER, join_modules, write_page


@pytest.fixture
def model(tmp_path):
    """A model of random weights, 20 wide and 24 high."""
    return write_random_model(tmp_path / "model", width=20, height=24, latent_dim=6)


def content_of(path):
    """What a page holds of a model."""
    text = path.read_text(encoding="utf-8")
    found = re.search(
        r'<script type="application/json" id="model">(.*?)</script>', text
    )
    return json.loads(found[1])


def values_of(packed):
    """A packed array as it was, but for rounding."""
    data = base64.b64decode(packed["data"])
    values = np.frombuffer(data, packed["form"]).astype("f8")
    return packed["scale"] * values.reshape(packed["shape"])


def test_a_page_is_written_without_tensorflow(model, tmp_path, run_cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # an import of it fails
    status, out, err = run_cli("explore", model, tmp_path / "page.html")
    page = tmp_path / "page.html"
    size = page.stat().st_size / 1e6
    assert status == 0 and out.startswith(f"{page}: {size:.1f} MB\nsliders: ")
    assert err == (
        "the page holds the actor: the decoder, and codes of 40 frames of the film,"
        " which it decodes; whoever has the file has the face\n"
    )
    content = content_of(page)
    assert content["title"] == "model"
    assert values_of(content["film"]).shape == (40, 6)


def test_the_film_stays_out_if_asked(model, tmp_path, run_cli):
    status, _, err = run_cli("explore", "--no-film", model, tmp_path / "page.html")
    assert status == 0
    assert err.startswith("the page holds the actor: the decoder; whoever has")
    assert content_of(tmp_path / "page.html")["film"] is None


def test_a_model_that_kept_no_film_has_sliders_of_drawn_codes(tmp_path, run_cli):
    form = {"width": 20, "height": 24, "latent_dim": 6}
    model = write_random_model(tmp_path / "model", keep_film=False, **form)
    status, _, err = run_cli("explore", model, tmp_path / "page.html")
    assert status == 0 and "frames" not in err
    content = content_of(tmp_path / "page.html")
    assert content["film"] is None and content["sliders"]


def test_what_is_there_is_replaced_only_if_asked(model, tmp_path, run_cli):
    page = tmp_path / "page.html"
    page.write_text("mine")
    status, _, err = run_cli("explore", model, page)
    assert status == 2 and "already there" in err and page.read_text() == "mine"
    assert run_cli("explore", "--overwrite", model, page)[0] == 0
    assert page.read_bytes().startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    "line, reason",
    [
        ("explore model page.txt", "output: page.txt found, NAME.html expected"),
        ("explore model model/page.html", "model/page.html: inside the input model"),
        ("explore nothing page.html", "nothing/metadata.json: no such file"),
    ],
)
def test_a_request_that_cant_work_is_refused(line, reason, model, refused):
    assert refused(line).startswith(reason)


def test_half_precision_keeps_large_and_small_numbers():
    values = np.array([[1e9, -3e8, 1e6], [0, 7e8, -1e9]])
    np.testing.assert_allclose(values_of(pack(values)), values, rtol=1e-3, atol=100)
    np.testing.assert_array_equal(values_of(pack(np.zeros((2, 3)))), np.zeros((2, 3)))
    exact = np.float32([0.1, -2.5, 3.75])
    np.testing.assert_allclose(values_of(pack(exact, "f4")), exact, rtol=1e-6)


def test_the_policy_names_what_is_in_the_page_and_nothing_ends_an_element_early():
    title = "</script><script>alert(1)</script> {{main}}"
    page = write_page({"title": title, "x": "<!--<script>"}).decode()
    assert page.count("<script") == 3 and page.count("</script>") == 3
    script = re.search(r'<script type="module">(.*?)</script>', page, re.S)[1]
    style = re.search(r"<style>(.*?)</style>", page, re.S)[1]
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)[1]
    for kind, text in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ") and "http" not in policy


@pytest.mark.parametrize("names", [MAIN, WORKER])
def test_modules_are_joined_after_those_they_import(names):
    script = join_modules(names)
    assert not re.search(r"^(import|export)\b", script, re.M)
    known = set()
    for line in script.splitlines():
        if made := re.match(r"modules\.(\w+) = ", line):
            known.add(made[1])
        elif used := re.match(r"const \{.*\} = modules\.(\w+);", line):
            assert used[1] in known, line
    assert known == set(names)
