import pytest

from cli.cannot_do import CannotDo
from cli.client.address import server_address


@pytest.mark.parametrize(
    ("url", "environ", "found"),
    [
        (None, {}, "http://127.0.0.1:8000"),
        (None, {"MLXQ_PORT": "9"}, "http://127.0.0.1:9"),
        (None, {"MLXQ_HOST": "0.0.0.0"}, "http://127.0.0.1:8000"),
        (None, {"MLXQ_HOST": "::"}, "http://[::1]:8000"),
        (None, {"MLXQ_HOST": "mac.local", "MLXQ_PORT": "81"}, "http://mac.local:81"),
        ("mac.local", {"MLXQ_PORT": "81"}, "http://mac.local:8000"),
        ("mac.local:9", {}, "http://mac.local:9"),
        ("http://mac.local", {}, "http://mac.local:80"),
        ("https://mac.local/mlxq/", {}, "https://mac.local:443/mlxq"),
        ("http://[::1]:9", {}, "http://[::1]:9"),
    ],
)
def test_the_server_is_where_the_option_or_the_variables_say(
    url: str | None, environ: dict[str, str], found: str
):
    assert str(server_address(url, environ)) == found


@pytest.mark.parametrize(
    ("url", "environ", "said"),
    [
        (None, {"MLXQ_PORT": "0"}, "MLXQ_PORT=0"),
        (None, {"MLXQ_PORT": "x"}, "MLXQ_PORT=x"),
        ("ftp://here", {}, "--url ftp://here"),
        ("http://here:x", {}, "--url http://here:x"),
        ("http://", {}, "http://host:8000"),
    ],
)
def test_an_address_that_is_none_is_named(url: str | None, environ: dict[str, str], said: str):
    with pytest.raises(CannotDo, match=said):
        server_address(url, environ)
