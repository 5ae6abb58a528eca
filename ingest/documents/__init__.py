"""From a file to its pages: images, texts, words and their places."""
