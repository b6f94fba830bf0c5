"""Batches, as fairseq's trainer takes them."""

import fairseq  # noqa: F401  (first: with it all adapters are registered, which read these modules)
