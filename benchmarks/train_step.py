"""One training step of GPT-2 124M: ours with ScaleGrad, transformers' model with cross-entropy and with dense
ScaleGrad.

A step is forward, backward and AdamW (torch's fused one for all) on 4 texts of 300 tokens, dropout 0.1. Every
variant lives in a process of its own, so that its peak memory is its own; the processes take turns, one step
each, so that a machine that gets slower or faster meets all of them alike. A ratio is taken within a turn.

    python benchmarks/train_step.py                     # 10 minutes on 2 quiet cores; writes train_step.json
    python benchmarks/train_step.py --dtypes bf16 --rounds 2 --no-write
"""

import argparse
import contextlib
import datetime
import json
import multiprocessing
import os
import resource
import statistics
import sys
import time
import zlib
from pathlib import Path

import torch
import torch.nn.functional as F

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.dense_form import dense_scale_grad  # noqa: E402
from benchmarks.machine import machine_class  # noqa: E402
from fairseq_plugin.core import attention, chunked_loss, linear  # noqa: E402
from fairseq_plugin.core.gpt2 import GPT2, GPT2Config  # noqa: E402
from fairseq_plugin.core.scale_grad_rule import ScaleGradRule  # noqa: E402
from fairseq_plugin.files import atomic_write  # noqa: E402

VOCABULARY, BATCH, TIME, GAMMA, NO_TOKEN = 50257, 4, 300, 0.5, -100
DATA = ROOT.parent / "shared" / "data"


# -- variants: (sizes, dtype) -> (model, function from tokens to the loss summed over targets) --------------


def ours(sizes, dtype):
    model = GPT2(GPT2Config(vocab_size=VOCABULARY, **sizes), torch.bfloat16 if dtype == "bf16" else None)

    def loss(source_BT, target_BT):
        layer = chunked_loss.OutputLayer(model.wte.weight, VOCABULARY, product_dtype=model.compute_dtype)
        rule = ScaleGradRule(GAMMA)
        return chunked_loss.loss_from_hidden(
            model(source_BT), layer, target_BT, rule=rule, ignore_index=NO_TOKEN
        )[0].loss

    return model, loss


def ours_default_products(sizes, dtype):
    """Ours on the library that PyTorch takes by itself: what everything else is worth."""
    for module in (attention, linear, chunked_loss):  # in this variant's process only
        module.fast_fp32_products = contextlib.nullcontext
    return ours(sizes, dtype)


def transformers_cross_entropy(sizes, dtype):
    return _transformers(
        sizes,
        dtype,
        lambda logits_NV, target_BT: F.cross_entropy(logits_NV, target_BT.flatten(), reduction="sum"),
    )


def transformers_dense(sizes, dtype):
    def loss(logits_NV, target_BT):
        return dense_scale_grad(logits_NV.view(*target_BT.shape, -1), target_BT, GAMMA)

    return _transformers(sizes, dtype, loss)


def _transformers(sizes, dtype, loss_of):
    import transformers

    names = {"n_layer", "n_head", "n_embd", "n_positions"}
    config = transformers.GPT2Config(vocab_size=VOCABULARY, **{k: v for k, v in sizes.items() if k in names})
    model = transformers.GPT2LMHeadModel(config)  # dropout 0.1 and scaled_dot_product_attention by default

    def loss(source_BT, target_BT):
        with torch.autocast(source_BT.device.type, torch.bfloat16, enabled=dtype == "bf16"):
            return loss_of(model(source_BT, use_cache=False).logits.flatten(0, 1), target_BT)

    return model, loss


# Two groups, because five processes of one run would not fit into 24 GB.
GROUPS = {
    "fp32": [
        (transformers_cross_entropy, transformers_dense, ours),
        (transformers_cross_entropy, ours_default_products),
    ],
    "bf16": [(transformers_cross_entropy, transformers_dense, ours)],
}


# -- measuring ---------------------------------------------------------------------------------------------


def real_tokens():
    """``(tokens, what they are)``: English text in GPT-2's tokens, or, without data, this project's own "
    "words."""
    if (DATA / "wikitext-2").is_dir() and (DATA / "gpt2-bpe").is_dir():
        from fairseq_plugin.text.codec import gpt2_codec

        codec = gpt2_codec(DATA / "gpt2-bpe" / "encoder.json", DATA / "gpt2-bpe" / "vocab.bpe")
        return codec.encode((DATA / "wikitext-2" / "valid.txt").read_text("utf-8")[:200_000]), "WikiText-2"
    words = " ".join(
        path.read_text("utf-8") for path in sorted((ROOT / "fairseq_plugin").rglob("*.py"))
    ).split()
    return [zlib.crc32(word.encode()) % VOCABULARY for word in words], "the words of this project's source"


