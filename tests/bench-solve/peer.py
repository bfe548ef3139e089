"""anonlink's greedy_solve on the pairs of a file; prints a line of JSON. Reading the file is not timed."""

import json
import sys
import time

from anonlink.serialization import load_candidate_pairs
from anonlink.solving import greedy_solve

with open(sys.argv[1], "rb") as file:
    candidates = load_candidate_pairs(file)
start = time.perf_counter()
groups = greedy_solve(candidates)
seconds = time.perf_counter() - start
print(json.dumps({"pairs": len(candidates[0]), "groups": sum(1 for _ in groups), "seconds": seconds}))
