"""Secrets never get into memory, and ordinary facts are left alone.

Every secret here is invented and put together at run time, so that no scanner stumbles over this file.
"""

# ruff: noqa: E501 - one line a shape
from __future__ import annotations

import itertools
import random
import string
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantic_memory import secrets
from semantic_memory.errors import SecretRefused

BENIGN = Path(__file__).parents[1].joinpath("data", "benign.txt").read_text(encoding="utf-8").splitlines()

_dice = random.Random(20261122)


def _of(alphabet: str, length: int) -> str:
    """Letters of `alphabet`, the last one a digit where it has any."""
    letters = "".join(_dice.choices(alphabet, k=length - 1))
    return letters + ("7" if "7" in alphabet else letters[0])


def _word(length: int) -> str:
    return _of(string.ascii_letters + string.digits, length)


def _upper(length: int) -> str:
    return _of(string.ascii_uppercase + string.digits, length)


def _lower(length: int) -> str:
    return _of(string.ascii_lowercase + string.digits, length)


def _hex(length: int) -> str:
    return _of("0123456789abcdef", length)


SHAPES = {
    "AWS example key": "AKIA" + "IOSFODNN7EXAMPLE",
    "AWS access key": "AKIA" + _upper(16),
    "AWS temporary key": "ASIA" + _upper(16),
    "Google API key": "AIza" + _word(35),
    "Google OAuth secret": "GOC" + "SPX-" + _word(28),
    "Google OAuth token": "ya29" + ".a0" + _word(80),
    "Azure storage key": "AccountKey" + "=" + _word(86) + "==",
    "Azure service bus key": "SharedAccess" + "Key=" + _word(43) + "=",
    "Azure signature": "https://acme.blob.core.windows.net/c?sv=2024&si" + "g=" + _word(43) + "%3D",
    "Azure client secret": "abc8" + "Q~" + _word(34),
    "DigitalOcean token": "dop_" + "v1_" + _hex(64),
    "Heroku key": "HRKU" + "-" + _word(60),
    "Fly.io token": "fo1_" + _word(43),
    "Render key": "rnd_" + _word(32),
    "Supabase token": "sbp_" + _hex(40),
    "Netlify token": "nfp_" + _word(36),
    "Databricks token": "da" + "pi" + _hex(32),
    "Vault token": "hv" + "s." + _word(90),
    "Terraform token": _word(14) + ".atlas" + "v1." + _word(67),
    "Pulumi token": "pul" + "-" + _hex(40),
    "Doppler token": "dp." + "pt." + _word(43),
    "GitHub token": "gh" + "p_" + _word(36),
    "GitHub server token": "gh" + "s_" + _word(36),
    "GitHub fine-grained token": "github_" + "pat_" + _word(22) + "_" + _word(59),
    "GitLab token": "gl" + "pat-" + _word(20),
    "GitLab runner token": "gl" + "rt-" + _word(20),
    "Atlassian token": "ATA" + "TT3xFfGF0" + _word(60) + "=" + _upper(8),
    "Bitbucket app password": "AT" + "BB" + _word(32),
    "npm token": "np" + "m_" + _word(36),
    "PyPI token": "py" + "pi-AgEIcHlwaS5vcmc" + _word(90),
    "RubyGems token": "ruby" + "gems_" + _hex(48),
    "crates.io token": "ci" + "o" + _word(32),
    "Docker token": "dckr_" + "pat_" + _word(27),
    "Anthropic key": "sk-" + "ant-api03-" + _word(93) + "AA",
    "OpenRouter key": "sk-" + "or-v1-" + _hex(64),
    "OpenAI project key": "sk-" + "proj-" + _word(48),
    "OpenAI classic key": "sk" + "-" + _word(48),
    "Hugging Face token": "h" + "f_" + _of(string.ascii_letters, 34),
    "Groq key": "gs" + "k_" + _word(52),
    "Replicate token": "r" + "8_" + _word(37),
    "xAI key": "xa" + "i-" + _word(80),
    "Perplexity key": "pp" + "lx-" + _word(48),
    "NVIDIA key": "nv" + "api-" + _word(64),
    "Slack bot token": "xox" + "b-" + "123456789012-1234567890123-" + _word(24),
    "Slack app token": "xa" + "pp-1-A0123456789-1234567890123-" + _hex(64),
    "Slack webhook": "https://hooks.slack" + ".com/services/T00000000/B00000000/" + _word(24),
    "Discord webhook": "https://discord" + ".com/api/webhooks/123456789012345678/" + _word(68),
    "Twilio key": "S" + "K" + _hex(32),
    "SendGrid key": "S" + "G." + _word(22) + "." + _word(43),
    "Mailgun key": "ke" + "y-" + _hex(32),
    "Mailchimp key": _hex(32) + "-u" + "s14",
    "Telegram token": "123456789" + ":" + _word(35),
    "Discord token": "M" + _word(23) + "." + _word(6) + "." + _word(27),
    "Stripe key": "sk_" + "live_" + _word(24),
    "Stripe restricted key": "rk_" + "live_" + _word(24),
    "Stripe webhook secret": "wh" + "sec_" + _word(32),
    "Shopify token": "shp" + "at_" + _hex(32),
    "Square token": "sq0" + "csp-" + _word(43),
    "Braintree token": "access_" + "token$production$" + _lower(16) + "$" + _hex(32),
    "Razorpay key": "rzp_" + "live_" + _word(14),
    "Facebook token": "EA" + "ACEdEose0cBA" + _word(60),
    "Dropbox token": "s" + "l." + _word(130),
    "Notion token": "secr" + "et_" + _word(43),
    "Airtable token": "pa" + "t" + _word(14) + "." + _hex(64),
    "Linear token": "lin_" + "api_" + _word(40),
    "Figma token": "fig" + "d_" + _word(40),
    "Postman key": "PM" + "AK-" + _hex(24) + "-" + _hex(34),
    "New Relic key": "NR" + "AK-" + _upper(27),
    "Grafana token": "gl" + "sa_" + _word(32) + "_" + _hex(8),
    "Sentry token": "sntr" + "yu_" + _hex(64),
    "JSON web token": "ey" + "J" + _word(33) + "." + "ey" + "J" + _word(60) + "." + _word(43),
    "PEM private key": "-----BEGIN RSA " + f"PRIVATE KEY-----\n{_word(64)}\n{_word(64)}\n-----END RSA PRIVATE KEY-----",
    "OpenSSH private key": "-----BEGIN OPENSSH " + f"PRIVATE KEY-----\n{_word(70)}\n-----END OPENSSH PRIVATE KEY-----",
    "PGP private key": "-----BEGIN PGP " + f"PRIVATE KEY BLOCK-----\n\n{_word(64)}\n-----END PGP PRIVATE KEY BLOCK-----",
    "private key on one line": "-----BEGIN " + rf"PRIVATE KEY-----\n{_word(64)}\n-----END PRIVATE KEY-----\n",
    "WireGuard key": "Private" + f"Key = {_word(43)}=",
    "age key": "AGE-SECRET" + "-KEY-1" + _upper(58),
    "extended wallet key": "xp" + "rv9s21ZrQH143K" + _word(97),
    "bcrypt hash": "$2" + "b$12$" + _word(53),
    "argon2 hash": "$argon2" + "id$v=19$m=65536,t=3,p=4$" + _word(22) + "$" + _word(43),
    "one-time password seed": "otp" + "auth://totp/Acme:ada?secret=" + _of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 32),
    "PostgreSQL address": "postgresql://ada:" + _word(12) + "@db.acme.internal:5432/app",
    "MongoDB address": "mongodb+srv://ada:" + _word(12) + "@cluster0.acme.mongodb.net/app",
    "Redis address": "redis://:" + _word(16) + "@cache:6379/0",
    "basic-auth address": "https://ada:" + _word(10) + "@intranet.acme.com/wiki",
    "ADO connection string": "Server=db;Database=app;User Id=ada;Pass" + "word=" + _word(14) + ";Encrypt=true",
    "bearer header": "Authorization: Bear" + "er " + _word(40),
    "basic header": "Authorization: Bas" + "ic " + _word(27) + "=",
    "payment card": "4111 1111" + " 1111 1111",
    "payment card, Mastercard": "5555-5555" + "-5555-4444",
    "payment card, American Express": "3782 822463" + " 10005",
    "bank account, Germany": "DE89 3704 0044 " + "0532 0130 00",
    "bank account, United Kingdom": "GB82WEST" + "12345698765432",
}  # fmt: skip

