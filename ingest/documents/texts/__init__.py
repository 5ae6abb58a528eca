"""Documents that are texts: plain, Markdown, HTML, CSV, and those of office programs and e-books.

Their pages: a slide of a presentation; a chapter of an e-book; a page of a text document where Word has marked its end;
of all others, and of chapters longer than that, about MAX_PAGE characters (`pages.py`), from a heading or a line on.
"""
