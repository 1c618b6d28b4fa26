"""A run over pictures: what was found, what is told of each, and the exit status."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice
from typing import Any

from PIL import Image

from resample.files import cluster, inputs, places
from resample.files.batch import Plan, Records
from resample.files.failures import UsageError, failing_as, reason
from resample.files.inputs import Found, Inputs, Nothing
from resample.files.job import Record
from resample.files.ledger import Ledger
from resample.files.output import write
from resample.files.places import is_remote
from resample.threads import NUM_THREADS_VARIABLE, get_num_threads, usable_cpus
from resample_cli.messages import say
from resample_cli.operation import operation
from resample_cli.parser import Options

NOTHING_FOUND = 3


def run(options: Options) -> int:
    """Make the outputs of all inputs, and return the exit status.

    Raises:
        Failure: the report or the ledger cannot be written, or there is no such device.
        UsageError: the inputs cannot all have the output that is named.
        KeyboardInterrupt: the user stopped it; what was not finished has left no trace.
    """
    started = time.perf_counter()
    found = Inputs(options.inputs, options.recursive, options.output, in_place=options.in_place)
    if all(isinstance(each, Nothing) for each in found):
        for each in found:
            say(f"error: {each}")
        if not any(found):
            say("error: no pictures are named")
        return NOTHING_FOUND
    if not options.scheduler:
        _check_device(options.device)
    transform = operation(options)
    read = inputs.lists(options.inputs)
    read += [options.weights[0]] if options.weights else []
    for option, path in (("--report", options.report), ("--resume", options.resume)):
        pictures = (each.path for each in found if isinstance(each, Found))
        # what is not there cannot be replaced
        if path and os.path.exists(path) and any(map(partial(_is_file, os.stat(path)), chain(read, pictures))):
            raise UsageError(f"{option} {path} is a file that is read, which is never overwritten")
    if options.report and options.resume and os.path.realpath(options.report) == os.path.realpath(options.resume):
        raise UsageError(f"--report and --resume are one file, {options.report}")
    jobs, workers, ledger = options.jobs or usable_cpus(), None, None
    threads = 1 if jobs > 1 and len(list(islice(found, 2))) > 1 else None
    with contextlib.ExitStack() as held:
        if options.scheduler and not options.dry_run:
            addresses = [*options.inputs, options.output or ""]
            workers = held.enter_context(cluster.workers(options.scheduler, transform, addresses, options.device))
            # each has one thread a task, unless that is asked for
            jobs, threads = workers.threads, get_num_threads() if os.environ.get(NUM_THREADS_VARIABLE) else 1
        if options.resume and not options.dry_run:
            # not what lets pictures through that were refused, and changes none that was made
            settings = options.settings._replace(on_exists="", max_pixels=0, make_folders=False)
            ledger = Ledger(options.resume, transform, settings, options.format)
            held.callback(ledger.close)
        plan = Plan(
            transform,
            options.output,
            options.settings,
            found,
            file_format=options.format,
            read=read + [path for path in (options.report, options.resume) if path],
            ledger=ledger,
            threads=threads,
        )
        told = _Told(options, _Report(options), found, started)
        held.callback(told.end)
        records = Records(plan, jobs=jobs, executor=workers and workers.executor, fail_fast=options.fail_fast)
        try:
            with told.progress(), _one_block_each():
                for record in plan.foreseen() if options.dry_run else records:
                    if workers:
                        workers.check()
                    told.add(record)
        except BaseException:
            # what was finished meanwhile, too, has been written
            for record in records.late():
                told.add(record)
            raise
    return told.status


@contextlib.contextmanager
def _one_block_each() -> Iterator[None]:
    """Within this, Pillow takes one block of memory for a picture, however large: the library reads it without a copy.

    It is a setting of the process, so it is the command that asks for it.
    """
    core: Any = Image.core  # type: ignore[attr-defined]
    before = core.get_use_block_allocator()
    core.set_use_block_allocator(1)
    try:
        yield
    finally:
        core.set_use_block_allocator(before)


class _Told:
    """What the user is told: of each input as it is done, and of all failures at the end."""

    def __init__(self, options: Options, report: _Report, found: Inputs, started: float) -> None:
        self.options, self.report, self.found, self.started = options, report, found, started
        self.are_many = options.are_many  # as it is now: the run may make the folder that it depends on
        self.counts = dict.fromkeys(("done", "planned", "skipped", "failed"), 0)
        self.failures: list[tuple[int, str]] = []
        self.refused = False
        self.advance: Callable[[], None] | None = None

    @contextlib.contextmanager
    def progress(self) -> Iterator[None]:
        """Within this, a terminal shows how far the run is, if there is a package for that, in place of lines."""
        options = self.options
        if not self.are_many or options.quiet or options.dry_run or not (sys.stderr and sys.stderr.isatty()):
            yield
            return
        try:
            from rich import progress
            from rich.console import Console
        except ImportError:
            yield
            return
        columns = (
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None, rate="")

            def count() -> None:
                with contextlib.suppress(Exception):  # whoever lists them for the work tells of it
                    bar.update(task, total=sum(1 for _ in self.found))

            # a million take a while, for which the work does not wait
            threading.Thread(target=count, daemon=True).start()

            def advance() -> None:
                seconds = time.perf_counter() - self.started
                bar.update(task, advance=1, rate=f"{sum(self.counts.values()) / seconds:.1f} files/s")

            self.advance = advance
            try:
                yield
            finally:
                self.advance = None

    def add(self, record: Record) -> None:
        self.counts[record.status] += 1
        for text in record.warnings:
            say(f"warning: {text}")
        if record.status == "failed":
            self.failures.append((record.number, record.reason))
            self.refused = record.refused
        elif self.are_many and not self.options.quiet and not self.advance:
            say(str(record))
        elif not self.are_many and not self.options.quiet:
            seconds = f", {self.options.mode}, {time.perf_counter() - self.started:.2f} s"
            say(f"{record}{seconds if record.status == 'done' else ''}")
        self.report.add(record)
        if self.advance:
            self.advance()

    def end(self) -> None:
        self.report.close()
        for _, text in sorted(self.failures):
            say(f"error: {text}")
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count)
        if counts and self.are_many and (self.failures or not self.options.quiet):
            say(f"{counts}, {self.options.mode}, {time.perf_counter() - self.started:.2f} s")

    @property
    def status(self) -> int:
        if self.refused and not self.are_many:
            return 2
        return 1 if self.failures or self.report.failed else 0


class _Report:
    """Lines of JSON, one for each record, in a file or on stdout, where that is asked for."""

    def __init__(self, options: Options) -> None:
        self.path, self.failed = options.report, False
        self.files: list[tuple[str, Any]] = []
        if options.json:
            with failing_as("stdout: cannot be written"):
                self.files.append(("stdout", inputs.stream(sys.stdout)))
        if self.path is not None:
            with failing_as(f"{self.path}: cannot be written"):
                # without a buffer, so that a run that is stopped has told of what it did
                if is_remote(self.path):
                    # an object cannot be added to: it is there, empty, if it can be written, and in the end it is whole
                    places.write(self.path, b"", new=not options.overwrite)
                    self.files.append((self.path, _Uploaded(self.path)))
                else:
                    self.files.append((self.path, open(self.path, "wb" if options.overwrite else "xb", buffering=0)))  # noqa: SIM115

    def add(self, record: Record) -> None:
        for each in list(self.files):
            self._attempt(each, partial(write, each[1], json.dumps(record.as_dict()).encode() + b"\n"))

    def close(self) -> None:
        for each in list(self.files):
            self._attempt(each, each[1].flush if each[0] == "stdout" else each[1].close)

    def _attempt(self, each: tuple[str, Any], write: Callable[[], object]) -> None:
        try:
            write()
        except Exception as error:
            # the pictures matter more
            say(f"error: {each[0]}: cannot be written: {reason(error)}")
            self.files.remove(each)
            self.failed = True
            # a report that could not be uploaded was closed then
            with contextlib.suppress(OSError, ValueError):
                each[1].close()


class _Uploaded:
    """A file at an address that is written here, and there when it is closed."""

    def __init__(self, path: str) -> None:
        import tempfile

        self.path = path
        self.file = tempfile.NamedTemporaryFile(prefix="resample-")  # noqa: SIM115

    def write(self, data: memoryview) -> int:
        return self.file.write(data)

    def close(self) -> None:
        with self.file:
            self.file.flush()
            places.upload(self.file.name, self.path)


def _is_file(status: os.stat_result, path: str) -> bool:
    try:
        return not is_remote(path) and os.path.samestat(status, os.stat(path))
    except OSError:
        return False


def _check_device(device: str | None) -> None:
    if device in (None, "cpu"):
        return
    from resample import devices

    with failing_as(f"--device {device}"):
        devices.check(str(device))
