"""`mlxq mcp` as an assistant starts it: the official client, over standard input and output, and over HTTP."""

import base64
import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from cli.main import main
from tests.checkpoints.citing import ANSWER
from tests.checkpoints.taught_colqwen import COLOURS
from tests.support.documents.served import NOTES, ServedDocuments
from tests.support.folders import ROOT
from tests.support.stack import Program
from tests.support.waiting import PATIENCE_S

COMMAND = ("-m", "cli.main", "mcp", "--data")
Opened = Callable[[ServedDocuments, Path], AbstractAsyncContextManager[Client]]


@contextlib.asynccontextmanager
async def over_stdio(served: ServedDocuments, _: Path) -> AsyncIterator[Client]:
    command = [*COMMAND, f"{served.data}"]
    parameters = StdioServerParameters(command=sys.executable, args=command, cwd=ROOT)
    async with Client(parameters, read_timeout_seconds=120) as client:
        yield client


@contextlib.asynccontextmanager
async def over_http(served: ServedDocuments, folder: Path) -> AsyncIterator[Client]:
    program = Program(folder / "mcp.log", *COMMAND, f"{served.data}", "--http", "0")
    try:
        url = program.wait_for(r"served on (\S+)\. ")[1]
        async with Client(url, read_timeout_seconds=120) as client:
            yield client
    finally:
        assert program.stop() == 0, program.said


async def call(client: Client, tool: str, **arguments: object) -> Any:
    reply = await client.call_tool(tool, arguments)
    assert not reply.is_error, reply.content
    return reply


@pytest.mark.parametrize("opened", [over_stdio, over_http])
async def test_an_assistant_finds_reads_and_asks_documents(
    served: ServedDocuments, tmp_path: Path, opened: Opened
):
    async with opened(served, tmp_path) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == {
            *("search", "ask", "get_page", "list_documents")
        }

        listed = (await call(client, "list_documents", collection="notes")).structured_content
        assert {Path(each["paths"][0]).name for each in listed["documents"]} == set(NOTES)

        found = (
            await call(client, "search", query="oil the chain", collections=["notes"])
        ).structured_content
        first = found["pages"][0]
        assert first["path"].endswith("bicycle.pdf") and first["text"] == NOTES["bicycle.pdf"][0]

        seen = (await call(client, "search", query="blue", collections=["pictures"])).structured_content
        blue = seen["pages"][0]
        assert blue["path"] == f"{served.page_of('blue')}" and len(seen["pages"]) == len(COLOURS)

        text, image = (
            await call(
                client, "get_page", collection="pictures", document=blue["document"], page=blue["page"]
            )
        ).content
        assert text.text == "This page has no text."
        assert base64.b64decode(image.data).startswith(b"\x89PNG")

        answer = (
            await call(client, "ask", question="When is the rent due?", collections=["notes"])
        ).structured_content
        assert answer["answer"] == ANSWER
        assert answer["citations"][0]["path"].endswith("lease.pdf")

        wrong = await client.call_tool("search", {"query": "x", "collections": ["attic"]})
        assert wrong.is_error and "There is no collection 'attic'" in getattr(wrong.content[0], "text", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_while_it_waits_for_its_caller(served: ServedDocuments, number: signal.Signals):
    with subprocess.Popen(
        [sys.executable, *COMMAND, f"{served.data}"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1

        process.send_signal(number)

        assert process.wait(PATIENCE_S) == -number


def test_a_port_that_is_taken_is_one_line(served: ServedDocuments, capfd: pytest.CaptureFixture[str]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["mcp", "--http", f"{taken.getsockname()[1]}", "--data", f"{served.data}"]) == 1

    said = capfd.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "Cannot listen on 127.0.0.1:" in said.err
