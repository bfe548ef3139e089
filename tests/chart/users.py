"""What each user of the bundled store can do, and cannot.

users.py ENDPOINT KEYS [--temporary-credentials]

KEYS is a file with {"operator": {"accessKey": …, "secretKey": …}, "api": …, …}. With the option, the store hands out
temporary credentials.

The store has to be an empty one; what this leaves is removed again.
"""

import hashlib
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

import boto3
from botocore.awsrequest import AWSRequest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET = "linkage"
ENCODINGS = "projects/p/parties/0/u/encodings"
CONTRIBUTION = "projects/p/parties/0/u/contribution.json"
PAIRS = "runs/r/pairs/0.pairs"
MANIFEST = "runs/r/pairs/0.json"
SEED = "runs/r/seed-w"
RESULT = "runs/r/result/groups.json"
SUMMARY = "runs/r/summary.json"
SOURCE = "sources/a.json"
FOLDER = "projects/p/uploads/1/0"
EVERYTHING = [(["s3:*"], ""), (["s3:*"], "/*")]
ROLE = "arn:aws:iam::000000000000:role/temporary"
JOBS_ROLE = "arn:aws:iam::000000000000:role/jobs"

wrong: list[str] = []


def main() -> None:
    endpoint, keys = sys.argv[1], json.load(open(sys.argv[2]))
    users = {user: User(user, client(endpoint, key)) for user, key in keys.items()}
    operator, api, uploader = (users[name] for name in ("operator", "api", "uploader"))

    strangers(endpoint, keys)
    check_bucket(operator, api, list(users.values()))
    # The operator hands out credentials to Jobs. Here one gets all that any Job can get…
    scorer = User("a Job with all rights of its role", role_client(endpoint, keys, EVERYTHING))
    writing(operator, api, scorer, uploader)
    reading(operator, api, scorer, uploader)
    # … and here it gets what is its own.
    own_job(endpoint, keys)
    if "--temporary-credentials" in sys.argv:
        temporary(endpoint, keys, api)
    deleting(operator, api, scorer, uploader)

    left = [item["Key"] for item in uploader.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    expect("everything is deleted in the end", left == [])
    print(f"{User.tried} attempts, {len(wrong)} of them with the wrong outcome")
    sys.exit(bool(wrong))


class User:
    """Tries things, and says where the outcome is not the right one."""

    tried = 0

    def __init__(self, name: str, s3: BaseClient) -> None:
        self.name, self.s3 = name, s3

    def may(self, what: str, key: str = "") -> None:
        expect(f"{self.name} may {what} {key}", self._try(what, key) is None)

    def may_not(self, what: str, key: str = "") -> None:
        refused = self._try(what, key)
        expect(f"{self.name} may not {what} {key} ({refused})", refused in ("AccessDenied", "403"))

    def may_not_reach(self, what: str, key: str) -> None:
        """As above; the store may also find that there can be no such key."""
        refused = self._try(what, key)
        expect(f"{self.name} may not {what} {key} ({refused})", refused in ("AccessDenied", "InvalidRequest"))

    @property
    def credentials(self) -> dict:
        known = self.s3._request_signer._credentials
        return {"accessKey": known.access_key, "secretKey": known.secret_key, "token": known.token}

    def _try(self, what: str, key: str) -> str | None:
        User.tried += 1
        try:
            return getattr(self, what)(key)
        except ClientError as error:
            return error.response["Error"]["Code"]

    def create_bucket(self, name: str) -> None:
        self.s3.create_bucket(Bucket=name)

    def delete_bucket(self, name: str) -> None:
        self.s3.delete_bucket(Bucket=name)

    def look_at_bucket(self, _: str) -> None:
        self.s3.head_bucket(Bucket=BUCKET)

    def open_bucket_to_all(self, _: str) -> None:
        everything = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
        self.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everything]}))

    def list(self, prefix: str) -> None:
        self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        self.s3.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)

    def put(self, key: str) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=b"some bytes")

    def put_in_parts(self, key: str) -> None:
        upload = self.s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        part = {"Bucket": BUCKET, "Key": key, "UploadId": upload}
        tag = self.s3.upload_part(**part, PartNumber=1, Body=b"bytes" * 1_100_000)["ETag"]
        self.s3.complete_multipart_upload(**part, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})

    def begin_and_abort(self, key: str) -> None:
        upload = self.s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        self.s3.abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload)

    def begin_only(self, key: str) -> None:
        self.s3.create_multipart_upload(Bucket=BUCKET, Key=key)

    def abort_all(self, prefix: str) -> None:
        for upload in self.s3.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix).get("Uploads", []):
            self.s3.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])

    def get(self, key: str) -> None:
        self.s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=0-3")["Body"].read()

    def look_at(self, key: str) -> None:
        self.s3.head_object(Bucket=BUCKET, Key=key)

    def open_to_all(self, key: str) -> None:
        self.s3.put_object_acl(Bucket=BUCKET, Key=key, ACL="public-read")

    def copy_to_folder(self, key: str) -> None:
        self.s3.copy_object(Bucket=BUCKET, Key=f"{FOLDER}/copy", CopySource=f"{BUCKET}/{key}")

    def copy_to_own(self, key: str) -> None:
        self.s3.copy_object(Bucket=BUCKET, Key="projects/p/copy", CopySource=f"{BUCKET}/{key}")

    def delete(self, key: str) -> None:
        self.s3.delete_object(Bucket=BUCKET, Key=key)

    def delete_many(self, keys: str) -> str | None:
        objects = [{"Key": key} for key in keys.split()]
        answer = self.s3.delete_objects(Bucket=BUCKET, Delete={"Objects": objects, "Quiet": True})
        return answer["Errors"][0]["Code"] if answer.get("Errors") else None


