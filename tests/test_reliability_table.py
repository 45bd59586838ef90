"""The table of docs/reliability.md and the tests it names fit each other."""

import re

from tests.files import ROOT

ROW = re.compile(r"\| (\d+) \| .+ \| .+ \| (.+) \|")
MARK = re.compile(r"row_(\d\d)")
# Where the row of a parametrised test is written as a number beside its case.
NUMBERED = {"data/test_refusals": {28, 29}}


def read_table():
    """Returns row -> names of the test files it is held by, below `tests/`."""
    lines = (ROOT / "docs" / "reliability.md").read_text().splitlines()
    rows = [match for match in map(ROW.fullmatch, lines) if match]
    return {int(row[1]): set(row[2].split(", ")) for row in rows}


def test_every_row_is_held_by_the_tests_it_names_and_by_no_other():
    found = {number: set() for number in range(1, 100)}
    for path in (ROOT / "tests").rglob("test_*.py"):
        name = path.relative_to(ROOT / "tests").with_suffix("").as_posix()
        rows = set(map(int, MARK.findall(path.read_text(encoding="utf-8"))))
        for row in rows | NUMBERED.get(name, set()):
            found[row].add(name)
    assert read_table() == found
