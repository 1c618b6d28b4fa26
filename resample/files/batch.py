"""Many pictures, side by side: one that fails does not stop the others, and each is told of."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, wait
from itertools import chain
from queue import SimpleQueue

import resample
from resample.files import formats, names, output, places, reading, room
from resample.files.claims import Claims
from resample.files.failures import Failure, Skipped, failing_as, heard, listening
from resample.files.formats import is_shard
from resample.files.inputs import STREAM, Found, Inputs, Nothing
from resample.files.job import Job, Record, Transform, failed, output_size, run
from resample.files.ledger import Ledger
from resample.files.names import Look
from resample.files.places import is_remote
from resample.files.settings import Settings
from resample.threads import usable_cpus

# how many workers an executor is taken to have that does not tell
_WORKERS = 32

# What a task of another process takes, in seconds, and how many a second a scheduler may get: a task takes it about a
# millisecond, and a few more pass until its records are back. A task has as many jobs as the last ones let expect; the
# first ones have a few.
_TASK, _TASKS_A_SECOND = 0.25, 200
_MOST, _FIRST = 512, 8

# seconds for which jobs that were begun are waited for when a run is broken off
_PATIENCE = 0.3


class Plan:
    """From inputs, taken in their order, to jobs: what is made of each, under which name.

    Args:
        transform: what is done to each picture.
        target: the name of the one output, a folder that ends in / or exists, a template, `-` for stdout, or None for
            names beside the inputs.
        settings: how files are read and written.
        found: the inputs. They are asked for twice where existing outputs are overwritten, to know the inputs before.
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
        self.found, self.ledger, self.threads = found, ledger, threads
        # what is not overwritten is safe
        pictures = found if settings.on_exists == "overwrite" and not settings.in_place else ()
        paths = (each.path for each in pictures if isinstance(each, Found))
        self.claims = Claims(chain(paths, read), rename=settings.on_exists == "rename")

    def jobs(self, *, sweeps: bool = True) -> Iterator[Job | Record]:
        """Give a job for each input, or the record of one that is not to be made.

        With `sweeps`, what runs that were killed left in the folders of outputs is removed.
        """
        for number, each in enumerate(self.found, 1):
            if isinstance(each, Failure):
                yield Record(str(each), "failed", reason=str(each), number=number)
                continue
            job: Job | Record
            try:
                with listening(), heard(""):  # and dropped, as the job will tell of it
                    job = self._job(number, each, sweeps)
            except Exception as error:
                job = failed(each.path, error)._replace(number=number)
            yield job

    def foreseen(self) -> Iterator[Record]:
        """Give for each input what its job would do, as far as its header tells."""
        for job in self.jobs(sweeps=False):
            yield (job if isinstance(job, Record) else self._foreseen(job)).without_secrets()

    def _foreseen(self, job: Job) -> Record:
        record = Record(job.path, "planned", output=job.output)
        try:
            with listening(), heard(f"{job.path}: ") as warnings:
                output.check_in_store(job.output, job.settings.on_exists)
                if not is_shard(job.path):
                    look = self._look(job.path)
                    formats.check(job.file_format or look.file_format, look.output_size, self.settings.quality)
                    record = record._replace(size=look.size, output_size=look.output_size)
            record = record._replace(warnings=tuple(warnings))
        except Exception as error:
            record = failed(job.path, error)
        return record._replace(number=job.number)

    def _look(self, path: str) -> Look:
        with reading.opened(path, self.settings) as opened:
            return Look(opened.size, output_size(self.transform, opened), opened.file_format)

    def _job(self, number: int, each: Found, sweeps: bool) -> Job:
        path, settings = each.path, self.settings
        if path == STREAM or self.target == STREAM:
            file_format = self.file_format or (formats.of(self.target) if self.target not in (None, STREAM) else None)
            if self.target not in (None, STREAM):
                output.check_target(str(self.target), path, settings)
            return Job(path, self.target or STREAM, file_format, self.transform, settings, self.threads, number)
        if settings.in_place:
            # not the link that may be its name
            name, file_format = os.path.realpath(path) if os.path.islink(path) else path, None
            if not self.claims.is_free(name):
                raise Skipped(f"{path}: is {name}, which is another INPUT too")
            self.claims.claim(name, path)
        else:
            name = self.claims.claim(self._name(number, each), path)
            if is_shard(path) != is_shard(name):
                raise Failure(f"{path}: shards, and only these, are made to shards: the output would be {name}")
            file_format = self.file_format if is_shard(name) else formats.of(name)
        if sweeps and not is_remote(name):
            output.sweep(os.path.dirname(name) or os.curdir)
        if self.ledger:
            with failing_as(f"{path}: cannot be read"):
                state = each.state or (places.state(path) if is_remote(path) else None)
            if self.ledger.has(path, name, state):
                if not is_remote(name):
                    raise Skipped(f"{name}: done before")
                # whoever would make it looks whether it is there
                settings = settings._replace(on_exists="skip")
            elif self.ledger.made(path, name):
                settings = settings._replace(on_exists="overwrite")
        output.check_target(name, path, settings)
        if self.ledger:
            self.ledger.begin(path, name, state)
        return Job(path, name, file_format, self.transform, settings, self.threads, number)

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
    """The records of all inputs of a plan, as they are made: in their order, unless an executor is given.

    Args:
        plan: what is to be made.
        jobs: how many at a time, a thread each; where there is an executor, how many workers it has, if that is known.
        executor: runs the jobs; the caller's own, so it is not shut down. A task is one shard, or as many pictures as
            take a quarter of a second, or longer for more than 50 workers. Twice as many tasks as workers wait in it at
            most.
        fail_fast: whether no more are begun after one that failed.
    """

    def __init__(
        self, plan: Plan, *, jobs: int | None = None, executor: Executor | None = None, fail_fast: bool = False
    ) -> None:
        self.plan, self.fail_fast = plan, fail_fast
        workers = jobs or (1 if executor is None else _WORKERS)
        self.executor = executor or ThreadPoolExecutor(room.fitting(workers))
        self.is_ours, self.most = executor is None, 2 * workers
        self.waiting: dict[Future[list[Record]], list[Job]] = {}
        self.finished: SimpleQueue[Future[list[Record]]] = SimpleQueue()
        self.stopped = threading.Event()
        self.ahead: Job | Record | None = None
        self.task = max(_TASK, workers / _TASKS_A_SECOND)
        self.seconds = self.task / _FIRST

    def __iter__(self) -> Iterator[Record]:
        jobs = self.plan.jobs()
        try:
            with listening():
                while True:
                    while len(self.waiting) < self.most and not self.stopped.is_set() and (task := self._task(jobs)):
                        self._submit(task)
                    if not self.waiting:
                        return
                    yield from self._records(self._next())
                    if self.stopped.is_set():
                        self._cancel()
        finally:
            self.stopped.set()
            self._cancel()
            if self.is_ours:
                self.executor.shutdown(wait=False)

    def late(self) -> list[Record]:
        """Return the records of jobs that are done, or soon will be, after the iteration was broken off."""
        waiting = list(self.waiting)
        wait(waiting, timeout=_PATIENCE)
        return [record for future in waiting if future.done() for record in self._records(future)]

    def _task(self, jobs: Iterator[Job | Record]) -> list[Job] | Record | None:
        """Return the jobs of the next task, or a record that needs none, or None at the end."""
        count = 1 if self.is_ours else max(1, int(self.task / max(self.seconds, self.task / _MOST)))
        first, self.ahead = self.ahead or next(jobs, None), None
        if not isinstance(first, Job):
            return first
        task = [first]
        while len(task) < count and not is_shard(first.path):
            each = next(jobs, None)
            if not isinstance(each, Job) or is_shard(each.path):
                self.ahead = each
                break
            task.append(each)
        return task

    def _cancel(self) -> None:
        for future in self.waiting:
            future.cancel()

    def _submit(self, task: list[Job] | Record) -> None:
        """Hand a task to the executor."""
        future: Future[list[Record]] = Future()
        try:
            if isinstance(task, Record):
                future.set_result([self._noted(None, task)])
            elif self.is_ours:
                # lines of the ledger do not wait for whoever takes the records
                future = self.executor.submit(self._run, task)
            else:
                future = self.executor.submit(run_all, task, _VERSION, os.getcwd())
        except Exception as error:
            future.set_exception(error)
        self.waiting[future] = task if isinstance(task, list) else []
        if not self.is_ours:
            future.add_done_callback(self.finished.put)

    def _next(self) -> Future[list[Record]]:
        """Return the task that was submitted first where threads are ours, else the next that ends."""
        return next(iter(self.waiting)) if self.is_ours else self.finished.get()

    def _run(self, task: list[Job]) -> list[Record]:
        if self.stopped.is_set():
            raise CancelledError
        return [self._noted(task[0], record) for record in _run(task[0])]

    def _records(self, future: Future[list[Record]]) -> list[Record]:
        """Return the records of a task, when it has ended; none if it was not begun."""
        task, is_noted = self.waiting.get(future, []), False
        try:
            records = future.result()
            is_noted = self.is_ours or not task
        except CancelledError:
            if self.stopped.is_set():
                task = []
            records = _all_failed(task, RuntimeError("the executor has cancelled it"))
        except Exception as error:
            # a worker that died, say
            records = _all_failed(task, error)
            if len(task) > 1 and not self.stopped.is_set():
                # one picture may have killed it: each is tried alone
                records = []
                for job in task:
                    self._submit([job])
        # not before, as an interruption here would lose them
        self.waiting.pop(future, None)
        if is_noted:
            return records
        by_number = {job.number: job for job in task}
        for record in records:
            # the first ones take longer, and one may take very long
            self.seconds += (min(record.seconds, self.task) - self.seconds) / 8
        return [self._noted(by_number[record.number], record) for record in records]

    def _noted(self, job: Job | None, record: Record) -> Record:
        if job and self.plan.ledger and record.path == job.path:
            (self.plan.ledger.end if record.status == "done" else self.plan.ledger.fail)(job.path, job.output)
        if record.status == "failed" and self.fail_fast:
            self.stopped.set()
        return record.without_secrets()


