"""Texts and images in, one vector for each input out."""
