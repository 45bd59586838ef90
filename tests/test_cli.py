"""The command line itself: help, old command lines, exit statuses, errors."""

import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.files import ROOT
from vae import __version__, cli
from vae.cli import build_parser
from vae.config import ModelConfig, SampleConfig, TrainConfig
from vae.errors import RefusedError, StoppedError, VaeError
from vae.terminal import quiet_tensorflow

PARSERS = build_parser()._subparsers._group_actions[0].choices
COMMANDS = tuple(PARSERS)
HEAVY = {"tensorflow", "keras", "h5py", "numpy", "PIL", "tqdm"}
DUMP = (
    "import atexit, runpy, sys\n"
    "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
    "sys.argv = sys.argv[1:]\n"
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
SIZES = ["--input-width", "64", "--input-height", "64"]
OLD_TRAIN = ["train", "--hdf5-dataset-name", "data", "--batch-size", "128", "--epochs"]
OLD_TRAIN += ["100", "--learning-rate", "0.01", "--latent-dim", "30", *SIZES]


def run_python(*arguments, **settings):
    """Runs a Python of its own at the root of the project."""
    command = [sys.executable, *arguments]
    settings = {"capture_output": True, "text": True, "cwd": ROOT} | settings
    return subprocess.run(command, **settings)


def parse(*arguments):
    """Returns what the parser makes of a command line, as a dictionary."""
    return vars(build_parser().parse_args(arguments))


def options_of(command):
    """Returns the options of a command, but for `-h`."""
    actions = PARSERS[command]._actions
    return [each for each in actions if each.option_strings and each.dest != "help"]


@pytest.fixture
def dispatch(monkeypatch, run_cli):
    """Returns a function that runs a command whose module was replaced."""

    def start(load=lambda: None, run=lambda args: 0):
        def import_module(name):
            assert name == "vae.commands.sample"
            load()
            return SimpleNamespace(run=run)

        monkeypatch.setattr(cli, "import_module", import_module)
        return run_cli("sample", "model")

    return start


def fail_with(error):
    """Returns a function that raises an error."""

    def fail(*_):
        raise error

    return fail


@pytest.mark.parametrize("command", [[], *[[command] for command in COMMANDS]])
def test_help_imports_nothing_heavy(command):
    found = run_python("-c", DUMP, "vae.py", *command, "-h")
    modules = found.stderr.split()
    assert found.returncode == 0 and found.stdout.startswith("usage: vae.py")
    assert "vae.cli" in modules
    assert not HEAVY & set(modules)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_a_default_for_every_option(command, run_cli):
    status, out, err = run_cli(command, "-h")
    shown = " ".join(out.split())
    assert (status, err) == (0, "")
    for option in options_of(command):
        assert re.search(r"\(default: .+\)$", option.help), option.dest
        assert " ".join(option.help.split()) in shown


def test_the_default_shown_is_the_one_that_is_used():
    configs = {"train": (TrainConfig, ModelConfig), "sample": (SampleConfig,)}
    for command, kinds in configs.items():
        helps = {option.dest: option.help for option in options_of(command)}
        values = {name: v for kind in kinds for name, v in kind().to_dict().items()}
        shown = values.keys() & helps.keys()
        assert {"seed"} < shown
        for name in shown:
            if values[name] is None:  # in words
                continue
            assert helps[name].endswith(f"(default: {values[name]})")


def test_the_published_train_command_line_parses():
    found = parse(*OLD_TRAIN, "in", "out")
    expected = {
        "command": "train",
        "hdf5_dataset_name": "data",
        "batch_size": 128,
        "epochs": 100,
        "learning_rate": 0.01,
        "latent_dim": 30,
        "input_width": 64,
        "input_height": 64,
        "inputs": ["in"],
        "output": "out",
    }
    assert expected.items() <= found.items()


@pytest.mark.parametrize("option", ["--output--dir", "--output-dir"])
def test_the_published_sample_command_line_parses(option):
    line = ["sample", "--latent-dim", "30", *SIZES, option, "samples/", "model"]
    found = parse(*line)
    expected = {"latent_dim": 30, "input_width": 64, "output_dir": "samples/"}
    assert (expected | {"input": "model"}).items() <= found.items()


def test_the_published_reconstruct_command_line_parses():
    found = parse("reconstruct", "--latent-dim", "30", *SIZES, "model", "dir", "out")
    expected = {"latent_dim": 30, "input": "model", "inputdir": "dir", "output": "out"}
    assert expected.items() <= found.items()


@pytest.mark.parametrize("line", ["train in out", "sample m", "reconstruct m i o"])
def test_an_option_that_is_not_given_is_no_wish(line):
    found = parse(*line.split())
    assert not {"batch_size", "seed", "walks", "layout", "output_dir"} & set(found)
    assert found.get("epochs") is None
    assert found.get("latent_dim") is None and found["input_width"] is None


def test_the_three_ways_to_start_agree():
    entry = "import sys; from vae.cli import main; sys.exit(main())"
    for line in (["sample", "-h"], ["sample"], ["sample", "nowhere"], ["--version"]):
        ways = (["vae.py"], ["-m", "vae"], ["-c", entry])
        found = [run_python(*way, *line) for way in ways]
        seen = {(each.returncode, each.stdout, each.stderr) for each in found}
        assert len(seen) == 1


def test_the_script_runs_from_any_folder(tmp_path):
    found = run_python(ROOT / "vae.py", "sample", "nowhere", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == (
        "vae.py sample: error: nowhere/metadata.json: no such file or directory; a"
        " model directory that train wrote expected\n"
    )


def test_version_is_that_of_the_package(run_cli):
    assert run_cli("--version") == (0, f"vae {__version__}\n", "")


WRONG = {
    "": "the following arguments are required: COMMAND",
    "draw": "argument COMMAND: invalid choice: 'draw'",
    "train in": "the following arguments are required: MODEL",
    "sample --walk 3 model": "argument --walk: invalid choice: '3'",
    "sample --step 3 model": "unrecognized arguments: --step",
    "train --epoch 3 in out": "unrecognized arguments: --epoch",
    "train --over in out": "unrecognized arguments: --over",
    "sample --epochs 3 model": "unrecognized arguments: --epochs",
    "train --epochs 1.5 in out": "--epochs: '1.5' found, a whole number expected",
    "train --beta much in out": "--beta: 'much' found, a number expected",
    "train --layout up in out": "argument --layout: invalid choice: 'up'",
    "sample --latentdim 16 model": "--latentdim; did you mean --latent-dim?",
    "train --Epochs=3 in out": "arguments: --Epochs; did you mean --epochs?",
    "sample --\x1b[31mred model": r"unrecognized arguments: --\x1b[31mred",
    f"train --epochs {'9' * 4000} in out": f"'{'9' * 39} found, a whole number expec",
    f"sample --{'x' * 99} model": f"unrecognized arguments: --{'x' * 99}",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_command_line_that_is_wrong_returns_2(line, run_cli):
    status, out, err = run_cli(*line.split())
    assert (status, out) == (2, "")
    assert err.startswith("usage: vae.py") and WRONG[line] in err.splitlines()[-1]


def test_a_wrong_option_shows_the_usage_of_its_command(run_cli):
    _, _, err = run_cli("sample", "--latentdim", "16", "model")
    assert err.startswith("usage: vae.py sample ") and "COMMAND" not in err


def test_without_a_command_all_are_listed(run_cli):
    status, out, err = run_cli()
    assert (status, out) == (2, "")
    for command in COMMANDS:
        assert f"\n    {command}" in err


def test_a_value_that_looks_like_an_option_is_none_of_ours(run_cli):
    _, _, err = run_cli("sample", "--seed", "-3", "model")
    assert err == "vae.py sample: error: --seed: -3 found, 0 to 2147483647 expected\n"
    _, _, err = run_cli("sample", "--", "--nowhere")
    assert err.startswith("vae.py sample: error: --nowhere/metadata.json: no such file")


ERRORS = [VaeError("x: y"), RefusedError("x: y"), StoppedError("x: y", 15)]


@pytest.mark.parametrize("error, status", [*zip(ERRORS, (1, 2, 143), strict=True)])
def test_an_expected_error_or_a_stop_is_one_line_and_a_status(error, status, dispatch):
    found = dispatch(run=fail_with(error))
    kind = "" if isinstance(error, StoppedError) else "error: "
    assert found == (status, "", f"vae.py sample: {kind}x: y\n")


@pytest.mark.parametrize("place", ["load", "run"])
def test_an_interrupt_returns_130_and_says_nothing(place, dispatch):
    assert dispatch(**{place: fail_with(KeyboardInterrupt())}) == (130, "", "")


@pytest.mark.parametrize("place", ["load", "run"])
def test_a_bug_keeps_its_traceback(place, dispatch):
    with pytest.raises(ZeroDivisionError):
        dispatch(**{place: fail_with(ZeroDivisionError())})


def test_a_command_gets_its_arguments_and_sets_the_status(dispatch):
    def run(args):
        print(args.input, args.overwrite)
        return 1

    assert dispatch(run=run) == (1, "model False\n", "")


def test_chatter_of_a_framework_is_kept_off_the_terminal(capfd):
    with quiet_tensorflow():
        os.write(2, b"chatter\n")
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"


def test_chatter_of_a_framework_that_fails_to_start_is_shown(capfd):
    with pytest.raises(ImportError, match="no tensorflow"), quiet_tensorflow():
        os.write(2, b"why it fails\n")
        raise ImportError("no tensorflow")
    assert capfd.readouterr().err == "why it fails\n"
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"
