"""The store of compiled kernels: used by later processes without numba, and never trusted blindly."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from resample.kernels import link

CODE = """
import sys, hashlib, numpy as np, resample.functional as F
image = np.random.default_rng(0).integers(0, 256, (1, 3, 40, 50), np.uint8)
result = F.pixel_unshuffle(F.interpolate(image, scale_factor=2, mode="bilinear"), 2)
print("numba" in sys.modules, hashlib.sha256(result.tobytes()).hexdigest())
"""

# what a process does in which this module cannot link
BY_LLVM = "from resample.kernels import link\nlink.linked = lambda *_: None\n"


def start(folder: Path | str, code: str = CODE, **environment: str) -> subprocess.Popen[str]:
    variables = {**os.environ, "RESAMPLE_CACHE_DIR": str(folder), **environment}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[bool, str]:
    """Return whether the process imported numba, and the digest of its result."""
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert stderr == ""
    compiled, digest = stdout.split()
    return compiled == "True", digest


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("store") / "made" / "anew"
    compiled, digest = finish(start(folder))
    assert compiled
    return folder, digest


@pytest.fixture
def store(filled: tuple[Path, str], tmp_path: Path) -> tuple[Path, str]:
    """A private copy of a filled store, and the right digest."""
    folder = tmp_path / "store"
    shutil.copytree(filled[0], folder)
    return folder, filled[1]


def test_second_process_imports_no_numba(store: tuple[Path, str]) -> None:
    folder, digest = store
    assert finish(start(folder)) == (False, digest)
    assert folder.stat().st_mode & 0o077 == 0 or os.name == "nt"


def test_second_process_needs_llvm_only_where_it_cannot_link(store: tuple[Path, str]) -> None:
    folder, digest = store
    asked = CODE.replace("numba", "llvmlite.binding")
    assert finish(start(folder, asked)) == (not link.IS_HERE, digest)
    assert finish(start(folder, BY_LLVM + asked)) == (True, digest)
    assert finish(start(folder, BY_LLVM + CODE)) == (False, digest)


@pytest.mark.skipif(not link.IS_HERE, reason="LLVM links here")
def test_memory_that_may_not_be_run(store: tuple[Path, str]) -> None:
    """Where a system refuses to run what was written, LLVM may know a way."""
    folder, digest = store
    refusing = "import ctypes\nclass Library(ctypes.CDLL):\n    mprotect = staticmethod(lambda *_: -1)\n"
    refusing += "ctypes.CDLL = Library\n" + CODE.replace("numba", "llvmlite.binding")
    assert finish(start(folder, refusing)) == (True, digest)


@pytest.mark.skipif(not link.IS_HERE, reason="LLVM links here")
@pytest.mark.parametrize("source", ["call void @other()", "store i64 1, POINTER @variable"])
def test_code_that_asks_for_more_is_left_to_llvm(source: str) -> None:
    """Functions of other libraries, and variables."""
    import llvmlite.binding as llvm

    from resample.kernels.store import _machine

    machine = _machine()
    text = f"""
    target triple = "{machine.triple}"
    @variable = internal global i64 0
    declare void @other()
    define i32 @kernel() {{
        {source}
        %v = load volatile i64, POINTER @variable
        ret i32 0
    }}
    """
    text = text.replace("POINTER", "i64*" if llvm.llvm_version_info < (17,) else "ptr")
    code = machine.emit_object(llvm.parse_assembly(text))
    assert link.linked(code, "kernel") is None


def test_what_is_no_object_code_is_left_to_llvm() -> None:
    assert link.linked(b"hello", "kernel") is None


def test_no_partial_files_stay(store: tuple[Path, str]) -> None:
    assert {path.suffix or path.name for path in store[0].iterdir()} == {".o", "lock"}


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "text"])
def test_damaged_files_are_made_anew(store: tuple[Path, str], damage: str) -> None:
    folder, digest = store
    for path in folder.glob("*.o"):
        content = bytearray(path.read_bytes())
        if damage == "flipped":
            content[-20] ^= 1
        path.write_bytes(
            {"empty": b"", "cut": content[:-100], "flipped": bytes(content), "text": b"hello\n" * 50}[damage]
        )
    assert finish(start(folder)) == (True, digest)
    assert finish(start(folder)) == (False, digest)


def test_code_under_another_name_is_not_used(store: tuple[Path, str]) -> None:
    """What a kernel's name holds must carry that kernel's own key: swapping two files changes nothing."""
    folder, digest = store
    first, second = sorted(folder.glob("*.o"))[:2]
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    assert finish(start(folder)) == (True, digest)


def test_code_for_another_processor_is_not_used(store: tuple[Path, str]) -> None:
    """A home directory shared by machines of two kinds: each compiles and keeps its own."""
    folder, digest = store
    own = {path.name for path in folder.glob("*.o")}
    foreign = "from resample.kernels import processor\nknown = processor.features()\n"
    foreign += "processor.features = lambda: ('other', *known[1:])\n" + CODE
    assert finish(start(folder, foreign)) == (True, digest)
    assert len({path.name for path in folder.glob("*.o")}) == 2 * len(own)
    assert finish(start(folder)) == (False, digest)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_read_only_store_that_is_empty(tmp_path: Path, filled: tuple[Path, str]) -> None:
    tmp_path.chmod(0o500)
    assert finish(start(tmp_path)) == (True, filled[1])


def test_store_that_cannot_be_a_folder(tmp_path: Path, filled: tuple[Path, str]) -> None:
    """As read-only, for a user whom permissions do not bind."""
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    assert finish(start(occupied)) == (True, filled[1])
    assert finish(start(occupied / "below")) == (True, filled[1])
    assert occupied.read_text() == "not a folder"


def test_writing_fails(tmp_path: Path, filled: tuple[Path, str]) -> None:
    """A full disk, or a folder that turned read-only: the result is right and nothing is left behind."""
    failing = "import os\ndef fail(*_): raise OSError(28, 'No space left on device')\nos.replace = fail\n" + CODE
    assert finish(start(tmp_path, failing)) == (True, filled[1])
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_home_is_missing(filled: tuple[Path, str], tmp_path: Path) -> None:
    nowhere = str(tmp_path / "missing" / "home")
    environment = {"HOME": nowhere, "XDG_CACHE_HOME": "/proc/nowhere", "RESAMPLE_CACHE_DIR": ""}
    variables = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", CODE], env=variables, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["True", filled[1]], done.stderr


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_folder_that_others_may_write_is_not_trusted(store: tuple[Path, str]) -> None:
    folder, digest = store
    folder.chmod(0o777)
    assert finish(start(folder)) == (True, digest)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_files_that_others_may_have_written_are_not_trusted(store: tuple[Path, str]) -> None:
    """The folder of a group is used, but of its files only those that nobody else could write to."""
    folder, digest = store
    folder.chmod(0o770)
    assert finish(start(folder)) == (False, digest)
    for path in folder.glob("*.o"):
        path.chmod(0o660)
    assert finish(start(folder)) == (True, digest)
    assert finish(start(folder)) == (False, digest)
    if os.geteuid() == 0:
        for path in folder.glob("*.o"):
            os.chown(path, 1234, 1234)
        assert finish(start(folder)) == (True, digest)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_in_the_store_is_not_waited_for(store: tuple[Path, str]) -> None:
    folder, digest = store
    for path in folder.glob("*.o"):
        path.unlink()
        os.mkfifo(path)
    assert finish(start(folder)) == (True, digest)


def test_two_processes_fill_it_at_once(tmp_path: Path, filled: tuple[Path, str]) -> None:
    """Each kernel is compiled by one of them, and the other waits for it."""
    counting = "from resample.kernels import store\nmade, compiled = store._object_code, []\n"
    counting += "store._object_code = lambda *args: (compiled.append(args), made(*args))[1]\n"
    both = [start(tmp_path, counting + CODE + "print(len(compiled))") for _ in range(2)]
    found = [process.communicate(timeout=120)[0].split() for process in both]
    assert {digest for _, digest, _ in found} == {filled[1]}
    assert sum(int(count) for *_, count in found) == len(list(tmp_path.glob("*.o"))) > 1
    assert finish(start(tmp_path)) == (False, filled[1])
    assert {path.suffix or path.name for path in tmp_path.iterdir()} == {".o", "lock"}


def test_a_kernel_that_calls_into_python_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from resample.kernels.compile import object_code
    from resample.kernels.store import _machine

    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "raising.py").write_text("def kernel(n):\n    if n > 0:\n        raise ValueError\n    print(n)\n")
    with pytest.raises(RuntimeError, match=r"kernel kernel calls \w+, which is not there without numba"):
        object_code("raising", "kernel", ("int64",), _machine())


def test_object_code_needs_nothing_of_python() -> None:
    from resample.kernels.compile import object_code
    from resample.kernels.store import _machine

    code = object_code(
        "resample.kernels.loops", "pick_4", ("uint8*", "uint8*", "int64*", "int64*", *["int64"] * 8), _machine()
    )
    assert b"Py" not in code
    assert b"numba_" not in code
