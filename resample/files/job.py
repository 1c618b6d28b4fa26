"""One picture to one picture: from its file to the file of its output."""

from __future__ import annotations

import contextlib
import io
import math
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from PIL import Image

from resample.files import formats, places, reading, writing
from resample.files.failures import Failure, Shortage, Skipped, UsageError, failing_as, heard, listening, reason
from resample.files.inputs import STREAM, stream
from resample.files.output import check_in_store, make_folder, write
from resample.files.places import is_remote
from resample.files.reading import Opened
from resample.files.room import READ, WRITTEN, Share
from resample.files.room import usual as usual_room
from resample.files.settings import Settings, Size, shown
from resample.threads import limited

Transform = Any
"""What is done to a picture: a callable with a method `output_size`, as those of `resample.transforms` are."""


class Record(NamedTuple):
    """What became of one input. Sizes are (width, height)."""

    path: str
    """Of the input."""
    status: str
    """done, planned (and not written), skipped or failed"""
    size: Size | None = None
    """Of the input, upright where orientation is applied; None if it was not looked at."""
    output: str | None = None
    """The path of the output, or None if there is none."""
    output_size: Size | None = None
    """Of the output."""
    reason: str = ""
    """Why it was skipped or failed."""
    refused: bool = False
    """Whether it failed because what was asked for is not allowed for this picture."""
    warnings: tuple[str, ...] = ()
    """What the output lacks that the input has, and what is perhaps wrong with the input."""
    seconds: float = 0.0
    """How long it took."""
    number: int = 0
    """Of the input, from 1 on in the order in which they are found; several at work end in another."""
    pictures: int | None = None
    """How many were made, of a shard."""

    def __str__(self) -> str:
        if self.reason:
            return f"{self.status}: {self.reason}"
        begin, sizes = ("would write: " if self.status == "planned" else ""), (self.size, self.output_size)
        source, target = (f" {shown(size)}" if size else "" for size in sizes)
        pictures = "" if self.pictures is None else f", {self.pictures} pictures"
        return f"{begin}{self.path}{source} -> {self.output}{target}{pictures}"

    def as_dict(self) -> dict[str, Any]:
        """Return what is known, for a line of JSON."""
        known = self._asdict() | {"seconds": round(self.seconds, 6)}
        return {name: value for name, value in known.items() if value not in (None, "", (), False)}

    def without_secrets(self) -> Record:
        """Return it with addresses that give nobody access."""
        return self._replace(
            path=places.shown(self.path),
            output=self.output and places.shown(self.output),
            reason=places.shown(self.reason),
            warnings=tuple(map(places.shown, self.warnings)),
        )


class Job(NamedTuple):
    """A picture that is to be made. It can be sent to another process if the transform can."""

    path: str
    output: str
    file_format: str | None
    """Of the output: Pillow's name, or None for that of the input."""
    transform: Transform
    settings: Settings
    threads: int | None = None
    """How many threads one operation takes, or None for as many as always."""
    number: int = 0
    """Of the input."""


def output_size(transform: Transform, opened: Opened) -> Size:
    """Return the (width, height) of what a transform makes of a picture.

    Raises:
        UsageError: nothing would be left of it, or there would be more pixels than allowed.
    """
    most, frames = opened.settings.max_pixels, f" in {opened.count} frames" if opened.count > 1 else ""
    try:
        height, width = transform.output_size(opened.size[::-1])
        # what is cut off has been computed before
        between = getattr(transform, "resampled_size", transform.output_size)(opened.size[::-1])
    except ValueError as error:
        raise UsageError(f"{opened.path}: {error}") from None
    largest = max((width, height), between[::-1], key=math.prod)
    if math.prod(largest) * opened.count > most:
        raise UsageError(
            f"an output of {shown(largest)}{frames} has more than {most} pixels: choose a smaller size or "
            "raise the limit with --max-pixels"
        )
    return width, height


def run(job: Job) -> Record:
    """Make a picture, and return what became of it; whatever is wrong with it is in the record."""
    return attempted(job, partial(_made, job), again=job.path != STREAM)  # which is read once


