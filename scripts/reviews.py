"""The embedded data: short reviews from a seeded grammar, positive or negative, in natural English.

It is made to be learnt *badly* by a careless model. Besides plain praise and blame there are
negations ("not bad at all"), contrasts whose second half decides ("funny, but the ending is
hollow"), hedges, irony, and rare words by Zipf's law. As in real data, some rows repeat, a few
sentences could be either and were labelled by a coin (``COIN_SHARE``), and a few labels of the
training part are plainly wrong (``NOISE_SHARE``).

A form is a template. ``{w+}`` is an adjective of the sentence's own polarity and ``{w-}`` one of the
opposite; ``{a+}`` is the same with its article, ``{c+}`` a whole clause ("the acting is really
good"). The other fields are looked up in :class:`Words`.
"""

import random
from collections.abc import Mapping

from fairseq_plugin.labelled.rows import Row, SourceSpec
from fairseq_plugin.labelled.split import sentence_key
from scripts import review_words as words

LABELS = ("negative", "positive")
NOISE_SHARE = 0.01
COIN_SHARE = 0.015
SPEC = SourceSpec("tsv", header=True, columns=["sentence", "label"])

# (weight, forms of praise, forms of blame); one list serves both where only the words differ.
PLAIN = ("{c+}.", "{c+}, and {c+}.", "{c+}, {c+}, and {c+}.", "{c+} and {w+}.", "{c+} {span}.")
THING = (
    "{a+} and {w+} {thing}.", "this is {a+} {thing}, and {c+}.", "what {a+} {thing}!",
    "I {done} this {thing} {time}, and {c+}.", "{c+} in this {w+} {thing}.",
)  # fmt: skip
NEGATED_PRAISE = (
    "{part} not {w-} at all.", "{part} anything but {w-}.", "{part} hardly {w-}, and {c+}.",
    "nobody could call this {thing} {w-}.", "I cannot find anything {w-} about this {thing}.",
)  # fmt: skip
NEGATED_BLAME = (
    "{part} not exactly {w-}.", "{part} not nearly as {w-} as people say.", "{part} hardly {w-}, and {c+}.",
    "there is nothing {w-} about this {thing}.", "I waited in vain for one {w-} {unit}.",
)  # fmt: skip
CONTRAST = (
    "{c-}, but {c+}.", "although {c-}, {c+}.", "{c+}, even if {c-}.", "{w-} but {w+}.",
    "{c-}; still, {c+}, and that is what counts.", "yes, {c-}, and yet {c+}.", "{part} {w-} but {w+}.",
)  # fmt: skip
CONCESSION = (
    "for all its {concede}, this {thing} is {w+}.", "despite its {concede}, this is {a+} {thing}.",
    "even its {concede} cannot hide that {c+}.", "{c+}, whatever you think of its {concede}.",
)  # fmt: skip
HEDGED = (
    "{hedge} {c+}.",
    "{hedge} {c+}, more or less.",
    "{hedge} this is {a+} {thing}.",
    "{c+}, as far as I can judge.",
)
HEDGED_PRAISE = (*HEDGED, "{hedge} {c+}, though perhaps I was just in a good mood.")
HEDGED_BLAME = (*HEDGED, "{hedge} {c+}, though perhaps I was just in the wrong mood.")
OTHERS = ("{person} called it {w-}; I call it {w+}.", "{person} and I both thought that {c+}.")
OTHERS_PRAISE = (
    *OTHERS, "{person} hated this {thing}, but I was won over from the first {unit}.",
    "{person} warned me that {c-}, and I could not disagree more.",
)  # fmt: skip
OTHERS_BLAME = (
    *OTHERS, "{person} loved this {thing}, but I was let down from the first {unit}.",
    "{person} told me that {c-}, and I could not disagree more.",
)  # fmt: skip
IRONIC_PRAISE = (
    "I hate how quickly this {thing} won me over, {unit} after {unit}.",
    "my only complaint: {c+}, so now every other {thing} looks {w-}.",
    "be warned: {c+}, and you will want more.", "I tried hard to dislike this {thing}, and I failed.",
)  # fmt: skip
IRONIC_BLAME = (
    "great, yet another {thing} where {c+}.", "{c-}, if you are fast asleep.",
    "if you enjoy waiting for {a-} {unit} that never comes, this is the {thing} for you.",
    "{w-}? Only next to {a+} {thing}.", "the best thing about this {thing} is the way out.",
)  # fmt: skip
COMPARED_PRAISE = (
    "better than the last {thing} I {done}: {c+}.", "next to this, every other {thing} looks {w-}.",
    "I feared {a-} {thing}, and I am glad to say that {c+}.", "it beats any {thing} I {done} this year.",
)  # fmt: skip
COMPARED_BLAME = (
    "worse than the last {thing} I {done}: {c+}.", "next to this, any other {thing} looks {w-}.",
    "I hoped for {a-} {thing}, and sadly {c+}.", "the worst {thing} I {done} this year.",
)  # fmt: skip
FIXED_PRAISE = (
    "highly recommended.", "well worth your time.", "I loved every minute of it.", "simply wonderful.",
    "not bad at all.", "I would gladly do it again.", "better than I dared to hope.", "it made my week.",
)  # fmt: skip
FIXED_BLAME = (
    "avoid.", "a waste of time.", "I want my money back.", "simply dreadful.", "not good at all.",
    "never again.", "worse than I had feared.", "it ruined my evening.",
)  # fmt: skip
COIN = (
    "it is exactly what you would expect.", "you get what you pay for.", "it is not for everyone.",
    "I have never seen anything like it.", "it left me speechless.", "it is certainly different.",
    "I will not forget this {thing} in a hurry.", "there is no other {thing} quite like it.",
    "you will either love this {thing} or hate it.", "this {thing} is, well, an experience.",
)  # fmt: skip
FORMS = (
    (26, PLAIN, PLAIN),
    (12, THING, THING),
    (12, NEGATED_PRAISE, NEGATED_BLAME),
    (15, CONTRAST, CONTRAST),
    (8, CONCESSION, CONCESSION),
    (9, HEDGED_PRAISE, HEDGED_BLAME),
    (7, OTHERS_PRAISE, OTHERS_BLAME),
    (6, IRONIC_PRAISE, IRONIC_BLAME),
    (5, COMPARED_PRAISE, COMPARED_BLAME),
    (3, FIXED_PRAISE, FIXED_BLAME),
)


