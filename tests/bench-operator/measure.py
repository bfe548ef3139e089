"""Measures the operator and prints a table. Called by `run` beside it."""

import argparse
import collections
import datetime
import json
import os
import pathlib
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from installation import Installation, is_write
from kubernetes import Kubernetes, at_once
from standin import RECORDS, now

# Nothing but watches for so long: the operator has settled.
QUIET_SECONDS = 3
# Until all runs must be at stage Scoring.
SCORING_SECONDS = 120
SHARDS = 8
SHARDS_SECONDS = 20


@dataclass
class Row:
    measure: str
    target: float
    measured: float | None
    unit: str
    note: str = ""
    # Why it is not what was to be measured: then the target is not met, whatever the figure is.
    fault: str = ""

    @property
    def met(self) -> bool:
        return not self.fault and self.measured is not None and self.measured <= self.target

    def text(self) -> str:
        measured = "not reached" if self.measured is None else f"{self.measured:,.4g} {self.unit}".strip()
        notes = "; ".join(filter(None, [self.fault, self.note]))
        return measured + (f" ({notes})" if notes else "")


def main() -> None:
    options = read_options()
    for asked in signal.SIGINT, signal.SIGTERM:
        signal.signal(asked, lambda *_: sys.exit("asked to stop"))
    rows = []
    parts = {
        "running": lambda: running(options.operator, options.running, options.seconds),
        "finished": lambda: finished(options.operator, options.finished, options.quiet, options.patience),
        "shards": lambda: shards(options.operator),
    }
    for name in options.only or parts:
        for row in parts[name]():
            print(f"  {row.measure}: {row.text()}; at most {row.target:g}", file=sys.stderr)
            rows.append(row)
    report(rows, options)


def read_options() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--operator", required=True, help="the program")
    arguments.add_argument("--running", type=int, default=200, help="running runs (200)")
    arguments.add_argument("--finished", type=int, default=2000, help="finished runs, and as many projects (2000)")
    arguments.add_argument("--seconds", type=int, default=60, help="how long running runs are measured (60)")
    arguments.add_argument("--quiet", type=int, default=330, help="how long finished runs are (330)")
    arguments.add_argument("--patience", type=int, default=180, help="seconds until the operator must have settled (180)")
    arguments.add_argument("--only", action="append", choices=["running", "finished", "shards"])
    arguments.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments.add_argument("--output", type=pathlib.Path, help="where it is written, too")
    return arguments.parse_args()


def running(program: str, count: int, seconds: int) -> Iterator[Row]:
    with Installation(program) as bench:
        names = [f"running-{number}" for number in range(count)]
        say(f"{count} runs begin")
        at_once(lambda name: create(bench.kubernetes, name, {"shards": 1}), names)
        bench.start()
        fault = wait_until_scoring(bench, count, count)
        before, begin = bench.processor_seconds(), time.time()
        time.sleep(seconds)
        end, after = time.time(), bench.processor_seconds()
        requests, took = bench.between(begin, end), end - begin
        stays_alive(bench)
        most = most_common(requests)
        writes = sum(map(is_write, requests))
        yield Row(f"{count} running runs: requests a second", 150, len(requests) / took, "/s", most, fault)
        yield Row(f"{count} running runs: writes a second", 40, writes / took, "/s", fault=fault)
        yield Row(f"{count} running runs: operator's processor", 0.30, (after - before) / took, "cores", fault=fault)


def finished(program: str, count: int, seconds: int, patience: int) -> Iterator[Row]:
    with Installation(program) as bench:
        names = [f"finished-{number}" for number in range(count)]
        say(f"{count} finished runs and projects are made")
        at_once(lambda name: create(bench.kubernetes, name, {}, complete()), names)
        say("the operator sees them for the first time, and leaves them as it wants them to be")
        if settled(bench, bench.start(), patience * 3) is None:
            say("it does not settle; it is measured all the same")
        bench.stop()
        took = settled(bench, bench.start(), patience)
        yield Row(f"{count:,} finished runs and projects: from start until steady", 10, took, "s")
        begin = time.time()
        time.sleep(seconds)
        requests = bench.between(begin, time.time())
        stays_alive(bench)
        per_minute = 60 / seconds
        writes = sum(map(is_write, requests))
        yield Row(f"{count:,} finished runs and projects: writes in a quiet minute", 0, writes * per_minute, "")
        yield Row(f"{count:,} finished runs and projects: requests in a quiet minute", 5, len(requests) * per_minute, "",
                  most_common(requests))  # fmt: skip
        memory = bench.memory()
        yield Row(f"{count:,} finished runs and projects: memory", 100, memory["VmRSS"], "MiB", f"at most {memory['VmHWM']:.0f}")


