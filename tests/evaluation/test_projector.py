"""What the Embedding Projector reads: a code, a line and a face for each image."""

import numpy as np
import pytest
from PIL import Image

from tests.drawing import make_faces
from tests.files import write_crops
from vae.evaluation import projector
from vae.evaluation.projector import Projection


def read_table(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_codes_names_and_faces_fit_each_other(tmp_path):
    faces, rng = make_faces(10, 24, 20), np.random.default_rng(0)
    codes = rng.standard_normal((10, 3)).astype("f4")
    found = Projection(10, 1)
    for row, face in enumerate(faces):
        found.add(row, f"clip/{row}.png", row + 5, face, [codes[row]], 20 + row)
    found.write(str(tmp_path / "board"))
    table = np.array(read_table(tmp_path / "board" / "codes.tsv"), float)
    np.testing.assert_allclose(table, codes, rtol=1e-5)
    head, *lines = read_table(tmp_path / "board" / "metadata.tsv")
    assert head == ["name", "frame", "row", "psnr"]
    assert lines[3] == ["clip/3.png", "8", "3", "23.00"] and len(lines) == 10
    sprite = np.asarray(Image.open(tmp_path / "board" / "sprite.png"))
    config = (tmp_path / "board" / "projector_config.pbtxt").read_text()
    height, width = sprite.shape[0] // 3, sprite.shape[1] // 4
    assert f"single_image_dim: [{width}, {height}]" in config
    assert sprite.shape[:2] == (height * 3, width * 4)
    assert np.abs(sprite[:height, width : 2 * width].mean() - faces[1].mean()) < 5


def test_of_many_images_an_even_share_is_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(projector, "MOST", 4)
    found = Projection(10, 2)
    for row, face in enumerate(make_faces(10)):
        found.add(row, "a.h5", row, face, [np.full(2, row), np.full(3, row)], 20.0)
    found.write(str(tmp_path))
    assert [line[2] for line in read_table(tmp_path / "metadata.tsv")[1:]] == [*"0369"]
    assert len(read_table(tmp_path / "codes_b.tsv")) == 4


@pytest.mark.tensorflow
def test_tensorboard_understands_what_evaluate_writes(tiny_model, tmp_path, run_cli):
    plugin = pytest.importorskip("tensorboard.plugins.projector.projector_plugin")
    pb2 = pytest.importorskip("tensorboard.plugins.projector.projector_config_pb2")
    from google.protobuf import text_format

    crops = write_crops(tmp_path / "crops", make_faces(12))
    board = tmp_path / "board"
    options = ["--samples", 1, "--projector", board]
    status, out, _ = run_cli("evaluate", *options, tiny_model, crops)
    assert status == 0 and out.endswith(f"tensorboard --logdir {board}\n")
    config = pb2.ProjectorConfig()
    text_format.Parse((board / "projector_config.pbtxt").read_text(), config)
    [embedding] = config.embeddings
    codes = plugin._read_tensor_tsv_file(str(board / embedding.tensor_path))
    assert codes.shape == (12, 4)
    names = read_table(board / embedding.metadata_path)[1:]
    assert names[0][0].endswith("frame_det_00_000001.bmp") and len(names) == 12
    assert list(embedding.sprite.single_image_dim) == [20, 24]
    status, _, err = run_cli("evaluate", *options, tiny_model, crops)
    assert status == 2 and "already there" in err
    status, _, err = run_cli("evaluate", "--projector", crops, tiny_model, crops)
    assert status == 2 and "inside the input" in err
