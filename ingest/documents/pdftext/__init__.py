"""The text of a PDF's pages, its headings, words with their places, labels and bookmarks."""
