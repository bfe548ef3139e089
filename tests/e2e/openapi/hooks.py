"""What schemathesis cannot know: the projects of this installation and their tokens. And the rules of the contract that
no schema can express.

LINKAGE_PROJECTS names a file with a list of projects: {"id", "runs", "purposes", "tokens": {"result_token": [...], ...}}.
Without tokens in it, no request has one. LINKAGE_SEEN names the file into which is written how often each endpoint was
seen to give which answer.
"""

import atexit
import collections
import gzip
import itertools
import json
import os
import re

import requests
import schemathesis
from schemathesis.core import NotSet
from schemathesis.core.failures import AcceptedNegativeData, ServerError
from schemathesis.generation.meta import TestPhase
from schemathesis.openapi.checks import MissingHeaderNotRejected, RejectedPositiveData

with open(os.environ["LINKAGE_PROJECTS"]) as file:
    PROJECTS = json.load(file)

# By project and kind of token, for ever in turn: an update token is good for one upload.
TOKENS = {
    project["id"]: {kind: itertools.cycle(tokens) for kind, tokens in project["tokens"].items() if tokens}
    for project in PROJECTS
}
# Others need these.
KEPT = set(TOKENS)
KEPT_RUNS = {run for project in PROJECTS for run in project["runs"]}
ANONYMOUS = not any(TOKENS.values())
TURNS = itertools.count()
SEEN = collections.Counter()

