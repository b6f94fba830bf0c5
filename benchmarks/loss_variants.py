"""What benchmarks/loss.py measures: (hidden_BTD, weight_VD, target_BT) -> loss, summed over positions."""

import contextlib
import functools

import torch
import torch.nn.functional as F

from benchmarks.dense_form import (
    dense_contrastive_token,
    dense_ditto,
    dense_scale_grad,
    dense_unlikelihood,
)
from fairseq_plugin.core import chunked_loss
from fairseq_plugin.core.contrastive_token_rule import ContrastiveTokenRule
from fairseq_plugin.core.cpu_products import fast_fp32_products
from fairseq_plugin.core.ditto_rule import NOT_REPEATED, DittoRule
from fairseq_plugin.core.gpt2 import Block, GPT2Config
from fairseq_plugin.core.position_rules import LikelihoodRule
from fairseq_plugin.core.repetition_dropout import masked_positions
from fairseq_plugin.core.scale_grad_rule import ScaleGradRule
from fairseq_plugin.core.unlikelihood_rule import UnlikelihoodRule

VOCABULARY, PADDED, WIDTH, GAMMA, ALPHA, NO_TOKEN = 50257, 50304, 768, 0.5, 1.0, -100
SENTENCE, DECAY = 30, 0.5  # tokens of DITTO's sentence, lambda
NUM_LAYERS, REPETITION_DROPOUT = 2, 0.6  # of the network that repetition dropout is measured on


def cross_entropy(hidden, weight, target):
    logits = F.linear(hidden, weight)
    return F.cross_entropy(logits.view(-1, logits.size(-1)), target.view(-1), reduction="sum")


def cross_entropy_fast_products(hidden, weight, target):
    """Plain cross-entropy with the matrix products that ours uses; backward runs in the same block."""
    with fast_fp32_products(hidden.device.type):
        loss = cross_entropy(hidden, weight, target)
        loss.backward()
    return None


def dense(hidden, weight, target):
    return dense_scale_grad(F.linear(hidden, weight), target, GAMMA)


def fused(hidden, weight, target, rule):
    layer = chunked_loss.OutputLayer(weight, VOCABULARY)
    return chunked_loss.loss_from_hidden(hidden, layer, target, rule=rule, ignore_index=NO_TOKEN)[0].loss


def ours(hidden, weight, target, gamma=GAMMA):
    return fused(hidden, weight, target, ScaleGradRule(gamma))


def ours_gamma_1(hidden, weight, target):
    return ours(hidden, weight, target, gamma=1.0)


def ours_default_products(hidden, weight, target):
    """Ours on the library that PyTorch takes by itself: what the chunks alone are worth."""
    chunked_loss.fast_fp32_products = contextlib.nullcontext  # in this variant's process only
    return ours(hidden, weight, target)


def unlikelihood_dense(hidden, weight, target):
    return dense_unlikelihood(F.linear(hidden, weight), target, ALPHA)


def ours_unlikelihood(hidden, weight, target):
    return fused(hidden, weight, target, UnlikelihoodRule(ALPHA))


def contrastive_token_dense(hidden, weight, target):
    return dense_contrastive_token(F.linear(hidden, weight), target)


def ours_contrastive_token(hidden, weight, target):
    return fused(hidden, weight, target, ContrastiveTokenRule())


def repeated(target):
    """Targets in which the first ``SENTENCE`` tokens come again and again; where each stood before."""
    time = torch.arange(target.size(1), device=target.device)
    earlier = torch.where(time >= SENTENCE, time - SENTENCE, NOT_REPEATED).expand_as(target)
    return target[:, time % SENTENCE], earlier


def ditto_dense(hidden, weight, target):
    target, _ = repeated(target)
    return dense_ditto(F.linear(hidden, weight), target, SENTENCE, DECAY)


def ours_ditto(hidden, weight, target):
    target, earlier = repeated(target)
    return fused(hidden, weight, target, DittoRule(DECAY, earlier))


@functools.cache
def blocks():
    """Two blocks of GPT-2 124M, in training."""
    torch.manual_seed(0)
    config = GPT2Config(VOCABULARY, n_embd=WIDTH, n_head=12, n_layer=NUM_LAYERS)
    return [Block(config) for _ in range(NUM_LAYERS)]


def ours_network(hidden, weight, target, masked_LBT=None):
    """The blocks, then cross-entropy."""
    dtype = torch.bfloat16 if torch.is_autocast_enabled(hidden.device.type) else torch.float32
    for layer, block in enumerate(blocks()):
        masked_BT = None if masked_LBT is None else masked_LBT[layer]
        hidden = block.to(hidden.device)(hidden, dtype, layer, None, None, masked_BT)
    return fused(hidden, weight, target, LikelihoodRule())


def ours_network_with_repetition_dropout(hidden, weight, target):
    uniform = torch.rand(NUM_LAYERS, len(target), target.size(1) - 1, device=target.device)
    return ours_network(hidden, weight, target, masked_positions(target, 2, REPETITION_DROPOUT, uniform))


SETTINGS = {
    "scale_grad": f"gamma {GAMMA}",
    "unlikelihood": f"alpha {ALPHA}",
    "contrastive_token": "weight 1, first quarter, half as many negatives",
    "ditto": f"lambda {DECAY}, a sentence of {SENTENCE} tokens repeated",
    "repetition_dropout": f"{NUM_LAYERS} blocks and cross-entropy, with p = {REPETITION_DROPOUT} and without",
}
# Per objective: the dense form first, then what else takes its turns beside plain cross-entropy.
VARIANTS = {
    ("scale_grad", "fp32"): (dense, ours, ours_gamma_1, ours_default_products),
    ("scale_grad", "bf16"): (dense, ours),
    ("unlikelihood", "fp32"): (unlikelihood_dense, ours_unlikelihood, ours),
    ("unlikelihood", "bf16"): (unlikelihood_dense, ours_unlikelihood, ours),
    **{
        (name, dtype): variants
        for dtype in ("fp32", "bf16")
        for name, variants in {
            "contrastive_token": (contrastive_token_dense, ours_contrastive_token),
            "ditto": (ditto_dense, ours_ditto),
            # Its "dense form" is the same network without it.
            "repetition_dropout": (ours_network, ours_network_with_repetition_dropout),
        }.items()
    },
}


def variants_of(objective, dtype, one_library=False):
    """All that take turns; cross-entropy first, the dense form last of the plain ones."""
    plain = (cross_entropy, cross_entropy_fast_products) if dtype == "fp32" else (cross_entropy,)
    chosen = plain + VARIANTS[objective, dtype]
    about_libraries = (cross_entropy_fast_products, ours_default_products)
    return tuple(one for one in chosen if not (one_library and one in about_libraries))
