"""Reading of settings; precedence: command-line flag, environment, file, default."""

import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from p2pnet.config.settings import Settings
from p2pnet.errors import ConfigError

ENVIRONMENT_PREFIX = "P2PNET_"

Key = tuple[str | int, ...]

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text in quotes",
    "path": "a path in quotes",
    "tuple": "a list in square brackets",
    "model": "a table of settings",
}
_BOUNDS = {
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "string_too_short": "at least {min_length} characters long",
    "string_too_long": "at most {max_length} characters long",
    "too_short": "a list of at least {min_length}",
    "string_pattern_mismatch": "written as in package.module:function",
}


def read_settings(path: Path, flags: Iterable[str] = (), environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings in `path`, overridden by `environment`, overridden by `flags`.

    A flag is `section.key=value`; an environment variable is `P2PNET_SECTION__KEY`; others that begin with P2PNET_ are
    passed over, since Kubernetes sets P2PNET_PORT and the like beside a Service of that name. Both hold the bare value,
    or a TOML value where a list or table is expected. Relative paths, wherever given, are taken from the file's
    directory. ConfigError names the file, variable or flag, and of each wrong setting the key, what was wrong and what
    would be right.
    """
    values = _read_toml(path)
    origins: dict[Key, str] = {}
    for variable, text in sorted(environment.items()):
        if variable.startswith(ENVIRONMENT_PREFIX):
            origin = f"environment variable {variable}"
            section, separator, name = variable.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
            if not separator:
                _refuse_single_underscore(section, origin)
                continue
            _overrule(values, origins, (section, name), text, origin)
    _overrule_by_flags(values, origins, flags)
    return _validate(values, origins, str(path)).relative_to(path.parent)


def values_of_flags(flags: Iterable[str]) -> dict[str, Any]:
    """The values of flags, as `settings_of` takes them; ConfigError for a setting that there is not, or a value that it
    cannot have.
    """
    tables: dict[str, Any] = {}
    origins: dict[Key, str] = {}
    _overrule_by_flags(tables, origins, flags)
    return _values_of(tables, origins, "command line")


def values_of_file(path: Path) -> dict[str, Any]:
    """The values of a file of settings, which need not be complete, as `settings_of` takes them; ConfigError as with
    flags.
    """
    return _values_of(_read_toml(path), {}, str(path))


def _values_of(tables: dict[str, Any], origins: Mapping[Key, str], origin: str) -> dict[str, Any]:
    checked = {"data": {"source": "samples.npz"}, **tables}
    if isinstance(tables.get("data"), dict):
        checked["data"] = {"source": "samples.npz", **tables["data"]}
    _validate(checked, origins, origin)
    return {f"{section}.{name}": value for section, table in tables.items() for name, value in table.items()}


def settings_of(values: Mapping[str, Any], origin: str) -> Settings:
    """The settings of values by `section.key`; None stands for the default.

    ConfigError, which begins with `origin`, for what is wrong.
    """
    tables: dict[str, Any] = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        if value is not None:
            tables.setdefault(section, {})[name] = value
    return _validate(tables, {}, origin)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors on Windows write a byte order mark
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; p2pnet init and p2pnet join write one") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error


def _refuse_single_underscore(words: str, origin: str) -> None:
    """Refuse what names a setting but for the second underscore, `log_level`, which would be passed over in silence."""
    for section in Settings.model_fields:
        name = words.removeprefix(f"{section}_")
        if name != words and name in _fields((section,)):
            right = f"{ENVIRONMENT_PREFIX}{section.upper()}__{name.upper()}"
            raise ConfigError(f"{origin}: must be named {right}, with two underscores, or be unset")


def _overrule_by_flags(values: dict[str, Any], origins: dict[Key, str], flags: Iterable[str]) -> None:
    for flag in flags:
        key, equals, text = flag.partition("=")
        section, _, name = key.strip().partition(".")
        if not equals:
            raise ConfigError(f"--set {flag}: must be written as in --set algorithm.rounds=200")
        _overrule(values, origins, (section, name), text.strip(), "command line")


def _overrule(values: dict[str, Any], origins: dict[Key, str], key: tuple[str, str], text: str, origin: str) -> None:
    section, name = key
    if section not in Settings.model_fields:
        raise ConfigError(f"{origin}: {_unknown((section,))}")
    if name not in _fields((section,)):
        raise ConfigError(f"{origin}: {_unknown((section, name))}")
    table = values.setdefault(section, {})
    if isinstance(table, dict):  # else the file's error is told first
        table[name] = _bare_value(text, origin)
        origins[key] = origin


def _bare_value(text: str, origin: str) -> object:
    if not text.startswith(("[", "{")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin}: {text} is not a TOML list or table: {error}") from error


def _validate(values: dict[str, Any], origins: Mapping[Key, str], file: str) -> Settings:
    for section in Settings.model_fields:
        values.setdefault(section, {})
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        of_settings: dict[Key, str] = {}
        # What there is not comes first: it may be the misspelt name of what is missing.
        for found in sorted(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden"):
            key: Key = tuple(part for part in found["loc"] if not _is_kind(part))
            of_settings.setdefault(key[:2], f"{origins.get(key[:2], file)}: {_wrong(key, found)}")
        first, *more = of_settings.values()
        if more:
            raise ConfigError(f"{file}: {len(of_settings)} settings are wrong", [first, *more]) from None
        raise ConfigError(first) from None


def _wrong(key: Key, found: ErrorDetails) -> str:
    """What is wrong with a setting, and what would be right."""
    if found["type"] == "extra_forbidden":
        return _unknown(key)
    if found["type"] == "missing":
        example = (_fields(key[:-1])[str(key[-1])].examples or [""])[0]
        return f'{_dotted(key)} is missing; add {key[-1]} = "{example}"'
    given = "" if isinstance(found["input"], dict | list | BaseModel) else f" = {_shown(found['input'])}"
    return f"{_dotted(key)}{given}: {_requirement(found['type'], found.get('ctx', {}), found['msg'])}"


def _is_kind(part: int | str) -> bool:
    """Whether a part of a place says as which of several kinds a value was read, as `dict[str,float]` does."""
    return isinstance(part, str) and part.startswith(("dict[", "literal["))


def _requirement(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"must be one of {context['expected']}"
    if kind in _BOUNDS:
        return "must be " + _BOUNDS[kind].format(**context)
    expected = _KINDS.get(kind.split("_")[0])
    return f"must be {expected}" if expected else message


def _unknown(key: Key) -> str:
    import difflib  # only a misspelt key needs it

    known = list(_fields(key[:-1]))
    close = difflib.get_close_matches(str(key[-1]), known, n=1)
    if close:
        hint = f"did you mean {_dotted((*key[:-1], close[0]))}?"
    else:
        where = f"[{_dotted(key[:-1])}] has" if len(key) > 1 else "the sections are"
        hint = f"{where} {', '.join(known)}"
    kind = "section" if len(key) == 1 else "setting"
    return f"{_dotted(key)}: no such {kind}; {hint}"


def _fields(key: Key) -> dict[str, FieldInfo]:
    """The settings in the table at `key`, by name."""
    model: Any = Settings
    for part in key:
        model = model.model_fields[part].annotation if isinstance(part, str) else model.__args__[0]
        if isinstance(model, UnionType):  # a table or none
            model = model.__args__[0]
    fields: dict[str, FieldInfo] = model.model_fields
    return fields


def _dotted(key: Key) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).removeprefix(".")


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
