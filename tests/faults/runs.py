"""The command as a process that can be limited, stopped and killed, and what it left."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

COMMAND = [sys.executable, "-m", "resample_cli.main"]
IMAGES = Path(__file__).parents[2] / "images"

# what a plain `pip install -e` gives, and what a checkout without one needs
ROOTS = os.pathsep.join(str(IMAGES.parent / root) for root in (".", "cli"))
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (ROOTS, os.environ.get("PYTHONPATH"))))}

_TEMPORARY = re.compile(r"\.resample-[0-9a-f]{16}")


def run(*args: object, cwd: Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end."""
    given = {"capture_output": True, "timeout": 120, "env": ENVIRONMENT} | options
    return subprocess.run([*COMMAND, *map(str, args)], cwd=cwd, **given)


def begun(*args: object, cwd: Path, **options: Any) -> subprocess.Popen[bytes]:
    """Start the command, in a process group of its own."""
    return subprocess.Popen([*COMMAND, *map(str, args)], cwd=cwd, start_new_session=True, env=ENVIRONMENT, **options)


def pictures(folder: Path, count: int, size: tuple[int, int] = (200, 150), endings: str = "png jpg webp tif") -> None:
    """Make so many pictures of size (width, height), as files of these kinds in turn, in folders of 16."""
    kinds, shape = endings.split(), (size[1], size[0], 3)
    for number in range(count):
        path = folder / f"{number // 16}" / f"{number:05}.{kinds[number % len(kinds)]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, shape, np.uint8)
        Image.fromarray(pixels).save(path)


def contents(folder: Path) -> dict[str, bytes]:
    """Return what is in the files of a folder and its folders, but for temporary files, by their paths in it."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _TEMPORARY.fullmatch(path.name)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def temporaries(folder: Path) -> list[Path]:
    """Return the temporary files that are left in a folder and its folders."""
    return [path for path in folder.rglob(".*") if _TEMPORARY.fullmatch(path.name)]
