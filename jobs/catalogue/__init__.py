"""The models of one machine: what they are called, where they lie, what they were made from. Imports no Redis."""
