"""The names of outputs: in a folder, or by a template."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Callable
from typing import Any, NamedTuple

from resample.files import output
from resample.files.failures import Failure, UsageError
from resample.files.formats import EXTENSIONS, SHARD, extension, is_shard
from resample.files.inputs import Found
from resample.files.places import is_remote
from resample.files.settings import Size, shown

_TEXTS = ("dir", "tree", "stem", "shard", "ext", "scale", "mode")
FIELDS = ("dir", "tree", "stem", "shard", "ext", "width", "height", "scale", "mode", "index")


def is_template(name: str) -> bool:
    """Return whether a name has fields such as {stem}."""
    return "{" in name or "}" in name


def is_folder(name: str) -> bool:
    """Return whether a name is that of a folder: of one that there is, or by ending in /."""
    return name.endswith(("/", os.sep)) or (not is_remote(name) and os.path.isdir(name))


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
            template.format(**dict.fromkeys(("width", "height", "index"), 1), **dict.fromkeys(_TEXTS, "text"))
    except (ValueError, IndexError, KeyError) as error:
        raise UsageError(f"{template!r} is not a template: {error}") from None
    if unknown:
        allowed = ", ".join(f"{{{field}}}" for field in FIELDS)
        raise UsageError(f"{template!r} has {{{unknown[0]}}}, which is not one of {allowed}")
    if re.search(r"\}(.*/)?\.\.(/|$)", template.replace(os.sep, "/")):
        raise UsageError(f"{template!r} has .. behind a field, and so would leave the folder that the field names")
    ending = extension(template)
    if ending not in (*EXTENSIONS, SHARD) and not template.endswith("{ext}"):
        raise UsageError(f"{template!r} must end in {{ext}} or one of {' '.join((*EXTENSIONS, SHARD))}")


class Look(NamedTuple):
    """What the header of an input tells; sizes are (width, height)."""

    size: Size
    output_size: Size
    file_format: str


def label(transform: Any, size: Size) -> str:
    """Return what the name of an output says of how it was made: 2x, 2x1.5x (horizontal, vertical), 640x424, ..."""
    from resample.transforms import ConvTranspose, Scale  # not at the top, where the command's help would wait for it

    if isinstance(transform, ConvTranspose):
        return "conv-transpose"
    if isinstance(transform, Scale):
        factors = transform.scale if isinstance(transform.scale, tuple) else (transform.scale,)
        return "".join(f"{factor:.12g}x" for factor in reversed(factors))
    return shown(size)


def ending(path: str, look: Callable[[], Look], file_format: str | None) -> tuple[str, str]:
    """Return the path without its extension, and the extension of its output.

    Where no format goes by the extension of the input, it stays, and that of its own format is appended.
    """
    root, own = os.path.splitext(path)
    if is_shard(path):
        return root, own
    if own.lower() not in EXTENSIONS:
        return path, output.usual_extension(file_format or look().file_format)
    if file_format and EXTENSIONS[own.lower()] != file_format:
        own = output.usual_extension(file_format)
    return root, own


def beside(path: str, transform: Any, look: Callable[[], Look], file_format: str | None) -> str:
    """Return the name beside the input, as car@2x.jpg for car.jpg."""
    root, own = ending(path, look, file_format)
    return f"{root}@{label(transform, look().output_size)}{own}"


def in_folder(folder: str, source: Found, look: Callable[[], Look], file_format: str | None) -> str:
    """Return the name of an output in a folder, which has the tree of the inputs."""
    return os.path.join(folder, "".join(ending(source.relative, look, file_format)))


def filled(
    template: str, source: Found, transform: Any, look: Callable[[], Look], index: int, file_format: str | None
) -> str:
    """Return the name that a template gives to an output.

    Raises:
        Failure: it leaves the folder that the template begins with, as {dir} may.
    """
    root, own = ending(os.path.basename(source.relative), look, file_format)
    found: dict[str, Any] = {
        "dir": os.path.dirname(source.path) or os.curdir,
        "tree": os.path.dirname(source.relative) or os.curdir,
        "stem": root,
        "shard": root,
        "ext": own,
        "mode": getattr(transform, "mode", "conv-transpose"),
        "index": index,
    }
    if set(_fields(template)) & {"width", "height", "scale"}:
        size = look().output_size
        found |= {"width": size[0], "height": size[1], "scale": label(transform, size)}
    name, root = template.format(**found), os.path.dirname(template.partition("{")[0])
    scheme, colon, place = name.rpartition("://")
    name = f"{scheme}{colon}{os.path.normpath(place)}"
    if root and os.path.relpath(name, root).split(os.sep)[0] == os.pardir:
        raise Failure(f"{source.path}: the output {name} would not be in {root}, with which {template} begins")
    return name


def _fields(template: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
