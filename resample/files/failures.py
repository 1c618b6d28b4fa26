"""What can go wrong with a file, and what is lost on the way: lines for the user, caught where they arise."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any


class Failure(Exception):
    """The picture could not be resampled; the text is the line for the user."""


class Shortage(Failure):
    """The picture could not be read or written, perhaps for lack of memory."""


class UsageError(Failure):
    """What is asked for is not allowed."""


class Skipped(Failure):
    """Nothing was done, as was asked for; the text says why."""


class Loss(UserWarning):
    """The output lacks something that the input has."""


def warn_of_loss(text: str) -> None:
    """Tell of something that the output lacks; the line is shown if the run succeeds."""
    warnings.warn(text, Loss, stacklevel=2)


_found: ContextVar[list[str] | None] = ContextVar("_found", default=None)


_listening = contextlib.ExitStack()
_listeners = 0
_lock = threading.Lock()


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Within this, in any thread, warnings go to the innermost `heard` of the thread that they are raised in."""
    global _listeners
    with _lock:
        if not _listeners:
            # kept by the process, so the first to come changes it and the last to go puts it back
            _listening.enter_context(warnings.catch_warnings())
            warnings.simplefilter("always", UserWarning)
            shown = warnings.showwarning
            warnings.showwarning = lambda message, category, *rest: _hear(shown, message, category, *rest)
        _listeners += 1
    try:
        yield
    finally:
        with _lock:
            _listeners -= 1
            if not _listeners:
                _listening.close()


@contextlib.contextmanager
def heard(about: str) -> Iterator[list[str]]:
    """Give a list to which this thread's warnings are added; those of libraries begin with `about`."""
    lines: list[str] = []
    token = _found.set(lines)
    try:
        yield lines
    finally:
        _found.reset(token)
        # a library does not say what its warning is about
        told = [line.removeprefix("\0") if line.startswith("\0") else f"{about}{line}" for line in lines]
        lines[:] = dict.fromkeys(told)


def _hear(shown: Callable[..., None], message: Warning | str, category: type[Warning], *rest: Any) -> None:
    lines = _found.get()
    if lines is None:
        shown(message, category, *rest)
    elif issubclass(category, UserWarning):
        lines.append(f"\0{message}" if category is Loss else str(message))


# What codecs say that got no memory: libwebp's decoder says the same of damaged files.
_SHORTAGES = re.compile(r"out of memory|could not create decoder object|encoding error [12]$")


@contextlib.contextmanager
def failing_as(text: str) -> Iterator[None]:
    """Turn what the block raises into a Failure that says `text` and the reason, perhaps a Shortage.

    Decoders raise almost any class on damaged files, so all of Exception is meant but a lack of memory, which may pass.
    """
    try:
        yield
    except (Failure, MemoryError):
        raise
    except Exception as error:
        why = reason(error)
        was_short = getattr(error, "errno", None) == errno.ENOMEM or _SHORTAGES.search(why)
        raise (Shortage if was_short else Failure)(f"{text}: {why}") from error


# held while stderr is another; who writes there meanwhile takes it too
STDERR = threading.RLock()


# Formats whose codecs keep all other Python code waiting, for half a second where a picture has so many pixels, and
# what is entered for larger ones: the command lets signals end the process then.
_KEEPING = {"JPEG2000": 1_000_000, "TIFF": 8_000_000}
while_python_waits: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext


@contextlib.contextmanager
def library_at_work(file_format: str | None, size: tuple[int, int]) -> Iterator[list[str]]:
    """Within this, a C library reads or writes a picture; at the end the list has the lines it would write to stderr.

    libtiff writes there, past all of Pillow's settings; what it writes may be all that tells of a damaged file. There
    is one stderr for all threads, so of several files side by side one TIFF file is read or written at a time.
    """
    lines: list[str] = []
    keeps = size[0] * size[1] > _KEEPING.get(str(file_format), sys.maxsize)
    with while_python_waits() if keeps else contextlib.nullcontext():
        if file_format != "TIFF":
            yield lines
            return
        with STDERR:
            yield from _captured(lines)


def _captured(lines: list[str]) -> Iterator[list[str]]:
    try:
        stderr = os.dup(2)
    except OSError:
        # closed anyhow
        yield lines
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # what does not fit is dropped
    try:
        os.dup2(writing, 2)
        os.close(writing)
        yield lines
    finally:
        os.dup2(stderr, 2)  # and so the last way to write into the pipe is closed
        os.close(stderr)
        with open(reading, errors="replace") as pipe:
            lines += pipe.read().splitlines()


def reason(error: Exception) -> str:
    """Return what went wrong in the words of the error, without the path that an OSError repeats."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
