"""What a Redis says of itself by INFO, and what mlxq makes of that. Pure."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

SECTIONS = ("server", "memory", "persistence", "cluster")
"""Of INFO, those that `judge` reads."""

OLDEST = (6, 2)
"""Version of Redis that has all commands of the scripts. Valkey calls itself a Redis 7.2."""


class Verdict(NamedTuple):
    """One line each."""

    refusal: str | None
    """Why jobs must not be given to this Redis, and what to do. None: they may."""
    warnings: tuple[str, ...] = ()
    """What the operator should know of it."""


def judge(info: Mapping[str, Any]) -> Verdict:
    """info: as redis-py returns it, of the sections in SECTIONS. What is missing there is taken for right: a proxy or a
    service may not tell all.
    """
    mode = info.get("redis_mode") or info.get("server_mode")
    if mode == "sentinel":
        return Verdict("it is a sentinel: name it and its service, redis+sentinel://host:port/service")
    if mode == "cluster" or info.get("cluster_enabled") == 1:
        return Verdict(
            "it is a Redis Cluster, and a script of mlxq needs keys together that a cluster spreads over its nodes: "
            "use a single Redis, or one with sentinels"
        )
    version = str(info.get("redis_version", ""))
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
        return Verdict(
            f"it is Redis {version}, and mlxq needs {OLDEST[0]}.{OLDEST[1]} or later: update it, or use Valkey"
        )
    warnings: list[str] = []
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        deletes = f"maxmemory-policy {policy} deletes jobs or results when its memory is full"
        if info.get("maxmemory"):
            return Verdict(f"its {deletes}: set it to noeviction")
        warnings.append(f"Its {deletes}, once it has a maxmemory: set it to noeviction.")
    if info.get("aof_enabled") == 0:
        warnings.append(
            "It keeps no append-only file, so jobs are lost when it ends: set appendonly yes, appendfsync everysec."
        )
    return Verdict(None, tuple(warnings))
