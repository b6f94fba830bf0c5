"""What our GPT-2 is held against: transformers' network, and beam search by the book, without a cache."""

import math

import torch
import transformers
from transformers import GPT2LMHeadModel

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config

TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")


def hugging_face_model(config, seed=0, spread=0.1):
    """transformers' GPT-2 with random weights, wide enough to make its attention and outputs uneven."""
    torch.manual_seed(seed)
    transformers.logging.set_verbosity_error()
    model = GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=config.vocab_size,
            n_positions=config.n_positions,
            n_embd=config.n_embd,
            n_layer=config.n_layer,
            n_head=config.n_head,
            layer_norm_epsilon=config.layer_norm_epsilon,
            embd_pdrop=config.dropout,
            attn_pdrop=config.dropout,
            resid_pdrop=config.dropout,
            bos_token_id=config.vocab_size - 1,
            eos_token_id=config.vocab_size - 1,
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
    return model.eval()


@torch.no_grad()
def copy_weights(source, target):
    """transformers' weights into ours, name by name."""
    theirs = source.state_dict()
    for name, parameter in target.named_parameters():
        value = theirs[f"transformer.{name}"]
        value = value.t() if name.endswith(TRANSPOSED) else value
        parameter[: value.shape[0]].copy_(value)


def pair(seed=0, spread=0.1, **sizes):
    """``(ours, theirs)``: two networks of the same sizes and weights, in evaluation mode."""
    config = GPT2Config(
        **{
            **{"vocab_size": 211, "n_positions": 48, "n_embd": 32, "n_layer": 2, "n_head": 4, "dropout": 0.0},
            **sizes,
        }
    )
    theirs = hugging_face_model(config, seed, spread)
    ours = GPT2(config).eval()
    copy_weights(theirs, ours)
    return ours, theirs


def beam_search(log_probs_of, prompt, eos, beam, max_len, min_len=1, forced=0.0):
    """Beam search of one sentence as fairseq does it, every step from scratch.

    Args:
        log_probs_of: function from token lists to log probabilities of the next token, one row each.
        prompt: tokens that every hypothesis starts with; not part of the results.
        eos: the end token.
        beam: number of hypotheses.
        max_len, min_len: most and least tokens before the end token.
        forced: log probability of the prompt after its first token.

    Returns:
        Up to ``beam`` pairs ``(tokens with the end token, score)``, best first; score = mean log probability
        of all tokens but the first of the prompt.
    """
    beams, finished = [([], forced)], []
    for step in range(max_len + 1):
        table = log_probs_of([prompt + tokens for tokens, _ in beams]).tolist()
        candidates = []
        for (tokens, score), row in zip(beams, table, strict=True):
            for token, log_prob in enumerate(row):
                allowed = token == eos if step == max_len else token != eos or step >= min_len
                if allowed and log_prob > -math.inf:
                    candidates.append((score + log_prob, [*tokens, token]))
        candidates = sorted(candidates, key=lambda c: -c[0])[: 2 * beam]
        for score, tokens in candidates[:beam]:
            if tokens[-1] == eos and len(finished) < beam:
                finished.append((tokens, score / (len(prompt) - 1 + len(tokens))))
        if len(finished) == beam:
            break
        beams = [(tokens, score) for score, tokens in candidates if tokens[-1] != eos][:beam]
    return sorted(finished, key=lambda f: -f[1])
