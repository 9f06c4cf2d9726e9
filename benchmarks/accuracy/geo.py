"""Errors across zones over all published figures in geo/.

    python benchmarks/accuracy/geo.py            print the section of the report
    python benchmarks/accuracy/geo.py --write    keep it in report.md, and its headline in both READMEs

Nothing is fitted to these figures but the TCP window, to 12 of 87 routes, which do not count. What was inferred from
them is in README.md.
"""

import re
import statistics
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from crosszone.core.validation import ValidatedRow, Validation
from crosszone.verify.geo.bandwidth_needed import notches
from crosszone.verify.validate import validate_table

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).with_name("geo")
REPORT = Path(__file__).with_name("report.md")
READMES = (ROOT / "README.md", ROOT / "README.zh.md")
BEGIN, END = "<!-- accuracy across zones: begin -->", "<!-- accuracy across zones: end -->"
NOTES = {
    "crosspipe": "Time of a microbatch, relative to the same schedule without delay. Written schedules post a receive "
    "when the rank has nothing else to do; generated ones post it ahead, "
    "between two pieces of work, as table 5 suggests; table 6 tests it.",
    "diloco": "Bandwidth that a share of compute asks for, simulated by the authors: points of a grid, 1.207 apart.",
    "erben": "Samples per second, relative to as many GPUs in one zone.",
    "intellect": "Share of time that is compute, and MFU, from the printed times.",
    "iperf": "TCP by round trip with one window for all. Behind the public internet loss binds, which nobody measured.",
}


def validations() -> dict[str, Validation]:
    """Every table of geo/ by its name, predicted."""
    return {path.stem: validate_table(path.read_text(encoding="utf-8")) for path in sorted(DATA.glob("*.csv"))}


def headline(found: Mapping[str, Validation]) -> str:
    """The table of the README."""
    pipelines, tcp = _counted(found["crosspipe"]), _counted(found["iperf"])
    written = [row for row in pipelines if row.framework == "static schedules"]
    generated = [row for row in pipelines if row.framework == "generated schedules"]
    peers, needed = _counted(found["erben"]), _counted(found["diloco"])
    lines = [
        "| across zones | rows | error |",
        "| --- | --: | --: |",
        f"| CrossPipe, pipelines over 2 and 4 sites, written schedules | {len(written)} | {_mean(written)} |",
        f"| the same, schedules generated for the delay | {len(generated)} | {_mean(generated)} |",
        f"| Erben et al. 2023, averaging over up to 4 continents | {len(peers)} | {_mean(peers)} |",
        f"| the same, TCP on GCP, AWS and Azure | {len(tcp)} | {_share(statistics.median(map(_size, tcp)))} (median) |",
        f"| DiLoCo, bandwidth needed (the authors' simulation) | {len(needed)} | "
        f"{_share(within_one(needed))} within one point of their grid |",
    ]
    return "\n".join(lines)


def section(found: Mapping[str, Validation]) -> str:
    """What the report says of them: errors by table and method, what was skipped."""
    parts = [headline(found), "\n".join(f"- `{name}`: {NOTES[name]}" for name in found)]
    lines = ["| source | method | rows | error | median | bias |", "| --- | --- | --: | --: | --: | --: |"]
    for validation in found.values():
        for (source, method), rows in _grouped(_counted(validation)).items():
            numbers = (_mean(rows), _share(statistics.median(map(_size, rows))), _share(_bias(rows)))
            lines.append(f"| {source} | {method} | {len(rows)} | {' | '.join(numbers)} |")
    parts.append("\n".join(lines))
    steps = _counted(found["diloco"])
    apart = [abs(notches(float(row.predicted), float(row.measured))) for row in steps]
    parts.append(
        "DiLoCo, points of the grid between predicted and printed: "
        + ", ".join(f"{distance} in {apart.count(distance)} cells" for distance in sorted(set(apart)))
        + "."
    )
    parts.append("Skipped:\n\n" + "\n".join(_skipped(found)))
    return "\n\n".join(parts)


def block(text: str) -> str:
    """`text` between the markers."""
    return f"{BEGIN}\n{text}\n{END}"


def with_block(page: str, text: str) -> str:
    """`page` with `text` between the markers."""
    return re.sub(f"{BEGIN}.*?{END}", lambda _: block(text), page, flags=re.DOTALL)


def within_one(rows: Iterable[ValidatedRow]) -> float:
    """Share of the rows that are at most one point of the grid away."""
    return statistics.fmean(abs(notches(float(row.predicted), float(row.measured))) <= 1 for row in rows)


def main() -> None:
    """Print the section; with --write keep it."""
    found = validations()
    if "--write" in sys.argv[1:]:
        REPORT.write_text(with_block(REPORT.read_text(encoding="utf-8"), section(found)), encoding="utf-8")
        for path in READMES:
            path.write_text(with_block(path.read_text(encoding="utf-8"), headline(found)), encoding="utf-8")
    print(section(found))


def _counted(validation: Validation) -> list[ValidatedRow]:
    return [row for row in validation.rows if row.is_counted]


def _grouped(rows: Iterable[ValidatedRow]) -> dict[tuple[str, str], list[ValidatedRow]]:
    groups: dict[tuple[str, str], list[ValidatedRow]] = {}
    for row in rows:
        groups.setdefault((row.source, row.framework), []).append(row)
    return groups


def _skipped(found: Mapping[str, Validation]) -> list[str]:
    reasons: dict[tuple[str, str], int] = {}
    for name, validation in found.items():
        for row in validation.skipped:
            reasons[name, row.reason] = reasons.get((name, row.reason), 0) + 1
    return [f"- `{name}`, {count}: {reason}" for (name, reason), count in reasons.items()]


def _size(row: ValidatedRow) -> float:
    assert row.relative_error is not None
    return abs(row.relative_error)


def _bias(rows: Iterable[ValidatedRow]) -> float:
    return statistics.fmean(row.relative_error or 0.0 for row in rows)


def _mean(rows: Iterable[ValidatedRow]) -> str:
    return _share(statistics.fmean(map(_size, rows)))


def _share(value: float) -> str:
    return f"{100.0 * value:.1f} %"


if __name__ == "__main__":
    main()
