"""fairseq's generation flags as a request; values that no decoder can follow are refused by flag."""

import math

import pytest
from fairseq.dataclass.configs import GenerationConfig
from omegaconf import OmegaConf

from fairseq_plugin.errors import UserError
from fairseq_plugin.sampling.draw import GREEDY, Sampling
from fairseq_plugin.sampling.request import BeamSearch, ContrastiveSearch, DecodingRequest
from fairseq_plugin.tasks.decoding_flags import OwnFlags, check_decoding, request_from_flags

NO_FLAGS = OwnFlags()


def request(own=NO_FLAGS, seed=3, **flags):
    args = OmegaConf.structured(GenerationConfig(**{"beam": 1, "max_len_b": 20, **flags}))
    check_decoding(args, own)
    return request_from_flags(args, own, end=2, seed=seed, min_new=0)


@pytest.mark.parametrize(("own", "flags", "expected"), [
    ({}, {}, {"method": GREEDY}),
    ({}, {"no_repeat_ngram_size": 3}, {"method": GREEDY, "no_repeat_ngram": 3}),
    ({}, {"sampling": True}, {"method": Sampling()}),
    ({}, {"sampling": True, "sampling_topk": 0}, {"method": Sampling()}),
    ({}, {"sampling": True, "sampling_topk": 9, "beam": 4, "nbest": 4, "temperature": 0.5},
     {"method": Sampling(0.5, 9), "samples_per_prompt": 4}),
    ({"gumbel": True}, {"sampling": True, "sampling_topp": 0.9},
     {"method": Sampling(top_p=0.9, gumbel=True)}),
    ({}, {"beam": 5, "lenpen": 0.5}, {"method": BeamSearch(5, 0.5)}),
    ({}, {"beam": 5, "lenpen": 0.5, "unnormalized": True}, {"method": BeamSearch(5, 0.0)}),
    ({"contrastive_alpha": 0.6}, {"no_repeat_ngram_size": 2},
     {"method": ContrastiveSearch(5, 0.6), "no_repeat_ngram": 2}),
])  # fmt: skip
def test_flags_are_this_request(own, flags, expected):
    assert request(OwnFlags(**own), **flags) == DecodingRequest(end=2, max_new=20, seed=3, **expected)


@pytest.mark.parametrize(("own", "flags", "words"), [
    ({}, {"beam": 0}, "--beam 0 must be at least 1"),
    ({}, {"beam": -3, "sampling": True}, "--beam -3 must be at least 1"),
    ({}, {"nbest": 0}, "--nbest 0 must be at least 1"),
    ({}, {"beam": 2, "lenpen": 1e300}, "--lenpen 1e[+]300"),
    ({}, {"beam": 2, "lenpen": math.nan}, "--lenpen nan"),
    ({}, {"sampling": True, "sampling_topk": -2}, "--sampling-topk -2"),
    ({}, {"sampling": True, "sampling_topp": -2.0}, "--sampling-topp -2"),
    ({}, {"sampling": True, "sampling_topp": math.nan}, "--sampling-topp nan"),
    ({}, {"sampling": True, "sampling_topp": 0.0}, "--sampling-topp.* not 0.0"),
    ({}, {"sampling": True, "sampling_topp": 2.0}, "--sampling-topp.* not 2.0"),
    ({}, {"sampling": True, "temperature": math.nan}, "--temperature.* not nan"),
    ({}, {"sampling": True, "temperature": math.inf}, "--temperature.* not inf"),
    ({"gumbel": True}, {"sampling": True, "temperature": 1e-40}, "--temperature.* not 1e-40"),
    ({}, {"no_repeat_ngram_size": -1}, "--no-repeat-ngram-size -1"),
    ({"contrastive_alpha": math.nan}, {}, "--contrastive-alpha nan"),
    ({"contrastive_alpha": 0.5, "contrastive_k": 0}, {}, "--contrastive-k 0"),
    ({}, {"sampling": True, "diverse_beam_groups": 2}, "--diverse-beam-groups"),
])  # fmt: skip
def test_what_no_decoder_can_follow_is_refused_by_flag(own, flags, words):
    with pytest.raises(UserError, match=words):
        request(OwnFlags(**own), **flags)


def test_a_negative_seed_is_refused():
    with pytest.raises(UserError, match="--seed -1"):
        request(seed=-1, sampling=True)
