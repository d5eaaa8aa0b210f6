"""Files for the tests of compression."""

from springback.data.plain_text import look

KINDS = {
    "korean": "한국어 문장입니다. 띄어쓰기도 있고,\n줄도 바뀝니다. " * 20,
    "emoji": "🙂👩‍👩‍👧‍👦🏳️‍🌈 e\u0301 é \u200b\ufeff" * 30,
    "control tokens": "<|im_end|> <|im_start|>user\n<|pad|>" * 20,
    "line ends": "a\r\nb\rc\n\n\r\n  \t x \x00\x07\x1b" * 30,
    "one letter": "a",
    "no end of line": "word " * 300,
}


def write(folder, *contents):
    """Each content as a file of its own, looked at."""
    for index, content in enumerate(contents):
        (folder / f"{index}.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    return [look(folder / f"{index}.txt") for index in range(len(contents))]


def silent(_done, _total):
    """Nothing is reported."""
