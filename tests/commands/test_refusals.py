"""What is refused of models in use: `sample`, `reconstruct`, `evaluate`."""

import json
import re

import h5py
import pytest
from PIL import Image

from tests.drawing import make_faces
from tests.files import write_h5
from vae.checkpoint.model_files import write_model_files
from vae.checkpoint.storage import pack_arrays
from vae.config import ModelConfig, TrainConfig
from vae.images import networks

EXPECTED = "expected: the model in model has it; leave the option out"
TIDY = "already there; replace it with --overwrite, or name another folder"
CROPS_APART = (
    ": inside the folder of crops, another folder expected, so that no crop is"
    " overwritten or read twice"
)
IMAGES = "no image found (looked for .png .jpg .jpeg .bmp .webp .tif .tiff .apng .jfif"
IMAGES += " .jif .jpe .dib)"
USES = {
    "sample --latent-dim 6 model": f"--latent-dim: 6 found, 5 {EXPECTED}",
    "sample --input-width 64 model": f"--input-width: 64 found, 16 {EXPECTED}",
    "sample --input-height 64 model": f"--input-height: 64 found, 12 {EXPECTED}",
    "row_53 sample --walks 0 model": "--walks: 0 found, 1 to 100000 expected",
    "row_53 sample --walks -1 model": "--walks: -1 found, 1 to 100000 expected",
    "row_53 sample --walks 1000000000 model": "--walks: 1000000000 found, 1 to 100000"
    " expected",
    "row_53 sample --walks 100001 model": "--walks: 100001 found, 1 to 100000 expected",
    "row_53 sample --steps 0 model": "--steps: 0 found, 1 to 100000 expected",
    "row_53 sample --seed -1 model": "--seed: -1 found, 0 to 2147483647 expected",
    "row_53 sample --walks 100000 --steps 99999 model": "--walks: 100000 of 99999 steps"
    " found, at most 1000000 pictures expected",
    "row_11 sample --output-dir file model": "file: a file found, a folder expected",
    "row_11 sample --output-dir file/x model": "file/x: below {}/file, which is a file,"
    " a folder expected",
    "row_45 sample --output-dir shown model": f"shown/walks.png: {TIDY}",
    "reconstruct --latent-dim 6 model crops o": f"--latent-dim: 6 found, 5 {EXPECTED}",
    "row_35 reconstruct model nowhere out": "nowhere: can't be listed (no such file or"
    " directory), a folder of images expected",
    "row_35 reconstruct model file out": "file: not a video that can be read (invalid"
    " data found when processing input); a folder of crops, an image, a video or an"
    " HDF5 file expected",
    "reconstruct --paste model crops out": "--paste: found without --faces, which finds"
    " where a face goes back to; add that or leave it out",
    "reconstruct --patches p model crops out": "--patches: found without --faces, which"
    " finds where a face goes back to; add that or leave it out",
    "reconstruct --each model crops out": "--each: no folder found in crops, one for"
    " each person expected",
    "reconstruct --each --latents l.npz model . out": "--each: --latents found, which"
    " is of one person alone; leave it out, or give one person's folder",
    "reconstruct --each model . a.gif": "--each: a.gif found, which is of one person"
    " alone; leave it out, or give one person's folder",
    "reconstruct model crops model/a.gif": "model/a.gif: inside the input model,"
    " another folder expected, so that nothing of it is overwritten or read",
    "reconstruct model crops old.gif": f"./old.gif: {TIDY}",
    "row_35 reconstruct model bare out": f"bare: {IMAGES}",
    "row_44 reconstruct model crops crops": f"crops{CROPS_APART}",
    "row_44 reconstruct model crops crops/out": f"crops/out{CROPS_APART}",
    "row_44 reconstruct model crops link/out": f"link/out{CROPS_APART}",
    "row_11 reconstruct model crops file": "file: a file found, a folder expected",
    "row_45 reconstruct model crops shown": f"shown/a.png: {TIDY}",
    "reconstruct --latents z.npy model crops out": "--latents: z.npy found, NAME.npz"
    " expected",
    "row_45 reconstruct --latents z.npz model crops out": f"./z.npz: {TIDY}",
    "reconstruct --neutral a.png model crops out": "--neutral: found with --align auto,"
    " relative expected; add --align relative",
    "row_45 reconstruct model crops/a.jpg shown": f"shown/a.png: {TIDY}",
    "row_44 reconstruct --overwrite model crops/a.jpg crops": f"crops{CROPS_APART}",
    "reconstruct --align relative --neutral b.png model crops out": "--neutral: b.png:"
    " no such file or directory",
    "reconstruct --strength 99 model crops out": "--strength: 99.0 found, 0.0 to 10.0"
    " expected",
}


@pytest.mark.parametrize("line", USES)
def test_a_use_of_a_model_that_cannot_work_is_refused(line, refused, tmp_path):
    for name in ("model", "crops", "shown", "bare"):
        (tmp_path / name).mkdir()
    model = {"schema": 1, "model": ModelConfig(16, 12, 3, 5).to_dict()}
    arrays = {"weights.h5": pack_arrays({}), "latent.npz": b""}
    write_model_files(tmp_path / "model", model, arrays)
    (tmp_path / "link").symlink_to("crops")
    for name in (
        "file",
        "z.npz",
        "old.gif",
        "crops/a.jpg",
        "shown/a.png",
        "shown/walks.png",
    ):
        (tmp_path / name).touch()
    command = re.sub("^row_[0-9]+ ", "", line)
    assert refused(command) == USES[line].replace("{}", str(tmp_path))


