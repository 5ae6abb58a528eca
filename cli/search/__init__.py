"""What the commands that search share: the way to the collections, filters, and hits on a terminal."""
