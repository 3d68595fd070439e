"""An S3 server on loopback (moto), for tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

BUCKET = "bucket"
SECRET = "s3-secret-of-a-test"


@contextmanager
def server() -> Iterator[dict[str, str]]:
    """The environment that reaches a server with one empty bucket; skips the test where moto is not installed."""
    reason = "the extra `dev` is not installed"
    moto = pytest.importorskip("moto.server", reason=reason)
    boto3, _ = pytest.importorskip("boto3", reason=reason), pytest.importorskip("s3fs", reason=reason)
    # In this process too: a name of a real bucket, with real credentials, must never be asked for.
    ours = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    ours["AWS_ENDPOINT_URL"] = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in ours.items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield ours
    running.stop()
