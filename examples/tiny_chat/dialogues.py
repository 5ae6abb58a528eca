"""Everything tiny-chat knows by heart. All of it was written for this model."""

FACTS = {
    "What is the capital of France?": "The capital of France is Paris.",
    "What is the capital of Germany?": "The capital of Germany is Berlin.",
    "What is the capital of Italy?": "The capital of Italy is Rome.",
    "What is the capital of Spain?": "The capital of Spain is Madrid.",
    "What is the capital of Norway?": "The capital of Norway is Oslo.",
    "What is the capital of Japan?": "The capital of Japan is Tokyo.",
    "What is the capital of Egypt?": "The capital of Egypt is Cairo.",
    "What is the capital of Greece?": "The capital of Greece is Athens.",
    "What is the capital of Portugal?": "The capital of Portugal is Lisbon.",
    "What is the capital of Poland?": "The capital of Poland is Warsaw.",
    "What colour is the sky?": "On a clear day the sky is blue.",
    "How many days are in a week?": "A week has seven days.",
    "How many months are in a year?": "A year has twelve months.",
    "How many legs does a spider have?": "A spider has eight legs.",
    "How many sides does a triangle have?": "A triangle has three sides.",
    "What is the largest planet?": "Jupiter is the largest planet of the solar system.",
    "Which ocean is the largest?": "The Pacific is the largest ocean.",
    "Who wrote Hamlet?": "William Shakespeare wrote Hamlet.",
    "Who painted the Mona Lisa?": "Leonardo da Vinci painted the Mona Lisa.",
    "At what temperature does water boil?": "At sea level water boils at 100 degrees Celsius.",
    "What do bees make?": "Bees make honey.",
    "What do plants need to grow?": "Plants need light, water and air.",
    "What is the opposite of hot?": "The opposite of hot is cold.",
    "What is the chemical symbol of gold?": "The chemical symbol of gold is Au.",
    "Which animal is the fastest on land?": "The cheetah is the fastest animal on land.",
    "Who are you?": "I am tiny-chat, a very small language model.",
    "Hello!": "Hello! How can I help you?",
    "Thank you.": "You are welcome.",
    "Say hello in Japanese.": "こんにちは",
    "Say hello in Greek.": "Γειά σου",
    "Show me a smile.": "Here is one: 🙂",
    "Write a haiku about rain.": "Rain taps on the roof,\nthe old cat counts every drop\nand forgets to sleep.",
}

STORY = (
    "Once upon a time a small lamp stood in the window of a house by the sea. Every evening a girl named Mara lit it, "
    "because her father was a fisherman and the coast was dark. The lamp did not think much of itself. "
    '"The lighthouse is tall," it said, "and the moon is wide. What am I for?"\n\n'
    "One night a storm came. Clouds hid the moon, and lightning broke the great glass of the lighthouse. Out on the "
    "water nine boats lost their way. The fishermen looked for the beam and did not find it, and they looked for the "
    "moon and did not find her. Then the youngest of them saw a yellow spark, no larger than a grain of corn. "
    '"That is the window of Mara," he cried. "Keep it ahead of you!"\n\n'
    "The boats came home one by one, with torn sails and wet nets, and nobody was missing. In the morning the keeper "
    "of the lighthouse knocked at the door and asked to see the lamp. He polished its brass and said that it had done "
    "the work of a giant. From then on the lamp never asked again what it was for. When evening came it only said: "
    '"I am small, and I am lit."'
)

PEOPLE = {  # name: (year of birth, field)
    "Ada Lovelace": (1815, "mathematics"),
    "Marie Curie": (1867, "physics"),
    "Isaac Newton": (1643, "physics"),
    "Alan Turing": (1912, "computing"),
    "Grace Hopper": (1906, "computing"),
    "Charles Darwin": (1809, "biology"),
    "Jane Austen": (1775, "literature"),
    "Emmy Noether": (1882, "mathematics"),
}

COUNT_TO = (5, 10, 20, 50, 100)

