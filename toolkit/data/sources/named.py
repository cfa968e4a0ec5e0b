"""A source by its name, as configurations and the command line give it; imported when asked for, yfinance takes a second."""

from __future__ import annotations

import importlib
from pathlib import Path

from toolkit.data.sources import Source
from toolkit.errors import InvalidParameter

SOURCES = {
    "sample": "the bundled prices of five symbols until 2013",
    "yahoo": "Yahoo Finance",
    "alpaca": "Alpaca market data; keys in APCA_API_KEY_ID and APCA_API_SECRET_KEY",
    "synthetic": "a made-up market; synthetic:7 is the one of seed 7",
    "folder": "your own CSV or Parquet files: folder:PATH",
}


def checked_source(text: str) -> str:
    """`text` itself, e.g. 'yahoo', 'synthetic:7' or 'folder:~/prices'; raises InvalidParameter for any other form."""
    name, _, argument = text.partition(":")
    if name not in SOURCES:
        raise InvalidParameter(f"source {text!r} is not known", f"pass one of {', '.join(SOURCES)}")
    if name == "folder" and not argument:
        raise InvalidParameter("source 'folder' names no folder", "write e.g. folder:~/prices")
    if name == "synthetic" and argument and not argument.lstrip("-").isdigit():
        raise InvalidParameter(f"seed {argument!r} is no whole number", "write e.g. synthetic:7")
    if name not in ("folder", "synthetic") and argument:
        raise InvalidParameter(f"source {name!r} takes no {argument!r}", f"write {name}")
    return text


def source_of(text: str) -> Source:
    """The source that `text` names."""
    name, _, argument = checked_source(text).partition(":")
    if name == "folder":
        return importlib.import_module("toolkit.data.sources.files").FolderSource(Path(argument).expanduser())
    module = importlib.import_module(f"toolkit.data.sources.{name}")
    if name == "synthetic":
        return module.SyntheticSource(seed=int(argument or 0))
    return getattr(module, f"{name.capitalize()}Source")()
