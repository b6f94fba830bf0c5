"""The pins are exact, complete for ``--no-deps``, and name everything that our code imports."""

import ast
import importlib.metadata
import re
import sys

import pytest
from packaging.requirements import Requirement

from scripts.environment import PIN_FILES, normal, read_pins

LEFT_OUT = {"torchaudio"}  # fairseq asks for it, language modelling never imports it
# Extras; each missing one is told in a line.
OPTIONAL = {"ctranslate2", "nltk", "pandas", "pyarrow", "ray", "vllm"}
FIRST_PARTY = {"fairseq_plugin", "scripts", "tests", "benchmarks"}
BUILD, FAIRSEQ, RUNTIME, TEST = PIN_FILES


def imported(root, *folders):
    """{distribution name: [files]} of everything outside the standard library that these folders import."""
    found, distributions = {}, importlib.metadata.packages_distributions()  # sklearn -> scikit-learn
    not_pinned = sys.stdlib_module_names | FIRST_PARTY | OPTIONAL
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module]
                else:
                    continue
                for name in {name.partition(".")[0] for name in names} - not_pinned:
                    found.setdefault(normal(distributions.get(name, [name])[0]), []).append(
                        str(path.relative_to(root))
                    )
    return found


def test_no_package_is_pinned_twice():
    names = [name for path in PIN_FILES for name in read_pins([path])]
    assert sorted(names) == sorted(set(names))


def test_pins_are_complete_for_no_deps():
    """Every requirement of every pinned package is pinned too, at a version that it accepts."""
    pins, found = read_pins(), []
    for name in pins:
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            pytest.fail(f"{name} is pinned and not installed: run scripts/setup_env.sh")
        for text in requires:
            requirement = Requirement(text)
            needed = normal(requirement.name)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            if needed in LEFT_OUT or (name == "torch" and re.match("nvidia|cuda|triton", needed)):
                continue  # torch's CUDA build names these exactly itself
            if needed not in pins:
                found.append(f"{name} needs {text}: not pinned")
            elif not requirement.specifier.contains(pins[needed], prereleases=True):
                found.append(f"{name} needs {text}: pinned is {pins[needed]}")
    assert found == []


def test_torchaudio_is_nowhere():
    assert not LEFT_OUT & read_pins().keys()


def test_what_the_plugin_imports_is_in_the_run_time_pins(repo_root):
    pins = read_pins([BUILD, FAIRSEQ, RUNTIME])
    missing = {
        name: files
        for name, files in imported(repo_root, "fairseq_plugin", "scripts").items()
        if name not in pins
    }
    assert missing == {}


def test_what_tests_and_benchmarks_import_is_pinned(repo_root):
    pins = read_pins()
    missing = {
        name: files for name, files in imported(repo_root, "tests", "benchmarks").items() if name not in pins
    }
    assert missing == {}


def test_what_is_not_pinned_is_an_extra(repo_root):
    setup = (repo_root / "setup.py").read_text("utf-8")
    assert [name for name in OPTIONAL if not re.search(rf'\["{name}(\[\w+\])?>=', setup)] == []


def test_an_inexact_pin_is_refused_with_its_line(tmp_path):
    path = tmp_path / "runtime.txt"
    path.write_text("# ok\ntorch==2.13.0\nnumpy>=2\n")
    with pytest.raises(ValueError, match=r"runtime\.txt:3: 'numpy>=2'"):
        read_pins([path])
