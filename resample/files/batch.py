"""Many pictures, side by side: one that fails does not stop the others, and all are told of in the end."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from resample_cli import inputs, names, output
from resample_cli.claims import Claims
from resample_cli.geometry import Size
from resample_cli.inputs import Found, Nothing
from resample_cli.messages import Failure, Skipped, UsageError, failing_as, heard, reason, say
from resample_cli.parser import Options
from resample_cli.transform import Made, Operation, foresee, make, operation_of

NOTHING_FOUND = 3


class Record(NamedTuple):
    """What became of one input."""

    path: str
    status: str
    """done, planned (--dry-run), skipped or failed"""
    made: Made | None
    text: str
    """Why it was skipped or failed."""
    warnings: list[str]
    seconds: float

    def line(self) -> str:
        if self.status in ("done", "planned"):
            return f"{'would write: ' if self.status == 'planned' else ''}{self.made}"
        return f"{self.status}: {self.text}"

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"input": self.path, "status": self.status, "seconds": round(self.seconds, 6)}
        if self.made:
            found |= {
                "size": list(self.made.size),
                "output": self.made.output,
                "output_size": list(self.made.output_size),
            }
        if self.text:
            found["reason"] = self.text
        if self.warnings:
            found["warnings"] = self.warnings
        return found


def run(options: Options) -> int:
    """Make the outputs of all inputs, and return the exit status.

    Raises:
        Failure: the report cannot be written, or there is no such device.
        UsageError: the inputs cannot all have the output that is named.
        KeyboardInterrupt: the user stopped it; what was begun has been finished or left no trace.
    """
    found = list(inputs.found(options.inputs, options.recursive, options.output))
    if all(isinstance(each, Nothing) for each in found):
        for each in found:
            say(f"error: {each}")
        if not found:
            say("error: no pictures are named")
        return NOTHING_FOUND
    _check_output(options)
    _check_device(options.device)
    operation = operation_of(options)
    read = [each.path for each in found if isinstance(each, Found)] + inputs.lists(options.inputs)
    read += [options.weights[0]] if options.weights else []
    told = _Told(options, _Report(options, read))
    records = _Records(options, operation, Claims(read, rename=options.on_exists == "rename"), found)
    try:
        for record in records:
            told.add(record)
    except BaseException:
        # what was finished meanwhile, too, has been written
        for record in records.late():
            told.add(record)
        raise
    finally:
        told.end()
    return 1 if told.failures or told.report.failed else 0


class _Told:
    """What the user is told: of each input as it is done, and of all failures at the end."""

    def __init__(self, options: Options, report: _Report) -> None:
        self.options, self.report = options, report
        self.counts = dict.fromkeys(("done", "planned", "skipped", "failed"), 0)
        self.failures: list[str] = []
        self.started = time.perf_counter()

    def add(self, record: Record) -> None:
        self.counts[record.status] += 1
        for text in record.warnings:
            say(f"warning: {text}")
        if record.status == "failed":
            self.failures.append(record.text)
        elif not self.options.quiet:
            say(record.line())
        self.report.add(record)

    def end(self) -> None:
        self.report.close()
        for text in self.failures:
            say(f"error: {text}")
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count)
        if counts and (self.failures or not self.options.quiet):
            say(f"{counts}, {self.options.mode}, {time.perf_counter() - self.started:.2f} s")


class _Report:
    """A file with a line of JSON for each record, or nothing if none is asked for."""

    def __init__(self, options: Options, read: list[str]) -> None:
        self.path, self.failed = options.report, False
        self.file: Any = None
        if self.path is None:
            return
        if any(_are_one_file(self.path, path) for path in read):
            raise UsageError(f"--report {self.path} is a file that is read, which is never overwritten")
        with failing_as(f"{self.path}: cannot be written"):
            # without a buffer, so that a run that is stopped has told of what it did
            self.file = open(self.path, "wb" if options.overwrite else "xb", buffering=0)  # noqa: SIM115

    def add(self, record: Record) -> None:
        if self.file:
            self._attempt(partial(self.file.write, json.dumps(record.as_dict()).encode() + b"\n"))

    def close(self) -> None:
        if self.file:
            self._attempt(self.file.close)

    def _attempt(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            # the pictures matter more
            say(f"error: {self.path}: cannot be written: {reason(error)}")
            with contextlib.suppress(OSError):
                self.file.close()
            self.file, self.failed = None, True


def _are_one_file(one: str, other: str) -> bool:
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)


def _check_output(options: Options) -> None:
    name = options.output
    if name and inputs.are_many(options.inputs) and not options.makes_folders:
        raise UsageError(
            f"--output {name} is one file, but there may be several INPUTs: name a folder, as {name}/ is, or a "
            "template such as '{dir}/{stem}-small{ext}'"
        )


def _check_device(device: str | None) -> None:
    if device in (None, "cpu"):
        return
    from resample import devices

    with failing_as(f"--device {device}"):
        devices.check(str(device))


class _Records:
    """The records of all inputs, in their order."""

    def __init__(self, options: Options, operation: Operation, claims: Claims, found: list[Found | Failure]) -> None:
        self.options, self.operation, self.claims = options, operation, claims
        self.tasks = enumerate(found, 1)
        # on a GPU some pictures are decoded and encoded while others are there
        several = options.device not in (None, "cpu")
        self.jobs = min(options.jobs or (output.usable_cpus() if several else 1), len(found))
        self.waiting: deque[Future[Record]] = deque()
        self.stopped = threading.Event()

    def __iter__(self) -> Iterator[Record]:
        if self.jobs == 1:
            for number, each in self.tasks:
                if not self.stopped.is_set():
                    yield self._record(number, each)
            return
        from resample import set_num_threads

        set_num_threads(1)
        pool = ThreadPoolExecutor(self.jobs)
        try:
            while True:
                while len(self.waiting) < 2 * self.jobs and (task := self._next_task()):
                    self.waiting.append(pool.submit(self._record, *task))
                while self.waiting and self.waiting[0].cancelled():
                    self.waiting.popleft()
                if not self.waiting:
                    return
                self.waiting[0].result()
                yield self.waiting.popleft().result()
                if self.stopped.is_set():
                    for future in self.waiting:
                        future.cancel()
        finally:
            self.stopped.set()
            pool.shutdown(cancel_futures=True)

    def _next_task(self) -> tuple[int, Found | Failure] | None:
        return None if self.stopped.is_set() else next(self.tasks, None)

    def late(self) -> list[Record]:
        """Return the records of inputs that were done when the iteration was broken off."""
        return [future.result() for future in self.waiting if future.done() and not future.cancelled()]

    def _record(self, number: int, each: Found | Failure) -> Record:
        try:
            record = _record(self.options, self.operation, self.claims, number, each)
        finally:
            self.claims.settle(number)
        if self.options.fail_fast and record.status == "failed":
            self.stopped.set()
        return record


def _record(options: Options, operation: Operation, claims: Claims, number: int, each: Found | Failure) -> Record:
    if isinstance(each, Failure):
        return Record(str(each), "failed", None, str(each), [], 0.0)
    started = time.perf_counter()
    made, text = None, ""

    def naming(size: Size, own_format: str | None) -> str:
        label = operation.label(size)
        if options.output is None:
            name = output.default_path(each.path, label, own_format)
        elif names.is_template(options.output):
            name = names.filled(options.output, each, size, label, options.mode, number, own_format)
        elif options.output_is_folder:
            name = names.in_folder(options.output, each, own_format)
        else:
            name = options.output
        return claims.claim(name, number, each.path)

    with heard(f"{each.path}: ") as warnings:
        try:
            made = (foresee if options.dry_run else make)(options, operation, each.path, naming)
            status = "planned" if options.dry_run else "done"
        except Failure as failure:
            status, text = "skipped" if isinstance(failure, Skipped) else "failed", str(failure)
            if isinstance(failure, UsageError) and each.path not in text:
                text = f"{each.path}: {text}"
        except Exception as error:
            status, text = "failed", f"{each.path}: {reason(error)}"
    if status == "skipped":
        warnings = []
    return Record(each.path, status, made, text, warnings, time.perf_counter() - started)
