"""What was prepared, for a person: documents, tokens, words and characters of each split."""

from fairseq_plugin.text.table import aligned

KINDS = {"gpt2": "GPT-2's byte-level BPE", "bytes": "byte-level BPE", "sentencepiece": "sentencepiece"}


def format_summary(prepared, folder):
    """The text that ``scripts/prepare_text.py`` prints.

    Args:
        prepared: what :func:`~fairseq_plugin.corpus.prepare.prepare` returned.
        folder: the prepared folder.
    """
    manifest = prepared.manifest
    rows = [["split", "documents", "tokens", "words", "characters", "tokens/word", "longest"]]
    for name, split in manifest.splits.items():
        numbers = [f"{split[key]:,}" for key in ("documents", "tokens", "words", "characters")]
        # a token per document is its end, which is no part of a word
        per_word = (split["tokens"] - split["documents"]) / split["words"] if split["words"] else 0
        rows.append([name, *numbers, f"{per_word:.3f}" if split["words"] else "-", f"{split['longest']:,}"])
    lines = [
        *prepared.notes,
        f"tokenizer: {KINDS[manifest.codec]}, {manifest.vocabulary:,} dictionary entries",
    ]
    lines += ["", *aligned(rows), ""]
    lines.append(f"{'already there, unchanged' if prepared.unchanged else 'written'}: {folder}")
    return "\n".join(lines)
