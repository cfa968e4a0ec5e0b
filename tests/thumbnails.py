"""The README's pictures, a small one a notebook and that of a run: `python -m tests.thumbnails`, as in `make notebooks`.

A picture is one of the figures that the notebook has stored, the first unless `BEST` names another.
"""

import base64
import io
import json
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).parents[1] / "notebooks"
SIZE = 320, 180  # pixels
COLOURS = 256
RUN = FOLDER / "paper_run.png"  # the last figure of the loop's notebook, as it is
BEST = {  # which figure says most about its notebook, counted from 0
    "00_quickstart": 2, "01_explore_signals": 5, "02_paper_trading": -1, "03_cache_and_cycle_times": 3,
    "04_indicator_kernels": 3, "06_backtest": 1, "08_parity": 1, "09_scale_out": 1, "10_risk_report": 2,
}  # fmt: skip


def figures(path: Path) -> list[Image.Image]:
    """The figures stored in a notebook, in their order."""
    cells = json.loads(path.read_text())["cells"]
    shown = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    return [Image.open(io.BytesIO(base64.b64decode("".join(each["image/png"])))) for each in shown if "image/png" in each]


def thumbnail(path: Path) -> Image.Image:
    """The notebook's figure on white, as large as it fits."""
    figure = figures(path)[BEST.get(path.stem, 0)].convert("RGB")
    figure.thumbnail(SIZE, Image.Resampling.LANCZOS)
    small = Image.new("RGB", SIZE, "white")
    small.paste(figure, ((SIZE[0] - figure.width) // 2, (SIZE[1] - figure.height) // 2))
    return small.quantize(COLOURS)


def place(path: Path) -> Path:
    """Where the thumbnail of a notebook lies."""
    return path.parent / "thumbnails" / f"{path.stem}.png"


def run() -> Image.Image:
    """What the run drew that the loop's notebook has stored."""
    return figures(FOLDER / "02_paper_trading.ipynb")[-1].convert("RGB")


if __name__ == "__main__":
    run().save(RUN, optimize=True)
    for notebook in sorted(FOLDER.glob("*.ipynb")):
        place(notebook).parent.mkdir(exist_ok=True)
        thumbnail(notebook).save(place(notebook), optimize=True)
