"""Nothing in our code turns data into code. The scan is a test, and is itself tested."""

import ast

import pytest

BANNED_MODULES = {"cloudpickle", "dill", "marshal", "pickle", "shelve"}
BANNED_NAMES = {
    "eval",
    "exec",
    "compile",
    "__import__",
}  # as plain calls: model.eval() and re.compile() are others
BANNED_CALLS = {
    "joblib.load",
    "numpy.fromregex",
    "os.popen",
    "os.system",
    "pandas.read_pickle",
    "pd.read_pickle",
    "torch.hub.load",
    "yaml.load",
    "yaml.unsafe_load",
}
# call: (argument that has to be given, its one good value)
NEED_ARGUMENT = {"torch.load": ("weights_only", True)}
NEED_METHOD_ARGUMENT = {"extractall": ("filter", "data")}
BANNED_ARGUMENTS = {"shell": True, "allow_pickle": True, "trust_remote_code": True, "weights_only": False}


def dotted(node):
    """``a.b.c`` for a chain of names; None for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (head := dotted(node.value)):
        return f"{head}.{node.attr}"
    return None


def constant(call, name):
    """A keyword argument's literal value; None if it is not given, or not a literal."""
    for keyword in call.keywords:
        if keyword.arg == name and isinstance(keyword.value, ast.Constant):
            return keyword.value.value
    return None


def dangers(source):
    """Yield (line, words) for everything in a file that could run what it reads."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            names = []
        for name in names:
            if name.partition(".")[0] in BANNED_MODULES or name in BANNED_CALLS | NEED_ARGUMENT.keys():
                yield node.lineno, f"import of {name}"
        if isinstance(node, ast.Call):
            yield from ((node.lineno, words) for words in dangers_of_call(node))


def dangers_of_call(call):
    """Yield in words what is dangerous about one call."""
    name = dotted(call.func)
    method = call.func.attr if isinstance(call.func, ast.Attribute) else None
    if name in BANNED_NAMES | BANNED_CALLS:
        yield f"call of {name}"
    required = NEED_ARGUMENT.get(name) or NEED_METHOD_ARGUMENT.get(method)
    if required and constant(call, required[0]) != required[1]:
        yield f"{name or method} without {required[0]}={required[1]!r}"
    for argument, value in BANNED_ARGUMENTS.items():
        if constant(call, argument) is value:
            yield f"{argument}={value}"


def test_no_code_from_data(repo_root):
    found = []
    for folder in ("fairseq_plugin", "scripts", "benchmarks"):
        for path in sorted((repo_root / folder).rglob("*.py")):
            for line, words in dangers(path.read_text("utf-8")):
                found.append(f"{path.relative_to(repo_root)}:{line}: {words}")
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "eval(line)",
        "exec(line)",
        "compile(line, 'x', 'exec')",
        "__import__(name)",
        "import pickle",
        "def f():\n    from pickle import loads",
        "import marshal, json",
        "from torch import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=flag)",
        "loader(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "archive.extractall(folder)",
        "open_it(path).extractall(folder, filter='fully_trusted')",
        "subprocess.run(line, shell=True)",
        "os.system(line)",
        "from os import system",
        "yaml.load(text)",
        "pd.read_pickle(path)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "joblib.load(path)",
    ],
)
def test_the_scan_sees(source):
    assert list(dangers(source))


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "re.compile(pattern)",
        "torch.compile(model)",
        "torch.load(path, map_location='cpu', weights_only=True)",
        "np.load(path)",
        "archive.extractall(folder, filter='data')",
        "subprocess.run(words)",
        "json.loads(line)",
        "'eval(line)'  # pickle",
    ],
)
def test_the_scan_lets_pass(source):
    assert not list(dangers(source))
