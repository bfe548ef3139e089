"""The operator as a process of its own, in a namespace of its own, with the rights that the chart gives it, behind the
counter. All of it is removed at the end, however that comes."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from kubernetes import Kubernetes, Refused, at_once, ignoring, kubectl
from standin import Node

NAMESPACE = "bench-operator"
HERE = pathlib.Path(__file__).parent
CHART = HERE.parent.parent / "charts" / "linkage-operator"
# Of what the chart makes.
OURS = ["--selector=app.kubernetes.io/component in (operator,scorer)"]
WRITES = "create", "update", "patch", "delete"
TICKS = os.sysconf("SC_CLK_TCK")


class Installation:
    """A namespace, an operator that serves it, and a node for its pods."""

    def __init__(self, program: str, shards: int = 1) -> None:
        self.program, self.operator, self.counter = program, None, None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-operator-"))
        self.kubernetes = Kubernetes(NAMESPACE, self.folder)
        self.node = Node(self.kubernetes, shards)
        self.requests: list[tuple[float, str]] = []

    def __enter__(self) -> "Installation":
        try:
            self.remove_objects()  # what a run that was killed has left
            self.kubernetes.create("namespaces", {"metadata": {"name": NAMESPACE}})
            kubectl("apply", *OURS, "--filename=-", text=self.chart("rbac", "serviceaccounts"))
            self.node.start()
            self.start_counter()
            self.write_settings()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Cannot be interrupted: whoever is in a hurry would leave things behind."""
        before = {asked: signal.signal(asked, signal.SIG_IGN) for asked in (signal.SIGINT, signal.SIGTERM)}
        print("  removing what was made", file=sys.stderr)
        self.stop()
        if self.counter:
            self.counter.kill()
        kubectl("delete", "--ignore-not-found", *OURS, "--filename=-", text=self.chart("rbac", "serviceaccounts"))
        self.remove_objects()
        self.node.stop()
        shutil.rmtree(self.folder)
        for asked, handler in before.items():
            signal.signal(asked, handler)

    def chart(self, *templates: str) -> str:
        shown = [f"--show-only=templates/{template}.yaml" for template in templates]
        command = ["helm", "template", "linkage-operator", str(CHART), "--namespace", NAMESPACE, "--kube-version=1.34",
                   f"--values={HERE}/values.yaml"]  # fmt: skip
        return subprocess.run([*command, *shown], check=True, text=True, stdout=subprocess.PIPE).stdout

    def start_counter(self) -> None:
        command = [sys.executable, str(HERE / "counter.py"), self.kubernetes.host, str(self.kubernetes.port), str(self.kubernetes.authority)]
        # a session of its own: Ctrl-C is for this process alone, which ends the others
        self.counter = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.proxy, self.told = map(int, self.counter.stdout.readline().split())

    def write_settings(self) -> None:
        settings = json.loads(kubectl("create", "--dry-run=client", "--output=json", "--filename=-", text=self.chart("jobs")))
        (self.folder / "jobs.yaml").write_text(settings["data"]["jobs.yaml"])
        (self.folder / "key").write_text(os.urandom(32).hex())
        accounts = kubectl("get", "serviceaccounts", f"--namespace={NAMESPACE}", "--output=name",
                           "--selector=app.kubernetes.io/component=operator")  # fmt: skip
        account = accounts.strip().partition("/")[2]
        token = kubectl("create", "token", account, f"--namespace={NAMESPACE}", "--duration=3h").strip()
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": {"server": f"http://127.0.0.1:{self.proxy}"}}],
            "users": [{"name": "bench", "user": {"token": token}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench", "namespace": NAMESPACE}}],
        }  # fmt: skip
        file = self.folder / "kubeconfig"
        file.touch(mode=0o600)
        file.write_text(json.dumps(config))

    def start(self) -> float:
        """Starts the operator; gives the time at which that was."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.health = f"127.0.0.1:{free.getsockname()[1]}"
        environment = {
            "PATH": os.environ["PATH"], "KUBECONFIG": str(self.folder / "kubeconfig"), "NAMESPACE": NAMESPACE,
            "MASTER_KEY_FILE": str(self.folder / "key"), "JOB_SETTINGS": str(self.folder / "jobs.yaml"),
            "STORE_URL": f"file://{self.folder}/store", "LISTEN": self.health, "RUST_LOG": "warn",
        }  # fmt: skip
        began = time.time()
        log = (self.folder / "operator.log").open("w")
        self.operator = subprocess.Popen([self.program], env=environment, stdout=log, stderr=log, start_new_session=True)
        return began

    def stop(self) -> None:
        if self.operator:
            self.operator.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.operator.wait(15)
            self.operator.kill()
            self.operator.wait()
            self.operator = None

    def fetch(self) -> list[tuple[float, str]]:
        """All requests of the operator so far, with their times."""
        with open_directly(f"http://127.0.0.1:{self.told}/{len(self.requests)}") as answer:
            self.requests += [(when, what) for when, what in json.load(answer)]
        return self.requests

    def between(self, begin: float, end: float) -> list[str]:
        return [what for when, what in self.fetch() if begin <= when < end]

    def processor_seconds(self) -> float:
        fields = pathlib.Path(f"/proc/{self.operator.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> dict[str, float]:
        """MiB, now and at most."""
        status = pathlib.Path(f"/proc/{self.operator.pid}/status").read_text()
        return {name: int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 1024 for name in ("VmRSS", "VmHWM")}

    def reconciles(self) -> float:
        """Of runs, so far."""
        with open_directly(f"http://{self.health}/metrics") as answer:
            text = answer.read().decode()
        return sum(float(count) for count in re.findall(r'^linkage_operator_reconcile_seconds_count\{.*kind="LinkageRun".*\} (\S+)', text, re.M))

    def give_up(self, why: str) -> None:
        log = (self.folder / "operator.log").read_text()[-3000:]
        raise SystemExit(f"{why}. The end of the operator's log:\n{log}")

    def remove_objects(self) -> None:
        """The namespace and all in it; nobody is left to drop the finalizers."""
        try:
            self.kubernetes.call("GET", self.kubernetes.path("namespaces", NAMESPACE))
        except Refused:
            return
        for kind in "linkageruns", "linkageprojects":
            held = [item["metadata"]["name"] for item in self.kubernetes.list(kind) if item["metadata"].get("finalizers")]
            at_once(lambda name, kind=kind: self.free(kind, name), held)
        self.kubernetes.delete("namespaces", NAMESPACE)
        for _ in range(240):
            try:
                at_once(self.remove_pod, [pod["metadata"]["name"] for pod in self.kubernetes.list("pods")])
                self.kubernetes.call("GET", self.kubernetes.path("namespaces", NAMESPACE))
            except Refused as refused:
                if refused.code == 404:
                    return
                raise
            time.sleep(0.5)
        print(f"namespace {NAMESPACE} is still not gone: see kubectl get namespace {NAMESPACE} --output yaml", file=sys.stderr)

    def remove_pod(self, name: str) -> None:
        self.free("pods", name)
        self.kubernetes.delete("pods", name, {"gracePeriodSeconds": 0})

    def free(self, kind: str, name: str) -> None:
        with ignoring(404):
            self.kubernetes.merge(kind, name, {"metadata": {"finalizers": None}})


def is_write(request: str) -> bool:
    return request.startswith(WRITES)


def open_directly(url: str):
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=30)
