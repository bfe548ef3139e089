"""The judge of formats.rs: Python's csv and json, pandas and pyarrow read what was written, and all must say the same as
the JSON of the REST contract, scores to the bit.

    formats.py FOLDER PARTY...    compares the files of FOLDER; PARTY are the parties' names, by data set
"""

import csv
import json
import struct
import sys
from pathlib import Path

import pandas
import pyarrow
import pyarrow.parquet

INTEGERS, SCORES, TEXTS = {"record", "position", "group", "record_a", "record_b"}, {"score"}, {"party", "party_a", "party_b"}


def bits(value):
    """A score by its bits: equal is not enough."""
    return struct.pack("<d", value) if isinstance(value, float) else value


def typed(column, text):
    if column in SCORES:
        return float(text)
    return text if column in TEXTS else int(text) if text else None


def read_csv(file):
    raw = file.read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n"), "lines end as RFC 4180 has it"
    with open(file, newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, strict=True))
    return [{column: typed(column, text) for column, text in row.items()} for row in rows]


def read_ndjson(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def read_parquet(file):
    table = pyarrow.parquet.read_table(file)
    assert table.equals(pyarrow.Table.from_pandas(pandas.read_parquet(file), preserve_index=False).cast(table.schema))
    for field in table.schema:
        if field.name in SCORES:
            assert field.type == pyarrow.float64(), field
        elif field.name in TEXTS:
            assert field.type == pyarrow.string(), field
        elif field.name in INTEGERS:
            assert field.type == pyarrow.int64(), field
    metadata = pyarrow.parquet.ParquetFile(file).metadata
    assert metadata.metadata is None, "nothing in it that changes from one writing to the next"
    return table.to_pylist()


def same(name, found, expected):
    found, expected = ([{column: bits(value) for column, value in row.items()} for row in rows] for rows in (found, expected))
    assert len(found) == len(expected), (name, len(found), len(expected))
    for row, (one, other) in enumerate(zip(found, expected)):
        assert one == other, (name, row, one, other)


def number(text):
    """A ciphertext is text in tables that hold it as it is."""
    return int(text) if text else None


def check_table(folder, name, expected):
    """The table in all formats, against rows that were made from the JSON."""
    found = {"csv": read_csv(folder / f"{name}.csv"), "ndjson": read_ndjson(folder / f"{name}.ndjson"),
             "parquet": read_parquet(folder / f"{name}.parquet")}
    for ending, rows in found.items():
        for row in rows:
            if isinstance(row.get("match"), str):
                row["match"] = number(row["match"])
        same(f"{name}.{ending}", rows, expected)
    if expected:
        # as statisticians read it
        frame = pandas.read_csv(folder / f"{name}.csv", float_precision="round_trip",
                                dtype={column: str for column in TEXTS | {"match"}}, keep_default_na=False)
        rows = [{column: typed(column, value) if column == "match" else value for column, value in row.items()}
                for row in frame.to_dict("records")]
        same(f"{name}.csv by pandas", rows, expected)


def check_similarity_scores(folder, parties):
    pairs = json.loads((folder / "similarity_scores.json").read_text())["similarity_scores"]
    check_table(folder, "similarity_scores", [
        {"party_a": parties[a[0]], "record_a": a[1], "party_b": parties[b[0]], "record_b": b[1], "score": score}
        for a, b, score in pairs])


def check_groups(folder, parties):
    groups = json.loads((folder / "groups.json").read_text())["groups"]
    pairs = json.loads((folder / "similarity_scores.json").read_text())["similarity_scores"]
    scores = {frozenset((tuple(a), tuple(b))): score for a, b, score in pairs}
    rows, lines = [], []
    for index, group in enumerate(groups):
        members = [tuple(member) for member in group]
        within = [{"a": a, "b": b, "score": scores[frozenset((members[a], members[b]))]}
                  for a in range(len(members)) for b in range(a + 1, len(members))]
        lines.append({"group": index, "scores": within,
                      "members": [{"party": parties[dataset], "record": record} for dataset, record in members]})
        for position, (dataset, record) in enumerate(members):
            highest = max(one["score"] for one in within if position in (one["a"], one["b"]))
            rows.append({"group": index, "party": parties[dataset], "record": record, "score": highest})
    assert read_ndjson(folder / "groups.ndjson") == lines
    same("groups.csv", read_csv(folder / "groups.csv"), rows)
    same("groups.parquet", read_parquet(folder / "groups.parquet"), rows)


def check_permutations(folder):
    mask = json.loads((folder / "mask.json").read_text())["mask"]
    mask = [element if isinstance(element, int) else int(element["v"]) for element in mask]
    is_encrypted = any(element > 1 for element in mask)
    check_table(folder, "mask", [{"position": position, "match": match} for position, match in enumerate(mask)])
    for party in (0, 1):
        permutation = json.loads((folder / f"permutation-{party}.json").read_text())["permutation"]
        rows = [{"record": record, "position": position} for record, position in enumerate(permutation)]
        rows.sort(key=lambda row: row["position"])
        if is_encrypted:
            for row in rows:
                row["match"] = mask[row["position"]] if row["position"] < len(mask) else None
        check_table(folder, f"permutation-{party}", rows)


if __name__ == "__main__":
    folder, parties = Path(sys.argv[1]), sys.argv[2:]
    if (folder / "mask.json").exists():
        check_permutations(folder)
    if (folder / "similarity_scores.json").exists():
        check_similarity_scores(folder, parties)
    if (folder / "groups.json").exists():
        check_groups(folder, parties)