RARE_SHAPES = {  # only the detector knows these
    "LangSmith key": "lsv2_" + "pt_" + _hex(32) + "_" + _hex(10),
    "Duffel token": "duffel_" + "live_" + _word(43),
    "EasyPost key": "EZ" + "AK" + _word(54),
    "Shippo token": "shippo_" + "live_" + _hex(40),
    "ReadMe key": "rd" + "me_" + _lower(70),
    "Prefect key": "pn" + "u_" + _lower(36),
    "Dynatrace token": "dt0" + "c01." + _upper(24) + "." + _upper(64),
}

STATEMENTS = {  # the sentence and the words in it that must not survive
    "password is {}": "hunter" + "2",
    "My wifi password is {}.": "Hyper" + "ion",
    "the password for the staging DB is `{}`": "x9!" + "kk",
    "The passphrase of my laptop is: {}": "Tulip" + "-Garden-77",
    "Passwort: {}": "Sommer" + "2024!",
    "Mein Kennwort ist {}": "Gänse" + "blume9",
    "mi contraseña es {}": "gato" + "azul8",
    "mon mot de passe est {}": "soleil" + "42",
    "minha senha é {}": "futebol" + "10",
    "Мой пароль: {}": "qwerty" + "99",
    "我的密码是{}": "hunter" + "2",
    "パスワードは{}": "sakura" + "88",
    "DB_PASSWORD={}": "hunter" + "2",
    '{{"password": "{}"}}': "correct" + "horse",
    "I changed my password to {} yesterday": "kittens" + "99",
    "{} is my password": "hunter" + "2",
    '"{}" is the wifi password': "Tues" + "day",
    "password is {} and the user is ada": "sword" + "fish",
    "pwd: {}": "letmein" + "!1",
    "My bank card PIN is {}": "47" + "11",
    "The alarm code for the office is {}": "2580" + "13",
    "cvv: {}": "7" + "31",
    "api key: {}": "abcd1234" + "efgh",
    "The API token for Acme is {}.": "f3a9" + "-77be-11cd",
    "client_secret={}": "Zx81" + "kq0pLm",
    "login: ada / {}": "hunter" + "2",
    "AWS secret access key is {}": "wJalrXUtnFEMI" + "/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "my seed phrase is {}": "apple river stone cloud maple tiger ocean lemon piano robot sugar zebra",
    "private key: {}": "0x" + "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318",
}


