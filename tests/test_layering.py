"""Who may import whom: data flows one way, and TensorFlow is named where it must be."""

import ast

from tests.files import ROOT

VAE = ROOT / "vae"
FLOORS = [  # a room may import from the floors below its own
    {"__init__", "__main__"},
    {"cli"},
    {"commands"},
    {"reconstruction"},
    {"training", "evaluation", "preparation", "explorer"},
    {"strangers"},
    {"model", "data"},
    {"checkpoint", "images"},
    {"files", "parallel", "config"},
    {"terminal"},
    {"errors"},
]
ON_TENSORFLOW = {
    *(f"vae.model.{name}" for name in ("network", "losses", "export")),
    *(f"vae.training.{name}" for name in ("session", "recorder", "trainer")),
    "vae.training.optimizer",
    *(f"vae.training.{name}" for name in ("augment", "events", "distribution")),
    "vae.evaluation.judge",
}


def imports_of(path, late=True):
    """Returns the modules that a file imports; without `late`, those at its top."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree) if late else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def name_module(path):
    """Returns vae.data.hdf5 of vae/data/hdf5.py."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


MODULES = {name_module(path): path for path in sorted(VAE.rglob("*.py"))}


def test_rooms_import_from_the_floors_below_them():
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    for name, path in MODULES.items():
        room = name.split(".")[1]
        for other in imports_of(path) & MODULES.keys():
            below = floor_of[other.split(".")[1]] > floor_of[room]
            assert below or other.split(".")[1] == room, f"{name} imports {other}"


def test_tensorflow_is_named_by_few_and_reached_by_no_command_at_its_top():
    for name, path in MODULES.items():
        tops = {module.split(".")[0] for module in imports_of(path)}
        assert name in ON_TENSORFLOW or not tops & {"tensorflow", "keras"}, name
    pending = [name for name in MODULES if name.startswith("vae.commands.")]
    for name in pending:
        assert name not in ON_TENSORFLOW
        known = imports_of(MODULES[name], late=False) & MODULES.keys()
        pending += sorted(known - set(pending))
