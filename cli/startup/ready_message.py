"""What `mlxq up` prints once the first request can be answered: how long it took, and commands to try."""

import asyncio
import json
import logging
import sys
import time
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError

from cli.startup.curl_examples import curl_examples
from jobs.process.colour import paint

log = logging.getLogger(__name__)

POLL_S = 0.2


async def announce_when_ready(url: str, names: Sequence[str], where: str = "") -> None:
    """Waits for the service at this URL, and prints. names: under which our models are served. where: the options by
    which other commands find it.

    Raises nothing: a message that fails must not end what runs beside it.
    """
    try:
        await _announce(url, names, where)
    except Exception:
        log.exception("The service could not be announced")


async def _announce(url: str, names: Sequence[str], where: str) -> None:
    started = time.monotonic()
    while await asyncio.to_thread(_get, f"{url}/ready") is None:  # noqa: ASYNC110 - it is another process
        await asyncio.sleep(POLL_S)
    listed: Any = await asyncio.to_thread(_get, f"{url}/v1/models") or {}
    models = sorted(
        (each for each in listed.get("data") or () if each.get("id") in names),
        key=lambda model: names.index(model["id"]),
    )
    ready = paint(f"Ready after {time.monotonic() - started:.1f} s.", "green", sys.stdout)
    print(f"{ready} Try:" if models else ready)
    for command in curl_examples(url, models):
        print(f"  {command}")
    if any(model.get("task") == "embed" for model in models):
        print(
            f"Or with documents: mlxq ingest ~/Documents{where}, then mlxq search 'QUERY'{where}, or {url}/ui/"
        )
    print(f"API documentation: {url}/docs. Ctrl-C ends everything.", flush=True)


def _get(url: str) -> Any:
    """The JSON body of a 200, None for anything else."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2) as answer:
            return json.load(answer)
    except (HTTPError, HTTPException, OSError, ValueError):
        return None
