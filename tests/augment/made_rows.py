"""Real rows from the grammar of scripts/reviews.py, in two classes or by subject; and bad new rows."""

import random

from scripts import review_words
from scripts.reviews import FORMS, LABELS, Words, make_reviews


def examples(rows):
    """``(label index, text)`` of rows."""
    return [(LABELS.index(row.label), row.text) for row in rows]


def reviews(num_train, num_held=300, num_more=600, seed=3):
    """``({"train", "valid"}, more rows of the same kind)``, labelled by praise and blame."""
    made = make_reviews({"train": num_train, "valid": num_held, "more": num_more}, seed)
    real = {split: examples(made[split]) for split in ("train", "valid")}
    return real, examples(made["more"])


def by_subject(per_label, num_held, seed=3):
    """Names of the labels, and ``{"train", "test"}``: the label is what the review is about."""
    generator, subjects = random.Random(seed), review_words.SUBJECTS
    counts, train, test, seen = [0] * len(subjects), [], [], set()
    while len(test) < num_held:
        words = Words(generator, generator.random() < 0.5)
        _, praise, blame = generator.choices(FORMS, [weight for weight, _, _ in FORMS])[0]
        text = generator.choice(praise if words.positive else blame).format_map(words)
        label = subjects.index(words.subject)
        if text in seen:
            continue
        seen.add(text)
        if counts[label] < per_label:
            counts[label] += 1
            train.append((label, text))
        elif min(counts) == per_label:
            test.append((label, text))
    return [f"subject {number}" for number in range(len(subjects))], {"train": train, "test": test}


def gibberish(train, num_labels, count, right=0.0, seed=1):
    """Words of train in any order under any label; a share ``right`` holds its own label's words alone."""
    generator = random.Random(seed)
    every = [word for _, text in train for word in text.split()]
    rows = []
    for number in range(count):
        label = number % num_labels
        own = [word for other, text in train if other == label for word in text.split()]
        words = own if generator.random() < right else every
        rows.append((label, " ".join(generator.choices(words, k=10))))
    return rows


def shuffled(rows, seed=1):
    """The same texts, the labels dealt out anew."""
    labels = [label for label, _ in rows]
    random.Random(seed).shuffle(labels)
    return [(label, text) for label, (_, text) in zip(labels, rows)]
