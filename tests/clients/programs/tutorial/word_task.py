"""The task of the program beside it: the most frequent words of a text, put into a container.

No endpoint can be given: the storage account is where Azure has it.
"""

import argparse
import collections
import os

import azure.storage.blob as blob

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("filepath", "numwords", "storageaccount", "storagecontainer", "sastoken"):
        parser.add_argument("--" + name, required=True)
    arguments = parser.parse_args()

    with open(os.path.realpath(arguments.filepath)) as source:
        words = [word.strip(".,:;!?()").lower() for word in source.read().split()]
    counts = collections.Counter(word for word in words if word)
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))

    name = "{}_OUTPUT{}".format(*os.path.splitext(arguments.filepath))
    with open(name, "w") as output:
        for word, count in ranked[: int(arguments.numwords)]:
            output.write("{} {}\n".format(word, count))
        output.write("node {}\n".format(os.environ["AZ_BATCH_NODE_ID"]))

    storage = blob.BlockBlobService(
        account_name=arguments.storageaccount, sas_token=arguments.sastoken
    )
    storage.create_blob_from_path(
        arguments.storagecontainer, name, os.path.realpath(name)
    )
