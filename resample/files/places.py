"""Files at an address, such as s3://bucket/car.jpg, which fsspec reads and writes; it is imported for these alone."""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import re
import time
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple, TypeVar

from resample.files.failures import Failure, reason

Answer = TypeVar("Answer")

# also one in another, as simplecache::s3://bucket/car.jpg; without // a file here may have the name, as std::vector.png
_ADDRESS = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*::)*[A-Za-z][A-Za-z0-9+.-]*://")
_LOCAL = re.compile(r"(?:file|local)://(?=/)")
_ALIAS = re.compile(r"(s3)a(?=://)|(g)c(s)(?=://)")

# The host of an address may have a name and a password before it, and a signature may be its query. The keys of objects
# have no queries, but perhaps a ?. A path may have spaces and quotes, so a query is looked for up to the next address.
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*://"
_IN_TEXT = re.compile(rf"({_SCHEME})([^\s/]*@)?([^?]*?)(\?[^\s'\"]*|(?={_SCHEME})|$)", re.DOTALL)
_OF_KEYS = ("s3", "gs", "memory")

# Stores where an object appears whole when its PUT ends. Elsewhere a file gets its name when it is whole.
_OF_OBJECTS = (*_OF_KEYS, "az", "abfs", "abfss", "adl", "oci", "oss")

# What a store says that has too much to do, or restarts; and the seconds before each new try.
_PASSING = {errno.EBUSY, errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EPIPE}
_PASSING |= {getattr(errno, "EREMOTEIO", errno.EBUSY)}  # an error within it
_PAUSES = (0.5, 1, 2, 4, 8, 16)

# The entries that change with the content of a file, by the names that the file systems of fsspec give them.
_VERSIONS = (
    "ETag",
    "etag",
    "md5Hash",
    "content_md5",
    "generation",
    "mtime",
    "LastModified",
    "last_modified",
    "modify",
    "modificationTime",
    "Last-Modified",
    "created",
)


class Listed(NamedTuple):
    """A file in a folder."""

    path: str
    """Within the folder, with /."""
    state: list[Any] | None
    """What changes with its content: its size, and a digest or a time, each None where the store does not tell."""


def is_remote(path: str) -> bool:
    """Return whether a path is an address. Those of local files are none once they are `plain`."""
    return _ADDRESS.match(path) is not None


def plain(path: str) -> str:
    """Return the path that file:///home/car.jpg means, one name for each kind of store, and others as they are."""
    path = _LOCAL.sub("", path, count=1) if _LOCAL.match(path) else path
    return _ALIAS.sub(r"\1\2\3", path, count=1) if _ALIAS.match(path) else path


def shown(text: str) -> str:
    """Return a text without what gives access to the addresses in it: names, passwords and queries."""

    def without(match: re.Match[str]) -> str:
        scheme, user, place, query = match.groups()
        # abfs://container@account/ has no name of a user
        user = user if user and scheme.startswith("abfs") and ":" not in user else ""
        return f"{scheme}{user}{place}{_query(scheme, query, '...')}"

    return _IN_TEXT.sub(without, text) if "://" in text and ("@" in text or "?" in text) else text


