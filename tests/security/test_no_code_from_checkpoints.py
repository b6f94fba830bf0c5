"""A checkpoint's configuration runs nothing: canaries that write a file, offered to every command.

The control proves that the canaries work: fairseq's own task runs every one of them.
"""

import ast
import copy
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.checkpoint_settings import CRITERIONS, EVALUATED, TASKS, check_settings
from fairseq_plugin.storage.checkpoint_settings import MODELS as LISTED
from tests.pipeline.open_ended import OPEN_ENDED, in_process

# Where fairseq calls eval while it builds the model, or the criterion: {name: setting}.
MODELS = {
    "wav2vec2": "conv_feature_layers",
    "wav2vec": "conv_feature_layers",
    "fconv_lm": "decoder_layers",
    "fconv": "encoder_layers",
    "fconv_self_att": "pretrained",
    "transformer_lm": "character_filters",
}
CRITERION = {"_name": "ctc", "wer_args": None}
WAYS = (
    "generate", "interactive", "eval_lm", "validate", "restart", "restore_file", "finetune",
    "continue_once", "lm_path", "evaluate_lm", "export",
)  # fmt: skip


def canary_in(state: dict[str, Any], name: str, mark: Path) -> dict[str, Any]:
    """A checkpoint that names a model or criterion whose setting writes ``mark`` when it is evaluated."""
    code = f"__import__('pathlib').Path({str(mark)!r}).touch() or [(1, 1, 1)]"
    state = copy.copy(state) | {"cfg": copy.deepcopy(state["cfg"])}
    # The stock task, which a stranger's checkpoint can name: fairseq-validate builds what it says.
    state["cfg"]["task"]["_name"] = "language_modeling"
    if name == "ctc":
        state["cfg"]["criterion"] = CRITERION | {"wer_args": code}
    else:
        state["cfg"]["model"] = {"_name": name, MODELS[name]: code, "character_embeddings": True}
    return state


@pytest.fixture(scope="module")
def state(learnt):
    """A true checkpoint's content."""
    return torch.load(learnt.checkpoint, weights_only=True)


@pytest.fixture
def offer(text, learnt, tmp_path):
    """``offer(way, checkpoint, task)``: give a checkpoint to one command with a task, in this process."""

    def run(way: str, path: Path, task: str) -> None:
        words = [text.folder, "--task", task, "--cpu"]
        given = [*words, "--path", path]
        if way == "generate":
            in_process("generate", *given, "--gen-subset", "valid", "--beam", 1)
        elif way == "interactive":
            in_process("interactive", *given, "--beam", 1, stdin="a\n")
        elif way == "eval_lm":
            in_process("eval_lm", *given, "--gen-subset", "valid", "--tokens-per-sample", 32)
        elif way == "validate":
            in_process("validate", *given, "--max-tokens", 512)
        elif way == "lm_path":
            in_process(
                "generate", *words, "--path", learnt.checkpoint, "--lm-path", path, "--gen-subset", "valid"
            )
        elif way == "evaluate_lm":
            from fairseq_plugin.evaluation.split_text import load_split
            from fairseq_plugin.evaluation.systems import load_system

            load_system("evil", path, load_split(text.folder, "test"))
        elif way == "export":
            from fairseq_plugin.pretrained.export import export_checkpoint

            export_checkpoint(path, text.folder, tmp_path / "hf")
        else:
            train(way, path, words)

    def train(way: str, path: Path, words: list[Any]) -> None:
        save_dir = path.with_suffix("")
        save_dir.mkdir()
        flags = {
            "restore_file": ["--restore-file", path],
            "finetune": ["--finetune-from-model", path],
            "continue_once": ["--continue-once", path],
        }
        if way == "restart":
            (save_dir / "checkpoint_last.pt").write_bytes(path.read_bytes())
        in_process(
            "train", *words, *OPEN_ENDED, "--arch", "gpt2_tiny", "--max-tokens", 512, "--optimizer", "adam",
            "--save-dir", save_dir, *flags.get(way, []),
        )  # fmt: skip

    return run


