"""What ``--task open_ended_generation`` can be told besides what fairseq's language modelling can."""

from dataclasses import dataclass, field
from typing import Optional

from fairseq.tasks.language_modeling import LanguageModelingConfig
from omegaconf import II


@dataclass
class OpenEndedGenerationConfig(LanguageModelingConfig):
    data: Optional[str] = field(default=None, metadata={"help": "folder written by scripts/prepare_text.py"})
    prefix_tokens: int = field(
        default=50,
        metadata={
            "help": "fairseq-generate --gen-subset SPLIT: the split's text is cut into consecutive prefixes "
            "of this many tokens, >= 1, each of which is continued; samples while training begin with as "
            "many"
        },
    )
    prompts: Optional[str] = field(
        default=None,
        metadata={
            "help": "file for --gen-subset prompts: one prompt per line, with the escapes \\n \\t \\r \\\\; "
            "an empty line is no prompt at all"
        },
    )
    num_samples: Optional[int] = field(
        default=None,
        metadata={
            "help": "samples to write with fairseq-generate, >= 1 (default: one per prefix or prompt; "
            "1 with --gen-subset unconditional)"
        },
    )
    first_sample: int = field(
        default=0,
        metadata={
            "help": "number of the first prefix, prompt or unconditional sample, >= 0: go on after an "
            "earlier run"
        },
    )
    stop_at_end: bool = field(
        default=False,
        metadata={
            "help": "let the end of text end a sample; off: every sample has exactly --max-len-b new tokens, "
            "as measures of repetition need them"
        },
    )
    gumbel: bool = field(
        default=False,
        metadata={"help": "with --sampling: draw by the Gumbel-max trick, same distribution, other tokens"},
    )
    contrastive_alpha: Optional[float] = field(
        default=None,
        metadata={
            "help": "contrastive search with this weight of unlikeness to what stands there, in [0, 1] "
            "(0.6 in its paper; needs --beam 1)"
        },
    )
    contrastive_k: int = field(
        default=5, metadata={"help": "candidates per step of contrastive search, >= 1 (--contrastive-alpha)"}
    )
    sample_prompts: Optional[str] = field(
        default=None,
        metadata={
            "help": "while training: file of prompts, as for --prompts, that are continued into "
            "SAVE_DIR/samples.md"
        },
    )
    num_sample_prefixes: int = field(
        default=3,
        metadata={"help": "while training: continue this many prefixes of the validation text too, >= 0"},
    )
    sample_tokens: int = field(default=60, metadata={"help": "while training: new tokens per sample, >= 1"})
    sample_interval_updates: int = field(
        default=0,
        metadata={"help": "while training: write samples every N updates too, >= 0; 0 = at validations only"},
    )
    no_plot: bool = field(
        default=False,
        metadata={
            "help": "draw no curves into SAVE_DIR at the end of a training with --log-format json --log-file "
            "FILE"
        },
    )
    accept_changed_settings: bool = field(
        default=False,
        metadata={
            "help": "go on from a checkpoint although data, seed, batch size, loss or other settings that "
            "decide the result differ from those it was trained with"
        },
    )
    # Settings that stand elsewhere in fairseq's configuration (no help: no flag of ours).
    path: Optional[str] = II("common_eval.path")
    results_path: Optional[str] = II("common_eval.results_path")
    save_dir: str = II("checkpoint.save_dir")
    max_len_b: int = II("generation.max_len_b")
    valid_subset: str = II("dataset.valid_subset")
    log_file: Optional[str] = II("common.log_file")
    log_format: Optional[str] = II("common.log_format")
    tensorboard_logdir: Optional[str] = II("common.tensorboard_logdir")
