"""The benchmarks' own arithmetic: turns, medians, ratios, and the form of what is told.

Nothing is timed here and neither TensorFlow nor PyTorch is loaded.
"""

import ast
import json
import resource
import subprocess
import sys
import textwrap
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from benchmarks.speed import faces, growth, quality, reconstruct, run, throughput
from benchmarks.speed.chart import Axis, Panel, draw_panels
from benchmarks.speed.contenders.clock import StepClock
from benchmarks.speed.contenders.ours_quality import read_curve
from benchmarks.speed.contenders.reads import ReadCounter
from benchmarks.speed.machine import describe_machine, format_machine
from benchmarks.speed.report import format_number, format_table, summarise
from benchmarks.speed.settings import read_settings
from benchmarks.speed.turns import (
    FRESH,
    Benchmark,
    Contender,
    Figure,
    TurnError,
    compare,
    measure,
    take_medians,
    take_turns,
)
from tests.files import ROOT
from vae.data.arrays import load_images
from vae.data.batches import cut_batches
from vae.data.hdf5 import ImageFile

RATE, SECONDS = Figure("rate", "img/s", "more"), Figure("seconds", "s", "less")


def python(code, *arguments):
    return [sys.executable, "-c", textwrap.dedent(code), *arguments]


def say(**figures):
    return python(f"print('noise'); print({json.dumps(figures)!r})")


def test_importing_the_runner_loads_no_framework():
    code = """
        import sys
        sys.path.insert(0, sys.argv[1])
        import benchmarks.speed.run
        found = {"tensorflow", "keras", "torch", "pythae"} & set(sys.modules)
        sys.exit(", ".join(found) or 0)
    """
    subprocess.run(python(code, str(ROOT)), check=True)


@pytest.mark.parametrize("name", run.BENCHMARKS)
def test_each_benchmark_says_what_it_is_and_what_can_be_changed(name, capsys):
    assert run.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    module = run.BENCHMARKS[name]
    assert sum(line.startswith(f"{name}: ") for line in lines) == 1
    assert callable(module.prepare)
    for item in fields(module.Settings):
        assert any(line.startswith(f"    {item.name}=") for line in lines)


def test_programs_that_need_frameworks_parse():
    paths = [*(ROOT / "benchmarks").rglob("*.py")]
    assert len(paths) > 20
    for path in paths:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_throughput_gives_all_contenders_the_same_file(tmp_path):
    settings = throughput.Settings(images=4, batch=2)
    place = SimpleNamespace(folder=str(tmp_path), peers="peers-python")
    rows = throughput.prepare(settings, place).contenders
    assert {row.command[2] for row in rows} == {str(tmp_path / "faces.h5")}
    assert all(Path(row.command[1]).exists() for row in rows)
    assert [row.command[0] for row in rows].count("peers-python") == 3
    with h5py.File(tmp_path / "faces.h5") as file:
        assert file["data"].shape == (4, 64, 64, 3)


def test_a_turn_is_measured_from_outside_and_by_what_it_prints():
    found = measure(say(rate=7.5))
    # The peak of a child begins at that of the process it is forked from.
    inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert found["rate"] == 7.5
    assert 0 < found["seconds"] < 30 and 1 < found["peak_mib"] < inherited + 1000
    assert measure(say(seconds=0.25))["seconds"] == 0.25


def test_a_turn_gets_a_fresh_path_that_is_removed(tmp_path):
    code = """
        import json, os, sys
        os.mkdir(sys.argv[1])
        print(json.dumps({"path": sys.argv[1]}))
    """
    first, second = (measure(python(code, FRESH))["path"] for _ in range(2))
    assert first != second
    assert not Path(first).exists()


def test_a_failed_turn_tells_the_end_of_its_stderr():
    with pytest.raises(TurnError, match="exit status 3: last words"):
        measure(python("import sys; print('last words', file=sys.stderr); exit(3)"))


def test_contenders_take_turns_and_nobody_is_always_first():
    rows = [Contender(name, say(rate=1)) for name in "abc"]
    order = []
    measured, errors = take_turns(
        Benchmark(rows, (RATE,)), 3, lambda number, name, found: order.append(name)
    )
    assert "".join(order) == "abcbcacab"
    assert len(measured) == 3 and not errors


