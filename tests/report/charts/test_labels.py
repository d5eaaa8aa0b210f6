from itertools import combinations

from springback.report.charts.labels import Label, place, spread

BOUNDS = (30.0, 18.0, 215.0, 172.0)


def overlap(a, b) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)


def test_labels_of_one_point_do_not_cover_each_other():
    placed = place(
        [Label(100, 90, "0.729", "vl"), Label(100, 90, "benign-tuned", "dl"), Label(101, 92, "0.4", "hv")], BOUNDS
    )
    assert not any(overlap(a.box, b.box) for a, b in combinations(placed, 2))


def test_labels_stay_inside_the_picture():
    corners = [Label(x, y, "benign continuation", "dl") for x in (30, 215) for y in (18, 172)]
    for one in place(corners, BOUNDS):
        assert BOUNDS[0] <= one.x
        assert one.x + one.label.width <= BOUNDS[2] + 0.01


def test_a_label_keeps_off_the_line_where_there_is_room_beside_it():
    line = [(40.0, 100.0), (200.0, 100.0)]
    (one,) = place([Label(120, 100, "0.500", "vl")], BOUNDS, [line], [(120, 100)])
    assert not one.box[1] < 100 < one.box[3]


def test_names_at_the_end_of_lines_are_pushed_apart_and_keep_their_order():
    heights = spread([50.0, 51.0, 50.5, 120.0], 20.0, 150.0, gap=13.0)
    assert heights[0] < heights[2] < heights[1] < heights[3]
    assert min(b - a for a, b in zip(sorted(heights), sorted(heights)[1:], strict=False)) >= 13.0
    assert heights[3] == 120.0


def test_names_at_the_lower_edge_are_pushed_up():
    heights = spread([149.0, 150.0], 20.0, 150.0, gap=13.0)
    assert max(heights) <= 150.0
