"""Layers and activations that runners of several kinds share."""
