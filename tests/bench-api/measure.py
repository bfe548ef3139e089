"""Starts the REST service, puts load on it, and prints what it took. Called by `run` beside it.

Speeds are by the service's own processor time, so that they hold for one core, whatever else the machine does.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator

NAMESPACE = "bench-api"
MIB = 1 << 20
# of that many megabytes of spaces, as `b3sum` prints it
BLAKE3_OF_SPACES = {
    300: "8e336fd6d7ae74f5f1f1bd8dcb9b33b52e5f7a0989c75825eee5a6815be25c22",
    1000: "6bb9447866296f354142ac45fc560265ee06c39b6b9d374aaadb8cba1cedef5b",
}


class Service:
    """The service as a process of its own, on a free port."""

    def __init__(self, program: str, folder: pathlib.Path) -> None:
        self.store = folder / "store"
        key = folder / "key"
        key.write_text(os.urandom(32).hex())
        self.log = folder / "api.log"
        settings = {
            "NAMESPACE": NAMESPACE, "MASTER_KEY_FILE": str(key), "STORE_URL": f"file://{self.store}",
            "LISTEN": "127.0.0.1:18380", "HEALTH_LISTEN": "127.0.0.1:18381", "REQUESTS_PER_SECOND": "0", "MAX_PROJECTS_PER_ADDRESS": "0",
            "RUST_LOG": "warn",
        }  # fmt: skip
        self.address = settings["LISTEN"]
        self.process = subprocess.Popen([program], env=os.environ | settings, stderr=self.log.open("w"))
        for _ in range(100):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://{settings['HEALTH_LISTEN']}/readyz", timeout=5)
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        sys.exit(f"the service does not start:\n{self.log.read_text()}")

    def call(self, path: str, token: str = "", body: dict | None = None) -> dict:
        headers = {"Authorization": token} if token else {}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(f"http://{self.address}/api/v1/{path}", data, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def project(self) -> dict:
        return self.call("projects", body={"schema": {}, "result_type": "groups"})

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--api", required=True)
    arguments.add_argument("--load", required=True)
    arguments.add_argument("--output", type=pathlib.Path)
    options = arguments.parse_args()
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--now")
    kubectl("create", "namespace", NAMESPACE)
    folder = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm"))
    service = Service(options.api, folder)
    try:
        table = []
        for row in rows(service, options):
            print(f"  {row[0]}: {row[2]} ({row[1]})", file=sys.stderr)
            table.append(row)
    except subprocess.CalledProcessError:
        sys.exit(f"the load failed; the service's log:\n{service.log.read_text()[-5000:]}")
    finally:
        service.stop()
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")
        shutil.rmtree(folder)
    report(table, options.output)


def rows(service: Service, options: argparse.Namespace) -> Iterator[tuple[str, str, str, bool]]:
    megabytes = 300 if options.quick else 3000
    for form, path, target in ("json", "clks", 300), ("binary", "binaryclks", 1000):
        took = upload(service, options.load, form, path, megabytes, 1)
        speed = took["bytes"] / 1e6 / took["serving_seconds"]
        with_store = took["bytes"] / 1e6 / took["processor_seconds"]
        name = f"{form} upload of {megabytes:,} MB"
        measured = f"{speed:,.0f}; with the store, a folder in memory: {with_store:,.0f}"
        yield f"{name}: MB a second and core, up to the store's client", f"at least {target}", measured, speed >= target
        peak = took["peak_bytes"] / MIB
        yield f"{name}: the service's peak memory", "at most 64 MiB an upload", f"{peak:,.0f} MiB", peak <= 64
    took = upload(service, options.load, "json", "clks", megabytes // 30, 50)
    peak = took["peak_bytes"] / MIB
    yield f"50 uploads of {megabytes // 30} MB at once: peak memory", "at most 1 GiB", f"{peak:,.0f} MiB", peak <= 1024

    projects = 100 if options.quick else 1000
    targets = []
    for _ in range(projects):
        made = service.project()
        run = service.call(f"projects/{made['project_id']}/runs", made["result_token"], {"threshold": 0.9})
        path = f"/api/v1/projects/{made['project_id']}/runs/{run['run_id']}"
        targets.append((path, made["result_token"]))
    time.sleep(6)  # for as long the service asks Kubernetes for what it has just written itself
    took = load(service, options.load, ["get"], ["10", "32"], [(f"{path}/status", token) for path, token in targets])
    speed = took["requests"] / took["processor_seconds"]
    yield f"status of a run, {projects:,} projects: requests a second and core", "at least 5,000", f"{speed:,.0f}", speed >= 5000

    path, token = targets[0]
    finish(service, path.split("/")[-1], 300 if options.quick else 1000)
    took = load(service, options.load, ["get"], ["5", "2"], [(f"{path}/result", token)])
    speed = took["bytes"] / 1e6 / took["processor_seconds"]
    yield "download of a result: MB a second and core", "at least 1,000", f"{speed:,.0f}", speed >= 1000


def upload(service: Service, program: str, form: str, path: str, megabytes: int, count: int) -> dict:
    made = [service.project() for _ in range(count)]
    targets = [(f"/api/v1/projects/{one['project_id']}/{path}", one["update_tokens"][0]) for one in made]
    took = load(service, program, ["upload"], [form, str(megabytes), str(count)], targets)
    shutil.rmtree(service.store / "projects")
    return took


def finish(service: Service, run: str, megabytes: int) -> None:
    """Makes the run complete, as the operator would, with a result of that size."""
    uid = json.loads(kubectl("get", f"lrun/{run}", "--output", "json"))["metadata"]["uid"]
    key = f"runs/{uid}/result/groups"
    (service.store / key).parent.mkdir(parents=True)
    (service.store / key).write_bytes(b" " * (megabytes * 1_000_000))
    # a result is sent to its end only if it is the one that was written
    status = {"stage": "Complete", "results": [{"name": "groups", "key": key, "bytes": megabytes * 1_000_000, "blake3": BLAKE3_OF_SPACES[megabytes]}]}
    kubectl("patch", f"lrun/{run}", "--subresource=status", "--type=merge", "--patch", json.dumps({"status": status}))
    time.sleep(1)


def load(service: Service, program: str, before: list[str], after: list[str], targets: list[tuple[str, str]]) -> dict:
    command = [program, *before, service.address, str(service.process.pid), *after]
    text = "".join(f"{path} {token}\n" for path, token in targets)
    done = subprocess.run(command, input=text, text=True, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def kubectl(*arguments: str) -> str:
    return subprocess.run(["kubectl", "--namespace", NAMESPACE, *arguments], check=True, text=True, stdout=subprocess.PIPE).stdout


def report(table: list[tuple[str, str, str, bool]], output: pathlib.Path | None) -> None:
    models = [line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    lines = [
        f"{datetime.date.today()}, {models[0] if models else platform.processor()}, {os.cpu_count()} cores",
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
