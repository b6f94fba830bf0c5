"""Texts that break tokenizers: any code point, odd whitespace, look-alikes of special symbols."""

import random
import string

ODD = " \t\n\r\x00\x0b\x0c\x1c\x85\u00a0\u2028\u2029\u2581\u3000\u200b\u200d\ufeff\ufffd\ufdd0\u0301\ufb01"
LOOKALIKES = (
    "</s>", "<s>", "<pad>", "<unk>", "<|endoftext|>", "<0x0A>", "madeupword0000", "negative\t", "1\t", "\\t",
    '"', '""', ",", "\r\n", "''", "don't", "e\u0301", "\U0001f469\u200d\U0001f4bb",
)  # fmt: skip


def random_text(generator, longest=24):
    """One text of up to ``longest`` pieces from a ``random.Random``; may be empty."""
    return "".join(_piece(generator) for _ in range(generator.randrange(longest + 1)))


def random_texts(count, seed, longest=24):
    """``count`` texts, the same for the same seed."""
    generator = random.Random(seed)
    return [random_text(generator, longest) for _ in range(count)]


def _piece(generator):
    kind = generator.random()
    if kind < 0.25:
        return generator.choice(ODD)
    if kind < 0.5:
        return generator.choice(string.ascii_letters + string.digits)
    if kind < 0.65:
        return " " + generator.choice(("film", "good", "not", "The", "naïve", "1,000"))
    if kind < 0.75:
        return generator.choice(LOOKALIKES)
    code = generator.randrange(0x110000 - 0x800)
    return chr(code if code < 0xD800 else code + 0x800)  # every code point but surrogates
