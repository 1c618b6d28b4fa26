"""Hooks of mkdocs: the command's help is put into its page, and no page loads anything from another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

from mkdocs.exceptions import PluginError

# elements that load something; links are followed by who wants to
_LOADING = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*\s(?:src|href)=["']?(?:https?:)?//[^>]*>""")


def on_page_markdown(markdown: str, **_: Any) -> str:
    if "{{ help }}" not in markdown:
        return markdown
    command = [sys.executable, "-m", "resample_cli.main", "--help"]
    environment = {**os.environ, "COLUMNS": "110", "NO_COLOR": "1"}
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return markdown.replace("{{ help }}", printed.rstrip())


def on_post_page(output: str, page: Any, **_: Any) -> str:
    found = _LOADING.search(output)
    if found:
        raise PluginError(f"{page.file.src_uri} loads from another host: {found[0]}")
    return output
