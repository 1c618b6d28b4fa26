"""Which output belongs to which input: none to two, and none is a file that the same run reads."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from functools import lru_cache

from resample_cli.inputs import located
from resample_cli.messages import Failure
from resample_cli.output import numbered


class Claims:
    """The names of outputs, claimed by their inputs in the order of these, whichever thread is first.

    `read` are files that the run reads, which no output may replace.
    """

    def __init__(self, read: Iterable[str], *, rename: bool) -> None:
        self.read = {identity for identity in map(_identity, read) if identity}
        self.rename = rename
        self.owners: dict[str, int] = {}  # by located name: the number of the input
        self.given: dict[tuple[int, str], str] = {}
        self.next = 1  # the first input that has not claimed
        self.settled: set[int] = set()
        self.turn = threading.Condition()

    def claim(self, name: str, number: int, path: str) -> str:
        """Return the name, or with `rename` the first like it that is free, for input `number`, whose path this is.

        Raises:
            Failure: it is the name of another output, or of a file that is read.
        """
        with self.turn:
            self.turn.wait_for(lambda: self.next >= number)
            try:
                if (number, name) not in self.given:
                    self.given[number, name] = self._chosen(name, number, path)
                return self.given[number, name]
            finally:
                self.settle(number)

    def settle(self, number: int) -> None:
        """Let the next input claim: this one has, or never will."""
        with self.turn:
            if number >= self.next:
                self.settled.add(number)
            while self.next in self.settled:
                self.settled.remove(self.next)
                self.next += 1
            self.turn.notify_all()

    def _chosen(self, name: str, number: int, path: str) -> str:
        for candidate in numbered(name) if self.rename else (name,):
            owner = self.owners.setdefault(_key(candidate), number)
            if owner == number and not (self.rename and os.path.lexists(candidate)):
                if _identity(candidate) in self.read and not os.path.samefile(candidate, path):
                    raise Failure(f"{path}: the output {candidate} is another INPUT, which is never overwritten")
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
