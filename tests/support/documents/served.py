"""A running `mlxq up` with documents in it, as a user has it: real models, small ones."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.checkpoints.citing import make as make_citing
from tests.checkpoints.taught_colqwen import COLOURS, PATCH, coloured_page, teach
from tests.support.documents.pdf import text_pdf
from tests.support.folders import ROOT
from tests.support.stack import READY_S, Program

NOTES = {
    "boiler.pdf": (
        "The boiler is in the cellar.",
        "It is serviced in October. The invoice goes to the tenant.",
    ),
    "lease.pdf": ("The rent is due on the third working day.", "A deposit of two rents is paid back."),
    "bicycle.pdf": ("Oil the chain of the bicycle after rain.",),
}
"""The pages of each PDF of the collection `notes`."""

INGEST_S = 300


class ServedDocuments:
    """The collections `notes` (text) and `pictures` (visual: a page of each colour).

    folder: where theirs are. data: the data folder. url: of the API, without /v1. qdrant_url: where Qdrant's clients
    reach the store. Its models: all-MiniLM-L6-v2, `colours` (embeds pages) and `citing` (a chat model with eyes).
    """

    def __init__(self, folder: Path, url: str, qdrant_url: str) -> None:
        self.url, self.qdrant_url = url, qdrant_url
        self.data = folder / "data"
        self.http = httpx.Client(base_url=url, timeout=180, trust_env=False)
        self.folder = folder

    def post(self, path: str, **body: object) -> Any:
        """The JSON of the reply."""
        reply = self.http.post(path, json=body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def page_of(self, colour: str) -> Path:
        """The file of that page."""
        return self.folder / "pictures" / f"{colour}.png"

    def ingest(self, folder: Path, collection: str, kind: str) -> dict[str, Any]:
        """By `mlxq ingest`; its summary."""
        command = [sys.executable, "-m", "cli.main", "ingest", str(folder), "-c", collection]
        command += [f"--{kind}", "--json", "--data", str(self.data)]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=INGEST_S, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return next(
            found for line in done.stdout.splitlines() if (found := json.loads(line))["event"] == "summary"
        )


@contextlib.contextmanager
def served_documents(folder: Path, *more: str) -> Iterator[ServedDocuments]:
    """As long as it is open. folder: an empty one. more: models, served besides."""
    (folder / "notes").mkdir()
    for name, pages in NOTES.items():
        (folder / "notes" / name).write_bytes(text_pdf(*pages))
    (folder / "pictures").mkdir()
    for number, colour in enumerate(COLOURS):
        coloured_page(colour, number * PATCH, 3 * PATCH).save(folder / "pictures" / f"{colour}.png")
    models = [
        "all-MiniLM-L6-v2",
        f"colours={teach(folder / 'colours')}",
        f"citing={make_citing(folder / 'citing')}",
        *more,
    ]
    options = [each for model in models for each in ("--model", model)]
    environ = {"REDIS_URL": None, "QDRANT_URL": None, "MLXQ_DATA": None}
    up = Program(
        folder / "up.log",
        *(
            "-m",
            "cli.main",
            "up",
            "--port",
            "0",
            "--qdrant-port",
            "0",
            "--data",
            str(folder / "data"),
            *options,
        ),
        **environ,
    )
    try:
        url = up.wait_for(r"starts on (\S+)", READY_S)[1]
        up.wait_for("^Ready after", READY_S)
        served = ServedDocuments(folder, url, up.wait_for(r"^  Qdrant  (\S+)")[1])
        with contextlib.closing(served.http):
            assert served.ingest(folder / "notes", "notes", "text")["pages"] == sum(map(len, NOTES.values()))
            assert served.ingest(folder / "pictures", "pictures", "visual")["pages"] == len(COLOURS)
            yield served
    finally:
        up.stop()