_VERSION = resample.__version__


def run_all(task: list[Job], version: str, folder: str) -> list[Record]:
    """Run jobs, perhaps in another process, and return their records.

    The `version` of the package must be the same there; relative paths are those in `folder`.
    """
    if version != _VERSION:
        error = Failure(f"a worker has resample {_VERSION}, which is not {version}")
        return _all_failed(task, error)
    is_here = folder == os.getcwd()
    return [record for job in task for record in (_run(job) if is_here else _run_from(folder, job))]


def _run(job: Job) -> list[Record]:
    if not is_shard(job.path):
        return [run(job)]
    from resample.files import shards  # not at the top, where every run would wait for what reads tar files

    return shards.run(job)


def _run_from(folder: str, job: Job) -> list[Record]:
    """Run a job whose paths are relative to another folder, and return the records that it would have there."""
    path, output = (each if is_remote(each) else os.path.join(folder, each) for each in (job.path, job.output))

    def named(text: str) -> str:
        return text.replace(path, job.path).replace(output, job.output)

    return [
        each._replace(
            path=named(each.path),
            output=each.output and named(each.output),
            reason=named(each.reason),
            warnings=tuple(map(named, each.warnings)),
        )
        for each in _run(job._replace(path=path, output=output))
    ]


def _all_failed(task: list[Job], error: Exception) -> list[Record]:
    return [failed(job.path, error)._replace(number=job.number) for job in task]


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

    Both may be addresses, such as s3://bucket/photos, with the package fsspec and one for their kind, as s3fs is.

    Pictures are known by their extensions. Each output has the name of its input, and the folders of `dst` are those of
    `src`. Outputs appear whole or not at all. What exists is skipped, unless `settings` say otherwise, so that the same
    call again does what is left.

    Args:
        src: the folder of the inputs.
        dst: the folder of the outputs, made where there is none.
        transform: what is done to each picture: one of `resample.transforms`, or any callable from picture to picture
            with a method `output_size`, from the (height, width) of the one to that of the other.
        recursive: whether the folders in `src` count too.
        jobs: how many at a time, a thread each; None is one for each CPU. With an `executor`, how many workers it has:
            twice as many tasks wait in it at most.
        executor: any `concurrent.futures.Executor` that runs the jobs instead, such as a ProcessPoolExecutor or
            `client.get_executor(pure=False, retries=2)` of a Dask client; the transform must be one that can be
            pickled.
        settings: how files are read and written: a `resample.files.Settings`.

    Returns:
        A record for each picture, in the order of their names: `status` is "done", "skipped" or "failed", and `reason`
        says why. A file that cannot be read or written raises nothing.

    Raises:
        NotADirectoryError: `src` is not a folder.
        ValueError: jobs is less than 1.
    """
    src, dst = places.plain(os.fspath(src)), places.plain(os.fspath(dst))
    if is_remote(src):
        src = os.path.join(src, "")
    elif not os.path.isdir(src):
        raise NotADirectoryError(f"src must be a folder, got {src!r}")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    target = os.path.join(dst, "")
    if executor is None:
        jobs = jobs or usable_cpus()
    found = Inputs([src], recursive, target)
    if all(isinstance(each, Nothing) for each in found):
        return []
    plan = Plan(
        transform,
        target,
        (settings or Settings(on_exists="skip"))._replace(make_folders=True),
        found,
        threads=None if jobs == 1 and executor is None else 1,
    )
    return sorted(Records(plan, jobs=jobs, executor=executor), key=lambda record: record.number)
