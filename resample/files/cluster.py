"""Worker processes of Dask, here or on other machines, as an executor; Dask is imported for these alone."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, NamedTuple

from resample.files import places
from resample.files.failures import Failure, UsageError, reason
from resample.files.job import Transform

_PACKAGE = "resample-images"

# seconds in which a scheduler answers, and has at least one worker
_PATIENCE = 10


class Workers(NamedTuple):
    """What runs tasks."""

    executor: Executor
    threads: int
    """Of threads that run a task each."""
    check: Callable[[], None]
    """Raises a Failure once the scheduler has gone."""


@contextlib.contextmanager
def workers(scheduler: str, transform: Transform, addresses: Sequence[str], device: str | None) -> Iterator[Workers]:
    """Give the workers of a scheduler: tcp://host:8786, FILE.json that it has written, or local:N for N processes here.

    Each has been checked and made ready: it has this version of the package, opens files at `addresses`, has the
    device, and has compiled what the transform takes. So are those that come later.

    Raises:
        Failure: Dask is missing, the scheduler does not answer, has no workers, or one is not fit.
        UsageError: it is none of the three.
    """
    check(scheduler)
    try:
        import distributed

        from resample.files.worker import Ready
    except ImportError:
        raise Failure("--scheduler takes the package distributed: pip install 'resample-images[cluster]'") from None
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado"):
            # what it has to say is said here, in one line
            logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as closing:
        client = closing.enter_context(_client(distributed, scheduler))
        closing.callback(_close, client)
        with _failing(scheduler):
            client.wait_for_workers(1, timeout=_PATIENCE)
            _check_versions(client)
            # one may be in another, as simplecache::s3://
            schemes = [path.partition("://")[0] for path in addresses if places.is_remote(path)]
            kinds = sorted({kind for scheme in schemes for kind in scheme.split("::")})
            # a scheduler may have several runs
            name = f"{Ready.name}-{os.urandom(8).hex()}"
            closing.callback(_forget, client, name)
            client.register_plugin(Ready(transform, kinds, device), name=name)
            count = sum(client.nthreads().values())
        yield Workers(client.get_executor(pure=False, retries=2), count, partial(_check_alive, client, scheduler))


def check(scheduler: str) -> None:
    """Refuse what names no scheduler.

    Raises:
        UsageError: it is not an address, the name of a JSON file or local:N.
    """
    if not re.fullmatch(r"local:[1-9][0-9]{0,3}|[a-z]+://\S+|.+\.json", scheduler):
        raise UsageError(f"--scheduler {scheduler} is not tcp://HOST:PORT, FILE.json or local:N")


@contextlib.contextmanager
def _client(distributed: Any, scheduler: str) -> Iterator[Any]:
    name, _, count = scheduler.partition(":")
    with contextlib.ExitStack() as closing:
        options: dict[str, Any] = {"timeout": _PATIENCE, "set_as_default": False}
        with _failing(scheduler):
            if name == "local":
                cluster = distributed.LocalCluster(
                    n_workers=int(count),
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
                closing.callback(cluster.close, timeout=_PATIENCE)
                options["address"] = cluster
            elif scheduler.endswith(".json") and "://" not in scheduler:
                if not os.path.exists(scheduler):
                    raise Failure(f"--scheduler {scheduler}: there is no such file")
                options["scheduler_file"] = scheduler
            else:
                options["address"] = scheduler
            client = distributed.Client(**options)
        yield client


def _check_alive(client: Any, scheduler: str) -> None:
    if client.status != "running":
        raise Failure(f"--scheduler {scheduler}: it has gone; the same command, with --resume, does what is left")


def _forget(client: Any, plugin: str) -> None:
    """Leave nothing to the scheduler, whose later workers may be those of others, without this package."""
    with contextlib.suppress(Exception):
        if client.status == "running":
            client.unregister_worker_plugin(plugin)


def _close(client: Any) -> None:
    with contextlib.suppress(Exception):
        client.close(timeout=2)


@contextlib.contextmanager
def _failing(scheduler: str) -> Iterator[None]:
    try:
        yield
    except Failure:
        raise
    except TimeoutError:
        raise Failure(f"--scheduler {scheduler}: no scheduler with a worker answers within {_PATIENCE} s") from None
    except Exception as error:
        raise Failure(f"--scheduler {scheduler}: {reason(error)}") from error


def _check_versions(client: Any) -> None:
    """Refuse workers that have another version of the package. Those that come later refuse tasks themselves."""
    found = client.get_versions(packages=[_PACKAGE])
    ours = found["client"]["packages"][_PACKAGE]
    for address, worker in found["workers"].items():
        theirs = worker["packages"][_PACKAGE]
        if theirs != ours:
            raise Failure(f"the worker {address} has {_PACKAGE} {theirs or 'not'} installed, and not {ours} as here")
