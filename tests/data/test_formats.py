"""Files as people write them, read alike with pyarrow and without."""

import gzip
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from p2pnet.data.flaws import Flaw
from p2pnet.data.readers import csv_reader
from p2pnet.data.readers.arrow_blocks import ArrowParser
from p2pnet.data.readers.blocks import Block, PlainParser
from p2pnet.data.readers.text_format import TextFormat, blocks
from p2pnet.data.reading import read_samples, read_table
from p2pnet.data.roles import Roles
from p2pnet.data.table import Numbers, Table, TableRequest, Texts
from p2pnet.errors import DataError

CASES = Path(__file__).parents[2].parent / "shared" / "cases" / "csv"
PARSERS = {"plain": PlainParser, "pyarrow": ArrowParser}


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "_parser", PARSERS[request.param])


def cells(table: Table) -> dict[str, list[Any]]:
    """What stands in the rows; a number that is missing is None."""
    found: dict[str, list[Any]] = {}
    for name, column in zip(table.names, table.columns, strict=True):
        if isinstance(column, Texts):
            found[name] = [column.levels[code] for code in column.codes]
        else:
            found[name] = [None if np.isnan(value) else value for value in column.values]
    return found


WRITTEN: dict[str, bytes] = {
    "plain": "a,b,y\n1.5,2,x\n-3,4e1,ü\n".encode(),
    "byte order mark and CRLF": "\ufeffa,b,y\r\n1.5,2,x\r\n-3,40,ü\r\n".encode(),
    "semicolons and decimal commas": "a;b;y\n1,5;2;x\n-3;40;ü\n".encode(),
    "tabs": "a\tb\ty\n1.5\t2\tx\n-3\t40\tü\n".encode(),
    "bars": "a|b|y\n1.5|2|x\n-3|40|ü\n".encode(),
    "quotes": '"a","b","y"\n"1.5","2","x"\n"-3","40","ü"\n'.encode(),
    "blank lines and blanks": "\na, b ,y\n\n 1.5 , 2, x\n-3,40,ü\n\n".encode(),
    "UTF-16": "a,b,y\n1.5,2,x\n-3,40,ü\n".encode("utf-16"),
    "UTF-16 without a mark": "a,b,y\n1.5,2,x\n-3,40,ü\n".encode("utf-16-le"),
    "Windows": "a,b,y\n1.5,2,x\n-3,40,ü\n".encode("cp1252"),
    "no end of line": "a,b,y\n1.5,2,x\n-3,40,ü".encode(),
    "columns in quotes with line ends": b'"a","b","y"\n1.5,2,"x\n"\n-3,40,\xc3\xbc\n',
}


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("kind", WRITTEN)
def test_one_table_in_many_forms(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(WRITTEN[kind])
    table = read_table(path, TableRequest())
    assert cells(table) == {"a": [1.5, -3], "b": [2, 40], "y": ["x", "ü"]}
    assert not table.flaws


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("pack", ["gz", "zst"])
def test_packed_files_are_unpacked(tmp_path: Path, pack: str) -> None:
    content = b"a,y\n" + b"".join(b"%d,x\n" % row for row in range(5000))
    path = tmp_path / f"table.csv.{pack}"
    if pack == "gz":
        path.write_bytes(gzip.compress(content))
    else:
        import pyarrow as pa

        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(content)
    samples = read_samples(path)
    np.testing.assert_array_equal(samples.X[:, 0], np.arange(5000))


def test_a_packed_file_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b"a,y\n" + b"1,x\n" * 10_000)[:-20])
    with pytest.raises(DataError, match=r"table\.csv\.gz: ends too early"):
        read_samples(path)