def test_a_contender_that_fails_is_left_out_and_the_others_go_on():
    rows = [Contender("good", say(rate=1)), Contender("bad", python("exit(1)"))]
    measured, errors = take_turns(Benchmark(rows, (RATE,)), 2, lambda *turn: None)
    assert [list(found) for found in measured] == [["good"], ["good"]]
    assert list(errors) == ["bad"]


def test_medians_take_never_as_infinite():
    rounds = [{"a": {"rate": rate, "note": "x"}} for rate in (3, None, 1)]
    assert take_medians(rounds) == {"a": {"rate": 3}}
    rounds = [{"a": {"rate": rate}} for rate in (None, None, 1)]
    assert take_medians(rounds) == {"a": {"rate": None}}


def test_comparisons_are_how_much_better_ours_is():
    assert compare(RATE, 30, 10) == 3
    assert compare(SECONDS, 10, 30) == 3
    assert compare(Figure("psnr", "dB", "difference"), 26.5, 24.0) == 2.5
    assert compare(RATE, None, 10) is None


def test_the_summary_compares_ours_with_each_other():
    rows = [
        Contender("ours", [], ours=True),
        Contender("ours, plain", [], ours=True),
        Contender("theirs", []),
    ]
    rounds = [
        {"ours": {"rate": 20}, "ours, plain": {"rate": 30}, "theirs": {"rate": rate}}
        for rate in (10, 2, 11)
    ]
    benchmark = Benchmark(rows, (RATE, Figure("unknown", "?")))
    summary = summarise(benchmark, {}, rounds, {"lost": "exit status 1: why"})
    assert summary["compared"] == {
        "rate": {"ours": {"theirs": 2}, "ours, plain": {"theirs": 3}}
    }
    text = "\n".join(format_table(benchmark, summary))
    assert "10 (2..11)" in text
    assert "img/s: ours, plain against theirs: 3.00 x" in text
    assert "failed: lost: exit status 1: why" in text


def test_notes_are_shown_once():
    rows = [Contender("theirs", [])]
    rounds = [{"theirs": {"rate": 1, "note": "not compiled"}}] * 3
    benchmark = Benchmark(rows, (RATE,))
    lines = format_table(benchmark, summarise(benchmark, {}, rounds, {}))
    assert lines.count("note: theirs: not compiled") == 1


@pytest.mark.parametrize(
    "number, shown",
    [(None, "never"), (0.012345, "0.01235"), (24.312, "24.31"), (12345.6, "12346")],
)
def test_numbers_have_four_digits_that_count(number, shown):
    assert format_number(number) == shown


def test_json_holds_settings_medians_and_all_turns(monkeypatch, tmp_path, capsys):
    def prepare(settings, place):
        rows = [Contender("ours", say(rate=4), ours=True), Contender("b", say(rate=2))]
        return Benchmark(rows, (RATE,))

    fake = SimpleNamespace(Settings=throughput.Settings, prepare=prepare)
    monkeypatch.setitem(run.BENCHMARKS, "fake", fake)
    path = tmp_path / "found.json"
    options = ["--rounds", "2", "--set", "seconds=5", "--json", str(path)]
    assert run.main(["fake", *options]) == 0
    found = json.loads(path.read_text())
    assert capsys.readouterr().out.startswith("machine: ")
    assert {"processor", "cores", "flags", "load_average"} <= set(found["machine"])
    fake = found["benchmarks"]["fake"]
    assert fake["settings"]["seconds"] == 5
    assert fake["medians"]["ours"]["rate"] == 4
    assert fake["compared"] == {"rate": {"ours": {"b": 2}}}
    assert len(fake["rounds"]) == 2 and fake["errors"] == {}


@pytest.mark.parametrize(
    "arguments", [["fast"], ["start", "--rounds", "0"], ["start", "--set", "speed=1"]]
)
def test_a_wrong_command_line_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        run.main(arguments)
    assert stop.value.code == 2


