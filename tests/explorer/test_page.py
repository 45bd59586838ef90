"""What a browser makes of the page, compared with what Python computes."""

import json

import numpy as np
import pytest
from PIL import Image

from examples.faces import render
from examples.people import make_identity
from examples.performance import perform
from tests.drawing import encode
from tests.explorer.browsers import open_browser
from tests.explorer.models import write_drawn_model, write_random_model
from vae import load
from vae.images.pixels import to_float32
from vae.model.latent import load_codes
from vae.strangers.features import measure_features

FORMS = [
    {"width": 64, "height": 64},
    {"width": 61, "height": 47, "latent_dim": 5, "likelihood": "bernoulli"},
    {"width": 64, "height": 64, "channels": 1, "latent_dim": 9},
    {"width": 20, "height": 28, "channels": 1, "likelihood": "discretized"},
    {"width": 50, "height": 71, "likelihood": "discretized", "latent_dim": 3},
]
DECODE = """
  const found = [];
  for (const code of given[0]) {
    const { rgba } = await explorer.live.decode(Float32Array.from(code));
    found.push(Array.from(rgba));
  }
  return found;
"""
READ = """
  const [rgba, width, height] = given;
  const values = { rgba: Uint8ClampedArray.from(rgba), width, height };
  const { reading } = await explorer.patient.ask("read", values);
  return Array.from(reading);
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """(path of the page of a drawn actor, its model directory, images, codes)."""
    from vae.cli import main

    folder = tmp_path_factory.mktemp("drawn")
    faces = render(make_identity(6), perform(6, 300), 48, 48)
    images = np.rint(faces.mean(-1, keepdims=True)).astype("u1")
    model, codes = write_drawn_model(folder / "model", images)
    assert main(["explore", str(model), str(folder / "page.html")]) == 0
    return folder / "page.html", model, images, codes


@pytest.fixture(scope="module")
def page(tmp_path_factory, drawn):
    """A browser that all tests of this file share; its camera shows the drawn actor."""
    folder = tmp_path_factory.mktemp("browser")
    pictures = [Image.fromarray(image[..., 0]).resize((96, 96)) for image in drawn[2]]
    film = b"".join(encode(picture, "JPEG", quality=95) for picture in pictures)
    (folder / "camera.mjpeg").write_bytes(film)
    camera = f"use-file-for-fake-video-capture={folder / 'camera.mjpeg'}"
    fake = "use-fake-device-for-media-stream", "use-fake-ui-for-media-stream"
    with open_browser(folder, *fake, camera) as page:
        yield page


def open_drawn(page, drawn, hash=""):
    """Opens the drawn actor's page; nothing may be complained about before."""
    page.complaints()
    page.open(drawn[0], hash)
    return load(drawn[1]).statistics


def code_of(page):
    """The code of the face that is shown."""
    return np.array(page.run("return Array.from(explorer.pose.code)"))


def shown(page, code, shape):
    """The picture of a code, (H, W), as the page decodes it."""
    rgba = page.run(DECODE, [np.asarray(code, float).tolist()])[0]
    return np.array(rgba, float).reshape(*shape, 4)[..., 0]


@pytest.mark.parametrize(
    "form", FORMS, ids=lambda form: "-".join(map(str, form.values()))
)
def test_the_page_decodes_as_python_does(page, form, tmp_path, run_cli):
    model = write_random_model(tmp_path / "model", **form)
    status, out, err = run_cli("explore", model, tmp_path / "page.html")
    assert status == 0 and "page.html: " in out and "the page holds the actor" in err
    page.open(tmp_path / "page.html")
    actor = load(model)
    codes = np.random.default_rng(1).normal(size=(50, len(actor.statistics.mean)))
    expected = actor.decode(codes)
    assert np.ptp(expected, axis=0).max() > 20  # they differ
    found = np.array(page.run(DECODE, codes.tolist()), int)
    found = found.reshape(*expected.shape[:3], 4)[..., : expected.shape[3]]
    assert np.abs(found - expected.astype(int)).max() <= 2


def test_nothing_is_asked_of_a_network_and_nothing_is_complained_about(page, drawn):
    page.addresses()
    open_drawn(page, drawn)
    asked = page.addresses()
    assert asked and all(
        each.startswith(("file:", "blob:", "about:")) for each in asked
    )
    tried = page.run(
        "return fetch('https://example.org/').then(() => 'let out', () => 'kept in')"
    )
    assert tried == "kept in"
    complaints = page.complaints()
    assert complaints and all("Content Security Policy" in each for each in complaints)


def test_a_crop_reads_as_python_reads_it(page, drawn):
    statistics = open_drawn(page, drawn)
    for image in drawn[2][:3]:
        rgba = np.repeat(image, 4, axis=2)
        found = page.run(READ, rgba.ravel().tolist(), image.shape[1], image.shape[0])
        read = measure_features(to_float32(image[None])) @ statistics.reader
        assert np.abs((found - read[0]) / statistics.std).max() < 0.01


