"""A small Hugging Face GPT-2, the symbols of its dictionary, and how tests load it."""

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.pretrained.hf_folder import load_weights
from fairseq_plugin.pretrained.vocabulary import SPECIAL_SYMBOLS

CONFIG = GPT2Config(vocab_size=21, n_positions=12, n_embd=8, n_layer=2, n_head=2, dropout=0.0)
SYMBOLS = [*SPECIAL_SYMBOLS, *map(str, range(20))]
EOS = 2


def load(folder, symbols=SYMBOLS, **options):
    network = GPT2(GPT2Config(**{**vars(CONFIG), "vocab_size": len(symbols)}))
    return network, load_weights(folder, network, symbols, EOS, **options)
