"""What the rounds of a benchmark say: a table to read, and the same as plain values."""

from benchmarks.speed.turns import compare, take_medians

SHOWN_DIGITS = 4


def summarise(benchmark, settings, measured, errors):
    """Returns all that is known of one benchmark as values that JSON can hold.

    Args:
        settings: dict. measured, errors: what `turns.take_turns` returned.
    """
    medians = take_medians(measured)
    names = [contender.name for contender in benchmark.contenders]
    return {
        "settings": settings,
        "medians": {name: medians[name] for name in names if name in medians},
        "compared": _compare_all(benchmark, medians),
        "rounds": measured,
        "errors": errors,
    }


def _compare_all(benchmark, medians):
    """Key of a figure -> name of ours -> name of a row -> how much better ours is."""
    ours = [row.name for row in benchmark.contenders if row.ours]
    others = [row.name for row in benchmark.contenders if not row.ours]
    found = {}
    for figure in benchmark.figures:
        if not figure.better:
            continue
        values = {name: row.get(figure.key) for name, row in medians.items()}
        found[figure.key] = {
            name: {
                other: compare(figure, values[name], values[other])
                for other in others
                if other in values
            }
            for name in ours
            if name in values
        }
    return found


def format_table(benchmark, summary):
    """Returns the lines of the table: medians, ranges, ratios, notes and failures."""
    heads = ["", *(figure.unit for figure in benchmark.figures)]
    rows = [heads]
    for name, medians in summary["medians"].items():
        cells = [_cell(summary, name, medians, figure) for figure in benchmark.figures]
        rows.append([name, *cells])
    widths = [max(len(row[n]) for row in rows) for n in range(len(heads))]
    lines = [_align(row, widths) for row in rows]
    for figure in benchmark.figures:
        lines += _format_comparison(figure, summary["compared"].get(figure.key, {}))
    notes = {
        (name, turn["note"])
        for found in summary["rounds"]
        for name, turn in found.items()
        if turn.get("note")
    }
    lines += [f"note: {name}: {note}" for name, note in sorted(notes)]
    lines += [f"failed: {name}: {why}" for name, why in summary["errors"].items()]
    return lines


def _cell(summary, name, medians, figure):
    if figure.key not in medians:
        return "-"
    middle = format_number(medians[figure.key])
    turns = [found[name] for found in summary["rounds"] if name in found]
    values = [turn[figure.key] for turn in turns if turn[figure.key] is not None]
    if len(turns) < 2 or not values or min(values) == max(values):
        return middle
    return f"{middle} ({format_number(min(values))}..{format_number(max(values))})"


def _format_comparison(figure, compared):
    sign = "{:+.2f}" if figure.better == "difference" else "{:.2f} x"
    lines = []
    for ours, others in compared.items():
        for other, value in others.items():
            shown = "open" if value is None else sign.format(value)
            lines.append(f"{figure.unit}: {ours} against {other}: {shown}")
    return lines


def _align(row, widths):
    first, *cells = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(c.rjust(w) for c, w in cells)])


def format_number(value):
    """Returns a number with four digits that count, or "never" for None."""
    if value is None:
        return "never"
    if abs(value) >= 10 ** (SHOWN_DIGITS - 1):
        return f"{value:.0f}"
    return f"{value:.{SHOWN_DIGITS}g}"
