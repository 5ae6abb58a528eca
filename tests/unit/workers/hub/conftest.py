from tests.support.hub.fixtures import fetch, hub, source, told

__all__ = ["fetch", "hub", "source", "told"]
