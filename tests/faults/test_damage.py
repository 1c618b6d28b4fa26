"""Damaged files are refused, or made with what is there; `damage.py` tries many more."""

from __future__ import annotations

import re
import subprocess
import sys

import damage
import pytest
import runs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")


def test_damaged_files() -> None:
    # in a process of its own: with all that tests import, this one has more addresses than the limit allows
    command = [sys.executable, damage.__file__, "few"]
    done = subprocess.run(command, capture_output=True, text=True, env=runs.ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    refused = [int(count) for count in re.findall(r"(\d+) refused", done.stdout)]
    assert len(refused) == 2
    assert min(refused) >= 20
