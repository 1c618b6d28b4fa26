"""The files that are written: their names, and how they appear whole and together, or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence

from resample_cli.formats import EXTENSIONS, extension
from resample_cli.messages import Failure, Skipped


def default_path(source: str, label: str, file_format: str | None) -> str:
    """Return the path beside the source, as car@2x.jpg for car.jpg.

    Where no format goes by the extension of the source, that of its own format is appended.
    """
    root, ending = os.path.splitext(source)
    if ending.lower() not in EXTENSIONS:
        root, ending = source, usual_extension(file_format)
    return f"{root}@{label}{ending}"


def usual_extension(file_format: str | None) -> str:
    """Return the extension of a format."""
    return next((known for known, name in EXTENSIONS.items() if name == file_format), ".jpg")


def usable_cpus() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def check_target(path: str, source: str, on_exists: str, *, folder_is_made: bool = False) -> None:
    """Refuse an output that may not be written; `on_exists` is error, skip or overwrite.

    Raises:
        Failure: it is the input under any name, or not a plain file, or exists and may not be overwritten, or its
            folder does not exist.
        Skipped: it exists.
    """
    if os.path.exists(path):
        if os.path.samefile(path, source):
            raise Failure(f"{path}: the output is the input, which is never overwritten")
        if not os.path.isfile(path):
            raise Failure(f"{path}: the output exists and is not a file")
    if os.path.lexists(path) and on_exists == "skip":
        raise Skipped(f"{path}: exists")
    if os.path.lexists(path) and on_exists != "overwrite":
        raise Failure(f"{path}: the output exists, and --overwrite is not given")
    folder = os.path.dirname(path) or os.curdir
    while folder_is_made and not os.path.lexists(folder):
        folder = os.path.dirname(folder) or os.curdir
    if not os.path.isdir(folder):
        raise Failure(f"{path}: there is no folder {folder}")
    if folder_is_made and not os.access(folder, os.W_OK | os.X_OK):
        raise Failure(f"{path}: the folder {folder} cannot be written to")


@contextlib.contextmanager
def whole_files(paths: Sequence[str], on_exists: str) -> Iterator[list[str]]:
    """Give paths of empty files beside `paths`, and rename all to `paths` if the block succeeds, else remove them.

    If one cannot be renamed, those before it are removed again. Files that they replaced come back, where the file
    system has hard links.

    Raises:
        Failure: one of `paths` appeared meanwhile and may not be overwritten.
        Skipped: the same, where existing outputs are skipped.
        OSError: a file cannot be made or renamed.
    """
    with contextlib.ExitStack() as leaving:
        temporaries = [_beside(path) for path in paths]
        for temporary in temporaries:
            leaving.callback(_remove, temporary)
            # not the tempfile module: its files are 0600, and here the umask rules
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporaries
        with contextlib.ExitStack() as undo:
            for temporary, path in zip(temporaries, paths, strict=True):
                if on_exists == "overwrite" and os.path.lexists(path):
                    kept = _beside(path)
                    leaving.callback(_remove, kept)
                    with contextlib.suppress(OSError, AttributeError, NotImplementedError):
                        os.link(path, kept, follow_symlinks=False)
                        undo.callback(os.replace, kept, path)
                    _replace(temporary, path)
                else:
                    _publish(temporary, path, on_exists)
                    undo.callback(_remove, path)
            undo.pop_all()


def _beside(path: str) -> str:
    # The same extension, because Pillow finds the one module to import by it; short, because `path` may be long.
    name = f".resample-{os.getpid()}-{os.urandom(4).hex()}{extension(path)}"
    return os.path.join(os.path.dirname(path), name)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _replace(temporary: str, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode) & 0o777)
    os.replace(temporary, path)


def _publish(temporary: str, path: str, on_exists: str) -> None:
    if on_exists == "overwrite":
        _replace(temporary, path)
        return
    try:
        # unlike a rename, this fails if the file appeared meanwhile
        os.link(temporary, path)
    except FileExistsError:
        raise _appeared(path, on_exists) from None
    except (OSError, AttributeError, NotImplementedError):
        # no hard links on this file system: a moment remains between look and rename
        if os.path.lexists(path):
            raise _appeared(path, on_exists) from None
        os.replace(temporary, path)


def _appeared(path: str, on_exists: str) -> Failure:
    if on_exists == "skip":
        return Skipped(f"{path}: appeared meanwhile")
    return Failure(f"{path}: the output appeared meanwhile, and --overwrite is not given")
