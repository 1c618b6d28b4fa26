"""A server of S3, of moto, that can be told to be busy or to deny: `python s3_server.py PORT FAULTS.json`.

FAULTS.json, if it is there, holds what goes wrong: `busy`, how many requests are answered 503, each second one, and
`denied`, a bucket to which nothing may be written. FAULTS.refused counts the former.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>{}</Message></Error>"


class Faulty:
    """An application that fails as its file says."""

    def __init__(self, faults: Path) -> None:
        self.application = DomainDispatcherApplication(create_backend_app)
        self.faults, self.count, self.refused = faults, 0, 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        faults = json.loads(self.faults.read_text()) if self.faults.exists() else {}
        self.count += 1
        if self.count % 2 and self.refused < faults.get("busy", 0):
            self.refused += 1
            self.faults.with_suffix(".refused").write_text(str(self.refused))
            return self._refuse(start_response, "503 Service Unavailable", "SlowDown", "Reduce your request rate.")
        bucket = environ["PATH_INFO"].split("/")[1]
        if environ["REQUEST_METHOD"] in ("PUT", "POST") and bucket == faults.get("denied", "-"):
            return self._refuse(start_response, "403 Forbidden", "AccessDenied", "Access Denied")
        return self.application(environ, start_response)

    def _refuse(self, start_response: Callable[..., Any], status: str, code: str, message: str) -> list[bytes]:
        body = ERROR.format(code, message).encode()
        start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), Faulty(Path(sys.argv[2])), threaded=True)