@pytest.mark.parametrize("way", WAYS)
def test_no_command_runs_what_a_checkpoint_says(offer, state, tmp_path, way):
    """7 canaries through 11 ways: 0 run."""
    for name in (*MODELS, "ctc"):
        mark, path = tmp_path / f"{name}.ran", tmp_path / f"{name}.pt"
        torch.save(canary_in(state, name, mark), path)
        with pytest.raises((SystemExit, UserError), match="code") as error:
            offer(way, path, "open_ended_generation")
        assert not mark.exists(), name
        assert "\n" not in str(error.value) and (way == "restart" or path.name in str(error.value))


@pytest.mark.parametrize("name", MODELS)
def test_control_fairseqs_own_task_runs_the_canary(offer, state, tmp_path, name):
    mark, path = tmp_path / f"{name}.ran", tmp_path / f"{name}.pt"
    torch.save(canary_in(state, name, mark), path)
    with pytest.raises(Exception):  # noqa: B017  (the nonsense it built fails later, each model in its own way)
        offer("generate", path, "language_modeling")
    assert mark.exists()


def test_control_fairseq_validate_runs_the_canary_of_a_criterion(offer, state, tmp_path):
    mark, path = tmp_path / "ctc.ran", tmp_path / "ctc.pt"
    torch.save(canary_in(state, "ctc", mark), path)
    with pytest.raises(Exception):  # noqa: B017
        offer("validate", path, "language_modeling")
    assert mark.exists()


@pytest.mark.parametrize(
    "section, values",
    [
        ("model", {"_name": ["wav2vec2"]}),
        ("model", {"_name": "gpt2", "arch": "wav2vec2"}),
        ("model", {"wav2vec2": {}}),
        ("model", None),
        ("task", {"_name": "open_ended_generation", "task": "multilingual_translation"}),
        ("task", {"_name": ["audio_finetuning"]}),
        ("task", "audio_finetuning"),
        ("criterion", {"_name": None, "criterion": "ctc"}),
    ],
)
def test_a_name_in_another_shape_is_no_way_in(state, section, values):
    with pytest.raises(UserError, match="may run code"):
        check_settings(state | {"cfg": state["cfg"] | {section: values}}, "it")


# -- the lists --------------------------------------------------------------------------------------------


def test_the_lists_name_what_exists(repo_root):
    from fairseq.criterions import CRITERION_REGISTRY
    from fairseq.models import ARCH_MODEL_INV_REGISTRY
    from fairseq.tasks import TASK_REGISTRY

    import fairseq_plugin  # noqa: F401

    families = ("gpt2", "transformer_lm", "transformer")
    assert {name for family in families for name in ARCH_MODEL_INV_REGISTRY[family]} == LISTED
    assert TASK_REGISTRY.keys() >= TASKS and CRITERION_REGISTRY.keys() >= CRITERIONS


def evaluated_in(source: str) -> set[str]:
    """The last names of what a source file hands to ``eval``, or to fairseq's functions that call it."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    wanted = re.compile(r"(utils\.|options\.)?(eval|eval_str_list|eval_str_dict|eval_bool)")
    return {
        ast.unparse(call.args[0]).rpartition(".")[2]
        for call in calls
        if wanted.fullmatch(ast.unparse(call.func))
    }


def test_all_that_the_listed_models_evaluate_must_be_numbers():
    from fairseq.criterions import CRITERION_REGISTRY
    from fairseq.models import fairseq_model, transformer, transformer_lm
    from fairseq.modules import adaptive_input, adaptive_softmax, multihead_attention, transformer_layer
    from fairseq.tasks import TASK_REGISTRY

    modules = [
        fairseq_model,
        transformer_lm,
        adaptive_input,
        adaptive_softmax,
        multihead_attention,
        transformer_layer,
    ]
    paths = [Path(inspect.getfile(module)) for module in modules]
    paths += Path(inspect.getfile(transformer)).parent.glob("*.py")
    paths += [Path(inspect.getfile(CRITERION_REGISTRY[name])) for name in CRITERIONS]
    paths += [Path(inspect.getfile(TASK_REGISTRY[name])) for name in TASKS]
    found = set().union(*(evaluated_in(path.read_text("utf-8")) for path in paths))
    assert found == {
        "adaptive_softmax_cutoff",
        "adaptive_input_cutoff",
        "character_filters",
        "xformers_att_config",
    }
    assert found == set(EVALUATED)
    assert evaluated_in("eval(a.b); utils.eval_bool(c)") == {"b", "c"}
