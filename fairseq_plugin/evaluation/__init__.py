"""Numbers of language models: perplexity, teacher-forced predictions, continuations. Needs no fairseq."""
