"""Every setting as a Markdown table, for `mlxq settings` and docs/operations.md."""

from pathlib import Path
from typing import Any

from cli.configuration import variable
from jobs.settings import Settings


def settings_table() -> str:
    rows = [("Variable", "Default", "Meaning"), ("---", "---", "---")]
    for name, field in Settings.model_fields.items():
        rows.append((f"`{variable(name)}`", _shown(field.default), field.description or ""))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _shown(default: Any) -> str:
    """A default as one would write it into the environment."""
    match default:
        case None:
            return "unset"
        case tuple():
            return "`[" + ", ".join(f'"{item}"' for item in default) + "]`"  # pyright: ignore[reportUnknownVariableType]
        case Path() if default.is_relative_to(Path.home()):
            return f"`~/{default.relative_to(Path.home())}`"
        case _:
            return f"`{default}`"
