"""An object store for tests: moto's S3 server in a process of its own, which every process of a cluster reaches."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import requests

BUCKET = "scans"


@dataclass(frozen=True)
class Store:
    """A running server.

    Attributes:
        endpoint: Its address.
        log: What it writes down: a line a request.
    """

    endpoint: str
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to use it by plain URIs such as ``s3://scans/x``."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests",
        }  # fmt: skip

    @cached_property  # to make one takes longer than most requests
    def client(self) -> Any:
        """Another program's way to it."""
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1")

    def objects(self, below: str) -> dict[str, tuple[str, str]]:
        """The keys that begin so, with the tag of the content and the time of the last change."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=below)
        return {
            each["Key"]: (each["ETag"], str(each["LastModified"]))
            for page in pages
            for each in page.get("Contents", [])
        }

    def read(self, key: str) -> bytes:
        """One object."""
        return bytes(self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def requests(self) -> list[str]:
        """All requests so far: ``GET /scans/x``."""
        return re.findall(r"(?:GET|PUT|POST|HEAD|DELETE) /[^ ]*", self.log.read_text())

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Let nobody in: what the server was told of keys and rights counts from here on, and that is nothing."""
        requests.post(f"{self.endpoint}/moto-api/reset-auth", data="0", timeout=10)
        try:
            yield
        finally:
            requests.post(f"{self.endpoint}/moto-api/reset-auth", data="inf", timeout=10)


@contextmanager
def serve(log: Path) -> Iterator[Store]:
    """Run a server with one empty bucket, whose clients the processes are that are started meanwhile."""
    with log.open("wb") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"], stdout=file, stderr=file
        )
    try:
        store = Store(_address(server, log), log)
        with mock.patch.dict(os.environ, store.environment):
            store.client.create_bucket(Bucket=BUCKET)
            yield store
    finally:
        server.kill()
        server.wait()


def _address(server: "subprocess.Popen[bytes]", log: Path) -> str:
    last = time.monotonic() + 60
    while not (found := re.search(r"Running on (http://\S+)", log.read_text())):
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < last
        time.sleep(0.05)
    return found[1]