def strangers(endpoint: str, keys: dict) -> None:
    try:
        urllib.request.urlopen(f"{endpoint}/{BUCKET}")
        expect("a stranger is refused", False)
    except urllib.error.HTTPError as error:
        expect("a stranger is refused", error.code == 403)
    impostor = User("impostor", client(endpoint, {**keys["api"], "secretKey": "wrong"}))
    expect("a wrong secret is refused", impostor._try("list", "") == "SignatureDoesNotMatch")


def check_bucket(operator: User, api: User, users: list[User]) -> None:
    api.may_not("create_bucket", "another")
    operator.may_not("create_bucket", "another")
    # It may be there already.
    expect("operator makes the bucket", operator._try("create_bucket", BUCKET) in (None, "BucketAlreadyOwnedByYou"))
    for user in users:
        user.may("look_at_bucket")
        user.may("list", "projects/p/")
        user.may_not("delete_bucket", BUCKET)
        user.may_not("open_bucket_to_all")


def writing(operator: User, api: User, scorer: User, uploader: User) -> None:
    uploader.may("put", SOURCE)
    uploader.may("put_in_parts", SOURCE)
    uploader.may_not("put", RESULT)
    uploader.may_not("put", ENCODINGS)
    api.may("put", ENCODINGS)
    api.may("put_in_parts", ENCODINGS)
    api.may("begin_and_abort", ENCODINGS)
    api.may("begin_only", ENCODINGS)
    for key in SOURCE, SUMMARY:
        api.may_not("put", key)
        api.may_not("put_in_parts", key)
    for key in CONTRIBUTION, PAIRS, MANIFEST, SEED, RESULT, SUMMARY:
        scorer.may("put", key)
    scorer.may("put_in_parts", RESULT)
    scorer.may("begin_and_abort", RESULT)
    scorer.may_not("put", SOURCE)
    for key in ENCODINGS, SUMMARY, SOURCE:
        operator.may_not("put", key)


