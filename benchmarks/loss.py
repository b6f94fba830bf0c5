"""From hidden states to loss and back: ours, plain cross-entropy and the dense form of a paper's formula.

Every variant lives in a process of its own, so that its peak memory is its own; the processes take turns, one
step each, so that a machine that gets slower or faster meets all of them alike. A ratio is taken within a
turn.

    python benchmarks/loss.py                    # 8 minutes on 2 quiet cores; writes loss.json and loss.md
    python benchmarks/loss.py --objective unlikelihood    # writes loss_unlikelihood.json and .md; also
                                   # contrastive_token, ditto, repetition_dropout (a network with and without)
    python benchmarks/loss.py --tokens 300 --rounds 3 --no-write
    python benchmarks/loss.py --one-library --dtypes fp32   # writes loss_one_library.json and .md
    python benchmarks/loss.py --device cuda

float32 products on a CPU come from one of two libraries (``core/cpu_products.py``). How much faster the
second one is depends on the machine and moves all float32 ratios; so it is measured and written beside them,
and ``--one-library`` gives the ratios of machines where both are equally fast.
"""

import argparse
import contextlib
import datetime
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.loss_variants import (  # noqa: E402
    PADDED,
    SETTINGS,
    VARIANTS,
    VOCABULARY,
    WIDTH,
    variants_of,
)
from fairseq_plugin.core import chunked_loss  # noqa: E402
from fairseq_plugin.core.cpu_products import fast_fp32_available, fast_fp32_products  # noqa: E402
from fairseq_plugin.files import atomic_write  # noqa: E402

SHAPES = {300: (1, 300), 1024: (1, 1024), 4096: (4, 1024)}


# -- measuring ---------------------------------------------------------------------------------------------


def inputs(variant, shape, device):
    """The same numbers for every variant; ours gets the padded output layer that our GPT-2 has."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(*shape, WIDTH, generator=generator)
    weight = 0.02 * torch.randn(VOCABULARY, WIDTH, generator=generator)
    rank = torch.rand(shape, generator=generator)
    target = (VOCABULARY**rank).long().clamp(max=VOCABULARY - 1)  # Zipf-like: frequent tokens come back often
    if variant.__name__.startswith("ours"):
        weight = torch.cat([weight, torch.zeros(PADDED - VOCABULARY, WIDTH)])
    return hidden.to(device).requires_grad_(), weight.to(device).requires_grad_(), target.to(device)


def step(variant, tensors, dtype):
    """One forward and backward pass; seconds."""
    hidden, weight, _ = tensors
    hidden.grad = weight.grad = None
    _wait(hidden.device)
    start = time.perf_counter()
    with torch.autocast(hidden.device.type, torch.bfloat16, enabled=dtype == "bf16"):
        loss = variant(*tensors)
    if loss is not None:
        loss.backward()
    _wait(hidden.device)
    return time.perf_counter() - start


def _wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def peak_bytes(device):
    """Largest memory of this process so far: resident on the CPU, allocated by torch on CUDA."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def worker(pipe, variant, shape, dtype, args):
    """Answer every True with the seconds of one step, and False with the peak memory in bytes."""
    torch.set_num_threads(args.threads)
    if args.one_library:
        chunked_loss.fast_fp32_products = contextlib.nullcontext  # in this process only
    tensors = inputs(variant, shape, args.device)
    while pipe.recv():
        pipe.send(step(variant, tensors, dtype))
    pipe.send(peak_bytes(args.device))


def measure(variants, shape, dtype, args):
    """Seconds per variant and round, peak bytes per variant. The first round warms up and is not counted."""
    context = multiprocessing.get_context("spawn")
    workers = {}
    for variant in variants:
        pipe, other = context.Pipe()
        process = context.Process(target=worker, args=(other, variant, shape, dtype, args), daemon=True)
        process.start()
        workers[variant.__name__] = (pipe, process)
    seconds = {name: [] for name in workers}
    for turn in range(args.rounds + 1):
        for name, (pipe, _) in workers.items():
            pipe.send(True)
            taken = pipe.recv()
            if turn:
                seconds[name].append(taken)
    peaks = {}
    for name, (pipe, process) in workers.items():
        pipe.send(False)
        peaks[name] = pipe.recv()
        process.join()
    return seconds, peaks


# -- reporting ---------------------------------------------------------------------------------------------


def summarise(seconds, peaks, dense_name):
    """Per variant: median seconds, its ratios to cross-entropy and of the dense form to it, peak memory."""
    rows = []
    for name, times in seconds.items():
        to_plain = [a / b for a, b in zip(times, seconds["cross_entropy"])]
        faster = [a / b for a, b in zip(seconds[dense_name], times)]
        rows.append(
            {
                "variant": name,
                "seconds": round(statistics.median(times), 4),
                "times_cross_entropy": [round(f(to_plain), 3) for f in (statistics.median, min, max)],
                "faster_than_dense": [round(f(faster), 3) for f in (statistics.median, min, max)],
                "peak_gb": round(peaks[name] / 1e9, 3),
                "peak_of_dense": round(peaks[name] / peaks[dense_name], 3),
            }
        )
    return rows


