"""Plays a node with room for any number of pods: what a kubelet says of its node and its pods, and what the pods say of
themselves. The Jobs, their controller and the scheduler are real.

Each pod gets an address of this machine's loopback, on which /progress answers. A run never ends by itself.
"""

import datetime
import ipaddress
import json
import socket
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler

from kubernetes import Kubernetes, ignoring

NODE = "bench-operator"
LABEL = {"bench-operator": "true"}
PROGRESS_PORT = 8080
FIRST_ADDRESS = ipaddress.ip_address("127.77.0.1")
# As long as a run of this size would take: its percentage changes every 6 s.
RUN_SECONDS = 600
# Records of each of the two parties; all of one are compared with all of the other.
RECORDS = 10**6


class Node:
    def __init__(self, kubernetes: Kubernetes, shards: int) -> None:
        self.comparisons = RECORDS**2 // shards
        self.kubernetes, self.addresses, self.stopped = kubernetes, iter(range(1 << 16)), threading.Event()
        self.pods: dict[str, Pod] = {}

    def start(self) -> None:
        self.remove()
        room = {"cpu": "100000", "memory": "1000Ti", "pods": "100000", "ephemeral-storage": "1000Ti"}
        taint = {"key": NODE, "value": "true", "effect": "NoSchedule"}
        self.kubernetes.create("nodes", {"metadata": {"name": NODE, "labels": LABEL}, "spec": {"taints": [taint]}})
        self.kubernetes.create("leases", {"metadata": {"name": NODE}, "spec": self.lease()}, "kube-node-lease")
        ready = {"type": "Ready", "status": "True", "reason": "Bench", "message": "played by make bench-operator",
                 "lastHeartbeatTime": now(), "lastTransitionTime": now()}  # fmt: skip
        self.kubernetes.merge("nodes", NODE, {"status": {"capacity": room, "allocatable": room, "conditions": [ready]}}, "status")
        for work in self.keep_alive, self.play_pods:
            threading.Thread(target=work, daemon=True).start()

    def lease(self) -> dict:
        return {"holderIdentity": NODE, "leaseDurationSeconds": 40, "renewTime": now().replace("Z", ".000000Z")}

    def keep_alive(self) -> None:
        while not self.stopped.wait(10):
            self.kubernetes.merge("leases", NODE, {"spec": self.lease()}, namespace="kube-node-lease")

    def play_pods(self) -> None:
        while not self.stopped.is_set():
            for event, pod in self.kubernetes.watch("pods"):
                if self.stopped.is_set():
                    return
                if event == "ERROR":
                    break  # too far back: from anew
                with ignoring(404), ignoring(409):
                    self.play(event, pod)

    def play(self, event: str, pod: dict) -> None:
        name = pod["metadata"]["name"]
        if event == "DELETED" and name in self.pods:
            self.pods.pop(name).stop()
        elif event == "DELETED" or pod["spec"].get("nodeName") != NODE:
            return
        elif pod["metadata"].get("deletionTimestamp"):
            # the Job's controller lets go of a pod that has ended, and of no other
            self.say(pod, "Failed", {"terminated": {"exitCode": 143, "reason": "Error", "finishedAt": now()}})
            self.kubernetes.delete("pods", name, {"gracePeriodSeconds": 0})
        elif name not in self.pods:
            self.pods[name] = Pod(str(FIRST_ADDRESS + next(self.addresses)), self.comparisons)
            self.say(pod, "Running", {"running": {"startedAt": now()}}, self.pods[name].address)

    def say(self, pod: dict, phase: str, state: dict, address: str | None = None) -> None:
        """The status of a pod and of its one container."""
        runs = phase == "Running"
        conditions = [{"type": kind, "status": str(runs or kind == "PodScheduled"), "lastTransitionTime": now()}
                      for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")]  # fmt: skip
        container = pod["spec"]["containers"][0]
        status = {"phase": phase, "startTime": now(), "conditions": conditions, "containerStatuses": [
            {"name": container["name"], "image": container["image"], "imageID": "", "ready": runs, "started": runs,
             "restartCount": 0, "state": state}]}  # fmt: skip
        if address:
            status |= {"podIP": address, "podIPs": [{"ip": address}]}
        self.kubernetes.merge("pods", pod["metadata"]["name"], {"status": status}, "status")

    def remove(self) -> None:
        self.kubernetes.delete("nodes", NODE)
        self.kubernetes.delete("leases", NODE, namespace="kube-node-lease")

    def stop(self) -> None:
        self.stopped.set()
        self.remove()
        for pod in list(self.pods.values()):
            pod.stop()


class Pod(socketserver.ThreadingTCPServer):
    """Serves a pod's progress."""

    daemon_threads = allow_reuse_address = True
    address_family = socket.AF_INET

    def __init__(self, address: str, comparisons: int) -> None:
        super().__init__((address, PROGRESS_PORT), Progress)
        self.comparisons = comparisons
        self.address, self.began = address, time.monotonic()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 5}, daemon=True).start()

    def stop(self) -> None:
        threading.Thread(target=self.shutdown, daemon=True).start()
        self.socket.close()


class Progress(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Pod

    def do_GET(self) -> None:
        share = min((time.monotonic() - self.server.began) / RUN_SECONDS, 0.99)
        total = self.server.comparisons
        body = json.dumps({"stage": "Scoring", "comparisons": int(total * share), "totalComparisons": total,
                           "pairs": int(RECORDS * share)}).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
