"""Shards: tar files of pictures and what belongs to them, in webdataset's layout; one is made of one, whole."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from functools import partial
from typing import IO

from resample.files import formats, output, places, writing
from resample.files.failures import Failure, failing_as, reason, warn_of_loss
from resample.files.formats import EXTENSIONS, extension
from resample.files.inputs import check_source
from resample.files.job import Job, Record, attempted, failed, resampled
from resample.files.places import is_remote
from resample.files.room import Share


def run(job: Job) -> list[Record]:
    """Make a shard of a shard, and return what became of it, behind the records of the pictures in it that failed.

    Its members keep their order. Those that are no pictures pass through as they are; a picture that fails is left out.
    """
    failures: list[Record] = []

    def make(_: Share) -> Record:
        with _source(job.path) as source, _target(job) as target:
            count = _copied(job, source, target, failures)
        return Record(job.path, "done", output=job.output, pictures=count)

    record = attempted(job, make, again=False)  # as each picture in it is, it would wait for itself
    return [*(failures if record.status == "done" else []), record]


@contextlib.contextmanager
def _source(path: str) -> Iterator[IO[bytes]]:
    with failing_as(f"{path}: cannot be read"):
        if not is_remote(path):
            check_source(path)
        file = places.opened(path) if is_remote(path) else open(path, "rb")  # noqa: SIM115
    with file:
        yield file


@contextlib.contextmanager
def _target(job: Job) -> Iterator[IO[bytes]]:
    """Give the file that is to be the shard: it gets its name when all is written."""
    path, on_exists = job.output, job.settings.on_exists
    if not is_remote(path):
        output.make_folder(path, job.settings)
        with output.whole_files([path], on_exists) as files:
            yield files[0]
        return
    with failing_as(f"{path}: cannot be written"):
        if on_exists == "skip":
            output.check_in_store(path, on_exists)
        with tempfile.NamedTemporaryFile(prefix="resample-", suffix=formats.SHARD) as file:
            yield file
            file.flush()
            if on_exists != "overwrite" and places.is_there(path):
                output.check_appeared(path, on_exists, is_same=_are_alike(path, file.name))
            else:
                places.upload(file.name, path)


def _are_alike(address: str, path: str) -> bool:
    with places.opened(address) as there, open(path, "rb") as here:
        while (piece := here.read(1 << 20)) == there.read(1 << 20):
            if not piece:
                return True
    return False


def _copied(job: Job, source: IO[bytes], target: IO[bytes], failures: list[Record]) -> int:
    """Copy the members, pictures resampled, and return the number of pictures."""
    count, names = 0, set[str]()
    with (
        _failing(job),
        tarfile.open(fileobj=source, mode="r:") as shard,
        tarfile.open(fileobj=target, mode="w:", format=tarfile.PAX_FORMAT) as made,
    ):
        for member in shard:
            # of a kind that tarfile does not know, too, but not what a link names
            content = None if member.issym() or member.islnk() else shard.extractfile(member)
            if member.issparse():
                # its holes are written, as those who read shards do not expect any
                member.type, member.sparse, member.pax_headers = tarfile.REGTYPE, None, _headers(member)
            if content is None or not member.isreg() or not _is_picture(member.name):
                made.addfile(member, content)
                continue
            data = content.read()
            if len(data) < member.size:
                raise Failure(f"{job.path}: is cut off within {member.name}")
            name = _name(member.name, job.file_format)
            if name in names:
                failures.append(_twice(job, member.name, name))
                continue
            names.add(name)
            picture = job._replace(path=f"{job.path}/{member.name}", output=name)
            encoded = io.BytesIO()
            record = attempted(picture, partial(_encoded, picture, data, encoded))
            if record.status == "done":
                member.name, member.size, member.pax_headers = name, len(encoded.getvalue()), _headers(member)
                encoded.seek(0)
                made.addfile(member, encoded)
                count += 1
                for text in record.warnings:
                    warn_of_loss(text)
            else:
                failures.append(record)
        _check_end(job.path, shard, source)
    return count


@contextlib.contextmanager
def _failing(job: Job) -> Iterator[None]:
    try:
        yield
    except tarfile.TarError as error:
        raise Failure(f"{job.path}: is no shard, or damaged: {reason(error)}") from error
    except OSError as error:
        if error.errno is None:  # tarfile's own
            raise Failure(f"{job.path}: is cut off") from error
        raise Failure(f"{job.output}: cannot be made of {job.path}: {reason(error)}") from error


def _headers(member: tarfile.TarInfo) -> dict[str, str]:
    """Return what an extended header says of a member but its name, size and holes, which are other things now."""
    own = ("path", "size")
    return {
        key: text for key, text in member.pax_headers.items() if key not in own and not key.startswith("GNU.sparse.")
    }


def _is_picture(name: str) -> bool:
    return extension(name) in EXTENSIONS and not os.path.basename(name).startswith(".")


def _name(name: str, file_format: str | None) -> str:
    if file_format and EXTENSIONS[extension(name)] != file_format:
        return os.path.splitext(name)[0] + output.usual_extension(file_format)
    return name


def _twice(job: Job, member: str, name: str) -> Record:
    text = f"{job.path}/{member}: left out, as the shard has another picture {name}"
    return failed(f"{job.path}/{member}", Failure(text))._replace(number=job.number)


def _encoded(job: Job, content: bytes, file: IO[bytes], share: Share) -> Record:
    """Write what is made of a picture to a file in memory."""
    job = job._replace(file_format=job.file_format or formats.of(job.output))
    with resampled(job, share, content) as made:
        file.seek(0)
        file.truncate()
        with failing_as(f"{job.path}: cannot be written"):
            writing.encode(made.frames, job.path, made.file_format, made.found, job.settings, file)
        return Record(job.path, "done", made.size, job.output, made.frames[0].size)


def _check_end(path: str, shard: tarfile.TarFile, source: IO[bytes]) -> None:
    """Refuse a shard without the block of zeros behind its last member: tarfile does not miss it."""
    source.seek(shard.offset)
    if source.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise Failure(f"{path}: is cut off: the end of a tar file is missing")
