"""Starts the bundled store with the arguments and the configuration that the chart gives it, and checks it.

store.py FOLDER WEED    FOLDER: an empty one but for objects.json, what the chart renders to; WEED: SeaweedFS's program
"""

import base64
import json
import os
import random
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from objects import decode

HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
GRPC_OFFSET = 10_000  # SeaweedFS's control ports lie so far above the others


def main() -> None:
    folder, weed = Path(sys.argv[1]), sys.argv[2]
    objects = list(decode((folder / "objects.json").read_text()))
    configuration, keys = lay_out(objects, folder)
    ports = {component: free_port() for component in ("s3", "master", "volume", "filer")}

    store = start(weed, objects, folder, configuration, ports)
    try:
        wait_until_ready(store, ports["s3"], folder)
        check_ports(store, ports)
        check_control_port(ports["s3"] + GRPC_OFFSET)
        users = [sys.executable, str(Path(__file__).with_name("users.py")), f"http://127.0.0.1:{ports['s3']}", str(keys)]
        if '"temporary"' in (configuration / "iam.json").read_text():
            users.append("--temporary-credentials")
        subprocess.run(users, check=True)
    finally:
        store.kill()  # it takes long to end by itself
        store.wait()


def lay_out(objects: list[dict], folder: Path) -> tuple[Path, Path]:
    """Writes the configuration as the pod would see it, and the users' keys."""
    configuration, keys = folder / "configuration", {}
    configuration.mkdir()
    for item in objects:
        if item["metadata"]["name"].endswith("-store-config"):
            for name, value in item["data"].items():
                (configuration / name).write_bytes(base64.b64decode(value))
    for identity in json.loads((configuration / "s3.json").read_text())["identities"]:
        keys[identity["name"]] = identity["credentials"][0]
    (folder / "keys.json").write_text(json.dumps(keys))
    return configuration, folder / "keys.json"


def free_port() -> int:
    while True:
        port = random.randrange(20_000, 30_000)
        try:
            for number in port, port + GRPC_OFFSET:
                with socket.socket() as probe:
                    probe.bind(("0.0.0.0", number))
            return port
        except OSError:
            continue


def start(weed: str, objects: list[dict], folder: Path, configuration: Path, ports: dict[str, int]) -> subprocess.Popen:
    """The container's own arguments and environment, with other folders and ports."""
    [container] = next(item for item in objects if item["kind"] == "StatefulSet")["spec"]["template"]["spec"]["containers"]
    (folder / "data").mkdir()

    def moved(text: str) -> str:
        return text.replace("/etc/seaweedfs", str(configuration)).replace("=/data", f"={folder}/data")

    arguments = [moved(argument) for argument in container["args"]]
    arguments += [f"-{component}.port={port}" for component, port in ports.items()]
    given = {variable["name"]: moved(variable["value"]) for variable in container["env"] if variable["name"].startswith("WEED")}
    log = (folder / "log").open("w")
    return subprocess.Popen([weed, *arguments], env={**os.environ, **given}, cwd=folder, stdout=log, stderr=log)


def wait_until_ready(store: subprocess.Popen, port: int, folder: Path) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1)
            return
        except OSError:
            time.sleep(0.1)
        if store.poll() is not None:
            break
    sys.exit("the store does not start:\n" + (folder / "log").read_text()[-3000:])


def check_ports(store: subprocess.Popen, ports: dict[str, int]) -> None:
    """Of the ports that the outside can reach, only S3's and its closed control port are there."""
    inodes = {os.readlink(entry) for entry in Path(f"/proc/{store.pid}/fd").iterdir() if entry.exists() or entry.is_symlink()}
    open_ports = set()
    for table in "tcp", "tcp6":
        for line in Path(f"/proc/{store.pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            address, port = fields[1].rsplit(":", 1)
            listens, loopback = fields[3] == "0A", address.endswith("0100007F")
            if listens and not loopback and f"socket:[{fields[9]}]" in inodes:
                open_ports.add(int(port, 16))
    expected = {ports["s3"], ports["s3"] + GRPC_OFFSET}
    if open_ports != expected:
        sys.exit(f"these ports are open to the outside: {open_ports}, and not {expected}")
    print("ok: no port but S3's is open")


def check_control_port(port: int) -> None:
    """It answers neither a client without encryption nor one without a certificate."""
    if answers(port, encrypted=False) or answers(port, encrypted=True):
        sys.exit("the control port answers strangers, who could make themselves users")
    print("ok: the control port is closed")


def answers(port: int, encrypted: bool) -> bool:
    """Whether a gRPC server answers: its first frame is SETTINGS."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            if encrypted:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                context.set_alpn_protocols(["h2"])
                connection = context.wrap_socket(connection)
            connection.sendall(HTTP2_PREFACE)
            return connection.recv(9)[3:4] == b"\x04"
    except (ssl.SSLError, ConnectionError, TimeoutError):
        return False


if __name__ == "__main__":
    main()
