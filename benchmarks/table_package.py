"""Rows by another package, in the environment that has it. ``tables.py`` calls this; we import none of them.

    PYTHON benchmarks/table_package.py PACKAGE TRAIN.csv NEW.csv ROWS EPOCHS SEED BPE

PACKAGE is be_great, ctgan, tvae or realtabformer. Prints the seconds of training and of sampling as JSON.
Each runs with its own defaults but for what stands here: be_great with a GPT-2 of our depth and width from
random weights (BPE: a folder with GPT-2's ``encoder.json`` and ``vocab.bpe``), the others as they are.
"""

import importlib
import json
import sys
import time

import pandas as pd


def be_great(frame, rows, epochs, seed, folder, bpe):
    """A GPT-2 of 3 layers x 128 from scratch, with the package's own loop."""
    transformers = importlib.import_module("transformers")
    tokenizer = transformers.GPT2TokenizerFast(bpe + "/encoder.json", bpe + "/vocab.bpe")
    config = transformers.GPT2Config(n_layer=3, n_embd=128, n_head=4)
    transformers.set_seed(seed)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model = importlib.import_module("be_great").GReaT(folder, epochs=epochs, batch_size=64, report_to=[])
    return model.fit(frame), lambda: model.sample(rows, device="cpu", max_length=200)


def ctgan(frame, rows, epochs, seed, folder, bpe, kind="CTGAN"):
    package = importlib.import_module("ctgan")
    importlib.import_module("torch").manual_seed(seed)
    model = getattr(package, kind)(epochs=epochs)
    discrete = [name for name in frame if frame[name].dtype == object]
    return model.fit(frame, discrete), lambda: model.sample(rows)


def tvae(frame, rows, epochs, seed, folder, bpe):
    return ctgan(frame, rows, epochs, seed, folder, bpe, "TVAE")


def realtabformer(frame, rows, epochs, seed, folder, bpe):
    package = importlib.import_module("realtabformer")
    model = package.REaLTabFormer(
        "tabular", epochs=epochs, random_state=seed, checkpoints_dir=folder, samples_save_dir=folder
    )
    return model.fit(frame), lambda: model.sample(n_samples=rows)


PACKAGES = {"be_great": be_great, "ctgan": ctgan, "tvae": tvae, "realtabformer": realtabformer}


def main():
    name, train, new, rows, epochs, seed, bpe = sys.argv[1:]
    frame = pd.read_csv(train)
    began = time.monotonic()
    _, sample = PACKAGES[name](frame, int(rows), int(epochs), int(seed), new + ".folder", bpe)
    trained = time.monotonic()
    sample()[list(frame.columns)].to_csv(new, index=False)
    print(json.dumps({"train": trained - began, "sample": time.monotonic() - trained}))


if __name__ == "__main__":
    main()
