"""The texts behind the golden vectors: none, short, long, odd."""

_PARAGRAPH = (
    "The library at the corner of the old market square had been closed for eleven years when the town council voted, "
    "by a margin of one, to open it again. Nobody remembered who had locked the doors or where the key had gone, and "
    "so a locksmith from the next valley was sent for; he arrived on a Tuesday, in heavy rain, with two apprentices "
    "and a dog. Behind the first door they found a second, and behind the second a reading room in perfect order: "
    "lamps trimmed, chairs pushed in, a newspaper from the last day folded on the desk. "
)
_SENTENCES = (
    "A man is eating food.",
    "A man is eating a piece of bread.",
    "The girl is carrying a baby.",
    "A cheetah is running behind its prey.",
    "Two men pushed carts through the woods.",
    "How do I reset the password of my router?",
    "Redis keeps the append-only file on disk and rewrites it in the background.",
    "The mitochondrion is the powerhouse of the cell.",
    "Interest rates were left unchanged by the central bank on Thursday.",
    "SELECT id, title FROM pages WHERE collection = 'reports' ORDER BY created_at DESC LIMIT 20;",
    "def area(radius: float) -> float:\n    return 3.14159 * radius ** 2",
    "Ein kleiner Vogel sitzt auf dem Zaun und singt.",
    "L'été dernier, nous avons traversé la Bretagne à vélo.",
    "今日はとても良い天気ですね。",
    "Погода сегодня хорошая 🙂🚀",
    "ﬁne ｆｕｌｌｗｉｄｔｈ, zero\u200bwidth, and naïve café",
    "https://example.org/a/b?c=d&e=%20f#g",
    "x",
    "   spaces   around   \t and\n\nnewlines  ",
    "[CLS] words that look special [SEP] [MASK]",
)
MINILM_TEXTS = ("", *_SENTENCES, _PARAGRAPH.strip(), (_PARAGRAPH * 2)[:1000], "word " * 253)

SMALL_TEXTS = (
    "",
    "the quick red fox jumps over a slow dog",
    "Night.",
    "search: cold river? 42!",
    "été 你好 🙂",
    "the old sailor writes a letter to the queen and " * 6,
    "snow " * 40,
    "a small bird sings near the window of a large house in winter; the doctor reads, the child sleeps",
)

_STORY = (
    "the old sailor writes a letter to the queen and the child reads a book near the window of the house; "
)
PAIRS = (
    ("red fox", "the quick red fox jumps over a slow dog"),
    ("red fox", "Night."),
    ("red fox", ""),
    ("red fox", _STORY * 3),
    ("red fox", "été 你好 🙂"),
    ("", "a small bird sings near the window of a large house in winter"),
    ("", ""),
    ("who reads a book in the house?", _STORY),
    ("who reads a book in the house?", "snow " * 50),
    ("who reads a book in the house?", "[CLS] words that look special [SEP] </s> <|im_end|>\n"),
    ("Zürich — naïve café 東京?", "winter in the mountain city; rain, wind and light"),
    ("the doctor talks and the farmer walks over the cold river in the evening rain", "doctor: 42!"),
)
OVERLONG = ("red fox", _STORY * 12)
"""Longer than any small reranker reads: to be cut."""
