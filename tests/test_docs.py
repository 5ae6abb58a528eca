"""What the docs name is there."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.folders import ROOT

DOCS = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
PREFIXES = (
    "",
    "workers/",
    "workers/runners/",
    "workers/runners/generate/",
    "workers/loops/",
    "workers/scheduling/",
)
"""A page that has named a folder goes on without it."""
PATH = re.compile(r"`([a-z_.]+/[\w./-]*|[a-z_]+\.(?:py|lua|md))`")


def named_paths(text: str) -> list[str]:
    return [path for path in PATH.findall(text) if "…" not in path]


def is_there(path: str, names: set[str]) -> bool:
    """Paths that begin with no folder of the repository are of something else, such as the data folder."""
    if "/" not in path:
        return path in names
    folders = [ROOT / prefix for prefix in PREFIXES if (ROOT / prefix / path.split("/")[0]).is_dir()]
    return not folders or any((folder / path).exists() for folder in folders)


def anchors(text: str) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", DOCS)
def test_every_file_and_folder_that_a_page_names_is_there(page: str):
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    names = {Path(each).name for each in tracked}

    missing = [path for path in named_paths((ROOT / page).read_text()) if not is_there(path, names)]

    assert missing == []


@pytest.mark.parametrize("page", DOCS)
def test_every_link_within_the_repository_leads_somewhere(page: str):
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", (ROOT / page).read_text())

    broken = [
        (path, anchor)
        for path, anchor in links
        for target in [(ROOT / page).parent / path if path else ROOT / page]
        if not target.exists() or (anchor and anchor not in anchors(target.read_text()))
    ]

    assert broken == []


def test_a_path_that_is_not_there_is_found():
    assert named_paths("`workers/hand.py`, `jobs/store/` and `--load 3`") == [
        "workers/hand.py",
        "jobs/store/",
    ]
