"""Writing of settings: an agent.toml, and the example that lists all settings."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from p2pnet.config.choices import Choice
from p2pnet.config.section import Section
from p2pnet.config.settings import Settings

_EXAMPLE_HEAD = """\
# One agent of a p2pnet network. Copy to agent.toml and change what differs from the defaults shown.
# Relative paths are taken from this file's directory. Each setting can be overruled by an environment variable
# (P2PNET_NETWORK__BIND=...), and that by a flag (--set network.bind=...).
"""


def write_config(settings: Settings, path: Path) -> None:
    """Write to `path` what differs from the defaults; paths below its directory become relative to it."""
    directory = path.absolute().parent
    tables = []
    for name, section in settings:
        lines = [
            f"{key} = {toml_value(_beside(value, directory))}"
            for key, value in section
            if value is not None and not _is_default(type(section), key, value, directory)
        ]
        if lines:
            tables.append("\n".join([f"[{name}]", *lines]) + "\n")
    path.write_text("\n".join(tables), encoding="utf-8")


def example_config() -> str:
    """Generate an agent.toml with the description and default of each setting."""
    tables = [_EXAMPLE_HEAD]
    for name, section_field in Settings.model_fields.items():
        section: Any = section_field.annotation
        lines = [f"# {section.__doc__}", f"[{name}]"]
        for key, field in section.model_fields.items():
            lines += [f"# {field.description}", *(f"# {line}" for line in choices_of(field)), _example_line(key, field)]
        tables.append("\n".join(lines) + "\n")
    return "\n".join(tables)


def toml_value(value: object) -> str:
    """Format a value in TOML: text, paths, numbers, booleans, sequences and tables of these."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        # A JSON string is a TOML string, but for the one control character that only JSON lets through.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        items = [f"{_toml_key(str(key))} = {toml_value(item)}" for key, item in value.items() if item is not None]
        return "{ " + ", ".join(items) + " }"
    if isinstance(value, BaseModel):
        return toml_value(dict(value))
    if isinstance(value, list | tuple):
        items = [toml_value(item) for item in value]
        if any(item.startswith("{") for item in items):
            return "[\n" + "".join(f"    {item},\n" for item in items) + "]"
        return "[" + ", ".join(items) + "]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_value(key)


def choices_of(field: FieldInfo) -> list[str]:
    """The values that a setting may have, where they have names: a sentence a set of them."""
    shown = [choice.shown for choice in field.metadata if isinstance(choice, Choice)]
    if get_origin(field.annotation) is Literal:
        shown.append(get_args(field.annotation))
    return [f"One of {', '.join(names)}." for names in shown]


def default_of(field: FieldInfo) -> str:
    """The default of a setting as it stands in TOML; nothing where there is none."""
    if field.is_required():
        return "required"
    is_shown = field.default is not None and field.default is not PydanticUndefined
    return f"`{toml_value(field.default)}`" if is_shown else ""


def _example_line(key: str, field: FieldInfo) -> str:
    if field.is_required():
        return f"{key} = {toml_value((field.examples or [])[0])}"
    value = field.examples[0] if field.examples else field.default
    return "\n".join(f"#{line}" for line in f"{key} = {toml_value(value)}".splitlines())


def _beside(value: object, directory: Path) -> object:
    if isinstance(value, Path) and value.is_absolute() and value.is_relative_to(directory):
        return value.relative_to(directory)
    return value


def _is_default(section: type[Section], key: str, value: object, directory: Path) -> bool:
    field = section.model_fields[key]
    if field.default is PydanticUndefined:  # required, or made anew by a factory
        return False
    return bool(_beside(value, directory) == field.default)
