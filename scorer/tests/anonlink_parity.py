#!/usr/bin/env python3
"""The other side of anonlink_parity.rs: makes inputs out of a seed, and checks what the scorer made of them.

    anonlink_parity.py generate DIR SEED
    anonlink_parity.py check DIR

Linkages: DIR/linkage-<n>/case.json says what to link, <dataset>.encodings holds the raw encodings. The scorer
writes shard-<i>.pairs, merged.pairs and groups.json beside them.
Solvings: DIR/solving-<n>/case.json, and candidates.pairs as anonlink dumps them, in several widths. The scorer
writes copy.pairs, the same pairs as it has read them, groups.json, and for each merge threshold and whether groups are
one-to-one groups-<number of the threshold>-<true or false>.json.
Of both, where there are two parties: optimal.json, the groups with the greatest sum of scores, which SciPy has to find, too.
"""

import array
import io
import itertools
import json
import math
import pathlib
import random
import struct
import sys

import anonlink
import numpy
from anonlink import serialization
from anonlink.similarities import dice_coefficient_accelerated
from anonlink.solving import greedy_solve, greedy_solve_python, probabilistic_greedy_solve
from anonlink.solving import probabilistic_greedy_solve_python
from scipy.optimize import linear_sum_assignment

# ---------------------------------------------------------------------------------------------- linkages


def make_dataset(rng, originals, records, size):
    """Encodings like those of names: copies of few originals with some bits changed; some all zeros or all ones."""
    dataset = []
    for _ in range(records):
        kind = rng.random()
        if kind < 0.02:
            dataset.append(bytes(size))
        elif kind < 0.04:
            dataset.append(b"\xff" * size)
        else:
            record = bytearray(rng.choice(originals))
            for _ in range(rng.choice([0, 0, 1, 3, size])):
                record[rng.randrange(size)] ^= 1 << rng.randrange(8)
            dataset.append(bytes(record))
    return dataset


def linkage_cases(rng):
    """(records of each data set, bytes of an encoding, threshold, number of block ids or None, shards)"""
    yield [400, 300], 128, 0.8, None, 1
    yield [120, 90, 70], 128, 0.85, None, 3
    yield [60, 50, 40, 30], 64, 0.7, None, 4
    yield [30, 30, 30, 30, 30], 8, 0.6, None, 5
    yield [200, 150], 128, 0.8, 12, 3
    yield [70, 60, 50], 24, 0.6, 5, 2
    yield [90, 80], 1024, 0.9, None, 2
    yield [90, 1], 16, 1.0, None, 3
    yield [1, 200], 256, 0.5, None, 4
    # deduplication: one data set with itself
    yield [300], 128, 0.8, None, 1
    yield [170], 64, 0.7, None, 4
    yield [200], 16, 0.6, 9, 3
    yield [2], 8, 0.5, None, 2
    for _ in range(12):
        threshold = rng.randint(30, 100) / 100
        threshold = rng.choice([threshold, math.nextafter(threshold, 0), min(1.0, math.nextafter(threshold, 2))])
        records = [rng.randint(1, 60) for _ in range(rng.randint(2, 5))]
        yield records, 8 * rng.randint(1, 20), threshold, rng.choice([None, None, 4]), rng.randint(1, 6)