def reading(operator: User, api: User, scorer: User, uploader: User) -> None:
    for key in CONTRIBUTION, MANIFEST, SUMMARY:
        operator.may("get", key)
        operator.may("look_at", key)
    for key in ENCODINGS, PAIRS, SEED, RESULT:
        operator.may_not("get", key)
        operator.may_not("look_at", key)
        operator.may_not("copy_to_own", key)
    operator.may_not("look_at", SOURCE)
    operator.may_not("copy_to_own", SOURCE)
    for key in ENCODINGS, RESULT:
        api.may("get", key)
    for key in PAIRS, SEED, SOURCE:
        api.may_not("get", key)
        api.may_not("copy_to_own", key)
    for key in ENCODINGS, PAIRS, SEED, SOURCE:
        scorer.may("get", key)
    for key in RESULT, SUMMARY, SOURCE:
        uploader.may("get", key)
    for key in ENCODINGS, PAIRS, SEED:
        uploader.may_not("get", key)


def own_job(endpoint: str, keys: dict) -> None:
    """Only the operator gets credentials for Jobs, and a Job can do no more than with its own project and run."""
    for user in "api", "uploader":
        expect(f"{user} may not assume the role of Jobs", assumed(endpoint, keys[user], None, JOBS_ROLE) is None)
    writes = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:DeleteObject", "s3:GetObject"]
    job = User("a Job", role_client(endpoint, keys, [(["s3:ListBucket"], ""), (writes, "/runs/r/*"), (["s3:GetObject"], "/projects/p/*")]))
    job.may("get", ENCODINGS)
    job.may("put", PAIRS)
    job.may("put_in_parts", PAIRS)
    job.may("begin_and_abort", PAIRS)
    job.may("get", PAIRS)
    job.may("look_at", SEED)
    for key in ENCODINGS, "projects/q/parties/0/u/encodings", "runs/s/pairs/0.pairs", "runs/r1/pairs/0.pairs":
        job.may_not("put", key)
        job.may_not("put_in_parts", key)
        job.may_not("delete", key)
    for key in "projects/q/parties/0/u/encodings", "runs/s/pairs/0.pairs", "runs/r1/pairs/0.pairs", SOURCE:
        job.may_not("get", key)
        job.may_not("look_at", key)
    expect("what is not there is not there", job._try("look_at", "runs/r/none") == "404")
    expect("it may not assume the role again", assumed(endpoint, job.credentials, None, JOBS_ROLE) is None)

    # Whatever the operator asked for by mistake, it could not get more than the role has.
    everything = User("a Job that is granted all", role_client(endpoint, keys, EVERYTHING))
    everything.may_not("put", SOURCE)
    everything.may_not("delete", SOURCE)
    everything.may_not("open_to_all", RESULT)


