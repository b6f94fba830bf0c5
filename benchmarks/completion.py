"""The completion protocol: prefixes of 50 tokens of WikiText-2's test text, each continued by 100 tokens,
greedily, by GPT-2 124M (random weights): ours against transformers' generate.

Each of the two first looks for its own best number of texts at once, then they take turns, one batch each, so
that a machine that gets slower or faster meets both alike. A ratio of tokens per second is taken within a
turn. Each lives in a process of its own, so that its peak memory is its own.

    python benchmarks/completion.py                  # half an hour on 2 quiet cores; writes completion.json
    python benchmarks/completion.py --dtypes bf16 --rounds 1 --batches 32 --new 20 --no-write
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
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_class  # noqa: E402
from fairseq_plugin.core.gpt2 import GPT2, GPT2Config  # noqa: E402
from fairseq_plugin.files import atomic_write  # noqa: E402
from fairseq_plugin.sampling.decode import decode  # noqa: E402
from fairseq_plugin.sampling.draw import GREEDY  # noqa: E402
from fairseq_plugin.sampling.request import DecodingRequest  # noqa: E402

VOCABULARY, END, PREFIX = 50257, 50256, 50


def ours(args, dtype):
    """A function from prefixes to their continuations."""
    model = GPT2(
        GPT2Config(vocab_size=VOCABULARY, n_layer=args.layers), torch.bfloat16 if dtype == "bf16" else None
    ).eval()

    def complete(prefixes, num_new):
        request = DecodingRequest(GREEDY, end=END, max_new=num_new, min_new=num_new)
        found = decode(model, prefixes, range(len(prefixes)), request)
        return [one.tokens.tolist() for (one,) in found]

    return complete


def transformers_generate(args, dtype):
    """The same by transformers, all of the model in ``dtype``."""
    import transformers

    config = transformers.GPT2Config(vocab_size=VOCABULARY, n_layer=args.layers)
    model = transformers.GPT2LMHeadModel(config).eval()
    model = model.bfloat16() if dtype == "bf16" else model

    def complete(prefixes, num_new):
        tokens = torch.tensor(prefixes)
        texts = model.generate(
            tokens, attention_mask=torch.ones_like(tokens), do_sample=False, max_new_tokens=num_new,
            min_new_tokens=num_new, pad_token_id=END,
        )  # fmt: skip
        return texts[:, tokens.shape[1] :].tolist()

    return complete


SYSTEMS = (transformers_generate, ours)


def prefixes_of(data):
    """``(consecutive prefixes of 50 tokens, what they are)``."""
    folder = Path(data) if data else None
    if folder and (folder / "wikitext-2").is_dir() and (folder / "gpt2-bpe").is_dir():
        from fairseq_plugin.text.codec import gpt2_codec

        codec = gpt2_codec(folder / "gpt2-bpe" / "encoder.json", folder / "gpt2-bpe" / "vocab.bpe")
        tokens = codec.encode((folder / "wikitext-2" / "test.txt").read_text("utf-8"))
        text = "WikiText-2 test"
    else:
        tokens = torch.randint(END, (5000 * PREFIX,), generator=torch.Generator().manual_seed(0)).tolist()
        text = "random ids"
    return [tokens[i : i + PREFIX] for i in range(0, len(tokens) - PREFIX + 1, PREFIX)], text


def worker(pipe, system, dtype, args):
    """Answer ``(prefixes, number of new tokens)`` with seconds, ``None`` with the peak memory in bytes."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    complete = system(args, dtype)
    complete([[1] * PREFIX] * 8, 2)
    pipe.send("ready")
    while (request := pipe.recv()) is not None:
        prefixes, num_new = request
        start = time.perf_counter()
        found = complete(prefixes, num_new)
        seconds = time.perf_counter() - start
        assert [len(text) for text in found] == [num_new] * len(prefixes)
        pipe.send(seconds)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def ask(pipe, request):
    pipe.send(request)
    return pipe.recv()


def best_batch(pipe, prefixes, args):
    """``(best number of texts at once, {number: tokens/s})``, on the whole protocol with the same texts."""
    rates = {}
    for size in args.batches:
        parts = [prefixes[i : i + size] for i in range(0, max(args.batches), size)]
        seconds = sum(ask(pipe, (part, args.new)) for part in parts)
        rates[size] = round(max(args.batches) * args.new / seconds, 1)
    return max(rates, key=rates.get), rates


def measure(dtype, prefixes, args):
    """One dtype's rows of the result."""
    context, pipes, processes = multiprocessing.get_context("spawn"), {}, []
    for system in SYSTEMS:
        pipe, other = context.Pipe()
        processes.append(context.Process(target=worker, args=(other, system, dtype, args), daemon=True))
        processes[-1].start()
        assert pipe.recv() == "ready"
        pipes[system.__name__] = pipe
    searched = {name: best_batch(pipe, prefixes, args) for name, pipe in pipes.items()}
    rates = {name: [] for name in pipes}
    place = 0
    for _ in range(args.rounds):
        for name, pipe in pipes.items():
            size = searched[name][0]
            part = [prefixes[(place + i) % len(prefixes)] for i in range(size)]
            rates[name].append(size * args.new / ask(pipe, (part, args.new)))
        place += max(args.batches)
    peaks = {name: ask(pipe, None) for name, pipe in pipes.items()}
    for process in processes:
        process.join()
    return [
        {
            "system": name,
            "dtype": dtype,
            "batch": searched[name][0],
            "tokens_per_s_by_batch": searched[name][1],
            "tokens_per_s": round(statistics.median(rates[name]), 1),
            "peak_gb": round(peaks[name] / 1e9, 2),
        }
        for name in pipes
    ], [a / b for a, b in zip(rates["ours"], rates["transformers_generate"], strict=True)]


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dtypes", nargs="+", choices=["fp32", "bf16"], default=["fp32", "bf16"])
    parser.add_argument("--data", help="folder with wikitext-2/ and gpt2-bpe/; random ids without it")
    parser.add_argument(
        "--batches", nargs="+", type=int, default=[16, 32, 64, 128], help="texts at once to try"
    )
    parser.add_argument("--rounds", type=int, default=5, help="counted turns, >= 1")
    parser.add_argument("--new", type=int, default=100, help="new tokens of a text, >= 1")
    parser.add_argument("--layers", type=int, default=12, help="blocks; 12 is GPT-2 124M")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads per process")
    parser.add_argument("--no-write", action="store_true", help="print only; leave the written result alone")
    return parser.parse_args()


def main():
    args = parse()
    prefixes, text = prefixes_of(args.data)
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": machine_class(args.threads),
        "prefix": PREFIX,
        "new": args.new,
        "layers": args.layers,
        "text": text,
        "rounds": args.rounds,
        "load_before": round(os.getloadavg()[0], 1),  # above 0.5 the figures say little
        "runs": [],
    }
    for dtype in args.dtypes:
        rows, ratios = measure(dtype, prefixes, args)
        found = {
            "dtype": dtype,
            "faster": [round(f(ratios), 3) for f in (statistics.median, min, max)],
            "systems": rows,
        }
        result["runs"].append(found)
        for row in rows:
            print(
                f"{dtype} {row['system']}: {row['tokens_per_s']} tokens/s with {row['batch']} texts at once "
                f"(tried: {row['tokens_per_s_by_batch']}), peak {row['peak_gb']} GB"
            )
        print(
            "{} ours is {:.2f} times as fast ({:.2f} to {:.2f})".format(dtype, *found["faster"]), flush=True
        )
    if not args.no_write:
        with atomic_write(Path(__file__).with_suffix(".json")) as stream:
            stream.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
