"""Read wandb's settings files: the global file, and ``./wandb/settings``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runlake.errors import SettingsError
from runlake.settings.environment import directory, home_directory, variable
from runlake.settings.secret import Secret


def read_settings_files() -> dict[str, Any]:
    """Return the settings in wandb's two settings files by name; the API key is a `Secret`.

    A setting in ``./wandb/settings`` takes precedence over the same setting in the global file.
    """
    named = variable("WANDB_CONFIG_DIR")
    home = home_directory()
    folder = home / ".config" / "wandb" if home else None
    if named:
        folder = directory(named, "WANDB_CONFIG_DIR")
    values: dict[str, Any] = {}
    for place in (*([folder / "settings"] if folder else []), Path("wandb") / "settings"):
        try:
            content = place.read_bytes()
        except OSError:
            continue
        import configparser

        # Without interpolation, which would fail at a percent sign, as in an encoded URL.
        parser = configparser.ConfigParser(interpolation=None)
        try:
            # "-sig", because some editors write a byte order mark first.
            parser.read_string(content.decode("utf-8-sig"), str(place))
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise SettingsError(
                f"The settings file {str(place)!r} is not UTF-8 in line {line}. Save it as UTF-8.",
                source=str(place),
            ) from None
        except configparser.Error as error:
            line = getattr(error, "lineno", None) or next(iter(getattr(error, "errors", [(0,)])))[0]
            where = f" in line {line}" if line else ""
            # Not `from` the library's error, which quotes the line, and so perhaps the key.
            raise SettingsError(
                f"The settings file {str(place)!r} is not an INI file{where}: it needs a section "
                "[default] with lines of 'name = value', each name once.",
                source=str(place),
            ) from None
        if parser.has_section("default"):
            for name, text in parser["default"].items():
                values[name] = Secret(text) if name == "api_key" else text
    return values
