"""Real parts, each a process of its own: a server of S3, a scheduler of Dask and its workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sites import SERVER, Site, free_port, is_open, until


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 200 pictures, JPEG and PNG, in folders of 40."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(200):
        path = folder / f"{number // 40}" / f"{number:03}.{'jpg' if number % 2 else 'png'}"
        path.parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)
        Image.fromarray(pixels).resize((160, 120)).save(path)
    return folder


@pytest.fixture
def site(tmp_path: Path, pictures: Path) -> Iterator[Site]:
    pytest.importorskip("distributed")
    (tmp_path / "in").symlink_to(pictures)
    site = Site(tmp_path)
    yield site
    site.end()


@pytest.fixture
def store(site: Site) -> Any:
    """A client of boto3 for a store with the empty buckets `given` and `made`; the command reaches the same."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    import boto3

    port = free_port()
    site.start(SERVER, port, site.faults)
    until(lambda: is_open(port))
    keys = {"aws_access_key_id": "somebody", "aws_secret_access_key": "very-secret"}
    site.environment |= {key.upper(): text for key, text in keys.items()}
    site.environment |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_DEFAULT_REGION": "us-east-1"}
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", **keys)
    for bucket in ("given", "made"):
        client.create_bucket(Bucket=bucket)
    return client
