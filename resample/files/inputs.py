"""The files that are read."""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import IO, Any, NamedTuple

from resample.files import places
from resample.files.failures import Failure, reason
from resample.files.formats import EXTENSIONS, extension
from resample.files.places import is_remote

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
    state: list[Any] | None = None
    """Of what is in a store, what changes with its content, as far as a listing tells."""


def are_many(names: Sequence[str]) -> bool:
    """Return whether these are more than the name of one file."""
    return len(names) > 1 or _is_list(names[0]) or _is_pattern(names[0]) or _is_folder(names[0])


class Inputs:
    """The files of names, as `found` gives them, as often as they are asked for.

    They are listed anew each time, so that a million take no memory, unless what is written meanwhile could be among
    them: then they are listed once.
    """

    def __init__(
        self, names: Sequence[str], recursive: bool, output: str | None = None, *, in_place: bool = False
    ) -> None:
        self.asked = names, recursive, output, in_place
        self.kept = None if output and _are_apart(names, output) else list(self._listed())

    def __iter__(self) -> Iterator[Found | Failure]:
        return self._listed() if self.kept is None else iter(self.kept)

    def _listed(self) -> Iterator[Found | Failure]:
        names, recursive, output, in_place = self.asked
        return found(names, recursive, output, in_place=in_place)


def _are_apart(names: Sequence[str], output: str) -> bool:
    """Return whether nothing that has a name of `output`, a folder or a template, is found by names."""
    made = os.path.dirname(output.partition("{")[0]) if "{" in output else output
    if made == "" or any(map(_is_list, names)):
        return False
    bases = [os.path.dirname(_before_pattern(name)) or os.curdir if _is_pattern(name) else name for name in names]
    return not any(
        _is_within(*pair) for base in map(_real, bases) for pair in ((_real(made), base), (base, _real(made)))
    )


def _real(folder: str) -> str:
    return folder if is_remote(folder) else os.path.realpath(folder)


def _before_pattern(name: str) -> str:
    return re.split(r"[*?[{]", name, maxsplit=1)[0]


def found(
    names: Sequence[str], recursive: bool, output: str | None = None, *, in_place: bool = False
) -> Iterator[Found | Failure]:
    """Give the files of names, each once, in order; or, in their place, why they cannot be found.

    What an earlier run made is not found in a folder or by a pattern: no pictures in the folder `output` if that is
    within the one that is named, and if there is no output, none beside that from which it has its name, unless
    pictures are replaced.

    A name is a file, a folder (its pictures, by their extensions; those of its folders too if `recursive`), a pattern
    with * ? [ or {000..099}, or @ and the name of a file that holds such names, one a line or with NUL between them.
    """
    known: set[int] = set()
    real = resolver()
    # a folder has each once
    several = len(names) > 1 or not _is_folder(names[0])
    for each in _named(names, recursive):
        if isinstance(each, Found) and each.path not in names and not in_place and _was_made(each, output, real):
            continue
        if several:
            # not the names, which take ten times the memory
            place = hash(located(each.path, real) if isinstance(each, Found) else str(each))
            if place in known:
                continue
            known.add(place)
        yield each


# what `names.label` says of a picture
_LABEL = re.compile(r"(.+)@(?:[0-9.]+x[0-9.]*x?|conv-transpose)", re.DOTALL)


def _was_made(each: Found, output: str | None, real: Callable[[str], str]) -> bool:
    if is_remote(each.path):
        if output is not None:
            base = each.path[: len(each.path) - len(each.relative)].rstrip("/")
            return output.rstrip("/") != base and _is_within(output, base) and _is_within(each.path, output)
        return _is_labelled(each.path)
    if output is not None:
        # a folder within the one that is named; that itself has both
        made, place = real(output), real(os.path.dirname(each.path))
        named = real(each.path[: len(each.path) - len(each.relative)] or os.curdir)
        return made != named and _is_within(made, named) and _is_within(place, made)
    return _is_labelled(each.path)


def _is_labelled(path: str) -> bool:
    """Return whether a name is made from that of a file beside it."""
    folder, name = os.path.split(path)
    root, ending = os.path.splitext(name)
    match = _LABEL.fullmatch(root)
    return match is not None and places.is_there(os.path.join(folder, match[1] + ending))


def _is_within(folder: str, other: str) -> bool:
    if is_remote(folder) or is_remote(other):
        return f"{folder.rstrip('/')}/".startswith(f"{other.rstrip('/')}/")
    return os.path.commonpath([folder, other]) == other


def resolver() -> Callable[[str], str]:
    """Return what resolves the links of folders, and keeps what it found: for one run, as links may change.

    To look at each part of a folder's path for each of its files would take some 20 system calls a file.
    """
    return lru_cache(maxsize=1024)(os.path.realpath)


def located(path: str, real: Callable[[str], str]) -> str:
    """Return the path with the links of its folder resolved, by which two names are known to be one file's."""
    if is_remote(path):
        return path
    return os.path.join(real(os.path.dirname(path)), os.path.basename(path))


def lists(names: Sequence[str]) -> list[str]:
    """Return the files that hold names."""
    return [name[1:] for name in names if _is_list(name)]


