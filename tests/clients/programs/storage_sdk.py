"""The storage SDKs behind one set of verbs.

`open_storage` picks the class that fits what is installed; the programs beside it are
written against these verbs, so that each generation of the SDK does the same work.
"""

import datetime


def open_storage(account, key, url):
    """A client of the account at `url`, made by whichever SDK this interpreter has."""
    try:
        from azure.storage.blob import BlobServiceClient
    except ImportError:
        return LegacyStorage(account, key, url)
    return CurrentStorage(account, key, url, BlobServiceClient)


def in_two_hours():
    """When a SAS of these programs expires."""
    return datetime.datetime.utcnow() + datetime.timedelta(hours=2)


class LegacyStorage:
    """azure-storage 0.x and azure-storage-blob up to 2.1."""

    def __init__(self, account, key, url):
        from azure.storage import blob

        self.sdk = blob
        place = {}
        if url != "https://{}.blob.core.windows.net".format(account):
            # This SDK takes another host only in two pieces.
            scheme, _, domain = url.partition("://")
            place = {"protocol": scheme, "custom_domain": domain}
        self.service = blob.BlockBlobService(account_name=account, account_key=key, **place)

    def create_container(self, name):
        """True if it is new, False if it was there."""
        return self.service.create_container(name, fail_on_exist=False)

    def upload(self, container, name, path):
        self.service.create_blob_from_path(container, name, path)

    def url_that_reads(self, container, name):
        """A URL with a SAS that can read this blob and nothing else."""
        token = self.service.generate_blob_shared_access_signature(
            container, name, permission=self.sdk.BlobPermissions.READ, expiry=in_two_hours()
        )
        return self.service.make_blob_url(container, name, sas_token=token)

    def token_that_writes(self, container):
        """A SAS that can write blobs of this container and nothing else."""
        return self.service.generate_container_shared_access_signature(
            container, permission=self.sdk.ContainerPermissions.WRITE, expiry=in_two_hours()
        )

    def names(self, container):
        return [blob.name for blob in self.service.list_blobs(container).items]

    def download(self, container, name, path):
        self.service.get_blob_to_path(container, name, path)

    def delete_container(self, name):
        self.service.delete_container(name)

    def has_container(self, name):
        return self.service.exists(name)


class CurrentStorage:
    """azure-storage-blob 12."""

    def __init__(self, account, key, url, client):
        from azure.core.credentials import AzureNamedKeyCredential
        from azure.storage import blob

        self.sdk = blob
        self.account = account
        self.key = key
        self.service = client(url, credential=AzureNamedKeyCredential(account, key))

    def create_container(self, name):
        """True if it is new, False if it was there."""
        from azure.core.exceptions import ResourceExistsError

        try:
            self.service.create_container(name)
        except ResourceExistsError as refusal:
            assert refusal.error_code == "ContainerAlreadyExists", refusal
            return False
        return True

    def upload(self, container, name, path):
        with open(path, "rb") as source:
            self.service.get_blob_client(container, name).upload_blob(source, overwrite=True)

    def url_that_reads(self, container, name):
        """A URL with a SAS that can read this blob and nothing else."""
        token = self.sdk.generate_blob_sas(
            self.account,
            container,
            name,
            account_key=self.key,
            permission=self.sdk.BlobSasPermissions(read=True),
            expiry=in_two_hours(),
        )
        return "{}?{}".format(self.service.get_blob_client(container, name).url, token)

    def token_that_writes(self, container):
        """A SAS that can write blobs of this container and nothing else."""
        return self.sdk.generate_container_sas(
            self.account,
            container,
            account_key=self.key,
            permission=self.sdk.ContainerSasPermissions(write=True),
            expiry=in_two_hours(),
        )

    def names(self, container):
        return [blob.name for blob in self.service.get_container_client(container).list_blobs()]

    def download(self, container, name, path):
        with open(path, "wb") as target:
            self.service.get_blob_client(container, name).download_blob().readinto(target)

    def delete_container(self, name):
        self.service.delete_container(name)

    def has_container(self, name):
        return self.service.get_container_client(name).exists()
