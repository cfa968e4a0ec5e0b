"""The command line: a wrong argument is one sentence and exit status 2, never a traceback."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from toolkit.cli import COMMANDS, doctor, main, parser
from toolkit.cli.run import default_folder, seconds

ROOT = Path(__file__).parents[1]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a notebook, a text that is none, a config that is no YAML, and a full folder."""
    monkeypatch.chdir(tmp_path)
    cell = new_code_cell("cycles = 3\nout = None", metadata={"tags": ["parameters"]})
    nbformat.write(new_notebook(cells=[cell]), "nb.ipynb")
    nbformat.write(new_notebook(cells=[new_code_cell("1 + ")]), "plain.ipynb")
    Path("text.ipynb").write_text("hello")
    Path("json.ipynb").write_text("[1]")
    Path("broken.yaml").write_text("symbols: [AAPL\n")
    Path("full").mkdir()
    Path("full", "file").touch()
    return tmp_path


WRONG = [
    ("", "the following arguments are required: COMMAND"),
    ("trade", "invalid choice: 'trade'"),
    ("run", "the following arguments are required: NOTEBOOK"),
    ("run nb.ipynb --speed 3", "unrecognized arguments: --speed 3"),
    ("run nowhere.ipynb", "there is no notebook nowhere.ipynb"),
    ("run text.ipynb", "text.ipynb cannot be read as a notebook"),
    ("run json.ipynb", "json.ipynb cannot be read as a notebook"),
    ("run full", "full is not a notebook"),
    ("run broken.yaml", "broken.yaml is not a notebook"),
    ("run nb.ipynb -p cycles", "expected 2 arguments"),
    ("run nb.ipynb -p cycles many", "parameter cycles is 'many'; it must be a whole number, like 3"),
    ("run nb.ipynb -p cyles 4", "the notebook has no parameter 'cyles'; did you mean cycles? It has cycles, out"),
    ("run nb.ipynb -p cycles 4 -p cycles 5", "a parameter is set twice"),
    ("run nb.ipynb -p out x", "use --out"),
    ("run plain.ipynb -p cycles 4", "tag the cell that assigns its parameters `parameters`"),
    ("run nb.ipynb --every soon", "'soon' is not a duration, write e.g. 30s, 5m, 1h or 1d"),
    ("run nb.ipynb --every 0m", "'0m' is not a duration"),
    ("run nb.ipynb --every 5m", "nb.ipynb has no parameter `every`, it does not loop; leave out --every"),
    ("run nb.ipynb --out full", "folder full is not empty"),
    ("run nb.ipynb --out nb.ipynb/x", "cannot be written"),
    ("run nb.ipynb plain.ipynb", "2 notebooks without --in-place"),
    ("run --in-place nb.ipynb -p cycles 4", "--in-place runs notebooks as they are"),
    ("cycle", "the following arguments are required: CONFIG"),
    ("cycle nowhere.yaml", "nowhere.yaml"),
    ("cycle broken.yaml", "broken.yaml"),
    ("cycle broken.yaml --cycles 0", "'0' is not a whole number of at least 1"),
    ("fetch", "the following arguments are required: SYMBOL"),
    ("fetch AAPL --source moon", "source 'moon' is not known"),
    ("fetch ../../x --dir cache", "symbol '../../x' is not allowed"),
    ("fetch AAPL --start soon --dir cache", "start is 'soon', which is no date"),
    ("fetch AAPL --start 2013-01-01 --end 2012-01-01 --dir cache", "start 2013-01-01 is after end 2012-01-01"),
    ("cache", "the following arguments are required"),
    ("cache drop", "invalid choice: 'drop'"),
]


