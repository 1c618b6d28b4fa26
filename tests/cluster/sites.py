"""Processes at work in a folder: the command, a scheduler of Dask and its workers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SERVER = Path(__file__).with_name("s3_server.py")

# what a plain `pip install -e` gives, and what a checkout without one needs
ROOTS = os.pathsep.join(str(ROOT / folder) for folder in (".", "cli"))


class Site:
    """A folder with 200 pictures, a store with the same, and processes at work there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.faults = folder, folder / "faults.json"
        self.environment = os.environ | {"PYTHONPATH": ROOTS}
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *args: object, **options: Any) -> subprocess.Popen[bytes]:
        with open(self.folder / f"log-{len(self.processes)}.txt", "wb") as log:
            process = subprocess.Popen(
                [sys.executable, *map(str, args)],
                **{"cwd": self.folder, "env": self.environment, "stdout": log, "stderr": log} | options,
            )
        self.processes.append(process)
        return process

    def command(self, *args: object, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "resample_cli.main", *map(str, args)],
            cwd=self.folder, env=self.environment | variables, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    def begun(self, *args: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "resample_cli.main", *map(str, args)],
            cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.processes.append(process)  # type: ignore[arg-type]
        return process

    def scheduler(self, workers: int = 2) -> tuple[str, list[subprocess.Popen[bytes]]]:
        """Start a scheduler and workers of one thread each; return its address, and it and them."""
        port = free_port()
        address = f"tcp://127.0.0.1:{port}"
        started = [self.start("-m", "distributed.cli.dask_scheduler", "--port", port, "--no-dashboard", "--no-show")]
        until(lambda: is_open(port))
        started += [self.worker(address) for _ in range(workers)]
        return address, started

    def worker(self, address: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a worker, in a folder of its own, as those of other machines have."""
        args = ("--nthreads", 1, "--no-nanny", "--no-dashboard", "--death-timeout", 60, "--memory-limit", 0)
        options["cwd"] = self.folder / f"worker-{len(self.processes)}"
        options["cwd"].mkdir()
        return self.start("-m", "distributed.cli.dask_worker", address, *args, **options)

    def fault(self, **faults: Any) -> None:
        """Let the store fail from now on."""
        self.faults.write_text(json.dumps(faults))

    def end(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.communicate()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def is_open(port: int) -> bool:
    with socket.socket() as found:
        return found.connect_ex(("127.0.0.1", port)) == 0


def until(happened: Callable[[], bool]) -> None:
    """Wait for something that happens soon."""
    for _ in range(1200):
        if happened():
            return
        time.sleep(0.05)
    raise AssertionError("it does not happen")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
