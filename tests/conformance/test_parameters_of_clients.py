"""docs/parameters.md names every parameter of the clients that cannot be installed beside us, or are in JavaScript."""

import json
import subprocess
from collections.abc import Mapping, Sequence

from tests.conformance import client_environment, node_clients
from tests.parameters import Call, absent
from tests.support.folders import ROOT

TIMEOUT_S = 300


def missing(calls: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Of calls, such as "openai POST /v1/embeddings", with their parameters: those that the page does not name."""
    found: dict[str, list[str]] = {}
    for key, names in calls.items():
        dialect, _, endpoint = key.partition(" ")
        found[key] = absent(Call(dialect, endpoint, frozenset(names)))
    return {key: names for key, names in found.items() if names}


def test_no_parameter_of_a_type_in_javascript_is_absent():
    node_clients.install_clients()
    calls = json.loads(node_clients.printed_by("parameters/names.mjs", TIMEOUT_S))
    assert len(calls) == 28
    assert {"tool_choice", "stream_options.include_usage"} <= {*calls["openai POST /v1/chat/completions"]}
    assert {"maxTokens", "max_tokens"} & {*calls["cohere POST /v2/chat"]} == {"max_tokens"}
    assert missing(calls) == {}


def test_no_field_that_the_ai_sdk_sends_is_absent():
    node_clients.install_clients()
    printed = json.loads(node_clients.printed_by("parameters/requests.mjs", TIMEOUT_S))
    assert printed["unsent"] == []
    assert {"max_tokens", "temperature", "tools", "response_format", "verbosity"} <= {
        *printed["calls"]["openai POST /v1/chat/completions"]
    }
    assert len(printed["calls"]) == 10
    assert missing(printed["calls"]) == {}


def test_no_field_that_clients_in_an_environment_of_their_own_send_is_absent():
    done = subprocess.run(
        [client_environment.install_clients(), "-m", "tests.conformance.clients.sent_fields"],
        cwd=ROOT,
        env=client_environment.environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    calls = json.loads(done.stdout)
    assert len(calls) == 16
    assert {"num_generations", "temperature", "tools"} <= {*calls["cohere POST /v2/chat"]}
    assert {"truncation", "output_dtype", "dimensions"} <= {*calls["openai POST /v1/embeddings"]}
    assert missing(calls) == {}
