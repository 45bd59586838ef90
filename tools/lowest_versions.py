"""Prints the lowest version of each dependency that setup.py allows, for pip's -c.

    python tools/lowest_versions.py > constraints.txt

The package has to be installed with its extra `test`, whose dependencies are listed
too. The builder and the linter are left out: they don't run the code.
"""

import re
from importlib.metadata import requires

TOOLS = ("build", "ruff")


def main():
    """Prints one `name==version` a line."""
    for line in requires("vae-faces"):
        name = re.match(r"[\w.-]+", line)[0]
        lowest = re.search(r"(?:>=|==)([\d.]*\d)", line)
        wanted = "extra" not in line or 'extra == "test"' in line
        if wanted and name not in TOOLS:
            print(f"{name}=={lowest[1]}" + (".*" if ".*" in line else ""))


if __name__ == "__main__":
    main()
