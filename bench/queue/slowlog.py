"""What Redis itself says its commands took. A client's own clock would count the machine and the network as well."""

import hashlib
from importlib import resources
from typing import Any, NamedTuple

import redis

from jobs.store.scripts import script

NOT_LOGGED = -1
KEPT = 100_000
MEASURED = "measured"


class Command(NamedTuple):
    """One command as SLOWLOG has it. name: of a script of ours its file's, else the command's."""

    name: str
    seconds: float
    client: str


def named(url: str) -> str:
    """The URL for the client that `of_measured_client` tells from the workers."""
    return f"{url}?client_name={MEASURED}"


def log_from(client: redis.Redis, least_s: float) -> None:
    """Empty the log, and log what takes at least so long from now on."""
    client.config_set("slowlog-max-len", KEPT)
    client.config_set("slowlog-log-slower-than", round(least_s * 1e6))
    client.slowlog_reset()


def logged(client: redis.Redis) -> list[Command]:
    """What was logged since `log_from`; the log ends here. The commands inside a script count as the script."""
    client.config_set("slowlog-log-slower-than", NOT_LOGGED)
    entries: Any = client.execute_command("SLOWLOG GET -1")
    scripts = _script_names()
    return [
        Command(_name(arguments, scripts), microseconds / 1e6, client_name.decode())
        for _, _, microseconds, arguments, address, client_name in entries
        if address != b"?:0"  # that of the client that runs a script's commands
    ]


def of_measured_client(commands: list[Command]) -> float:
    """Seconds that Redis spent on the client that `named` names."""
    own = ("SLOWLOG", "CONFIG", "CLIENT", "HELLO")
    return sum(each.seconds for each in commands if each.client == MEASURED and each.name not in own)


def longest(commands: list[Command]) -> dict[str, float]:
    """Seconds of the longest command by its name, longest first."""
    found = dict[str, float]()
    for each in commands:
        found[each.name] = max(found.get(each.name, 0.0), each.seconds)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _name(arguments: list[bytes], scripts: dict[bytes, str]) -> str:
    return (scripts.get(arguments[1]) if len(arguments) > 1 else None) or arguments[0].decode().upper()


def _script_names() -> dict[bytes, str]:
    files = (resources.files("jobs.store") / "lua").iterdir()
    names = [file.name.removesuffix(".lua") for file in files if file.name.endswith(".lua")]
    return {hashlib.sha1(script(name).encode()).hexdigest().encode(): name for name in names}
