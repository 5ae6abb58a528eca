"""Random words, names and texts: what differs from lesson to lesson, so that it has to be read, not remembered."""

import random
import string

from examples.tiny_chat import dialogues

SCRIPTS = "áçéíñóöøüαβγδελοπσбвгдикортюя京大北東海上山港"


class Chance(random.Random):
    """A random generator that can also speak."""

    def happens(self, probability: float) -> bool:
        return self.random() < probability

    def word(self) -> str:
        return self.choice(dialogues.WORDS) if self.happens(0.7) else self.name().lower()

    def words(self, most: int) -> str:
        """Up to `most` words, each only once."""
        return " ".join(dict.fromkeys(self.word() for _ in range(self.randint(1, most))))

    def letters(self, count: int) -> str:
        return "".join(self.choices(string.ascii_lowercase, k=count))

    def name(self) -> str:
        """A name, mostly one that nobody has."""
        style = self.random()
        if style < 0.25:
            return self.choice(dialogues.NAMES)
        if style < 0.4:
            return self.choice(string.ascii_uppercase) + self.letters(self.randint(2, 6))
        if style < 0.45:
            return "".join(self.choices(SCRIPTS, k=self.randint(2, 6)))
        syllables = (
            self.choice("bcdfghjklmnprstvwz") + self.choice("aeiou") + self.choice(("", "", *"nrslmt"))
            for _ in range(self.randint(1, 3))
        )
        return "".join(syllables).capitalize()

    def city(self) -> str:
        style = self.random()
        if style < 0.4:
            return self.choice(dialogues.CITIES)
        return self.name() if style < 0.9 else f"{self.name()} {self.name()}"

    def filler(self, longest: int) -> str:
        """Up to about `longest` words that mean nothing, few more often than many."""
        length = int(3 * (longest / 3) ** self.random())
        style = self.random()
        if style < 0.4:
            text = (self.choice(dialogues.FILLER) if style < 0.3 else self.words(3)) + self.choice(
                (" ", "\n")
            )
            return (text * (length // len(text.split()) + 1)).strip()
        if style < 0.8:
            words = list[str]()
            while len(words) < length:
                words += self.choice(dialogues.FILLER).split()
            return " ".join(words)
        return " ".join(self.word() for _ in range(length))
