"""Merges and solves pairs, ours and anonlink's, one after the other on one pinned core, and prints what it took. Called by
`run` beside it.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

REPEATS = 3
MEMORY_LIMIT_BYTES = 4 << 30


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--large", action="store_true")
    arguments.add_argument("--bench", required=True)
    arguments.add_argument("--scorer", required=True)
    arguments.add_argument("--folder", type=pathlib.Path, required=True)
    arguments.add_argument("--output", type=pathlib.Path)
    options = arguments.parse_args()
    pairs, records = (2_000_000, 100_000) if options.quick else (40_000_000, 2_000_000)
    table = []
    for parties in 2, 3:
        table += beside_anonlink(options, pairs, records, parties)
    if options.large:
        table += large(options)
    report(table, options.output)


def beside_anonlink(options: argparse.Namespace, pairs: int, records: int, parties: int) -> list[tuple]:
    """16 shards."""
    store = options.folder / f"{pairs}-of-{parties}"
    make(options, store, pairs, records, 16, parties)
    ours = [on_one_core([options.bench, "run", str(store), str(records), str(parties)]) for _ in range(REPEATS)]
    seconds = statistics.median(one["seconds"] for one in ours)
    merged = store / "merged.pairs"
    subprocess.run([options.bench, "merge", str(store), str(merged)], check=True)
    peer = on_one_core([sys.executable, str(pathlib.Path(__file__).parent / "peer.py"), str(merged)])
    shutil.rmtree(store)
    if (peer["pairs"], peer["groups"]) != (ours[0]["pairs"], ours[0]["groups"]):
        sys.exit(f"anonlink finds {peer}, we {ours[0]}")
    name = f"{ours[0]['pairs']:,} pairs of {parties} x {records:,} records in 16 shards"
    speed, peer_speed = ours[0]["pairs"] / seconds / 1e6, peer["pairs"] / peer["seconds"] / 1e6
    rows = [(f"{name}: against anonlink's greedy_solve", "at least 10x", f"{speed / peer_speed:.1f}x: {speed:.1f} against "
             f"{peer_speed:.2f} million pairs/s", speed >= 10 * peer_speed)]  # fmt: skip
    if parties == 2:
        rows.append((f"{name}: million pairs/s", "at least 20", f"{speed:.1f}", speed >= 20))
    return show(rows)


def large(options: argparse.Namespace) -> list[tuple]:
    """The Job itself, `scorer solve`: reads, checks and merges 64 shards, solves, and writes the groups."""
    records = 5_000_000
    store = options.folder / "large"
    make(options, store, 1_000_000_000, records, 64, 2)
    party = {"party": "", "encodings": "none", "records": records, "encodingBytes": 128, "blake3": "0" * 64}
    plan = {
        "version": 1, "run": "bench", "threshold": 0.5, "resultType": "groups", "blocking": False,
        "inputs": [party | {"party": name} for name in ("a", "b")], "output": "runs/bench/", "shards": 64,
        "memoryLimitBytes": MEMORY_LIMIT_BYTES,
    }  # fmt: skip
    settings = {"RUN_PLAN": json.dumps(plan), "STORE_URL": f"file://{store}", "LISTEN": "127.0.0.1:0", "RUST_LOG": "warn",
                "TERMINATION_LOG": str(store / "last-words")}  # fmt: skip
    start = time.perf_counter()
    process = subprocess.Popen([options.scorer, "solve"], env=os.environ | settings)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"scorer solve has failed: {(store / 'last-words').read_text()}")
    summary = json.loads((store / "runs/bench/summary.json").read_text())
    shutil.rmtree(store)
    name = f"{summary['pairs']:,} pairs of 2 x {records:,} records in 64 shards, the whole Job"
    peak = used.ru_maxrss / (1 << 20)
    processor = used.ru_utime + used.ru_stime
    return show([(f"{name}: peak memory", "at most 4 GiB", f"{peak:.2f} GiB; {summary['pairs'] / seconds / 1e6:.1f} million "
                  f"pairs/s, {summary['pairs'] / processor / 1e6:.1f} million a second of processor time, "
                  f"{summary['groups']:,} groups", peak <= 4)])  # fmt: skip


def make(options: argparse.Namespace, store: pathlib.Path, pairs: int, records: int, shards: int, parties: int) -> None:
    print(f"Making {pairs:,} pairs.", file=sys.stderr)
    shutil.rmtree(store, ignore_errors=True)
    numbers = [str(number) for number in (pairs, records, shards, parties)]
    subprocess.run([options.bench, "make", str(store), *numbers], check=True)


def on_one_core(command: list[str]) -> dict:
    done = subprocess.run(["taskset", "--cpu-list", "0", *command], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def show(rows: list[tuple]) -> list[tuple]:
    for row in rows:
        print(f"  {row[0]}: {row[2]} ({row[1]})", file=sys.stderr)
    return rows


def report(table: list[tuple], output: pathlib.Path | None) -> None:
    models = [line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    lines = [
        f"{datetime.date.today()}, {models[0] if models else platform.processor()}, one core unless said otherwise",
        "",
        "| measure | target | measured | met |",
        "| --- | --- | --- | --- |",
        *(f"| {name} | {target} | {measured} | {'yes' if met else '**no**'} |" for name, target, measured, met in table),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if output:
        output.write_text(text)


main()
