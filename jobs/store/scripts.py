"""The Lua scripts, one file each, with what they share put in front."""

import functools
from importlib import resources


@functools.cache
def script(name: str) -> str:
    """Source of lua/{name}.lua, ready for register_script."""
    folder = resources.files("jobs.store") / "lua"
    return (folder / "lib.lua").read_text() + (folder / f"{name}.lua").read_text()
