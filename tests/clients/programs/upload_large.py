"""Uploads one large blob block by block and reads it back; says how far it is.

Arguments: the settings file and the size in MiB. Outlives a server that dies and returns,
by the retries of the SDK alone.
"""

import hashlib
import json
import random
import sys

from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient

MIB = 1024 * 1024

if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as source:
        settings = json.load(source)
    content = random.Random(7).randbytes(int(sys.argv[2]) * MIB)
    account = settings["storage"]
    service = BlobServiceClient(
        account["url"],
        credential=AzureNamedKeyCredential(account["account"], account["key"]),
        max_single_put_size=MIB,
        max_block_size=MIB,
    )
    container = service.get_container_client("large-" + settings["suffix"])
    container.create_container()
    target = container.get_blob_client("large.bin")

    def progress(sent, total):
        print("phase: sent {}".format(sent), flush=True)

    target.upload_blob(content, length=len(content), progress_hook=progress)
    print("phase: uploaded", flush=True)
    stored = target.download_blob().readall()
    assert hashlib.sha256(stored).digest() == hashlib.sha256(content).digest()
    print("phase: done", flush=True)
