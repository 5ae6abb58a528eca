"""Questions, answered by a real chat model from ingested documents: `mlxq ask` and POST /v1/ask."""

import json

import pytest

from cli.main import main
from jobs.search.question import NOT_FOUND
from tests.checkpoints.citing import ANSWER
from tests.support.documents.served import ServedDocuments


def events(body: str) -> list[tuple[str, dict[str, object]]]:
    """Names and data of server-sent events."""
    blocks = [block.split("\n") for block in body.strip().split("\n\n") if not block.startswith(":")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def test_the_command_writes_the_answer_and_the_page_that_it_cites(
    served: ServedDocuments, capsys: pytest.CaptureFixture[str]
):
    assert (
        main(
            [
                "ask",
                "Who gets the invoice of the service in October?",
                "-c",
                "notes",
                "--data",
                f"{served.data}",
            ]
        )
        == 0
    )

    said = capsys.readouterr().out.splitlines()
    assert said[0] == ANSWER and len(said) == 3
    assert said[2].startswith("[1] ") and said[2].endswith("/notes/boiler.pdf page 2")


def test_a_question_that_no_page_has_to_do_with_is_not_put_to_the_model(
    served: ServedDocuments, capsys: pytest.CaptureFixture[str]
):
    assert main(["ask", "zebra photosynthesis", "-c", "notes", "--json", "--data", f"{served.data}"]) == 0

    reply = json.loads(capsys.readouterr().out)
    assert (reply["answer"], reply["sources"]) == (NOT_FOUND, [])


def test_an_answer_comes_as_a_stream_with_its_pages_before_and_its_citations_after(served: ServedDocuments):
    body = {"question": "When is the rent due?", "collections": ["notes"], "stream": True, "sources": 2}

    told = events(served.http.post("/v1/ask", json=body).text)

    names = [name for name, _ in told]
    assert (names[0], names[-1]) == ("sources", "done") and set(names[1:-1]) == {"delta"}
    assert "".join(str(data["text"]) for name, data in told if name == "delta") == ANSWER
    first = told[0][1]["sources"][0]  # pyright: ignore[reportIndexIssue]
    assert first["path"].endswith("lease.pdf") and first["page"] == 1
    assert told[-1][1]["citations"] == [first] and told[-1][1]["model"] == "citing"


def test_a_model_with_eyes_is_shown_pages_as_images(served: ServedDocuments):
    """They are more of its prompt than the words around them; each source has 7 x 5 patches or, scaled, about 24."""
    body = {"question": "Which page is blue?", "collections": ["pictures"]}

    one, two = (served.post("/v1/ask", **body, sources=count) for count in (1, 2))

    assert one["answer"] == ANSWER and one["citations"] == one["sources"]
    assert one["sources"][0]["path"] == f"{served.page_of('blue')}"
    heading = f"[2] {two['sources'][1]['path'].rpartition('/')[2]}, page 1:\n\n\n"
    assert two["usage"]["prompt_tokens"] - one["usage"]["prompt_tokens"] > len(heading)
