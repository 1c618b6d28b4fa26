"""The files that are read."""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

from resample.files.failures import Failure, reason
from resample.files.formats import EXTENSIONS, extension

STREAM = "-"
"""The name of stdin, as an input, and of stdout, as an output."""


def stream(file: IO[str] | None) -> IO[bytes]:
    """Return stdin or stdout as a file of bytes.

    Raises:
        OSError: it was closed when the process began.
    """
    if file is None:
        raise OSError(errno.EBADF, "it is closed")
    return file.buffer  # type: ignore[attr-defined, no-any-return]


class Nothing(Failure):
    """A name has no pictures."""


class Found(NamedTuple):
    """A file that was named, or found in a folder."""

    path: str
    relative: str
    """Its path within the folder in which it was found, or within that in which a pattern begins; else its name."""


def are_many(names: Sequence[str]) -> bool:
    """Return whether these are more than the name of one file."""
    return len(names) > 1 or _is_list(names[0]) or _is_pattern(names[0]) or os.path.isdir(names[0])


def found(
    names: Sequence[str], recursive: bool, output: str | None = None, *, in_place: bool = False
) -> Iterator[Found | Failure]:
    """Give the files of names, each once, in order; or, in their place, why they cannot be found.

    What an earlier run made is not found in a folder or by a pattern: no pictures in the folder `output` if that is
    within the one that is named, and if there is no output, none beside that from which it has its name, unless
    pictures are replaced.

    A name is a file, a folder (its pictures, by their extensions; those of its folders too if `recursive`), a pattern
    with * ? or [, or @ and the name of a file that holds such names, one a line or with NUL between them.
    """
    known: set[str] = set()
    for each in _named(names, recursive):
        place = located(each.path) if isinstance(each, Found) else str(each)
        if isinstance(each, Found) and each.path not in names and not in_place and _was_made(each, output):
            continue
        if place not in known:
            known.add(place)
            yield each


# what `names.label` says of a picture
_LABEL = re.compile(r"(.+)@(?:[0-9.]+x[0-9.]*x?|conv-transpose)")


def _was_made(each: Found, output: str | None) -> bool:
    folder, name = os.path.split(each.path)
    if output is not None:
        # a folder within the one that is named; that itself has both
        made, place = os.path.realpath(output), os.path.realpath(folder)
        named = os.path.realpath(each.path[: len(each.path) - len(each.relative)] or os.curdir)
        return made != named and _is_within(made, named) and _is_within(place, made)
    root, ending = os.path.splitext(name)
    match = _LABEL.fullmatch(root)
    return match is not None and os.path.exists(os.path.join(folder, match[1] + ending))


def _is_within(folder: str, other: str) -> bool:
    return os.path.commonpath([folder, other]) == other


def located(path: str) -> str:
    """Return the path with the links of its folder resolved, by which two names are known to be one file's."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def lists(names: Sequence[str]) -> list[str]:
    """Return the files that hold names."""
    return [name[1:] for name in names if _is_list(name)]


def _named(names: Sequence[str], recursive: bool) -> Iterator[Found | Failure]:
    for name in names:
        if _is_list(name):
            try:
                with open(name[1:], encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                    text = file.read()
            except OSError as error:
                yield Failure(f"{name[1:]}: cannot be read: {reason(error)}")
                continue
            lines = text.split("\0") if "\0" in text else [line.rstrip("\r") for line in text.split("\n")]
            # a list may not name lists, which could name each other
            for line in filter(None, lines):
                yield from _of_one(line, recursive)
        else:
            yield from _of_one(name, recursive)


def _of_one(name: str, recursive: bool) -> Iterator[Found | Failure]:
    if os.path.isdir(name):
        files = list(_in_folder(name, recursive))
        yield from files or [
            Nothing(f"{name}: has no pictures{'' if recursive else ', but perhaps in its folders: -r'}")
        ]
    elif _is_pattern(name):
        matching = [path for path in sorted(glob.glob(name, recursive=True)) if not os.path.isdir(path)]
        parts = name.split(os.sep)
        base = os.sep.join(parts[: next(k for k, part in enumerate(parts) if glob.has_magic(part))])
        for path in matching:
            within = os.path.relpath(path, base or os.curdir)
            # a pattern may leave its folder again
            yield Found(path, os.path.basename(path) if within.split(os.sep)[0] == os.pardir else within)
        if not matching:
            yield Nothing(f"{name}: matches nothing")
    else:
        yield Found(name, os.path.basename(name))


def _in_folder(folder: str, recursive: bool) -> Iterator[Found | Failure]:
    # not os.walk, which recurses, and so ends in deep trees
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        folders = []
        try:
            names = sorted(name for name in os.listdir(place) if not name.startswith("."))
        except OSError as error:
            yield Failure(f"{place}: cannot be listed: {reason(error)}")
            continue
        for path in (os.path.join(place, name) for name in names):
            if os.path.isdir(path):
                folders += [path] if recursive and not os.path.islink(path) else []
            elif extension(path) in EXTENSIONS:
                yield Found(path, os.path.relpath(path, folder))
        waiting += reversed(folders)


def _is_list(name: str) -> bool:
    return name.startswith("@") and len(name) > 1 and not os.path.lexists(name)


def _is_pattern(name: str) -> bool:
    return glob.has_magic(name) and not os.path.lexists(name)


def check_source(path: str) -> None:
    """Refuse what cannot be read as a file; a pipe would wait for a writer.

    Raises:
        Failure: it is not a plain file, or empty.
        OSError: there is no such file, or no access to it.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise Failure(f"{path}: is {'a folder' if stat.S_ISDIR(status.st_mode) else 'not a plain file'}")
    if status.st_size == 0:
        raise Failure(f"{path}: is empty")
