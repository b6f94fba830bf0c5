"""The tokenizer that a request asks for, given or trained on a bounded sample of the training text."""

from tqdm import tqdm

from fairseq_plugin.corpus.encode import cut_pieces
from fairseq_plugin.corpus.manifest import END_TOKENS
from fairseq_plugin.errors import UserError
from fairseq_plugin.text.codec import load_codec, load_sentencepiece, train_bytes_codec, train_sentencepiece

# Training reads at most so many characters: byte-level BPE takes seconds for that, sentencepiece a minute or
# two and about 50 bytes of memory a character. The merges of a longer text would hardly differ.
SAMPLES = {"bytes": 64_000_000, "sentencepiece": 8_000_000}


def make_codec(request, inputs):
    """The codec of a request.

    Args:
        request: a :class:`~fairseq_plugin.corpus.prepare.Request`.
        inputs: its :class:`~fairseq_plugin.corpus.inputs.Inputs`.

    Returns:
        ``(codec, notes)``.

    Raises:
        UserError: flags that are missing or contradict each other, or a tokenizer that cannot be had.
    """
    _check_flags(request)
    if request.codec == "gpt2":
        codec = load_codec(request.gpt2_bpe)
        if codec.kind != "gpt2":
            raise UserError(f"--gpt2-bpe {request.gpt2_bpe} holds a {codec.kind} tokenizer, not GPT-2's BPE")
        if inputs.documents == END_TOKENS and codec.end_id is None:
            raise UserError(
                f"--gpt2-bpe {request.gpt2_bpe} has no <|endoftext|>, which ends documents of tensors"
            )
        return codec, []
    if request.sentencepiece_model is not None:
        return load_sentencepiece(request.sentencepiece_model), []
    texts, notes = training_sample(inputs, SAMPLES[request.codec])
    if request.codec == "bytes":
        return train_bytes_codec(texts, request.vocab_size), notes
    lines = (line for text in texts for line in text.split("\n"))
    return train_sentencepiece(lines, request.vocab_size), notes


def _check_flags(request):
    if request.codec not in ("gpt2", "bytes", "sentencepiece"):
        raise UserError(f"--codec {request.codec}: choose gpt2, bytes or sentencepiece")
    if request.codec == "gpt2" and request.gpt2_bpe is None:
        raise UserError("--codec gpt2 needs --gpt2-bpe DIR, the folder of encoder.json and vocab.bpe")
    belongs = {
        "gpt2_bpe": ("gpt2",),
        "sentencepiece_model": ("sentencepiece",),
        "vocab_size": ("bytes", "sentencepiece"),
    }
    for name, codecs in belongs.items():
        value = getattr(request, name)
        if value is not None and request.codec not in codecs:
            flag = "--" + name.replace("_", "-")
            raise UserError(
                f"{flag} {value} contradicts --codec {request.codec}: it is for {' or '.join(codecs)}"
            )
    if request.sentencepiece_model is not None and request.vocab_size is not None:
        raise UserError("--vocab-size is for a model trained here: leave it out, or --sentencepiece-model")
    if request.codec != "gpt2" and request.vocab_size is None and request.sentencepiece_model is None:
        other = " or --sentencepiece-model FILE" if request.codec == "sentencepiece" else ""
        raise UserError(f"--codec {request.codec} needs --vocab-size N{other}")


def training_sample(inputs, most):
    """Training text for a tokenizer: all of it, or pieces spread evenly over it.

    Args:
        inputs: the :class:`~fairseq_plugin.corpus.inputs.Inputs`.
        most: characters to take at most (but for the rest of the last piece).

    Returns:
        ``(iterator of str, notes)``.
    """
    share = min(1.0, most / _train_bytes(inputs))
    notes = []
    if share < 1:
        notes.append(f"tokenizer trained on {share:.0%} of train, spread evenly over it")
    return _sampled(inputs, share), notes


def _train_bytes(inputs):
    total = sum(path.stat().st_size for path in inputs.files["train"])
    return total * (inputs.shares["train"] if inputs.shares else 1)


def _sampled(inputs, share):
    seen = taken = 0
    with tqdm(
        total=_train_bytes(inputs), desc="reading for the tokenizer", unit="B", unit_scale=True, disable=None
    ) as bar:
        for split, text, _, _ in cut_pieces(inputs.stretches(), "\n "):
            if split != "train":
                return
            seen += len(text)
            bar.update(len(text))
            if taken <= seen * share:
                taken += len(text)
                yield text
