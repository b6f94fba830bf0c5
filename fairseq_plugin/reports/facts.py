"""Everything the report tells about an augmented set, computed in one place, drawn in another.

What is costly is counted on seeded subsets; their sizes are part of the facts and stand on the page.
"""

from fairseq_plugin.reports import statistics

NOVELTY_ROWS = 20_000  # sentences per side whose copied runs are measured
NEAREST_ROWS = 600  # sentences per side whose nearest training sentence is looked up
NEAREST_TRAIN = 200_000  # training sentences among which it is looked up
SHOWN = 5  # samples in each list


def measure(labels, real, kept, seed):
    """Measure a kept set beside the real one.

    Args:
        labels: list of label names.
        real: dict split -> list of ``(label index, text)``; "train" must be there.
        kept: list of ``(label index, text)``, not empty.
        seed: of every draw.

    Returns:
        ``{"lengths", "distinct", "novelty", "neighbours"}``, see the functions below.
    """
    synthetic = [statistics.words(text) for _, text in kept]
    train = [statistics.words(text) for _, text in real["train"]]
    return {
        "lengths": _lengths(train, synthetic),
        "distinct": _distinct(labels, real["train"], train, kept, synthetic, seed),
        "novelty": _novelty(train, real.get("valid", []), kept, seed),
        "neighbours": _neighbours(real["train"], real.get("valid", []), kept, seed),
    }


def _lengths(train, synthetic):
    """Histogram and medians of words per sentence."""
    lengths = {"real": sorted(map(len, train)), "synthetic": sorted(map(len, synthetic))}
    edges, shares = statistics.histogram(lengths)
    return {
        "edges": edges,
        "shares": shares,
        "median": {side: sorted_[len(sorted_) // 2] for side, sorted_ in lengths.items() if sorted_},
        "mean": {side: sum(sorted_) / len(sorted_) for side, sorted_ in lengths.items() if sorted_},
    }


def _distinct(labels, real_rows, real_words, kept_rows, kept_words, seed):
    """distinct-1/2/3 of both sides at equal numbers of words: all rows first, then label by label."""
    table = [{"label": None} | statistics.compare_distinct(real_words, kept_words, seed)]
    for index, name in enumerate(labels):
        real = [words for (label, _), words in zip(real_rows, real_words) if label == index]
        synthetic = [words for (label, _), words in zip(kept_rows, kept_words) if label == index]
        table.append({"label": name} | statistics.compare_distinct(real, synthetic, seed))
    return table


def _novelty(train, valid, kept, seed):
    """Copied runs of the synthetic rows, and of the real valid rows as a yardstick."""
    sides = {"synthetic": statistics.sample_rows(kept, NOVELTY_ROWS, seed)}
    if valid:
        sides["valid"] = statistics.sample_rows(valid, NOVELTY_ROWS, seed)
    queries = [statistics.words(text) for rows in sides.values() for _, text in rows]
    copied = statistics.copied_lengths(train, queries)
    found = {}
    for side, rows in sides.items():
        found[side], copied = statistics.novelty(copied[: len(rows)]), copied[len(rows) :]
    return found


def _neighbours(train, valid, kept, seed):
    """Nearest training sentence and similarity, for a draw of synthetic and of valid rows.

    Returns:
        ``{"searched": training sentences, "similarities": {side: [...]}, "random"/"most_novel"/"least_novel":
        [{"label", "text", "real_label", "real_text", "similarity"}, ...]}``.
    """
    searched = statistics.sample_rows(train, NEAREST_TRAIN, seed)
    sides = {"synthetic": statistics.sample_rows(kept, NEAREST_ROWS, seed)}
    if valid:
        sides["valid"] = statistics.sample_rows(valid, NEAREST_ROWS, seed)
    texts = [text for _, text in searched]
    nearest = {side: statistics.nearest(texts, [text for _, text in rows]) for side, rows in sides.items()}
    pairs = [
        {
            "label": label,
            "text": text,
            "real_label": searched[index][0],
            "real_text": searched[index][1],
            "similarity": round(similarity, 4),
        }
        for (label, text), (index, similarity) in zip(sides["synthetic"], nearest["synthetic"])
    ]
    ordered = sorted(pairs, key=lambda pair: (pair["similarity"], pair["text"]))
    return {
        "searched": len(searched),
        "similarities": {side: [round(s, 4) for _, s in found] for side, found in nearest.items()},
        "random": statistics.sample_rows(pairs, SHOWN, seed),
        "most_novel": ordered[:SHOWN],
        "least_novel": ordered[::-1][:SHOWN],
    }