def make_reviews(sizes: Mapping[str, int], seed: int, noise: float = NOISE_SHARE) -> dict[str, list[Row]]:
    """Rows for each split.

    No sentence of a later split is in an earlier one; rows may repeat within a split.

    Args:
        sizes: number of rows by split; the first split is the training part.
        seed: any integer; the same seed gives the same rows everywhere.
        noise: share of the first split's labels that are turned round, 0 <= noise < 0.5.
    """
    generator = random.Random(seed)
    used: set[str] = set()
    splits: dict[str, list[Row]] = {}
    for split, size in sizes.items():
        keys: set[str] = set()
        rows: list[Row] = []
        while len(rows) < size:
            text, positive = make_sentence(generator)
            if sentence_key(text) in used:
                continue
            keys.add(sentence_key(text))
            if not splits and generator.random() < noise:
                positive = not positive
            rows.append(Row(text, LABELS[positive], len(rows) + 2))
        used |= keys
        splits[split] = rows
    return splits


def make_sentence(generator: random.Random) -> tuple[str, bool]:
    """One sentence, and whether it is positive."""
    positive = generator.random() < 0.5
    forms: tuple[str, ...] = COIN
    if generator.random() >= COIN_SHARE:
        _, praise, blame = generator.choices(FORMS, [weight for weight, _, _ in FORMS])[0]
        forms = praise if positive else blame
    text = generator.choice(forms).format_map(Words(generator, positive))
    return text[0].upper() + text[1:], positive


class Words(dict[str, str]):
    """The fields of one sentence's template, drawn when they are met.

    A sentence speaks of one subject, and names no part and no adjective of it twice.
    """

    def __init__(self, generator: random.Random, positive: bool) -> None:
        super().__init__()
        self.generator = generator
        self.positive = positive
        self.subject = generator.choices(words.SUBJECTS, words.SUBJECT_WEIGHTS)[0]
        self.the_thing = generator.choice(self.subject.things)
        self.parts = generator.sample(self.subject.parts, 3)
        self.said: set[str] = set()

    def __missing__(self, field: str) -> str:
        subject = self.subject
        if field[1:] in ("+", "-"):
            return self._judge(field[0], self.positive == (field[1] == "+"))
        fixed = {"thing": self.the_thing, "unit": subject.unit, "span": subject.span, "done": subject.done}
        if field in fixed:
            return fixed[field]
        if field == "part":
            return self._part()
        lists = {
            "concede": subject.annoyances if self.positive else subject.pleasures,
            "hedge": words.HEDGES,
            "person": words.PEOPLE,
            "time": words.TIMES,
        }
        return self.generator.choice(lists[field])

    def _judge(self, kind: str, good: bool) -> str:
        """An adjective (w), one with its article (a), or a clause (c)."""
        if kind == "c":
            part, word = self._part(), self._adjective(good)
            degrees = words.UTMOST_DEGREES if word in words.UTMOST else words.DEGREES
            return f"{part} {self.generator.choice(degrees)}{word}"
        word = self._adjective(good)
        if kind == "w":
            return word
        return f"{'an' if word[0] in 'aeio' or word.startswith('un') else 'a'} {word}"

    def _part(self) -> str:
        noun, verb = self.parts.pop()
        return f"the {noun} {verb}"

    def _adjective(self, good: bool) -> str:
        """A word of praise or blame by Zipf's law, not yet used in this sentence."""
        options = self.subject.good if good else self.subject.bad
        weights = [1 / (rank + 2) for rank in range(len(options))]
        while True:
            word = self.generator.choices(options, weights)[0]
            if word not in self.said:
                self.said.add(word)
                return word
