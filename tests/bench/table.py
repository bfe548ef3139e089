#!/usr/bin/env python3
"""Measures the scoring engine and its peers, and prints one table. Called by `run`, which makes what is needed."""

import argparse
import datetime
import json
import math
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import record

HERE = Path(__file__).resolve().parent
# No single measurement takes longer than that where it makes sense.
MOST_SECONDS = 3600
# Of encodings of 1024 bits, uniformly random: both let through about a hundred of 20,000 x 20,000 pairs.
RADIUS = 432
RANDOM_THRESHOLD = 0.593
# A run that other processes kept waiting for this share of its time is called disturbed.
DISTURBED = 0.03
THRESHOLDS = (0.8, 0.85, 0.9, 0.95)
# Kernels for large tiles that are faster than those that count or look up bits in registers, as the targets have it.
FASTER = ("amx", "avx512-tables", "avx2-tables")


@dataclass
class Sizes:
    """How many records of either party, and how often."""

    ceiling: int
    anonlink: int
    faiss: int
    cores: int
    pruned: int
    large: int
    blocks: int
    random: tuple
    repeats: int
    long_repeats: int


FULL = Sizes(ceiling=40_000, anonlink=20_000, faiss=20_000, cores=40_000, pruned=200_000, large=1_000_000,
             blocks=10_000_000, random=(40_000, 100_000), repeats=5, long_repeats=2)  # fmt: skip
QUICK = Sizes(ceiling=20_000, anonlink=10_000, faiss=10_000, cores=40_000, pruned=50_000, large=200_000,
              blocks=2_000_000, random=(40_000,), repeats=2, long_repeats=1)  # fmt: skip


@dataclass
class Target:
    """What to reach with AVX-512 VPOPCNTDQ, and with AVX2 only."""

    sign: str  # ">=", "<=" or "<"
    avx512: float | None
    avx2: float | None
    unit: str = "x"

    def on(self, instructions):
        return {"avx512": self.avx512, "avx2": self.avx2}.get(instructions)

    def met(self, value, bound):
        return {">=": value >= bound, "<=": value <= bound, "<": value < bound}[self.sign]


@dataclass
class Row:
    measure: str
    value: float | None  # what the target is about
    target: Target
    ours: str
    peer: str
    # the target is about this size
    at_size: bool = True
    # pairs/s of the peer, where the registers limit the ratio
    peer_speed: float | None = None
    # how the record calls it, where the measure tells more of this run than of the target
    record: str | None = None


class NotMeasured(Exception):
    pass


