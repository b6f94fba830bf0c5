"""Near-duplicates stated literally: every text against every earlier one, by their sets of 4-grams."""


def grams(text):
    """Character 4-grams of a text without regard to case and spacing, as it stands between two spaces."""
    padded = " " + " ".join(text.casefold().split()) + " "
    if len(padded) < 4:
        return {padded}
    return {padded[start : start + 4] for start in range(len(padded) - 3)}


def jaccard(first, second):
    """Common ones by all of either."""
    return len(grams(first) & grams(second)) / len(grams(first) | grams(second))


def verdicts(texts, labels, real, threshold):
    """A reason or None for each text; ``real`` is a list of (split, text)."""
    passed, found = [], []
    for text, label in zip(texts, labels):
        copied = [split for split, other in real if jaccard(text, other) >= threshold]
        split = next((split for split in ("test", "valid", "train") if split in copied), None)
        if split:
            found.append(f"near_copy_of_{split}")
        elif any(other_label == label and jaccard(text, other) >= threshold for other, other_label in passed):
            found.append("near_duplicate")
        else:
            found.append(None)
            passed.append((text, label))
    return found