@pytest.mark.usefixtures("parser")
def test_what_is_set_is_not_found_out(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a!b!y\n1,5!2!x\n", encoding="utf-8")
    request = TableRequest(delimiter="!", decimal=",", encoding="utf-8")
    assert cells(read_table(path, request)) == {"a": [1.5], "b": [2], "y": ["x"]}
    path.write_bytes(b"a,y\n\xff,x\n")
    with pytest.raises(DataError, match="is not utf-8 text"):
        read_table(path, TableRequest(encoding="utf-8", texts=None))
    with pytest.raises(DataError, match="encoding 'klingon' is not known"):
        read_table(path, TableRequest(encoding="klingon"))


def test_a_directory_is_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "2.csv").write_text("y,a\nx,3\n")
    (tmp_path / "1.csv").write_text("a,y\n1,x\n2,z\n")
    (tmp_path / "notes.txt").write_text("not a table")
    table = read_table(tmp_path, TableRequest())
    assert cells(table) == {"a": [1, 2, 3], "y": ["x", "z", "x"]}
    assert [table.place(row) for row in range(3)] == ["1.csv line 2", "1.csv line 3", "2.csv line 2"]
    (tmp_path / "3.csv").write_text("a,b,y\n1,2,x\n")
    with pytest.raises(DataError, match=r"1\.csv and 3\.csv differ in their columns: b"):
        read_table(tmp_path, TableRequest())


def test_a_column_that_is_text_in_one_file_only_is_named(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"a": [1.0], "y": ["x"]}), tmp_path / "1.parquet")
    parquet.write_table(pa.table({"a": ["one"], "y": ["x"]}), tmp_path / "2.parquet")
    with pytest.raises(
        DataError, match=r"column 'a': is text in one of 1\.parquet and 2\.parquet, numbers in the other"
    ):
        read_table(tmp_path, TableRequest())


def test_parquet_has_columns_of_every_kind(tmp_path: Path) -> None:
    from datetime import date

    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "table.parquet"
    columns = {
        "n": pa.array([1, None, 2**60]),
        "f": [0.5, None, 2.5],
        "b": [True, False, None],
        "d": [date(1970, 1, 2), None, date(1970, 1, 3)],
        "t": ["u", "v", None],
        "y": pa.array([2**60 + 1, 2, 3]),
    }
    parquet.write_table(pa.table(columns), path)
    table = read_table(path, TableRequest())
    assert cells(table)["f"] == [0.5, None, 2.5]
    assert cells(table)["b"] == [1, 0, None]
    assert cells(table)["y"] == [str(2**60 + 1), "2", "3"]  # a label is never rounded
    samples = read_samples(path, Roles(dates=("d",), categorical=("t",), missing="mean", ignore=("n",)))
    assert samples.X.shape == (3, 2 + 7)
    assert samples.X[:, 1].tolist()[::2] == [1, 2]
    assert samples.categories[0].codes.tolist() == [0, 1, -1]


def test_lines_that_are_no_rows_are_named_all_at_once(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b,y\n1,2,x\n3\n4,5,6,7\nred,2,x\n,2,x\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_samples(path)
    told = str(caught.value)
    for what in (
        "table.csv: 4 problems",
        "line 3: has 1 values, the header names 3 columns",
        "line 4: has 4 values",
        "column 'a': text 'red' in 1 row (line 5)",
        "column 'a': the value is missing in 1 row (line 6)",
    ):
        assert what in told


# The two parsers.

CELLS = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.integers().map(str),
    st.sampled_from(
        ["", " ", "NA", "n/a", "yes", "No", "+1", "1_0", "inf", "1,5", '"', '"a', "a\nb", "ü", "x", " 7 ", "0x1"]
    ),
)
ROWS = st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=12)
QUOTE: list[Callable[[str], str]] = [
    lambda cell: cell.replace("\n", " ").replace('"', "").replace(",", "."),
    lambda cell: '"' + cell.replace('"', '""') + '"',
]


def same(one: Block, other: Block) -> None:
    assert one.lines.tolist() == other.lines.tolist()
    assert one.n_lines == other.n_lines
    assert [flaw.text for flaw in one.flaws] == [flaw.text for flaw in other.flaws]
    for mine, theirs in zip(one.columns, other.columns, strict=True):
        assert type(mine) is type(theirs)
        if isinstance(mine, Numbers) and isinstance(theirs, Numbers):
            np.testing.assert_array_equal(mine.values, theirs.values)
            assert mine.text_rows.tolist() == theirs.text_rows.tolist()
            assert list(mine.texts) == list(theirs.texts)
        elif isinstance(mine, Texts) and isinstance(theirs, Texts):
            assert [mine.levels[k] for k in mine.codes] == [theirs.levels[k] for k in theirs.codes]


