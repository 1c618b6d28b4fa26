"""Which output belongs to which input: none to two, and none is a file that the same run reads."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache

from resample.files.failures import Failure
from resample.files.inputs import located
from resample.files.output import numbered


class Claims:
    """The names of outputs, each claimed by one input.

    `read` are files that the run reads, which no output may replace.
    """

    def __init__(self, read: Iterable[str], *, rename: bool) -> None:
        self.read = {identity for identity in map(_identity, read) if identity}
        self.rename = rename
        self.taken: set[str] = set()

    def is_free(self, name: str) -> bool:
        """Return whether no input has claimed the name."""
        return _key(name) not in self.taken

    def claim(self, name: str, path: str) -> str:
        """Return the name, or with `rename` the first like it that is free, for the input of this path.

        Raises:
            Failure: it is the name of another output, or of a file that is read.
        """
        for candidate in numbered(name) if self.rename else (name,):
            key = _key(candidate)
            if key in self.taken or (self.rename and os.path.lexists(candidate)):
                continue
            if _identity(candidate) in self.read and not os.path.samefile(candidate, path):
                raise Failure(f"{path}: the output {candidate} is another INPUT, which is never overwritten")
            self.taken.add(key)
            return candidate
        raise Failure(f"{path}: the output {name} is also that of another INPUT, or differs from it by case alone")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _key(name: str) -> str:
    place = located(name)
    return place.casefold() if _ignores_case(os.path.dirname(place)) else place


@lru_cache(maxsize=4096)
def _ignores_case(folder: str) -> bool:
    """Return whether two names that differ by case alone are one file there, or in the nearest folder that exists."""
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    parent, name = os.path.split(folder)
    other = os.path.join(parent, name.swapcase())
    try:
        return name != name.swapcase() and os.path.samefile(folder, other)
    except OSError:
        return False
