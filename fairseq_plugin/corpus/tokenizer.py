"""The tokenizer that a request asks for, given or trained on a bounded sample of the training text."""

from collections.abc import Iterator

from tqdm import tqdm

from fairseq_plugin.corpus.encode import cut_pieces
from fairseq_plugin.corpus.inputs import Inputs
from fairseq_plugin.corpus.manifest import END_TOKENS
from fairseq_plugin.corpus.request import Request
from fairseq_plugin.errors import UserError
from fairseq_plugin.text.codec import Codec

# Training reads at most so many characters: byte-level BPE takes seconds for that, sentencepiece a minute or
# two and about 50 bytes of memory a character. The merges of a longer text would hardly differ.
SAMPLES = {"bytes": 64_000_000, "sentencepiece": 8_000_000}


def make_codec(request: Request, inputs: Inputs) -> tuple[Codec, list[str]]:
    """The codec of a request.

    Args:
        request: the request.
        inputs: its inputs.

    Returns:
        ``(codec, notes)``.

    Raises:
        UserError: flags that are missing or contradict each other, or a tokenizer that cannot be had.
    """
    choice = request.codec_choice
    choice.check()
    notes: list[str] = []

    def texts() -> Iterator[str]:
        found, more = training_sample(inputs, SAMPLES[choice.codec])
        notes.extend(more)
        if choice.codec == "bytes":
            return found
        return (line for text in found for line in text.split("\n"))

    codec = choice.make(texts)
    if inputs.documents == END_TOKENS and codec.end_id is None:
        raise UserError(f"--gpt2-bpe {choice.gpt2_bpe} has no <|endoftext|>, which ends documents of tensors")
    return codec, notes


def training_sample(inputs: Inputs, most: int) -> tuple[Iterator[str], list[str]]:
    """Training text for a tokenizer: all of it, or pieces spread evenly over it.

    Args:
        inputs: the files.
        most: characters to take at most (but for the rest of the last piece).

    Returns:
        ``(texts, notes)``.
    """
    share = min(1.0, most / _train_bytes(inputs))
    notes = []
    if share < 1:
        notes.append(f"tokenizer trained on {share:.0%} of train, spread evenly over it")
    return _sampled(inputs, share), notes


def _train_bytes(inputs: Inputs) -> float:
    total = sum(path.stat().st_size for path in inputs.files["train"])
    return total * (inputs.shares["train"] if inputs.shares else 1)


def _sampled(inputs: Inputs, share: float) -> Iterator[str]:
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
