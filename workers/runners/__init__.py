"""How models turn prepared items into outcomes: a folder per task, and here what they share."""
