"""Judgements that documents bring with them: a bookmark's title is a query, the page that it leads to is right."""

import random
from collections.abc import Mapping, Sequence

from ingest.documents.page import Bookmark
from ingest.evaluate.judgements import Judged, PageKey

MAX_PAGES = 3
"""Titles that lead to more pages ("Introduction", "See also") say too little."""
MIN_LETTERS = 3


def bookmark_judgements(
    outlines: Mapping[str, Sequence[Bookmark]], limit: int = 500, seed: int = 0
) -> list[Judged]:
    """outlines: the bookmarks of each document. Of more than `limit` queries a sample is taken, the same for one seed.
    Titles that are equal but for white space and capitals are one query.
    """
    pages, titles = dict[str, set[PageKey]](), dict[str, str]()
    for document, bookmarks in sorted(outlines.items()):
        for bookmark in bookmarks:
            title = " ".join(bookmark.title.split())
            if sum(map(str.isalpha, title)) >= MIN_LETTERS or any(letter > "\u2e80" for letter in title):
                pages.setdefault(title.casefold(), set()).add(PageKey(document, bookmark.page))
                titles.setdefault(title.casefold(), title)
    fit = [title for title, keys in pages.items() if len(keys) <= MAX_PAGES]
    if len(fit) > limit:
        fit = random.Random(seed).sample(fit, limit)
    return [Judged(titles[title], dict.fromkeys(sorted(pages[title]), 1)) for title in fit]