def test_each_slider_moves_its_own_part_of_the_face(page, drawn):
    open_drawn(page, drawn)
    sliders = page.run(
        "return explorer.pose.sliders.map(s => [s.name, s.group, ...[s.low, s.high]"
        ".map(v => Array.from(explorer.pose.slid(s, v, explorer.pose.rest)))])"
    )
    assert {group for _, group, _, _ in sliders} == {"mouth", "eyes", "brows and head"}
    assert 5 <= len(sliders) <= 10
    shares = {}
    for name, _, low, high in sliders:
        low, high = (shown(page, code, (48, 48)) for code in (low, high))
        change = np.abs(high - low)[:, 8:40]  # within the face
        shares[name] = change[28:44].mean() / change[8:26].mean()  # mouth, eyes
    assert shares["open"] > 1
    assert max(shares["eyes"], shares["brows"]) < 0.7 * shares["open"], shares


def test_a_slider_is_followed_undone_and_done_again(page, drawn):
    open_drawn(page, drawn)
    start = code_of(page)
    slide = """
      const input = document.querySelector(".slider input");
      input.value = input.max;
      for (const kind of ["input", "change"]) input.dispatchEvent(new Event(kind));
      return [input.valueAsNumber, explorer.pose.read(explorer.pose.sliders[0]),
              input.getAttribute("aria-valuetext")];
    """
    wanted, value, text = page.run(slide)
    assert value == pytest.approx(wanted, abs=1e-3) and text.endswith("% open")
    moved = code_of(page)
    page.click("Undo")
    np.testing.assert_array_equal(code_of(page), start)
    page.click("Redo")
    np.testing.assert_array_equal(code_of(page), moved)
    assert not page.complaints()


def test_dragging_the_mouth_down_opens_it(page, drawn):
    open_drawn(page, drawn)
    drag = """
      const canvas = document.getElementById("face");
      canvas.setPointerCapture = () => {};
      const box = canvas.getBoundingClientRect();
      const send = (kind, x, y) => canvas.dispatchEvent(new PointerEvent(kind, {
        clientX: box.left + x * box.width, clientY: box.top + y * box.height, button: 0,
      }));
      const read = () => explorer.pose.sliders.map((s) => explorer.pose.read(s));
      const before = read();
      send("pointerdown", 0.5, 0.78);
      send("pointermove", 0.5, 0.9);
      send("pointerup", 0.5, 0.9);
      const after = read();
      return explorer.pose.sliders.map((s, n) => [s.name, after[n] - before[n]]);
    """
    changes = dict(page.run(drag))
    assert changes.pop("open") > 0.2
    assert max(map(abs, changes.values())) < 1e-3


def test_pictures_and_codes_are_saved_and_opened_again(page, drawn):
    open_drawn(page, drawn)
    code = drawn[3][7].astype("f4")
    page.run("explorer.pose.show(Float32Array.from(given[0]))", code.tolist())
    page.click("Picture, 48 × 48")
    picture = np.asarray(Image.open(page.download("model.png")).convert("L"), int)
    expected = load(drawn[1]).decode(code[None])[0, ..., 0]
    assert np.abs(picture - expected.astype(int)).max() <= 2
    page.click("Code, as JSON")
    saved = json.loads(page.download("model.json").read_text())
    names, codes = load_codes(str(page.folder / "model.json"), len(code))
    assert names == ["model"]
    np.testing.assert_array_equal(codes[0], code)
    open_code = """
      explorer.pose.show(explorer.pose.rest);
      const file = new File([given[0]], given[1]);
      await explorer.crops.readFiles([file]);
      return document.getElementById("status").textContent;
    """
    page.run(open_code, json.dumps(saved), "code.json")
    np.testing.assert_array_equal(code_of(page).astype("f4"), code)
    for wrong in ("[", "{}", '{"z_mean": [[1, 2]]}', '{"z_mean": [["<b>"]]}'):
        said = page.run(open_code, wrong, "<i>x.json")
        assert said.startswith("<i>x.json: no code of this actor")
    assert not page.complaints()


def test_a_link_opens_its_face_and_a_damaged_one_the_face_at_rest(page, drawn):
    statistics = open_drawn(page, drawn)
    page.run("explorer.pose.show(Float32Array.from(given[0]))", drawn[3][9].tolist())
    link = page.run("return explorer.pose.toHash()")
    page.open(drawn[0], f"#{link}")
    assert np.abs(code_of(page) - drawn[3][9]).max() < 1e-3
    for damaged in ("#code=1,2,x", "#<b>"):
        page.open(drawn[0], damaged)
        np.testing.assert_allclose(code_of(page), statistics.neutral, atol=1e-6)