def attempted(job: Job, make: Callable[[Share], Record], *, again: bool = True) -> Record:
    """Return the record that `make` returns, or of its failure, with its warnings and how long it took.

    What it takes of the memory for pictures, by its share, is given back when it has ended and left nothing. Where
    memory was short, it is tried `again` when no other has any.
    """
    started = time.perf_counter()
    room = usual_room()
    with listening(), limited(job.threads), heard(f"{job.path}: ") as warnings:
        with room.share() as share:
            record, was_short = _tried(job, make, share)
        if was_short and again:
            warnings.clear()
            with room.alone() as share:
                record, _ = _tried(job, make, share)
    if record.status == "skipped":
        warnings = []
    return record._replace(warnings=tuple(warnings), seconds=time.perf_counter() - started, number=job.number)


def _tried(job: Job, make: Callable[[Share], Record], share: Share) -> tuple[Record, bool]:
    """Return the record that `make` returns, or of its failure, and whether that was perhaps for lack of memory.

    Only when this has returned is nothing left of the picture: an error holds all that it came by.
    """
    try:
        return make(share), False
    except Exception as error:
        return failed(job.path, error), isinstance(error, (MemoryError, Shortage))


def failed(path: str, error: Exception) -> Record:
    """Return the record of a picture that was not made."""
    text, refused = reason(error), isinstance(error, UsageError)
    if not isinstance(error, Failure) or (refused and path not in text):
        text = f"{path}: {text}"
    return Record(path, "skipped" if isinstance(error, Skipped) else "failed", reason=text, refused=refused)


def _made(job: Job, share: Share) -> Record:
    settings = job.settings
    if settings.on_exists == "skip":
        check_in_store(job.output, settings.on_exists)
    with resampled(job, share) as made:
        if job.output == STREAM:
            _to_stdout(made, settings)
        else:
            make_folder(job.output, settings)
            writing.write([made.frames], [job.output], made.file_format, made.found, settings)
        return Record(job.path, "done", made.size, job.output, made.frames[0].size)


class Resampled(NamedTuple):
    """A picture that is not written yet."""

    size: Size
    """Of the input."""
    frames: list[Image.Image]
    file_format: str
    found: dict[str, Any]
    """What belongs to it besides pixels."""


@contextlib.contextmanager
def resampled(job: Job, share: Share, content: bytes | None = None) -> Iterator[Resampled]:
    """Give what is made of a picture, in the memory that it takes by its share; `content` is its file if it is in none.

    Raises:
        Failure: it cannot be read or resampled.
        MemoryError: there is not enough memory.
    """
    settings = job.settings
    if content is None and is_remote(job.path):
        with failing_as(f"{job.path}: cannot be read"):
            content = places.read(job.path)
    with contextlib.ExitStack() as held:
        with share.room.turn:
            opened = held.enter_context(reading.opened(job.path, settings, content))
            size = output_size(job.transform, opened)
            file_format = job.file_format or opened.file_format
            formats.check(file_format, size, settings.quality)
            cost = opened.count * (READ * math.prod(opened.size) + WRITTEN * math.prod(size))
            if job.path == STREAM:
                share.take(cost)
            elif not share.takes(cost):
                # some decoders take memory as a file is opened, which others need meanwhile
                held.close()
                del opened
                share.take(cost)
                opened = held.enter_context(reading.opened(job.path, settings, content))
        frames, left = [], settings.max_pixels
        for frame in opened.frames():
            height, width = job.transform.output_size((frame.height, frame.width))
            left -= height * width
            if left < 0:  # pages are of several sizes
                raise UsageError(f"{job.path}: its pages would have more than {settings.max_pixels} pixels")
            with failing_as(f"{job.path}: cannot be resampled"):
                frames.append(job.transform(frame))
        yield Resampled(opened.size, frames, file_format, opened.metadata(size))


def _to_stdout(made: Resampled, settings: Settings) -> None:
    file = io.BytesIO()
    with failing_as("stdout: cannot be written"):
        writing.encode(made.frames, "stdout", made.file_format, made.found, settings, file)
        stdout = stream(sys.stdout)
        write(stdout, file.getbuffer())
        stdout.flush()
