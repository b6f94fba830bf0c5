"""From samples, whoever wrote them, to what filters look at."""

from fairseq_plugin.augment.filters.chain import Candidate
from fairseq_plugin.augment.generations.read import Sample


def candidate_of(sample: Sample, label: int, keep_whitespace: bool) -> Candidate:
    """What filters look at; white space goes where it does in real rows."""
    return Candidate(
        id=sample.id,
        label=label,
        text=sample.text if keep_whitespace else sample.text.strip(),
        symbols=sample.symbols,
        num_tokens=sample.num_tokens,
        ended=sample.ended,
        score=sample.score,
    )