def shards(program: str) -> Iterator[Row]:
    with Installation(program, SHARDS) as bench:
        say(f"one run of {SHARDS} shards begins")
        create(bench.kubernetes, "shards", {"shards": SHARDS})
        bench.start()
        fault = wait_until_scoring(bench, 1, SHARDS)
        before, begin = bench.reconciles(), time.time()
        time.sleep(SHARDS_SECONDS)
        end, after = time.time(), bench.reconciles()
        stays_alive(bench)
        writes = [request for request in bench.between(begin, end) if is_write(request) and request.endswith(" linkageruns/status")]
        what = f"{SHARDS_SECONDS} s of one run of {SHARDS} shards"
        yield Row(f"{what}: reconciles", 20, after - before, "", fault=fault)
        yield Row(f"{what}: status writes", 10, len(writes), "", fault=fault)


def create(kubernetes: Kubernetes, name: str, spec: dict, status: dict | None = None) -> None:
    """A run, and a project to which both parties have contributed."""
    about = {"apiVersion": "pprl.dev/v1alpha1", "metadata": {"name": name}}
    parties = ["hospital-a", "hospital-b"]
    project = kubernetes.create("linkageprojects", about | {
        "kind": "LinkageProject", "spec": {"resultType": "Groups", "parties": [{"name": party} for party in parties]}})  # fmt: skip
    kubernetes.merge("linkageprojects", name, {"status": {"parties": [
        {"name": party, "state": "Contributed", "records": RECORDS, "encodingBytes": 128, "contributedAt": now(), "blake3": "0" * 64,
         "encodings": f"projects/{project['metadata']['uid']}/parties/{number}/{number:048x}/encodings"}
        for number, party in enumerate(parties)]}}, "status")  # fmt: skip
    kubernetes.create("linkageruns", about | {
        "kind": "LinkageRun", "spec": {"projectRef": {"name": name}, "threshold": 0.8} | spec})  # fmt: skip
    if status:
        kubernetes.merge("linkageruns", name, {"status": status}, "status")


def complete() -> dict:
    """The status of a run that is complete."""
    about = {"status": "True", "reason": "Complete", "message": "7 pairs at or above 0.8", "lastTransitionTime": now(), "observedGeneration": 1}
    total = RECORDS**2
    return {
        "observedGeneration": 1, "stage": "Complete", "reason": "Complete", "message": about["message"], "pairs": 7, "groups": 7,
        "shards": 1, "startTime": now(), "completionTime": now(), "conditions": [about | {"type": "Complete"}],
        "progress": {"comparisons": total, "totalComparisons": total, "percent": "100%"},
        "results": [{"name": "groups", "key": "runs/made-up/result/groups", "bytes": 1, "blake3": "0" * 64}],
    }  # fmt: skip


def wait_until_scoring(bench: Installation, runs: int, pods: int) -> str:
    """Says what is still missing when patience is at its end; nothing if all is as it should be."""
    deadline, missing = time.monotonic() + SCORING_SECONDS, "all"
    while missing and time.monotonic() < deadline:
        time.sleep(1)
        stays_alive(bench)
        scoring = sum(run.get("status", {}).get("stage") == "Scoring" for run in bench.kubernetes.list("linkageruns"))
        complete = scoring == runs and len(bench.node.pods) == pods
        missing = "" if complete else f"after {SCORING_SECONDS} s, {scoring} of {runs} runs were at stage Scoring, with {len(bench.node.pods)} pods"
    time.sleep(5)  # what the pods' beginning has set in motion ends
    return missing


def settled(bench: Installation, began: float, patience: float) -> float | None:
    """Seconds from the start to the last request before a pause; none if there is no pause in time."""
    while time.time() < began + patience:
        time.sleep(0.5)
        stays_alive(bench)
        ours = [when for when, what in bench.fetch() if when >= began and not what.startswith("watch ")]
        if ours and time.time() - ours[-1] >= QUIET_SECONDS:
            return ours[-1] - began
    return None


def stays_alive(bench: Installation) -> None:
    if bench.operator.poll() is not None:
        bench.give_up("the operator has ended")


def most_common(requests: list[str]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in collections.Counter(requests).most_common(4))


def say(what: str) -> None:
    print(f"- {what}", file=sys.stderr)


def report(rows: list[Row], options: argparse.Namespace) -> None:
    models = [line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    if options.json:
        text = json.dumps([asdict(row) | {"met": row.met} for row in rows], indent=2) + "\n"
    else:
        lines = [f"{datetime.date.today()}, {models[0] if models else 'processor not known'}, {os.cpu_count()} cores", "",
                 "| measure | target | measured | met |", "| --- | --- | --- | --- |"]  # fmt: skip
        for row in rows:
            target = "none" if row.target == 0 else f"at most {row.target:g} {row.unit}".strip()
            lines.append(f"| {row.measure} | {target} | {row.text()} | {'yes' if row.met else '**no**'} |")
        text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.output:
        options.output.write_text(text)


main()
