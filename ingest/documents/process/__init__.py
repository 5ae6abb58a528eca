"""The process that documents are read in: its program, what it is told and answers, and how its parent holds it."""
