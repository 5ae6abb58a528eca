"""Shapes of real models with random weights; these want a GPU."""
