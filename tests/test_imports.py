"""What an import costs, and the one direction in which modules import each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import resample

ROOT = Path(resample.__file__).parent

# each module may import those below it in this list
LAYERS = [
    ["resample.files.batch", "resample.files.cluster"],
    ["resample.files.shards", "resample.files.worker"],
    ["resample.files.job", "resample.files.claims", "resample.files.ledger", "resample.files.names"],
    ["resample.files.reading", "resample.files.writing", "resample.files.room"],
    ["resample.files.output"],
    ["resample.files.inputs"],
    ["resample.files.formats"],
    ["resample.files.places"],
    ["resample.files.failures", "resample.files.settings"],
    ["resample.nn", "resample.transforms"],
    ["resample.functional"],
    ["resample.frame", "resample.image", "resample.picture_operators"],
    ["resample.picture"],
    ["resample.storage"],
    ["resample.interpolate", "resample.convolution", "resample.pooling", "resample.shuffle"],
    ["resample.apply", "resample.convolution_gpu", "resample.pooling_gpu"],
    ["resample.devices", "resample.team"],
    ["resample.kernels.cpu", "resample.kernels.cuda.passes"],
    ["resample.kernels.tables"],
    ["resample.kernels.entry"],
    ["resample.kernels.cuda.driver"],
    ["resample.kernels.cuda.ptx"],
    [
        "resample.kernels.cuda.byte_shrinking",
        "resample.kernels.cuda.byte_sums",
        "resample.kernels.cuda.convolution",
        "resample.kernels.cuda.copies",
        "resample.kernels.cuda.pooling",
    ],
    ["resample.kernels.cuda.sums"],
    ["resample.kernels.cuda.memory", "resample.kernels.cuda.constants"],
    ["resample.kernels.store"],
    ["resample.kernels.link"],
    ["resample.kernels.compile"],
    ["resample.kernels.halving"],
    ["resample.kernels.byte_sums", "resample.kernels.float_sums", "resample.kernels.copies"],
    [
        "resample.kernels.bands",
        "resample.kernels.rows",
        "resample.kernels.loops",
        "resample.kernels.convolution",
        "resample.kernels.shuffle",
        "resample.kernels.pooling",
    ],
    ["resample.kernels.pages", "resample.kernels.past"],
    ["resample.kernels.simd"],
    ["resample.linear_light"],
    ["resample.blocks"],
    ["resample.kernels.sizes", "resample.kernels.board", "resample.kernels.processor"],
    ["resample.convolution_shape"],
    ["resample.taps"],
    ["resample.filters", "resample.coordinates"],
    ["resample.rounding"],
    ["resample.threads", "resample.arrays", "resample.memory"],
    ["resample.arguments", "resample.sizes"],
]


def loaded_after(code: str) -> set[str]:
    """Return the top-level names of all modules in a new process that ran `code`."""
    report = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_import_resample_is_light() -> None:
    assert not loaded_after("import resample") & {"numba", "llvmlite", "PIL", "torch", "scipy"}


def test_help_imports_no_numpy() -> None:
    code = """
import sys
from resample_cli.main import run
sys.argv = ["resample", "--help"]
try:
    run()
except SystemExit:
    pass
"""
    assert not loaded_after(code) & {"numpy", "numba", "llvmlite", "PIL", "torch"}


def test_pictures_do_not_wait_for_shards_and_stores() -> None:
    code = "import resample_cli.main, resample_cli.batch"
    assert not loaded_after(code) & {"tarfile", "tempfile", "hashlib", "fsspec", "distributed"}


def imports_of(path: Path) -> set[str]:
    """Return the modules of this package that a file imports at run time, in functions too."""
    found: set[str] = set()

    class Finder(ast.NodeVisitor):
        def visit_If(self, node: ast.If) -> None:
            if getattr(node.test, "id", None) != "TYPE_CHECKING":
                self.generic_visit(node)

        def visit_Import(self, node: ast.Import) -> None:
            found.update(alias.name for alias in node.names)

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            assert node.level == 0, f"{path} imports relatively"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
            found.add(str(node.module))

    Finder().visit(ast.parse(path.read_text()))
    return found


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)


def test_imports_run_one_way() -> None:
    rank = {name: level for level, names in enumerate(LAYERS) for name in names}
    paths = [path for path in ROOT.rglob("*.py") if path.name != "__init__.py"]
    assert {module_name(path) for path in paths} == set(rank), "LAYERS must name every module"
    for path in paths:
        name = module_name(path)
        for imported in imports_of(path) & set(rank):
            assert rank[imported] > rank[name], f"{name} imports {imported}"


def test_who_imports_what() -> None:
    for path in ROOT.rglob("*.py"):
        name, imported = module_name(path), {full.partition(".")[0] for full in imports_of(path)}
        assert "torch" not in imported
        assert "resample_cli" not in imported
        if not name.startswith("resample.kernels."):
            assert not imported & {"numba", "llvmlite"}, name
        if name not in ("resample.picture", "resample.frame", "resample.storage") and ".files." not in name:
            assert "PIL" not in imported, name


def test_public_names_exist() -> None:
    for name in resample.__all__:
        assert hasattr(resample, name)
    for name in resample.functional.__all__:
        assert hasattr(resample.functional, name)


def test_the_command_offers_the_modes_of_the_library() -> None:
    from resample_cli import parser

    from resample import image, picture_operators
    from resample.interpolate import MODES

    rows = {name: MODES[name] for name in image.PICTURE_MODES}
    assert set(parser.MODES) == set(rows)
    assert set(parser.ANTIALIASING_MODES) == {name for name, row in rows.items() if row.antialias_filter}
    assert set(parser.ALIGNING_MODES) == {name for name, row in rows.items() if row.aligns and row.filter}
    assert set(parser.KERNELS) == set(picture_operators.KERNELS)
