"""Run what the pages show, and keep the pictures that they embed: python docs/make_pictures.py [PAGE.md ...]

A page is a program: its blocks of shell and of Python run one after another, in a folder with the pictures of images/.
What it embeds from pictures/ must have been made there under that name. Blocks of Python that need another library
which is not installed are left out.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
PAGES = [*sorted((DOCS / "tutorial").glob("*.md")), DOCS / "coming-from.md"]

# packages of others that pages show together with this one
OTHERS = ("albumentations", "cv2", "datasets", "sklearn", "torchvision")

_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND = f'resample() {{ "{sys.executable}" -m resample_cli.main -q "$@"; }}\n'


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the language and text of the blocks that run."""
    return _BLOCK.findall(page.read_text(encoding="utf-8"))


def embedded(page: Path) -> list[str]:
    """Return the names of the pictures that the page shows."""
    return re.findall(r"\]\((?:\.\./)?pictures/([^)]+)\)", page.read_text(encoding="utf-8"))


def walk(page: Path, folder: Path) -> None:
    """Run a page in a folder, which must be empty.

    Raises:
        subprocess.CalledProcessError: a command failed.
    """
    for path in (DOCS.parent / "images").glob("*.*"):
        if path.suffix in (".jpg", ".png"):
            shutil.copy(path, folder)
    names: dict[str, Any] = {"__name__": "__main__"}
    with _within(folder):
        for number, (language, text) in enumerate(blocks(page), 1):
            if language == "sh":
                subprocess.run(["sh", "-euc", _COMMAND + text], check=True)
                continue
            try:
                exec(compile(text, f"{page.name}, block {number}", "exec"), names)
            except ModuleNotFoundError as error:
                if error.name not in OTHERS:
                    raise


@contextlib.contextmanager
def _within(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def main(pages: list[Path]) -> None:
    for page in pages:
        with tempfile.TemporaryDirectory() as folder:
            walk(page, Path(folder))
            for name in embedded(page):
                shutil.copy(Path(folder) / name, DOCS / "pictures" / name)


if __name__ == "__main__":
    main([Path(name).resolve() for name in sys.argv[1:]] or PAGES)
