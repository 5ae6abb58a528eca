"""Reading pages as a person does: elements by their selector."""

import httpx
from selectolax.lexbor import LexborHTMLParser, LexborNode


def page(response: httpx.Response) -> LexborHTMLParser:
    return LexborHTMLParser(response.text)


def one(response: httpx.Response, selector: str) -> LexborNode:
    """The only element that the selector fits."""
    found = page(response).css(selector)
    assert len(found) == 1, (selector, len(found), response.text)
    return found[0]


def texts(response: httpx.Response, selector: str) -> list[str]:
    """With single spaces."""
    return [" ".join(each.text().split()) for each in page(response).css(selector)]


def links(response: httpx.Response, selector: str = "a") -> list[str]:
    return [each.attributes["href"] or "" for each in page(response).css(selector)]
