#!/usr/bin/env python3
"""One measurement of a peer of the scoring engine, on one thread; prints a line of JSON. Reading the encodings and
making them what the peer takes is not timed. Each peer has a Python environment of its own.

    peers.py anonlink FIRST SECOND --records N --threshold T    dice_coefficient_accelerated
    peers.py faiss FIRST SECOND --records N --radius R          IndexBinaryFlat.range_search: Hamming distance below R
"""

import argparse
import json
import pathlib
import time
from importlib.metadata import version


class Timed:
    """How long something takes, and how long of it other processes kept this thread from running."""

    def __enter__(self):
        self.waited_seconds, self.seconds = -self.waited(), -time.perf_counter()
        return self

    def __exit__(self, *_):
        self.seconds += time.perf_counter()
        self.waited_seconds += self.waited()

    @staticmethod
    def waited():
        counts = pathlib.Path("/proc/self/schedstat")
        return int(counts.read_text().split()[1]) / 1e9 if counts.exists() else 0.0


def read(path, records, size):
    with open(path, "rb") as file:
        content = file.read(records * size)
    if len(content) != records * size:
        raise SystemExit(f"{path} holds fewer than {records} records")
    return content


def anonlink(arguments):
    from anonlink.similarities import dice_coefficient_accelerated
    from bitarray import bitarray

    def bitarrays(path):
        content = read(path, arguments.records, arguments.bytes)
        made = []
        for start in range(0, len(content), arguments.bytes):
            bits = bitarray()
            bits.frombytes(content[start : start + arguments.bytes])
            made.append(bits)
        return made

    parties = [bitarrays(arguments.first), bitarrays(arguments.second)]
    with Timed() as timed:
        scores, _ = dice_coefficient_accelerated(parties, arguments.threshold)
    return timed, len(scores), f"anonlink {version('anonlink')}"


def faiss(arguments):
    import faiss
    import numpy

    def rows(path):
        content = read(path, arguments.records, arguments.bytes)
        return numpy.frombuffer(content, dtype=numpy.uint8).reshape(-1, arguments.bytes)

    faiss.omp_set_num_threads(1)
    first, second = rows(arguments.first), rows(arguments.second)
    index = faiss.IndexBinaryFlat(arguments.bytes * 8)
    index.add(second)
    with Timed() as timed:
        limits, _, _ = index.range_search(first, arguments.radius)
    # decided by the processor unless the environment variable FAISS_OPT_LEVEL names it
    level = faiss.SIMDConfig.get_level_name()
    return timed, int(limits[-1]), f"faiss-cpu {version('faiss-cpu')} ({level})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("peer", choices=["anonlink", "faiss"])
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--bytes", type=int, default=128)
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--radius", type=int)
    arguments = parser.parse_args()
    measure = {"anonlink": anonlink, "faiss": faiss}[arguments.peer]
    timed, pairs, name = measure(arguments)
    print(json.dumps(vars(timed) | {"pairs": pairs, "comparisons": arguments.records**2, "version": name}))


if __name__ == "__main__":
    main()
