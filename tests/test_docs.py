"""What the documents show is what happens."""

from __future__ import annotations

import doctest
import importlib.util
import re
import shlex
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simulated_cuda
from PIL import Image
from resample_cli.parser import parse

import resample

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_spec = importlib.util.spec_from_file_location("make_pictures", ROOT / "docs" / "make_pictures.py")
assert _spec
assert _spec.loader
make_pictures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_pictures)


def test_torch_page() -> None:
    failed, tried = doctest.testfile(str(ROOT / "docs" / "torch.md"), module_relative=False)
    assert tried >= 7
    assert not failed


def test_examples_of_transforms() -> None:
    failed, tried = doctest.testmod(resample.transforms)
    assert tried >= 10
    assert not failed


def test_readme_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks run as one program, in a copy of the folder that they name."""
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 2
    (tmp_path / "images").mkdir()
    for path in (ROOT / "images").glob("*.jpg"):
        (tmp_path / "images" / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "readme"}
    on_cpu = [block for block in blocks if 'device="cuda"' not in block]
    exec(compile("\n".join(on_cpu), "README.md", "exec"), names)
    assert (tmp_path / "images" / "car.small.jpg").exists()

    def rand(*shape: int, device: str) -> simulated_cuda.Array:
        assert device == "cuda"
        return simulated_cuda.Array(np.random.default_rng(1).random(shape, np.float32))

    (on_gpu,) = [block for block in blocks if block not in on_cpu]
    with simulated_cuda.simulated(monkeypatch) as cuda:
        exec(compile(on_gpu, "README.md", "exec"), {**names, "torch": types.SimpleNamespace(rand=rand)})
        assert cuda.launches


def test_ci_runs_the_test_command_of_the_readme() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv .venv")]
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text().splitlines()


def commands(text: str) -> list[str]:
    """Return the command lines of a page, in its blocks of shell and in its sentences."""
    shell = "\n".join(re.findall(r"^```sh(?:ell)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    return re.findall(r"^resample .*", shell, re.MULTILINE) + re.findall(r"`(resample [^`]+)`", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_parse(page: Path) -> None:
    for line in commands(page.read_text()):
        if line != "resample --help":
            parse(shlex.split(re.split(r"\s[<>|]\s", line)[0], comments=True)[1:])


def test_commands_are_found() -> None:
    found = [line for page in PAGES for line in commands(page.read_text())]
    assert len(found) > 80
    assert "resample car.jpg --scale 2" in found


def pixels(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGBA")).astype(int)


@pytest.mark.parametrize("page", make_pictures.PAGES, ids=lambda page: page.name)
def test_pages_run_and_their_pictures_are_new(page: Path, tmp_path: Path) -> None:
    """Decoders of JPEG differ by a level or two, so pictures may."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of others' packages
        make_pictures.walk(page, tmp_path)
    for name in make_pictures.embedded(page):
        made, kept = (pixels(folder / name) for folder in (tmp_path, ROOT / "docs" / "pictures"))
        assert made.shape == kept.shape
        assert np.abs(made - kept).mean() < 1


def test_pictures_are_embedded() -> None:
    kept = {path.name for path in (ROOT / "docs" / "pictures").iterdir()}
    assert kept == {name for page in make_pictures.PAGES for name in make_pictures.embedded(page)}
