"""Damaged files are refused, or made with what is there; `damage.py` tries many more."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import damage
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")


@pytest.mark.parametrize("cases", [damage.cut_off(7), damage.flipped(5)], ids=["cut off", "bits flipped"])
def test_damaged_files(tmp_path: Path, cases: Iterator[damage.Case]) -> None:
    counts, wrong = damage.tried(cases, tmp_path)
    assert not wrong
    assert counts["refused"] >= 20
