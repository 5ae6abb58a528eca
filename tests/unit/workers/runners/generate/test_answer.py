"""An answer knows what its prompt and its tokens took."""

from functools import partial

from jobs.generate import GenerateJob, Prompt
from tests.support.fake_generator import byte_tokenizer
from workers.runners.generate.answer import Answer
from workers.runners.generate.output.segments import NORMAL, OutputSegments
from workers.runners.generate.output.transcript import OutputFormat, Transcript


def new_answer() -> Answer:
    output_format = OutputFormat(byte_tokenizer(), partial(OutputSegments, {NORMAL: []}), ())
    return Answer(GenerateJob(model="any", prompt=Prompt("abc")), [1, 2, 3], 10, Transcript(output_format))


def test_the_prompts_time_ends_with_the_first_token_and_the_tokens_time_with_the_last():
    answer = new_answer()
    answer.note_begun(10.0)
    for at in (12.0, 12.5, 15.0):
        answer.note_token(at)
    assert (answer.prompt_s, answer.generate_s) == (2.0, 3.0)


def test_an_answer_that_is_begun_again_still_counts_from_its_first_beginning():
    answer = new_answer()
    answer.note_begun(10.0)
    answer.rewind()
    answer.note_begun(11.0)
    answer.note_token(12.0)
    answer.rewind()
    answer.note_begun(13.0)
    answer.note_token(16.0)
    assert (answer.prompt_s, answer.generate_s) == (2.0, 4.0)


def test_an_answer_that_got_no_token_here_took_no_time():
    answer = new_answer()
    assert (answer.prompt_s, answer.generate_s) == (0.0, 0.0)
    answer.note_begun(10.0)
    assert (answer.prompt_s, answer.generate_s) == (0.0, 0.0)
