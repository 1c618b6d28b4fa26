"""Which output belongs to which input: none to two, and none is a file that the same run reads."""

from __future__ import annotations

import os
from collections.abc import Iterable

from resample.files.failures import Failure
from resample.files.inputs import located, resolver
from resample.files.output import numbered, temporary_in
from resample.files.places import is_remote, is_there


class Claims:
    """The names of outputs, each claimed by one input.

    `read` are files that the run reads, which no output may replace. Of names and files only hashes are kept, in a
    tenth of the memory: of a million, two have the same with a probability of 1 in 30 million, and one then fails.
    """

    def __init__(self, read: Iterable[str], *, rename: bool) -> None:
        self.read = {identity for identity in map(_identity, read) if identity}
        self.rename = rename
        self.real = resolver()
        self.taken: set[int] = set()
        self.folded: set[int] = set()

    def is_free(self, name: str) -> bool:
        """Return whether no input has claimed the name, or one that is the same file."""
        return self._is_free_place(located(name, self.real))

    def _is_free_place(self, place: str) -> bool:
        if hash(place) in self.taken:
            return False
        return hash(place.casefold()) not in self.folded or not _ignores_case(os.path.dirname(place))

    def claim(self, name: str, path: str) -> str:
        """Return the name, or with `rename` the first like it that is free, for the input of this path.

        Raises:
            Failure: it is the name of another output, or of a file that is read.
        """
        for candidate in numbered(name) if self.rename else (name,):
            place = located(candidate, self.real)
            if not self._is_free_place(place) or (self.rename and is_there(candidate)):
                continue
            if self.read and (identity := _identity(candidate)) in self.read and identity != _identity(path):
                raise Failure(f"{path}: the output {candidate} is another INPUT, which is never overwritten")
            self.taken.add(hash(place))
            if not is_remote(candidate):
                self.folded.add(hash(place.casefold()))
            return candidate
        raise Failure(f"{path}: the output {name} is also that of another INPUT, or differs from it by case alone")


def _identity(path: str) -> int | None:
    if is_remote(path):
        return hash(path)
    try:
        status = os.stat(path)
    except OSError:
        return None
    return hash((status.st_dev, status.st_ino))


def _ignores_case(folder: str) -> bool:
    """Return whether two names that differ by case alone are one file there, or in the nearest folder that exists.

    It may differ from folder to folder, and so a file is made to see it, and removed.
    """
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    probe = temporary_in(folder)
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except OSError:
        return False
    try:
        return os.path.lexists(os.path.join(folder, os.path.basename(probe).upper()))
    finally:
        os.unlink(probe)
