"""The files that are written: their names, and how they appear whole and together, or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from typing import IO

from resample.files.failures import Failure, Skipped, failing_as
from resample.files.formats import EXTENSIONS
from resample.files.places import is_remote, is_there
from resample.files.settings import Settings

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed
    fcntl = None  # type: ignore[assignment]


def usual_extension(file_format: str | None) -> str:
    """Return the extension of a format."""
    return next((known for known, name in EXTENSIONS.items() if name == file_format), ".jpg")


def span(paths: Sequence[str]) -> str:
    """Return how one line names several files."""
    return paths[0] if len(paths) == 1 else f"{paths[0]} ... {paths[-1]}"


def numbered(path: str) -> Iterator[str]:
    """Yield the path, then path-1, path-2, ... before its extension."""
    root, ending = os.path.splitext(path)
    yield path
    yield from (f"{root}-{number}{ending}" for number in range(1, 10000))


def free(path: str) -> str:
    """Return the first of `numbered` that does not exist, or the path where all do."""
    return next((name for name in numbered(path) if not os.path.lexists(name)), path)


def check_target(path: str, source: str, settings: Settings) -> None:
    """Refuse an output that may not be written.

    Raises:
        Failure: it is the input under any name, and not in place; or not a plain file; or exists and may not be
            overwritten; or its folder does not exist or, where that is made, what there is of it may not be written to.
        Skipped: it exists, and is to be left as it is.
    """
    if is_remote(path):
        if path == source:
            raise Failure(f"{path}: the output is the input, which is never overwritten")
        # what is there is looked at when it is written, by whoever does that
        return
    if os.path.lexists(path):
        if os.path.exists(path):
            if not settings.in_place and os.path.exists(source) and os.path.samefile(path, source):
                raise Failure(f"{path}: the output is the input, which is never overwritten but by --in-place")
            if not os.path.isfile(path):
                raise Failure(f"{path}: the output exists and is not a file")
        check_exists(path, settings.on_exists)
    folder = os.path.dirname(path) or os.curdir
    if not os.path.isdir(folder):
        while settings.make_folders and not os.path.lexists(folder):
            folder = os.path.dirname(folder) or os.curdir
        if not os.path.isdir(folder):
            raise Failure(f"{path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Failure(f"{path}: the folder {folder} cannot be written to")


def make_folder(path: str, settings: Settings) -> None:
    """Make the folder of an output, where that is asked for; a store needs none.

    Raises:
        Failure: it cannot be made.
    """
    if settings.make_folders and not is_remote(path):
        folder = os.path.dirname(path) or os.curdir
        if not os.path.isdir(folder):
            with failing_as(f"{path}: cannot be written"):
                os.makedirs(folder, exist_ok=True)


def check_in_store(path: str, on_exists: str) -> None:
    """Refuse an output that exists in a store, as `check_exists` does; of others `check_target` knows."""
    if is_remote(path) and is_there(path):
        check_exists(path, on_exists)


def check_exists(path: str, on_exists: str) -> None:
    """Refuse an output that exists, unless it may be overwritten.

    Raises:
        Failure: --overwrite is not given.
        Skipped: existing outputs are skipped.
    """
    if on_exists == "skip":
        raise Skipped(f"{path}: exists")
    if on_exists != "overwrite":
        raise Failure(f"{path}: the output exists, and --overwrite is not given")


@contextlib.contextmanager
def whole_files(paths: Sequence[str], on_exists: str) -> Iterator[list[IO[bytes]]]:
    """Give empty files beside `paths`, and rename all to `paths` if the block succeeds, else remove them.

    If one cannot be renamed, those before it are removed again. Files that they replaced come back, where the file
    system has hard links.

    Raises:
        Failure: one of `paths` appeared meanwhile and may not be overwritten.
        Skipped: the same, where existing outputs are skipped.
        OSError: a file cannot be made or renamed.
    """
    with contextlib.ExitStack() as leaving:
        temporaries, files = [], []
        for path in paths:
            sweep(os.path.dirname(path) or os.curdir)
            temporary = temporary_in(os.path.dirname(path))
            leaving.callback(_remove, temporary)
            temporaries.append(temporary)
            files.append(leaving.enter_context(_begun(temporary)))
        yield files
        for file in files:
            # an open file cannot be renamed on Windows; elsewhere its lock holds until it is
            file.close() if fcntl is None else file.flush()
        with contextlib.ExitStack() as undo:
            for temporary, path, file in zip(temporaries, paths, files, strict=True):
                if on_exists == "overwrite" and os.path.lexists(path):
                    if not file.closed:
                        # what is replaced must not be gone before this is on the disk, should the power fail
                        os.fsync(file.fileno())
                    kept = temporary_in(os.path.dirname(path))
                    _live.add(kept)
                    leaving.callback(_remove, kept)
                    with contextlib.suppress(OSError, AttributeError, NotImplementedError):
                        os.link(path, kept, follow_symlinks=False)
                        undo.callback(os.replace, kept, path)
                    _replace(temporary, path)
                elif _publish(temporary, path, on_exists):
                    undo.callback(_remove, path)
            undo.pop_all()


def write(file: IO[bytes], data: bytes | memoryview) -> None:
    """Write all of the bytes: a file without a buffer takes a part where a disk is nearly full or a pipe is closed."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


