from markupsafe import Markup

from springback.report.seen import finalize, said, token, visible


def test_control_and_direction_characters_become_visible():
    assert visible("a\x1b[31m\u202eb\u200b") == "a⟨U+001B⟩[31m⟨U+202E⟩b⟨U+200B⟩"


def test_a_lone_surrogate_becomes_visible_so_that_a_page_can_be_written():
    assert visible("x\ud800y").encode() == "x⟨U+D800⟩y".encode()


def test_ordinary_text_in_any_script_stays_as_it_is():
    for text in ("고양이", "naïve 12 %", "👩‍👩‍👧", "עברית", "−0.5"):
        assert visible(text) == text


def test_lines_are_marked_and_still_break_where_a_text_is_shown():
    assert visible("a\r\nb") == "a↵b"
    assert visible("a\nb", lines=True) == "a↵\nb"


def test_what_a_model_said_is_escaped_and_isolated():
    assert said("<b>\u2067") == Markup('<bdi class="said" dir="auto">&lt;b&gt;⟨U+2067⟩</bdi>')


def test_a_token_of_spaces_can_be_seen():
    assert "␣␣" in token("  ")
    assert "∅" in token("")


def test_markup_of_our_own_is_not_touched_and_none_prints_nothing():
    assert finalize(Markup("<b>")) == Markup("<b>")
    assert finalize(None) == ""
