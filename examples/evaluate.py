#!/usr/bin/env python3
"""Compare the result of a linkage run with the known truth.

RESULT is what the REST API, the object store or `scorer run` gives for a run, either

    {"groups": [[[dataset, record], [dataset, record], ...], ...]}
    {"similarity_scores": [[[dataset, record], [dataset, record], score], ...]}

TRUTH is a CSV file with a header, in one of two forms:

    two parties        a column per party, a line per match:  hospital_a,hospital_b
    two or more        a line per record, grouped:            group,party,record

Everything is counted in pairs of records of different parties: a group of three is three pairs.
Precision is the share of the found pairs that are true, recall the share of the true pairs that
were found, F1 their harmonic mean.

Exit codes: 0 evaluated, 1 below --min-precision or --min-recall, 2 the input cannot be used.
"""

import argparse
import csv
import json
import math
import sys
from collections import Counter
from itertools import combinations


class BadInput(Exception):
    """The input cannot be evaluated; the message says what is wrong, where, and what to do."""


def canonical(name):
    """Party names are `hospital-a` to Kubernetes and `hospital_a` in a CSV header."""
    return name.strip().replace("_", "-")


def read_text(path):
    try:
        if path == "-":
            return sys.stdin.buffer.read().decode("utf-8")
        with open(path, "rb") as file:
            return file.read().decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is not UTF-8 text: {error}") from error


def index(value, where, what):
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadInput(f"{where}: {what} must be an integer of 0 or more, not {json.dumps(value)}")
    return value


def record(value, where):
    if not isinstance(value, list) or len(value) != 2:
        raise BadInput(f"{where}: expected [dataset, record], found {json.dumps(value)[:80]}")
    return (index(value[0], where, "the dataset"), index(value[1], where, "the record"))


def pair(one, other, where):
    if one[0] == other[0]:
        raise BadInput(f"{where}: {list(one)} and {list(other)} are of the same dataset")
    return (one, other) if one < other else (other, one)


# --- the result -----------------------------------------------------------------------------------


def pairs_of_groups(groups, where):
    """The pairs within the groups, and how many groups there are of each size."""
    pairs, sizes, seen = set(), Counter(), {}
    for number, group in enumerate(groups):
        here = f"{where}: group {number}"
        if not isinstance(group, list) or len(group) < 2:
            raise BadInput(f"{here}: must be a list of two or more records")
        records = [record(value, here) for value in group]
        for one in records:
            if one in seen:
                raise BadInput(f"{here}: record {list(one)} is in group {seen[one]} already")
            seen[one] = number
        pairs.update(pair(one, other, here) for one, other in combinations(records, 2))
        sizes[len(records)] += 1
    return pairs, sizes


def pairs_of_scores(scores, where):
    pairs = set()
    for number, entry in enumerate(scores):
        here = f"{where}: entry {number} of similarity_scores"
        if not isinstance(entry, list) or len(entry) != 3:
            raise BadInput(f"{here}: must be [[dataset, record], [dataset, record], score]")
        score = entry[2]
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= 1:
            raise BadInput(f"{here}: the score must be between 0 and 1, not {json.dumps(score)}")
        found = pair(record(entry[0], here), record(entry[1], here), here)
        if found in pairs:
            raise BadInput(f"{here}: {list(map(list, found))} is listed twice")
        pairs.add(found)
    return pairs


def read_result(path):
    """The result's type, its pairs, and for groups how many there are of each size (else None)."""
    text = read_text(path)
    try:
        result = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: is not JSON: {error}") from error
    return parse_result(result, path)


def parse_result(result, where):
    kinds = ("groups", "similarity_scores")
    found = [kind for kind in kinds if isinstance(result, dict) and kind in result]
    if len(found) != 1:
        hint = ""
        if isinstance(result, dict) and ("mask" in result or "permutation" in result):
            hint = "; the result of a permutations project does not tell who matches whom"
        elif isinstance(result, dict) and isinstance(result.get("detail"), str):
            hint = f"; the service answered: {result['detail']}"
        raise BadInput(f"{where}: must be an object with `groups` or `similarity_scores`{hint}")
    kind = found[0]
    if not isinstance(result[kind], list):
        raise BadInput(f"{where}: `{kind}` must be a list")
    if kind == "groups":
        return (kind, *pairs_of_groups(result[kind], where))
    return kind, pairs_of_scores(result[kind], where), None


# --- the truth ------------------------------------------------------------------------------------


def cell(text, where, what):
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadInput(f"{where}: {what} must be an integer of 0 or more, not {text[:40]!r}")
    return int(text)


def party_order(known, names, path):
    """The dataset index of each party: as --party-names says, else in the truth's own order."""
    if names is None:
        return {name: number for number, name in enumerate(known)}
    order = {canonical(name): number for number, name in enumerate(names)}
    if len(order) != len(names):
        raise BadInput("--party-names: every party once, please")
    unknown = [name for name in known if name not in order]
    if unknown:
        raise BadInput(
            f"{path}: party {unknown[0]!r} is not among the --party-names ({', '.join(names)})"
        )
    return order