class Bench:
    def __init__(self, arguments):
        self.sizes = QUICK if arguments.quick else FULL
        self.arguments = arguments
        self.cores = physical_cores()
        self.done = {}
        # The kernel that targets of pruning and of the registers are about, where a faster one is used.
        self.counting = None
        self.problems = []
        self.disturbed = False
        self.most_speed = None
        self.versions = set()
        self.kernel = None

    # --- running -------------------------------------------------------------------------------------------

    def run(self, command, cores=1, **environment):
        """One measurement, on its own cores."""
        pinned = ["taskset", "--cpu-list", ",".join(map(str, self.cores[-cores:])), *map(str, command)]
        try:
            done = subprocess.run(pinned, env=os.environ | environment, capture_output=True, text=True,
                                  timeout=MOST_SECONDS)  # fmt: skip
        except subprocess.TimeoutExpired:
            raise NotMeasured(f"takes more than {MOST_SECONDS} s") from None
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
            raise NotMeasured(reason)
        return json.loads(done.stdout)

    def engine(self, *command, plan="auto", cores=1, kernel=None):
        kernel = {"LINKAGE_KERNEL": kernel} if kernel else {}
        result = self.run([self.arguments.engine, *command, "--threads", cores], cores, LINKAGE_PLAN=plan, **kernel)
        if plan != "auto" and result["plan"] != plan:
            raise NotMeasured(f"the engine chose the plan {result['plan']} where {plan} was asked for")
        self.kernel = result["kernel"]
        return result

    def match(self, records, threshold, *more, data="names", **how):
        folder = self.arguments.data / data
        return self.engine("match", "--first", folder / "a.clk", "--second", folder / "b.clk", "--records", records,
                           "--threshold", threshold, *more, **how)  # fmt: skip

    def peer(self, name, records, *more, data="names"):
        folder = self.arguments.data / data
        python = {"anonlink": sys.executable, "faiss": self.arguments.faiss_python}[name]
        result = self.run([python, HERE / "peers.py", name, folder / "a.clk", folder / "b.clk", "--records", records,
                           *more])  # fmt: skip
        self.versions.add(result["version"])
        return result

    def anonlink(self, records, threshold):
        return self.peer("anonlink", records, "--threshold", threshold)

    def alternate(self, repeats, **runs):
        """The fastest of several runs of each, which take turns so that what else the machine does hits both."""
        results = {name: [] for name in runs}
        for _ in range(repeats):
            for name, run in runs.items():
                results[name].append(run())
        return [self.fastest(of_one) for of_one in results.values()]

    def fastest(self, results):
        best = min(results, key=lambda result: result["seconds"])
        self.disturbed |= self.is_disturbed(best)
        return best

    @staticmethod
    def is_disturbed(result):
        return result["waited_seconds"] > DISTURBED * result["seconds"]

    def once(self, key, measure):
        """Remembers a long measurement that several rows need."""
        if key not in self.done:
            self.done[key] = measure()
        self.disturbed |= self.is_disturbed(self.done[key])
        return self.done[key]

    def same_pairs(self, what, *results):
        """Both found the same; by the pairs themselves where both tell them."""
        by = "hash" if all("hash" in result for result in results) else "pairs"
        if len({result[by] for result in results}) > 1:
            self.problems.append(f"{what}: the pairs differ: {[result['pairs'] for result in results]}")

    # --- what is measured ----------------------------------------------------------------------------------

    def rows(self):
        """Names of the rows, for messages, and what measures them."""
        yield "dense kernel and register ceiling", self.ceiling
        yield "dense and anonlink", self.against_anonlink
        yield "dense and FAISS", self.against_faiss
        yield "two cores and one", self.two_cores
        for threshold in THRESHOLDS:
            yield f"pruned and dense at {threshold}", lambda threshold=threshold: self.pruned(threshold)
        if self.counting:
            for threshold in THRESHOLDS:
                yield f"automatic and dense at {threshold}", lambda threshold=threshold: self.plan(threshold)
        yield "a large linkage and anonlink's rate", self.large
        for threshold in (0.9, 0.95):
            yield f"growth at {threshold}", lambda threshold=threshold: self.growth(threshold)
        for records in self.sizes.random:
            yield f"auto and dense on {size(records)} random records", lambda records=records: self.auto(records)
        yield "peak memory", self.memory
        for order in ("any order", "order of blocks"):
            yield f"tiny blocks, records in {order}", lambda order=order: self.blocks(order)

    def ceiling(self):
        records, speeds, dense = self.sizes.ceiling, [], []
        for _ in range(self.sizes.repeats):
            speeds.append(self.run([self.arguments.engine, "ceiling"])["pairs_per_second"])
            if speeds[0] is None:
                raise NotMeasured("no ceiling is known for a processor without AVX-512 VPOPCNTDQ")
            dense.append(self.match(records, 0.9, plan="dense", kernel=self.counting))
        best = self.fastest(dense)
        self.most_speed = max(speeds)
        if best["kernel"] != "avx512":
            raise NotMeasured(f"it is the ceiling of the kernel avx512; LINKAGE_KERNEL asks for {best['kernel']}")
        return Row(f"dense: share of what the registers can do, {square(records)} names at 0.9",
                   100 * speed(best) / max(speeds), Target(">=", 85, None, " %"),
                   rate(best), f"{millions(max(speeds))} pairs/s")  # fmt: skip

    def against_anonlink(self):
        records = self.sizes.anonlink
        ours, theirs = self.alternate(
            self.sizes.repeats,
            ours=lambda: self.match(records, 0.8, plan="dense"),
            theirs=lambda: self.anonlink(records, 0.8),
        )
        self.same_pairs("dense and anonlink", ours, theirs)
        return Row(f"dense: pairs/s against anonlink, {square(records)} names at 0.8", speed(ours) / speed(theirs),
                   Target(">=", 10, 3.5), rate(ours), rate(theirs), records == FULL.anonlink, speed(theirs))  # fmt: skip

    def against_faiss(self):
        records = self.sizes.faiss
        ours, theirs = self.alternate(
            self.sizes.repeats,
            ours=lambda: self.match(records, RANDOM_THRESHOLD, data="random", plan="dense"),
            theirs=lambda: self.peer("faiss", records, "--radius", RADIUS, data="random"),
        )
        return Row(f"dense: pairs/s against FAISS IndexBinaryFlat.range_search, {square(records)} random "
                   f"({ours['pairs']} pairs from {RANDOM_THRESHOLD}, {theirs['pairs']} within {RADIUS} bits)",
                   speed(ours) / speed(theirs), Target(">=", 5, 4.5), rate(ours), rate(theirs),
                   records == FULL.faiss, speed(theirs),
                   f"dense: pairs/s against FAISS IndexBinaryFlat.range_search, {square(records)} random")  # fmt: skip

    def two_cores(self):
        if len(self.cores) < 2:
            raise NotMeasured("this process may use one core only")
        records = self.sizes.cores
        two, one = self.alternate(
            self.sizes.repeats,
            two=lambda: self.match(records, 0.9, plan="dense", cores=2),
            one=lambda: self.match(records, 0.9, plan="dense"),
        )
        return Row(f"dense: two cores against one, {square(records)} names at 0.9", one["seconds"] / two["seconds"],
                   Target(">=", 1.9, 1.9), rate(two), rate(one))  # fmt: skip

    def pruned(self, threshold):
        records = self.sizes.pruned
        pruned, dense = self.alternate(
            self.sizes.long_repeats,
            pruned=lambda: self.match(records, threshold, kernel=self.counting),
            dense=lambda: self.match(records, threshold, plan="dense", kernel=self.counting),
        )
        self.same_pairs(f"pruned and dense at {threshold}", pruned, dense)
        target = {0.8: (2.5, 4), 0.85: (5, 8), 0.9: (12, 16), 0.95: (30, 40)}[threshold]
        return Row(f"pruned against dense, {square(records)} names at {threshold}",
                   dense["seconds"] / pruned["seconds"], Target(">=", *target), f"{duration(pruned)}, {pruned['plan']}",
                   duration(dense), records == FULL.pruned)  # fmt: skip

    def plan(self, threshold):
        records = self.sizes.pruned
        dense = self.once(("dense", records), lambda: self.match(records, 0.9, plan="dense"))
        auto = self.auto_match(records, threshold)
        return Row(f"time of the automatic plan against dense, both with the kernel {auto['kernel']}, {square(records)} "
                   f"names at {threshold}", auto["seconds"] / dense["seconds"], Target("<=", 1.1, 1.1),
                   f"{duration(auto)}, {auto['plan']}", duration(dense), records == FULL.pruned)  # fmt: skip

    def auto_match(self, records, threshold):
        run = lambda: self.match(records, threshold)  # noqa: E731
        return self.once((records, threshold), lambda: self.alternate(self.sizes.long_repeats, auto=run)[0])

    def large(self):
        ours = self.auto_match(self.sizes.large, 0.9)
        [theirs] = self.alternate(self.sizes.repeats, theirs=lambda: self.anonlink(self.sizes.anonlink, 0.9))
        return Row(f"{square(self.sizes.large)} names at 0.9, one core: pairs/s against anonlink's rate for "
                   f"{square(self.sizes.anonlink)} of them", speed(ours) / speed(theirs), Target(">=", 150, 60),
                   f"{duration(ours)}: {rate(ours)}, {ours['plan']}", rate(theirs),
                   self.sizes.large == FULL.large)  # fmt: skip

    def growth(self, threshold):
        small, large = self.sizes.pruned, self.sizes.large
        of_small, of_large = self.auto_match(small, threshold), self.auto_match(large, threshold)
        exponent = math.log(of_large["seconds"] / of_small["seconds"]) / math.log(large / small)
        bound = {0.9: 1.9, 0.95: 1.7}[threshold]
        return Row(f"growth of the time with the records, from {square(small)} to {square(large)} names at {threshold}",
                   exponent, Target("<", bound, bound, " (exponent)"),
                   f"{duration(of_large)} for {square(large)}", f"{duration(of_small)} for {square(small)}",
                   self.sizes.large == FULL.large)  # fmt: skip

    def auto(self, records):
        run = lambda plan: self.engine("random", "--records", records, plan=plan)  # noqa: E731
        auto, dense = self.alternate(self.sizes.repeats if records < 100_000 else 2 * self.sizes.long_repeats,
                                     auto=lambda: run("auto"), dense=lambda: run("dense"))  # fmt: skip
        self.same_pairs("auto and dense", auto, dense)
        return Row(f"time of the automatic plan against dense where nothing can be left out, {square(records)} random",
                   auto["seconds"] / dense["seconds"], Target("<=", 1.1, 1.1), f"{duration(auto)}, {auto['plan']}",
                   duration(dense))  # fmt: skip

    def memory(self):
        records = self.sizes.large
        result = self.match(records, 0.9, "--files", cores=min(2, len(self.cores)))
        encodings = 2 * records * 128
        return Row(f"peak memory of the process against the encodings, {square(records)} names at 0.9 in one pass, "
                   "pairs not kept", result["peak_rss_bytes"] / encodings, Target("<=", 2.2, 2.2),
                   f"{result['peak_rss_bytes'] / 1e6:,.0f} MB, {result['plan']}", f"{encodings / 1e6:,.0f} MB",
                   records == FULL.large)  # fmt: skip

    def blocks(self, order):
        records = self.sizes.blocks
        more = ["--in-order"] if order == "order of blocks" else []
        [result] = self.alternate(
            self.sizes.long_repeats, ours=lambda: self.engine("blocks", "--records", records, *more)
        )
        speed = records / result["seconds"] / 1e6
        return Row(f"{size(records)} records in blocks of 2 to 5, in {order}", speed,
                   Target(">=", 20, 10, " M records/s"), f"{duration(result)}", "-",
                   records == FULL.blocks)  # fmt: skip