def _named(names: Sequence[str], recursive: bool) -> Iterator[Found | Failure]:
    for name in names:
        if _is_list(name):
            try:
                text = _content(name[1:]).decode("utf-8-sig", "surrogateescape")
            except Exception as error:
                yield Failure(f"{name[1:]}: cannot be read: {reason(error)}")
                continue
            lines = text.split("\0") if "\0" in text else [line.rstrip("\r") for line in text.split("\n")]
            # a list may not name lists, which could name each other
            for line in filter(None, map(places.plain, lines)):
                yield from _of_one(line, recursive)
        else:
            yield from _of_one(name, recursive)


def _content(path: str) -> bytes:
    if is_remote(path):
        return places.read(path)
    with open(path, "rb") as file:
        return file.read()


def _of_one(name: str, recursive: bool) -> Iterator[Found | Failure]:
    if _has_range(name):
        each = None
        for each in _in_range(name):
            yield from _of_one(each, recursive)
        if each is None:
            yield Nothing(f"{name}: matches nothing")
    elif is_remote(name):
        try:
            yield from _in_store(name, recursive)
        except FileNotFoundError:
            yield Nothing(f"{name}: has no pictures, or is not there")
        except Exception as error:
            yield error if isinstance(error, Failure) else Failure(f"{name}: cannot be listed: {reason(error)}")
    elif os.path.isdir(name):
        picture = None
        for picture in _in_folder(name, recursive):
            yield picture
        if picture is None:
            yield _no_pictures(name, recursive)
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


_RANGE = re.compile(r"\{([0-9]{1,18})\.\.([0-9]{1,18})\}")


def _has_range(name: str) -> bool:
    return _RANGE.search(name) is not None and (is_remote(name) or not os.path.lexists(name))


def _in_range(name: str) -> Iterator[str]:
    """Give the names that one with {000..099} stands for: the numbers have as many digits as the first."""
    match = _RANGE.search(name)
    if match is None:
        yield name
        return
    first, last = match.groups()
    for number in range(int(first), int(last) + 1):
        yield from _in_range(f"{name[: match.start()]}{number:0{len(first)}}{name[match.end() :]}")


def _in_store(name: str, recursive: bool) -> Iterator[Found | Failure]:
    """Give the pictures of an address: of a folder, of a pattern, or the one file that it is."""
    before, place, behind = places.split(name)
    if _is_pattern(name):
        base = _before_pattern(place)
        base = base[: base.rfind("/") + 1]
        matching = places.matching(name, f"{before}{base}{behind}")
        yield from (Found(f"{before}{base}{path}{behind}", _inside(path), state) for path, state in matching)
        if not matching:
            # no pattern perhaps, but the name of an object with [ in it
            yield _named_alone(name) if places.is_file(name) else Nothing(f"{name}: matches nothing")
    elif not _is_folder(name):
        yield _named_alone(name)
    else:
        has_pictures, root = False, place if place.endswith("://") else f"{place.rstrip('/')}/"
        for each in places.listed(name, recursive):
            is_hidden = any(part.startswith(".") for part in each.path.split("/"))
            if extension(each.path) in EXTENSIONS and not is_hidden:
                has_pictures = True
                yield Found(f"{before}{root}{each.path}{behind}", _inside(each.path), each.state)
        if has_pictures:
            return
        if not place.endswith("/") and places.is_file(name):
            yield _named_alone(name)
        else:
            yield _no_pictures(name, recursive)


def _no_pictures(folder: str, recursive: bool) -> Nothing:
    return Nothing(f"{folder}: has no pictures{'' if recursive else ', but perhaps in its folders: -r'}")


def _inside(path: str) -> str:
    """Return a path that stays in its folder: the key of an object may begin with / or have .. in it."""
    parts = path.replace(os.sep, "/").split("/")
    return parts[-1] if os.pardir in parts else path.lstrip("/")


def _named_alone(address: str) -> Found:
    return Found(address, os.path.basename(places.without_query(places.split(address)[1])))


def _in_folder(folder: str, recursive: bool) -> Iterator[Found | Failure]:
    # not os.walk, which recurses, and so ends in deep trees
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        folders = []
        try:
            names, others = [], set()
            with os.scandir(place) as listed:
                for each in listed:
                    if not each.name.startswith("."):
                        names.append(each.name)
                        # of what is a plain file a listing tells it by itself
                        if not each.is_file(follow_symlinks=False):
                            others.add(each.name)
        except OSError as error:
            yield Failure(f"{place}: cannot be listed: {reason(error)}")
            continue
        for name in sorted(names):
            path = os.path.join(place, name)
            if name in others and os.path.isdir(path):
                folders += [path] if recursive and not os.path.islink(path) else []
            elif extension(path) in EXTENSIONS:
                yield Found(path, os.path.relpath(path, folder))
        waiting += reversed(folders)


def _is_list(name: str) -> bool:
    return name.startswith("@") and len(name) > 1 and not os.path.lexists(name)


def _is_pattern(name: str) -> bool:
    if is_remote(name):
        return _has_range(name) or glob.has_magic(places.without_query(places.split(name)[1]))
    return _has_range(name) or (glob.has_magic(name) and not os.path.lexists(name))


def _is_folder(name: str) -> bool:
    """Return whether a name is that of a folder. That of one in a store ends in / or has no extension."""
    if is_remote(name):
        name = places.without_query(places.split(name)[1])
        return name.endswith("/") or "." not in os.path.basename(name)
    return os.path.isdir(name)


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
