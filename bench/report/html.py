"""A document as HTML, and what pages are made of: no file beside them, no request to anywhere."""

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from rtfbench.report import document as doc
from rtfbench.report.palette import VARIABLES

if TYPE_CHECKING:
    import jinja2

    from rtfbench.report.plots.style import Picture

TEMPLATES = files("rtfbench.report") / "templates"
#: What is typed, between back quotes.
CODE = re.compile("`([^`]+)`")
NUMERIC = ' class="numeric" style="text-align: right"'


def draw(document: doc.Document, pictures: Mapping[str, "Picture"] | None = None) -> str:
    """Return the whole document; needs neither a template nor a style.

    Of its images those are drawn whose pictures are there, by their paths.
    """
    return "\n".join(_block(each, pictures or {}) for each in document.blocks)


def page(
    document: doc.Document,
    pictures: Mapping[str, "Picture"],
    *,
    title: str,
    name: str,
    data: object,
) -> str:
    """Return a page of a document with its pictures, and under an id the data behind it, as JSON.

    Raises:
        ImportError: jinja2 is not installed.
    """
    return template("document.html.j2").render(
        style=read("report.css"),
        title=title,
        body=draw(document, pictures),
        name=name,
        data=script_json(data),
    )


def _block(block: doc.Block, pictures: Mapping[str, "Picture"]) -> str:
    match block:
        case doc.Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case doc.Paragraph(style=style):
            return f"<p{_looks(style)}>{_text(block)}</p>"
        case doc.Bullets(items):
            lines = (f"<li{_looks(item.style)}>{_text(item)}</li>" for item in items)
            return f'<ul class="findings">{"".join(lines)}</ul>'
        case doc.Table():
            return _table(block)
        case doc.Image(path=path):
            return figure(pictures[path]) if path in pictures else ""
        case doc.More(title, blocks):
            inner = draw(doc.Document(blocks), pictures)
            return f"<details><summary>{escape(title)}</summary>{inner}</details>"
        case doc.Code(text):
            return f"<pre><code>{escape(text.strip())}</code></pre>"


def _looks(style: str) -> str:
    return f' class="{style}"' if style else ""


def _text(found: doc.Paragraph) -> str:
    lead = f"<strong>{escape(found.lead)}</strong> " if found.lead else ""
    text = lead + CODE.sub(r"<code>\1</code>", escape(found.text))
    return f"<strong>{text}</strong>" if found.style == "strong" else text


def _table(found: doc.Table) -> str:
    attributes = [NUMERIC if right else "" for right in found.numeric]
    heads = _cells("th", found.headings, attributes)
    rows = "".join(
        f"<tr{_looks(f'ok {style}'.strip())}>{_cells('td', row, attributes, found.strong)}</tr>"
        for row, style in found.styled()
    )
    return (
        f'<div class="scroll" tabindex="0"><table class="matrix"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cells(
    tag: str, texts: Sequence[str], attributes: Sequence[str], strong: str | None = None
) -> str:
    written = (
        f"<strong>{escape(text)}</strong>" if strong and text == strong else escape(text)
        for text in texts
    )
    pairs = zip(written, attributes, strict=True)
    return "".join(f"<{tag}{attribute}>{text}</{tag}>" for text, attribute in pairs)


def figure(picture: "Picture") -> str:
    """Return a picture as a part of a page."""
    title, caption = escape(picture.title), escape(picture.caption)
    return (
        f'<figure><div class="scroll" tabindex="0" role="region" aria-label="{title}">'
        f'{inline(picture)}</div><figcaption class="sr">{title}. {caption}</figcaption></figure>'
    )


def read(name: str) -> str:
    """Return a file that pages are made of."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def template(name: str) -> "jinja2.Template":
    """Return a page's template.

    Raises:
        ImportError: jinja2 is not installed.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(read), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)


def inline(picture: "Picture") -> str:
    """Return a picture's SVG as part of a page: its colours follow the page's, its ids are its own.

    Several pictures on a page would otherwise share ids, and one would clip by another's frame.
    """
    svg = picture.svg.decode()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    prefix = picture.name
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = svg.replace('href="#', f'href="#{prefix}-').replace("url(#", f"url(#{prefix}-")
    for color, variable in VARIABLES.items():
        svg = re.sub(rf"{color}\b", f"var({variable}, {color})", svg)
    # An attribute takes no variable, a style does.
    svg = re.sub(r'(fill|stroke)="(var\([^"]*\))"', r'style="\1: \2"', svg)
    label = picture.title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def script_json(value: object) -> str:
    """Write JSON that can stand within a script element: no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
