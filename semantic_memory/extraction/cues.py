"""The words that tell a user's statement from everything else, for `sentences.py`.

To teach a case, add a line. Unless a comment says otherwise, a pattern is matched at the start of a
sentence in its `canonical` form: of "We're really fond of it" that is "i am fond of it".
"""

from __future__ import annotations

# ruff: noqa: RUF001 (quotation marks and dashes as users type them)
import re

from semantic_memory.extraction.prose import QUOTATION

Pattern = re.Pattern[str]


def _any(*alternatives: str) -> Pattern:
    return re.compile("|".join(f"(?:{alternative})" for alternative in alternatives))


_REWRITES = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"\bwe\b", "i"),
        (r"\bim\b", "i am"),
        (r"\bive\b", "i have"),
        (r"\bours?\b", "my"),
        (r"'m\b", " am"),
        (r"'re\b", " are"),
        (r"'ve\b", " have"),
        (r"'ll\b", " will"),
        (r"'d\b", " would"),
        (r"\bi (?:are|were)\b", "i am"),
        (r"\b(it|that|there|he|she|what|who|where|how|here)'s\b", r"\1 is"),
        (r"\bcan(?:'?t|not)\b", "can not"),
        (r"\bwon'?t\b", "will not"),
        (r"\b(do|does|did|have|has|is|are|was|would|could|should)n'?t\b", r"\1 not"),
        (
            r"\b(?:really|just|still|also|so|very|currently|totally|definitely|absolutely|quite|pretty"
            r"|already|a bit|a little|kind of|even|all|too|super|truly|much|personally)\s",
            "",
        ),
    )
)


def canonical(sentence: str) -> str:
    """`sentence` in the one form that the patterns know.

    Lower case, straight apostrophes, no contractions, no intensifiers, "we" and "our" as "i" and
    "my", quoted words and inline code as "__".
    """
    text = " ".join(QUOTATION.sub("__", sentence).lower().replace("’", "'").split())
    for pattern, plain in _REWRITES:
        text = pattern.sub(plain, text)
    return text.strip()


# What may be left out before a statement. These two are matched against the sentence as it stands.

LEAD_IN = re.compile(
    r"(?:(?:hi|hey|hello|good (?:morning|afternoon|evening))(?: \w+)?|(?:thanks|thank you)(?: (?:a lot"
    r"|so much|very much|again))?|well|so|also|and|but|oh|ok|okay|yes|yeah|yep|no|nope|btw|by the way"
    r"|anyway|plus|p\.?s\.?|besides|to be honest|tbh|honestly|in fact|as I (?:said|mentioned)(?: before"
    r"| earlier)?|one more thing|another thing|some context|about (?:me|us)|(?:quick )?intro|context"
    r"|background|update)"
    r"(?:\s*[,!:.–—-]\s*|\s+(?=(?:I|we|my|our|im|ive|actually)\b))",
    re.IGNORECASE,
)
EXPLICIT = re.compile(  # after these the user's claim counts, whatever it is about
    r"(?:(?:please|also|always|can you|could you|would you|I want you to)\s+){0,3}"
    r"(?:remember|note(?: down)?|make a note|keep in mind|bear in mind|don[’']t forget)"
    r"(?: that\b|\s*:|,?(?= (?:I|im|we|my|our)\b))\s*|(?:just )?(?:so you know|for (?:the|your) record"
    r"|for your information|fyi|reminder)\s*[:,]\s*|you should know(?: that\b|\s*[:,])\s*",
    re.IGNORECASE,
)

# What a statement looks like.

