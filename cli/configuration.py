"""Settings from options and variables, and back into the variables of a child process."""

import argparse
import json
import os
import shlex
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from jobs.settings import Settings
from jobs.store.redis_url import checked_url, hide_urls

_OPTIONS = {"redis_url": "--redis", "models": "--model"}
"""Where the option is not named as the setting is."""

_LISTS = {
    "models": '["all-MiniLM-L6-v2"]',
    "declared_models": '["embed:all-MiniLM-L6-v2"]',
    "trust_remote_code": '["org/model"]',
    "fetch_allow": '["10.0.0.0/8", "media.local:8080"]',
    "ui_hosts": '["mlxq.example.org"]',
    "ingest_folders": '["/home/me/Documents"]',
}
"""The settings that are lists, each with an example."""


_UNPREFIXED = ("redis_url", "qdrant_url")
"""The settings whose variables are those that other programs read, too."""


class ConfigurationError(Exception):
    """A setting has a value that it cannot have."""


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return field.upper() if field in _UNPREFIXED else f"MLXQ_{field.upper()}"


def load_settings(options: argparse.Namespace) -> Settings:
    """Options first, then variables, then defaults.

    Raises: ConfigurationError, which names the option or variable at fault and its value.
    """
    given = {
        name: value
        for name, value in vars(options).items()
        if value is not None and name in Settings.model_fields
    }
    try:
        settings = Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        field = _field(str(first["loc"][0]))
        raise ConfigurationError(
            f"{_name(field, given)}={hide_urls(str(first['input']))}: {first['msg']}."
        ) from error
    except SettingsError as error:
        raise ConfigurationError(_unparsed(given)) from error
    if settings.redis_url is not None:
        try:
            checked_url(settings.redis_url)
        except ValueError as error:  # which quotes nothing of it
            raise ConfigurationError(f"{_name('redis_url', given)}: {error}") from error
    return settings


def _field(location: str) -> str:
    """pydantic names a setting by its alias where it has one."""
    name = location.removeprefix("MLXQ_").lower()
    return name if name in _UNPREFIXED else location


def _name(field: str, given: dict[str, Any]) -> str:
    """What the user wrote: an option or a variable."""
    return _OPTIONS.get(field, f"--{field.replace('_', '-')}") if field in given else variable(field)


def _unparsed(given: dict[str, Any]) -> str:
    """pydantic-settings does not say which text it could not read; it parses lists alone."""
    field = next(field for field in _LISTS if not _is_json(os.environ.get(variable(field), "[]")))
    return f"{_name(field, given)}={hide_urls(os.environ[variable(field)])}: Not a JSON list, such as {_LISTS[field]}."


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def child_environ(settings: Settings) -> dict[str, str]:
    """Our own variables plus every setting, so that a child reads the same Settings wherever they came from."""
    environ = dict(os.environ)
    for field, value in settings.model_dump(mode="json", exclude_none=True).items():
        environ[variable(field)] = value if isinstance(value, str) else json.dumps(value)
    # Children find our packages whatever folder the user is in (`python -P` keeps that folder itself out).
    root = str(Path(__file__).parent.parent)
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environ.get("PYTHONPATH")]))
    return environ


def data_option(settings: Settings) -> str:
    """What other commands need to find the same data folder: nothing, or the option with a blank before it."""
    if settings.data == Settings.model_fields["data"].default:
        return ""
    return f" --data {shlex.quote(str(settings.data))}"
