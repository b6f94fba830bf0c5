"""A file fits in a head, a function on a screen, and nothing private stands in the repository."""

import ast
import re
import subprocess

import pytest

MAX_FILE, MAX_FUNCTION = 350, 70  # lines
FOLDERS = ("fairseq_plugin", "scripts", "tests", "benchmarks")

# In pieces, so that this file does not find itself.
PRIVATE = {
    "a machine's folder": r"(?<![\w.~$}])/(" + "work|root|Users/" + r"\w+|home/\w+)/",
    "a registry's address": r"https?://[^\s)>\"']*("
    + "|".join(("pypi", "pythonhosted", r"pytorch\.org/whl", "/simple"))
    + ")",
    "how it was made": r"(?i)\b(co-authored"
    + r"-by|(generated|written) (by|with) an? (ai|llm|assistant|language model)\b)",
    "a folder of notes": "shared/" + "notes",
}


def python_files(root):
    return [path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))]


def tracked_files(root):
    """Every file that git holds or would add; skips outside a checkout."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root, capture_output=True, text=True,
    )  # fmt: skip
    if listing.returncode:
        pytest.skip("not a git checkout: there is no list of the repository's own files")
    return [root / name for name in listing.stdout.split("\0") if name and (root / name).is_file()]


def private_words(text):
    """Yield (line number, what, the words) for everything that belongs in no repository."""
    for number, line in enumerate(text.split("\n"), start=1):
        for what, pattern in PRIVATE.items():
            if match := re.search(pattern, line):
                yield number, what, match[0]


def test_a_file_fits_in_a_head(repo_root):
    lengths = {
        path.relative_to(repo_root): path.read_text("utf-8").count("\n") for path in python_files(repo_root)
    }
    assert {str(path): lines for path, lines in lengths.items() if lines > MAX_FILE} == {}


def test_a_function_fits_on_a_screen(repo_root):
    found = []
    for path in python_files(repo_root):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = node.end_lineno - node.lineno + 1
                if lines > MAX_FUNCTION:
                    found.append(f"{path.relative_to(repo_root)}: {node.name} has {lines} lines")
    assert found == []


def test_nothing_private_stands_in_the_repository(repo_root):
    found = []
    for path in tracked_files(repo_root):
        try:
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        for number, what, words in private_words(text):
            found.append(f"{path.relative_to(repo_root)}:{number}: {what}: {words}")
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "cd /" + "work/main",
        'open("/' + 'root/x.txt")',
        "see /home/" + "ada/notes",
        "pip install -i https://download.pytorch" + ".org/whl/cpu",
        "https://py" + "pi.org/project/torch",
        "Co-Authored" + "-By: someone",
        "see shared/" + "notes/style.md",
    ],
)
def test_the_scan_sees(line):
    assert list(private_words(line))


@pytest.mark.parametrize(
    "line", ["data-bin/root/x", "$ROOT/work/x", "https://pytorch.org", "/path/to/python3.11", "shared/data"]
)
def test_the_scan_lets_pass(line):
    assert not list(private_words(line))