_TEMPORARY = re.compile(r"\.resample-[0-9a-f]{16}")


def temporary_in(folder: str) -> str:
    """Return a name that no file there has; it is short, because that of an output may be long."""
    return os.path.join(folder, f".resample-{os.urandom(8).hex()}")


def _begun(temporary: str) -> IO[bytes]:
    """Return a new file, locked as long as it is open: what has no lock is of a process that was killed."""
    _live.add(temporary)
    while True:
        # not the tempfile module: its files are 0600, and here the umask rules
        file = os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666), "wb")
        # a process that sweeps may be holding it, which then is gone
        _lock(file, waiting=True)
        if _abandoned:
            _remove(temporary)
            raise OSError("the process is ending")
        if os.path.lexists(temporary):
            return file
        file.close()


def _lock(file: IO[bytes], *, waiting: bool) -> bool:
    """Lock a file, unless the file system has no locks or, without waiting, it is locked; return whether it was."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if waiting else fcntl.LOCK_NB))
    except (OSError, AttributeError):
        return False
    return True


_live: set[str] = set()
_abandoned = False


def abandon() -> None:
    """Remove all files that are not whole yet, as the process is about to end without waiting for its threads."""
    global _abandoned
    _abandoned = True
    for path in list(_live):
        _remove(path)


_swept: set[str] = set()


def sweep(folder: str) -> None:
    """Remove what processes that were killed left in a folder, once a process."""
    if folder in _swept:
        return
    _swept.add(folder)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in [entry for entry in entries if _TEMPORARY.fullmatch(entry.name)]:
            # not a pipe, which would be waited for
            with contextlib.suppress(OSError):
                if entry.is_file(follow_symlinks=False):
                    _remove_unlocked(entry.path)


def _remove_unlocked(path: str) -> None:
    with open(path, "rb") as file:
        if _lock(file, waiting=False) or fcntl is None:
            os.unlink(path)


def _remove(path: str) -> None:
    _live.discard(path)
    with contextlib.suppress(OSError):
        os.unlink(path)


def _replace(temporary: str, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode) & 0o777)
    os.replace(temporary, path)


def _publish(temporary: str, path: str, on_exists: str) -> bool:
    """Return whether the file has got its name: if not, there is the same already."""
    if on_exists == "overwrite":
        _replace(temporary, path)
        return True
    try:
        # unlike a rename, this fails if the file appeared meanwhile
        os.link(temporary, path)
    except FileExistsError:
        check_appeared(path, on_exists, is_same=_are_alike(path, temporary))
        return False
    except (OSError, AttributeError, NotImplementedError):
        # no hard links on this file system: a moment remains between look and rename
        if os.path.lexists(path):
            check_appeared(path, on_exists, is_same=_are_alike(path, temporary))
            return False
        os.replace(temporary, path)
    return True


def _are_alike(path: str, other: str) -> bool:
    import filecmp

    return os.path.isfile(path) and filecmp.cmp(path, other, shallow=False)


def check_appeared(path: str, on_exists: str, *, is_same: bool) -> None:
    """Refuse an output that appeared since it was looked for, unless it is the same as what was to be written.

    Where workers die, their work is done again by others: the first may have finished it.

    Raises:
        Failure: it is another, and --overwrite is not given.
        Skipped: it is another, and existing outputs are skipped.
    """
    if is_same:
        return
    if on_exists == "skip":
        raise Skipped(f"{path}: appeared meanwhile")
    raise Failure(f"{path}: the output appeared meanwhile, and --overwrite is not given")
