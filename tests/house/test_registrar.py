"""``--user-dir`` from anywhere, as a package, twice, in workers: each adapter registers exactly once."""

import json
import os
import subprocess
import sys

import pytest

EXPECTED = {
    "task": ["conditional_augmentation", "open_ended_generation", "table_rows"],
    "arch": ["distilgpt2", "gpt2", "gpt2_large", "gpt2_medium", "gpt2_mini", "gpt2_tiny", "gpt2_xl"],
    "criterion": ["contrastive_token", "ditto", "scale_grad", "unlikelihood"],
    "optimizer": ["fused_adamw"],
    "lr_scheduler": ["timed_cosine"],
    "bpe": ["exact"],
}

# Prints what of ours is registered after the given imports; a name registered twice raises inside fairseq.
PROBE = """
import json, sys
from argparse import Namespace

def registered():
    from fairseq.models import ARCH_MODEL_REGISTRY
    from fairseq.registry import REGISTRIES
    from fairseq.tasks import TASK_REGISTRY
    tables = {"task": TASK_REGISTRY, "arch": ARCH_MODEL_REGISTRY}
    kinds = ("criterion", "optimizer", "lr_scheduler", "bpe")
    tables |= {name: REGISTRIES[name]["registry"] for name in kinds}
    ours = lambda cls: getattr(cls, "__module__", "").startswith("fairseq_plugin.")
    return {kind: sorted(name for name, cls in table.items() if ours(cls)) for kind, table in tables.items()}

def load(ways):
    from fairseq import utils
    for way in ways:
        if way == "package":
            import fairseq_plugin
        else:
            utils.import_user_module(Namespace(user_dir=way))
    return registered()

def child(rank, ways, path):
    with open(path, "w") as stream:
        json.dump(load(ways), stream)

if __name__ == "__main__":
    if sys.argv[1] == "spawn":
        import torch
        load(sys.argv[3:])
        torch.multiprocessing.spawn(child, args=(sys.argv[3:], sys.argv[2]), nprocs=1)
        print(open(sys.argv[2]).read())
    else:
        print(json.dumps(load(sys.argv[1:])))
"""


@pytest.fixture
def probe(tmp_path):
    """``probe(ways, cwd)``: what is registered after importing in these ways, in a fresh process."""
    script = tmp_path / "probe.py"
    script.write_text(PROBE)

    def run_probe(*words, cwd, pythonpath=None):
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        if pythonpath is not None:
            environment["PYTHONPATH"] = str(pythonpath)
        done = subprocess.run(
            [sys.executable, script, *words], capture_output=True, text=True, cwd=cwd, env=environment
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run_probe


@pytest.mark.parametrize(
    ("cwd", "user_dirs"),
    [
        ("/", ["{root}/fairseq_plugin"]),
        (".", ["fairseq_plugin", "{root}/fairseq_plugin", "./scripts/../fairseq_plugin"]),
        pytest.param("scripts", ["../fairseq_plugin/"], marks=pytest.mark.slow),
        pytest.param("/", ["{root}/fairseq_plugin", "{root}/fairseq_plugin"], marks=pytest.mark.slow),
    ],
)
def test_user_dir_registers_every_adapter_once(probe, repo_root, cwd, user_dirs):
    ways = [user_dir.format(root=repo_root) for user_dir in user_dirs]
    assert probe(*ways, cwd=repo_root / cwd) == EXPECTED


@pytest.mark.parametrize(
    "ways",
    [
        ["package", "{dir}", "package"],
        pytest.param(["package"], marks=pytest.mark.slow),
        pytest.param(["{dir}", "package"], marks=pytest.mark.slow),
    ],
)
def test_the_installed_package_and_user_dir_go_together(probe, repo_root, ways):
    """PYTHONPATH stands for an editable install: the package can be imported by name."""
    ways = [way.format(dir=repo_root / "fairseq_plugin") for way in ways]
    assert probe(*ways, cwd="/", pythonpath=repo_root) == EXPECTED


@pytest.mark.slow
def test_a_link_to_the_folder_works(probe, repo_root, tmp_path):
    (tmp_path / "link").symlink_to(repo_root)
    assert probe(tmp_path / "link" / "fairseq_plugin", cwd="/") == EXPECTED


@pytest.mark.slow
def test_spawned_workers_register_too(probe, repo_root, tmp_path):
    """As fairseq starts its own worker processes: a new interpreter that imports the user dir again."""
    assert probe("spawn", tmp_path / "seen.json", repo_root / "fairseq_plugin", cwd="/") == EXPECTED


LAZY = """
import sys
sys.path.insert(0, sys.argv[1])
import fairseq_plugin
print([name for name in ("torch", "fairseq", "numpy") if name in sys.modules])
from fairseq_plugin import Augmenter, Table, TextGenerator
print([name for name in sys.modules if name.split(".")[0] in ("fairseq", "hydra")])
"""


def test_the_names_for_notebooks_come_without_fairseq(repo_root):
    """Which takes seconds, for nothing that they need; the package alone takes no library at all."""
    done = subprocess.run([sys.executable, "-c", LAZY, repo_root], capture_output=True, text=True, cwd="/")
    assert (done.returncode, done.stdout) == (0, "[]\n[]\n"), done.stderr


FIRST = """
import sys
sys.path.insert(0, sys.argv[1])
import importlib
importlib.import_module(sys.argv[2])
import fairseq
from fairseq.tasks import TASK_REGISTRY
from fairseq.models import ARCH_MODEL_REGISTRY
print("table_rows" in TASK_REGISTRY, "gpt2_tiny" in ARCH_MODEL_REGISTRY, type(fairseq.__loader__).__name__)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [
        "fairseq_plugin.bpe.exact",
        "fairseq_plugin.criterions.scale_grad",
        "fairseq_plugin.datasets.text_blocks",
        "fairseq_plugin.models.gpt2",
        "fairseq_plugin.optim.timed_cosine",
        "fairseq_plugin.tasks.table_rows",
        "fairseq_plugin.core.gpt2",
    ],
)
def test_whatever_is_imported_first_everything_is_registered_with_fairseq(repo_root, module):
    done = subprocess.run(
        [sys.executable, "-c", FIRST, repo_root, module], capture_output=True, text=True, cwd="/"
    )
    assert (done.returncode, done.stdout) == (0, "True True SourceFileLoader\n"), done.stderr


WATCH = """
import sys
sys.path.insert(0, sys.argv[1])
import fairseq.tasks, fairseq.models, numpy, torch, regex, tokenizers, sentencepiece, safetensors.torch
events = []
def watch(event, args):
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        events.append((event, str(args[0])))
    if event.startswith(("socket.connect", "subprocess", "os.system", "os.mkdir", "os.remove", "os.rename")):
        events.append((event, str(args)))
sys.addaudithook(watch)
import fairseq_plugin
print(events, [name for name in sys.modules if name.startswith("fairseq_plugin.augment.notebook.augmenter")])
"""


def test_importing_the_package_registers_and_does_nothing_else(repo_root, tmp_path):
    """No file written, no connection, no process: seen by Python's own audit events. Nor is the face for
    notebooks read before somebody asks for it.
    """
    done = subprocess.run(
        [sys.executable, "-B", "-c", WATCH, repo_root], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[] []"


def test_importing_the_package_leaves_the_log_settings_of_a_notebook_alone(repo_root):
    """fairseq.models turns every library's debugging lines on; that must not come with us."""
    code = "import logging, fairseq_plugin; root = logging.getLogger(); print(root.level, root.handlers)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=repo_root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "30 []"