# --- how things are written ------------------------------------------------------------------------------------


def speed(result):
    return result["comparisons"] / result["seconds"]


def millions(number):
    return f"{number / 1e6:,.0f} M"


def rate(result):
    return f"{millions(speed(result))} pairs/s"


def duration(result):
    return f"{result['seconds']:.3g} s"


def size(records):
    return f"{records // 1_000_000}M" if records % 1_000_000 == 0 else f"{records // 1000}k"


def square(records):
    return f"{size(records)} x {size(records)}"


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def judge(row, instructions, most_speed):
    """The target, whether it is met (None where there is none, or the size is another), and what bounds it."""
    bound = row.target.on(instructions)
    if bound is None:
        return "-", None, ""
    target = f"{row.target.sign} {bound:g}{row.target.unit}"
    if not row.at_size:
        return target, None, ""
    met = row.target.met(row.value, bound)
    most = most_speed / row.peer_speed if most_speed and row.peer_speed else math.inf
    return target, met, f": the registers allow {number(most)}x" if not met and most < bound else ""


def line(row, target, met, why, disturbed):
    said = {True: "yes", False: "**no**" + why, None: "-" if target == "-" else "other size"}[met]
    if disturbed:
        said += " (disturbed)"
    return f"| {row.measure} | {number(row.value)}{row.target.unit} | {target} | {said} | {row.ours} | {row.peer} |"


