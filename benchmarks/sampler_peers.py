"""The systems of benchmarks/sampler.py: each makes sentences for the labels of one model."""

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from fairseq_plugin.augment.jobs.label_model import LabelModel, load_label_model  # noqa: E402
from fairseq_plugin.sampling.draw import Sampling  # noqa: E402
from fairseq_plugin.sampling.pool import SamplePool  # noqa: E402
from fairseq_plugin.sampling.request import DecodingRequest  # noqa: E402
from fairseq_plugin.storage.dictionary import EOS  # noqa: E402

END = 50256  # of GPT-2's own ids


@dataclass(frozen=True)
class Job:
    """What every system is asked for.

    Attributes:
        work: folder of ``sampler_model.sh``.
        top_k, top_p: how a token is drawn.
        shortest: fewest new tokens, the end token included.
        longest: most of them.
        threads: of the processor.
        batch: texts at once, of the systems that take a batch; 0: the system's own choice.
        device: ``"cpu"``, or ``"cuda"`` for the systems of ``ON_GPU``.
    """

    work: Path
    top_k: int
    top_p: float
    shortest: int
    longest: int
    threads: int
    batch: int
    device: str = "cpu"

    @property
    def checkpoint(self) -> Path:
        return self.work / "model" / "checkpoint_last.pt"

    @property
    def data(self) -> Path:
        return self.work / "sst2"

    def model(self, dtype: str = "fp32") -> LabelModel:
        """The network with its data."""
        return load_label_model(self.checkpoint, self.data, self.device, dtype)

    def prompts(self) -> list[list[int]]:
        """Of each label, in GPT-2's own ids."""
        found = load_label_model(self.checkpoint, self.data)
        return [[END, *(int(found.symbols[index]) for index in prompt[1:])] for prompt in found.prompts]


@dataclass
class Texts:
    """What a system made: tokens of each text without the end, whether each ended; what it read."""

    tokens: list[tuple[int, ...]]
    ended: list[bool]
    num_read: int | None = None

    def add(self, tokens: list[int], end: int) -> None:
        """A text up to its end token, if it has one."""
        is_ended = end in tokens
        self.tokens.append(tuple(tokens[: tokens.index(end)] if is_ended else tokens))
        self.ended.append(is_ended)

    @property
    def num_accepted(self) -> int:
        """Texts that ended, hold something, and are no copies of earlier ones."""
        return len(
            {tokens for tokens, ended in zip(self.tokens, self.ended, strict=True) if ended and tokens}
        )


# number of samples -> texts
Make = Callable[[int], Texts]


def ours(job: Job, dtype: str = "fp32") -> Make:
    """This project's pool, as ``scripts/generate.py`` drives it."""
    found, seed = job.model(dtype), 0
    method = Sampling(1.0, job.top_k, job.top_p)

    def make(count: int) -> Texts:
        nonlocal seed
        seed += 1
        labels = len(found.prompts)
        request = DecodingRequest(method, EOS, job.longest, min_new=job.shortest, seed=seed)
        pool = SamplePool(found.gpt2, request, max(map(len, found.prompts)), job.batch or None)
        texts = Texts([], [])
        for one in pool.run((prompt, range(i, count, labels)) for i, prompt in enumerate(found.prompts)):
            texts.add([*one.continuation.tokens.tolist(), *([EOS] * one.continuation.ended)], EOS)
        texts.num_read = pool.counts.read + pool.counts.prompt_tokens
        return texts

    return make


def ours_int8(job: Job) -> Make:
    """The same with int8 weights."""
    return ours(job, "int8")


def ours_bf16(job: Job) -> Make:
    """The same with products in bfloat16."""
    return ours(job, "bf16")


