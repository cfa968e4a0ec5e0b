"""What a run leaves as one HTML page that loads nothing from anywhere, so that it reads the same in ten years."""

from __future__ import annotations

import copy
from pathlib import Path

from nbconvert import HTMLExporter
from nbformat import NotebookNode

from toolkit.plots.run_page import RunRecord, run_article
from toolkit.plots.run_style import CSS, NOTEBOOK_CSS, POLICY

WIDGET = "application/vnd.jupyter.widget-view+json"

# Without scripts formulas stay as they were written; the policy makes a browser refuse whatever an output would load.
TEMPLATE = """
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}
POLICY
{%- endblock html_head_js -%}
{%- block html_head_js_mathjax -%}{%- endblock html_head_js_mathjax -%}
{%- block html_head_js_mermaidjs -%}{%- endblock html_head_js_mermaidjs -%}
{%- block jupyter_widgets -%}{%- endblock jupyter_widgets -%}
""".replace("POLICY", POLICY)


def without_widgets(nb: NotebookNode) -> NotebookNode:
    """A copy in which widgets are left as text: their state ends with the kernel, and their ids differ from run to run."""
    plain = copy.deepcopy(nb)
    plain.metadata.pop("widgets", None)
    for cell in plain.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)
    return plain


def page(nb: NotebookNode, title: str, folder: Path, record: RunRecord | None = None, run: Path | None = None) -> str:
    """HTML of the executed notebook: styles and figures inside, no script; progress bars are left out.

    With a `record` the report of the run comes first. `folder` is where pictures that the text names are looked for; they are
    put into the page as well. Where this machine keeps the `run`, the notebook and the person's files is not told.
    """
    shown = copy.deepcopy(nb)
    shown.metadata.pop("widgets", None)
    for cell in shown.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    exporter = HTMLExporter(raw_template=TEMPLATE, template_name="lab", embed_images=True)
    html, _ = exporter.from_notebook_node(shown, {"metadata": {"name": title, "path": str(folder)}})
    article = "" if record is None else run_article(record, notebook=True)
    style = NOTEBOOK_CSS if record is None else CSS + NOTEBOOK_CSS
    for place, name in ((run, "RUN"), (folder, "."), (Path.home(), "~")):
        if place is not None and len(place.resolve().parts) > 1:
            html = html.replace(str(place.resolve()), name)
    return html.replace("</head>", f"<style>{style}</style></head>", 1).replace("<main>", f"{article}<main>", 1)
