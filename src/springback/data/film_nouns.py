"""The nouns by which film-review snippets are matched: what a review can be *about*, in no word a judgement.

Left out on purpose: nouns that praise or blame (masterpiece, mess, charm, waste, fun), proper names, and words that
are mostly verbs or adjectives in reviews (work, look, feel, show, play, kind).
"""

from typing import Final

WORDS: Final = """
    acting action actor actress adaptation adventure animation artist audience biography biopic book boy budget camera
    career cartoon cast casting chapter character chase childhood chemistry cinema cinematography city climax comedian
    comedy company costume couple credit crime crowd culture debut dialogue direction director documentary drama editing
    effect ending ensemble entertainment episode event face family fan fantasy fairy farce feature festival fiction
    figure film filmmaker filmmaking flick footage frame franchise friend friendship game gangster genre ghost
    girl gag hero history hollywood horror hour humor idea image issue joke journey kid killer language laugh lesson
    location lyric man marriage material melodrama memory message metaphor moment monster mood morality mother
    motive movie murder music musical mystery mythology narration narrative novel opera pace pacing parent parody
    performance performer period picture plot poetry politics portrait premise prequel producer production project
    protagonist relationship remake role romance satire scenario scene school score screen screenplay screenwriter
    script season sequel sequence series setting situation soldier song soundtrack star story storyline
    storytelling studio stunt style subject subplot subtitle suspense tale teen television theater theme thriller title
    tone trailer trick trilogy twist vampire version video viewer villain violence visual voice war western woman world
    writer writing year
"""

NOUNS: Final = tuple(WORDS.split())

IRREGULAR: Final = {
    "man": "men",
    "woman": "women",
    "hero": "heroes",
    "series": "series",
    "politics": "politics",
}
"""Plurals that the rule of `film_matching` (s, es, ies) does not give, and nouns with one form."""
