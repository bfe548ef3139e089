"""Uploads a file by PyPI's tuspy, as an order on standard input says; tells as JSON how that ended."""

import json
import sys

from tusclient import client
from tusclient.exceptions import TusCommunicationError, TusUploadFailed


def main() -> None:
    order = json.load(sys.stdin)
    service = client.TusClient(order["endpoint"], headers={"Authorization": order["token"]})
    uploader = service.uploader(
        order["file"],
        chunk_size=order["chunk"],
        metadata=order["metadata"],
        url=order.get("url"),
        retries=order.get("retries", 60),
        retry_delay=1,
    )
    told = {}
    try:
        uploader.upload(stop_at=order.get("stop_at"))
    except (TusUploadFailed, TusCommunicationError) as error:
        content = error.response_content
        told = {"status": error.status_code, "problem": content.decode() if isinstance(content, bytes) else str(content)}
    print(json.dumps({"url": uploader.url, "offset": uploader.offset, **told}))


main()
