"""Links and anchors in the docs lead somewhere; each decision in guide-notes.md is a paragraph."""

import re

import pytest

from tools import runtimes

ROOT = runtimes.ROOT
PAGES = sorted(
    str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
)


def text_of(page):
    """Without code blocks, in which a # is no heading."""
    return re.sub(r"(?ms)^```.*?^```", "", (ROOT / page).read_text())


def anchors(page):
    """As GitHub makes them: lower case, blanks become hyphens, other marks go; a second one of
    the same name gets a number."""
    found = []
    for heading in re.findall(r"(?m)^#+ (.*)$", text_of(page)):
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        number = found.count(name)
        found.append(f"{name}-{number}" if number else name)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_each_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.relative_to(ROOT)), link


@pytest.mark.parametrize("page", PAGES)
def test_pages_and_anchors_named_in_sentences_are_there(page):
    for name, anchor in re.findall(r"`(?:docs/)?([\w-]+\.md)(?:#([\w-]+))?`", text_of(page)):
        target = ROOT / name if (ROOT / name).exists() else ROOT / "docs" / name
        assert target.exists(), name
        if anchor:
            assert anchor in anchors(target.relative_to(ROOT)), (name, anchor)


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 80


def test_each_decision_is_a_heading_and_a_paragraph():
    text = text_of("docs/guide-notes.md")
    sections = re.split(r"(?m)^### (.*)\n", text)[1:]
    names, bodies = sections[::2], sections[1::2]
    assert len(names) > 90 and len(set(names)) == len(names)
    for name, body in zip(names, bodies, strict=True):
        paragraph = re.split(r"(?m)^## ", body)[0].strip()
        assert paragraph and "\n\n" not in paragraph, name
        assert paragraph[-1] in ".:", name
        assert "|" not in paragraph, f"{name}: a table's row is no paragraph"
