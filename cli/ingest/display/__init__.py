"""What is seen of an ingest: on a terminal, in a log, by a program."""
