from tests.support.hub.fixtures import hub, source, told

__all__ = ["hub", "source", "told"]
