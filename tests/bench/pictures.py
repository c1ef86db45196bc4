#!/usr/bin/env python3
"""Draws the tables of docs/PERFORMANCE.md as bars, docs/pictures/NAME.svg. Python's standard library only.

  tests/bench/pictures.py            writes the pictures
  tests/bench/pictures.py --check    fails if a picture differs from its table, or if the page does not show it

A picture has nothing of its own but its title: names and figures are the cells of the table.
"""
import html, pathlib, re, sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/PERFORMANCE.md"
FOLDER = ROOT / "docs/pictures"
# The title, the beginning of the table's first line, and its columns. The bars of a group are the cells of a column,
# each with the name of its row; or, by rows, the other way round. A column `ratio` has the name of the one before it.
PICTURES = {
    "peers": ("CPU time per list against the ceiling, less is better", "| target | list of 100", (2, 4, 6), "columns"),
    "lookups": ("CPU time per look-up by e-mail", "| look-up, connections", (1, 2, 3, 4, 5), "rows"),
    "passed": ("CPU time per request passed through", "| passed through, conn", (1, 2, 3, 4, 5, 6), "rows"),
    "wall": ("Wall time of one list of 10,000 against the ideal", "| target | wall", (2,), "columns"),
    "instructions": ("User-space instructions per request", "| request | 0.1.0", (1, 2, 3), "rows"),
    "compression": ("CPU time to compress 10,000 records", "| coding | CPU", (1,), "columns"),
}
OURS = ("tieline", "now")
# Lengths in pixels.
WIDTH, MARGIN, NAMES, VALUES, LINE, BAR = 760, 20, 190, 90, 24, 16
# Its own background in both schemes: the page around it may have the other one.
STYLE = """\
rect.page { fill: #ffffff } text { fill: #1f2328; font: 13px sans-serif } .title { font-size: 16px; font-weight: bold }
.group { font-weight: bold } .bar { fill: #8c959f } .ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
rect.page { fill: #0d1117 } text { fill: #e6edf3 } .bar { fill: #6e7681 } .ours { fill: #4493f8 } }"""


def table(first):
    """The cells of the table whose first line begins so, without marks of emphasis."""
    text = PAGE.read_text()
    found = re.findall(rf"^{re.escape(first)}.*\n(?:\|.*\n)+", text, re.MULTILINE)
    if len(found) != 1:
        sys.exit(f"{PAGE.name} has {len(found)} tables that begin with {first!r}, not one: see PICTURES")
    lines = [line.strip("|").split("|") for line in found[0].splitlines()]
    head, _, *rows = [[re.sub(r"[*`]", "", cell).strip() for cell in line] for line in lines]
    return head, rows


def groups(first, columns, by):
    """(name, [(name of the bar, text of its value)]) for each group."""
    head, rows = table(first)
    if max(columns) >= len(head):
        sys.exit(f"the table {first!r} has only {len(head)} columns: see PICTURES")
    names = {i: head[i - 1].removesuffix(", CPU per list").removesuffix(", CPU") if head[i] == "ratio" else head[i]
             for i in columns}
    if by == "rows":
        return [(row[0], [(names[i], row[i]) for i in columns]) for row in rows]
    return [(names[i], [(row[0], row[i]) for row in rows]) for i in columns]


def number(text):
    found = re.match(r"[\d,]*\.?\d+", text)
    return float(found[0].replace(",", "")) if found else sys.exit(f"{text!r} begins with no number")


def drawn(title, first, columns, by):
    parts, y = [], MARGIN + 12
    every = groups(first, columns, by)
    most = max(number(value) for _, bars in every for _, value in bars)

    def text(x, what, kind="", anchor="start"):
        kind = f' class="{kind}"' if kind else ""
        parts.append(f'<text x="{x}" y="{y}" text-anchor="{anchor}"{kind}>{html.escape(what)}</text>')

    text(MARGIN, title, "title")
    for group, bars in every:
        y += LINE + 6
        text(MARGIN, group, "group")
        for name, value in bars:
            y += LINE
            length = round(number(value) / most * (WIDTH - 2 * MARGIN - NAMES - VALUES), 1)
            text(MARGIN + NAMES - 8, name, anchor="end")
            kind = "bar ours" if name in OURS else "bar"
            parts.append(f'<rect class="{kind}" x="{MARGIN + NAMES}" y="{y - BAR + 3}" width="{length}" height="{BAR}"/>')
            text(MARGIN + NAMES + length + 6, value)
    height = y + MARGIN
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f"<title>{html.escape(title)}</title>", f"<style>\n{STYLE}\n</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="6"/>', *parts, "</svg>", ""])


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit("usage: tests/bench/pictures.py [--check]")
    pictures = {f"{name}.svg": drawn(*picture) for name, picture in PICTURES.items()}
    wrong = [f"{path.name} is no picture of a table" for path in FOLDER.glob("*") if path.name not in pictures]
    page = PAGE.read_text()
    for name, picture in pictures.items():
        path = FOLDER / name
        if not check:
            FOLDER.mkdir(exist_ok=True)
            path.write_text(picture)
        elif not path.exists() or path.read_text() != picture:
            wrong.append(f"{name} differs from its table: run tests/bench/pictures.py")
        if f"](pictures/{name})" not in page:
            wrong.append(f"{PAGE.name} does not show {name}")
    if wrong:
        sys.exit("\n".join(f"docs/pictures: {what}" for what in wrong))


main()