def worker(pipe, variant, dtype, tokens, args):
    """Answer every True with the seconds of one step, and False with the peak memory in bytes."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    sizes = {"n_layer": args.layers, "n_head": 12, "n_embd": 768, "n_positions": 1024}
    model, loss_of = variant(sizes, dtype)
    model.to(args.device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01, fused=True)
    steps = torch.tensor(tokens, device=args.device).split(BATCH * (TIME + 1))
    turn = 0
    while pipe.recv():
        text_BT = steps[turn % (len(steps) - 1)].view(BATCH, TIME + 1)
        turn += 1
        start = time.perf_counter()
        loss = loss_of(text_BT[:, :-1], text_BT[:, 1:])
        (loss / (BATCH * TIME)).backward()
        optimizer.step()
        optimizer.zero_grad()
        if args.device == "cuda":
            torch.cuda.synchronize()
        pipe.send(time.perf_counter() - start)
    cuda = args.device == "cuda"
    pipe.send(
        torch.cuda.max_memory_allocated()
        if cuda
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )


def measure(variants, dtype, tokens, args):
    """Seconds per variant and round, peak bytes per variant. The first round warms up and is not counted."""
    context, workers = multiprocessing.get_context("spawn"), {}
    for variant in variants:
        pipe, other = context.Pipe()
        process = context.Process(target=worker, args=(other, variant, dtype, tokens, args), daemon=True)
        process.start()
        workers[variant.__name__] = (pipe, process)
    seconds, peaks = {name: [] for name in workers}, {}
    for turn in range(args.rounds + 1):
        for name, (pipe, _) in workers.items():
            pipe.send(True)
            taken = pipe.recv()
            if turn:
                seconds[name].append(taken)
    for name, (pipe, process) in workers.items():
        pipe.send(False)
        peaks[name] = pipe.recv()
        process.join()
    return seconds, peaks


def summarise(seconds, peaks, dtype):
    """Per variant: tokens/s (median), how many times faster than each peer (median, min, max), peak GB."""
    rows = []
    for name, times in seconds.items():
        faster = {
            peer: [
                round(f([a / b for a, b in zip(seconds[peer], times, strict=True)]), 3)
                for f in (statistics.median, min, max)
            ]
            for peer in seconds
            if peer != name and peer.startswith("transformers") and name.startswith("ours")
        }
        rate = BATCH * TIME / statistics.median(times)
        peak = round(peaks[name] / 1e9, 2)
        rows.append(
            {
                "variant": name,
                "dtype": dtype,
                "tokens_per_s": round(rate, 1),
                "faster_than": faster,
                "peak_gb": peak,
            }
        )
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dtypes", nargs="+", choices=["fp32", "bf16"], default=["fp32", "bf16"])
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds, >= 1")
    parser.add_argument("--layers", type=int, default=12, help="blocks; 12 is GPT-2 124M")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads per process")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--no-write", action="store_true", help="print only; leave the written result alone")
    args = parser.parse_args()
    tokens, text = real_tokens()
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": machine_class(args.threads, args.device),
        "batch": [BATCH, TIME],
        "layers": args.layers,
        "text": text,
        "rounds": args.rounds,
        "load_before": round(os.getloadavg()[0], 1),  # above 0.5 the figures say little
        "runs": [],
    }
    for dtype in args.dtypes:
        for variants in GROUPS[dtype]:
            rows = summarise(*measure(variants, dtype, tokens, args), dtype)
            result["runs"].append(rows)
            for row in rows:
                ratios = ", ".join(
                    f"{r[0]:.2f} x {peer} ({r[1]:.2f} to {r[2]:.2f})"
                    for peer, r in row["faster_than"].items()
                )
                print(
                    f"{dtype} {row['variant']}: {row['tokens_per_s']} tokens/s, peak {row['peak_gb']} GB "
                    f"{ratios}",
                    flush=True,
                )
    if not args.no_write:
        with atomic_write(Path(__file__).with_suffix(".json")) as stream:
            stream.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
