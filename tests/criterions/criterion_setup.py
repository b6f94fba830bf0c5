"""Small real models, batches and criterions for the criterions' tests."""

import torch
from fairseq import criterions, metrics, models
from fairseq.data import Dictionary
from fairseq.tasks.language_modeling import LanguageModelingConfig, LanguageModelingTask
from fairseq.tasks.translation import TranslationConfig, TranslationTask
from omegaconf import OmegaConf

import fairseq_plugin  # noqa: F401  (registers)

VOCABULARY = 30
TRANSFORMER = dict(
    decoder_layers=1, decoder_embed_dim=16, decoder_input_dim=16, decoder_output_dim=16,
    decoder_ffn_embed_dim=16, decoder_attention_heads=2, share_decoder_input_output_embed=True,
    dropout=0.0, tokens_per_sample=16, max_target_positions=16,
)  # fmt: skip


def dictionary():
    words = Dictionary()
    for number in range(VOCABULARY - len(words)):
        words.add_symbol(str(number))
    return words


def build_lm_task():
    return LanguageModelingTask(LanguageModelingConfig(), dictionary())


def build_lm(task, **changes):
    torch.manual_seed(0)
    settings = {"_name": "transformer_lm", **TRANSFORMER, **changes}
    return models.build_model(OmegaConf.create(settings), task)


def build_gpt2(task, **changes):
    torch.manual_seed(0)
    sizes = {"_name": "gpt2", "n_layer": 1, "n_head": 2, "n_embd": 16, "n_positions": 16, "dropout": 0.0}
    return models.build_model(OmegaConf.create({**sizes, **changes}), task)


def build_encoder_decoder():
    """``(model, task)``: a stock transformer for translation."""
    task = TranslationTask(TranslationConfig(), dictionary(), dictionary())
    torch.manual_seed(0)
    side = dict(layers=1, embed_dim=16, ffn_embed_dim=16, attention_heads=2)
    sides = {"encoder": side, "decoder": {**side, "output_dim": 16}}
    settings = {"_name": "transformer", "dropout": 0.0, **sides}
    return models.build_model(OmegaConf.create(settings), task), task


def criterion_of(task, name, **settings):
    settings = {"_name": name, "sentence_avg": False, **settings}
    return criterions.build_criterion(OmegaConf.create(settings), task)


def lm_batch(task, rows=3, steps=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(4, VOCABULARY, (rows, steps), generator=generator)
    target[:, -1] = task.source_dictionary.eos()
    target[0, -2:] = task.source_dictionary.pad()
    source = torch.cat([torch.full((rows, 1), 2), target[:, :-1]], dim=1)
    lengths = torch.full((rows,), steps)
    return {
        "id": torch.arange(10, 10 + rows),
        "nsentences": rows,
        "ntokens": int((target != 1).sum()),
        "net_input": {"src_tokens": source, "src_lengths": lengths},
        "target": target,
    }


def pair_batch(task):
    """A batch for the encoder-decoder: it copies."""
    sample = lm_batch(task)
    sample["net_input"]["prev_output_tokens"] = sample["net_input"]["src_tokens"]
    return sample


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


class Optimizer:
    """As much of fairseq's optimizer as ``task.train_step`` asks for."""

    @staticmethod
    def backward(loss):
        loss.backward()


def train_step(task, model, criterion, sample, update):
    """One batch as the trainer runs it: ``(loss, sample_size, logging_output)``."""
    criterion.train()
    words = {"optimizer": Optimizer(), "update_num": update, "ignore_grad": False}
    return task.train_step(sample=sample, model=model, criterion=criterion, **words)


def meters_of(criterion, logs):
    """What fairseq shows of these logging outputs."""
    with metrics.aggregate(new_root=True) as meters:
        criterion.__class__.reduce_metrics(logs)
    return meters.get_smoothed_values()
