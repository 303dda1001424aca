"""Loading of settings: defaults < preset < `--config` FILE < environment (`RAGCUN_...`) < flags."""

import os
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from ragcun.errors import UserError, did_you_mean, what_it_must_be
from ragcun.settings.schema import Settings

PREFIX = "RAGCUN_"
# Former names of settings, for messages that give the new one.
RENAMED = {
    "keep_base": "lambda_distill",
    "share": "interpolate",
    "share_tolerance": "interpolate_tolerance",
    "abroad": "out_of_domain",
}
# Environment variables of ragcun that are not settings.
_OTHER_VARIABLES = {"RAGCUN_BEIR_URL", "RAGCUN_CACHE_DIR", "RAGCUN_COLLECTIONS", "RAGCUN_DEBUG"}


def preset_names() -> list[str]:
    """List the presets, the fastest first."""
    return ["demo", "prototype", "medium", "hybrid"]


def preset_text(name: str) -> str:
    """Read a preset's TOML file.

    Raises:
        UserError: there is no such preset.
    """
    if name not in preset_names():
        hint = did_you_mean(str(name), preset_names())
        raise UserError(f"preset = {name!r}: not one of {', '.join(preset_names())}{hint}")
    return (files("ragcun.settings") / "presets" / f"{name}.toml").read_text(encoding="utf-8")


def load_settings(
    preset: str | None = None, config: Path | None = None, flags: dict[str, Any] | None = None
) -> Settings:
    """Merge all sources into one validated configuration.

    `flags` maps dotted names ("training.epochs") to values; None means that the flag was not given.

    Raises:
        UserError: a setting is unknown or its value invalid; the message has its name, the value and what is allowed.
    """
    from_file = _read_toml(config) if config is not None else {}
    preset = preset if preset is not None else from_file.get("preset", os.environ.get(f"{PREFIX}PRESET") or None)
    from_preset = tomllib.loads(preset_text(preset)) if preset is not None else {}
    _refuse_unknown_variables()

    class _Sources(BaseSettings, Settings):
        model_config = SettingsConfigDict(
            env_prefix=PREFIX,
            env_nested_delimiter="__",
            env_ignore_empty=True,
            enable_decoding=False,
            extra="forbid",
            frozen=True,
        )

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: Any, **named: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (
                named["init_settings"],
                named["env_settings"],
                InitSettingsSource(settings_cls, from_file),
                InitSettingsSource(settings_cls, {**from_preset, "preset": preset}),
            )

    try:
        merged = _Sources(**_nest(flags or {}))
    except ValidationError as error:
        raise UserError(_explain(error)) from None
    return Settings.model_validate(merged.model_dump())


def to_toml(settings: Settings) -> str:
    """Write the configuration as TOML, which `--config` reads back as an equal one. Unset values are left out."""
    return tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"--config {path}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"--config {path}: not TOML ({error})") from None


def _nest(flags: dict[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in flags.items():
        if value is None:
            continue
        *parents, leaf = name.split(".")
        section = nested
        for parent in parents:
            section = section.setdefault(parent, {})
        section[leaf] = value
    return nested


def _refuse_unknown_variables() -> None:
    names = _variables(Settings, PREFIX)
    for variable in sorted(os.environ):
        if variable.startswith(PREFIX) and variable not in names | _OTHER_VARIABLES:
            raise UserError(f"environment variable {variable}: no such setting{_hint(variable, '__', names)}")


def _variables(section: type[BaseModel], prefix: str) -> set[str]:
    names = set()
    for field, info in section.model_fields.items():
        inner = [t for t in (info.annotation, *getattr(info.annotation, "__args__", ())) if isinstance(t, type)]
        nested = next((t for t in inner if issubclass(t, BaseModel)), None)
        names |= _variables(nested, f"{prefix}{field.upper()}__") if nested else {f"{prefix}{field.upper()}"}
    return names


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        field = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"{field}: no such setting{_hint(field, '.', _dotted(Settings))}")
        elif not field:
            lines.append(what_it_must_be(problem))
        else:
            lines.append(f"{field} = {problem['input']!r}: {what_it_must_be(problem)}")
    return "; ".join(lines)


def _hint(name: str, separator: str, names: set[str]) -> str:
    """Suggest the new name of a renamed setting, or a similar name."""
    *section, old = name.split(separator)
    if old.lower() in RENAMED:
        new = RENAMED[old.lower()]
        return f"; it is now called {separator.join([*section, new.upper() if old.isupper() else new])}"
    return did_you_mean(name, names)


def _dotted(section: type[BaseModel]) -> set[str]:
    return {name.removeprefix(PREFIX).lower().replace("__", ".") for name in _variables(section, PREFIX)}
