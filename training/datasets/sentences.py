"""English sentences and pseudo-word sentences from our own word lists and a small grammar.

Everything is drawn from a seeded generator.  A sentence belongs to training or is held out
by a checksum of its text, so the two sets are disjoint whatever the seeds; the sentences of
``HELD_OUT_SENTENCES`` are held out as well.
"""

from __future__ import annotations

import zlib

import numpy as np

_DETERMINERS = "the a my your our this that every another one".split()
_PLURAL_DETERMINERS = "the my your our these those five many both some most".split()
_ADJECTIVES = (
    "big small purple warm brave heavy happy famous blue young pale simple open broken quiet bitter "
    "golden empty awful proper narrow smooth yellow vast joyful loud rough modern foggy clever marble "
    "wooden amber fluffy shiny brown thick five-pound velvet orange huge busy pretty mighty pure vivid"
).split()
_NOUNS = (
    "map boat apple monkey piper baby father mother farmer window village river measure poem pebble "
    "lamb bamboo valley oyster voyage joy thumb feather bishop pepper butter summer garden chapel "
    "power table bottle camera problem moment paper puppy pump palm bird wolf tower bath shop room "
    "brother mouth tooth leather zebra vision treasure garage engine jacket judge bridge church cheese "
    "flower house cow cloud boy toy coin noise food moon shoe fruit music view book foot wool sugar "
    "ball door horse water daughter walnut dog box clock coffee hammer lantern cabbage animal "
    "coat road boulder phone home opera elbow eagle evening leaf bean street teacher machine "
    "song king ring spring wing tongue morning painting building meeting collision television decision "
    "mirage fudge chapter peach wagon finger thief hedge hat hill hand"
).split()
_PLURALS = (
    "maps boats apples monkeys farmers windows rivers poems pebbles lambs oysters thumbs feathers bottles "
    "problems papers puppies bees birds wolves towers brothers mouths jackets bridges flowers clouds boys "
    "coins noises shoes books balls doors horses coats roads phones eagles leaves beans teachers maples"
).split()
_VERBS = (
    "bought found painted borrowed moved followed opened watched measured remembered stopped pushed "
    "carried kept brought loved covered improved pulled wrapped shaped bumped married "
    "enjoyed imagined employed avoided answered washed fixed chose viewed phoned fed believed saved "
    "obeyed swallowed tapped robbed mapped climbed admired promised imported examined showed"
).split()
_INTRANSITIVE = (
    "vanished|walked away|came home|fell over|moved slowly|opened up|woke up|jumped|appeared|slept|burned|"
    "sang along|bowed happily|flew by|paused|stood up|sailed off|waved back|popped|smiled"
).split("|")
_ADVERBS = (
    "slowly perhaps maybe often always above everywhere yesterday tomorrow again somehow quickly "
    "together formally soon early probably publicly bravely"
).split()
_PLACES = (
    "by the bay|above the pond|before supper|on a farm|near the bridge|in the upper room|under the moon|"
    "behind the barn|from Boston|at the opera|beyond the valley|along the path|for my mother|over the wall|"
    "with both thumbs|without a map|in May|after five o'clock|beneath the oak|through the fog"
).split("|")
_NAMES = (
    "Bob Emma Papa Mabel Victor Thomas Amy Joyce Paul Beth Hugo Oscar Eva Fabian Zoe Martha Tom Ruby "
    "Peter Molly Abby Pamela Bev Philip Vivian Sophie Howard Maud"
).split()
_OPENERS = (
    "Well,|Of course,|Maybe|I hope|We believe|You know,|By now|Oh,|Somebody said|Please remember:|"
    "My point is that|Above all,|If you ask me,|They say"
).split("|")
_QUESTIONS = (
    "How much did {name} pay for {noun}?|Why would {name} move {noun} {place}?|Do you have {noun}?|"
    "May I borrow {noun} {adverb}?|Who put {noun} {place}?|What about {plural}?|Could we open {noun}?|"
    "Where shall we meet, {name}?|Have you ever seen {noun} {place}?"
).split("|")
_COMMANDS = (
    "Please pass me {noun}.|Put {noun} {place}.|Move {plural} {place} and wait.|Bring {name} {noun}.|"
    "Stop, look, and open {noun}.|Never push {plural} {place}.|Keep both {plural} warm.|"
    "Imagine {noun} {place}."
).split("|")

#: Pseudo-words are spelled from these, all equally likely, so that rare phones get their share.
_ONSETS = "p b m f v w t d n s z sh ch j k g l r y h th pl br fl bl sm st tr sw qu".split()
_NUCLEI = "a e i o u ee oo oa ai ow oy aw ar er igh ou".split()
_CODAS = "p b m f v t d n s z sh ch k g l ng ng th sion sure mp ft lm".split()

