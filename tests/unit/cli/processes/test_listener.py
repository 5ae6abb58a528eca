import pytest

from cli.processes.listener import listen, local_url


def test_a_port_in_use_is_named_and_port_0_shows_the_real_one():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]

        assert local_url(taken) == f"http://127.0.0.1:{port}"
        with pytest.raises(OSError, match=f"Cannot listen on 127.0.0.1:{port}.*--port"):
            listen("127.0.0.1", port)


def test_a_wildcard_address_is_shown_as_one_that_can_be_called():
    with listen("0.0.0.0", 0) as listener:
        assert local_url(listener).startswith("http://127.0.0.1:")
