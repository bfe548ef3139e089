"""A small client of the Kubernetes API, for the bench itself; its requests do not go through the counter."""

import base64
import contextlib
import http.client
import json
import os
import pathlib
import ssl
import subprocess
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

KINDS = {
    "namespaces": "/api/v1/namespaces", "nodes": "/api/v1/nodes",
    "leases": "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
    "pods": "/api/v1/namespaces/{}/pods", "secrets": "/api/v1/namespaces/{}/secrets",
    "jobs": "/apis/batch/v1/namespaces/{}/jobs",
    "linkageprojects": "/apis/pprl.dev/v1alpha1/namespaces/{}/linkageprojects",
    "linkageruns": "/apis/pprl.dev/v1alpha1/namespaces/{}/linkageruns",
}  # fmt: skip
PARALLEL = 8


class Refused(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Kubernetes:
    """Uses the kubeconfig that kubectl would; each thread has a connection of its own."""

    def __init__(self, namespace: str, folder: pathlib.Path) -> None:
        self.namespace, self.local = namespace, threading.local()
        view = kubectl("config", "view", "--minify", "--raw", "--flatten", "--output", "json")
        config = json.loads(view)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        url = urllib.parse.urlsplit(cluster["server"])
        self.host, self.port = url.hostname, url.port or 443
        self.authority = folder / "ca.crt"
        self.authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        self.tls = ssl.create_default_context(cafile=str(self.authority))
        self.token = user.get("token")
        if "client-certificate-data" in user:
            files = folder / "client.crt", folder / "client.key"
            for file, name in zip(files, ("client-certificate-data", "client-key-data"), strict=True):
                file.touch(mode=0o600)
                file.write_bytes(base64.b64decode(user[name]))
            self.tls.load_cert_chain(*files)
        elif not self.token:
            raise SystemExit("the kubeconfig has neither a client certificate nor a token: use one that has")

    def connection(self, timeout: float | None = 60) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=timeout)

    def path(self, kind: str, name: str = "", namespace: str = "") -> str:
        return KINDS[kind].format(namespace or self.namespace) + (f"/{name}" if name else "")

    def call(self, method: str, path: str, body: dict | None = None, kind_of_body: str = "application/json") -> dict:
        for attempt in range(2):
            if not hasattr(self.local, "connection"):
                self.local.connection = self.connection()
            try:
                self.local.connection.request(method, path, json.dumps(body) if body is not None else None, self.headers(kind_of_body))
                answer = self.local.connection.getresponse()
                text = answer.read().decode()
                break
            except (http.client.HTTPException, OSError):
                # the server closes a connection that has been idle
                del self.local.connection
                if attempt:
                    raise
        if answer.status >= 400:
            raise Refused(answer.status, text[:500])
        return json.loads(text)

    def headers(self, kind_of_body: str) -> dict[str, str]:
        token = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {"Content-Type": kind_of_body, "Accept": "application/json"} | token

    def create(self, kind: str, body: dict, namespace: str = "") -> dict:
        return self.call("POST", self.path(kind, namespace=namespace), body)

    def merge(self, kind: str, name: str, patch: dict, sub: str = "", namespace: str = "") -> dict:
        path = self.path(kind, name, namespace) + (f"/{sub}" if sub else "")
        return self.call("PATCH", path, patch, "application/merge-patch+json")

    def delete(self, kind: str, name: str, options: dict | None = None, namespace: str = "") -> None:
        with ignoring(404):
            self.call("DELETE", self.path(kind, name, namespace), options)

    def list(self, kind: str, query: str = "") -> list[dict]:
        return self.call("GET", f"{self.path(kind)}?{query}")["items"]

    def watch(self, kind: str) -> Iterator[tuple[str, dict]]:
        """What there is and what follows, until the connection ends."""
        connection = self.connection(timeout=None)
        connection.request("GET", f"{self.path(kind)}?watch=true", headers=self.headers("application/json"))
        for line in connection.getresponse():
            event = json.loads(line)
            yield event["type"], event["object"]


@contextlib.contextmanager
def ignoring(code: int) -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        if refused.code != code:
            raise


def at_once(work: Callable[[str], object], names: list[str]) -> list:
    with ThreadPoolExecutor(PARALLEL) as threads:
        return list(threads.map(work, names))


def kubectl(*arguments: str, text: str = "") -> str:
    command = ["kubectl", *arguments]
    return subprocess.run(command, input=text, text=True, check=True, stdout=subprocess.PIPE, env=os.environ).stdout
