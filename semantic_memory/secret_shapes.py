"""What secrets look like: one row per shape, with a check where looks are not enough.

To add a shape, add a row. Its hints are what the lower-cased text must hold for the pattern to be tried at
all ("" is always there); a group named `secret` narrows what is taken for the secret. Every repeat in a
pattern is bounded or possessive, so that no text takes long.
"""
# ruff: noqa: RUF001 - quotes and colons of other scripts are meant

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property


def is_card(match: re.Match[str]) -> bool:
    """Whether the digits pass Luhn's sum (ISO/IEC 7812-1)."""
    digits = [int(character) for character in match[0] if character.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_iban(match: re.Match[str]) -> bool:
    """Whether the account number has the remainder of ISO 7064 (MOD 97-10)."""
    plain = match[0].replace(" ", "")
    return 15 <= len(plain) <= 34 and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def is_filled_in(match: re.Match[str]) -> bool:
    """Whether the value is more than a placeholder or a word about passwords."""
    return not _PLAIN_VALUE.fullmatch(match["secret"])


def is_token(match: re.Match[str]) -> bool:
    """Whether the value mixes letters and digits as keys do."""
    value = match["secret"]
    return is_filled_in(match) and bool(re.search("[0-9]", value) and re.search("[A-Za-z]", value))


def is_password(match: re.Match[str]) -> bool:
    """Whether what follows "password is" is the password itself and not a word about it."""
    value, after = match["secret"], match.string[match.end("secret") :][:24]
    if not is_filled_in(match) or _UNIT.match(after):
        return False
    return bool(_ODD.search(value) or after[:1] in _QUOTES or _CLAUSE_END.match(after))


@dataclass(frozen=True)
class Shape:
    """One kind of secret."""

    kind: str
    hints: str
    pattern: str
    check: Callable[[re.Match[str]], bool] | None = None

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The compiled pattern; it never starts inside a word."""
        return re.compile(rf"(?<![A-Za-z0-9]){self.pattern}")

    @cached_property
    def _hints(self) -> tuple[str, ...]:
        return tuple(self.hints.split("|"))

    def spans(self, text: str, lowered: str) -> list[tuple[int, int]]:
        """Where `text` has this shape; `lowered` is the same text in lower case."""
        for hint in self._hints:
            if hint in lowered:
                break
        else:
            return []
        group = "secret" if "secret" in self.regex.groupindex else 0
        matches = self.regex.finditer(text)
        return [match.span(group) for match in matches if self.check is None or self.check(match)]


_ODD = re.compile(r"[0-9]|[^\w'./-]|[a-z][A-Z]")
_QUOTES = tuple("\"'`”’»“")
_CLAUSE_END = re.compile(r"[\s)]*(?:$|[.,;:!?)](?:[\s)]|$)|\n|(?:and|und|et|y|e|but)\s)")
_UNIT = re.compile(r"[\s-]*(?:char|letter|digit|word|day|hour|minute|month|year|bit|byte|m\b|km\b)", re.I)
_PLAIN_VALUE = re.compile(
    r"""(?ix)
    \W+ | [*x•.]+ | \$?\{{1,2}.*\}{1,2} | \$\w+ | %\w+% | <.*> | \[.*
    | (?:sha|md|aes|rsa|hs|rs|es|ps|base|utf|argon|pbkdf|oauth|ed|v)-?\d[\d.]*(?:id)?
    | [\w-]*(?:ed|ing|able|ible|less|ly|ory|sensitive)
    | (?:the|a|an|my|our|your|his|her|their|its|it|this|that|what|where|too|very|not|no|now|still|only|also
        |always|never|one|same|as|in|on|at|to|for|with|by|from|up|under|here|there|wrong|weak|strong|secure
        |insecure|safe|unsafe|long|short|simple|complex|unknown|known|empty|blank|null|none|true|false|optional
        |mandatory|secret|private|public|old|new|random|unique|different|good|bad|easy|hard|hidden|lost|gone
        |due|set|kept|okay|fine|valid|invalid|correct|incorrect|missing|forgotten|mine|yours|ours|dead|broken
        |written|sent|given|stolen|personal|confidential|temporary|important|default|unchanged|necessary
        |redundant|obsolete|alphanumeric)
    """
)

_GAP = r"(?:\s{1,3}(?:for|to|of|on|at|in|für|de|del|pour)\b(?:\s{1,3}[\w'./-]{1,30}){1,5}?)?"
_VERB = r"(?:is|are|was|ist|lautet|es|est|é|è|jest|är)\s{0,3}[:=]?\s"
_IS = rf"""["'`]?\s{{0,3}}(?:{_VERB}|=>?|:=?|->|→|[是为為은는は：])\s{{0,3}}"""
_OPEN = r"""["'`“‘«]?"""
_VALUE = r"""(?P<secret>[^\s"'`,;，。“”]{3,127}[^\s"'`,;.:)，。“”])"""
_WORDS = r"(?:[\w-]{1,30}\s{1,3}){0,4}?"
_KEYLIKE = r"(?=[A-Za-z_+/=-]*+\d)"  # what follows holds a digit: not a name of plain words
_PASSWORDS = (
    "password|pass word|passwd|passphrase|pass phrase|passcode|pwd|passwort|kennwort|contraseña"
    "|mot de passe|senha|wachtwoord|hasło|lösenord|salasana|parola|пароль|密码|密碼|口令|パスワード|비밀번호"
)
_PASSWORD = rf"(?:{_PASSWORDS})s?"
_KEY = (
    "(?:(?:api|app|access|auth|secret|private|client|signing|encryption|master|account|service|session|refresh"
    "|bearer|deploy|admin)[ _-]?(?:key|token|secret)(?:[ _-]?(?:id|value))?|token|secret)"
)
_CODE = (
    r"(?:pin(?:\s{1,3}number)?|(?:alarm|door|gate|safe|lock|entry|unlock|recovery|backup|security|access"
    r"|verification|sim|card)\s(?:pin\s)?(?:code|combination|pin))"
)

SHAPES: tuple[Shape, ...] = (
    # Clouds
    Shape("AWS access key", "akia|asia|abia|acca", r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}(?![0-9A-Za-z])"),
    Shape(
        "AWS secret key",
        "aws|secret",
        r"(?i:aws|secret)[\w .:'\"=>-]{0,40}?(?<![\w/+=-])"
        r"(?=(?P<secret>[A-Za-z0-9/+]{40})(?![\w/+=]))(?=[^A-Z]{0,39}[A-Z])(?=[^a-z]{0,39}[a-z])(?=[^0-9]{0,39}[0-9])",
    ),
    Shape("Google API key", "aiza", r"AIza[\w-]{35}"),
    Shape("Google OAuth secret", "gocspx-", r"GOCSPX-[\w-]{20,64}"),
    Shape("Google OAuth token", "ya29.|1//0", r"(?:ya29\.[\w-]{20,2048}|1//0[\w-]{30,256})"),
    Shape("Azure key", "key=", r"(?i:accountkey|sharedaccesskey)=(?P<secret>[A-Za-z0-9+/]{40,88}={0,2})"),
    Shape("Azure signature", "sig=", r"(?i:sig)=(?P<secret>[A-Za-z0-9%+/]{40,140}={0,2})"),
    Shape("Azure client secret", "q~", r"[\w~.]{3}\dQ~[\w~.-]{31,34}"),
    Shape("DigitalOcean token", "_v1_", r"do[opr]_v1_[a-f0-9]{64}"),
    Shape("Heroku key", "hrku-", r"HRKU-[\w-]{30,80}"),
    Shape("Fly.io token", "fo1_|fm2_", rf"(?:fo1|fm2)_{_KEYLIKE}[\w+/=-]{{20,1024}}"),
    Shape("hosting token", "rnd_|vc|nfp_|sbp_", rf"(?:rnd|vercel|vc[piark]|nfp|sbp)_{_KEYLIKE}\w{{20,128}}"),
    Shape("Databricks token", "dapi|dose", r"(?:dapi|dose)[a-f0-9]{32}(?:-\d{1,2})?"),
    Shape("Vault token", "hvs.|hvb.", r"hv[sb]\.[\w-]{24,300}"),
    Shape("Terraform token", "atlasv1", r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,70}"),
    Shape("Pulumi token", "pul-", r"pul-[a-f0-9]{40}"),
    Shape("Doppler token", "dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,64}"),
    # Code and packages
    Shape("GitHub token", "ghp_|gho_|ghu_|ghs_|ghr_", r"gh[pousr]_\w{36,255}"),
    Shape("GitHub token", "github_pat_", r"github_pat_\w{22,255}"),
    Shape("GitLab token", "gl", r"gl(?:pat|rt|dt|ptt|cbt|imt|ft|soat|agent|oas|ffct)-[\w.-]{20,255}"),
    Shape("GitLab token", "gr1348941", r"GR1348941[\w-]{20,50}"),
    Shape("Atlassian token", "atatt3|atbb|atctt3|atcatt", r"AT(?:ATT3|CTT3|CATT|BB)[\w=-]{24,512}"),
    Shape("npm token", "npm_", r"npm_[A-Za-z0-9]{36}"),
    Shape("PyPI token", "pypi-", r"pypi-[\w-]{50,512}"),
    Shape("RubyGems token", "rubygems_", r"rubygems_[a-f0-9]{48}"),
    Shape("crates.io token", "cio", r"cio[A-Za-z0-9]{32}(?!\w)"),
    Shape("NuGet token", "oy2", r"oy2[a-z0-9]{43}(?!\w)"),
    Shape("Docker token", "dckr_", r"dckr_[po]at_[\w-]{20,64}"),
    # Models
    Shape("Anthropic key", "sk-ant-", r"sk-ant-[\w-]{20,255}"),
    Shape("OpenRouter key", "sk-or-", r"sk-or-[\w-]{20,128}"),
    Shape("OpenAI key", "sk-", r"sk-(?:proj|svcacct|admin|None)-[\w-]{20,255}"),
    Shape("API key", "sk-", r"sk-(?:(?=[A-Za-z]*+\d)[A-Za-z0-9]{20,255}|[A-Za-z0-9]{40,255})"),
    Shape("Hugging Face token", "hf_|api_org_", r"(?:hf|api_org)_[A-Za-z0-9]{30,64}"),
    Shape("model provider key", "gsk_|r8_|fw_|tgp_v1_", rf"(?:gsk|r8|fw|tgp_v1)_{_KEYLIKE}[\w-]{{20,128}}"),
    Shape("model provider key", "xai-|pplx-|nvapi-", rf"(?:xai|pplx|nvapi)-{_KEYLIKE}[\w-]{{20,128}}"),
    # Messages and webhooks
    Shape("Slack token", "xox", r"xox[abeoprs](?:\.xox[bp])?-[\w-]{10,255}"),
    Shape("Slack token", "xapp-", r"xapp-\d-[\w-]{10,255}"),
    Shape(
        "webhook address",
        "hook",
        r"https?://[\w.-]{1,100}/(?:services|workflows|triggers|api/webhooks|webhookb2)/[\w/@-]{20,255}",
    ),
    Shape("Twilio key", "ac|sk", r"(?:AC|SK)[a-f0-9]{32}(?![A-Za-z0-9])"),
    Shape("SendGrid key", "sg.", r"SG\.[\w-]{16,32}\.[\w-]{16,64}"),
    Shape("Mailgun key", "key-", r"key-[a-f0-9]{32}(?!\w)"),
    Shape("Mailchimp key", "-us", r"[a-f0-9]{32}-us\d{1,2}(?!\w)"),
    Shape("Telegram token", ":", r"\d{8,10}:[\w-]{35}(?![\w-])"),
    Shape("Discord token", ".", r"[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}"),
    # Money and shops
    Shape("Stripe key", "k_live_|k_test_", r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}"),
    Shape("Stripe webhook secret", "whsec_", r"whsec_[A-Za-z0-9+/=]{24,128}"),
    Shape("Shopify token", "shp", r"shp(?:at|ca|pa|ss|tka)_[a-fA-F0-9]{32}"),
    Shape("Square token", "sq0|eaaa", r"(?:sq0[a-z]{3}-[\w-]{22,43}|EAAA[\w-]{60})"),
    Shape(
        "Braintree token",
        "access_token$",
        r"access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32}",
    ),
    Shape("Razorpay key", "rzp_", r"rzp_(?:live|test)_[A-Za-z0-9]{14,24}"),
    Shape("Flutterwave key", "flwseck", r"FLWSECK[_-][\w-]{20,64}"),
    # Tools
    Shape("Facebook token", "eaa", r"EAA(?:CEdEose0cBA[A-Za-z0-9]{10,255}|[A-Z][A-Za-z0-9]{60,255})"),
    Shape("Dropbox token", "sl.", r"sl\.(?:u\.)?[\w-]{60,2048}"),
    Shape("Notion token", "secret_|ntn_", r"(?:secret_[A-Za-z0-9]{43}|ntn_[A-Za-z0-9]{40,60})"),
    Shape("Airtable token", "pat", r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    Shape("Linear token", "lin_", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,64}"),
    Shape("Figma token", "figd_", r"figd_[\w-]{30,64}"),
    Shape("Postman key", "pmak-", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    Shape("PostHog key", "phx_", r"phx_[A-Za-z0-9]{32,64}"),
    Shape("New Relic key", "nr", r"NR(?:AK|JS|II|AA)-[\w-]{19,48}"),
    Shape("Grafana token", "glsa_|glc_", r"(?:glsa_\w{32}_[a-fA-F0-9]{8}|glc_[A-Za-z0-9+/=]{32,400})"),
    Shape("Sentry token", "sntry", r"sntry[su]_[\w+/=-]{40,512}"),
    # Keys, hashes and sessions
    Shape("JSON web token", "eyj", r"eyJ[\w-]{8,4096}\.[\w-]{8,8192}\.[\w-]{0,1024}"),
    Shape(
        "private key",
        "private key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[^-]|-(?!----))*+(?:-----END [A-Z0-9 ]{0,60}-----)?",
    ),
    Shape("private key", "putty-user-key", r"PuTTY-User-Key-File-\d:[\s\S]{0,4096}"),
    Shape("WireGuard key", "privatekey", r"PrivateKey\s?=\s?(?P<secret>[A-Za-z0-9+/]{43}=)"),
    Shape("age key", "age-secret-key", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    Shape("wallet key", "xprv", r"xprv[A-Za-z0-9]{100,112}"),
    Shape("wallet key", "key", rf"(?i:private[ _]?key){_IS}(?P<secret>(?:0x)?[a-fA-F0-9]{{64}})"),
    Shape(
        "wallet seed",
        "phrase|mnemonic|words",
        rf"(?i:phrase|mnemonic|words){_GAP}{_IS}{_OPEN}(?P<secret>(?:[a-z]{{3,8}}[\s,]{{1,3}}){{11,23}}[a-z]{{3,8}})",
    ),
    Shape("password hash", "$", r"\$(?:2[abxy]|5|6|7|y|argon2(?:id|i|d))\$[./A-Za-z0-9$=,+]{20,255}"),
    Shape("one-time password seed", "otpauth:", r"otpauth://[^\s]{1,200}?secret=(?P<secret>[A-Za-z2-7]{10,128})"),
    Shape(
        "authorization header",
        "bearer|basic",
        r"(?i:bearer\s{1,3}|authorization:\s?basic\s)(?P<secret>(?=[A-Za-z._~+/=-]*+\d)[\w.~+/=-]{16,4096})",
    ),
    # What people say
    Shape(
        "password in an address",
        "://",
        r"[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s/:@'\"<>]{0,128}:(?P<secret>[^\s/@'\"<>]{1,256})@[^\s]",
        is_filled_in,
    ),
    Shape(
        "password",
        "pwd=|password=",
        r"(?i:pwd|password)=(?P<secret>[^\s;'\"&]{3,128})(?=[;&'\"\s]|$)",
        is_password,
    ),
    Shape("password", _PASSWORDS, rf"(?i:{_PASSWORD}{_GAP}{_IS}){_OPEN}{_VALUE}", is_password),
    Shape("password", "pass|pw|mdp", rf"(?i:pass|pw|mdp)\s?[:=]\s?{_OPEN}{_VALUE}", is_password),
    Shape(
        "password",
        _PASSWORDS,
        rf"(?i:(?:chang|set|reset|updat)\w{{0,3}}\s{_WORDS}{_PASSWORD}\s{_WORDS}to)\s{_OPEN}{_VALUE}",
        is_password,
    ),
    Shape(
        "password",
        _PASSWORDS,
        rf"(?<!\S){_OPEN}(?P<secret>[^\s\"'`]{{4,64}})[\"'`]?\s(?i:is|was)\s(?i:my|our|the|his|her|their)\s"
        rf"{_WORDS}(?i:{_PASSWORD})(?![\w-]|\s(?!for|to|of|on|at|in|and|but)\w)",
        is_password,
    ),
    Shape(
        "API key",
        "key|token|secret",
        rf"(?i:{_KEY}){_GAP}{_IS}{_OPEN}(?P<secret>[!#-&*-~]{{7,511}}[#-&+/-9<->@-~])",
        is_token,
    ),
    Shape(
        "login",
        "login|credential|creds",
        rf"(?i:login|credentials?|creds){_GAP}{_IS}\S{{1,64}}?\s?[/:]\s?{_VALUE}",
        is_token,
    ),
    Shape(
        "PIN or code",
        "pin|code|combination",
        rf"(?i:{_CODE}){_GAP}{_IS}{_OPEN}(?P<secret>\d{{4,8}})(?!\d|[.,]\d|\s\d)",
    ),
    Shape(
        "card verification code",
        "cvv|cvc",
        rf"(?i:cv[vc]2?)(?:\s{{1,3}}(?:code|number))?{_IS}(?P<secret>\d{{3,4}})(?!\d)",
    ),
    Shape(
        "payment card",
        "",
        r"(?<![.-])(?:(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|6(?:011|4[4-9]\d|5\d\d|2\d\d)|35\d\d)"
        r"(?P<a>[ -]?)\d{4}(?P=a)\d{4}(?P=a)\d{4}"
        r"|3[47]\d\d(?P<b>[ -]?)\d{6}(?P=b)\d{5}|3[0689]\d\d(?P<c>[ -]?)\d{6}(?P=c)\d{4})(?![\d-])",
        is_card,
    ),
    Shape("bank account", "", r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])", is_iban),
)
