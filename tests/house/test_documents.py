"""What the documents point at exists: files, headings, tests, scripts."""

import ast
import re

import pytest

from tests.conftest import ROOT

PAGES = sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
DOCUMENTS = ("README.md", "SECURITY.md", "CHANGELOG.md", "data-bin/README.md", *PAGES)
MAX_README = 220  # lines
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def anchors(text):
    """The anchors of a document's headings, as code hosts form them."""
    headings = re.findall(r"^#+\s+(.+)$", FENCE.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path):
    """Links of a document that lead nowhere; those to other sites are not followed."""
    text = path.read_text("utf-8")
    for link in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target) if target else path
        if not file.exists():
            yield f"{link}: no such file"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text("utf-8")):
            yield f"{link}: no such heading"


def named_tests(text):
    """(file, function or None) of every ``tests/....py`` or ``tests/....py::test_name`` in a text."""
    return re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", text)


def functions_of(path):
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(repo_root, name):
    assert list(broken_links(repo_root / name)) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_tests_that_a_document_names_exist(repo_root, name):
    found = named_tests((repo_root / name).read_text("utf-8"))
    missing = [file for file, _ in found if not (repo_root / file).is_file()]
    assert missing == []
    assert [(file, test) for file, test in found if test and test not in functions_of(repo_root / file)] == []


def test_every_guarantee_names_its_test(repo_root):
    """A guarantee without a test is an opinion."""
    guarantees = (repo_root / "docs" / "guarantees.md").read_text("utf-8")
    table = guarantees.split("| promise | figure | test |\n| --- | --- | --- |\n")[1].split("\n\n")[0]
    rows = table.split("\n")
    assert len(rows) >= 20
    assert [row for row in rows if "](../tests/" not in row.split(" | ")[-1]] == []


def test_the_readme_stays_short_and_leads_to_every_page(repo_root):
    readme = (repo_root / "README.md").read_text("utf-8")
    assert readme.count("\n") <= MAX_README
    assert len(PAGES) >= 8
    assert [page for page in PAGES if f"]({page})" not in readme] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_scripts_that_a_document_names_exist(repo_root, name):
    named = set(
        re.findall(
            r"(?<!tests/)(?:scripts|benchmarks)/[\w/]+\.(?:py|sh)\b", (repo_root / name).read_text("utf-8")
        )
    )
    assert [script for script in named if not (repo_root / script).is_file()] == []


def test_the_changelog_knows_this_version(repo_root):
    version = re.search(r'version="([^"]+)"', (repo_root / "setup.py").read_text("utf-8"))[1]
    assert f"## [{version}]" in (repo_root / "CHANGELOG.md").read_text("utf-8")


def test_the_link_check_sees_what_is_broken(tmp_path):
    path = tmp_path / "a.md"
    path.write_text(
        "# One two\n[a](b.md) [c](#one-two) [d](#three) [e](https://x.org)\n```\n[f](g.md)\n```\n"
    )
    assert list(broken_links(path)) == ["b.md: no such file", "#three: no such heading"]
