"""Kernels compiled once a machine: object code in a folder, loaded without numba in later processes.

Importing numba and calling a cached Numba function costs ten times what resizing a photograph does. So a kernel is
compiled to an object file, which a later process links, by `link` or else by LLVM, and calls through ctypes.

A file begins with a key, all that its code depends on: kernel source, argument types, versions, processor. A file
that is damaged or carries another key is ignored and written anew; a folder that cannot be read or written costs
compile time in each process, nothing else.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import stat
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

import llvmlite

from resample.kernels import link, processor

if TYPE_CHECKING:
    import llvmlite.binding as llvm


class Kernel:
    """A compiled function, which releases the GIL."""

    def __init__(self, code: link.Linked, arguments: tuple[str, ...]) -> None:
        self.address, self._owner = code
        """Of a C function that takes a pointer to its arguments as int64."""
        self.call = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)(self.address)
        """Call it with arguments at an address, whose size was checked."""
        self._size = 8 * len(arguments)

    def __call__(self, arguments: bytes) -> None:
        """Call it with `entry.packed` arguments."""
        self.check(len(arguments))
        self.call(arguments)

    def check(self, size: int) -> None:
        """Refuse arguments of another number of bytes than it reads."""
        if size != self._size:
            raise TypeError(f"the kernel takes {self._size // 8} arguments, got {size // 8}")


# whoever may write here may run code in our process: see `_trusted`
FOLDER_VARIABLE = "RESAMPLE_CACHE_DIR"

_lock = threading.RLock()
_loaded: dict[tuple[str, str, tuple[str, ...]], Kernel] = {}


def kernel(module: str, name: str, arguments: tuple[str, ...]) -> Kernel:
    """Return function `name` of `module`, compiled for `arguments`.

    `arguments` are Numba type names, such as "int64" or, for a pointer, "float32*"; pointers are passed as integers.
    """
    wanted = (module, name, arguments)
    with _lock:
        if wanted not in _loaded:
            code = kept(*wanted, processor.features(), _object_code)
            _loaded[wanted] = Kernel(link.linked(code, "kernel") or _linked_by_llvm(code), arguments)
        return _loaded[wanted]


def kept(
    module: str,
    name: str,
    arguments: tuple[str, ...],
    features: tuple[str, ...],
    compiled: Callable[[str, str, tuple[str, ...]], bytes],
) -> bytes:
    """Return the code of a kernel for a processor: from the folder, or else `compiled` and then kept there."""
    key = _key(module, name, arguments, features)
    folder = _folder()
    path = os.path.join(folder, f"{name}-{zlib.crc32(key):08x}.o") if folder else None
    code = _read(path, key) if path else None
    if code is None:
        with _alone(path):
            # another process may have compiled it meanwhile
            code = _read(path, key) if path else None
            if code is None:
                code = compiled(module, name, arguments)
                if path:
                    _write(path, key, code)
    return code


@contextlib.contextmanager
def _alone(path: str | None) -> Iterator[None]:
    """Within this, no other process compiles the same kernel: a machine may start many at once."""
    with contextlib.ExitStack() as held:
        # without locks each does it
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            if path:
                folder, name = os.path.split(path)
                file = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
                held.callback(os.close, file)
                # the byte at this place stands for the kernel
                fcntl.lockf(file, fcntl.LOCK_EX, 1, zlib.crc32(name.encode()))
        yield


def _object_code(module: str, name: str, arguments: tuple[str, ...]) -> bytes:
    from resample.kernels.compile import object_code

    return object_code(module, name, arguments, _machine())


def _linked_by_llvm(code: bytes) -> link.Linked:
    import llvmlite.binding as llvm

    linked = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
    linked.add_object_file(llvm.ObjectFileRef.from_data(code))
    linked.finalize_object()
    return link.Linked(linked.get_function_address("kernel"), linked)


def _machine() -> llvm.TargetMachine:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=name, features=features, opt=3, jit=True)


def _key(module: str, name: str, arguments: tuple[str, ...], features: tuple[str, ...]) -> bytes:
    """Return, in full, all that the code depends on: it stands in the file, so two kernels cannot be taken for one."""
    versions = [llvmlite.__version__, sys.version, *features]
    return b"\0".join(["\0".join([module, name, *arguments, *versions]).encode(), *_sources(module)])


@cache
def _sources(module: str) -> list[bytes]:
    """Return what the code of a kernel is made from: the files of its folder, and the version of Numba."""
    folder = os.path.join(os.path.dirname(__file__), *module.split(".")[2:-1])
    names = sorted(name for name in os.listdir(folder) if name.endswith(".py"))
    # the text of a file, as importing numba takes long
    return [_source("numba._version"), *(_content(os.path.join(folder, name)) for name in names)]


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _source(module: str) -> bytes:
    parent, _, name = module.rpartition(".")
    package = importlib.util.find_spec(parent)
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError(f"No module named {parent!r}", name=parent)
    return _content(os.path.join(package.submodule_search_locations[0], f"{name}.py"))


def _folder() -> str | None:
    """Return the store's folder, made if need be, or None where there is none to trust."""
    folder = os.environ.get(FOLDER_VARIABLE) or _users_folder()
    try:
        if not folder:
            return None
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return folder if _trusted(os.stat(folder)) else None
    except OSError:
        return None


def _users_folder() -> str | None:
    """Return the folder in this user's cache, or None where the user has no home."""
    if sys.platform == "linux":
        # platformdirs gives the same, but takes a twentieth of the time of the command to import
        root = os.environ.get("XDG_CACHE_HOME", "")
        folder = os.path.join(root if os.path.isabs(root) else os.path.expanduser("~/.cache"), "resample")
    else:
        import platformdirs

        folder = platformdirs.user_cache_dir("resample", appauthor=False)
    return folder if os.path.isabs(folder) else None


def _trusted(status: os.stat_result) -> bool:
    """Return whether nobody but this user and root may replace a file, or a file be written to: a folder or a file.

    Folders of a group are trusted, because of each user's own that many systems make; files of others in them are not.
    """
    if not hasattr(os, "geteuid"):
        return True
    forbidden = 0o022 if stat.S_ISREG(status.st_mode) else 0o002
    return status.st_uid in (os.geteuid(), 0) and not status.st_mode & forbidden


def _header(key: bytes, code: bytes) -> bytes:
    return key + b"\0" + zlib.crc32(code).to_bytes(4, "little")


def _read(path: str, key: bytes) -> bytes | None:
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or not _trusted(status):
            return None
        content = _content(path)
    except OSError:
        return None
    code = content[len(_header(key, b"")) :]
    return code if content == _header(key, code) + code else None


def _write(path: str, key: bytes, code: bytes) -> None:
    import tempfile

    partial = None
    try:
        folder, name = os.path.split(path)
        descriptor, partial = tempfile.mkstemp(dir=folder, prefix=name, suffix=".partial")
        with open(descriptor, "wb") as file:
            file.write(_header(key, code) + code)
        os.replace(partial, path)
    except OSError:
        if partial:
            with contextlib.suppress(OSError):
                os.unlink(partial)


if hasattr(os, "register_at_fork"):
    # a child must not inherit a lock, or a half-made kernel, from a thread that stayed with the parent
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
