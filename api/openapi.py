"""What the OpenAPI document says of the endpoints whose bodies FastAPI does not parse."""

from typing import Any

from api.body import schema_of

_PREFER: dict[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "description": "RFC 7240: `respond-async`, `wait=N`, or both.",
    "schema": {"type": "string"},
}
_IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A second request with this key gets the first one's job.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def work_endpoint(body: type) -> dict[str, Any]:
    """Keywords of add_api_route for a POST of work with such a body."""
    extra = {"parameters": [_PREFER, _IDEMPOTENCY_KEY], "requestBody": request_body(body)}
    return {"methods": ["POST"], "tags": ["work"], "openapi_extra": extra}


def request_body(body: type, *alternatives: type) -> dict[str, Any]:
    """A JSON body. alternatives: shapes of which one comes along with it, field beside field."""
    schema = schema_of(body)
    others = [schema_of(each) for each in alternatives]
    for other in others:
        schema["properties"] |= other["properties"]
    if others:
        always = set[str].intersection(*(set(other.get("required", ())) for other in others))
        schema["required"] = sorted({*schema.get("required", ()), *always})
    return {"required": True, "content": {"application/json": {"schema": schema}}}
