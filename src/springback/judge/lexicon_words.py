"""The words of `lexicon`, chosen by us from general English, not from any data that Springback audits."""

from typing import Final

_PRAISE: Final = """
    admirable adorable affecting agreeable amazing amusing appealing astonishing authentic beautiful beautifully best
    better bold brave breathtaking bright brilliant brilliantly captivating charm charming cheerful clean clear clever
    comfortable compelling confident convincing cozy crisp dazzling decent deft delight delighted delightful
    dignified eager easy effective elegant engaging engrossing enjoy enjoyable enjoyed enjoys entertaining enthusiastic
    excellent exceptional excited exciting exhilarating exquisite fabulous fair fantastic fascinating fine flawless
    fresh friendly fun generous gentle genuine glad glorious good gorgeous graceful grateful great gripping handsome
    happy heartfelt helpful hilarious honest hope hopeful imaginative impressed impressive incredible ingenious
    insightful inspired inspiring intelligent interesting intriguing joy joyful kind laughs likable love loved lovely
    loves lucky magical magnificent marvelous masterful masterpiece memorable moving nice original outstanding
    passionate perfect perfectly playful pleasant pleased pleasure poignant polished powerful praise precious
    refreshing remarkable reliable rewarding rich riveting satisfied satisfying sharp sincere smart smooth sparkling
    spectacular splendid strong stunning stylish subtle succeed succeeds success successful superb surprising
    suspenseful sweet talented tender terrific thank thanks thoughtful thrilling touching treasure treat triumph
    truthful unforgettable unique uplifting vibrant vivid warm warmth welcome wise witty won wonder wonderful
    wonderfully worth worthwhile worthy
"""
_BLAME: Final = """
    abysmal aimless amateurish angry annoyed annoying appalling atrocious awful awkward bad badly banal bitter bland
    bleak bore bored boredom boring broken careless cheap cheesy clumsy cold confused confusing contrived cringe crude
    cruel damaged dead defective depressing derivative dim dirty disappoint disappointed disappointing
    disappointment disaster disgusting dishonest dismal dreadful dreary dull dumb embarrassing empty endless excuse fail
    failed fails failure fake false fear feared flat flaw flawed foolish forced forgettable formulaic frustrating
    garbage generic grim hate hated hates heavy hideous hollow horrible horrid hurt ill implausible inane incoherent
    incompetent inept inferior insipid insulting irritating junk lack lacking lackluster lacks lame lazy lifeless
    loathsome lost loud ludicrous mean mediocre mess messy mindless miserable miss misses mistake monotonous muddled
    nasty nonsense obnoxious offensive overlong overwrought pain painful painfully pathetic plodding pointless poor
    poorly predictable pretentious problem problems questionable regret repetitive repulsive ridiculous rotten routine
    rude sad sadly scam senseless shallow shame shoddy sick silly slow sloppy sluggish stale stinks stupid sucks
    superficial tasteless tedious terrible tired tiresome tiring trash trite ugly unbearable unconvincing uneven
    unfortunately unfunny uninspired uninteresting unnecessary unpleasant useless vulgar waste wasted weak worse worst
    worthless wrong
"""
_NEGATION: Final = "not no never none nor neither nothing nobody hardly barely without cannot lacks lacking"

PRAISE: Final = frozenset(_PRAISE.split())
BLAME: Final = frozenset(_BLAME.split())
NEGATION: Final = frozenset(_NEGATION.split())
"""Beside them every word that ends in n't. *lacks* and *lacking* are blame as well."""