OWN = re.compile(
    r"(?:(?:actually|nowadays|now|right now|these days|usually|sometimes|normally|generally|recently"
    r"|lately|originally|professionally|unfortunately|luckily|sadly|finally|today|yesterday|tonight"
    r"|(?:every|last|this|next) (?:\w+ ){0,2}?\w+|(?:due to|because of|given|in|on|at|for|since|as|from"
    r"|until|during|after|before|growing up)\b[^,;:?!]{1,50}?)"
    r",? )?(?:(?:both|some|one|most|neither|none|two|three) of )?(?:i|my)\b(?![-_./\\@=()]| ?/) ?\S"
)
OWNED = re.compile(  # Anna is my wife
    r"(?!wh|how|that|this|it|there|he|she|they|you|the (?:problem|issue|question|point|thing))"
    r"[\w' .&-]{1,60}? (?:is|are|was) (?:now )?my\b"
)
CORRECTION = _any(
    r"(?:actually|no|sorry|wait|oops|scratch that)\b\W*(?:it|he|she|they|the)\b.*\b(?:now|instead|not"
    r"|no longer|anymore)\b",
    r"(?:actually|no|sorry|wait|oops|scratch that)\b\W*(?:it|the \w+) (?:is|are|was) (?:on |at |in "
    r"|the )*(?:\w*\d|\w+day\b)",
    r"correction\b\W*(?:it|he|she|they|the|my|i)\b",
)
STANDING = _any(  # wishes that hold for every later conversation
    r"(?:please |you can )?call me (?!back|later|when|if|at|on|tomorrow|an? |the )\w",
    r"(?:please )?(?:from now on|going forward|in (?:the )?future|always|never)\b,? (?:please |always "
    r"|never |do not )*"
    r"(?:answer|reply|respond|use|write|call|address|ask|suggest|recommend|send|include|give|keep|speak"
    r"|format|avoid|book)\b",
)
FOLLOW_ON = re.compile(  # stands only with the sentence before it
    r"(?:he|she|they|his|her|their)\b(?! (?:said|says|told|asked|wants?|thinks?)\b)"
)

# What looks like a statement and isn't one that lasts.