@pytest.mark.parametrize(("line", "said"), WRONG, ids=[line for line, _ in WRONG])
def test_a_wrong_argument_is_one_sentence_and_exit_2(here, capsys, line, said):
    before = sorted(path for path in here.rglob("*") if "cache" not in path.parts)
    assert main(line.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("error: ") and printed.err.count("\n") == 1
    assert said in printed.err
    assert sorted(path for path in here.rglob("*") if "cache" not in path.parts) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_with_an_example(command, capsys):
    assert main([command, "--help"]) == 0
    assert f"\n  toolkit {command} " in capsys.readouterr().out


def test_the_command_line_names_every_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n    {name} " in shown for name in COMMANDS)


def test_the_module_is_the_command_line_and_help_imports_no_pandas():
    code = "import sys; from toolkit.cli import main; main(['--help']); print(sorted({'pandas', 'numba'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("[]\n"), done.stderr
    done = subprocess.run([sys.executable, "-m", "toolkit", "trade"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr


def test_an_interrupt_is_exit_130(monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "findings", interrupted)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "stopped by hand\n"


@pytest.mark.parametrize(("text", "length"), [("30s", 30.0), ("5m", 300.0), ("1.5h", 5400.0), ("1d", 86400.0)])
def test_durations_have_a_unit(text, length):
    assert seconds(text) == length


def test_two_runs_within_a_second_get_two_folders(here):
    first = default_folder()
    first.mkdir(parents=True)
    second = default_folder()
    assert second != first and not second.exists() and second.parent == first.parent


def test_fetch_saves_what_came_and_fails_for_what_did_not(here, capsys):
    assert main(["fetch", "AAPL", "XXXX", "--start", "2012-01-03", "--end", "2012-01-31", "--dir", "cache"]) == 1
    printed = capsys.readouterr()
    rows = [line.split() for line in printed.out.splitlines()]
    assert ["AAPL", "20", "2012-01-03", "2012-01-31", "456.48"] in rows  # as Apple traded; 20 sessions that January
    assert ["note:", "UNKNOWN_SYMBOL", "XXXX:"] in [row[:3] for row in rows]
    assert main(["fetch", "AAPL", "--dir", "cache"]) == 0
    assert "0 calls to sample" in capsys.readouterr().out


def test_a_flipped_byte_in_the_cache_is_found_set_aside_and_fetched_again(here, capsys):
    assert main(["fetch", "AAPL", "IBM", "--dir", "cache"]) == 0
    capsys.readouterr()
    assert main(["cache", "stats", "--dir", "cache"]) == 0
    assert "2 series" in capsys.readouterr().out
    largest = max(Path("cache").rglob("*.val"), key=lambda file: file.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    assert main(["cache", "verify", "--dir", "cache"]) == 1
    assert "1 of 2 series are whole" in capsys.readouterr().out
    assert main(["cache", "verify", "--dir", "cache"]) == 0
    assert main(["fetch", "AAPL", "IBM", "--dir", "cache"]) == 0


def test_clearing_with_bars_empties_the_cache(here, capsys):
    main(["fetch", "AAPL", "--dir", "cache"])
    assert main(["cache", "clear", "--dir", "cache"]) == 0
    assert main(["cache", "stats", "--dir", "cache"]) == 0
    assert "1 series" in capsys.readouterr().out
    assert main(["cache", "clear", "--bars", "--dir", "cache"]) == 0
    assert main(["cache", "stats", "--dir", "cache"]) == 0
    assert "0 series" in capsys.readouterr().out


def test_doctor_finds_this_machine_well_and_a_file_in_place_of_the_cache_folder_wrong(here, capsys):
    assert main(["doctor", "--dir", "cache"]) == 0
    assert "WRONG" not in capsys.readouterr().out
    Path("taken").touch()
    assert main(["doctor", "--dir", "taken"]) == 1
    printed = capsys.readouterr()
    assert "WRONG  cache" in printed.out and printed.err == "error: 1 check failed, see WRONG above\n"


def test_only_the_command_that_was_asked_for_is_imported():
    assert parser(None).parse_args(["doctor"]).command == "doctor"


def test_stored_bars_are_taken_out_without_a_request(here, capsys):
    assert main(["fetch", "AAPL", "IBM", "--dir", "cache"]) == 0
    assert main(["cache", "export", "out/prices.csv", "AAPL", "IBM", "--dir", "cache"]) == 0
    assert "6,540" in capsys.readouterr().out or len(Path("out/prices.csv").read_text().splitlines()) == 6541
    assert main(["cache", "export", "out", "AAPL", "--kind", "csv.gz", "--dir", "cache"]) == 0
    assert main(["fetch", "AAPL", "--source", "folder:out", "--dir", "cache"]) == 0
    assert "3270" in capsys.readouterr().out
    assert main(["cache", "export", "out/other.csv", "MSFT", "--dir", "cache"]) == 1
    assert "run `toolkit fetch MSFT --source sample` first" in capsys.readouterr().err
    assert main(["cache", "export", "out/prices.xlsx", "AAPL", "--dir", "cache"]) == 2
    assert main(["cache", "stats", "--dir", "elsewhere"]) == 2 and not Path("elsewhere").exists()


def test_weekly_bars_and_a_made_up_market_from_the_command_line(here, capsys):
    assert main(["fetch", "AAA", "--source", "synthetic:7", "--interval", "1wk", "--end", "2012-12-31", "--dir", "cache"]) == 0
    assert "AAA" in capsys.readouterr().out
    assert main(["cache", "stats", "--dir", "cache"]) == 0
    assert "records found: " in capsys.readouterr().out
