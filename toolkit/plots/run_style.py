"""The style sheet of a run's page: light, dark and on paper, and how figures and tables become HTML."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape

import matplotlib as mpl
from matplotlib.figure import Figure

CSS = """
:root { color-scheme: light dark; --paper:#fff; --ink:#1d2328; --soft:#5b6670; --line:#dfe4e8; --card:#f6f8f9;
        --good:#007a58; --bad:#b34a00; --link:#0067a3; }
@media (prefers-color-scheme: dark) {
  :root { --paper:#15191d; --ink:#e4e8eb; --soft:#9ba7b0; --line:#333c44; --card:#1d2328; --good:#3fc79a; --bad:#ff9a5c;
          --link:#6cb8ee; }
}
body, body.jp-Notebook { background:var(--paper); color:var(--ink); margin:0; padding:0; overflow:visible; }
.run { font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif; color:var(--ink);
       max-width:60rem; margin:0 auto; padding:2.2rem 1.5rem 1rem; }
.run h1 { font-size:1.75rem; line-height:1.2; margin:0 0 .2rem; font-weight:650; letter-spacing:-.01em; }
.run h2 { font-size:1.2rem; margin:2.6rem 0 .7rem; padding-top:.7rem; border-top:1px solid var(--line); font-weight:650; }
.run h3 { font-size:.95rem; margin:1.4rem 0 .4rem; font-weight:650; }
.run p { margin:.5rem 0; max-width:46rem; }
.run .soft { color:var(--soft); }
.run .good { color:var(--good); } .run .bad { color:var(--bad); }
.run .told { border-left:3px solid var(--bad); background:var(--card); padding:.6rem .9rem; border-radius:0 4px 4px 0; }
.run a { color:var(--link); text-decoration:none; } .run a:hover { text-decoration:underline; }
.run nav { margin:1.1rem 0 0; } .run nav a { display:inline-block; margin:0 1.1rem .3rem 0; }
.run .cards { display:grid; grid-template-columns:repeat(auto-fit,minmax(8.1rem,1fr)); gap:.6rem; margin:1.5rem 0 .5rem; }
.run .card { background:var(--card); border:1px solid var(--line); border-radius:6px; padding:.6rem .7rem; }
.run .card b { display:block; font-size:1.12rem; font-weight:650; font-variant-numeric:tabular-nums; white-space:nowrap; }
.run .card span { display:block; color:var(--soft); font-size:.8rem; line-height:1.35; }
.run .wide { overflow-x:auto; }
.run table { border-collapse:collapse; font-size:.87rem; font-variant-numeric:tabular-nums; margin:.5rem 0 1rem; border:0; }
.run th, .run td { padding:.28rem .8rem .28rem 0; text-align:right; vertical-align:top; border:0;
                   border-bottom:1px solid var(--line); white-space:nowrap; }
.run th:last-child, .run td:last-child { padding-right:.1rem; }
.run thead th { color:var(--soft); font-weight:500; border-bottom:1px solid var(--soft); }
.run .text, .run .risk tbody th, .run .pairs th { text-align:left; }
.run .long { white-space:normal; text-align:left; min-width:12rem; }
.run tbody th { font-weight:500; }
.run .pairs th { color:var(--soft); font-weight:400; padding-right:1.6rem; }
.run .pairs td, .run .risk > table:not(.dataframe) td { white-space:normal; text-align:left; }
.run .risk > table:not(.dataframe) th { color:var(--soft); font-weight:400; padding-right:1.6rem; }
.run .risk > table:not(.dataframe) th::first-letter { text-transform:uppercase; }
.run caption { text-align:left; padding-bottom:.4rem; }
.run .grid { columns:15rem; font-size:.87rem; } .run .grid span { display:block; break-inside:avoid; padding:.12rem 0; }
.run .grid i { color:var(--soft); font-style:normal; display:inline-block; min-width:9.5rem; }
.run pre { background:var(--card); border:1px solid var(--line); border-radius:6px; padding:.8rem 1rem; overflow-x:auto;
           font:.8rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace; columns:2; }
.run figure { margin:.6rem 0 1rem; }
.run svg.plot { width:100%; height:auto; display:block; }
.run svg.plot * { stroke-linejoin:round; stroke-linecap:butt; }
.run svg.plot text { fill:currentColor; font-family:system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif !important; }
@media (max-width:40rem) { .run pre { columns:1; } }
@page { size:A4; margin:14mm; }
@media print {
  :root { color-scheme:light; --paper:#fff; --ink:#000; --soft:#444; --line:#ccc; --card:#fff; --good:#005c42; --bad:#8a3900;
          --link:#000; }
  .run { font-size:9.5pt; max-width:none; padding:0; }
  .run h2 { margin-top:1.6rem; }
  .run h1, .run h2, .run h3, .run p.lead { break-after:avoid; }
  .run p, .run pre, .run table, .run figure, .run tr, .run .card, .run .cards, .run .told { break-inside:avoid; }
  .run thead { display:table-header-group; }
  .run .wide { overflow:visible; } .run .long { min-width:0; }
  .run table { font-size:7.6pt; } .run th, .run td { padding-right:.5rem; }
  .run pre { white-space:pre-wrap; font-size:7pt; }
  .run .notebook { break-before:page; }
  body.jp-Notebook .jp-InputArea pre { white-space:pre-wrap; overflow-wrap:anywhere; }
  body.jp-Notebook .jp-Cell, body.jp-Notebook .jp-OutputArea-child { break-inside:avoid-page; }
}
"""
# The notebook's own style sheet knows one theme; in the dark its colours are set anew, and pictures keep a white ground.
NOTEBOOK_CSS = """
body.jp-Notebook main { max-width:60rem; margin:0 auto; padding:0 1.5rem 3rem; }
.jp-RenderedImage img, .jp-RenderedSVG svg { background:#fff; max-width:100%; height:auto; }
@media screen and (prefers-color-scheme: dark) {
  body.jp-Notebook { --jp-layout-color0:#15191d; --jp-layout-color1:#15191d; --jp-layout-color2:#1d2328;
    --jp-layout-color3:#333c44; --jp-cell-editor-background:#1d2328; --jp-cell-editor-border-color:#333c44;
    --jp-content-font-color0:#fff; --jp-content-font-color1:#e4e8eb; --jp-content-font-color2:#9ba7b0;
    --jp-content-font-color3:#9ba7b0; --jp-ui-font-color0:#fff; --jp-ui-font-color1:#e4e8eb; --jp-ui-font-color2:#9ba7b0;
    --jp-border-color0:#333c44; --jp-border-color1:#333c44; --jp-border-color2:#333c44; --jp-border-color3:#333c44;
    --jp-rendermime-table-row-background:#1d2328; --jp-rendermime-table-row-hover-background:#26303a;
    --jp-rendermime-error-background:#3a1f1f; --jp-content-link-color:#6cb8ee; --jp-cell-prompt-not-active-font-color:#9ba7b0;
    --jp-mirror-editor-keyword-color:#7fc08a; --jp-mirror-editor-atom-color:#8ab4f8; --jp-mirror-editor-number-color:#7fc08a;
    --jp-mirror-editor-def-color:#8ab4f8; --jp-mirror-editor-variable-color:#e4e8eb; --jp-mirror-editor-string-color:#ff9a8a;
    --jp-mirror-editor-comment-color:#8fb3b3; --jp-mirror-editor-operator-color:#c9a0ff;
    --jp-mirror-editor-builtin-color:#7fc08a; --jp-mirror-editor-punctuation-color:#9fb8e0; color:#e4e8eb; }
}
"""
POLICY = ('<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; font-src data:; '
          "style-src 'unsafe-inline'\">")  # fmt: skip
COLOURS = {"#000000": "currentColor", "#e2e2e2": "var(--line)", "#8a8a8a": "var(--soft)"}


def svg(figure: Figure, name: str, label: str) -> str:
    """The figure as SVG inside the page: text stays text, ink and grid take the colours of the page, nothing is referred to.

    `name` keeps the ids of one figure apart from those of others; `label` is read to those who do not see it.
    """
    for ax in figure.axes:
        for many in ax.collections:
            many.set_rasterized(True)
        for text in ax.texts:
            text.set_backgroundcolor("none")
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, dpi=150, metadata={"Date": None})
    drawn = file.getvalue()
    drawn = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", drawn[drawn.index("<svg") :], flags=re.S)
    drawn = re.sub(r'\s(xmlns(:\w+)?|version|width|height)="[^"]*"(?=[^<]*viewBox)', "", drawn.replace("xlink:href", "href"))
    drawn = re.sub(r'<svg[^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1">', drawn, count=1)
    named = f'class="plot" role="img" aria-label="{escape(label)}"'
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', drawn))
    drawn = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", drawn)
    for colour, ours in COLOURS.items():
        drawn = drawn.replace(colour, ours)
    return f"<figure>{drawn.replace('<svg', f'<svg {named}', 1)}</figure>"


def table(heads: Sequence[str], rows: Sequence[Sequence[object]], words: Sequence[str] = ()) -> str:
    """A table; columns named in `words` hold text, those that end with an asterisk there long text, the others numbers."""
    kinds = ["long" if f"{head}*" in words else "text" if head in words else "" for head in heads]
    of = [f' class="{kind}"' if kind else "" for kind in kinds]
    head = "".join(f"<th{kind}>{escape(name)}</th>" for kind, name in zip(of, heads, strict=True))
    body = "".join("<tr>" + "".join(f"<td{kind}>{cell(value)}</td>" for kind, value in zip(of, row, strict=True)) + "</tr>"
                   for row in rows)  # fmt: skip
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def cell(value: object) -> str:
    """Escaped; a change of money or a return that is below 0 is set in another colour."""
    text = escape(str(value))
    return f'<span class="bad">{text}</span>' if re.match("[\u2212-]\\$?[\\d.,]+%?$", text) else text


def pairs(rows: Sequence[tuple[str, object]]) -> str:
    """Label and value, a line each."""
    lines = "".join(f"<tr><th>{escape(label)}</th><td>{escape(str(value))}</td></tr>" for label, value in rows)
    return f'<div class="wide"><table class="pairs"><tbody>{lines}</tbody></table></div>'


def told(sentence: str) -> str:
    """What is missing or wrong, in its place."""
    return f'<p class="told">{escape(sentence)}</p>'
