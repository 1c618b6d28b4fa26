"""What the documents show is what happens."""

from __future__ import annotations

import doctest
import importlib.util
import re
import shlex
import sys
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


def blocks(page: Path) -> str:
    """Return the blocks of Python of a page, as one program."""
    return "\n".join(text for language, text in make_pictures.blocks(page) if language == "python")


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder has a copy of some of images/."""
    (tmp_path / "images").mkdir()
    for path in (ROOT / "images").glob("*.jpg"):
        (tmp_path / "images" / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("images")
def test_readme_python() -> None:
    exec(compile(blocks(ROOT / "README.md"), "README.md", "exec"), {"__name__": "readme"})
    with Image.open("squares/car.jpg") as picture:
        assert picture.size == (224, 224)


@pytest.mark.usefixtures("images")
def test_gpu_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def rand(*shape: int, device: str) -> simulated_cuda.Array:
        assert device == "cuda"
        return simulated_cuda.Array(np.random.default_rng(1).random(shape, np.float32))

    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(rand=rand))
    with simulated_cuda.simulated(monkeypatch) as cuda:
        exec(compile(blocks(ROOT / "docs" / "gpu.md"), "gpu.md", "exec"), {"__name__": "gpu"})
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
    """Pictures may differ by a level or so, as decoders of JPEG do."""
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