def our_fairseq_generate(job: Job) -> Make:
    """The command ``fairseq-generate --sampling`` with this project's task, its start counted in."""
    seed = 0

    def make(count: int) -> Texts:
        nonlocal seed
        seed += 1
        with tempfile.TemporaryDirectory() as folder:
            words = [
                sys.executable, "-m", "fairseq_cli.generate", job.data,
                "--user-dir", ROOT / "fairseq_plugin", "--task", "conditional_augmentation",
                "--cpu", "--seed", seed, "--path", job.checkpoint,
                "--gen-subset", "augment", "--samples-per-label", count // 2,
                "--sampling", "--beam", 1, "--nbest", 1,
                "--sampling-topk", job.top_k or -1, "--sampling-topp", job.top_p if job.top_p < 1 else -1,
                "--min-len", job.shortest, "--max-len-b", job.longest,
                "--batch-size", job.batch or 256, "--results-path", folder,
            ]  # fmt: skip
            subprocess.run(list(map(str, words)), check=True, capture_output=True, cwd=ROOT)
            printed = (Path(folder) / "generate-augment.txt").read_text("utf-8").split("\n")
        texts = Texts([], [])
        hypotheses = [line.split("\t")[2].split() for line in printed if line.startswith("H-")]
        scores = [line.split("\t")[1].split() for line in printed if line.startswith("P-")]
        for symbols, own in zip(hypotheses, scores, strict=True):
            ended = len(own) == len(symbols) + 1
            texts.add([int(symbol) for symbol in symbols] + [END] * ended, END)
        return texts

    return make


def stock_fairseq(job: Job) -> Make:
    """fairseq's own SequenceGenerator and Sampling over the same network, with its incremental state."""
    from fairseq import checkpoint_utils, search, utils
    from fairseq.sequence_generator import SequenceGenerator

    utils.import_user_module(_Namespace(user_dir=str(ROOT / "fairseq_plugin")))
    model: Any
    task: Any
    [model], _, task = checkpoint_utils.load_model_ensemble_and_task(
        [str(job.checkpoint)], arg_overrides={"data": str(job.data)}
    )
    model.eval()
    prompts, dictionary = job.model().prompts, task.source_dictionary
    strategy = search.Sampling(dictionary, job.top_k or -1, job.top_p if job.top_p < 1 else -1.0)
    length = len(prompts[0])
    generator = SequenceGenerator(
        [model],
        dictionary,
        beam_size=1,
        min_len=job.shortest + length - 1,
        max_len_b=job.longest + length - 1,
        search_strategy=strategy,
    )

    def make(count: int) -> Texts:
        texts = Texts([], [])
        for part_BT in _batches(prompts, count, job.batch or 64):
            lengths_B = torch.full((len(part_BT),), length)
            sample = {"net_input": {"src_tokens": part_BT, "src_lengths": lengths_B}}
            found = generator.generate([model], sample, prefix_tokens=part_BT[:, 1:], bos_token=EOS)
            for one in found:
                texts.add(one[0]["tokens"][length - 1 :].tolist(), EOS)
        return texts

    return make


class _Namespace:
    def __init__(self, **values: object) -> None:
        self.__dict__.update(values)


def transformers_generate(job: Job, dtype: torch.dtype = torch.float32) -> Make:
    """Hugging Face generate, float32."""
    import transformers

    model: Any = transformers.GPT2LMHeadModel.from_pretrained(job.work / "hf", dtype=dtype).eval()
    model, prompts = model.to(job.device), job.prompts()

    def make(count: int) -> Texts:
        texts = Texts([], [])
        for part_BT in _batches(prompts, count, job.batch or 64):
            part_BT = part_BT.to(job.device)
            found_BT = model.generate(
                part_BT, attention_mask=torch.ones_like(part_BT), do_sample=True,
                top_k=job.top_k, top_p=job.top_p, min_new_tokens=job.shortest,
                max_new_tokens=job.longest,
                pad_token_id=END, eos_token_id=END,
            )  # fmt: skip
            for tokens in found_BT[:, part_BT.shape[1] :].tolist():
                texts.add(tokens, END)
        return texts

    return make


def transformers_generate_bf16(job: Job) -> Make:
    """The same in bfloat16."""
    return transformers_generate(job, torch.bfloat16)


