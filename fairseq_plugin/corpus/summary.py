"""What was prepared, for a person: documents, tokens, words and characters of each split."""

import os

from fairseq_plugin.corpus.prepare import Prepared
from fairseq_plugin.storage.codec_choice import TITLES
from fairseq_plugin.text.table import aligned


def format_summary(prepared: Prepared, folder: str | os.PathLike[str]) -> str:
    """The text that ``scripts/prepare_text.py`` prints.

    Args:
        prepared: what was prepared.
        folder: the prepared folder.
    """
    manifest = prepared.manifest
    rows = [["split", "documents", "tokens", "words", "characters", "tokens/word", "longest"]]
    for name, split in manifest.splits.items():
        numbers = [f"{count:,}" for count in (split.documents, split.tokens, split.words, split.characters)]
        # a token per document is its end, which is not part of a word
        per_word = f"{(split.tokens - split.documents) / split.words:.3f}" if split.words else "-"
        rows.append([name, *numbers, per_word, f"{split.longest:,}"])
    lines = [
        *prepared.notes,
        f"tokenizer: {TITLES[manifest.codec]}, {manifest.vocabulary:,} dictionary entries",
    ]
    lines += ["", *aligned(rows), ""]
    lines.append(f"{'already there, unchanged' if prepared.unchanged else 'written'}: {folder}")
    return "\n".join(lines)