def test_settings_are_changed_where_they_fit():
    chosen = {"growth": growth.Settings(), "reconstruct": reconstruct.Settings()}
    changed = read_settings(chosen, ["counts=10,20", "crops=7"])
    assert changed["growth"].counts == (10, 20)
    assert changed["reconstruct"].crops == 7
    with pytest.raises(ValueError):
        read_settings(chosen, ["crops=many"])


def test_the_machine_line_names_processor_cores_flags_and_versions():
    line = format_machine(describe_machine(sys.executable))
    assert line.startswith("machine: ") and "\n" not in line
    for word in ("cores", "amx_bf16", "avx512_bf16", "GiB", "Python", "load average"):
        assert word in line


def test_time_to_quality_is_read_off_the_curves():
    found = {
        "ours": {"curve": [[1, 20.0], [2, 25.0], [30, 28.0], [40, 27.0]]},
        quality.PORT: {"curve": [[5, 21.0], [10, 24.0], [20, 23.0], [30, 25.5]]},
    }
    figures = quality.derive(SimpleNamespace(early=20, late=30), found)
    assert figures["ours"]["seconds_to_target"] == 2
    assert figures[quality.PORT]["seconds_to_target"] == 10
    assert figures["ours"]["best_psnr"] - figures[quality.PORT]["best_psnr"] == 2.5
    assert figures["ours"]["best_at"] == 30


def test_quality_never_reached_and_not_measured_are_open():
    settings = SimpleNamespace(early=20, late=30)
    found = {"ours": {"curve": []}, quality.PORT: {"curve": [[5, 21.0]]}}
    assert quality.derive(settings, found)["ours"]["seconds_to_target"] is None
    assert quality.derive(settings, {"ours": {"curve": [[1, 9.0]]}})


def test_the_curve_is_read_from_the_history(tmp_path):
    path = tmp_path / "history.csv"
    assert read_curve(path) == []
    path.write_text("epoch,val_psnr,seconds\n1,20.5,3.0\n2,21.5,6.0\n")
    assert read_curve(path) == [[3.0, 20.5], [6.0, 21.5]]


def test_growth_relates_the_cost_of_files_to_the_least():
    settings = growth.Settings(counts=(10, 20))
    found = {"10 images": {"train_us": 5.0}, "20 images": {"train_us": 4.0}}
    figures = growth.derive(settings, found)
    assert figures["10 images"]["relative_cost"] == 1.25
    assert figures["20 images"]["relative_cost"] == 1.0


def test_rates_follow_from_seconds():
    found = reconstruct.rate(500, {"a": {"seconds": 2.0}})
    assert found == {"a": {"images_per_second": 250}}


def test_the_step_clock_leaves_out_the_warm_up(monkeypatch):
    now = iter([0.0, 10.0, 11.0, 12.0, 13.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    clock = StepClock(warmup=2, seconds=2.0)
    assert [clock.tick(8) for _ in range(4)] == [False, False, False, True]
    figures = clock.figures()
    assert figures["images_per_second"] == 8
    assert figures["first_step_seconds"] == 10
    assert figures["compile_seconds"] == 9  # 11 seconds for what takes 2


def test_a_sorted_file_holds_its_people_in_order_and_reads_once(tmp_path):
    path, count = tmp_path / "sorted.h5", 2 * faces.PEOPLE * faces.CHUNK_ROWS
    faces.write_sorted(path, count)
    with ImageFile(path) as file, ReadCounter() as counter:
        rows = load_images(file, 0, count, (faces.SIDE, faces.SIDE))
        batches = list(cut_batches(rows, 64, seed=0, epoch=0))
    people = rows[:, 0, 0, 0]
    assert np.array_equal(people, np.repeat(np.arange(faces.PEOPLE), count // 20))
    assert sum(map(len, batches)) == count
    assert counter.calls <= count // faces.CHUNK_ROWS
    assert counter.bytes == rows.nbytes


def test_the_chart_shows_all_curves():
    panels = [Panel("cost", {"a": [(1, 10), (100, 20)], "b": [(1, 30), (100, 40)]})]
    picture = np.asarray(draw_panels(panels))
    assert picture.shape[2] == 3
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 4
    axis = Axis([10, 1000], 0, 100)
    assert axis.place(100) == pytest.approx(50)
    assert axis.ticks() == [10, 20, 50, 100, 200, 500, 1000]
