"""Qdrant's filters, as its client sends them, in the terms of qdrant-edge."""

import uuid
from collections.abc import Sequence
from typing import Any, cast

import qdrant_edge as edge
from qdrant_client import models

from ingest.store.refused import BAD_REQUEST, Refused, not_here

PointId = int | str


def point_id(raw: object) -> PointId:
    """An unsigned number, or a UUID in its usual form. Raises Refused for anything else."""
    if isinstance(raw, int) and 0 <= raw < 1 << 64:
        return raw
    try:
        return str(uuid.UUID(str(raw)))
    except ValueError:
        raise Refused(
            BAD_REQUEST, f"{raw!r} is no point ID: it must be an unsigned 64-bit number or a UUID."
        ) from None


def edge_filter(given: models.Filter | None) -> edge.Filter | None:
    """None for none. Raises Refused for conditions that the store does not have."""
    if given is None:
        return None
    at_least = given.min_should
    return edge.Filter(
        must=_conditions(given.must),
        should=_conditions(given.should),
        must_not=_conditions(given.must_not),
        min_should=edge.MinShould([_condition(each) for each in at_least.conditions], at_least.min_count)
        if at_least
        else None,
    )


def without(ids: Sequence[PointId], also: edge.Filter | None) -> edge.Filter:
    """All points but these, as far as the other filter lets them pass."""
    return edge.Filter(must_not=[edge.HasIdCondition(set(ids))], must=[also] if also else None)


def _conditions(given: Any) -> list[Any] | None:
    if given is None:
        return None
    several = cast("list[Any]", given) if isinstance(given, list) else [given]
    return [_condition(each) for each in several]


def _condition(given: Any) -> Any:
    match given:
        case models.Filter():
            return edge_filter(given)
        case models.FieldCondition():
            return _field_condition(given)
        case models.IsEmptyCondition():
            return edge.IsEmptyCondition(given.is_empty.key)
        case models.IsNullCondition():
            return edge.IsNullCondition(given.is_null.key)
        case models.HasIdCondition():
            return edge.HasIdCondition({point_id(each) for each in given.has_id})
        case models.HasVectorCondition():
            return edge.HasVectorCondition(given.has_vector)
        case models.NestedCondition():
            inner = edge_filter(given.nested.filter)
            assert inner is not None
            return edge.NestedCondition(given.nested.key, inner)
        case _:
            raise not_here(f"conditions of the kind {type(given).__name__}")


def _field_condition(given: models.FieldCondition) -> edge.FieldCondition:
    if given.geo_bounding_box or given.geo_radius or given.geo_polygon:
        raise not_here("conditions on places (geo)")
    count = given.values_count
    return edge.FieldCondition(
        given.key,
        match=_match(given.match) if given.match else None,
        range=_range(given.range) if given.range else None,
        values_count=edge.ValuesCount(lt=count.lt, gt=count.gt, lte=count.lte, gte=count.gte)
        if count
        else None,
        is_empty=given.is_empty,
        is_null=given.is_null,
    )


def _match(given: models.Match) -> Any:
    match given:
        case models.MatchValue():
            return edge.MatchValue(given.value)
        case models.MatchAny():
            return edge.MatchAny(given.any)
        case models.MatchExcept():
            return edge.MatchExcept(given.except_)
        case models.MatchText():
            return edge.MatchText(given.text)
        case models.MatchTextAny():
            return edge.MatchTextAny(given.text_any)
        case models.MatchPhrase():
            return edge.MatchPhrase(given.phrase)
        case models.MatchPrefix():
            return edge.MatchPrefix(given.prefix)
        case models.MatchSubstring():
            return edge.MatchSubstring(given.substring)


def _range(given: models.RangeInterface) -> Any:
    if isinstance(given, models.DatetimeRange):
        bounds = {"gt": given.gt, "gte": given.gte, "lt": given.lt, "lte": given.lte}
        return edge.RangeDateTime(
            **{name: None if bound is None else bound.isoformat() for name, bound in bounds.items()}
        )
    return edge.RangeFloat(gt=given.gt, gte=given.gte, lt=given.lt, lte=given.lte)
