from typing import Any

import pytest

from api.dialects.ollama.options import OllamaOptions
from cli.client.parameters import FRACTION, SWITCH, TEXTS, WHOLE, parameter


@pytest.mark.parametrize(
    ("name", "words", "value"),
    [
        ("temperature", ["0.5"], 0.5),
        ("seed", ["7"], 7),
        ("repeat_last_n", ["-1"], -1),
        ("stop", ["a", "b"], ["a", "b"]),
        ("use_mmap", ["false"], False),
    ],
)
def test_a_value_has_the_type_of_its_parameter(name: str, words: list[str], value: Any):
    assert parameter(name, words) == value


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("seed", ["x"], "a whole number, not 'x'"),
        ("seed", ["1.5"], "a whole number"),
        ("top_p", ["x"], "a number"),
        ("top_p", ["1", "2"], "one value"),
        ("use_mmap", ["1"], "true or false"),
        ("temp", ["1"], "no parameter 'temp'"),
        ("temperature", ["nan"], "a number of 64 bits, not 'nan'"),
        ("top_p", ["-inf"], "a number of 64 bits"),
        ("seed", ["9" * 30], "a whole number of 64 bits"),
        ("stop", [""], "a text that is not empty"),
    ],
)
def test_a_value_that_does_not_fit_is_told(name: str, words: list[str], said: str):
    with pytest.raises(ValueError, match=said):
        parameter(name, words)


def test_every_parameter_is_one_of_the_servers_options():
    assert {*WHOLE, *FRACTION, *TEXTS, *SWITCH} <= {*OllamaOptions.__struct_fields__}