def read_truth(path, names=None):
    """The true pairs, and the parties' names in the order of their dataset index."""
    return parse_truth(read_text(path), path, names)


def parse_truth(text, path, names=None):
    try:
        lines = list(csv.reader(text.splitlines()))
    except csv.Error as error:
        raise BadInput(f"{path}: is not CSV: {error}") from error
    if not lines:
        raise BadInput(f"{path}: is empty; it needs a header")
    header = [name.strip() for name in lines[0]]
    body = []
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        if len(line) != len(header):
            fields = f"{len(line)} fields, the header has {len(header)}"
            raise BadInput(f"{path}: line {number}: {fields}")
        body.append((f"{path}: line {number}", line))

    pairs = set()
    if header == ["group", "party", "record"]:
        known = list(dict.fromkeys(canonical(line[1]) for _, line in body))
        order = party_order(known, names, path)
        groups, seen = {}, set()
        for where, (group, party, text) in body:
            one = (order[canonical(party)], cell(text, where, "the record"))
            if one in seen:
                raise BadInput(f"{where}: record {one[1]} of party {party} is listed twice")
            seen.add(one)
            groups.setdefault(group.strip(), []).append((one, where))
        for members in groups.values():
            for (one, _), (other, where) in combinations(members, 2):
                pairs.add(pair(one, other, where))
    elif len(header) == 2:
        if all(name.isdigit() for name in header):
            raise BadInput(f"{path}: the first line must name the two parties, not be a match")
        order = party_order([canonical(name) for name in header], names, path)
        if len(order) < 2:
            raise BadInput(f"{path}: the two columns have the same name")
        for where, line in body:
            one, other = (
                (order[canonical(name)], cell(text, where, name))
                for name, text in zip(header, line)
            )
            pairs.add(pair(one, other, where))
    else:
        raise BadInput(
            f"{path}: the header must be the names of two parties, or `group,party,record`; "
            f"found `{','.join(header)[:80]}`"
        )
    if not pairs:
        raise BadInput(f"{path}: holds no match, so there is nothing to compare with")
    return pairs, sorted(order, key=order.get)


# --- the comparison -------------------------------------------------------------------------------


def evaluate(kind, found, sizes, truth, parties):
    """All figures, as --json prints them. A share of nothing is None."""
    for one, other in found:
        if other[0] >= len(parties):
            raise BadInput(
                f"the result speaks of dataset {other[0]}, the truth knows only "
                f"{len(parties)} ({', '.join(parties)}): is it the truth of these data?"
            )
    true = len(found & truth)
    figures = {"result_type": kind, "parties": parties}
    if sizes is not None:
        figures["groups"] = sum(sizes.values())
        figures["group_sizes"] = {str(size): sizes[size] for size in sorted(sizes)}
    figures.update(
        matches=len(found),
        true_matches=true,
        matches_in_truth=len(truth),
        precision=true / len(found) if found else None,
        recall=true / len(truth),
        f1=2 * true / (len(found) + len(truth)),
    )
    return figures


def table(figures):
    rows = []
    if "groups" in figures:
        sizes = figures["group_sizes"]
        detail = ", ".join(f"{count:,} of {size}" for size, count in sizes.items())
        rows.append(("groups", f"{figures['groups']:,}", detail if len(sizes) > 1 else ""))
    rows.append(("matches found", f"{figures['matches']:,}", ""))
    rows.append(("of these true", f"{figures['true_matches']:,}", ""))
    rows.append(("matches in truth", f"{figures['matches_in_truth']:,}", ""))
    for name, key in (("precision", "precision"), ("recall", "recall"), ("F1", "f1")):
        value = figures[key]
        rows.append((name, "-" if value is None else f"{value:.4f}", ""))
    return "\n".join(f"{name:<18}{value:>10}  {detail}".rstrip() for name, value, detail in rows)


def share(text):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, not {text}")
    return value


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n"
        "  evaluate.py result.json examples/data/truth.csv --min-precision 0.99 --min-recall 0.9",
    )
    parser.add_argument("result", metavar="RESULT", help="the run's result as JSON; - reads stdin")
    parser.add_argument("truth", metavar="TRUTH", help="the known matches as CSV")
    parser.add_argument(
        "--party-names",
        nargs="+",
        metavar="NAME",
        help="the parties in the order of the project, which numbers the datasets "
        "(default: the order in which TRUTH names them; - and _ are the same)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--min-precision", type=share, metavar="P", help="exit with 1 if precision is below"
    )
    parser.add_argument(
        "--min-recall", type=share, metavar="R", help="exit with 1 if recall is below"
    )
    options = parser.parse_args(arguments)

    try:
        truth, parties = read_truth(options.truth, options.party_names)
        figures = evaluate(*read_result(options.result), truth, parties)
    except BadInput as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 2

    print(json.dumps(figures, indent=2) if options.json else table(figures))
    code = 0
    for name, least in (("precision", options.min_precision), ("recall", options.min_recall)):
        value = figures[name]
        if least is None or (value is not None and value >= least):
            continue
        actual = "undefined, as nothing was found" if value is None else f"{value:.4f}"
        print(f"evaluate.py: {name} is {actual}, wanted at least {least}", file=sys.stderr)
        code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
