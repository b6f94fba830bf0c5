"""The curves of a training, drawn when it is over."""

import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)

# The last words of fairseq's training loop. We wait for a log line because the loop has no hook for its end,
# and Python's own (atexit) come when no thread can be started any more (3.12), which drawing may need.
_LAST_WORDS = "done training in"
_TRAINING = "fairseq_cli.train"


class DrawAtTheEnd(logging.Handler):
    """Draws ``training.png`` and ``training.svg`` from the JSON log once fairseq says that training is done.

    Args:
        log_file: ``--log-file``, written with ``--log-format json``.
        save_dir: where the pictures go.
    """

    def __init__(self, log_file: str | os.PathLike[str], save_dir: str | os.PathLike[str]) -> None:
        super().__init__(logging.INFO)
        self.log_file, self.prefix = Path(log_file), Path(save_dir) / "training"

    def listen(self) -> None:
        """Wait for the end of this process's training."""
        logging.getLogger(_TRAINING).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """See the class."""
        if str(record.msg).startswith(_LAST_WORDS):
            logging.getLogger(_TRAINING).removeHandler(self)
            self.draw()

    def draw(self) -> None:
        """Draw; whatever goes wrong, the training is not lost: one warning."""
        try:
            from fairseq_plugin.reports.training_log import parse_training_log
            from fairseq_plugin.reports.training_plot import draw_training

            curves = parse_training_log(self.log_file.read_text(encoding="utf-8", errors="replace"))
            paths = draw_training({self.prefix.parent.name: curves}, self.prefix)
        except Exception as error:  # a missing library, a full disk, a log of another format
            logger.warning(
                "no curves were drawn (%s: %s); scripts/plot_training.py %s draws them later",
                type(error).__name__,
                error,
                self.log_file,
            )
        else:
            logger.info("curves of this training: %s", ", ".join(map(str, paths)))