QUESTION = _any(
    r".*[?？؟]\W*$",
    r".*(?:吗|呢|ですか|ますか)\W*$",
    r"(?:what|when|where|which|who|whose|why|how)\b",
    r"(?:is|are|am|was|do|does|did|can|could|will|would|should|shall|may|have|has)(?: not)? "
    r"(?:i|you|he|she|it|they|there|this|that|the|my|your|any|some\w+|any\w+)\b",
)
SUPPOSED = re.compile(r"(?:if|suppose|imagine|pretend|let's say|unless|whether|maybe|perhaps|in case|as if|assuming)\b")
UNREAL = _any(
    SUPPOSED.pattern,
    r"(?:once|when|whenever|while|until|because|as long as|although|though)\b",
    r"i (?:might|may|could|should|must have|wish|wonder|suppose|guess|assume|think|believe|feel|doubt|hope"
    r"|bet|imagine)\b",
    r"i would (?!rather|prefer|love to|like to)",
    r"i would (?:like|love) to (?:know|ask|see|hear|have|get|order|understand|add|change|make|thank"
    r"|discuss|talk)\b",
)
_IT = (
    r"(?:it|that|this|those|these|them|your|how you|what you|the (?:first|second|third|last|other|idea|one"
    r"|option|suggestions?|answer|way))\b(?! when\b)"
)
_GOALS = (
    r"(?:learn|visit|become|move|buy|run|lose|start|quit|retire|study|travel|open|adopt|eat|save|cut|stop"
    r"|get (?:married|pregnant|fit|into)|have (?:kids|children))\b"
)
_WHEN = (
    r"\b(?:tomorrow|tonight|soon|next|in (?:an? |\w+ )?(?:days?|weeks?|months?|years?|\d|january|february"
    r"|march|april|may|june|july|august|september|october|november|december|spring|summer|autumn|fall"
    r"|winter)|on \w+day|by|until|this (?:week|month|year|summer|winter|spring|fall|autumn))\b"
)
CHAT = _any(
    r"i (?:do|did|can|could|will|would|have|am|was|should|must|see|know|agree|understand|mean|hope|think)"
    r"(?: (?:not|so|it|that|now|too|either|you|as well))*\W*$",
    r"i am (?:not )?(?:tired|hungry|bored|happy|sad|excited|confused|lost|stuck|glad|sure|sorry|back|here"
    r"|ready|done|ok|okay|fine|good|great|well|curious|afraid|certain|kidding|joking|serious|asking|saying"
    r"|wondering|impressed|grateful|thankful|following|seeing|hoping|thrilled|stoked|proud|busy)\b",
    r"i (?:appreciate|see|know|mean|agree|understand|understood|asked|said|told|mentioned|meant|get"
    r"|got (?:it|that)|can (?:see|tell|imagine|relate)|thought|noticed|hear|heard|read that|saw (?:that"
    r"|your))\b",
    r"i can not (?:believe|figure|understand|find|see|get|seem|tell|wait|imagine|thank)\b",
    r"i (?:do|did) not (?:know|understand|think|care|mind|see|get|remember|believe|mean|ask|say|expect)\b",
    r"i (?:do not )?want to (?:know|hear|see|talk|discuss|ask|say|do|try)\b",
    rf"i (?:do )?(?:like|liked|love|loved|hate|enjoy|enjoyed|prefer|try|tried|did|do|buy|bought|have|had"
    rf"|use|used|made|took|take|found|changed) {_IT}",
    rf"i (?:will|am going to) (?!.*{_WHEN})",
    r"i (?:am in need|am off|have been looking|recommend|respect)\b",
    r"i am an? (?:huge |big )?fan\W*$",
    r".*\byou(?:r|rs|rself)?\b",
    r"(?:\S+ ){1,6}(?:(?:it|that|this|them|those|these|there)\W*$|(?:it|them|this(?! (?:year|month|week"
    r"|spring|summer|autumn|fall|winter))|those|these) (?:\S+ ?){0,3}$)",
    r"i need (?!to (?:avoid|limit|take|wear)\b)",
    rf"i want (?!to {_GOALS})",
    rf"i am (?:trying|attempting|struggling) (?!to {_GOALS})",
    r"i am looking (?!for (?:an? )?(?:new |bigger )?(?:job|apartment|flat|house|work|position"
    r"|place to live)\b)",
    r"i (?:have|had|have got) (?:an?|another|some|one|two|the same)(?: \w+)? (?:questions?|problems?"
    r"|issues?|errors?|bugs?|doubts?|request|favou?r|ideas?|feeling|task|list|string|file)\b",
    r"i have (?:tried|attached|pasted|updated|read|checked|been (?:trying|wondering|thinking|meaning))\b",
    r"my (?:question|problem|issue|point|bad|mistake|apologies|pleasure|god|goodness|guess|code|script"
    r"|query|function|prompt|message|request|answer|error|output|input)\b",
    r"(?:my|i) \S+\W*$",
)
TROUBLE = _any(
    r".*\b(?:error|exception|traceback|segfault|undefined|(?:do|does|did|is) not work\w*)\b",
    r".*\b(?:ran|run|running|executed|clicked|pasted|copied|opened|compiled|restarted|installed|added"
    r"|removed|deleted|changed|fixed|tested|checked) (?:\S+ ){0,3}(?:script|code|command|tests?|file"
    r"|function|query|package|module|line|button|link|settings?|logs?|variable|loop)\b",
)
REPORTED = _any(r".*\b(?:said|says|wrote|asked|told|texted|replied|answered|quote)\b\W*(?:\w+\W+){0,2}__", r"__\W*$")
REQUEST_BEHIND = re.compile(  # in the sentence as it stands: I'm vegan, what can I cook?
    r"\s*[,;–—-]\s*(?:so |and |but )?(?=(?:can|could|would|will|should|what|what[’']s|which|where|when|who"
    r"|how|why|any|do|does|is|are|please|got)\b)|,?\s(?:so|and|but)\s(?=(?:can|could|would|what|which"
    r"|where|how|any|please|would love|would like|need|want|wanted)\b)",
    re.IGNORECASE,
)

# Material to work on instead of the user's own words: the rest of the message is left out with it.

