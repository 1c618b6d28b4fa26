"""The names of outputs: in a folder, or by a template."""

from __future__ import annotations

import os
import re
import string

from resample_cli import output
from resample_cli.formats import EXTENSIONS, extension
from resample_cli.inputs import Found
from resample_cli.messages import UsageError

FIELDS = ("dir", "tree", "stem", "ext", "width", "height", "scale", "mode", "index")


def is_template(name: str) -> bool:
    """Return whether a name has fields such as {stem}."""
    return "{" in name or "}" in name


def check_template(template: str) -> None:
    """Refuse a template that no name could be made from.

    Raises:
        UsageError: it is not well-formed, has a field that is not known, or ends in no known extension.
    """
    try:
        fields = [parts[1:] for parts in string.Formatter().parse(template) if parts[1] is not None]
        unknown = [field for field, _, _ in fields if field not in FIELDS]
        if any(conversion or not re.fullmatch("0?[0-9]{0,2}", spec or "") for _, spec, conversion in fields):
            raise ValueError("fields take a width of at most two digits, as {index:03} does, and nothing else")
        if not unknown:
            filled(template, Found("dir/stem.png", "dir/stem.png"), (1, 1), "1x1", "nearest", 1, None)
    except (ValueError, IndexError, KeyError) as error:
        raise UsageError(f"{template!r} is not a template: {error}") from None
    if unknown:
        allowed = ", ".join(f"{{{field}}}" for field in FIELDS)
        raise UsageError(f"{template!r} has {{{unknown[0]}}}, which is not one of {allowed}")
    ending = extension(template)
    if ending not in EXTENSIONS and not template.endswith("{ext}"):
        raise UsageError(f"{template!r} must end in {{ext}} or one of {' '.join(EXTENSIONS)}")


def filled(
    template: str, source: Found, size: tuple[int, int], label: str, mode: str, index: int, file_format: str | None
) -> str:
    """Return the name that a template gives to the output of size (width, height)."""
    root, ending = os.path.splitext(os.path.basename(source.path))
    if ending.lower() not in EXTENSIONS:
        root, ending = root + ending, output.usual_extension(file_format)
    name = template.format(
        dir=os.path.dirname(source.path) or os.curdir,
        tree=os.path.dirname(source.relative) or os.curdir,
        stem=root,
        ext=ending,
        width=size[0],
        height=size[1],
        scale=label,
        mode=mode,
        index=index,
    )
    return os.path.normpath(name)


def in_folder(folder: str, source: Found, file_format: str | None) -> str:
    """Return the name of an output in a folder, which has the tree of the inputs."""
    known = extension(source.relative) in EXTENSIONS
    return os.path.join(folder, source.relative if known else source.relative + output.usual_extension(file_format))
