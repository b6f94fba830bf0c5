"""``--log-file`` of fairseq: every epoch opens it once more, and then each line is written once per epoch."""

import logging

_LOGGER = "fairseq.logging.progress_bar"


def close_repeated_handlers() -> None:
    """Leave one handler for each file that fairseq's progress bar writes to."""
    logger, seen = logging.getLogger(_LOGGER), set[str]()
    for handler in list(logger.handlers):
        if not isinstance(handler, logging.FileHandler):
            continue
        if handler.baseFilename in seen:
            logger.removeHandler(handler)
            handler.close()
        seen.add(handler.baseFilename)