# Valid by the schema, and refused all the same: most are rules between two parts of a request. A number such as 2.0 is
# an integer to schemas; but blocks are compared as text, and there it is not the same as 2.
RULES = {
    "create_project": "permutations are for exactly 2 parties|public_key|paillier_context|webhook_url|_seconds is [0-9]+; it must be 0, or",
    "list_projects": "cursor is not one",
    "list_runs": "cursor is not one",
    "create_run": "from_run|solver|additional_results|_seconds is [0-9]+; it must be 0, or",
    "rotate_tokens": "there is no party",
    "upload_json": "indices must run from 0 without gaps|there are blocks of record|is not in the store"
    "|a block id must be a string or an integer, not a fraction",
    "run_result": "ends before this range begins",
    "run_similarity_scores": "ends before this range begins",
    "run_result_file": "ends before this range begins",
    "upload_binary": "the data ends after|the data is longer than|asks for encodings of",
}
# Answered with 500 by contract.
FAULTS = {"create_run": "a party's data cannot be linked"}
# RFC 9110: codings are written in any case, x-gzip is the older name, and an empty list is none.
CODINGS = ("", "identity", "gzip", "x-gzip")


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Has requests go to projects and runs that are there. Links lead to those that schemathesis itself has made; of
    projects and runs, these alone are ever deleted."""
    # resumable uploads are a conversation in headers, which chance does not hold: their own clients try them
    for path in [path for path in raw_schema["paths"] if "/uploads" in path]:
        del raw_schema["paths"][path]
    for path in raw_schema["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict) and not operation["operationId"].startswith("delete_"):
                for parameter in operation.get("parameters", []):
                    known = places(operation["operationId"], parameter["name"])
                    if known:
                        parameter["schema"] = {"type": "string", "enum": known}


def places(operation, parameter):
    projects = [project for project in PROJECTS if operation in project["purposes"]]
    if parameter == "project_id":
        return [project["id"] for project in projects]
    if parameter == "run_id":
        return [run for project in projects for run in project["runs"]]
    return []


@schemathesis.auth(refresh_interval=None)
class Tokens:
    """A token of the project that is asked for, of a kind that the endpoint takes."""

    def get(self, case, context):
        raw = case.operation.definition.raw
        if ANONYMOUS or not raw.get("security"):
            return None
        project = case.path_parameters.get("project_id")
        known = TOKENS.get(project, {})
        kinds = [kind for requirement in raw["security"] for kind in requirement if kind in known]
        deletes = {"delete_project": project in KEPT, "delete_run": case.path_parameters.get("run_id") in KEPT_RUNS}
        if not kinds or deletes.get(raw["operationId"]):
            return "0" * 48
        return next(known[kinds[next(TURNS) % len(kinds)]])

    def set(self, case, data, context):
        case.headers["Authorization"] = data


@schemathesis.hook
def before_call(context, case, kwargs):
    """Has the headers of a body fit it, which chance does not; and nobody wait for long."""
    if case.query and case.operation.definition.raw["operationId"] == "run_status":
        if str(case.query.get("wait", "")) in map(str, range(61)):
            case.query["wait"] = "1"
    if isinstance(case.body, NotSet):
        return
    body = getattr(case.body, "data", case.body)
    if case.operation.definition.raw["operationId"] == "upload_binary":
        body = body.encode() if isinstance(body, str) else body
        if case.meta and case.meta.phase.name == TestPhase.FUZZING and case.meta.generation.mode.is_positive:
            size = int(case.headers["Hash-Size"])
            count = max(1, len(body) // size)
            body = body[: count * size].ljust(count * size, b"1")
            case.headers["Hash-Count"] = str(count)
            kwargs["data"] = body
    if case.headers.get("Content-Encoding") == "gzip":
        kwargs["data"] = gzip.compress(body if isinstance(body, bytes) else json.dumps(body).encode())


@schemathesis.hook
def after_call(context, case, response):
    operation = case.operation.definition.raw["operationId"]
    SEEN[f"{operation} {response.status_code}"] += 1
    if response.status_code == 201 and not ANONYMOUS:
        learn_tokens(operation, case, response.json())


def learn_tokens(operation, case, created):
    if operation == "create_project":
        TOKENS[created["project_id"]] = {
            "result_token": itertools.cycle([created["result_token"]]),
            "update_token": itertools.cycle(created["update_tokens"]),
        }


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Leaves out what the contract wants, though no schema can express it."""
    operation = case.operation.definition.raw["operationId"]
    if isinstance(failure, MissingHeaderNotRejected) and failure.header_name == "Authorization":
        # 401 is wanted; by contract it is 400
        return response.status_code != 400
    if isinstance(failure, AcceptedNegativeData) and "`Content-Encoding` in header" in failure.message:
        return response.request.headers.get("Content-Encoding", "").strip().lower() not in CODINGS
    if isinstance(failure, RejectedPositiveData) and ANONYMOUS and "Authorization" not in response.request.headers:
        # without a token nothing is valid; schemathesis would have it 401 or 403
        return response.status_code != 400
    rules = {RejectedPositiveData: RULES, ServerError: FAULTS}.get(type(failure), {})
    return not (operation in rules and re.search(rules[operation], response.json().get("detail", "")))


JUDGED = set()
SESSION = requests.Session()


@schemathesis.check
def tokens_are_judged(ctx, response, case):
    """Where a token let a request through, none is 400, and any other 403: never 401 or 404."""
    raw = case.operation.definition.raw
    # where a token may be left out, none is judged
    if not raw.get("security") or {} in raw["security"] or not 200 <= response.status_code < 300 or raw["operationId"] in JUDGED:
        return
    token = response.request.headers["Authorization"]
    for other, expected in ((None, 400), ("", 403), ("0" * 48, 403), (f"Bearer {token}", 403), (token[:-1], 403)):
        request = response.request.copy()
        del request.headers["Authorization"]
        if other is not None:
            request.headers["Authorization"] = other
        answer = SESSION.send(request, timeout=30)
        SEEN[f"{raw['operationId']} {answer.status_code}"] += 1
        assert answer.status_code == expected, f"with another token: {answer.status_code}, not {expected}"
    JUDGED.add(raw["operationId"])


@atexit.register
def tell_what_was_seen():
    with open(os.environ["LINKAGE_SEEN"], "w") as file:
        json.dump(SEEN, file, indent=1, sort_keys=True)