# --- the machine -----------------------------------------------------------------------------------------------


def physical_cores():
    """One CPU of each core that this process may use: two of one core would share its arithmetic."""
    allowed, taken, chosen = os.sched_getaffinity(0), set(), []
    for cpu in sorted(allowed):
        path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        core = path.read_text().strip() if path.exists() else str(cpu)
        if core not in taken:
            taken.add(core)
            chosen.append(cpu)
    return chosen


def processor():
    fields = {}
    for entry in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines():
        name, _, value = entry.partition(":")
        fields[name.strip()] = value.strip()
    family = f"family {fields.get('cpu family', '?')}, model {fields.get('model', '?')}"
    return f"{fields.get('model name', platform.machine())} ({family})", fields.get("flags", "").split()


def instructions(kernels, flags):
    """Which targets are in force: those of the kernel that was asked for, else those of the processor."""
    asked = os.environ.get("LINKAGE_KERNEL") or ("avx512" if "avx512" in kernels else "")
    if asked:
        return {"amx": "avx512", "avx512-tables": "avx512", "avx512": "avx512", "avx512bw": "avx2",
                "avx2-tables": "avx2", "avx2": "avx2"}.get(asked)  # fmt: skip
    return "avx2" if "avx2" in flags else None


def version_of_this():
    def git(*arguments):
        return subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=HERE).stdout.strip()

    # the record is written by the run before
    pathspec = [":/", ":(top,exclude)tests/bench/record.json", ":(top,exclude)tests/bench/RECORD.md"]
    changed = ", with changes" if git("status", "--porcelain", "--", *pathspec) else ""
    return f"{git('rev-parse', '--short', 'HEAD') or 'unknown'}{changed}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", type=Path, required=True, help="the program of scorer/engine/benches/engine.rs")
    parser.add_argument("--faiss-python", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder with names/ and random/")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="rows whose names contain this")
    parser.add_argument("--record", action="store_true", help="take what was seen into record.json")
    arguments = parser.parse_args()
    began = time.monotonic()
    load_before = os.getloadavg()[0]
    bench = Bench(arguments)
    model, flags = processor()
    kernels = bench.run([arguments.engine, "kernels"])
    targets = instructions(kernels["available"], flags)
    if (os.environ.get("LINKAGE_KERNEL") or kernels["available"][0]) in FASTER:
        bench.counting = targets
    version = version_of_this()

    wanted = [row for row in bench.rows() if arguments.only in row[0]]
    if not wanted:
        sys.exit(f"no row has {arguments.only!r} in its name; there are: {', '.join(name for name, _ in bench.rows())}")

    lines, unmeasured, seen = [], [], []
    for name, measure in wanted:
        print(f"{time.monotonic() - began:5.0f} s  {name}", file=sys.stderr, flush=True)
        bench.disturbed = False
        try:
            row = measure()
            # the ceiling is known for the kernel avx512 alone
            most_speed = bench.most_speed if bench.kernel == "avx512" else None
            target, met, why = judge(row, targets, most_speed)
            lines.append(line(row, target, met, why, bench.disturbed))
            if met is not None:
                seen.append({"measure": row.record or row.measure, "instructions": targets, "target": target,
                             "value": f"{number(row.value)}{row.target.unit}", "met": met, "why": why, "processor": model,
                             "kernel": bench.kernel, "date": str(datetime.date.today()), "version": version})  # fmt: skip
        except NotMeasured as reason:
            unmeasured.append(f"| {name} | not measured: {reason} | | | | |")

    about = [
        "# The scoring engine against its peers" + (", quick" if arguments.quick else ""),
        "",
        f"- {datetime.datetime.now().astimezone().isoformat(sep=' ', timespec='minutes')}, version {version}",
        f"- Processor: {model}; {len(bench.cores)} core(s), load {load_before:.1f} before and "
        f"{os.getloadavg()[0]:.1f} after",
        f"- Kernels: {', '.join(kernels['available'])}; used: {bench.kernel or 'none'}",
        *([f"- Pruned and dense, and the share of what the registers can do: with the kernel {bench.counting}, which the "
           "targets are about"] if bench.counting else []),
        f"- Kernels not tested on this processor: {', '.join(kernels['missing']) or 'none'}",
        f"- Peers: {', '.join(sorted(bench.versions)) or 'none'}",
        f"- Targets: {dict(avx512='with AVX-512 VPOPCNTDQ', avx2='with AVX2 only').get(targets, 'none for this kernel')}",
        f"- One core unless said otherwise; the fastest of {bench.sizes.repeats} runs, or of "
        f"{bench.sizes.long_repeats} where a run is long. Encodings of 1024 bits.",
    ]
    if any("(disturbed)" in line for line in lines):
        about.append(f"- Disturbed: other processes kept even the fastest run waiting for more than {DISTURBED:.0%} of "
                     "its time.")  # fmt: skip
    if arguments.quick:
        about.append("- Smaller than the full benchmark: a target counts only where the size is that of the target.")
    about += [f"- **PROBLEM**: {problem}" for problem in bench.problems]
    table = ["", "| measure | ratio | target | met | ours | peer |", "| --- | --- | --- | --- | --- | --- |"]
    text = "\n".join(about + table + lines + unmeasured) + "\n"
    print(text)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(text)
    if arguments.record and not bench.problems:
        record.update(seen)
    print(f"Written to {arguments.output} after {time.monotonic() - began:.0f} s.", file=sys.stderr)
    return 1 if bench.problems else 0


if __name__ == "__main__":
    sys.exit(main())
