"""`make demo` from its first command to its last picture, in miniature."""

import numpy as np
import pytest
from PIL import Image

from examples.demo import run_demo

pytestmark = pytest.mark.tensorflow


def test_the_demo_leaves_the_pictures_it_names(tmp_path, capfd):
    run_demo(tmp_path / "demo", frames=60, crops=12, epochs=1)
    printed = capfd.readouterr().out
    film = "stranger_beside_actor.webp"
    for name in (film, "stranger_above_actor_below.png", "walks/walks.png"):
        assert str(tmp_path / "demo" / name) in printed
        assert np.asarray(Image.open(tmp_path / "demo" / name)).any()
    with Image.open(tmp_path / "demo" / film) as shown:
        assert shown.n_frames == 12
    page = (tmp_path / "demo" / "explorer.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert printed.count("$ python vae.py") == 5
    assert len(list((tmp_path / "demo" / "stranger_as_actor").iterdir())) == 12


def test_a_folder_that_is_there_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="already there"):
        run_demo(tmp_path)
