"""Many pictures, side by side: one that fails does not stop the others, and all are told of in the end."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from resample_cli import inputs, names, output
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
        UsageError: they cannot all have the output that is named.
        KeyboardInterrupt: the user stopped it; what was begun has been finished or left no trace.
    """
    started = time.perf_counter()
    _check_output(options)
    found = list(inputs.found(options.inputs, options.recursive))
    if all(isinstance(each, Nothing) for each in found):
        for each in found:
            say(f"error: {each}")
        if not found:
            say("error: no pictures are named")
        return NOTHING_FOUND
    counts = dict.fromkeys(("done", "planned", "skipped", "failed"), 0)
    failures: list[str] = []
    with _report(options.report) as report:
        for record in _records(options, found):
            counts[record.status] += 1
            for text in record.warnings:
                say(f"warning: {text}")
            if record.status == "failed":
                failures.append(record.text)
            elif not options.quiet:
                say(record.line())
            if report:
                print(json.dumps(record.as_dict(), ensure_ascii=True), file=report, flush=True)
    for text in failures:
        say(f"error: {text}")
    told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    if not options.quiet or failures:
        say(f"{told}, {options.mode}, {time.perf_counter() - started:.2f} s")
    return 1 if failures else 0


def _check_output(options: Options) -> None:
    name = options.output
    if name and not options.output_is_folder and not names.is_template(name):
        raise UsageError(
            f"--output {name} is one file, but there may be several INPUTs: name a folder, as {name}/ is, or a "
            "template such as '{stem}-small{ext}'"
        )


def _report(path: str | None) -> Any:
    if path is None:
        return contextlib.nullcontext()
    with failing_as(f"{path}: cannot be written"):
        return open(path, "w", encoding="ascii")


def _records(options: Options, found: list[Found | Failure]) -> Iterator[Record]:
    """Give the records of all inputs, in their order."""
    operation = operation_of(options)
    claims = _Claims()
    tasks = enumerate(found, 1)
    jobs = min(options.jobs or output.usable_cpus(), len(found))
    if jobs == 1:
        for index, each in tasks:
            record = _record(options, operation, claims, index, each)
            yield record
            if options.fail_fast and record.status == "failed":
                return
        return
    from resample import set_num_threads

    set_num_threads(1)
    pool = ThreadPoolExecutor(jobs)
    waiting: deque[Future[Record]] = deque()
    try:
        failed = False
        while True:
            while not failed and len(waiting) < 2 * jobs and (task := next(tasks, None)):
                waiting.append(pool.submit(_record, options, operation, claims, *task))
            if not waiting:
                return
            record = waiting.popleft().result()
            yield record
            if options.fail_fast and record.status == "failed":
                failed = True
                # what has begun goes on, and is told of
                waiting = deque(future for future in waiting if not future.cancel())
    finally:
        pool.shutdown(cancel_futures=True)


def _record(options: Options, operation: Operation, claims: _Claims, index: int, each: Found | Failure) -> Record:
    if isinstance(each, Failure):
        return Record(str(each), "failed", None, str(each), [], 0.0)
    started = time.perf_counter()
    made, text = None, ""

    def naming(size: Size, own_format: str | None) -> str:
        label = operation.label(size)
        if options.output is None:
            name = output.default_path(each.path, label, own_format)
        elif names.is_template(options.output):
            name = names.filled(options.output, each, size, label, options.mode, index, own_format)
        else:
            name = names.in_folder(options.output, each, own_format)
        claims.claim(name, each.path)
        return name

    with heard(f"{each.path}: ") as warnings:
        try:
            made = (foresee if options.dry_run else make)(options, operation, each.path, naming)
            status = "planned" if options.dry_run else "done"
        except Failure as failure:
            status, text = "skipped" if isinstance(failure, Skipped) else "failed", str(failure)
        except Exception as error:
            status, text = "failed", f"{each.path}: {reason(error)}"
    return Record(each.path, status, made, text, warnings, time.perf_counter() - started)


class _Claims:
    """Which input an output is made from: none may be from two, also where a file system ignores case."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}
        self.lock = threading.Lock()

    def claim(self, name: str, path: str) -> None:
        """Claim a name for an input.

        Raises:
            Failure: it is that of another.
        """
        with self.lock:
            owner = self.owners.setdefault(os.path.abspath(name).casefold(), path)
        if owner != path:
            raise Failure(f"{path}: the output {name} is also that of {owner}")
