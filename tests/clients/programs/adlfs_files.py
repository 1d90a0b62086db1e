"""What adlfs does with a file system of blobs: files, folders, ranges, copies, appending.

    python adlfs_files.py SETTINGS.json
"""

import json
import os
import sys

import fsspec


def main(settings_path):
    with open(settings_path) as text_file:
        settings = json.load(text_file)
    storage = settings["storage"]
    connection = "DefaultEndpointsProtocol=http;AccountName={};AccountKey={};BlobEndpoint={};".format(
        storage["account"], storage["key"], storage["url"]
    )
    files = fsspec.filesystem("abfs", connection_string=connection, skip_instance_cache=True)
    top = "adlfs-" + settings["suffix"]
    files.mkdir(top)
    assert files.exists(top) and top in [it.rstrip("/") for it in files.ls("")]
    content = os.urandom(5 * 1024 * 1024 + 3)
    with files.open(top + "/folder/large.bin", "wb", block_size=1024 * 1024) as target:
        target.write(content)
    with files.open(top + "/folder/large.bin", "rb", block_size=64 * 1024) as source:
        source.seek(3 * 1024 * 1024)
        assert source.read(1000) == content[3 * 1024 * 1024 : 3 * 1024 * 1024 + 1000]
    assert files.cat(top + "/folder/large.bin") == content
    assert files.cat_file(top + "/folder/large.bin", start=10, end=20) == content[10:20]
    files.pipe(top + "/folder/small.txt", b"small")
    files.pipe(top + "/folder/empty.txt", b"")
    files.pipe(top + "/folder/deep/er.txt", b"deeper")
    names = lambda path: sorted(it.rstrip("/") for it in files.ls(path, refresh=True))
    inside = [top + "/folder/" + it for it in ("deep", "empty.txt", "large.bin", "small.txt")]
    assert names(top + "/folder") == inside, names(top + "/folder")
    assert files.info(top + "/folder/small.txt")["size"] == 5
    assert files.isdir(top + "/folder") and files.isfile(top + "/folder/small.txt")
    assert len(files.find(top)) == 4, files.find(top)
    assert files.glob(top + "/folder/*.txt") == [inside[1], inside[3]]
    files.copy(top + "/folder/small.txt", top + "/copy.txt")
    assert files.cat(top + "/copy.txt") == b"small"
    files.mv(top + "/copy.txt", top + "/moved.txt")
    assert files.exists(top + "/moved.txt") and not files.exists(top + "/copy.txt")
    try:
        with files.open(top + "/moved.txt", "xb") as target:
            target.write(b"again")
        raise AssertionError("a file that was there was created")
    except (FileExistsError, OSError):
        pass
    assert files.cat(top + "/moved.txt") == b"small"
    for word in (b"one ", b"two"):
        with files.open(top + "/log.txt", "ab") as target:
            target.write(word)
    assert files.cat(top + "/log.txt") == b"one two"
    here = os.path.join(settings["folder"], "here")
    files.get(top + "/folder", here, recursive=True)
    with open(os.path.join(here, "deep/er.txt"), "rb") as source:
        assert source.read() == b"deeper"
    files.put(here, top + "/back", recursive=True)
    assert files.cat(top + "/back/deep/er.txt") == b"deeper"
    url = files.sign(top + "/moved.txt")
    with fsspec.open(url.replace("https://{}.blob.core.windows.net".format(storage["account"]), storage["url"])) as source:
        assert source.read() == b"small"
    files.rm(top + "/back", recursive=True)
    assert not files.exists(top + "/back")
    files.rm(top, recursive=True)
    print("phase: done")


if __name__ == "__main__":
    main(*sys.argv[1:])
