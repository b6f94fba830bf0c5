"""Short names for what the tests ask of the one door to decoding."""

from fairseq_plugin.sampling.decode import decode
from fairseq_plugin.sampling.request import BeamSearch, ContrastiveSearch, DecodingRequest


def continue_prompts(model, prompts, ids, *, sampling, **options):
    """One sample per prompt."""
    return [one for (one,) in decode(model, prompts, ids, DecodingRequest(sampling, **options))]


def beam_search(model, prompts, *, beam, length_penalty=1.0, **options):
    request = DecodingRequest(BeamSearch(beam, length_penalty), **options)
    return decode(model, prompts, range(len(prompts)), request)


def contrastive_search(model, prompts, *, top_k, alpha, **options):
    request = DecodingRequest(ContrastiveSearch(top_k, alpha), **options)
    return [one for (one,) in decode(model, prompts, range(len(prompts)), request)]