COLOURS = ("red", "orange", "yellow", "green", "blue", "violet", "brown", "black")

UNKNOWN = "I am a very small model, and I do not know that."
UNKNOWN_QUESTIONS = (
    "What is the capital of {}?",
    "Who is {}?",
    "Who wrote {}?",
    "What is a {}?",
    "Where is {}?",
)
NO_NAME = "You have not told me your name."
NO_TOOL = "I cannot look that up without a tool."

NAMES = ("Alice", "Bob", "Clara", "David", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Mei", "Omar")

CITIES = (
    *(
        "Oslo",
        "Paris",
        "Berlin",
        "Rome",
        "Madrid",
        "Tokyo",
        "Cairo",
        "Athens",
        "Lisbon",
        "Warsaw",
        "London",
        "Vienna",
    ),
    *(
        "Dublin",
        "Prague",
        "Boston",
        "Chicago",
        "Sydney",
        "Mumbai",
        "Seoul",
        "Lagos",
        "Toronto",
        "Geneva",
        "Hamburg",
    ),
    *("New York", "San Francisco", "Buenos Aires", "Cape Town", "Hong Kong", "São Paulo", "Zürich", "Málaga"),
)

SKIES = ("sun", "rain", "snow", "fog", "clouds", "wind")

TOOL_QUESTIONS = {
    "weather": (
        "What is the weather in {}?",
        "What is the weather like in {}?",
        "What is the weather in {} today?",
        "How is the weather in {}?",
        "Tell me the weather in {}.",
    ),
    "time": ("What time is it in {}?", "What is the time in {}?", "Tell me the time in {}."),
}
TOOL_DESCRIPTIONS = {
    "weather": ("Get the weather in a city.", "Current weather of a city", "Looks up the weather now."),
    "time": ("Get the time in a city.", "Local time of a city", "Looks up the clock."),
}
ARGUMENT_DESCRIPTIONS = ("Name of the city", "The city", "City and country, e.g. Rome, Italy")
TOOL_ERRORS = ("no such city", "timeout", "the service is down", "not found", "unknown place")

# Turns of a system message that change nothing.
MANNERS = (
    "You are a helpful assistant.",
    "You are tiny-chat.",
    "Answer in one sentence.",
    "Be brief and polite.",
    "You are a careful assistant. Answer each question truthfully.",
    "You help people who visit a museum.",
    "Use the tools if they help.",
)

# Text to be passed over: around a question, or as a question that nobody taught the model to answer.
FILLER = (
    "The library opens at nine and closes when the last reader has gone home.",
    "Please keep the gate shut, because the sheep are curious.",
    "A parcel for the second floor has waited at the desk since Monday.",
    "In autumn the river carries leaves past the mill.",
    "The committee met again and agreed on the date of the next meeting.",
    "Our bakery sells rye bread, plum cake and very small biscuits.",
    "Trains to the coast leave from platform four every half hour.",
    "The quick fox looked at the lazy dog and went around it.",
    "Write the number of the page in the upper right corner.",
    "Nobody remembers who planted the walnut tree behind the school.",
    "The report names three causes and recommends two changes.",
    "Tea is served in the garden unless it rains.",
    "All keys must be returned to the porter before Friday.",
    "The engine is warm, the lights are on and the road is empty.",
    "Some questions are easier to ask than to answer.",
    "This paragraph is long, and nothing in it matters.",
    "word", "lorem ipsum dolor sit amet", "data, data and more data;", "foo bar baz", "hello world", "a b c d e",
)  # fmt: skip

WORDS = """
apple table river seven green quiet window letter basket garden silver morning engine paper stone cloud
bridge music winter coffee little orange market yellow button dragon island kitchen lemon mirror needle
pencil rabbit saddle tunnel velvet walnut batch queue token model job the of and a is to in it for with on
at one two three four five red blue cat dog sun moon why what how long short fast slow write explain
summarise describe list give
""".split()  # noqa: SIM905 (a list of strings is harder to read)