@pytest.mark.parametrize("name", [*SHAPES, *RARE_SHAPES])
@pytest.mark.parametrize(
    "carrier", ["{}", "My key is {} as of today.", "deploy with {}\nand then rest", "Zoë's 🔑: {}"]
)
def test_a_secret_is_found_wherever_it_stands(name: str, carrier: str) -> None:
    secret = (SHAPES | RARE_SHAPES)[name]
    text = carrier.format(secret)
    found = secrets.find(text)
    assert found, name
    assert all(text[start:end] and text[start:end] in secret for start, end in (item.span for item in found))
    assert secret not in secrets.mask(text)


@pytest.mark.parametrize("name", RARE_SHAPES)
def test_the_detectors_spans_count_characters(name: str) -> None:
    text = f"Zoë's 🔑 界: {RARE_SHAPES[name]} 界"
    (found,) = secrets.find(text)
    assert text[slice(*found.span)] == RARE_SHAPES[name]


@pytest.mark.parametrize("place", [0, 15_000, 16_300, 16_384, 20_000, 33_000])
def test_a_rare_secret_is_found_at_any_depth_of_a_long_text(place: int) -> None:
    text = f"{'so it goes ' * 4000}"[:place] + f" {RARE_SHAPES['Duffel token']} " + "and on " * 1000
    (found,) = secrets.find(text)
    assert text[slice(*found.span)] == RARE_SHAPES["Duffel token"]


def test_secrets_that_overlap_are_masked_to_the_last_character() -> None:
    key = "sk-" + "ant-api03-" + _word(150)
    assert secrets.mask(f"password is {key}.") == "password is [removed: password]."


def test_at_least_sixty_shapes_are_known() -> None:
    assert len(SHAPES) >= 60


@pytest.mark.parametrize("sentence", STATEMENTS)
def test_a_password_that_is_said_in_prose_is_found(sentence: str) -> None:
    value = STATEMENTS[sentence]
    text = sentence.format(value)
    (found,) = secrets.find(text)
    assert text[slice(*found.span)] in (value, value.rstrip("!"))
    assert value.rstrip("!") not in secrets.mask(text)


