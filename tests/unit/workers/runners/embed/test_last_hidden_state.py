"""Where a model's last hidden states are found, and what is refused because they are not."""

from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx import nn

from jobs.errors import InvalidInput
from workers.runners.embed.last_hidden_state import LastHiddenState, capture_last_hidden_state

SIZE = 8


class Body(nn.Module):
    def __init__(self, norm: str = "norm", calls: int = 1) -> None:
        super().__init__()
        self.layers = [nn.Linear(SIZE, SIZE) for _ in range(2)]
        self.last: Any = norm
        self[norm] = nn.RMSNorm(SIZE)
        self.calls = calls

    def __call__(self, hidden: mx.array) -> mx.array:
        for layer in self.layers:
            hidden = layer(hidden)
        for _ in range(self.calls):
            hidden = self[self.last](hidden)
        return hidden


class Writer(nn.Module):
    """Nested as many are, with a head that squeezes its scores."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.inner = body
        self.lm_head = nn.Linear(SIZE, 100)

    @property
    def layers(self) -> list[nn.Linear]:
        return self.inner.layers

    def __call__(self, hidden: mx.array) -> mx.array:
        return mx.tanh(self.lm_head(self.inner(hidden)))


def seen(model: Writer, hidden: mx.array) -> np.ndarray:
    tap = capture_last_hidden_state(model)
    model(hidden)
    return np.array(tap.take(*hidden.shape[:2]))


def test_last_norms_output_is_taken_wherever_it_is():
    hidden = mx.random.normal((2, 3, SIZE), key=mx.random.key(1))
    for norm in ("norm", "ln_f", "final_layernorm", "embedding_norm"):
        model = Writer(Body(norm))
        expected = np.array(model.inner(hidden))
        np.testing.assert_array_equal(seen(model, hidden), expected)


def test_head_is_taken_away():
    model = Writer(Body())
    capture_last_hidden_state(model)
    assert "weight" not in model.lm_head


def test_taking_twice_is_an_error():
    hidden = mx.zeros((1, 2, SIZE))
    model = Writer(Body())
    tap = capture_last_hidden_state(model)
    model(hidden)
    tap.take(1, 2)
    with pytest.raises(InvalidInput, match="not known"):
        tap.take(1, 2)


@pytest.mark.parametrize("body", [Body("strange"), Body(calls=2), Body(calls=0)])
def test_model_whose_last_states_are_not_known_is_refused(body: Body):
    with pytest.raises(InvalidInput, match="not known"):
        seen(Writer(body), mx.zeros((1, 2, SIZE)))


def test_states_of_other_tokens_than_were_asked_are_refused():
    tap = LastHiddenState(nn.RMSNorm(SIZE))
    tap(mx.zeros((1, 1, SIZE)))  # only the last token's, as for writing
    with pytest.raises(InvalidInput, match="not known"):
        tap.take(1, 2)
