"""An executed notebook as one HTML page that loads nothing from anywhere, so that it reads the same in ten years."""

from __future__ import annotations

import copy
from pathlib import Path

from nbconvert import HTMLExporter
from nbformat import NotebookNode

WIDGET = "application/vnd.jupyter.widget-view+json"

# Without scripts formulas stay as they were written; the policy makes a browser refuse whatever an output would load.
TEMPLATE = """
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'">
{%- endblock html_head_js -%}
{%- block html_head_js_mathjax -%}{%- endblock html_head_js_mathjax -%}
{%- block html_head_js_mermaidjs -%}{%- endblock html_head_js_mermaidjs -%}
{%- block jupyter_widgets -%}{%- endblock jupyter_widgets -%}
"""


def without_widgets(nb: NotebookNode) -> NotebookNode:
    """A copy in which widgets are left as text: their state ends with the kernel, and their ids differ from run to run."""
    plain = copy.deepcopy(nb)
    plain.metadata.pop("widgets", None)
    for cell in plain.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)
    return plain


def page(nb: NotebookNode, title: str, folder: Path) -> str:
    """HTML of the executed notebook: styles and figures inside, no script; progress bars are left out.

    `folder` is where pictures that the text names are looked for; they are put into the page as well.
    """
    shown = copy.deepcopy(nb)
    shown.metadata.pop("widgets", None)
    for cell in shown.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    exporter = HTMLExporter(raw_template=TEMPLATE, template_name="lab", embed_images=True)
    html, _ = exporter.from_notebook_node(shown, {"metadata": {"name": title, "path": str(folder)}})
    return html