def generate_linkage(rng, directory, records, size, threshold, block_ids, shards):
    directory.mkdir()
    density = rng.uniform(0.2, 0.6)
    originals = [
        bytes(sum((rng.random() < density) << bit for bit in range(8)) for _ in range(size))
        for _ in range(max(2, max(records) // 4))
    ]
    blocks = None
    if block_ids:
        blocks = [[rng.sample(range(block_ids), rng.randint(0, 3)) for _ in range(n)] for n in records]
        blocks = [[[f"block {b}" for b in ids] for ids in dataset] for dataset in blocks]
    for i, count in enumerate(records):
        dataset = make_dataset(rng, originals, count, size)
        (directory / f"{i}.encodings").write_bytes(b"".join(dataset))
    case = dict(
        records=records, encoding_bytes=size, threshold_bits=as_bits(threshold), blocks=blocks, shards=shards
    )
    (directory / "case.json").write_text(json.dumps(case))


def read_linkage(directory):
    case = json.loads((directory / "case.json").read_text())
    threshold = of_bits(case["threshold_bits"])
    size = case["encoding_bytes"]
    raw = [(directory / f"{i}.encodings").read_bytes() for i in range(len(case["records"]))]
    datasets = [[data[at : at + size] for at in range(0, len(data), size)] for data in raw]
    return case, threshold, datasets


def defined_pairs(datasets, threshold, blocks):
    """Every pair at or above the threshold by the definition, sorted."""
    bits = [numpy.unpackbits(numpy.array([list(r) for r in d], dtype=numpy.uint8), axis=1) for d in datasets]
    bits = [b.astype(numpy.int64) for b in bits]
    pairs = []
    for i, j in itertools.combinations(range(len(datasets)), 2) if len(datasets) > 1 else [(0, 0)]:
        both = bits[i] @ bits[j].T
        total = bits[i].sum(axis=1)[:, None] + bits[j].sum(axis=1)[None, :]
        with numpy.errstate(invalid="ignore"):
            scores = numpy.where(total == 0, 0.0, 2.0 * both / total)
        for a, b in zip(*numpy.nonzero(scores >= threshold)):
            if i == j and a >= b:
                continue
            if blocks is None or set(blocks[i][a]) & set(blocks[j][b]):
                pairs.append((float(scores[a, b]), i, j, int(a), int(b)))
    return sorted(pairs, key=lambda pair: (-pair[0], *pair[1:]))


def anonlink_pairs(datasets, threshold, blocks):
    if len(datasets) == 1:
        # anonlink compares nothing within a data set: give it twice, and take each pair once
        twice = anonlink_pairs(datasets * 2, threshold, blocks and blocks * 2)
        return [(score, 0, 0, a, b) for score, _, _, a, b in twice if a < b]
    blocking = None if blocks is None else lambda dataset, record, _: blocks[dataset][record]
    candidates = anonlink.candidate_generation.find_candidate_pairs(
        datasets, dice_coefficient_accelerated, threshold, blocking_f=blocking
    )
    return as_tuples(candidates)


def check_linkage(directory):
    case, threshold, datasets = read_linkage(directory)
    defined = defined_pairs(datasets, threshold, case["blocks"])
    shards = [(directory / f"shard-{i}.pairs").read_bytes() for i in range(case["shards"])]
    with open(directory / "merged.pairs", "rb") as file:
        candidates = serialization.load_candidate_pairs(file)
    same("pairs", as_hex(as_tuples(candidates)), as_hex(defined))

    merged = io.BytesIO()
    serialization.merge_streams([io.BytesIO(shard) for shard in shards], merged)
    same("merged shards", (directory / "merged.pairs").read_bytes(), merged.getvalue())

    theirs = anonlink_pairs(datasets, threshold, case["blocks"])
    beyond = set(as_hex(theirs)) - set(as_hex(defined))
    if beyond:
        raise SystemExit(f"{directory}: anonlink has pairs that the scorer has not: {sorted(beyond)[:5]}")
    check_groups(directory, candidates)
    if len(datasets) == 2:
        check_optimal(directory, candidates, case["records"])
    return len(defined), len(defined) - len(theirs)


# ---------------------------------------------------------------------------------------------- solvings

WIDTHS = [("d", "I", "I"), ("f", "B", "H"), ("d", "H", "Q"), ("f", "Q", "B"), ("d", "B", "I")]


def generate_solving(rng, directory, number):
    """Sorted candidates with many ties between 2 to 10 parties, or within one, dumped by anonlink in several widths."""
    directory.mkdir()
    # Few records: so dense that large groups form, and merge.
    parties, records = rng.randint(1, 10), rng.randint(1, rng.choice([3, 30]))
    scores = [rng.randint(8, 16) / 16 for _ in range(rng.randint(1, 6))]
    pairs = {}
    for _ in range(rng.randint(0, 90 * parties)):
        d0, d1 = sorted(rng.sample(range(parties), 2)) if parties > 1 else (0, 0)
        a, b = rng.randrange(records), rng.randrange(records)
        if d0 < d1 or a < b:
            pairs[d0, d1, a, b] = rng.choice(scores)
    ordered = sorted(((score, *indices) for indices, score in pairs.items()), key=lambda p: (-p[0], *p[1:]))
    columns = list(zip(*ordered)) or [()] * 5
    score_type, dataset_type, record_type = WIDTHS[number % len(WIDTHS)]
    candidates = (
        array.array(score_type, columns[0]),
        tuple(array.array(dataset_type, column) for column in columns[1:3]),
        tuple(array.array(record_type, column) for column in columns[3:5]),
    )
    with open(directory / "candidates.pairs", "wb") as file:
        serialization.dump_candidate_pairs(candidates, file)
    case = dict(records=[records] * parties, merge_threshold_bits=[as_bits(t) for t in merge_thresholds(rng)])
    (directory / "case.json").write_text(json.dumps(case))


def merge_thresholds(rng):
    """Some that a count of pairs meets exactly, or misses by the last bit; and any."""
    share = rng.randint(1, 9) / rng.randint(9, 12)
    near = [share, math.nextafter(share, 0), min(1.0, math.nextafter(share, 2))]
    return [1.0, rng.choice([0.25, 0.5, 0.75]), rng.choice(near), 1 - rng.random(), rng.choice([1e-6, 5e-324, 0.1])]


def check_solving(directory):
    with open(directory / "candidates.pairs", "rb") as file:
        candidates = serialization.load_candidate_pairs(file)
    with open(directory / "copy.pairs", "rb") as file:
        copy = serialization.load_candidate_pairs(file)
    same("copy", as_hex(as_tuples(copy)), as_hex(as_tuples(candidates)))
    check_groups(directory, candidates)
    case = json.loads((directory / "case.json").read_text())
    if len(case["records"]) == 2:
        check_optimal(directory, candidates, case["records"])
    for number, bits in enumerate(case["merge_threshold_bits"]):
        merge_threshold = of_bits(bits)
        for one_to_one in [True, False]:
            file = directory / f"groups-{number}-{str(one_to_one).lower()}.json"
            deduplicated = one_to_one and len(case["records"]) > 1
            check_shares(file, candidates, merge_threshold, deduplicated)
    return len(candidates[0])


# ---------------------------------------------------------------------------------------------- common


def as_bits(number):
    """A float as an integer, which no reader of JSON rounds."""
    return struct.unpack("<Q", struct.pack("<d", number))[0]


def of_bits(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def as_tuples(candidates):
    scores, datasets, records = candidates
    return list(zip(scores, *datasets, *records))


def as_hex(pairs):
    return [(score.hex(), *indices) for score, *indices in pairs]


def widened(candidates):
    """In the widths that the native solver takes."""
    scores, datasets, records = candidates
    indices = [tuple(array.array("I", column) for column in columns) for columns in (datasets, records)]
    return array.array("d", scores), *indices


def check_groups(directory, candidates):
    candidates = widened(candidates)
    ours = json.loads((directory / "groups.json").read_text())["groups"]
    for solve in (greedy_solve, greedy_solve_python):
        theirs = sorted(sorted([list(member) for member in group]) for group in solve(candidates))
        same(f"groups of {solve.__name__}", ours, theirs)


def check_optimal(directory, candidates, records):
    scores, _, (first, second) = candidates
    matrix = numpy.zeros(records)
    matrix[numpy.array(first, dtype=int), numpy.array(second, dtype=int)] = scores
    ours = json.loads((directory / "optimal.json").read_text())["groups"]
    chosen = [(a, b) for (_, a), (_, b) in ours]
    same("parties of optimal groups", {(p, q) for (p, _), (q, _) in ours} - {(0, 1)}, set())
    if not all(len(set(column)) == len(chosen) for column in zip(*chosen)) or not all(map(matrix.item, chosen)):
        raise SystemExit(f"{directory}: what is matched is no pair, or twice: {ours}")
    # SciPy rounds as it adds up
    found, greatest = (
        math.fsum(matrix[pair] for pair in pairs)
        for pairs in (chosen, zip(*linear_sum_assignment(matrix, maximize=True)))
    )
    if abs(found - greatest) > 1e-9:
        raise SystemExit(f"{directory}: the sum of scores is {found}, SciPy finds {greatest}")


def check_shares(file, candidates, merge_threshold, deduplicated):
    ours = json.loads(file.read_text())["groups"]
    solvers = [probabilistic_greedy_solve]
    # anonlink's plain solver multiplies in another order than its compiled one: now and then the last bit decides
    sizes = numpy.arange(1.0, 301.0)
    ours_first = (merge_threshold * sizes)[:, None] * sizes
    if (ours_first == merge_threshold * (sizes[:, None] * sizes)).all():
        solvers.append(probabilistic_greedy_solve_python)
    for solve in solvers:
        groups = solve(widened(candidates), merge_threshold=merge_threshold, deduplicated=deduplicated)
        theirs = sorted(sorted([list(member) for member in group]) for group in groups)
        same(f"groups of {solve.__name__} at {merge_threshold}, {deduplicated}, {file}", ours, theirs)


def same(what, ours, theirs):
    if ours != theirs:
        raise SystemExit(f"{what} differ.\nscorer:   {str(ours)[:2000]}\nanonlink: {str(theirs)[:2000]}")


def generate(directory, seed):
    rng = random.Random(seed)
    for n, case in enumerate(linkage_cases(rng)):
        generate_linkage(rng, directory / f"linkage-{n}", *case)
    for n in range(150):
        generate_solving(rng, directory / f"solving-{n}", n)


def check(directory):
    linkages = [check_linkage(path) for path in sorted(directory.glob("linkage-*"))]
    solvings = [check_solving(path) for path in sorted(directory.glob("solving-*"))]
    pairs, dropped = map(sum, zip(*linkages))
    print(f"{len(linkages)} linkages with {pairs} pairs, {dropped} of which anonlink's pre-filter drops: equal.")
    print(f"{len(solvings)} solvings of {sum(solvings)} candidates: equal.")


def main():
    command, directory, *seed = sys.argv[1:]
    if command == "generate":
        generate(pathlib.Path(directory), int(seed[0]))
    else:
        check(pathlib.Path(directory))


if __name__ == "__main__":
    main()