def known_as(path: str) -> str:
    """Return the name by which a file is known from run to run: an address without what gives access to it."""
    if not is_remote(path):
        return os.path.abspath(path)
    query = path.partition("?")[2]
    if not query:
        return shown(path)
    import hashlib  # of OpenSSL, which takes as long to load as all of ours

    digest = hashlib.sha256(query.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return shown(path.partition("?")[0]) + _query(path, f"?{query}", digest)


def _query(path: str, query: str, instead: str) -> str:
    return query if not query or _scheme(path) in _OF_KEYS else f"?{instead}"


def split(path: str) -> tuple[str, str, str]:
    """Return what stands before and behind the part of an address that names a file; these are empty for most.

    Of simplecache::s3://in/car.jpg that is the last part, of zip://in/car.jpg::s3://bucket/cars.zip the first.
    """
    parts = path.split("::") if is_remote(path) else [path]
    place = next(number for number, part in enumerate(parts) if number == len(parts) - 1 or "://" in part)
    return (
        "".join(f"{part}::" for part in parts[:place]),
        parts[place],
        "".join(f"::{part}" for part in parts[place + 1 :]),
    )


def without_query(path: str) -> str:
    """Return an address without what follows its file's name, as the signature of https://host/car.jpg?sig=1 does."""
    return path.partition("?")[0] if _scheme(path) in ("http", "https") else path


def _scheme(path: str) -> str:
    return path.partition("://")[0].lower()


def check(kind: str) -> None:
    """Refuse a kind of address that cannot be opened.

    Raises:
        Failure: a package is missing.
    """
    try:
        from fsspec import get_filesystem_class

        get_filesystem_class(kind)
    except (ImportError, ValueError) as error:
        raise Failure(f"{kind}://: {reason(error)}") from None


def read(path: str) -> bytes:
    """Return the content of a file.

    Raises:
        Failure: a package is missing, or the address is none.
        OSError, or what else the store raises: it cannot be read.
    """
    files, name = _found(path)
    content: bytes = _patiently(files.cat_file, name)
    return content


def write(path: str, content: bytes, *, new: bool) -> None:
    """Write a file that appears whole or not at all.

    Raises:
        FileExistsError: it is there, and must be `new`.
        Failure, OSError or what else the store raises: it cannot be written.
    """
    files, name = _found(path)
    if _scheme(path) == "s3":
        _patiently(files.pipe_file, name, content, mode="create" if new else "overwrite")
        return
    if new and _patiently(files.exists, name):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    with _getting_its_name(files, name, path) as part:
        _patiently(files.pipe_file, part, content)


@contextlib.contextmanager
def _getting_its_name(files: Any, name: str, path: str) -> Iterator[str]:
    """Give the name under which a file is written: its own where it appears whole, else one that is moved to it."""
    if _scheme(path) in _OF_OBJECTS:
        yield name
        return
    folder = posixpath.dirname(name)
    files.makedirs(folder, exist_ok=True)
    part = posixpath.join(folder, f".resample-{os.urandom(8).hex()}")
    try:
        yield part
        _patiently(files.mv, part, name)
    except BaseException:
        with contextlib.suppress(Exception):
            files.rm_file(part)
        raise


def opened(path: str) -> IO[bytes]:
    """Return a file at an address for reading; it is read in pieces as they are asked for."""
    files, name = _found(path)
    file: IO[bytes] = _patiently(files.open, name, "rb")
    return file


def upload(local: str, path: str) -> None:
    """Make a local file one at an address, which appears whole or not at all.

    Raises:
        Failure, OSError or what else the store raises: it cannot be written.
    """
    files, name = _found(path)
    with _getting_its_name(files, name, path) as part:
        _patiently(files.put_file, local, part)


def is_there(path: str) -> bool:
    """Return whether there is a file, or anything else, at a path or an address."""
    if not is_remote(path):
        return os.path.lexists(path)
    files, name = _found(path)
    if _scheme(path) != "s3":
        return bool(_patiently(files.exists, name))
    # fsspec would list the bucket besides, to find a folder of this name
    bucket, key, _ = files.split_path(name)
    try:
        _patiently(files.call_s3, "head_object", Bucket=bucket, Key=key, **files.req_kw)
    except FileNotFoundError:
        return False
    return True


def is_file(path: str) -> bool:
    """Return whether there is a file at an address."""
    files, name = _found(path)
    return bool(_patiently(files.isfile, name))


def listed(path: str, recursive: bool) -> Iterator[Listed]:
    """Give the files of a folder at an address, and with `recursive` those of its folders.

    Only a part of a bucket of S3 is in memory at a time; of other stores, one folder.

    Raises:
        Failure, OSError or what else the store raises: it cannot be listed.
    """
    files, root = _found(path)
    if _scheme(path) == "s3":
        yield from _pages_of_s3(files, root, recursive)
        return
    root, waiting = root.rstrip("/"), [root.rstrip("/")]
    while waiting:
        folder = waiting.pop()
        entries = sorted(_patiently(files.ls, folder, detail=True), key=lambda entry: entry["name"])
        files.invalidate_cache(folder)
        for entry in entries:
            name = entry["name"].rstrip("/")
            if entry["type"] != "directory":
                yield Listed(name[len(root) :].lstrip("/"), _state(entry))
        below = [entry["name"].rstrip("/") for entry in entries if entry["type"] == "directory"]
        waiting += reversed([name for name in below if recursive and name != folder])


def _pages_of_s3(files: Any, root: str, recursive: bool) -> Iterator[Listed]:
    """Give the objects below a prefix page by page: fsspec would hold a million of them as dictionaries, of 1.5 GB."""
    bucket, prefix, _ = files.split_path(root)
    prefix = f"{prefix.rstrip('/')}/" if prefix else ""
    asked = {"Bucket": bucket, "Prefix": prefix} | ({} if recursive else {"Delimiter": "/"}) | files.req_kw
    while True:
        page = _patiently(files.call_s3, "list_objects_v2", **asked)
        for each in page.get("Contents", ()):
            if not each["Key"].endswith("/"):
                yield Listed(each["Key"][len(prefix) :], [each["Size"], each["ETag"]])
        if not page.get("IsTruncated"):
            return
        asked["ContinuationToken"] = page["NextContinuationToken"]


def matching(pattern: str, folder: str) -> list[Listed]:
    """Return the files that a pattern with * ? or [ matches, in order, by their paths in the folder it begins with."""
    files, name = _found(pattern)
    root = _found(folder)[1].rstrip("/")
    found = sorted(_patiently(files.glob, name, detail=True).items())
    start = len(root) + 1 if root else 0
    return [Listed(path[start:], _state(entry)) for path, entry in found if entry["type"] != "directory"]


def state(path: str) -> list[Any] | None:
    """Return of a file at an address what `Listed` has of those in a folder.

    Raises:
        Failure, OSError or what else the store raises: it cannot be looked at.
    """
    files, name = _found(path)
    return _state(_patiently(files.info, name))


def _state(entry: dict[str, Any]) -> list[Any] | None:
    size, version = entry.get("size"), next((str(entry[key]) for key in _VERSIONS if entry.get(key)), None)
    return None if size is None and version is None else [size, version]


def _found(path: str) -> tuple[Any, str]:
    """Return the file system of an address, and the name of the file in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise Failure(
            f"{shown(path)}: addresses take the package fsspec: pip install 'resample-images[remote]'"
        ) from None
    try:
        files, name = url_to_fs(path)
    except (ImportError, ValueError) as error:
        # a package for this kind of address is missing, or there is no such kind
        raise Failure(f"{shown(path)}: {reason(error)}") from None
    return files, name


def _patiently(call: Callable[..., Answer], *args: Any, **options: Any) -> Answer:
    """Call, and call again while what is raised is likely to pass."""
    for pause in _PAUSES:
        try:
            return call(*args, **options)
        except (ConnectionError, TimeoutError):
            pass
        except OSError as error:
            if error.errno not in _PASSING:
                raise
        time.sleep(pause)
    return call(*args, **options)
