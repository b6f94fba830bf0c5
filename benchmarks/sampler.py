"""Sentences per second: GPT-2 124M fine-tuned on SST-2, whole jobs, this project and its peers in one run.

Every system lives in a process of its own and they take turns, so that a machine that gets slower or faster
meets all alike; a ratio is taken within a turn. A turn of ours is a whole job (its tail counted in); slow
peers make a share of it in whole batches, and their rate is told per sample. What takes a batch tries several
sizes first and keeps its best. Accepted: ended by itself, not empty, no copy of an earlier one.

    bash benchmarks/sampler_model.sh ../shared/data WORK  # once: data, model, its forms for peers
    python benchmarks/sampler.py --work WORK              # 1.5 hours on 2 quiet cores; sampler.json
    python benchmarks/sampler.py --work WORK --modes topk --systems ours ours_int8 --samples 200 --no-write
    python benchmarks/sampler.py --work WORK --linear     # seconds per sample and memory against samples
    python benchmarks/sampler.py --work WORK --device cuda --samples 800000   # ours, Hugging Face, vLLM

ctranslate2 (pip install -e .[peers]) and vllm ([peers-on-gpu], with a torch of its own) are extras; what is
missing is left out, and said.
"""

import argparse
import datetime
import json
import multiprocessing
import os
import resource
import statistics
import sys
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_class  # noqa: E402
from benchmarks.sampler_peers import ON_GPU, SYSTEMS, Job  # noqa: E402
from fairseq_plugin.core.bf16 import why_not_bf16  # noqa: E402
from fairseq_plugin.core.gpt2 import GPT2, GPT2Config  # noqa: E402
from fairseq_plugin.core.int8 import int8_linear, quantize, why_not_int8  # noqa: E402
from fairseq_plugin.core.linear import Linear  # noqa: E402
from fairseq_plugin.core.packed import packed_products  # noqa: E402
from fairseq_plugin.files import atomic_write  # noqa: E402
from fairseq_plugin.sampling.draw import Sampling  # noqa: E402
from fairseq_plugin.sampling.pool import SamplePool  # noqa: E402
from fairseq_plugin.sampling.request import DecodingRequest  # noqa: E402

MODES = {"topk": (40, 1.0), "topp": (0, 0.9)}
BATCHES: dict[str, tuple[int, ...]] = dict.fromkeys(
    ("transformers_generate", "transformers_generate_bf16", "stock_fairseq"), (32, 64, 128)
)
BATCHES |= dict.fromkeys(("ctranslate2_float32", "ctranslate2_int8"), (64, 128, 256))
OURS = {"ours": "fp32", "ours_int8": "int8", "ours_bf16": "bf16"}
BATCHES |= dict.fromkeys(OURS, (128, 256))
BATCHES_ON_GPU = dict.fromkeys(ON_GPU, (1024, 2048, 4096)) | {"vllm_generate": ()}
FLOPS_OF_A_POSITION = 2 * (12 * 12 * 768**2 + 768 * 50304)  # GPT-2 124M's products, attention left out
Rates = dict[str, Any]


def peak_gflops(dtype: str, device: str) -> float:
    """The machine's best rate of a large product, by the same libraries; 10^9 operations per second."""
    x, layer, best = torch.randn(1024, 4096), Linear(4096, 4096), 0.0
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    if dtype == "bf16":
        x, layer = x.bfloat16(), layer.bfloat16()
    x, layer = x.to(device), layer.to(device)
    with torch.no_grad(), packed_products():
        weight = quantize(layer.weight) if dtype == "int8" else None
        for _ in range(8):
            start = time.perf_counter()
            layer(x) if weight is None else int8_linear(x, weight)
            _wait_for(device)
            best = max(best, 2 * 1024 * 4096**2 / (time.perf_counter() - start) / 1e9)
    return best