@given(rows=ROWS, quotes=st.lists(st.sampled_from([0, 1]), min_size=36, max_size=36), decimal=st.sampled_from(".,"))
def test_both_parsers_read_the_same(rows: list[list[str]], quotes: list[int], decimal: str) -> None:
    marks = iter(quotes)
    text = "".join(",".join(QUOTE[next(marks)](cell) for cell in row) + "\n" for row in rows)
    file_format = TextFormat("utf-8", ",", decimal)
    plain, fast = PlainParser(file_format, 3, {2}), ArrowParser(file_format, 3, frozenset({2}))
    for _ in range(2):  # the fast one learns which columns are mixed
        same(plain.parse(text.encode(), 5), fast.parse(text.encode(), 5))


@given(st.text(alphabet='ab1,.\n\r" ;', max_size=60))
@example(',""1')  # text after a closing quote
def test_both_parsers_read_the_same_of_any_text(text: str) -> None:
    file_format = TextFormat("utf-8", ",", ".")
    plain, fast = PlainParser(file_format, 2, {1}), ArrowParser(file_format, 2, frozenset({1}))
    same(plain.parse(text.encode(), 1), fast.parse(text.encode(), 1))


@given(st.text(alphabet='a,"\n', max_size=200), st.integers(1, 50))
def test_blocks_are_the_whole_text(text: str, size_bytes: int) -> None:
    import io

    parts = list(blocks(io.BytesIO(text.encode()), "utf-8", size_bytes))
    assert b"".join(parts).decode() == text
    assert all(part.endswith(b"\n") for part in parts[:-1])
    again = list(blocks(io.BytesIO(text.encode("utf-16")), "utf-16", size_bytes))
    assert b"".join(again).decode() == text


def test_every_case_file_is_read_the_same_by_both(monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted(CASES.glob("*.csv"))
    if not files:
        pytest.skip(f"no case files in {CASES}: only the small texts of this file were compared")
    for path in files:
        told: list[tuple[object, ...]] = []
        for made in PARSERS.values():
            monkeypatch.setattr(csv_reader, "_parser", made)
            for texts in (frozenset[str](), None):
                table = read_table(path, TableRequest(texts=texts))
                told.append((cells(table), [flaw.text for flaw in table.flaws], table.notes, table.target))
        assert told[0] == told[2], path.name
        assert told[1] == told[3], path.name


def test_reading_with_pyarrow_imports_no_pandas(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text("a,b,y\n1,0,yes\n2,3,no\n")
    program = (
        "import sys; from pathlib import Path; from p2pnet.data.reading import read_samples\n"
        "read_samples(Path(sys.argv[1])); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "samples.csv")], capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.split())
    assert "pyarrow" in imported
    assert "pandas" not in imported


def test_without_pyarrow_the_plain_parser_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert importlib.util.find_spec("pyarrow") is not None
    path = tmp_path / "table.csv"
    path.write_text("a,y\n1,x\n2,z\n")
    import sys

    monkeypatch.delitem(sys.modules, "p2pnet.data.readers.arrow_blocks")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert isinstance(csv_reader._parser(TextFormat("utf-8", ",", "."), 2, frozenset()), PlainParser)
    assert read_samples(path).classes == ("x", "z")
    with pytest.raises(DataError, match=r"needs pyarrow: pip install 'p2pnet\[tables\]'"):
        read_samples(tmp_path / "table.parquet")


def test_flaws_say_what_would_solve_them(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(",a,y\n1,2,x\n", encoding="utf-8")
    (flaw,) = read_table(path, TableRequest()).flaws
    assert flaw == Flaw(flaw.text, {"ignore": ["column 1"]}, "column 1")
    assert read_samples(path, Roles(ignore=("column 1",))).feature_names == ("a",)
