"""Many pictures, side by side: one that fails does not stop the others, and each is told of."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, wait

from resample.files import formats, inputs, names, output, reading, room
from resample.files.claims import Claims
from resample.files.failures import Failure, Skipped, heard, listening
from resample.files.inputs import STREAM, Found
from resample.files.job import Job, Record, Transform, failed, output_size, run
from resample.files.ledger import Ledger
from resample.files.names import Look
from resample.files.settings import Settings
from resample.threads import usable_cpus

# jobs that wait in an executor whose number of workers is not known
_WAITING = 64

# seconds for which jobs that were begun are waited for when a run is broken off
_PATIENCE = 0.3


class Plan:
    """From inputs, taken in their order, to jobs: what is made of each, under which name.

    Args:
        transform: what is done to each picture.
        target: the name of the one output, a folder that ends in / or exists, a template, `-` for stdout, or None for
            names beside the inputs.
        settings: how files are read and written.
        file_format: of the outputs, or None for what their names or their inputs say.
        read: files besides the inputs that the run reads, which no output replaces.
        ledger: of what earlier runs did.
    """

    def __init__(
        self,
        transform: Transform,
        target: str | None,
        settings: Settings,
        found: Iterable[Found | Failure],
        *,
        file_format: str | None = None,
        read: Sequence[str] = (),
        ledger: Ledger | None = None,
        threads: int | None = None,
    ) -> None:
        self.transform, self.target, self.settings, self.file_format = transform, target, settings, file_format
        self.found = list(found)
        self.ledger, self.threads = ledger, threads
        pictures = [each.path for each in self.found if isinstance(each, Found)]
        self.claims = Claims([*pictures, *read], rename=settings.on_exists == "rename")

    def jobs(self, *, sweeps: bool = True) -> Iterator[Job | Record]:
        """Give a job for each input, or the record of one that is not to be made.

        With `sweeps`, what runs that were killed left in the folders of outputs is removed.
        """
        for number, each in enumerate(self.found, 1):
            if isinstance(each, Failure):
                yield Record(str(each), "failed", reason=str(each))
                continue
            job: Job | Record
            try:
                with listening(), heard(""):  # and dropped, as the job will tell of it
                    job = self._job(number, each, sweeps)
            except Exception as error:
                job = failed(each.path, error)
            yield job

    def foreseen(self) -> Iterator[Record]:
        """Give for each input what its job would do, as far as its header tells."""
        for job in self.jobs(sweeps=False):
            if isinstance(job, Record):
                yield job
                continue
            try:
                with listening(), heard(f"{job.path}: ") as warnings:
                    look = self._look(job.path)
                    formats.check(job.file_format or look.file_format, look.output_size, self.settings.quality)
                    record = Record(job.path, "planned", look.size, job.output, look.output_size)
                yield record._replace(warnings=tuple(warnings))
            except Exception as error:
                yield failed(job.path, error)

    def _look(self, path: str) -> Look:
        with reading.opened(path, self.settings) as opened:
            return Look(opened.size, output_size(self.transform, opened), opened.file_format)

    def _job(self, number: int, each: Found, sweeps: bool) -> Job:
        path, settings = each.path, self.settings
        if path == STREAM or self.target == STREAM:
            file_format = self.file_format or (formats.of(self.target) if self.target not in (None, STREAM) else None)
            if self.target not in (None, STREAM):
                output.check_target(str(self.target), path, settings)
            return Job(path, self.target or STREAM, file_format, self.transform, settings, self.threads)
        if settings.in_place:
            # not the link that may be its name
            name, file_format = os.path.realpath(path) if os.path.islink(path) else path, None
            if not self.claims.is_free(name):
                raise Skipped(f"{path}: is {name}, which is another INPUT too")
            self.claims.claim(name, path)
        else:
            name = self.claims.claim(self._name(number, each), path)
            file_format = formats.of(name)
        if sweeps:
            output.sweep(os.path.dirname(name) or os.curdir)
        if self.ledger:
            if self.ledger.has(path, name):
                raise Skipped(f"{name}: done before")
            if self.ledger.made(path, name):
                settings = settings._replace(on_exists="overwrite")
        output.check_target(name, path, settings)
        if self.ledger:
            self.ledger.begin(path, name)
        return Job(path, name, file_format, self.transform, settings, self.threads)

    def _name(self, number: int, each: Found) -> str:
        seen: list[Look] = []

        def look() -> Look:
            if not seen:
                seen.append(self._look(each.path))
            return seen[0]

        target = self.target
        if target is None:
            return names.beside(each.path, self.transform, look, self.file_format)
        if names.is_template(target):
            return names.filled(target, each, self.transform, look, number, self.file_format)
        if names.is_folder(target):
            return names.in_folder(target, each, look, self.file_format)
        return target


class Records:
    """The records of all inputs of a plan, in their order, as they are made.

    Args:
        plan: what is to be made.
        jobs: how many at a time, a thread each, where no executor is given.
        executor: runs the jobs; the caller's own, so it is not shut down.
        fail_fast: whether no more are begun after one that failed.
    """

    def __init__(self, plan: Plan, *, jobs: int = 1, executor: Executor | None = None, fail_fast: bool = False) -> None:
        self.plan, self.fail_fast = plan, fail_fast
        self.executor = executor or ThreadPoolExecutor(room.fitting(min(jobs, len(plan.found) or 1)))
        self.is_ours, self.most = executor is None, 2 * jobs if executor is None else _WAITING
        self.waiting: deque[tuple[Job | Record, Future[Record]]] = deque()
        self.stopped = threading.Event()

    def __iter__(self) -> Iterator[Record]:
        jobs = self.plan.jobs()
        try:
            with listening():
                while True:
                    while len(self.waiting) < self.most and not self.stopped.is_set() and (job := next(jobs, None)):
                        self.waiting.append((job, self._submitted(job)))
                    if not self.waiting:
                        return
                    job, future = self.waiting[0]
                    record = self._record(job, future)
                    self.waiting.popleft()
                    if record:
                        yield record
                    if self.stopped.is_set():
                        self._cancel()
        finally:
            self.stopped.set()
            self._cancel()
            if self.is_ours:
                self.executor.shutdown(wait=False)

    def late(self) -> list[Record]:
        """Return the records of jobs that are done, or soon will be, after the iteration was broken off."""
        wait([future for _, future in self.waiting], timeout=_PATIENCE)
        found = [self._record(job, future) for job, future in self.waiting if future.done()]
        return [record for record in found if record]

    def _cancel(self) -> None:
        for _, future in self.waiting:
            future.cancel()

    def _submitted(self, job: Job | Record) -> Future[Record]:
        if isinstance(job, Job):
            try:
                # where threads are ours, lines of the ledger do not wait for the records before
                return self.executor.submit(self._run if self.is_ours else run, job)
            except Exception as error:
                job = failed(job.path, error)
        future: Future[Record] = Future()
        future.set_result(self._noted(job, job))
        return future

    def _run(self, job: Job) -> Record:
        if self.stopped.is_set():
            raise CancelledError
        return self._noted(job, run(job))

    def _record(self, job: Job | Record, future: Future[Record]) -> Record | None:
        """Return the record of a job, or None if it was not begun."""
        if future.cancelled():
            return None
        try:
            record = future.result()
        except CancelledError:
            return None
        except Exception as error:
            # a worker that died, say
            record = failed(job.path, error)
        return record if self.is_ours else self._noted(job, record)

    def _noted(self, job: Job | Record, record: Record) -> Record:
        if isinstance(job, Job) and self.plan.ledger:
            (self.plan.ledger.end if record.status == "done" else self.plan.ledger.fail)(job.path, job.output)
        if record.status == "failed" and self.fail_fast:
            self.stopped.set()
        return record


def resize_folder(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    transform: Transform,
    *,
    recursive: bool = True,
    jobs: int | None = None,
    executor: Executor | None = None,
    settings: Settings | None = None,
) -> list[Record]:
    """Write what a transform makes of each picture in a folder to another folder, and return what became of each.

    Pictures are known by their extensions. Each output has the name of its input, and the folders of `dst` are those of
    `src`. Outputs appear whole or not at all. What exists is skipped, unless `settings` say otherwise, so that the same
    call again does what is left.

    Args:
        src: the folder of the inputs.
        dst: the folder of the outputs, made where there is none.
        transform: what is done to each picture: one of `resample.transforms`, or any callable from picture to picture
            with a method `output_size`, from the (height, width) of the one to that of the other.
        recursive: whether the folders in `src` count too.
        jobs: how many at a time, a thread each; None is one for each CPU.
        executor: any `concurrent.futures.Executor` that runs the jobs instead, such as a ProcessPoolExecutor or that
            of a Dask client; `jobs` is not used then, and the transform must be one that can be pickled.
        settings: how files are read and written: a `resample.files.Settings`.

    Returns:
        A record for each picture, in the order of their names: `status` is "done", "skipped" or "failed", and `reason`
        says why. A file that cannot be read or written raises nothing.

    Raises:
        NotADirectoryError: `src` is not a folder.
        ValueError: jobs is less than 1.
    """
    src, dst = os.fspath(src), os.fspath(dst)
    if not os.path.isdir(src):
        raise NotADirectoryError(f"src must be a folder, got {src!r}")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    target = os.path.join(dst, "")
    jobs = jobs or usable_cpus()
    alone = jobs == 1 and executor is None
    plan = Plan(
        transform,
        target,
        (settings or Settings(on_exists="skip"))._replace(make_folders=True),
        [each for each in inputs.found([src], recursive, target) if not isinstance(each, inputs.Nothing)],
        threads=None if alone else 1,
    )
    return list(Records(plan, jobs=jobs, executor=executor))
