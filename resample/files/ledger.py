"""What earlier runs have done, in a file with a line of JSON for each picture."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import threading
from typing import Any

from resample.files.failures import Failure, failing_as
from resample.files.output import write
from resample.files.places import is_remote, known_as

_TITLE = "resample ledger 1"


class Ledger:
    """A file that says which output was made of which input, with which options.

    Files are known by path, size and time of the last change; what is in a store by its address and what its listing
    tells. Lines are only added, each at once; a last one that is cut off, by a run that was killed or on a full disk,
    is passed over. Of a line only its place in the file is kept in memory.
    """

    def __init__(self, path: str, *options: Any) -> None:
        """Read the file, if there is one, and open it for more.

        Raises:
            Failure: it cannot be read or written, or is another kind of file.
        """
        self.path = path
        self.options = _digest(options)
        self.places: dict[int, int] = {}
        self.begun: dict[tuple[str, str], dict[str, Any]] = {}
        self.adding = threading.Lock()
        with failing_as(f"{path}: cannot be used as a ledger"), contextlib.ExitStack() as opened:
            self.file = opened.enter_context(open(path, "a+b", buffering=0))
            self.earlier = opened.enter_context(open(path, "rb"))
            self._read()
            opened.pop_all()  # open until `close`

    def _read(self) -> None:
        title = self.earlier.readline()
        if not title:
            self._add(_TITLE)
        elif title.removesuffix(b"\n") != json.dumps(_TITLE).encode():
            raise Failure(f"{self.path}: is no ledger, or of another version")
        line, place = title, len(title)
        for line in self.earlier:
            if entry := _parsed(line):
                self.places[hash((entry["input"], entry["output"]))] = place
            place += len(line)
        if line and not line.endswith(b"\n"):
            self.file.write(b"\n")

    def begin(self, path: str, output: str, was: Any = None) -> None:
        """Note that an output is about to be made: in the file, too, where it replaces the input.

        `was` is the state of an input in a store, as `inputs.Found` has it.
        """
        entry = self._note(path, output, was=was or _state(path))
        if _are_one(path, output):
            self._add(entry)

    def end(self, path: str, output: str) -> None:
        """Note that it was made."""
        self._add(self._note(path, output, was=self._entry(path, output).get("was"), made=_state(output)))
        del self.begun[path, output]

    def fail(self, path: str, output: str) -> None:
        """Note that it was not made: what then changes the input is not this run."""
        if _are_one(path, output) and self._entry(path, output).get("was") == _state(path):
            self._add(self._note(path, output, options=None))
        self.begun.pop((path, output), None)

    def has(self, path: str, output: str, was: Any = None) -> bool:
        """Return whether the output was made of this input as it is now, with these options, and is still there.

        Whether one in a store is still there is not known here.
        """
        entry, now = self._entry(path, output), was or _state(path)
        if entry.get("options") != self.options or (now is None and not is_remote(path)):
            return False
        if is_remote(output):
            return "made" in entry and bool(entry["was"] == now)
        if not _are_one(path, output):
            return bool(entry["was"] == now) and self.made(path, output)
        # in place; a run may have been killed between the change of the file and the line that tells of it
        return bool(now == entry["made"] if "made" in entry else now != entry["was"])

    def made(self, path: str, output: str) -> bool:
        """Return whether what has the output's name is what an earlier run made of this input."""
        entry = self._entry(path, output)
        if is_remote(output):
            return "made" in entry
        made = entry.get("made")
        return made is not None and bool(made == _state(output))

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        self.earlier.close()

    def _entry(self, path: str, output: str) -> dict[str, Any]:
        if (path, output) in self.begun:
            return self.begun[path, output]
        if not self.places:
            return {}
        key = known_as(path), known_as(output)
        if (place := self.places.get(hash(key))) is None:
            return {}
        self.earlier.seek(place)
        entry = _parsed(self.earlier.readline())
        return entry if entry and (entry["input"], entry["output"]) == key else {}

    def _note(self, path: str, output: str, **more: Any) -> dict[str, Any]:
        entry = {"input": known_as(path), "output": known_as(output), "options": self.options} | more
        self.begun[path, output] = entry
        return entry

    def _add(self, entry: Any) -> None:
        with self.adding, failing_as(f"{self.path}: cannot be written"):
            write(self.file, json.dumps(entry).encode() + b"\n")


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return the entry of a line, or None for one that was cut off."""
    try:
        entry: dict[str, Any] = json.loads(line)
        return entry if isinstance(entry["input"], str) and isinstance(entry["output"], str) else None
    except (ValueError, TypeError, KeyError):
        return None


def _digest(options: Any) -> str:
    """Return a text that is the same for equal options."""
    import hashlib  # of OpenSSL, which takes as long to load as all of ours

    file = io.BytesIO()
    pickler = pickle.Pickler(file, protocol=4)
    # else equal strings would be pickled differently when they are one object and when they are two
    pickler.fast = True
    pickler.dump(options)
    return hashlib.sha256(file.getbuffer()).hexdigest()[:16]


def _are_one(path: str, output: str) -> bool:
    return not is_remote(path) and not is_remote(output) and os.path.realpath(path) == os.path.realpath(output)


def _state(path: str) -> list[int] | None:
    """Return the size in bytes and the time of the last change in nanoseconds, as JSON has them."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
