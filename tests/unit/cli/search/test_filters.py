"""--filter on the command line."""

from pathlib import Path
from typing import get_args

import pytest

from cli.cannot_do import CannotDo
from cli.commands.search import request_of
from cli.main import build_parser
from cli.options.search import MODES
from cli.search.filters import page_filter, path_pattern
from jobs.errors import InvalidInput
from jobs.search.query import Mode, PageFilter, SearchQuery


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["page=3"], PageFilter(first_page=3, last_page=3)),
        (["page=3-9"], PageFilter(first_page=3, last_page=9)),
        (["page=3-"], PageFilter(first_page=3)),
        (["page=-9"], PageFilter(last_page=9)),
        (["document=a", "document=b"], PageFilter(documents=("a", "b"))),
        (["path=*.pdf", "path=/x/?.md"], PageFilter(paths=("*.pdf", "/x/?.md"))),
        ([], PageFilter()),
    ],
)
def test_filters_are_read(given: list[str], expected: PageFilter):
    assert page_filter(given) == expected


@pytest.mark.parametrize("given", ["page=", "page=x", "page=-", "page=3-9-12", "colour=red", "path", "path="])
def test_what_is_no_filter_is_refused_with_what_to_write(given: str):
    with pytest.raises(InvalidInput, match="page=3"):
        page_filter([given])


def test_paths_are_made_absolute_and_folders_stand_for_what_is_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert path_pattern("docs") == f"{tmp_path}/docs/"
    assert path_pattern("~/docs") == f"{tmp_path}/docs/"
    assert path_pattern("new/") == f"{tmp_path}/new/"
    assert path_pattern("docs/*.pdf") == f"{tmp_path}/docs/*.pdf"
    assert path_pattern("*/docs/*") == "*/docs/*"


def test_the_command_lines_options_are_the_query(tmp_path: Path):
    image = tmp_path / "page.png"
    image.write_bytes(b"png")
    options = build_parser().parse_args(
        [
            *(
                "search",
                "red fox",
                "--image",
                f"{image}",
                "-c",
                "a",
                "-c",
                "b",
                "-n",
                "3",
                "--group",
                "document",
            ),
            *("--mode", "visual", "--exact", "--rerank", "judge", "--filter", "page=2", "--json"),
        ]
    )
    request = request_of(options)
    assert request.query == SearchQuery(
        "red fox",
        b"png",
        ("a", "b"),
        3,
        "visual",
        True,
        PageFilter(first_page=2, last_page=2),
        True,
        rerank_model="judge",
    )
    assert (request.json, request.open) == (True, False)


def test_a_search_for_nothing_is_refused():
    with pytest.raises(CannotDo, match="Say what to look for"):
        request_of(build_parser().parse_args(["search", " "]))
    with pytest.raises(CannotDo, match="Cannot read --image /nowhere"):
        request_of(build_parser().parse_args(["search", "--image", "/nowhere"]))


def test_the_modes_of_the_command_line_are_those_of_searches():
    assert get_args(Mode) == MODES
