"""What a processor made of a prompt, when the answer to it goes on from an earlier start."""

from typing import Any

import numpy as np

from jobs.generate import GenerateJob, Prompt
from workers.runners.generate.answer import Answer
from workers.runners.generate.vision.image_prefill import lengthened


def test_values_per_token_have_one_for_each_written_token_too():
    images = {
        "token_type_ids": np.array([[0, 1, 1, 0]]),
        "pixel_values": np.ones((1, 3)),
        "sizes": [(4, 5)],
    }
    transcript: Any = None
    answer = Answer(GenerateJob("m", Prompt("cat")), [5, 1, 1, 6], 8, transcript, images)
    assert lengthened(answer)["token_type_ids"].tolist() == [[0, 1, 1, 0]]
    answer.generated = [7, 8]
    answer.rewind()
    found = lengthened(answer)
    assert found["token_type_ids"].tolist() == [[0, 1, 1, 0, 0, 0]]
    assert found["pixel_values"] is images["pixel_values"]
    assert found["sizes"] == [(4, 5)]
