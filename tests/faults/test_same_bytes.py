"""What is written does not depend on how many are at work, in threads or processes."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path

import pytest
import runs

import resample
from resample.transforms import Resize


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("same")
    runs.pictures(place / "in", 16, (200, 150), "png jpg webp tif gif j2k bmp avif")
    return place


def test_threads_and_processes(place: Path) -> None:
    transform = Resize((100, 130), mode="bicubic")
    for name, jobs in (("one", 1), ("two", 2), ("eight", 8)):
        records = resample.resize_folder(place / "in", place / name, transform, jobs=jobs)
        assert {record.status for record in records} == {"done"}
    methods = set(get_all_start_methods()) - {"fork"}
    for method in methods:
        with ProcessPoolExecutor(2, get_context(method)) as executor:
            resample.resize_folder(place / "in", place / method, transform, executor=executor)
    args = ("in", "-r", "-o", "command/", "--size", "130x100", "--mode", "bicubic", "-j", 3, "-q")
    assert runs.run(*args, cwd=place).returncode == 0
    one = runs.contents(place / "one")
    assert len(one) == 16
    for name in ("two", "eight", "command", *methods):
        assert runs.contents(place / name) == one