def vllm_generate(job: Job) -> Make:
    """vLLM in bfloat16: one request per label with n = N, prefix caching on."""
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # a worker of this benchmark may start no process
    os.environ["VLLM_MAX_N_SEQUENCES"] = str(1 << 24)  # of one request; otherwise 16,384
    import vllm  # type: ignore[import-not-found]  # an extra

    prompts = job.prompts()
    engine = vllm.LLM(
        str(job.work / "hf"), dtype="bfloat16", enable_prefix_caching=True, skip_tokenizer_init=True,
        max_model_len=max(map(len, prompts)) + job.longest,
        gpu_memory_utilization=0.5,  # the other systems live on the same GPU
    )  # fmt: skip

    def make(count: int) -> Texts:
        # No seed: with one each of its requests draws from a generator of its own, which is slow.
        asked = [
            vllm.SamplingParams(
                n=len(range(i, count, len(prompts))), temperature=1.0, top_k=job.top_k, top_p=job.top_p,
                min_tokens=job.shortest, max_tokens=job.longest, stop_token_ids=[END], detokenize=False,
            )
            for i in range(len(prompts))
        ]  # fmt: skip
        texts = Texts([], [])
        found = engine.generate([{"prompt_token_ids": prompt} for prompt in prompts], asked, use_tqdm=False)
        for of_label in found:
            for one in of_label.outputs:
                texts.add(list(one.token_ids), END)
        return texts

    return make


def ctranslate2_float32(job: Job, dtype: str = "float32") -> Make:
    """CTranslate2, which takes finished texts out of its batches itself."""
    import ctranslate2  # type: ignore[import-not-found]  # an extra

    generator = ctranslate2.Generator(
        str(job.work / f"ct2-{dtype}"), compute_type=dtype, intra_threads=job.threads, inter_threads=1
    )
    words = (job.work / f"ct2-{dtype}" / "vocabulary.json").read_text("utf-8")
    vocabulary = json.loads(words)
    prompts = [[vocabulary[index] for index in prompt] for prompt in job.prompts()]

    def make(count: int) -> Texts:
        texts = Texts([], [])
        asked = [prompts[i % len(prompts)] for i in range(count)]
        found = generator.generate_batch(
            asked, max_batch_size=job.batch or 128, min_length=job.shortest,
            max_length=job.longest, sampling_topk=job.top_k,
            sampling_topp=job.top_p, end_token=[END], include_prompt_in_result=False, return_end_token=True,
        )  # fmt: skip
        for one in found:
            texts.add(one.sequences_ids[0], END)
        return texts

    return make


def ctranslate2_int8(job: Job) -> Make:
    """The same in int8."""
    return ctranslate2_float32(job, "int8")


def _batches(prompts: list[list[int]], count: int, size: int) -> list[torch.Tensor]:
    """Prompts of one length, the labels in turn."""
    assert len({len(prompt) for prompt in prompts}) == 1, "prompts of one length are needed for a fair batch"
    rows = torch.tensor([prompts[i % len(prompts)] for i in range(count)])
    return list(rows.split(math.ceil(count / math.ceil(count / size))))


# Systems with the share of the samples that each makes in a turn: slow ones fewer.
SYSTEMS: dict[str, tuple[Callable[[Job], Make], float]] = {
    "ours": (ours, 1.0),
    "ours_int8": (ours_int8, 1.0),
    "ours_bf16": (ours_bf16, 1.0),
    "our_fairseq_generate": (our_fairseq_generate, 1.0),
    "stock_fairseq": (stock_fairseq, 0.128),
    "transformers_generate": (transformers_generate, 0.128),
    "transformers_generate_bf16": (transformers_generate_bf16, 0.128),
    "vllm_generate": (vllm_generate, 1.0),
    "ctranslate2_float32": (ctranslate2_float32, 0.512),
    "ctranslate2_int8": (ctranslate2_int8, 0.512),
}
# Those that a GPU is asked for; vLLM needs one.
ON_GPU = ("ours", "ours_bf16", "transformers_generate", "transformers_generate_bf16", "vllm_generate")