_TEXT = r"(?:this|these|following|below|text|sentence|paragraph|email|essay|letter|message|story|poem|passage)\b"
MATERIAL = _any(
    r"(?:.*\b)?(?:translate|proofread|rewrite|rephrase|paraphrase|summari[sz]e|shorten|polish|improve"
    r"|correct|edit"
    rf"|review|check|fix|critique|analy[sz]e|classify|reply to|respond to|explain|format"
    rf"|convert) (?:.*\b)?{_TEXT}",
    r"(?:please |can you |could you |help me )*(?:translate|proofread|rewrite|rephrase|paraphrase"
    r"|summari[sz]e|shorten|polish)\b",
    r".*\b(?:translate|proofread|rewrite|rephrase|paraphrase|summari[sz]e|classify)\b.*:",
    r"(?:please |can you |could you )*(?:write|draft|compose|create|generate)\b",
    r"(?:.*\b)?(?:pretend|imagine|role-?play|act as|let's say|suppose|hypothetically)\b",
    r"you are (?:an?|the|now)\b",
    r"(?:here (?:is|are)|below is|this is) .*:\W*$",
    r"dear \w+[\w .]*[,:]\W*$",
    r"(?:best|kind|warm) regards\b",
)

# Other languages: a subject at the start of the sentence, or anywhere in scripts that make it
# unmistakable; matched against the lower-case sentence. Languages that drop the subject lose some.

ENGLISH = re.compile(r".*\b(?:the|are|and|you|with|have|this|that|it)\b")
OTHER_LANGUAGE = _any(
    r"(?:ich|mein\w{0,2}|wir|unser\w{0,2}|je|mon|ma|mes|nous|notre|nos|yo (?:soy|vivo|trabajo|tengo|no|me"
    r"|estoy)|soy|vivo|trabajo|tengo|prefiero|me (?:llamo|gustan?|encantan?)|mis?"
    r"|nuestr[oa]s?|nosotr[oa]s|eu|meus?|minhas?|nós|noss[oa]s?|moro|trabalho|io|il mio|la mia|abito"
    r"|lavoro|mi (?:chiamo|piace)|ik|mijn|wij|onze|jag|mitt|jeg|mój|moja|moje|jestem|mieszkam|pracuję"
    r"|benim|bizim)\b",
    r"j['’]\w",
    r".*(?:我|私|僕|俺|저는|제 |나는|내 |우리)",
    r"(?:.* )?(?:я|мы|мой|моя|моё|мои|мне|меня|наш|наша|मैं|मेरा|मेरी|मेरे|मुझे|हम|أنا|اسمي|أعيش|أسكن|أعمل"
    r"|أحب|عندي|אני|שלי|εγώ|μου)(?: |$)",
)

# What a statement is about, and of which kind.

SUBJECTS: tuple[tuple[Pattern, str], ...] = (
    (re.compile(r"i (?:am )?(?:now )?(?:live|living|based|reside) (?:in|at|near)\b"), "home"),
    (re.compile(r"i (?:now )?work (?:at|for)\b"), "employer"),
    (re.compile(r"i (?:now )?work as\b"), "job"),
    (re.compile(r"(?:i am called|(?:please |you can )?call me)\b"), "name"),
)
OWN_SUBJECT = re.compile(  # my deploy target is ...; my sister's name is ...
    r"my ((?:[\w'-]+ ){0,3}?[\w'-]+) (?:is|has (?:changed|moved) to)\b(?! not\b| \w+ing\b)"
)
MANY_VALUED = re.compile(  # a second statement about these adds, it doesn't replace
    r"(?:.* )?(?:wife|husband|partner|spouse|mother|father|mom|mum|dad|sister|brother|son|daughter|kid"
    r"|child|friend|boss|manager|colleague|team|dog|cat|pet|car|house|job|company|family|life|goal|plan"
    r"|day|one|\w*[^s]s)$"
)
KINDS: tuple[tuple[Pattern, str], ...] = (
    (
        re.compile(
            r".*\b(?:prefer|like|love|hate|dislike|enjoy|can not stand|favou?rite|rather|fan of|aversion"
            r"|avoid|from now on|always|never|call me)\b"
        ),
        "preference",
    ),
    (re.compile(r".*\b(?:going to|will|plan to|planning|want to|about to)\b"), "plan"),
)
