"""Checks what the chart renders to, as JSON objects one after the other on stdin.

objects.py NAMESPACE
"""

import base64
import json
import sys
from collections.abc import Iterator

COMPONENTS_WITH_TOKEN = {"operator", "api"}
NAMESPACED = {
    "ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Role", "RoleBinding", "Secret", "Service",
    "ServiceAccount", "StatefulSet",
}  # fmt: skip
LABELS = ("name", "instance", "component", "version", "managed-by")

Object = dict
found: list[str] = []


def main() -> None:
    namespace = sys.argv[1]
    objects = list(decode(sys.stdin.read()))
    workloads = [item for item in objects if item["kind"] in ("Deployment", "StatefulSet")]

    for item in objects:
        check_metadata(item, namespace)
    for workload in workloads:
        check_pod(workload, {(item["kind"], item["metadata"]["name"]) for item in objects})
    for item in objects:
        if item["kind"] == "Role":
            check_role(item)
        if item["kind"] in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            check_selector(item, workloads)
    check_store_keys({item["metadata"]["name"]: item for item in objects if item["kind"] == "Secret"})

    for problem in found:
        print(f"  {problem}")
    sys.exit(bool(found))


def decode(text: str) -> Iterator[Object]:
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        item, end = decoder.raw_decode(text)
        yield item
        text = text[end:]


def expect(item: Object, what: str, right: object) -> None:
    if not right:
        found.append(f"{item['kind']} {item['metadata']['name']}: {what}")


def check_metadata(item: Object, namespace: str) -> None:
    if item["kind"] == "ClusterRoleBinding":
        check_cluster_role_binding(item, namespace)
    else:
        expect(item, "is of a kind that reaches beyond the namespace", item["kind"] in NAMESPACED)
        expect(item, f"is not in namespace {namespace}", item["metadata"].get("namespace") == namespace)
    expect(item, "has a name that is too long", len(item["metadata"]["name"]) <= 63)
    labels = item["metadata"].get("labels", {})
    for label in LABELS:
        expect(item, f"lacks label {label}", labels.get(f"app.kubernetes.io/{label}"))


def check_cluster_role_binding(binding: Object, namespace: str) -> None:
    """The one exception: the REST service may ask who somebody is, where the cluster's users may read."""
    expect(binding, "gives more than is needed", binding["roleRef"]["name"] == "system:auth-delegator")
    subjects = [(subject["kind"], subject["namespace"]) for subject in binding["subjects"]]
    expect(binding, "is for others", subjects == [("ServiceAccount", namespace)])
    expect(binding, "may have the name of another's", binding["metadata"]["name"].startswith(f"{namespace}:"))


def check_pod(workload: Object, names: set[tuple[str, str]]) -> None:
    """Pod Security "restricted", and more: a read-only root, no token where none is used, limits, probes."""
    template = workload["spec"]["template"]
    spec, labels = template["spec"], template["metadata"]["labels"]
    component = labels["app.kubernetes.io/component"]
    selector = workload["spec"]["selector"]["matchLabels"]
    expect(workload, "does not select its own pods", selector.items() <= labels.items())
    expect(workload, "selects by what may change", set(selector) == {f"app.kubernetes.io/{x}" for x in LABELS[:3]})

    security = spec["securityContext"]
    expect(workload, "may run as root", security["runAsNonRoot"] is True and security["runAsUser"] > 0)
    expect(workload, "lacks a seccomp profile", security["seccompProfile"] == {"type": "RuntimeDefault"})
    for sharing in "hostNetwork", "hostPID", "hostIPC":
        expect(workload, f"sets {sharing}", not spec.get(sharing))
    expect(workload, "has or lacks a token", spec["automountServiceAccountToken"] == (component in COMPONENTS_WITH_TOKEN))
    expect(workload, "uses no ServiceAccount of the chart", ("ServiceAccount", spec["serviceAccountName"]) in names)
    for volume in spec["volumes"]:
        kinds = set(volume) - {"name"}
        expect(workload, f"has a volume of kind {kinds}", kinds <= {"secret", "emptyDir", "projected"})
    for container in spec["containers"]:
        check_container(workload, container)
    for kind, name in references(spec):
        expect(workload, f"names {kind} {name}, which is not there", (kind, name) in names or name.startswith("our-"))


def check_container(workload: Object, container: Object) -> None:
    expected = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    expect(workload, "has a container that is not confined", container["securityContext"] == expected)
    resources = container["resources"]
    expect(workload, "has no requests", {"cpu", "memory"} <= resources["requests"].keys())
    expect(workload, "has no limit of memory", "memory" in resources["limits"])
    for probe in "startupProbe", "readinessProbe", "livenessProbe":
        expect(workload, f"has no {probe}", container.get(probe))
    names = [variable["name"] for variable in container.get("env", [])]
    expect(workload, "sets a variable twice", len(names) == len(set(names)))


def references(spec: Object) -> Iterator[tuple[str, str]]:
    for container in spec["containers"]:
        for source in container.get("envFrom", []):
            yield "Secret", source["secretRef"]["name"]
    for volume in spec["volumes"]:
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
        for source in volume.get("projected", {}).get("sources", []):
            kind = "secret" if "secret" in source else "configMap"
            yield kind[0].upper() + kind[1:], source[kind]["name"]


def check_role(role: Object) -> None:
    for rule in role["rules"]:
        expect(role, "has a wildcard", "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"])
        if "secrets" in rule["resources"]:
            # the operator watches the metadata of those that it has made, for which Kubernetes has no narrower right
            needed = {"get", "list", "watch", "create", "update"}
            expect(role, "may do more with Secrets than is needed", set(rule["verbs"]) <= needed)
            expect(role, "is not the operator's, but may read Secrets", role["metadata"]["name"].endswith("-operator"))


def check_selector(item: Object, workloads: list[Object]) -> None:
    spec = item["spec"]
    selector = spec.get("podSelector") or spec.get("selector")
    selector = selector.get("matchLabels", selector)
    if selector.get("app.kubernetes.io/managed-by") == "linkage-operator":
        return  # the pods of Jobs, which the operator makes
    pods = [workload["spec"]["template"]["metadata"]["labels"] for workload in workloads]
    expect(item, "does not select the pods of one component", sum(selector.items() <= labels.items() for labels in pods) == 1)


def check_store_keys(secrets: dict[str, Object]) -> None:
    """The store knows its users by the keys that their Secrets hold."""
    configuration = next((item for name, item in secrets.items() if name.endswith("-store-config")), None)
    if not configuration:
        return
    prefix = configuration["metadata"]["name"].removesuffix("-config")
    identities = json.loads(base64.b64decode(configuration["data"]["s3.json"]))["identities"]
    expect(configuration, "does not have three users", len(identities) == 3)
    for identity in identities:
        data = secrets[f"{prefix}-{identity['name']}"]["data"]
        known = {"accessKey": data["AWS_ACCESS_KEY_ID"], "secretKey": data["AWS_SECRET_ACCESS_KEY"]}
        given = {key: base64.b64encode(value.encode()).decode() for key, value in identity["credentials"][0].items()}
        expect(configuration, f"has other keys for {identity['name']} than its Secret", known == given)
    access_keys = {identity["credentials"][0]["accessKey"] for identity in identities}
    expect(configuration, "has one key for two users", len(access_keys) == 3)


if __name__ == "__main__":
    main()
