"""The pieces of one HTML page that needs nothing but itself: no script, no net, light or dark as the reader has it."""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template

from PIL import Image

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #57606a; --faint: #d8dee4;
  --better: #00664b; --worse: #a33c00; --note: #fff6dc; --panel: #f6f8fa }
@media (prefers-color-scheme: dark) { :root { --paper: #14181d; --ink: #e6e9ec; --soft: #a0a8b1; --faint: #343b44;
  --better: #3fc79c; --worse: #ff9a57; --note: #33290d; --panel: #1c2229 } }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
h1 { font-size: 1.7rem; margin: 0 } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--faint) }
h3 { margin: 2rem 0 .4rem } p, li { max-width: 46rem } nav { font-size: .9rem } a { color: inherit }
figure { margin: 1rem 0; overflow-x: auto } figure svg { width: 100%; height: auto } .lead { font-size: 1.1rem }
figcaption, .soft { color: var(--soft); font-size: .88rem } svg text { font-family: "DejaVu Sans", Verdana, sans-serif }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--faint); text-align: right; vertical-align: top;
  white-space: nowrap } th:first-child { text-align: left }
tbody th { font-weight: inherit; position: sticky; left: 0; background: var(--paper) }
thead th { border-bottom-width: 2px }
td small { color: var(--soft) } td.better, td.better small { color: var(--better) }
td.worse, td.worse small { color: var(--worse) }
td.better b::before { content: "▲ " } td.worse b::before { content: "▼ " }
.note { background: var(--note); border-left: 4px solid #e69f00; padding: .6rem 1rem; margin: 1rem 0 }
.pictures td { padding: .2rem; border: 0 } .pictures th:not(:first-child) { text-align: left }
.pictures img { display: block; width: 100%; max-width: 18rem; border-radius: 3px }
pre { background: var(--panel); padding: .8rem; overflow-x: auto; font-size: .78rem; white-space: pre-wrap }
code { font-size: .85em; overflow-wrap: anywhere } summary { cursor: pointer; margin: .6rem 0 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .9rem } dd { margin: 0 }
dd span { display: inline-block; max-width: 100% }
@media (max-width: 40rem) { figure svg { width: auto; min-width: 40rem } .pictures img { width: 13rem }
  .pictures th, .pictures td { white-space: normal } dl { display: block } dd { margin-bottom: .5rem } }
@media print { :root { --paper: #fff; --ink: #000; --soft: #444; --faint: #ccc; --better: #00664b; --worse: #a33c00;
  --note: #fff; --panel: #fff } nav { display: none } figure, tr { break-inside: avoid } h2, h3 { break-after: avoid }
  body { max-width: none; padding: 0; font-size: 10pt } .wide { overflow: visible } table { font-size: 7.5pt }
  th, td { padding: .1rem .3rem } td { white-space: normal } td small, td b { white-space: nowrap } }
"""
_PAGE = Template(
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    "<title>$title</title>\n<style>$style</style>\n</head>\n<body>\n$body\n</body>\n</html>\n"
)
PICTURE_PX = 420  # width that pictures are stored at


def page(title: str, body: Iterable[str]) -> str:
    """The whole file."""
    return _PAGE.substitute(title=html.escape(title), style=_STYLE, body="\n".join(body))


def paragraph(text: str, kind: str = "") -> str:
    """`kind`: '', 'lead', 'soft', or 'note', which stands out."""
    return f"<p{_class(kind)}>{html.escape(text)}</p>"


def bullets(lines: Iterable[str]) -> str:
    """A list."""
    return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"


def figure(svg: str, caption: str) -> str:
    """A drawing with its caption; one that is wider than a telephone's screen is scrolled."""
    drawing = svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(caption)}" ', 1)
    return f'<figure tabindex="0">{drawing}<figcaption>{html.escape(caption)}</figcaption></figure>'


def table(rows: Sequence[Sequence[str]]) -> str:
    """The first row is the header, the first column names the others."""
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in rows[0])
    body = "".join(_row(row[0], map(html.escape, row[1:])) for row in rows[1:])
    return _table(head, body)


def difference_table(head: Sequence[str], rows: Iterable[tuple[str, Sequence[tuple[str, str, str]]]]) -> str:
    """Rows of (name, cells of (difference, interval, verdict)); what is better or worse stands out, with a sign."""
    columns = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    body = "".join(f"<tr>{_name(name)}{''.join(map(_difference, cells))}</tr>" for name, cells in rows)
    return _table(columns, body)


def pictures(head: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Rows of (name, `picture` or text each), under column names."""
    columns = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    body = "".join(_row(name, cells) for name, cells in rows)
    return f'<div class="pictures">{_table(columns, body)}</div>'


def picture(path: Path, alternative: str) -> str:
    """An <img> that holds the picture itself, made smaller; a line of text where it cannot be read."""
    buffer = io.BytesIO()
    try:
        with Image.open(path) as image:
            small = image.convert("RGB")
    except (OSError, ValueError):
        return f"{html.escape(path.name)} cannot be read"
    small.thumbnail((PICTURE_PX, PICTURE_PX * 2))
    small.save(buffer, format="JPEG", quality=82, subsampling=0)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(alternative)}" src="data:image/jpeg;base64,{data}">'


def folded(title: str, content: str) -> str:
    """Content that is shown on a click."""
    return f"<details><summary>{html.escape(title)}</summary>{content}</details>"


def text_file(text: str) -> str:
    """Text as it is."""
    return f"<pre>{html.escape(text)}</pre>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and what they are."""
    found = (f"<dt>{html.escape(name)}</dt><dd><code>{_words(value)}</code></dd>" for name, value in pairs)
    return f"<dl>{''.join(found)}</dl>"


def heading(level: int, text: str, anchor: str = "") -> str:
    """<h1> to <h3>, `anchor` for links to it."""
    name = f' id="{html.escape(anchor)}"' if anchor else ""
    return f"<h{level}{name}>{html.escape(text)}</h{level}>"


def contents(entries: Iterable[tuple[str, str]]) -> str:
    """Links (anchor, title) to the headings of this page."""
    links = (f'<a href="#{html.escape(anchor)}">{html.escape(title)}</a>' for anchor, title in entries)
    return f"<nav>{' · '.join(links)}</nav>"


def _row(name: str, cells: Iterable[str]) -> str:
    """A row of a table; `cells` are HTML."""
    return f"<tr>{_name(name)}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _name(text: str) -> str:
    return f'<th scope="row">{html.escape(text)}</th>'


def _words(text: str) -> str:
    """Lines break between words: a browser would also break behind the hyphens of a flag."""
    return " ".join(f"<span>{html.escape(word)}</span>" for word in text.split(" "))


def _table(head: str, body: str) -> str:
    return f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _difference(cell: tuple[str, str, str]) -> str:
    mean, interval, verdict = (html.escape(part) for part in cell)
    small = "".join(f"<br><small>{part}</small>" for part in (interval, verdict) if part)
    return f"<td{_class(verdict if verdict in ('better', 'worse') else '')}><b>{mean}</b>{small}</td>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
