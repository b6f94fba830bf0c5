"""How a split's stream is cut for teacher forcing, as ``fairseq-eval-lm`` cuts it.

The stream is all documents, each with ``</s>`` after it. The model reads the token before every target, and
``</s>`` before the first one of all. ``--tokens-per-sample W --sample-break-mode none`` scores W targets at a
time. With ``--context-window C`` the windows overlap: each scores W - C new targets and reads up to C tokens
before them::

    targets   t0 t1 t2 t3 t4 t5 t6        W = 4, C = 2
    window 0 [t0 t1]
    window 1 (t0 t1)[t2 t3]               ( ) read, not scored again
    window 2       (t2 t3)[t4 t5]
    window 3             (t4 t5)[t6]

Every target of the stream is scored exactly once, whatever W and C are. (Where a window begins inside a
document of more than 8,191 tokens that the folder stores in pieces, and just at a piece, fairseq reads
``</s>`` before it and
we the token that is there: one token in W x 8,191.)
"""

from dataclasses import dataclass

from fairseq_plugin.errors import UserError


@dataclass(frozen=True)
class Window:
    """One window of targets, as positions in the stream.

    Attributes:
        first: the first target that is read; ``first <= start``.
        start, end: the targets ``start .. end - 1`` are scored.
    """

    first: int
    start: int
    end: int

    @property
    def num_scored(self) -> int:
        return self.end - self.start

    def __str__(self) -> str:
        return f"tokens {self.start:,} to {self.end - 1:,}"


def cut(num_tokens: int, window: int, context: int = 0) -> list[Window]:
    """Cut a stream into windows.

    Args:
        num_tokens: length of the stream, >= 1.
        window: W, most tokens that the model reads at once.
        context: C, tokens read again before the scored ones, in ``[0, W)``.

    Raises:
        UserError: nothing to cut, or C that leaves nothing to score.
    """
    if num_tokens < 1:
        raise UserError("the split holds no tokens: there is nothing to evaluate; prepare the data again")
    if window < 1:
        raise UserError(f"--window {window} must be at least 1")
    if not 0 <= context < window:
        raise UserError(
            f"--context {context} must be in 0 .. {window - 1}: the windows of {window} tokens would have no "
            "new token to score; give a smaller one, or a larger --window"
        )
    starts = range(0, num_tokens, window - context)
    return [
        Window(max(0, start - context), start, min(start + window - context, num_tokens)) for start in starts
    ]
