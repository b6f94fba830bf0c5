"""Has a model of running text learnt anything? It must know more than how often each token occurs."""

from pathlib import Path

from fairseq_plugin.augment.verdict.by_labels import NOT_WORTH_USING, Verdict
from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.unigram import unigram_entropy
from fairseq_plugin.storage.dictionary import DICTIONARY

LEAST_GAIN = 0.1  # of the bits that frequencies alone give; below it the samples are not words


def verdict_on_text(folder: Path, bits: float) -> Verdict:
    """Judge a model by its loss.

    Args:
        folder: the prepared text.
        bits: validation loss, bits per token.

    Raises:
        UserError: the folder has no dictionary with counts.
    """
    path = folder / DICTIONARY
    try:
        counts = [int(line.rpartition(" ")[2]) for line in path.read_text("utf-8").split("\n") if line]
        entropy = unigram_entropy(counts)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not a dictionary with counts; prepare the text again") from error
    figures = f"{bits:.2f} bits per token, {entropy:.2f} from the frequencies of tokens alone"
    if not bits < (1 - LEAST_GAIN) * entropy:
        return Verdict(
            f"{NOT_WORTH_USING}the model has learnt hardly any context: {figures}. "
            "More minutes or more text help.",
            False,
        )
    return Verdict(f"The model has learnt context: {figures}.", True)
