"""A small model over a small dictionary, built the way a training command builds it."""

import torch
from fairseq import options, tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

import fairseq_plugin  # noqa: F401

PAD, EOS, UNK = 1, 2, 3
TINY = ["--arch", "gpt2_tiny", "--n-layer", "2", "--n-embd", "32", "--n-positions", "40"]
SYMBOLS = [*map(str, reversed(range(30))), "madeupword0000"]  # token ids in reverse order, and padding


def write_dictionary(folder, symbols):
    folder.mkdir(exist_ok=True)
    (folder / "dict.txt").write_text("".join(f"{symbol} 1\n" for symbol in symbols), encoding="utf-8")
    return folder


def configure(data, *flags, length=40):
    parser = options.get_training_parser()
    words = [data, "--task", "language_modeling", "--tokens-per-sample", length, "--cpu", *flags]
    return convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, [str(word) for word in words]))


def build(data, *flags, seed=1, **changes):
    """The model that a training command with these flags starts from, in evaluation mode."""
    cfg = configure(data, *(flags or TINY), **changes)
    torch.manual_seed(seed)
    task = tasks.setup_task(cfg.task)
    model = task.build_model(cfg.model).eval()
    with torch.no_grad():
        for parameter in model.decoder.gpt2.h.parameters():
            parameter.mul_(4)  # fresh weights attend evenly; these do not
    return model, task, cfg


def tokens(rows, length, seed=0):
    drawn_BT = torch.randint(4, 34, (rows, length), generator=torch.Generator().manual_seed(seed))
    drawn_BT[:, 0] = EOS
    return drawn_BT
