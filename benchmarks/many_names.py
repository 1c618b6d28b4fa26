"""Peak memory of the process that hands out a run over a million objects, of a simulated bucket: `many_names.py COUNT`.

The listing gives pages of 1000, as S3 does; tasks end at once, with a record for each object. Prints JSON.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from concurrent.futures import Executor, Future
from typing import Any

from resample.files import Settings, places
from resample.files.batch import Plan, Records
from resample.files.inputs import Inputs
from resample.files.job import Job, Record
from resample.files.ledger import Ledger
from resample.transforms import Resize

PAGE = 1000


class Bucket:
    """A bucket that holds so many objects in one folder, and none of them."""

    req_kw: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, count: int) -> None:
        self.count = count

    def split_path(self, path: str) -> tuple[str, str, None]:
        bucket, _, key = path.partition("/")
        return bucket, key, None

    def call_s3(self, _: str, **asked: Any) -> dict[str, Any]:
        first = int(asked.get("ContinuationToken", 0))
        last = min(first + PAGE, self.count)
        name = f"{asked['Prefix']}a-folder-with-a-name/picture-{{:012}}.jpg"
        entries = [
            {"Key": name.format(number), "Size": 123_456, "ETag": f'"{number:032x}"'} for number in range(first, last)
        ]
        return {"Contents": entries, "IsTruncated": last < self.count, "NextContinuationToken": str(last)}


class Instant(Executor):
    """Workers that take no time."""

    def submit(self, _: Any, /, *args: Any, **__: Any) -> Future[Any]:
        task: list[Job] = args[0]
        future: Future[Any] = Future()
        future.set_result([Record(job.path, "done", (1, 1), job.output, (1, 1), number=job.number) for job in task])
        return future


def most_kilobytes() -> int:
    """Return the most memory that this process had, on Linux: what `resource` tells may be that of its parent."""
    with open("/proc/self/status") as file:
        return int(re.findall(r"VmHWM:\s+(\d+) kB", file.read())[0])


def main() -> None:
    count = int(sys.argv[1])
    bucket = Bucket(count)
    places._found = lambda path: (bucket, path.removeprefix("s3://"))  # type: ignore[assignment]
    before = most_kilobytes()
    began, done = time.perf_counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            # the second time the ledger knows all, and the bucket is asked what is there
            ledger = Ledger(os.path.join(folder, "ledger"), "options")
            found = Inputs(["s3://bucket/in/"], True, "s3://bucket/out/")
            plan = Plan(
                Resize(max_size=512), "s3://bucket/out/", Settings(on_exists="skip"), found, ledger=ledger, threads=1
            )
            done += sum(record.status == "done" for record in Records(plan, executor=Instant()))
            ledger.close()
    print(
        json.dumps(
            {
                "names": done // 2,
                "base_mb": before // 1024,
                "peak_mb": most_kilobytes() // 1024,
                "names_a_second": round(done / (time.perf_counter() - began)),
            }
        )
    )


if __name__ == "__main__":
    main()
