"""The record of figures: for each measure and set of targets, where the target was last seen to be met.

Machines differ, so no single run can meet every target. `record.json` holds what was seen, `RECORD.md` shows it; both are
written by the benchmark when it is asked to (`--record`), never by hand.
"""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = {"avx512": "AVX-512 VPOPCNTDQ", "avx2": "AVX2 only"}


def update(seen):
    """Takes in what a run saw: a list of entries with measure, instructions, target, value, met, processor, kernel, date
    and version. An entry that met its target replaces the one before; one that did not counts only where none ever did."""
    path = HERE / "record.json"
    known = {key(entry): entry for entry in json.loads(path.read_text())} if path.exists() else {}
    for entry in seen:
        before = known.get(key(entry))
        if entry["met"] or before is None or not before["met"]:
            known[key(entry)] = entry
    entries = list(known.values())
    path.write_text(json.dumps(entries, indent=1) + "\n")
    (HERE / "RECORD.md").write_text(shown(entries))


def key(entry):
    return entry["measure"], entry["instructions"]


def shown(entries):
    lines = [
        "# Record of figures",
        "",
        "For each target of [the benchmark](README.md) the run that last met it, or the last run where none did. Written by",
        "`tests/bench/run --record`.",
    ]
    for instructions, name in NAMES.items():
        of_these = [entry for entry in entries if entry["instructions"] == instructions]
        if not of_these:
            continue
        lines += ["", f"## Targets with {name}", ""]
        lines += ["| measure | target | measured | met | processor, kernel | date, version |", "| --- | --- | --- | --- | --- | --- |"]
        for entry in of_these:
            met = "yes" if entry["met"] else f"**not seen**{entry['why']}"
            lines.append(
                f"| {entry['measure']} | {entry['target']} | {entry['value']} | {met} | {entry['processor']}, "
                f"{entry['kernel']} | {entry['date']}, {entry['version']} |"
            )
    return "\n".join(lines) + "\n"
