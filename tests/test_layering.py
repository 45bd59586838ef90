"""Who may import whom, and the house's limits on length, held against the source."""
import ast
from pathlib import Path

import pytest
from conftest import ROOT

FRAMEWORKS = {"keras", "tensorflow"}
ON_FRAMEWORKS = {"augment", "evaluation", "export", "losses", "model"}
ON_FRAMEWORKS |= {"statistics", "training"}
BASE = {"config", "errors", "files"}
CHECKS = BASE | {"bundle", "checkpoint", "checks", "data"}
CHECKS |= {"decoder", "images", "probe", "progress", "stream"}
CHECKS |= {"cleaning", "detector", "fit", "openface", "sources", "video", "writer"}
ARROWS = {  # module -> what it imports of ours
    "__init__": set(),
    "__main__": {"cli"},
    "alignment": {"blinks", "errors", "images", "latent", "mouths"}
    | {"reading", "registration", "workers"},
    "architecture": set(),
    "augment": {"filters"},
    "blinks": {"reading"},
    "bootstrap": set(),
    "bundle": {"errors", "files", "storage"},
    "chart": set(),
    "checkpoint": BASE | {"storage"},
    "cleaning": {"images"},
    "cli": {"errors", "parsers", "quiet", "streams"},
    "config": {"errors"},
    "container": {"errors", "files"},
    "crops": {"decoder", "images", "stream", "workers"},
    "data": BASE | {"container"},
    "decoder": {"errors", "files"},
    "detector": {"faces", "quiet"},
    "errors": set(),
    "evaluation": {"checkpoint", "images", "losses", "metrics", "model", "tally"},
    "export": {"checkpoint", "errors", "files", "losses", "model"},
    "faces": set(),
    "files": {"errors"},
    "filters": set(),
    "fit": {"images"},
    "gallery": {"images"},
    "images": {"decoder", "errors", "files"},
    "inference": {"architecture", "errors", "images"}
    | {"storage", "workers"},
    "latent": {"errors", "files", "reading"},
    "losses": set(),
    "memorisation": set(),
    "metrics": set(),
    "model": {"architecture"},
    "mouths": set(),
    "openface": {"errors", "files"},
    "parsers": {"config"},
    "probe": {"container", "data", "errors", "files"},
    "progress": {"errors"},
    "quiet": set(),
    "reading": {"filters", "mouths", "registration"},
    "registration": {"filters"},
    "sources": {"container", "data", "decoder", "errors", "files", "fit"}
    | {"images", "openface", "probe"},
    "statistics": {"augment", "blinks", "images", "latent", "mouths", "reading"},
    "storage": {"errors", "files"},
    "stream": {"errors", "files", "images"},
    "streams": set(),
    "tally": {"alignment", "metrics"},
    "training": {"augment", "errors", "losses", "progress", "stream"},
    "verdict": {"bootstrap"},
    "video": {"errors", "files", "fit", "sources"},
    "workers": set(),
    "writer": {"errors", "files"},
}
LIBRARY = set(ARROWS) - {"__init__", "__main__", "cli", "parsers", "streams"}
OURS = sorted((ROOT / "vae").rglob("*.py"))
LIMITED = [ROOT / "vae.py", *OURS, *sorted((ROOT / "examples").rglob("*.py"))]
MAX_LINE, MAX_FUNCTION, MAX_FILE = 88, 40, 300


def short(path):
    """Returns a path as it is said: vae/checks/train.py."""
    return Path(path).relative_to(ROOT).as_posix()


def parse(path):
    """Returns the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(tree):
    """Returns every module a tree imports, by its full name."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names if node.module == "vae" else {node.module}
    return found - {"vae.__version__"}


def ours_in(modules):
    """Returns the parts below `vae` of those modules that are ours."""
    return {name.split(".")[1] for name in modules if name.startswith("vae.")}


def allowed(path):
    """Returns what a file may import of ours."""
    folder = path.parent.name
    if folder == "checks":
        return CHECKS
    return LIBRARY | {"checks"} if folder == "commands" else ARROWS[path.stem]


@pytest.mark.parametrize("path", OURS, ids=short)
def test_imports_go_along_the_arrows(path):
    assert ours_in(imports_of(parse(path))) <= allowed(path)


def test_the_script_imports_the_command_line_and_nothing_else():
    assert imports_of(parse(ROOT / "vae.py")) == {"sys", "vae.cli"}


@pytest.mark.parametrize("path", OURS, ids=short)
def test_only_the_network_and_its_users_import_a_framework(path):
    found = {name.split(".")[0] for name in imports_of(parse(path))}
    if path.parent.name != "commands" and path.stem not in ON_FRAMEWORKS:
        assert not found & FRAMEWORKS


def test_nothing_that_runs_before_tensorflow_leads_to_it():
    pending = ["cli", *CHECKS - {"checks"}]
    for name in pending:
        assert name not in ON_FRAMEWORKS
        pending += ARROWS[name] - set(pending)


@pytest.mark.parametrize("path", LIMITED, ids=short)
def test_only_the_command_line_imports_late(path):
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    for node in ast.walk(parse(path)):
        if isinstance(node, functions):
            late = [inner for inner in ast.walk(node) if is_import(inner)]
            assert not late or short(path) == "vae/cli.py"


def is_import(node):
    """Whether a node of a syntax tree imports something, in whatever way."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return True
    called = getattr(node, "func", None)
    name = getattr(called, "attr", getattr(called, "id", None))
    return name in ("import_module", "__import__", "exec", "run_path", "run_module")


@pytest.mark.parametrize("path", LIMITED, ids=short)
def test_files_and_lines_keep_their_length(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_FILE
    assert [n for n, line in enumerate(lines, 1) if len(line) > MAX_LINE] == []


@pytest.mark.parametrize("path", LIMITED, ids=short)
def test_functions_keep_their_length(path):
    functions = [n for n in ast.walk(parse(path)) if isinstance(n, ast.FunctionDef)]
    lengths = {node.name: node.end_lineno - node.lineno + 1 for node in functions}
    assert {name for name, length in lengths.items() if length > MAX_FUNCTION} == set()


@pytest.mark.parametrize("path", LIMITED, ids=short)
def test_public_names_say_what_they_are_for(path):
    tree = parse(path)
    assert ast.get_docstring(tree)
    assert [node.name for node in public(tree) if not ast.get_docstring(node)] == []


def public(node):
    """Yields public functions and classes, and public methods of public classes.

    A method that an own or a foreign base class prescribes needs no words of its own.
    """
    for inner in node.body:
        named = isinstance(inner, (ast.FunctionDef, ast.ClassDef))
        if not named or inner.name.startswith("_") or inner.name == "call":
            continue
        yield inner
        if isinstance(inner, ast.ClassDef):
            yield from public(inner)
