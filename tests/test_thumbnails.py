"""Every notebook has a small picture, made from a figure that it has stored, and the README shows it beside its link."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from thumbnails import BEST, COLOURS, RUN, SIZE, figures, place, run, thumbnail

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_has_a_thumbnail_and_the_readme_shows_it_beside_its_link(path):
    assert Image.open(place(path)).size == SIZE, "run `make notebooks`"
    assert place(path).stat().st_size < 40_000
    shown = rf'^\| <img src="notebooks/thumbnails/{path.stem}\.png"[^|]*\| \[{path.stem}\]\(notebooks/{path.name}\) \|'
    assert re.search(shown, (ROOT / "README.md").read_text(), re.M)


def apart(one: Image.Image, other: Image.Image) -> float:
    """How far two pictures are apart, of 255; releases of Pillow differ by a shade."""
    return float(np.abs(np.asarray(one.convert("RGB"), float) - np.asarray(other.convert("RGB"), float)).mean())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_thumbnail_is_of_the_figure_that_its_notebook_has_now(path):
    assert apart(Image.open(place(path)), thumbnail(path)) < 0.5, "run `make notebooks`"


def test_the_first_picture_of_the_readme_is_the_run_that_the_notebook_of_the_loop_has_now():
    assert Image.open(RUN).size == run().size and apart(Image.open(RUN), run()) < 0.5, "run `make notebooks`"


def test_no_thumbnail_is_left_of_a_notebook_that_is_gone():
    assert set(map(place, NOTEBOOKS)) == set((ROOT / "notebooks" / "thumbnails").iterdir())
    assert set(BEST) <= {path.stem for path in NOTEBOOKS}


def test_a_thumbnail_is_the_figure_on_white_as_large_as_it_fits(tmp_path):
    outputs = []
    for colour, size in (("red", (640, 180)), ("blue", (100, 360))):
        png = io.BytesIO()
        Image.new("RGB", size, colour).save(png, "PNG")
        outputs.append({"data": {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": "<Figure>"}})
    path = tmp_path / "99_two.ipynb"
    path.write_text(json.dumps({"cells": [{"outputs": outputs}, {"source": "words"}]}))
    assert [figure.size for figure in figures(path)] == [(640, 180), (100, 360)]
    small = thumbnail(path)
    assert small.size == SIZE and len(small.getcolors(COLOURS)) == 2
    wide = small.convert("RGB")
    assert [wide.getpixel(at) for at in ((0, 46), (319, 133), (160, 40), (160, 140))] == [(255, 0, 0)] * 2 + [
        (255, 255, 255)
    ] * 2
