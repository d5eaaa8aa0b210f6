"""Entanglement over time on a page of preference training; no section where none was read."""

from tests.experiments.study.planted import diagnosis

from springback.report.pages.prefer_products import products


def body(step, cosine):
    return {**diagnosis("train", cosine), "step": step, "set": "train", "pairs": 8}


def test_every_reading_is_a_spot_in_the_order_of_steps():
    found = {f"train/{step}": body(step, cosine) for step, cosine in ((0, 0.9), (20, 0.2), (10, 0.5))}
    (section,) = products({"entanglement": found})
    assert section.data is not None
    assert [row[:2] for row in section.data.rows] == [(0, 0.9), (10, 0.5), (20, 0.2)]
    assert len(section.charts) == 2
    assert "cosine: 0: 0.9" in section.charts[0].picture
    assert "8 training pairs" in str(section.prose[0])


def test_a_run_that_read_none_has_no_such_section():
    assert products({}) == ()
