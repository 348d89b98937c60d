"""The costs that the chapters quote: tests/quoted-costs.tsv lists them, `make
bench` counts and compares.  Here: each phrase still stands in its chapter, and
what it says of the published JOS is right."""
import pytest

import bench
from trees import ROOT


@pytest.mark.parametrize("line, chapter, phrase, numbers, tolerance",
                         bench.quotes(), ids=lambda x: None)
def test_quotation_stands_in_its_chapter(line, chapter, phrase, numbers, tolerance):
    path, = (ROOT / "chapters").glob(f"{chapter}-*.nw")
    assert path.read_text().count(phrase) == 1, \
        f"quoted-costs.tsv:{line}: {path.name} doesn't say {phrase!r}"


def test_quoted_rows_exist_and_published_figures_are_right():
    rows = bench.published()
    known = {f"published: {name}": was for name, (was, _) in rows.items()}
    wrong = [text for text in bench.wrong_quotes(known) if "published" in text]
    assert not wrong


def test_a_wrong_number_is_noticed():
    figures = {row: bench.value(number) for _, _, _, numbers, _ in bench.quotes()
               for number, row in numbers}
    assert not [text for text in bench.wrong_quotes(figures)
                if "nothing counts" in text]
    figures["null system call"] = 300
    assert [text for text in bench.wrong_quotes(figures)
            if "says 250" in text and "null system call is 300" in text]


def test_numbers_as_they_are_written():
    assert bench.value("1,900") == 1900
    assert bench.value("3.7 million") == bench.value("3.7") == 3.7e6
