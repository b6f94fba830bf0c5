"""Files of continuations as columns of the same table."""

from collections.abc import Iterable
from dataclasses import replace

from fairseq_plugin.evaluation.columns import Column
from fairseq_plugin.evaluation.completion import Protocol
from fairseq_plugin.evaluation.continuation_files import Continuations
from fairseq_plugin.evaluation.continuations import continuation_column
from fairseq_plugin.evaluation.split_text import SplitText, require_ids
from fairseq_plugin.reports.bootstrap import DEFAULT, Bootstrap
from fairseq_plugin.text.base import Codec


def of_protocol(
    found: Continuations, text: SplitText | None, protocol: Protocol, numbers: Iterable[int]
) -> Continuations:
    """Those continuations whose prefixes a protocol takes, where the file tells that it is of this text.

    Args:
        found: in a file.
        text: the split, if there is one.
        protocol: what is continued.
        numbers: of the prefixes taken.

    Returns:
        The same where nothing is known of their prefixes.
    """
    origin = found.origin
    same_text = text is not None and (origin.text == text.sha256 or origin.subset == text.split)
    if not same_text or origin.prefix_tokens != protocol.prefix_tokens or found.numbers is None:
        return found
    wanted = set(numbers)
    kept = [place for place, number in enumerate(found.numbers) if number in wanted]
    if not kept:
        return found
    return replace(
        found,
        ids=found.ids and [found.ids[place] for place in kept],
        texts=found.texts and [found.texts[place] for place in kept],
        numbers=[found.numbers[place] for place in kept],
    )


def file_column(
    name: str, found: Continuations, codec: Codec | None = None, bootstrap: Bootstrap = DEFAULT
) -> tuple[Column, list[list[int]] | None]:
    """Measure a file's continuations.

    Args:
        name: heading of the column.
        found: in the file.
        codec: the tokenizer; without one ids give no words and texts no tokens.
        bootstrap: of the intervals.

    Returns:
        The column, and the continuations' tokenizer ids where they are known.

    Raises:
        UserError: ids that the tokenizer does not have, or nothing to evaluate.
    """
    ids, texts, notes = found.ids, found.texts, []
    if codec and texts is not None:
        ids = codec.encode_batch(texts)
        notes.append(f"{name}: its texts were encoded anew; the system's own tokens may have been others")
    elif codec and ids is not None:
        for one in ids:
            require_ids(one, codec)
        texts = [codec.decode(token for token in one if token != codec.end_id) for one in ids]
    else:
        level, missing = ("words", "token") if ids is None else ("tokens", "word")
        notes.append(
            f"{name}: {level} only; for the {missing} level name a tokenizer with --codec-path or --data"
        )
    words = None if texts is None else [one.split() for one in texts]
    units = ("file", *(found.numbers or range(found.num_texts)))
    column = continuation_column(name, ids, words, units, "files", bootstrap)
    column.notes += notes
    return column, ids
