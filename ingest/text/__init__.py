"""From the text of pages to what is embedded, searched and shown: chunks, weights of words, snippets."""