@pytest.mark.parametrize(
    "placeholder",
    [
        "postgres://ada:${DB_PASSWORD}@db/app",
        "postgres://ada:****@db/app",
        "https://<user>:<password>@host/",
        "password: {{ vault.db }}",
        "PASSWORD=$DB_PASSWORD",
        "password is xxxxxx",
        "The password is 2048 bits long",
        "the password is base64-encoded",
        "Bitwarden is my password manager",
        "Changing it weekly is our password ritual",
        "the host is de" + "sk-a1b2c3d4e5f6g7h8i9j0k1l2",
        "4111 1111 1111 1112",
        "DE89 3704 0044 0532 0130 01",
    ],
)
def test_placeholders_and_wrong_checksums_are_no_secrets(placeholder: str) -> None:
    assert secrets.find(placeholder) == []


def test_benign_facts_raise_at_most_one_false_alarm_in_a_hundred() -> None:
    alarms = [fact for fact in BENIGN if secrets.find(fact)]
    assert len(BENIGN) >= 300
    assert len(alarms) <= len(BENIGN) / 100, alarms


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_masked_stays_masked(name: str) -> None:
    once = secrets.mask(f"My key is {SHAPES[name]}, keep it.")
    assert secrets.mask(once) == once
    assert once.startswith("My key is ")
    assert "[removed: " in once


def test_a_text_without_secrets_is_not_touched() -> None:
    assert [secrets.mask(fact) for fact in BENIGN[:50]] == BENIGN[:50]


def test_all_secrets_of_a_text_are_masked() -> None:
    first, second = SHAPES["GitHub token"], SHAPES["Stripe key"]
    assert secrets.mask(f"use {first} or {second}!") == "use [removed: GitHub token] or [removed: Stripe key]!"


def test_refusing_names_the_kind_and_never_the_secret() -> None:
    secret = SHAPES["AWS example key"]
    with pytest.raises(SecretRefused) as refusal:
        secrets.refuse(f"my key is {secret}")
    assert "AWS access key" in str(refusal.value)
    assert "characters 10 to 30" in str(refusal.value)
    assert secret not in repr(refusal.value)
    assert secret[4:] not in repr(refusal.value)


def test_refusing_lets_ordinary_text_pass() -> None:
    secrets.refuse("Deploy target is Hetzner, eu-central")


@given(st.text())
def test_any_text_can_be_searched_and_masked(text: str) -> None:
    spans = [secret.span for secret in secrets.find(text)]
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert bool(spans) == (secrets.mask(text) != text)


@given(st.text(), st.text(), st.sampled_from(["GitHub token", "Anthropic key", "Stripe key", "PyPI token"]))
def test_a_secret_between_any_two_lines_is_found(before: str, after: str, name: str) -> None:
    assert SHAPES[name] not in secrets.mask(f"{before}\n{SHAPES[name]}\n{after}")


@pytest.mark.parametrize("text", ["", "\x00", "\ud800 lone", "\u202e\u200b", "a" * 8000, "\n" * 8000])
def test_odd_text_is_searched_without_an_error(text: str) -> None:
    assert secrets.find(text) == []


REPEATED = [
    "a", "1", "aB3", "1 ", "4111 ", "a://", "a:", "-", "=", " ", "é", "password ", "password is ", "password for the ",
    "secret ", "aws ", "token is ", "login: ", "-----BEGIN PRIVATE KEY-----", "-----begin_PRIVATE KEY-----1234567890abcdef ", "eyJ", "eyJa.",
    "sk-", "sk-a", "AKIA", "$2b$", "DE89 ", "bearer ", "x is my ", "change password ", "change a ", "phrase is word ",
    "otpauth://", "https://hooks.", "http://a:a", "pin code for ", "glpat-", "{{", "MNO.",
]  # fmt: skip


def _seconds(text: str) -> float:
    start = time.perf_counter()
    secrets.find(text)
    return time.perf_counter() - start


@pytest.mark.parametrize(
    ("head", "part"),
    [("", part) for part in REPEATED] + [(head, " ") for head in ("password", "password is", "x is", "a:")],
)
def test_time_grows_with_the_text_and_not_faster(head: str, part: str) -> None:
    secrets.find("warm the detector up 0123456789abcdef")
    short, long = head + part * (30_000 // len(part)), head + part * (240_000 // len(part))
    assert min(_seconds(long) for _ in range(2)) < 8 * 3 * min(_seconds(short) for _ in range(3)) + 0.05


def test_a_megabyte_of_facts_takes_seconds_at_most() -> None:
    text = "\n".join(BENIGN)
    assert _seconds(text * (1_000_000 // len(text))) < 10


def test_an_ordinary_sentence_needs_no_detector() -> None:
    code = (
        "import sys; from semantic_memory import secrets;"
        "secrets.find('We deploy to Hetzner in eu-central since March, version 2.1.3');"
        "print('kingfisher_sdk' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
