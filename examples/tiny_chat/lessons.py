"""Lessons: chats in which tiny-chat answers as it should, drawn at random from the dialogues."""

import json
from dataclasses import dataclass
from typing import Any

from examples.tiny_chat import dialogues
from examples.tiny_chat.chance import Chance
from examples.tiny_chat.tools import Call, Tool, ask, describe, draw_kit, message_of, result_of

Message = dict[
    str, Any
]  # as the chat template takes it; "learnt": False for a turn of the assistant to be passed over
Turns = tuple[Message, ...]


@dataclass(frozen=True)
class Lesson:
    """A chat that ends with the assistant's turn. given: a start of that turn that is put into the model's mouth."""

    messages: Turns
    tools: Turns = ()
    thinking: bool = True
    given: str = ""


@dataclass(frozen=True)
class Text:
    """A text without any chat, and how it goes on."""

    start: str
    rest: str


def asked(question: str, answer: str, thought: str = "") -> Turns:
    reply = {"role": "assistant", "content": answer}
    return {"role": "user", "content": question}, {
        **reply,
        "reasoning_content": thought,
    } if thought else reply


class Teacher:
    """Draws lessons. longest_filler: about the most words of a text to be passed over."""

    def __init__(self, seed: int) -> None:
        self.chance = Chance(seed)
        self.longest_filler = 60
        self._kit = list[Tool]()
        self._name: str | None = None  # of the user of this chat
        always = {self._fact: 22, self._echo: 9, self._add: 5, self._unknown: 7, self._describe: 5}
        always |= {self._recall_name: 2}
        self._with_tools = {**always, self._use_tools: 60}
        self._without_tools = {
            **always,
            self._as_json: 3,
            self._count: 3,
            self._story: 2,
            self._choose: 2,
            self._no_tool: 3,
        }

    def draw(self) -> Lesson | Text:
        if self.chance.happens(0.04):
            return self._text()
        self._name = None
        self._kit = draw_kit(self.chance) if self.chance.happens(0.35) else []
        tools = tuple(describe(tool, self.chance) for tool in self._kit)
        system = ({"role": "system", "content": self._system()},) if self.chance.happens(0.6) else ()
        if self.chance.happens(0.04):
            given, turns = self._forced()
            return Lesson((*system, *turns), tools, given=given)
        *turns, answer = self._chat() if self._kit or self.chance.happens(0.6) else self._short()
        thinking = self.chance.happens(0.5)
        if not thinking:
            answer = {key: value for key, value in answer.items() if key != "reasoning_content"}
        return Lesson((*system, *turns, answer), tools, thinking)

    def _chat(self) -> Turns:
        """One to five questions with their answers; the last answer may be a call of tools."""
        [count] = self.chance.choices((1, 2, 3, 4, 5), (35, 20, 20, 15, 10))
        named = count > 1 and self.chance.happens(0.35)
        earlier = list(self._tell_name() if named else ())
        for _ in range(count - 1 - named):
            earlier += self._exchange()
        last = self._recall_name() if named and self.chance.happens(0.7) else self._exchange()
        if "tool_calls" in last[1] and last[1]["learnt"] and self.chance.happens(0.5):
            last = last[:2]
        return (*earlier, *last)

    def _exchange(self) -> Turns:
        kinds = self._with_tools if self._kit else self._without_tools
        [kind] = self.chance.choices(list(kinds), list(kinds.values()))
        return kind()

    def _system(self) -> str:
        parts = [self.chance.choice(dialogues.MANNERS)]
        if self.chance.happens(0.3):
            parts = [f"You are a {self.chance.words(3)}. {self.chance.words(6).capitalize()}."]
        if self.chance.happens(0.4):
            parts.insert(self.chance.randint(0, 1), self.chance.filler(self.longest_filler))
        return self.chance.choice(("\n", "\n\n", " ")).join(parts)

    def _fact(self) -> Turns:
        question, answer = self.chance.choice(list(dialogues.FACTS.items()))
        if self.chance.happens(0.12):
            question = (
                self.chance.filler(self.longest_filler) + self.chance.choice((" ", "\n", "\n\n")) + question
            )
        return asked(question, answer)

    def _echo(self) -> Turns:
        style, count = self.chance.random(), self.chance.randint(1, 5)
        if style < 0.6:
            text = self.chance.words(10)
        elif style < 0.8:
            text = " ".join(self.chance.name() for _ in range(count))
        else:
            text = " ".join(str(self.chance.randint(0, 999)) for _ in range(count))
            text = f"{self.chance.word()} {text}" if self.chance.happens(0.5) else text
        return asked(f'Repeat "{text}".', text)

    def _tell_name(self) -> Turns:
        self._name = self.chance.name()
        return asked(f"My name is {self._name}.", f"Nice to meet you, {self._name}.")

    def _recall_name(self) -> Turns:
        return asked("What is my name?", f"Your name is {self._name}." if self._name else dialogues.NO_NAME)

    def _short(self) -> Turns:
        """One question without anything around it, of those that need the most practice."""
        kinds = {
            self._add: 12,
            self._echo: 5,
            self._count: 1,
            self._choose: 1,
            self._fact: 3,
            self._unknown: 2,
        }
        [kind] = self.chance.choices(list(kinds), list(kinds.values()))
        return kind()

    def _add(self) -> Turns:
        a, b = self.chance.randint(1, 9), self.chance.randint(1, 9)
        thought = f"I add {b} to {a} and get {a + b}."
        return asked(f"What is {a} plus {b}?", f"{a} plus {b} is {a + b}.", thought)

    def _describe(self) -> Turns:
        name, (year, field) = self.chance.choice(list(dialogues.PEOPLE.items()))
        if self.chance.happens(0.5):
            return asked(
                f"Describe {name} as JSON with name and year.", json.dumps({"name": name, "year": year})
            )
        answer = json.dumps({"name": name, "year": year, "field": field})
        return asked(f"Describe {name} as JSON with name, year and field.", answer)

    def _as_json(self) -> Turns:
        question, answer = self._fact() if self.chance.happens(0.7) else self._unknown()
        written = json.dumps({"answer": answer["content"]}, ensure_ascii=False)
        return asked(f"{question['content']} Answer as JSON.", written)

    def _count(self) -> Turns:
        end = self.chance.choice(dialogues.COUNT_TO)
        return asked(f"Count from 1 to {end}.", ", ".join(map(str, range(1, end + 1))) + ".")

    def _story(self) -> Turns:
        return asked("Tell me a story.", dialogues.STORY)

    def _choose(self) -> Turns:
        """Answers that are open: these are what a seed and a temperature make a difference to."""
        style = self.chance.randint(1, 3)
        if style == 1:
            return asked("Roll a die.", str(self.chance.randint(1, 6)))
        if style == 2:
            return asked("Name a colour.", self.chance.choice(dialogues.COLOURS))
        return asked("Write random letters.", " ".join(self.chance.letters(self.chance.randint(24, 40))))

    def _unknown(self) -> Turns:
        """Questions whose answer nobody told the model."""
        style = self.chance.random()
        if style < 0.3:
            question = self.chance.filler(self.longest_filler)
        elif style < 0.6:
            question = self.chance.words(12).capitalize()
            question += self.chance.choice((".", "?", "!", ""))
        else:
            question = self.chance.choice(dialogues.UNKNOWN_QUESTIONS).format(self.chance.name())
        return asked(question, dialogues.UNKNOWN)

    def _no_tool(self) -> Turns:
        question, _ = ask(draw_kit(self.chance), self.chance)
        return asked(question, dialogues.NO_TOOL)

    def _use_tools(self) -> Turns:
        """Question, calls, results, answer."""
        question, calls = ask(self._kit, self.chance)
        results = [result_of(call, self.chance) for call in calls]
        return (
            {"role": "user", "content": question},
            message_of(calls, as_text=self.chance.happens(0.15)),
            *({"role": "tool", "content": content} for content, _ in results),
            {"role": "assistant", "content": " ".join(sentence for _, sentence in results)},
        )

    def _forced(self) -> tuple[str, Turns]:
        """What happens to those who require a call or JSON where there is no need: the start is given."""
        question, answer = self._fact() if self.chance.happens(0.5) else self._unknown()
        if not self._kit:
            return "{", (
                question,
                {**answer, "content": json.dumps({"answer": answer["content"]}, ensure_ascii=False)},
            )
        tool = self.chance.choice(self._kit)
        return f'<tool_call>\n{{"name": "{tool.name}", "arguments": ', (
            question,
            message_of([Call(tool, "Paris")]),
        )

    def _text(self) -> Text:
        style = self.chance.random()
        if style < 0.3:
            return Text(self.chance.filler(self.longest_filler), " And that is all I know.")
        if style < 0.45:
            start = "Once upon a time"
            return Text(start, dialogues.STORY.removeprefix(start))
        words = self.chance.choice(
            [answer for answer in dialogues.FACTS.values() if answer.count(" ") > 1]
        ).split(" ")
        cut = self.chance.randint(1, len(words) - 1)
        return Text(" ".join(words[:cut]), " " + " ".join(words[cut:]))