def machine(args):
    """What kind of machine this is, without its name."""
    flags, model = set(), platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().split("\n"):
            key, _, value = line.partition(":")
            if key.strip() == "flags":
                flags = set(value.split())
            elif key.strip() == "model name":
                model = value.strip()
    shown = sorted(flags & {"avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16"})
    found = {"cpu": model, "cores": os.cpu_count(), "threads": args.threads, "flags": shown}
    found["torch"] = torch.__version__
    if args.device == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
    return found | {"fast_fp32_products": fast_fp32_available(), "fp32_gflops": product_speeds(args)}


def product_speeds(args):
    """GFLOP/s of the output layer's float32 product by PyTorch's own choice of library and, where it is used,
    by the
    other one: their ratio is what decides how these figures travel."""
    torch.set_num_threads(args.threads)
    x, weight = torch.ones(512, WIDTH), torch.ones(8192, WIDTH)

    def speed():
        taken = []
        for _ in range(12):  # the first ones warm up
            start = time.perf_counter()
            x @ weight.t()
            taken.append(time.perf_counter() - start)
        return round(2 * x.numel() * len(weight) / min(taken) / 1e9)

    found = {"default library": speed()}
    if fast_fp32_available():
        with fast_fp32_products():
            found["oneDNN"] = speed()
    return found


def libraries(result):
    """How fast the two libraries are here, and which ones were used."""
    speeds = result["machine"]["fp32_gflops"]
    words = ", ".join(f"{name} {speed} GFLOP/s" for name, speed in speeds.items())
    return words + ("; all variants on the default library" if result["one_library"] else "")


def markdown(result):
    """The table a person reads."""
    of = result["machine"]
    lines = [
        "# Hidden states to loss, forward and backward",
        "",
        f"{result['date']}, {of.get('gpu', of['cpu'])}, {of['threads']} threads on {of['cores']} cores "
        f"({', '.join(of['flags'])}), torch {of['torch']}. V = 50,257, width 768, {result['objective']}; "
        f"float32 products: {libraries(result)}. {result['rounds']} rounds, variants taking turns; median "
        f"(min to max) of the ratio within a round. "
        f"Peak: the whole process. Load average at the start: {result['load_before']}.",
    ]
    for case in result["cases"]:
        lines += [
            "",
            f"## {case['tokens']:,} tokens, {case['dtype']}",
            "",
            "| variant | seconds | x cross-entropy's time | times faster than dense | peak GB | of dense's |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        for row in case["rows"]:
            (a, b, c), (d, e, f) = row["times_cross_entropy"], row["faster_than_dense"]
            lines.append(
                f"| {row['variant'].replace('_', ' ')} | {row['seconds']:.3f} | {a:.2f} ({b:.2f} to {c:.2f}) "
                f"| {d:.2f} ({e:.2f} to {f:.2f}) | {row['peak_gb']:.2f} | {row['peak_of_dense']:.2f} |"
            )
    return "\n".join([*lines, ""])


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--objective", choices=list(SETTINGS), default="scale_grad")
    parser.add_argument("--tokens", type=int, nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--dtypes", nargs="+", choices=["fp32", "bf16"], default=["fp32", "bf16"])
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds, >= 1")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads per process")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--one-library",
        action="store_true",
        help="all variants on the library that PyTorch takes by itself: the ratios of machines where the "
        "other one is no faster",
    )
    parser.add_argument("--no-write", action="store_true", help="print only; leave the written result alone")
    args = parser.parse_args()
    result = {
        "date": datetime.date.today().isoformat(),
        "objective": SETTINGS[args.objective],
        "machine": machine(args),
        "one_library": args.one_library,
        "rounds": args.rounds,
        "load_before": round(os.getloadavg()[0], 1),  # above 0.5 the figures say little
        "cases": [],
    }
    for dtype in args.dtypes:
        for tokens in args.tokens:
            variants = variants_of(args.objective, dtype, args.one_library)
            seconds, peaks = measure(variants, SHAPES[tokens], dtype, args)
            rows = summarise(seconds, peaks, VARIANTS[args.objective, dtype][0].__name__)
            result["cases"].append({"tokens": tokens, "dtype": dtype, "rows": rows})
            print(f"float32 products: {libraries(result)}")
            print(markdown(result | {"cases": result["cases"][-1:]}).split("\n\n", 2)[2], flush=True)
    if not args.no_write:
        here = Path(__file__).resolve().parent
        name = "loss" if args.objective == "scale_grad" else f"loss_{args.objective}"
        name += "_one_library" if args.one_library else ""
        for ending, text in (("json", json.dumps(result, indent=1) + "\n"), ("md", markdown(result))):
            with atomic_write(here / f"{name}.{ending}") as stream:
                stream.write(text)


if __name__ == "__main__":
    main()
