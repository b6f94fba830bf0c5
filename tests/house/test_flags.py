"""The flags that the plugin adds to fairseq's commands are frozen, and docs/flags.md tells about each.

After a change that is meant: ``python -m tests.house.test_flags --update`` and a line in CHANGELOG.md.
"""

import argparse
import dataclasses
import re
import sys
from pathlib import Path

SNAPSHOT = Path(__file__).with_name("flags.txt")
ROOT = SNAPSHOT.parents[2]


def our_dataclasses():
    """{(kind, name): dataclass} of everything that the plugin registers."""
    from fairseq.models import MODEL_DATACLASS_REGISTRY
    from fairseq.registry import REGISTRIES
    from fairseq.tasks import TASK_DATACLASS_REGISTRY

    import fairseq_plugin  # noqa: F401  (registers)

    tables = {"model": MODEL_DATACLASS_REGISTRY, "task": TASK_DATACLASS_REGISTRY}
    tables |= {kind: registry["dataclass_registry"] for kind, registry in REGISTRIES.items()}
    return {
        (kind, name): dataclass
        for kind, table in tables.items()
        for name, dataclass in table.items()
        if dataclass is not None and dataclass.__module__.startswith("fairseq_plugin.")
    }


def our_actions():
    """Yield (kind, name, argparse action) of every flag, as fairseq's own parser builds it."""
    from fairseq.dataclass.utils import gen_parser_from_dataclass

    for (kind, name), dataclass in sorted(our_dataclasses().items()):
        parser = argparse.ArgumentParser(add_help=False)
        gen_parser_from_dataclass(parser, dataclass())
        for action in parser._actions:
            yield kind, name, action


def lines():
    """The snapshot's lines: where, flag, type or choices, default."""
    from fairseq.models import ARCH_MODEL_REGISTRY

    found = []
    for kind, name, action in our_actions():
        flag = " ".join(action.option_strings) or action.dest
        if action.choices:
            values = "|".join(map(str, action.choices))
        elif action.nargs == 0:
            values = "switch"
        else:
            values = getattr(action.type, "__name__", str(action.type))
        found.append(f"{kind} {name}: {flag} {values} = {action.default}")
    for arch, model in ARCH_MODEL_REGISTRY.items():
        if model.__module__.startswith("fairseq_plugin."):
            found.append(f"arch {arch}")
    return sorted(found)


def flags():
    """Every ``--flag`` of ours."""
    return sorted({flag for _, _, action in our_actions() for flag in action.option_strings})


def test_flags_are_frozen():
    hint = "meant? then: python -m tests.house.test_flags --update, and a line in CHANGELOG.md"
    assert lines() == SNAPSHOT.read_text("utf-8").split("\n")[:-1], hint


def test_every_flag_has_help():
    bare = [
        f"{kind} {name}: {action.dest}"
        for kind, name, action in our_actions()
        if not (action.help or "").strip()
    ]
    assert bare == []


def test_the_page_of_flags_tells_about_every_flag():
    page = (ROOT / "docs" / "flags.md").read_text("utf-8")
    assert [flag for flag in flags() if f"`{flag}" not in page] == []


# Of programs that are neither fairseq's nor ours.
OTHERS = {
    "torchrun": "--nproc-per-node --nnodes --node-rank --master-addr --master-port",
    "srun": "--nodes --ntasks-per-node",
    "sbatch": "--array --cpus-per-task",
    "hydra": "--config-dir --config-name",
    "ruff": "--fix",
}


def fairseq_flags():
    """Every flag of the stock commands and of all that is registered."""
    from fairseq import options
    from fairseq.dataclass import configs

    parts = [part for part in vars(configs).values() if dataclasses.is_dataclass(part)]
    parts += _registered_dataclasses()
    names = {f"--{field.name.replace('_', '-')}" for part in parts for field in dataclasses.fields(part)}
    return names | set(re.findall(r"--[a-z][\w-]+", Path(options.__file__).read_text("utf-8")))


def _registered_dataclasses():
    from fairseq.models import MODEL_DATACLASS_REGISTRY
    from fairseq.registry import REGISTRIES
    from fairseq.tasks import TASK_DATACLASS_REGISTRY

    tables = [MODEL_DATACLASS_REGISTRY, TASK_DATACLASS_REGISTRY]
    tables += [registry["dataclass_registry"] for registry in REGISTRIES.values()]
    return [part for table in tables for part in table.values() if part is not None]


def test_flags_that_documents_name_exist():
    scripts = [path for folder in ("scripts", "benchmarks") for path in (ROOT / folder).glob("*.*")]
    package = (ROOT / "fairseq_plugin").rglob("*.py")
    scripts += [path for path in package if "argparse" in path.read_text("utf-8")]  # flags of several scripts
    code = "".join(path.read_text("utf-8") for path in scripts if path.suffix in (".py", ".sh"))
    known = {*flags(), *fairseq_flags(), *re.findall(r"--[a-z][\w-]+", code)}
    known |= {flag for words in OTHERS.values() for flag in words.split()}
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("data-bin/*.md")]
    assert len(pages) >= 10
    unknown = {
        (page.name, flag)
        for page in pages
        for flag in re.findall(r"(?<![\w-])--[a-z][\w-]+", page.read_text("utf-8"))
        if flag not in known
    }
    assert unknown == set()


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        SNAPSHOT.write_text("".join(f"{line}\n" for line in lines()), "utf-8")
    print("\n".join(lines()))
