"""The words of :mod:`~scripts.reviews`: subjects, their parts, and what is said of them.

Lists of adjectives run from common to rare; they are drawn by Zipf's law (weight 1 / rank), so the
ends of the lists turn up only a few times in thousands of sentences.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Subject:
    """Something reviewed.

    Attributes:
        things: what it is called: "film".
        parts: ``(noun, verb)`` such as ``("acting", "is")``.
        good, bad: adjectives that fit its parts, common first.
        pleasures, annoyances: nouns after "for all its": "charm".
        done: what one did with it: "watched".
        unit: one piece of it: "scene".
        span: all of it: "from start to finish".
    """

    things: tuple
    parts: tuple
    good: tuple
    bad: tuple
    pleasures: tuple
    annoyances: tuple
    done: str
    unit: str
    span: str


FILM = Subject(
    things=(
        "film", "movie", "comedy", "thriller", "drama", "sequel", "documentary", "western", "musical",
    ),
    parts=(
        ("acting", "is"), ("plot", "is"), ("dialogue", "is"), ("ending", "is"), ("music", "is"),
        ("performances", "are"), ("script", "is"), ("jokes", "are"), ("pacing", "is"),
        ("opening", "is"), ("songs", "are"), ("direction", "is"), ("second half", "is"),
        ("supporting cast", "is"), ("fight scenes", "are"), ("love story", "is"), ("camerawork", "is"),
        ("final twist", "is"),
    ),
    good=(
        "good", "great", "funny", "wonderful", "clever", "moving", "brilliant", "charming", "gripping",
        "touching", "beautiful", "superb", "witty", "sharp", "warm", "inventive", "stylish", "tender",
        "thrilling", "graceful", "riveting", "hilarious", "delicate", "assured", "luminous",
        "mesmerising", "sly", "exquisite", "bracing", "sublime", "effervescent", "incandescent",
        "mordant", "transcendent",
    ),
    bad=(
        "bad", "boring", "dull", "predictable", "weak", "terrible", "silly", "flat", "tedious",
        "awful", "confusing", "lazy", "clumsy", "lifeless", "pointless", "wooden", "forced", "hollow",
        "shallow", "stale", "muddled", "dreary", "laboured", "grating", "contrived", "tiresome",
        "vapid", "mawkish", "insipid", "turgid", "lugubrious", "slapdash", "soporific", "meretricious",
    ),
    pleasures=(
        "charm", "style", "energy", "ambition", "good looks", "wit", "star power", "fine intentions",
    ),
    annoyances=(
        "noise", "clichés", "rough edges", "silliness", "length", "loose ends", "plot holes",
        "sentiment",
    ),
    done="watched", unit="scene", span="from start to finish",
)  # fmt: skip

BOOK = Subject(
    things=(
        "book", "novel", "memoir", "biography", "story collection", "mystery", "debut", "translation",
    ),
    parts=(
        ("prose", "is"), ("plot", "is"), ("characters", "are"), ("ending", "is"),
        ("first chapter", "is"), ("dialogue", "is"), ("narrator", "is"), ("chapters", "are"),
        ("illustrations", "are"), ("premise", "is"), ("last hundred pages", "are"),
        ("footnotes", "are"), ("mystery", "is"), ("middle section", "is"),
    ),
    good=(
        "good", "wonderful", "beautiful", "clever", "moving", "gripping", "vivid", "funny", "elegant",
        "rich", "brilliant", "sharp", "wise", "convincing", "lively", "precise", "haunting", "lucid",
        "playful", "humane", "evocative", "sparkling", "limpid", "sinuous", "erudite", "crystalline",
        "mellifluous",
    ),
    bad=(
        "bad", "boring", "dull", "slow", "confusing", "weak", "flat", "predictable", "clumsy", "dry",
        "tedious", "pretentious", "thin", "implausible", "repetitive", "lifeless", "muddled",
        "overwrought", "bloated", "stilted", "humourless", "leaden", "ponderous", "florid", "prolix",
        "jejune",
    ),
    pleasures=(
        "learning", "elegance", "ambition", "clever ideas", "charm", "lovely sentences", "research",
    ),
    annoyances=(
        "digressions", "length", "footnotes", "coincidences", "mannerisms", "slow start", "loose ends",
    ),
    done="read", unit="page", span="from the first page to the last",
)  # fmt: skip

MEAL = Subject(
    things=(
        "restaurant", "café", "bistro", "noodle bar", "bakery", "pizzeria", "diner", "tea room",
        "steakhouse",
    ),
    parts=(
        ("soup", "is"), ("service", "is"), ("bread", "is"), ("pasta", "is"), ("coffee", "is"),
        ("desserts", "are"), ("sauces", "are"), ("menu", "is"), ("waiters", "are"),
        ("wine list", "is"), ("dumplings", "are"), ("fish", "is"), ("vegetables", "are"),
        ("lunch menu", "is"), ("chocolate cake", "is"),
    ),
    good=(
        "good", "great", "excellent", "lovely", "wonderful", "superb", "terrific", "outstanding",
        "first-rate", "splendid", "delightful", "dependable", "generous", "unforgettable",
        "impeccable", "sublime", "memorable", "exemplary", "peerless",
    ),
    bad=(
        "bad", "awful", "terrible", "poor", "mediocre", "disappointing", "dreadful", "careless",
        "forgettable", "second-rate", "overpriced", "dismal", "uninspired", "miserable", "woeful",
        "lacklustre", "abysmal", "lamentable", "execrable",
    ),
    pleasures=(
        "fine linen", "good reviews", "lovely view", "charm", "big portions", "cosy corners", "fame",
    ),
    annoyances=(
        "noise", "wobbly tables", "queues", "plastic chairs", "tiny portions", "odd opening hours",
    ),
    done="visited", unit="bite", span="every single time",
)  # fmt: skip

GADGET = Subject(
    things=(
        "phone", "kettle", "camera", "keyboard", "vacuum cleaner", "tablet", "speaker", "blender",
        "watch",
    ),
    parts=(
        ("battery", "is"), ("screen", "is"), ("manual", "is"), ("buttons", "are"), ("design", "is"),
        ("app", "is"), ("build quality", "is"), ("packaging", "is"), ("sound", "is"),
        ("support team", "is"), ("setup", "is"), ("accessories", "are"), ("power cable", "is"),
        ("menus", "are"),
    ),
    good=(
        "good", "great", "excellent", "solid", "impressive", "reliable", "superb", "clever",
        "outstanding", "sensible", "handy", "terrific", "thoughtful", "first-rate", "faultless",
        "ingenious", "exemplary", "unobtrusive", "irreproachable",
    ),
    bad=(
        "bad", "poor", "terrible", "useless", "flimsy", "awful", "disappointing", "cheap", "confusing",
        "unreliable", "clumsy", "mediocre", "dreadful", "infuriating", "shoddy", "baffling", "abysmal",
        "ramshackle", "execrable",
    ),
    pleasures=(
        "sleek looks", "clever features", "low price", "big promises", "good reviews",
        "fancy packaging",
    ),
    annoyances=(
        "quirks", "plain looks", "short cable", "weight", "odd menus", "loud beeps", "high price",
    ),
    done="used", unit="day", span="day after day",
)  # fmt: skip

SUBJECTS = (FILM, BOOK, MEAL, GADGET)
SUBJECT_WEIGHTS = (4, 3, 2, 2)

# "Very good" but "absolutely superb": words that already say the utmost take another adverb.
UTMOST = frozenset((
    "abysmal", "awful", "brilliant", "crystalline", "delightful", "dismal", "dreadful", "excellent",
    "execrable", "exemplary", "exquisite", "faultless", "first-rate", "great", "hilarious",
    "impeccable", "incandescent", "infuriating", "irreproachable", "lamentable", "lifeless",
    "mesmerising", "miserable", "outstanding", "peerless", "pointless", "riveting", "second-rate",
    "soporific", "splendid", "sublime", "superb", "terrible", "terrific", "thrilling", "transcendent",
    "unforgettable", "useless", "woeful", "wonderful",
))  # fmt: skip
UTMOST_DEGREES = (
    "", "", "", "truly ", "really ", "simply ", "absolutely ", "just ",
)  # fmt: skip
DEGREES = (
    "", "", "", "really ", "very ", "rather ", "quite ", "thoroughly ", "genuinely ", "surprisingly ",
    "oddly ",
)  # fmt: skip
HEDGES = (
    "I suppose", "I have to admit that", "In the end", "To be fair,", "On the whole", "I must say",
    "All told,", "If I am honest,", "By and large,",
)  # fmt: skip
PEOPLE = (
    "My sister", "My brother", "My mother", "My father", "My neighbour", "A friend of mine",
    "My flatmate", "Everyone else", "My cousin", "The critic in our paper", "My colleague",
    "Half the internet",
)  # fmt: skip
TIMES = (
    "last night", "on Sunday", "twice", "over the holidays", "after work", "on a rainy afternoon",
    "last week", "with the whole family", "on a friend's advice", "in Lisbon", "on my birthday",
)  # fmt: skip
