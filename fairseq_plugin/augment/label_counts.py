"""How many samples of each label, and which id belongs to which label."""

from fairseq_plugin.errors import UserError


def samples_per_label(wish, labels):
    """Read ``--samples-per-label``.

    Args:
        wish: ``"2000"`` (each label), ``"negative=100,positive=50"`` (names or texts; labels left out get
            none), or ``"train:5000"`` (5,000 in all, in the proportions of the training set).
        labels: the manifest's labels, with ``name``, ``text`` and ``counts``.

    Returns:
        A list with one count per label.

    Raises:
        UserError: anything else, an unknown label, or nothing to generate.
    """
    names = ", ".join(label.name for label in labels)
    form = (
        f"--samples-per-label {wish}: give one number (2000), numbers by label (LABEL=100,LABEL=50; "
        f"the labels are {names}), or train:TOTAL for the training set's proportions"
    )
    wish = wish.strip()
    if wish.isdecimal():
        counts = [int(wish)] * len(labels)
    elif wish.startswith("train:") and wish[6:].isdecimal():
        counts = _in_proportion(int(wish[6:]), [label.counts.get("train", 0) for label in labels])
    elif "=" in wish:
        counts = [0] * len(labels)
        # A name goes before a text, as in Manifest.label: the text of one label may be another's name.
        position = {label.text: i for i, label in enumerate(labels)}
        position |= {label.name: i for i, label in enumerate(labels)}
        given = set()
        for part in wish.split(","):
            name, _, number = (word.strip() for word in part.rpartition("="))
            if not number.isdecimal() or name not in position or position[name] in given:
                raise UserError(form)
            given.add(position[name])
            counts[position[name]] = int(number)
    else:
        raise UserError(form)
    if sum(counts) == 0:
        raise UserError(f"--samples-per-label {wish} asks for no sample at all; ask for at least one")
    return counts


def ids_of_samples(counts, first=0):
    """Ids and labels of all samples, label by label.

    Sample ``k`` of label ``i`` of ``L`` has the id ``k * L + i``: asking for more samples, or for other
    counts of another label, changes no sample that was there before.

    Args:
        counts: samples per label.
        first: ``k`` of each label's first sample.

    Returns:
        ``(ids, labels)``, two lists of equal length.
    """
    pairs = [(k * len(counts) + i, i) for i, count in enumerate(counts) for k in range(first, first + count)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _in_proportion(total, weights):
    """Whole numbers in proportion to ``weights`` with the given sum (largest remainder)."""
    whole = sum(weights)
    if whole == 0:
        raise UserError("--samples-per-label train:N: the manifest counts no training rows")
    counts = [total * weight // whole for weight in weights]
    remainders = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in remainders[: total - sum(counts)]:
        counts[i] += 1
    return counts