def test_a_walk_goes_through_its_key_poses_and_is_filmed(page, drawn):
    open_drawn(page, drawn)
    poses = drawn[3][[3, 50, 120]].astype("f4")
    page.click("Walk")
    for pose in poses:
        page.run("explorer.pose.show(Float32Array.from(given[0]))", pose.tolist())
        page.click("Add the face that is shown")
    assert page.run("return document.querySelectorAll('.keys li').length") == 3
    film = page.run(
        "explorer.keys.pace.value = 0.2;"
        " explorer.pose.addEventListener('move', () => (window.walked ??= []).push("
        "Array.from(explorer.pose.code)));"
        " const film = await explorer.keys.record(explorer.face.canvas);"
        " return [film.type, film.size]"
    )
    assert film[0] == "video/webm" and film[1] > 1000
    walked = np.array(page.run("return window.walked"))
    middle = np.linalg.norm(walked - poses[1], axis=1).min()
    assert middle < np.linalg.norm(poses[1] - poses[0]) / 2
    np.testing.assert_allclose(walked[-1], poses[0], atol=1e-5)  # a loop
    page.click("Remove pose 2")
    assert page.run("return explorer.keys.poses.length") == 2


def test_like_faces_are_near_and_the_film_is_played_through(page, drawn):
    open_drawn(page, drawn)
    page.click("More like this")
    page.settle()
    start = code_of(page)
    page.run("document.querySelectorAll('.nine button')[0].click()")
    assert 0.3 < np.linalg.norm(code_of(page) - start) < 6
    page.run("document.querySelectorAll('.frames button')[2].click()")
    far = np.abs(drawn[3] - code_of(page)).max(axis=1)
    assert far.min() < 0.01 and 8 < far.argmin() < 30
    page.click("Set A")
    page.run("document.querySelectorAll('.frames button')[9].click()")
    page.click("Set B")
    fade = """
      const fade = document.querySelector("#fade > input");
      fade.value = 0.5;
      fade.dispatchEvent(new Event("input"));
    """
    end, begin = code_of(page), drawn[3][far.argmin()]
    page.run(fade)
    np.testing.assert_allclose(code_of(page), (begin + end) / 2, atol=0.02)
    assert not page.complaints()


def test_a_folder_of_pictures_is_read_as_the_persons_changes(page, drawn):
    statistics = open_drawn(page, drawn)
    give = """
      const files = await Promise.all(given[0].map(async (rgba, number) => {
        const canvas = new OffscreenCanvas(48, 48);
        const image = new ImageData(Uint8ClampedArray.from(rgba), 48, 48);
        canvas.getContext("2d").putImageData(image, 0, 0);
        const content = [await canvas.convertToBlob()];
        return new File(content, `${number}.png`, { type: "image/png" });
      }));
      await explorer.crops.readFiles([...files.reverse(), new File(["x"], "a.txt")]);
      return document.getElementById("status").textContent;
    """
    images = drawn[2][20:30]
    rgba = [np.dstack([face] * 3 + [np.full_like(face, 255)]) for face in images]
    said = page.run(give, [each.ravel().tolist() for each in rgba])
    assert said == "10 pictures read, 1 not: no pictures, or too many"
    assert page.run("return document.querySelector('.crops').hidden") is False
    read = measure_features(to_float32(images)) @ statistics.reader
    expected = statistics.mean + read[0] - read.mean(0)
    assert np.abs((code_of(page) - expected) / statistics.std).max() < 0.01


def test_the_camera_plays_the_actor(page, drawn):
    open_drawn(page, drawn)
    page.click("Turn the camera on")
    page.run(
        "window.seen = []; explorer.pose.addEventListener('move', () => {"
        " seen.push(explorer.pose.read(explorer.pose.sliders[0])); })"
    )
    page.wait(lambda: page.run("return explorer.crops.person !== null"))
    low, high = page.run("const [s] = explorer.pose.sliders; return [s.low, s.high]")
    page.wait(lambda: page.run("return seen.length") > 30)
    page.wait(lambda: np.ptp(page.run("return seen")) > 0.3 * (high - low))
    page.click("Make a neutral face and press")
    centre = page.run("return explorer.crops.centre === explorer.pose.rest")
    page.click("Turn the camera off")
    assert centre and page.run("return explorer.crops.stream") is None
    assert not page.complaints()


def test_hostile_names_and_numbers_are_text(page, drawn, tmp_path, run_cli):
    name = "<img src=x onerror=alert(1)><!--<script>&amp;{{main}}"
    model = tmp_path / name
    drawn[1].rename(model)
    try:
        status, _, _ = run_cli("explore", "--no-film", model, tmp_path / "page.html")
    finally:
        model.rename(drawn[1])
    assert status == 0
    page.complaints()
    page.open(tmp_path / "page.html")
    assert page.browser.title == name
    assert page.run("return document.getElementById('title').textContent") == name
    assert page.run("return document.querySelectorAll('img').length") == 0
    assert page.run("return document.getElementById('film')") is None
    assert not page.complaints()
