"""The judge of similarity scores in anonlink's own format: anonlink loads what the JSON of the REST contract says, scores to
the bit, in the same order.

    candidate_pairs.py PAIRS JSON
"""

import json
import struct
import sys
from pathlib import Path

from anonlink import serialization

pairs, expected = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())["similarity_scores"]
with open(pairs, "rb") as file:
    scores, (datasets0, datasets1), (records0, records1) = serialization.load_candidate_pairs(file)
found = [
    ((d0, r0), (d1, r1), struct.pack("<d", score))
    for score, d0, d1, r0, r1 in zip(scores, datasets0, datasets1, records0, records1, strict=True)
]
wanted = [(tuple(first), tuple(second), struct.pack("<d", score)) for first, second, score in expected]
assert len(wanted) > 0 and found == wanted, (len(found), len(wanted))
