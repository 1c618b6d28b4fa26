"""What the documents show is what happens."""

from __future__ import annotations

import doctest
import re
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simulated_cuda

import resample

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


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


def test_readme_shell_options_exist() -> None:
    from resample_cli.parser import _build

    known = {option for action in _build()._actions for option in action.option_strings}
    shown = set(re.findall(r"(?<![\w-])--[a-z-]+", "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))))
    assert shown <= known
    assert shown
