"""What earlier runs have done, in a file with a line of JSON for each picture."""

from __future__ import annotations

import io
import json
import os
import pickle
import threading
from typing import Any

from resample.files.failures import Failure, failing_as
from resample.files.output import write

_TITLE = "resample ledger 1"


class Ledger:
    """A file that says which output was made of which input, with which options.

    Files are known by path, size and time of the last change. Lines are only added, each at once; a last one that is
    cut off, by a run that was killed or on a full disk, is passed over.
    """

    def __init__(self, path: str, *options: Any) -> None:
        """Read the file, if there is one, and open it for more.

        Raises:
            Failure: it cannot be read or written, or is another kind of file.
        """
        self.path = path
        self.options = _digest(options)
        self.entries: dict[tuple[str, str], dict[str, Any]] = {}
        self.adding = threading.Lock()
        with failing_as(f"{path}: cannot be used as a ledger"):
            self.file = open(path, "a+b", buffering=0)  # noqa: SIM115
            try:
                self.file.seek(0)
                self._read(self.file.read().split(b"\n"))
            except BaseException:
                self.file.close()
                raise

    def _read(self, lines: list[bytes]) -> None:
        if lines == [b""]:
            self._add(_TITLE)
        elif lines[0] != json.dumps(_TITLE).encode():
            raise Failure(f"{self.path}: is no ledger, or of another version")
        elif lines[-1]:
            self.file.write(b"\n")
        for line in lines[1:]:
            try:
                entry = json.loads(line)
                self.entries[entry["input"], entry["output"]] = entry
            except (ValueError, TypeError, KeyError):
                continue

    def begin(self, path: str, output: str) -> None:
        """Note that an output is about to be made: in the file, too, where it replaces the input."""
        entry = self._note(path, output, was=_state(path))
        if _are_one(path, output):
            self._add(entry)

    def end(self, path: str, output: str) -> None:
        """Note that it was made."""
        self._add(self._note(path, output, was=self._entry(path, output).get("was"), made=_state(output)))

    def fail(self, path: str, output: str) -> None:
        """Note that it was not made: what then changes the input is not this run."""
        if _are_one(path, output) and self._entry(path, output).get("was") == _state(path):
            self._add(self._note(path, output, options=None))

    def has(self, path: str, output: str) -> bool:
        """Return whether the output was made of this input as it is now, with these options, and is still there."""
        entry, now = self._entry(path, output), _state(path)
        if entry.get("options") != self.options or now is None:
            return False
        if not _are_one(path, output):
            return bool(entry["was"] == now) and self.made(path, output)
        # in place; a run may have been killed between the change of the file and the line that tells of it
        return bool(now == entry["made"] if "made" in entry else now != entry["was"])

    def made(self, path: str, output: str) -> bool:
        """Return whether what has the output's name is what an earlier run made of this input."""
        made = self._entry(path, output).get("made")
        return made is not None and bool(made == _state(output))

    def close(self) -> None:
        self.file.close()

    def _entry(self, path: str, output: str) -> dict[str, Any]:
        return self.entries.get((os.path.abspath(path), os.path.abspath(output)), {})

    def _note(self, path: str, output: str, **more: Any) -> dict[str, Any]:
        entry = {"input": os.path.abspath(path), "output": os.path.abspath(output), "options": self.options} | more
        self.entries[entry["input"], entry["output"]] = entry
        return entry

    def _add(self, entry: Any) -> None:
        with self.adding, failing_as(f"{self.path}: cannot be written"):
            write(self.file, json.dumps(entry).encode() + b"\n")


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
    return os.path.realpath(path) == os.path.realpath(output)


def _state(path: str) -> list[int] | None:
    """Return the size in bytes and the time of the last change in nanoseconds, as JSON has them."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
