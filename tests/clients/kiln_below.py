"""A Kiln whose bytes lie in another one."""

import raw
from kiln_process import Kiln, free_port


def on_top_of(below, folder):
    """A Kiln whose bytes are in a container of another one."""
    owner = raw.blob_of(below)
    assert owner.request("PUT", "/bytes", query={"restype": "container"}).status == 201
    variables = {
        "AZURE_STORAGE_ACCOUNT_NAME": owner.account,
        "AZURE_STORAGE_ACCOUNT_KEY": owner.key,
        "AZURE_STORAGE_ENDPOINT": owner.url,
        "AZURE_ALLOW_HTTP": "true",
    }
    place = ["--extents", "az://bytes/kiln/extents"]
    return Kiln(folder, free_port(), free_port(), arguments=place, environment=variables)
