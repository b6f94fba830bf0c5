"""What tasks have in common whose examples are whole: one sentence, or one row of a table, each."""

import sys
from typing import Any

from fairseq import utils
from fairseq.data import Dictionary, FairseqDataset

from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.tasks.prompted import Prompted


class WholeExamples(Prompted):
    """A mixin; ``dictionary`` is of source and target."""

    dictionary: Dictionary
    example_is: str  # "sentence": what one example is, for a person
    _model: Any = None  # the last model built; eval-lm does not hand it to the data loader

    def longest_example(self) -> int:
        """Tokens of the longest example, its end included."""
        raise NotImplementedError

    def does_not_fit(self, longest: int, positions: int) -> str:
        """What to say where the longest example has more tokens than the model has positions."""
        raise NotImplementedError

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        with plain_errors():
            model = super().build_model(cfg, from_checkpoint)  # type: ignore[misc]
            positions: Any = utils.resolve_max_positions(model.max_positions())
            longest = self.longest_example()
            if positions is not None and longest > positions:
                raise UserError(self.does_not_fit(longest, positions))
        self._model, self._positions = model, int(positions or sys.maxsize)
        return model

    def whole_batches(
        self, dataset: FairseqDataset, batch_size: int | None = None, context_window: int = 0, **flags: Any
    ) -> Any:
        """Batches for ``fairseq-eval-lm``; ``flags`` as for :meth:`get_batch_iterator`."""
        with plain_errors():
            if context_window:
                raise UserError(
                    f"--context-window does not go with one example per {self.example_is}; leave it out"
                )
            batches = self.get_batch_iterator(dataset, max_sentences=batch_size, **flags)
            return batches.next_epoch_itr(shuffle=False)

    @property
    def source_dictionary(self) -> Dictionary:
        return self.dictionary

    @property
    def target_dictionary(self) -> Dictionary:
        return self.dictionary

    def max_positions(self) -> None:
        return None  # the model's own positions are the limit
