"""One call of the object store, with temporary credentials and a library that parties use.

store_client.py LIBRARY ACTION    LIBRARY: boto3 or minio; ACTION: put, get, delete or list

On stdin: {"endpoint": "HOST:PORT", "credentials": {"AccessKeyId": …, …}, "bucket": …, "key": …}, for `put` also
"file" and "metadata". Prints an object's content, or the keys found. Exits with 3 when the store denies it.
"""

import json
import sys
from typing import Any


class WithBoto3:
    def __init__(self, endpoint: str, credentials: dict) -> None:
        import boto3
        from botocore.config import Config

        self.s3 = boto3.client(
            "s3",
            endpoint_url=f"http://{endpoint}",
            region_name="us-east-1",
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            # SeaweedFS rejects the newer checksums
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )

    def put(self, bucket: str, key: str, file: str, metadata: dict) -> None:
        with open(file, "rb") as content:
            self.s3.put_object(Bucket=bucket, Key=key, Body=content, Metadata=metadata)

    def get(self, bucket: str, key: str) -> bytes:
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def delete(self, bucket: str, key: str) -> None:
        self.s3.delete_object(Bucket=bucket, Key=key)

    def list(self, bucket: str, key: str) -> bytes:
        return json.dumps([item["Key"] for item in self.s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]]).encode()


class WithMinio:
    def __init__(self, endpoint: str, credentials: dict) -> None:
        from minio import Minio

        keys = (credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])
        self.s3 = Minio(endpoint, *keys, region="us-east-1", secure=False)

    def put(self, bucket: str, key: str, file: str, metadata: dict) -> None:
        self.s3.fput_object(bucket, key, file, metadata=metadata)

    def get(self, bucket: str, key: str) -> bytes:
        return self.s3.get_object(bucket, key).read()

    def delete(self, bucket: str, key: str) -> None:
        self.s3.remove_object(bucket, key)

    def list(self, bucket: str, key: str) -> bytes:
        return json.dumps([item.object_name for item in self.s3.list_objects(bucket, key, recursive=True)]).encode()


def main() -> None:
    library, action = sys.argv[1:]
    call: dict[str, Any] = json.load(sys.stdin)
    client = {"boto3": WithBoto3, "minio": WithMinio}[library](call.pop("endpoint"), call.pop("credentials"))
    try:
        said = getattr(client, action)(**call)
    except Exception as error:  # each library has its own
        code = getattr(error, "code", None) or getattr(error, "response", {}).get("Error", {}).get("Code")
        if code == "AccessDenied":
            sys.exit(3)
        raise
    sys.stdout.buffer.write(said or b"")


if __name__ == "__main__":
    main()