def role_client(endpoint: str, keys: dict, allowed: list[tuple[list[str], str]]) -> BaseClient:
    """A client with credentials that the operator has asked for."""
    statements = [
        {"Effect": "Allow", "Action": actions, "Resource": [f"arn:aws:s3:::{BUCKET}{below}"]} for actions, below in allowed
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    credentials = assumed(endpoint, keys["operator"], policy, JOBS_ROLE)
    if credentials is None:
        sys.exit("WRONG: the operator gets no credentials for a Job")
    return client(endpoint, credentials)


def temporary(endpoint: str, keys: dict, api: User) -> None:
    """Only the REST service gets temporary credentials, and they do no more than it asked for."""
    for user in "operator", "uploader":
        expect(f"{user} may not assume the role", assumed(endpoint, keys[user], None) is None)
    party = User("a party", temporary_client(endpoint, keys, "s3:PutObject", f"{FOLDER}/*"))
    party.may("put", f"{FOLDER}/encodings.json")
    for neighbour in f"{FOLDER}1/a", f"{FOLDER}/../1/a", "projects/p/uploads/1/1/a", "projects/q/uploads/1/0/a":
        party.may_not_reach("put", neighbour)
    for key in ENCODINGS, SUMMARY, SOURCE, PAIRS, RESULT:
        for what in "put", "put_in_parts", "get", "look_at", "delete", "delete_many":
            party.may_not(what, key)
    for what in "get", "look_at", "delete", "delete_many", "open_to_all":
        party.may_not(what, f"{FOLDER}/encodings.json")
    for what in "look_at_bucket", "list", "open_bucket_to_all":
        party.may_not(what)
    party.may_not("create_bucket", "another")
    party.may_not("copy_to_folder", ENCODINGS)
    expect("it may not assume the role again", assumed(endpoint, party.credentials, None) is None)

    reader = User("a reader", temporary_client(endpoint, keys, "s3:GetObject", RESULT))
    reader.may("get", RESULT)
    for key in "runs/r/result/mask", "runs/s/result/groups.json", SUMMARY, PAIRS, SEED, ENCODINGS, SOURCE:
        reader.may_not("get", key)
    for what in "put", "delete", "open_to_all":
        reader.may_not(what, RESULT)
    reader.may_not("list", "runs/r/")

    # Whatever the REST service asked for by mistake, it could not get more than the role has.
    everything = User("one who is granted all", temporary_client(endpoint, keys, "s3:*", "*"))
    for key in ENCODINGS, SUMMARY, PAIRS, SEED, SOURCE:
        everything.may_not("get", key)
        everything.may_not("put", key)
        everything.may_not("delete", key)
    api.may("delete", f"{FOLDER}/encodings.json")


def temporary_client(endpoint: str, keys: dict, action: str, resource: str) -> BaseClient:
    """A client with credentials that the REST service has asked for."""
    statement = {"Effect": "Allow", "Action": [action], "Resource": [f"arn:aws:s3:::{BUCKET}/{resource}"]}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    credentials = assumed(endpoint, keys["api"], policy)
    if credentials is None:
        sys.exit("WRONG: api gets no temporary credentials")
    return client(endpoint, credentials)


def assumed(endpoint: str, key: dict, policy: str | None, role: str = ROLE) -> dict | None:
    """The credentials of the role, if they are handed out."""
    sts = client(endpoint, key, "sts")
    sts.meta.events.register("before-sign.sts", announce_hash)
    try:
        answer = sts.assume_role(RoleArn=role, RoleSessionName="test", **({"Policy": policy} if policy else {}))
    except ClientError as error:
        expect(f"the answer is AccessDenied ({error})", error.response["Error"]["Code"] == "AccessDenied")
        return None
    given = answer["Credentials"]
    return {"accessKey": given["AccessKeyId"], "secretKey": given["SecretAccessKey"], "token": given["SessionToken"]}


def announce_hash(request: AWSRequest, **_: object) -> None:
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(urllib.parse.urlencode(request.data).encode()).hexdigest()


def deleting(operator: User, api: User, scorer: User, uploader: User) -> None:
    for user in operator, api, scorer:
        user.may_not("delete", SOURCE)
        user.may_not("delete_many", SOURCE)
    for user in api, uploader:
        user.may_not("delete", RESULT)
        user.may_not("delete_many", RESULT)
    api.may("delete", ENCODINGS)
    scorer.may("delete", PAIRS)
    operator.may("abort_all", "projects/p/")
    operator.may("delete_many", f"{ENCODINGS} {CONTRIBUTION} {PAIRS} {MANIFEST} {SEED} {RESULT} {SUMMARY}")
    uploader.may("delete", SOURCE)


def expect(what: str, right: bool) -> None:
    if not right:
        wrong.append(what)
        print(f"WRONG: {what}")


def client(endpoint: str, key: dict, service: str = "s3") -> BaseClient:
    config = Config(
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"max_attempts": 1},
    )
    credentials = {"aws_access_key_id": key["accessKey"], "aws_secret_access_key": key["secretKey"]}
    credentials["aws_session_token"] = key.get("token")
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", config=config, **credentials)


if __name__ == "__main__":
    main()