ALIKE = "only models of one size can be compared"
ALONE = "found with --stranger, which one model alone, --json and --overwrite go with"
EVALUATIONS = {
    "evaluate model bare": f"bare: {IMAGES}",
    "evaluate model nowhere": "nowhere: no such file or directory, an HDF5 file or a"
    " folder of crops expected",
    "evaluate model broken": "broken: no image that can be read, PNG, JPEG, BMP, WebP"
    " or TIFF expected",
    "evaluate model mixed": "mixed: images of 2 sizes found, 8x6 to 16x12, one"
    " expected; make them one with prepare",
    "evaluate model square.h5": "square.h5: images of 8x8 found, 16x12 or that shape"
    " expected, as in the model",
    "evaluate model gray.h5": "gray.h5: 1 channel found, 3 expected, as in the model",
    "evaluate --hdf5-dataset-name x model in.h5": "--hdf5-dataset-name: 'x' found, one"
    " of the datasets in in.h5 expected: data (4, 12, 16, 3)",
    "evaluate model text.h5": "text.h5: not an HDF5 file; see docs/files.md for the"
    " format",
    "evaluate --samples 0 model in.h5": "--samples: 0 found, 1 to 1000000 expected",
    "evaluate in.h5 in.h5": "in.h5/metadata.json: not a directory",
    "evaluate model other in.h5": "other: a model of 20x12, 3 channels found, 16x12, 3"
    f" channels expected, as in model; {ALIKE}",
    "evaluate model model model in.h5": "model: 3 models found, one or two expected,"
    " then the images",
    "evaluate --json there.json model in.h5": f"./there.json: {TIDY}",
    "evaluate --json x.txt model in.h5": "--json: x.txt found, NAME.json expected",
    "evaluate --json folder.json model in.h5": "--json: folder.json: a folder found, a"
    " file expected",
    "evaluate --json text.h5/x.json model in.h5": "text.h5: a file found, a folder"
    " expected",
    "evaluate --sheet there.png model in.h5": f"./there.png: {TIDY}",
    "evaluate --sheet x.jpg model in.h5": "--sheet: x.jpg found, NAME.png expected",
    "evaluate --actor in.h5 model in.h5": "--actor: in.h5 holds other images than the"
    " model in model was trained on, that file expected",
    "evaluate model": "IMAGES: none found after the model, an HDF5 file or a folder of"
    " crops expected, or a stranger's crops with --stranger",
    "evaluate model in.h5 --stranger mixed": f"in.h5: {ALONE}",
    "evaluate other model in.h5 --stranger mixed": f"model: {ALONE}",
    "evaluate model --samples 64 --stranger mixed": f"--samples: {ALONE}",
    "evaluate model --sheet x.png --stranger mixed": f"--sheet: {ALONE}",
    "evaluate model --json x.txt --stranger mixed": "--json: x.txt found, NAME.json",
    "evaluate model --json model/x.json --stranger mixed": "model/x.json: inside the",
    "evaluate bare --stranger mixed": "bare/metadata.json: ",
    "evaluate --actor in.h5 old in.h5": "old/metadata.json: TrainConfig:"
    " fields None found, [",
}


@pytest.mark.parametrize("line", EVALUATIONS)
def test_a_verdict_that_cannot_be_had_is_refused(line, refused, tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "is_installed", lambda: True)
    for name in ("model", "other", "old", "bare", "broken", "mixed", "folder.json"):
        (tmp_path / name).mkdir()
    train = TrainConfig(layout="rows-first").to_dict()
    about = {"schema": 1, "train": train, "source": {"fingerprint": "0"}}
    about["model"] = ModelConfig(16, 12, 3, 5).to_dict()
    (tmp_path / "model" / "metadata.json").write_text(json.dumps(about))
    for name, width in (("other", 20), ("old", 16)):
        about = {"schema": 1, "model": ModelConfig(width, 12, 3, 5).to_dict()}
        (tmp_path / name / "metadata.json").write_text(json.dumps(about))
    faces = make_faces(4, 12, 16)
    write_h5(tmp_path / "in.h5", faces)
    with h5py.File(tmp_path / "in.h5", "a") as file:
        file["data"].attrs["layout"] = "rows-first"
    write_h5(tmp_path / "gray.h5", faces[..., :1])
    write_h5(tmp_path / "square.h5", make_faces(4, 8, 8))
    Image.fromarray(faces[0]).save(tmp_path / "mixed" / "a.png")
    Image.fromarray(faces[0][:6, :8]).save(tmp_path / "mixed" / "b.png")
    for name in ("broken/a.png", "text.h5", "there.json", "there.png"):
        (tmp_path / name).write_text("hello")
    assert refused(line).startswith(EVALUATIONS[line])


def test_a_stranger_is_not_judged_without_the_extra(refused, monkeypatch):
    monkeypatch.setattr(networks, "is_installed", lambda: False)
    assert refused("evaluate model --stranger crops") == (
        "--stranger: the networks that read faces are missing: pip install"
        " 'vae-faces[faces]'"
    )
