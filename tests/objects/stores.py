"""Places for logs: a directory, and the emulators of two stores. All of them can do the same."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import boto3
from azure.storage.blob import ContainerClient
from botocore.config import Config

import environment

BUCKET = "logs"
READY_SECONDS = 60
# What every emulator of Azure's is delivered with; public, and worth nothing elsewhere.
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


class Store(Protocol):
    """A place for logs."""

    name: str
    port: int

    def url(self, key: str) -> str: ...
    def variables(self, port: int | None = None) -> dict[str, str]: ...
    def put(self, key: str, content: bytes) -> None: ...
    def get(self, key: str) -> bytes: ...
    def delete(self, key: str) -> None: ...
    def tag(self, key: str) -> str: ...
    def keys(self, prefix: str) -> list[str]: ...
    def unfinished(self) -> list[str]: ...


class Disk:
    """A directory, by `file://`."""

    def __init__(self, root: Path) -> None:
        self.name = "disk"
        self.port = 0
        self.root = root

    def url(self, key: str) -> str:
        return f"file://{self.root}/{key}"

    def variables(self, port: int | None = None) -> dict[str, str]:
        return {}

    def put(self, key: str, content: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)

    def get(self, key: str) -> bytes:
        return (self.root / key).read_bytes()

    def delete(self, key: str) -> None:
        (self.root / key).unlink()

    def tag(self, key: str) -> str:
        return str((self.root / key).stat().st_mtime_ns)

    def keys(self, prefix: str) -> list[str]:
        found = (self.root / prefix).rglob("*")
        return sorted(str(path.relative_to(self.root)) for path in found if path.is_file())

    def unfinished(self) -> list[str]:
        return [str(path) for path in self.root.rglob(".binlogsec-*")]


class S3:
    """Amazon's protocol, by moto."""

    def __init__(self, port: int) -> None:
        self.name = "s3"
        self.port = port
        self.client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def url(self, key: str) -> str:
        return f"s3://{BUCKET}/{key}"

    def variables(self, port: int | None = None) -> dict[str, str]:
        return {
            "AWS_ENDPOINT": f"http://127.0.0.1:{port or self.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=key)

    def tag(self, key: str) -> str:
        return self.client.head_object(Bucket=BUCKET, Key=key)["ETag"]

    def keys(self, prefix: str) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def unfinished(self) -> list[str]:
        uploads = self.client.list_multipart_uploads(Bucket=BUCKET)
        return [upload["Key"] for upload in uploads.get("Uploads", [])]


# Looked for in everything that binlogsec prints.
SECRET = "not-to-be-printed-0123456789"


class Azure:
    """Azure's own emulator."""

    def __init__(self, port: int) -> None:
        self.name = "azure"
        self.port = port
        account = f"AccountName={AZURITE_ACCOUNT};AccountKey={AZURITE_KEY}"
        endpoint = f"BlobEndpoint=http://127.0.0.1:{port}/{AZURITE_ACCOUNT}"
        self.container = ContainerClient.from_connection_string(
            f"DefaultEndpointsProtocol=http;{account};{endpoint};", BUCKET
        )

    def url(self, key: str) -> str:
        return f"az://{BUCKET}/{key}"

    def variables(self, port: int | None = None) -> dict[str, str]:
        return {
            "AZURE_STORAGE_USE_EMULATOR": "true",
            "AZURITE_BLOB_STORAGE_URL": f"http://127.0.0.1:{port or self.port}",
        }

    def put(self, key: str, content: bytes) -> None:
        self.container.upload_blob(key, content, overwrite=True)

    def get(self, key: str) -> bytes:
        return self.container.download_blob(key).readall()

    def delete(self, key: str) -> None:
        self.container.delete_blob(key)

    def tag(self, key: str) -> str:
        return self.container.get_blob_client(key).get_blob_properties().etag

    def keys(self, prefix: str) -> list[str]:
        return [blob.name for blob in self.container.list_blobs(name_starts_with=prefix)]

    def unfinished(self) -> list[str]:
        # Blocks that were never committed show as blobs of no length; the store removes them.
        blobs = self.container.list_blobs(include=["uncommittedblobs"])
        committed = set(self.keys(""))
        return [blob.name for blob in blobs if blob.name not in committed]


@contextmanager
def s3(folder: Path) -> Iterator[S3]:
    port = free_port()
    command = [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with server(command, port, folder / "moto.log"):
        store = S3(port)
        store.client.create_bucket(Bucket=BUCKET)
        yield store


@contextmanager
def azure(folder: Path) -> Iterator[Azure]:
    port = free_port()
    command = [
        str(environment.azurite()),
        *("--blobHost", "127.0.0.1", "--blobPort", str(port)),
        *("--location", str(folder / "azurite"), "--silent", "--skipApiVersionCheck"),
    ]
    with server(command, port, folder / "azurite.log"):
        store = Azure(port)
        store.container.create_container()
        yield store


@contextmanager
def server(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=os.environ.copy()
        )
    try:
        wait_for(port, process, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{process.args}: {log.read_text(errors='replace')[-2000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
