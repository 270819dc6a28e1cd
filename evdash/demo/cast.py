"""Cast of the demonstration: agents of three kinds, and their users."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent, as named in its events. `kind` selects its scenarios, `share` is its relative frequency."""

    kind: str
    name: str
    model: str
    channel: str
    share: int


AGENTS = (
    Agent("support", "shop-support", "gpt-4o-mini", "chat", 5),
    Agent("support", "shop-support-voice", "gpt-4o-mini", "phone", 2),
    Agent("research", "market-research", "claude-sonnet-4", "web", 2),
    Agent("coding", "code-helper", "claude-sonnet-4", "ide", 3),
    Agent("coding", "review-bot", "mistral-large", "pull request", 1),
)

USERS = {
    "support": (
        *("ada.moreau", "ben.okafor", "chiara.conti", "daniel.weiss", "emre.yilmaz", "fatima.haddad", "grace.lin"),
        *("hana.suzuki", "igor.petrov", "julia.novak", "kwame.mensah", "lena.fischer", "marco.rossi", "nadia.rahman"),
        *("oscar.lind", "priya.nair", "quentin.roux", "rosa.delgado", "samir.khan", "tara.obrien", "uma.patel"),
    ),
    "research": ("victor.hansen", "wanda.kowalska", "xavier.dupont", "yara.silva"),
    "coding": ("zoe.becker", "amir.cohen", "bianca.popescu", "carlos.mendez", "dina.elsayed", "erik.berg"),
}

_WORDS = {
    "product": (
        "desk lamp",
        "rain jacket",
        "espresso machine",
        "trail shoes",
        "noise-cancelling headphones",
        "backpack",
    ),
    "city": ("Lisbon", "Gdańsk", "São Paulo", "Osaka", "Leeds", "Montréal"),
    "carrier": ("DHL", "UPS", "PostNord", "La Poste"),
    "topic": ("heat pumps for flats", "reusable packaging", "cargo bikes", "small language models", "rooftop solar"),
    "region": ("the Nordics", "Brazil", "Japan", "Central Europe"),
    "module": ("billing", "search", "sync", "uploads", "notifications"),
    "symptom": ("times out", "returns stale data", "fails on Mondays", "leaks memory", "loses the last item"),
}


def choose_agent(random: Random) -> Agent:
    return random.choices(AGENTS, [agent.share for agent in AGENTS])[0]


def choose_user(random: Random, agent: Agent) -> str:
    """Return a user of the agent. The first of a list are its regulars, and most others return seldom."""
    users = USERS[agent.kind]
    return users[min(int(random.expovariate(3 / len(users))), len(users) - 1)]


def details(random: Random) -> dict[str, str]:
    """Return the values for a scenario's placeholders: numbers and things, the same throughout an errand."""
    chosen = {name: random.choice(words) for name, words in _WORDS.items()}
    chosen["order"] = f"A-{random.randint(10_000, 99_999)}"
    chosen["amount"] = f"{random.randint(12, 340)}.{random.choice(('00', '50', '90', '95'))}"
    chosen["line"] = str(random.randint(12, 480))
    chosen["percent"] = str(random.randint(4, 46))
    chosen["day"] = f"{random.randint(2, 27)} {random.choice(('March', 'June', 'September'))}"
    return chosen
