"""Batches for ``fairseq-eval-lm`` that stop it at NaN."""

import torch

from fairseq_plugin.errors import UserError, plain_errors


class FiniteScores:
    """Hands out batches and looks at the model's output for each.

    The stock command leaves infinite scores out of the perplexity, and prints ``nan`` with status 0.

    Args:
        batches: iterable of batches with ``id``.
        model: the model that the command evaluates; what it returns first are logits ``(B, T, V)``.
    """

    def __init__(self, batches, model):
        self.batches, self.model = batches, model
        self._sound = None

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        hook = self.model.register_forward_hook(self._look)
        try:
            for batch in self.batches:
                yield batch
                if batch:
                    self._require(batch)
        finally:
            hook.remove()

    def _look(self, _model, _inputs, output):
        # A row of padding may hold anything, but amax of real logits is finite: -inf only forbids single tokens.
        self._sound = torch.isfinite(output[0].detach().amax(-1)).all()

    @plain_errors()
    def _require(self, batch):
        if self._sound is not None and not self._sound:
            raise UserError(
                f"the model gives NaN or infinite outputs for the samples {batch['id'].tolist()[:10]}: its weights "
                "are damaged or its training diverged; use an earlier checkpoint"
            )
