"""The program that a task runs on a node: the most frequent words of one text.

It writes `NAME_OUTPUT.txt` beside itself and puts it into a storage container, with
whichever generation of the storage SDK its interpreter has. With `--endpoint` the storage
account is there; without, it is where Azure has it.
"""

import argparse
import collections
import os
import re


def top_words(text, n_words):
    """The most frequent words, the most frequent first; equals in alphabetical order."""
    counts = collections.Counter(re.findall(r"[a-z]+", text.lower()))
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ranked[:n_words]


def upload(arguments, name, path):
    """Puts the file into the container, with a SAS that can only write."""
    try:
        from azure.storage.blob import BlobServiceClient
    except ImportError:
        upload_with_legacy_sdk(arguments, name, path)
        return
    account = arguments.endpoint or "https://{}.blob.core.windows.net".format(
        arguments.storageaccount
    )
    service = BlobServiceClient(account_url=account, credential=arguments.sastoken)
    with open(path, "rb") as source:
        service.get_blob_client(arguments.storagecontainer, name).upload_blob(source)


def upload_with_legacy_sdk(arguments, name, path):
    """The same with the storage SDK as it was before version 12."""
    from azure.storage.blob import BlockBlobService

    place = {}
    if arguments.endpoint:
        scheme, _, domain = arguments.endpoint.partition("://")
        place = {"protocol": scheme, "custom_domain": domain}
    service = BlockBlobService(
        account_name=arguments.storageaccount, sas_token=arguments.sastoken, **place
    )
    service.create_blob_from_path(arguments.storagecontainer, name, path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--filepath", required=True)
    parser.add_argument("--numwords", type=int, required=True)
    parser.add_argument("--storageaccount", required=True)
    parser.add_argument("--storagecontainer", required=True)
    parser.add_argument("--sastoken", required=True)
    parser.add_argument("--endpoint", default="")
    arguments = parser.parse_args()

    with open(arguments.filepath, encoding="utf-8") as source:
        words = top_words(source.read(), arguments.numwords)
    stem = os.path.splitext(os.path.basename(arguments.filepath))[0]
    name = stem + "_OUTPUT.txt"
    with open(name, "w", encoding="utf-8") as output:
        for word, count in words:
            output.write("{} {}\n".format(word, count))
        for variable in ("POOL", "NODE", "JOB", "TASK"):
            value = os.environ["AZ_BATCH_{}_ID".format(variable)]
            output.write("{}: {}\n".format(variable.lower(), value))
    upload(arguments, name, os.path.abspath(name))
    print("uploaded {}".format(name))


if __name__ == "__main__":
    main()