def _wait_for(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def worker(pipe: Connection, name: str, job: Job) -> None:
    """Answer ``(batch, samples)`` with what came of it; ``None`` ends it."""
    torch.set_num_threads(job.threads)
    torch.manual_seed(0)
    made_for = job.batch
    try:
        make = SYSTEMS[name][0](job)
    except ImportError as error:
        pipe.send(f"left out: {error}")
        return
    make(16)  # copies of weights are made, threads started
    pipe.send(None)
    while (request := pipe.recv()) is not None:
        batch, count = request
        if batch != made_for:
            make, made_for = SYSTEMS[name][0](replace(job, batch=batch)), batch
            make(16)
        start = time.perf_counter()
        texts = make(count)
        seconds = time.perf_counter() - start
        answer = {"seconds": seconds, "samples": len(texts.tokens), "accepted": texts.num_accepted}
        answer["mean_tokens"] = sum(map(len, texts.tokens)) / max(1, len(texts.tokens)) + 1
        answer["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        if job.device == "cuda":  # vLLM takes its share of the memory whatever it needs
            answer["peak_gpu_gb"] = torch.cuda.max_memory_allocated() / 1e9
        if texts.num_read is not None:
            used = texts.num_read * FLOPS_OF_A_POSITION / seconds / 1e9
            answer |= {"positions_read": texts.num_read}
            answer |= {"share_of_peak": used / peak_gflops(OURS[name], job.device)}
        pipe.send(answer)


def ask(pipe: Connection, batch: int, count: int) -> Rates:
    pipe.send((batch, max(8, count)))
    return pipe.recv()


def start(args: argparse.Namespace, job: Job) -> tuple[dict[str, Connection], dict[str, str]]:
    """The systems that work here, and why the others do not."""
    context, pipes, left_out = multiprocessing.get_context("spawn"), {}, {}
    for name in args.systems:
        pipe, other = context.Pipe()
        context.Process(target=worker, args=(other, name, job), daemon=True).start()
        if said := pipe.recv():
            print(f"{name} {said}", flush=True)
            left_out[name] = said
        else:
            pipes[name] = pipe
    return pipes, left_out


def best_batch(
    pipe: Connection, sizes: tuple[int, ...], count: int, searches: bool
) -> tuple[int, dict[int, float]]:
    """``(texts at once, {tried: accepted per second})``; 0: the system's own choice."""
    if not searches or len(sizes) < 2:
        return 0, {}
    tried = {size: ask(pipe, size, count // 2) for size in sizes}
    rates = {size: round(one["accepted"] / one["seconds"], 2) for size, one in tried.items()}
    return max(rates, key=lambda size: rates[size]), rates


def measure(mode: str, args: argparse.Namespace) -> Rates:
    """One mode: the systems in turns."""
    top_k, top_p = MODES[mode]
    job = Job(args.work, top_k, top_p, args.shortest, args.longest, args.threads, 0, args.device)
    batches = BATCHES_ON_GPU if args.device == "cuda" else BATCHES
    pipes, left_out = start(args, job)
    counts = {name: int(args.samples * SYSTEMS[name][1]) for name in pipes}
    best = {
        name: best_batch(pipe, batches.get(name, ()), counts[name], args.search)
        for name, pipe in pipes.items()
    }
    turns: dict[str, list[Rates]] = {name: [] for name in pipes}
    for _ in range(args.rounds):
        for name, pipe in pipes.items():
            turns[name].append(ask(pipe, best[name][0], counts[name]))
    rates = {name: [one["accepted"] / one["seconds"] for one in own] for name, own in turns.items()}
    systems: dict[str, Any] = dict(left_out)
    for name, own in turns.items():
        row = {key: round(statistics.median(one[key] for one in own), 3) for key in own[0]}
        row |= {"accepted_per_s": round(statistics.median(rates[name]), 2)}
        row |= {"batch": best[name][0], "tried": best[name][1]}
        for ours in (one for one in OURS if one in turns):
            ratios = [mine / theirs for mine, theirs in zip(rates[ours], rates[name], strict=True)]
            row[f"{ours}_is_times_as_fast"] = [round(f(ratios), 2) for f in (statistics.median, min, max)]
        systems[name] = row
        print(mode, name, json.dumps(row), flush=True)
        pipes[name].send(None)
    return {"mode": mode, "systems": systems}


def linear_cost(args: argparse.Namespace) -> list[Rates]:
    """Jobs of growing size by a small network, each in a process of its own."""
    context, rows = multiprocessing.get_context("spawn"), []
    for count in args.counts:
        pipe, other = context.Pipe()
        process = context.Process(target=_small_job, args=(other, count, args.threads))
        process.start()
        rows.append(pipe.recv())
        process.join()
        print(json.dumps(rows[-1]), flush=True)
    return rows


def _small_job(pipe: Connection, count: int, threads: int) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model: Any = GPT2(GPT2Config(2048, n_positions=64, n_embd=64, n_layer=2, n_head=2)).eval()
    with torch.no_grad():  # a sharper distribution than fresh weights give, and texts that end: 17 tokens
        model.wte.weight.mul_(8)
        model.ln_f.bias += 5.5 * model.wte.weight[2]
    pool = SamplePool(model, DecodingRequest(Sampling(top_p=0.9), end=2, max_new=48, seed=1), 2)
    start, accepted, tokens = time.perf_counter(), 0, 0
    for one in pool.run([((2, 4), range(0, count, 2)), ((2, 5), range(1, count, 2))]):
        accepted += one.continuation.ended and len(one.continuation.tokens) > 0
        tokens += len(one.continuation.scores)
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    pipe.send(
        {
            "samples": count,
            "accepted": accepted,
            "mean_tokens": round(tokens / count, 2),
            "microseconds_per_accepted": round(1e6 * seconds / accepted, 1),
            "positions_per_sample": round(pool.counts.read / count, 2),
            "peak_gb": round(memory / 1e9, 3),
        }
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--work", type=Path, help="folder of benchmarks/sampler_model.sh")
    add("--modes", nargs="+", choices=sorted(MODES), default=list(MODES), help="top-k 40, top-p 0.9")
    add("--systems", nargs="+", choices=sorted(SYSTEMS), default=list(SYSTEMS))
    add("--samples", type=int, default=2000, help="of a whole job")
    add("--rounds", type=int, default=3, help="counted turns, >= 1")
    add(
        "--shortest",
        type=int,
        default=8,
        help="fewest new tokens: a model of 160 updates ends its texts early",
    )
    add("--longest", type=int, default=64, help="most new tokens of a text")
    add("--threads", type=int, default=os.cpu_count(), help="threads per process")
    add(
        "--no-search", dest="search", action="store_false", help="do not try other batches than the usual one"
    )
    add("--linear", action="store_true", help="cost against samples, by a small network")
    add("--counts", nargs="+", type=int, default=[2000, 20000, 200000], help="samples of --linear")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: ours, Hugging Face and vLLM only")
    add("--no-write", action="store_true", help="print only; leave the written result alone")
    args = parser.parse_args()
    if not args.linear and not (args.work and args.work.is_dir()):
        parser.error("--work: give the folder that benchmarks/sampler_model.sh has made")
    if args.device == "cuda":
        if not torch.cuda.is_available():
            parser.error("--device cuda: torch sees no GPU here")
        args.systems = [name for name in args.systems if name in ON_GPU]
    unfit = {"int8": why_not_int8(args.device), "bf16": why_not_bf16(args.device)}
    args.systems = [name for name in args.systems if not unfit.get(OURS.get(name, ""))]
    return args


def main() -> None:
    args = parse()
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": machine_class(args.threads),
        "load_before": round(os.getloadavg()[0], 1),  # above 0.5 the figures are disturbed
    }
    if args.linear:
        result["linear"] = linear_cost(args)
    else:
        result |= {"samples": args.samples, "rounds": args.rounds}
        result |= {"shortest": args.shortest, "longest": args.longest}
        result["runs"] = [measure(mode, args) for mode in args.modes]
    if args.no_write:
        return
    path = Path(__file__).with_suffix(".json")
    before = json.loads(path.read_text("utf-8")) if path.exists() else {}
    before["linear" if args.linear else "peers"] = result
    with atomic_write(path) as stream:
        stream.write(json.dumps(before, indent=1) + "\n")


if __name__ == "__main__":
    main()