#: Written by hand and never trained on; the shipped samples come from here.
HELD_OUT_SENTENCES = (
    "Baby bears play above the old mill pond.",
    "My brave uncle bought five pumpkins for Amy.",
    "Pop the paper bag before Mama wakes up.",
    "A warm breeze moved over the empty beach.",
    "Half of the family lives beyond that mountain.",
    "We would pay a lot for a view of the bay.",
    "Both of them laughed about the funny movie.",
    "Bobby may have found my father's old map.",
    "Please show the boys how the machine works.",
    "Every evening the fisherman waves from his boat.",
    "Maple syrup and butter make a proper breakfast.",
    "The judge chose an orange jacket without a button.",
    "Who owns the purple umbrella by the door?",
    "Somehow the puppy climbed up the tall bookshelf.",
    "I hope the farmer sold all of his apples.",
    "You can hardly measure the pleasure of good food.",
    "Few people ever saw the vast cave below.",
    "Paul and Emma opened a small shop in May.",
    "Those heavy boxes fell off the moving van.",
    "Our new teacher speaks slowly and very clearly.",
)
#: One sentence in this many is held out by its checksum.
_HELD_OUT_SHARE = 10


def is_held_out(sentence: str) -> bool:
    """True for sentences that training must never use."""
    return sentence in HELD_OUT_SENTENCES or zlib.crc32(sentence.lower().encode()) % _HELD_OUT_SHARE == 0


def draw_sentence(rng: np.random.Generator, *, held_out: bool) -> str:
    """One sentence of the wanted set: three quarters English, one quarter pseudo-words."""
    if held_out and rng.random() < 0.3:
        return HELD_OUT_SENTENCES[int(rng.integers(len(HELD_OUT_SENTENCES)))]
    while True:
        sentence = _pseudo_sentence(rng) if rng.random() < 0.25 else _english_sentence(rng)
        if is_held_out(sentence) == held_out:
            return sentence


def _pick(rng: np.random.Generator, items: list[str]) -> str:
    return items[int(rng.integers(len(items)))]


def _singular(rng: np.random.Generator) -> str:
    adjective = f"{_pick(rng, _ADJECTIVES)} " if rng.random() < 0.6 else ""
    words = adjective + _pick(rng, _NOUNS)
    determiner = _pick(rng, _DETERMINERS)
    if determiner in ("a", "one", "another") and words[0] in "aeiou":
        determiner = "an" if determiner == "a" else determiner
    return f"{determiner} {words}"


def _plural(rng: np.random.Generator) -> str:
    adjective = f"{_pick(rng, _ADJECTIVES)} " if rng.random() < 0.5 else ""
    return f"{_pick(rng, _PLURAL_DETERMINERS)} {adjective}{_pick(rng, _PLURALS)}"


def _subject(rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.35:
        return _pick(rng, _NAMES)
    return _singular(rng) if kind < 0.75 else _plural(rng)


def _filled(rng: np.random.Generator, pattern: str) -> str:
    return pattern.format(
        name=_pick(rng, _NAMES), noun=_singular(rng), plural=_pick(rng, _PLURALS),
        place=_pick(rng, _PLACES), adverb=_pick(rng, _ADVERBS),
    )  # fmt: skip


def _clause(rng: np.random.Generator) -> str:
    words = _subject(rng)
    if rng.random() < 0.2:
        words += f" {_pick(rng, _INTRANSITIVE)}"
    else:
        words += f" {_pick(rng, _VERBS)} {_singular(rng) if rng.random() < 0.6 else _plural(rng)}"
    if rng.random() < 0.45:
        words += f" {_pick(rng, _PLACES)}"
    elif rng.random() < 0.3:
        words += f" {_pick(rng, _ADVERBS)}"
    return words


def _english_sentence(rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.15:
        sentence = _filled(rng, _pick(rng, _QUESTIONS))
    elif kind < 0.3:
        sentence = _filled(rng, _pick(rng, _COMMANDS))
    elif kind < 0.5:
        sentence = f"{_pick(rng, _OPENERS)} {_clause(rng)}."
    elif kind < 0.7:
        joint = _pick(rng, ["and", "but", "because", "so", "while", "before"])
        sentence = f"{_clause(rng)}, {joint} {_clause(rng)}."
    else:
        sentence = f"{_clause(rng)}."
    return sentence[0].upper() + sentence[1:]


def _pseudo_word(rng: np.random.Generator) -> str:
    syllables = 1 + int(rng.integers(3))
    word = "".join(_pick(rng, _ONSETS) + _pick(rng, _NUCLEI) for _ in range(syllables))
    return word + (_pick(rng, _CODAS) if rng.random() < 0.5 else "")


def _pseudo_sentence(rng: np.random.Generator) -> str:
    words = [_pseudo_word(rng) for _ in range(3 + int(rng.integers(4)))]
    if len(words) > 4 and rng.random() < 0.5:
        words[2] += ","
    sentence = " ".join(words) + "."
    return sentence[0].upper() + sentence[1:]
