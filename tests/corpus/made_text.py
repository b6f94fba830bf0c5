"""Small texts and prepared text folders for tests."""

from fairseq_plugin.corpus.prepare import Request, prepare
from scripts.reviews import make_reviews


def sentences(count, seed=1):
    """Short English sentences of this project's own, the same for the same seed."""
    return [row.text for row in make_reviews({"train": count}, seed)["train"]]


def article(title, lines):
    """A document in WikiText's form."""
    return (
        f" = {title} = \n \n " + " \n ".join(lines[:-1]) + f" \n \n = = Details = = \n \n {lines[-1]} \n \n"
    )


def wiki(count, seed=1, per_article=8):
    """A text of ``count`` articles in WikiText's form."""
    lines = sentences(count * per_article, seed)
    articles = [
        article(f"Film {number}", lines[number * per_article : (number + 1) * per_article])
        for number in range(count)
    ]
    return " \n" + "".join(articles)


def write(folder, name, content):
    """Write text (no newline translated) or bytes; returns the path as ``str``."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def request_for(folder, train, **changes):
    """A request for ``folder/prepared`` with a small byte-level codec."""
    fields = {"train": str(train), "to": str(folder / "prepared"), "codec": "bytes", "vocab_size": 300}
    return Request(**(fields | changes))


def prepare_text(folder, text, **changes):
    """Prepare a text (``str`` or bytes) as train; returns ``(Prepared, path of the folder)``."""
    request = request_for(folder, write(folder, "train.txt", text), **changes)
    return prepare(request), folder / "prepared"


def llama_like_model(folder):
    """A sentencepiece model that puts a space before every text, as Llama's does; its path."""
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences(500)), model_prefix=str(folder / "llama"), vocab_size=500,
        hard_vocab_limit=False, byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, minloglevel=2,
    )  # fmt: skip
    return str(folder / "llama.model")
