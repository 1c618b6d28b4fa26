"""Lines for the user, and the errors that become such a line."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextvars import ContextVar


class Failure(Exception):
    """The picture could not be resampled; the text is the line for the user."""

    status = 1


class UsageError(Failure):
    """The command line asks for something that is not allowed."""

    status = 2


class Skipped(Failure):
    """Nothing was done, as was asked for; the text says why."""

    status = 0


class Loss(UserWarning):
    """The output lacks something that the input has."""


def say(text: str) -> None:
    """Write one line to stderr; stdout is kept for data."""
    try:
        if sys.stderr is not None:
            with _stderr:  # not while it is captured in another thread
                print(f"resample: {printable(text)}", file=sys.stderr, flush=True)
    except OSError:
        # closed, full, or a pipe that nobody reads any more: the picture matters more than the line, which Python
        # would try to write again at its end, and fail
        sys.stderr = None


def printable(text: str) -> str:
    """Return the text with escapes for what could break a line: a newline or a stray byte in a file name."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def warn_of_loss(text: str) -> None:
    """Tell of something that the output lacks; the line is shown if the run succeeds."""
    warnings.warn(text, Loss, stacklevel=2)


_found: ContextVar[list[str] | None] = ContextVar("_found", default=None)


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Within this, warnings go to the innermost `heard` of the thread that they are raised in."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _hear  # type: ignore[assignment]
        yield


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
        lines[:] = [line.removeprefix("\0") if line.startswith("\0") else f"{about}{line}" for line in lines]


def _hear(message: Warning | str, category: type[Warning], *_: object) -> None:
    lines = _found.get()
    if lines is not None and issubclass(category, UserWarning):
        lines.append(f"\0{message}" if category is Loss else str(message))


@contextlib.contextmanager
def failing_as(text: str) -> Iterator[None]:
    """Turn what the block raises into a Failure that says `text` and the reason.

    Decoders raise almost any class on damaged files, so all of Exception is meant.
    """
    try:
        yield
    except Failure:
        raise
    except Exception as error:
        raise Failure(f"{text}: {reason(error)}") from error


_stderr = threading.RLock()


@contextlib.contextmanager
def library_messages(file_format: str | None) -> Iterator[list[str]]:
    """Keep the block's C libraries from writing to stderr, and fill the list with their lines when the block ends.

    libtiff writes there, past all of Pillow's settings; what it writes may be all that tells of a damaged file. There
    is one stderr for all threads, so of several files side by side one TIFF file is read or written at a time.
    """
    lines: list[str] = []
    if file_format != "TIFF" and threading.current_thread() is not threading.main_thread():
        yield lines
        return
    with _stderr:
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
