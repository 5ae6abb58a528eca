"""The tools of the lessons: what they are, how one asks for them, what they answer."""

import json
from dataclasses import dataclass
from typing import Any

from examples.tiny_chat import dialogues
from examples.tiny_chat.chance import Chance


@dataclass(frozen=True)
class Tool:
    """kind: "weather" or "time". key: the one argument's name."""

    kind: str
    name: str
    key: str


@dataclass(frozen=True)
class Call:
    tool: Tool
    city: str


def draw_kit(chance: Chance) -> list[Tool]:
    """A weather tool and, mostly, one that tells the time, in any order. Mostly called get_weather and get_time."""
    [key] = chance.choices(("city", "location", "place"), (7, 2, 1))
    [name] = chance.choices(("get_weather", "get_current_weather", "weather"), (8, 1, 1))
    kit = [Tool("weather", name, key)]
    if chance.happens(0.6):
        [name] = chance.choices(("get_time", "get_current_time"), (8, 2))
        kit.append(Tool("time", name, key))
    chance.shuffle(kit)
    return kit


def describe(tool: Tool, chance: Chance) -> dict[str, Any]:
    """`tool` as an OpenAI client would describe it: what may be left out varies."""
    argument = {"type": "string"}
    if chance.happens(0.3):
        argument["description"] = chance.choice(dialogues.ARGUMENT_DESCRIPTIONS)
    parameters: dict[str, Any] = {"type": "object", "properties": {tool.key: argument}}
    if chance.happens(0.7):
        parameters["required"] = [tool.key]
    if chance.happens(0.2):
        parameters["additionalProperties"] = False
    function: dict[str, Any] = {"name": tool.name}
    if chance.happens(0.7):
        function["description"] = chance.choice((*dialogues.TOOL_DESCRIPTIONS[tool.kind], ""))
    function["parameters"] = parameters
    if chance.happens(0.1):
        function["strict"] = True
    return {"type": "function", "function": function}


def ask(kit: list[Tool], chance: Chance) -> tuple[str, list[Call]]:
    """A question about one to three cities, and the calls that answer it."""
    tool = chance.choice(kit)
    [count] = chance.choices((1, 2, 3), (65, 28, 7))
    cities = [chance.city() for _ in range(count)]
    if count == 2 and len(kit) == 2 and chance.happens(0.3):
        other = kit[1 - kit.index(tool)]
        first = chance.choice(dialogues.TOOL_QUESTIONS[tool.kind]).format(cities[0])[:-1]
        second = chance.choice(dialogues.TOOL_QUESTIONS[other.kind]).format(cities[1])
        return f"{first}, and {second[0].lower()}{second[1:]}", [
            Call(tool, cities[0]),
            Call(other, cities[1]),
        ]
    listed = (
        ", ".join(cities[:-1]) + chance.choice((" and ", " and in ")) + cities[-1] if count > 1 else cities[0]
    )
    question = chance.choice(dialogues.TOOL_QUESTIONS[tool.kind]).format(listed)
    return question, [Call(tool, city) for city in cities]


def message_of(calls: list[Call], as_text: bool = False) -> dict[str, Any]:
    """The turn in which the calls are made. as_text: as some clients send it back, without spaces; not learnt then."""
    listed = list[dict[str, Any]]()
    for call in calls:
        arguments: Any = {call.tool.key: call.city}
        if as_text:
            arguments = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
        listed.append({"type": "function", "function": {"name": call.tool.name, "arguments": arguments}})
    return {"role": "assistant", "content": "", "tool_calls": listed, "learnt": not as_text}


def result_of(call: Call, chance: Chance) -> tuple[str, str]:
    """What the tool may say, and the sentence that tells it."""
    spacing = chance.choice(((", ", ": "), (", ", ": "), (",", ":")))
    if chance.happens(0.1):
        why = chance.choice(dialogues.TOOL_ERRORS)
        return json.dumps({"error": why}, separators=spacing), f"That did not work: {why}."
    if call.tool.kind == "time":
        time = f"{chance.randint(0, 23):02}:{chance.randint(0, 59):02}"
        said = time if chance.happens(0.5) else json.dumps({"time": time}, separators=spacing)
        return said, f"It is {time} in {call.city}."
    degrees, sky = chance.randint(-20, 40), chance.choice(dialogues.SKIES)
    if chance.happens(0.4):
        said = chance.choice(
            (f"{sky}, {degrees} degrees", f"{degrees} degrees and {sky}", sky, chance.words(8))
        )
        return said, f'The weather in {call.city}: "{said}".'
    facts: dict[str, Any] = {"temperature": degrees, "sky": sky}
    if chance.happens(0.3):
        facts = {"city": call.city, **facts}
    said = json.dumps(facts, ensure_ascii=False, separators=spacing)
    return said, f"In {call.city} it is {degrees} degrees with {sky}."
