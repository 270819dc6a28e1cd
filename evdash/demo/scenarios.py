"""Scenarios: requests to the simulated agents, and the agents' steps. A session fills `{order}` and the like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Say:
    """A message of the agent."""

    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A message of the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Find:
    """A search of the agent. `results` are the titles that it can find."""

    query: str
    results: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """A tool call of the agent. `result` is the tool's return."""

    tool: str
    arguments: Mapping[str, str]
    result: Mapping[str, str]


Step = Say | Ask | Find | Use


@dataclass(frozen=True, slots=True)
class Scenario:
    """One errand: its steps from the first message on, and its summary for a conversation that has become long."""

    steps: tuple[Step, ...]
    summary: str


_ORDER = Use(
    "get_order",
    {"order_id": "{order}"},
    {"order_id": "{order}", "status": "shipped", "item": "{product}", "total": "{amount}", "carrier": "{carrier}"},
)

SCENARIOS: Mapping[str, tuple[Scenario, ...]] = {
    "support": (
        Scenario(
            (
                Ask("Hi, where is my order {order}? It should have been here on {day}."),
                _ORDER,
                Use(
                    "track_parcel",
                    {"carrier": "{carrier}", "order_id": "{order}"},
                    {"state": "in transit", "last_seen": "{city}", "expected": "tomorrow"},
                ),
                Say("Your {product} left our warehouse and was last seen in {city}. {carrier} expects it tomorrow."),
                Ask("Can I have it delivered to a neighbour?"),
                Find(
                    "delivery to a neighbour {carrier}",
                    ("Delivery options", "How to allow a neighbour", "Parcel shops near you"),
                ),
                Use(
                    "update_delivery",
                    {"order_id": "{order}", "option": "neighbour"},
                    {"order_id": "{order}", "option": "neighbour", "confirmed": "true"},
                ),
                Say("Done: {carrier} may hand it to a neighbour. You will get a message when that happens."),
            ),
            "The customer asked for order {order} ({product}); {carrier} may now deliver it to a neighbour.",
        ),
        Scenario(
            (
                Ask("The {product} from order {order} arrived damaged. I would like my money back."),
                _ORDER,
                Find("refund policy damaged goods", ("Returns and refunds", "Damaged on arrival", "Your rights")),
                Say("I am sorry about the {product}. A refund of {amount} EUR is possible. Shall I start it?"),
                Ask("Yes, please."),
                Use(
                    "create_return",
                    {"order_id": "{order}", "reason": "damaged"},
                    {"return_id": "R-{line}", "label": "sent by e-mail"},
                ),
                Use(
                    "issue_refund",
                    {"order_id": "{order}", "amount": "{amount}", "currency": "EUR"},
                    {"refund_id": "F-{line}", "amount": "{amount}", "state": "booked"},
                ),
                Say("The refund of {amount} EUR is booked and takes three days. The return label is in your e-mail."),
            ),
            "Order {order}: {product} arrived damaged; return created, refund of {amount} EUR.",
        ),
        Scenario(
            (
                Ask("You have charged me twice!! {amount} EUR on {day}, look it up."),
                Use(
                    "list_charges",
                    {"day": "{day}", "amount": "{amount}"},
                    {"charges": "2", "first": "captured", "second": "authorised, will expire"},
                ),
                Say(
                    "I see two lines of {amount} EUR. Only one was captured; the other is a hold that your bank drops."
                ),
                Ask("When?"),
                Find("how long card authorisation holds last", ("Card holds explained", "Payments FAQ")),
                Say("Within seven days at most, often sooner."),
                Ask("OK. And my address has changed, I live in {city} now."),
                Use(
                    "update_address",
                    {"city": "{city}", "order_id": "{order}"},
                    {"city": "{city}", "verified": "true"},
                ),
                Say("Your address is changed to {city}."),
            ),
            "Two card lines of {amount} EUR, one of them a hold; address changed to {city}.",
        ),
    ),
    "research": (
        Scenario(
            (
                Ask("How big is the market for {topic} in {region}, and who leads it? I need sources."),
                Find(
                    "{topic} market size {region}", ("Market report", "Industry statistics", "Annual review", "Survey")
                ),
                Use(
                    "fetch_page",
                    {"url": "https://stats.example/{line}"},
                    {"title": "Industry statistics", "words": "4210"},
                ),
                Find("{topic} vendors {region} market share", ("Top ten vendors", "Share by vendor", "Press release")),
                Use(
                    "fetch_page",
                    {"url": "https://press.example/{order}"},
                    {"title": "Share by vendor", "words": "1180"},
                ),
                Say(
                    "So far: {topic} grew by {percent} % last year in {region}. Two sources agree on the size and "
                    "disagree on who leads. I am looking for a third one."
                ),
                Find("{topic} {region} revenue filings", ("Annual accounts", "Registry extract")),
                Use(
                    "run_query",
                    {"sql": "SELECT vendor, sum(revenue) FROM filings GROUP BY vendor ORDER BY 2 DESC LIMIT 5"},
                    {"rows": "5", "first": "Nordlicht AB", "share": "{percent} %"},
                ),
                Say(
                    "**{topic}, {region}**\n\n| | |\n|---|---|\n| growth | {percent} % |\n| leader | Nordlicht AB |\n\n"
                    "Sources: industry statistics, share by vendor, annual accounts. The first two are a year old."
                ),
                Ask("Good. Leave out everything older than two years and write it up."),
                Use("write_document", {"title": "{topic} in {region}"}, {"document_id": "D-{line}", "pages": "3"}),
                Say("The report is written: three pages, all sources from the last two years."),
            ),
            "Market of {topic} in {region}: growth {percent} %, leader Nordlicht AB, three sources.",
        ),
        Scenario(
            (
                Ask("Compare what customers say about our {product} with the reviews of last {day}."),
                Use(
                    "run_query",
                    {"sql": "SELECT rating, text FROM reviews WHERE product = '{product}'"},
                    {"rows": "{line}", "mean_rating": "4.{percent}"},
                ),
                Find("{product} review complaints", ("Forum thread", "Test report", "Video transcript")),
                Say("{line} reviews read. Praise for the look, complaints about the manual in {percent} % of them."),
                Ask("What exactly is wrong with the manual?"),
                Find("{product} manual unclear step", ("Page 7 of the manual", "Forum: I gave up at step 4")),
                Say("Step 4 shows the part upside down. 19 reviewers say so, in four languages: 説明書が逆さまです。"),
            ),
            "Reviews of the {product}: the manual's step 4 is the most frequent complaint.",
        ),
    ),
    "coding": (
        Scenario(
            (
                Ask("The {module} job {symptom}. Can you find out why?"),
                Use("read_file", {"path": "src/{module}/job.py"}, {"lines": "{line}", "path": "src/{module}/job.py"}),
                Use(
                    "run_tests",
                    {"path": "tests/{module}"},
                    {"passed": "{percent}", "failed": "1", "first_failure": "test_{module}_keeps_the_order"},
                ),
                Say("`test_{module}_keeps_the_order` fails: line {line} sorts by name where it needs the number."),
                Ask("Fix it, please."),
                Use(
                    "edit_file",
                    {"path": "src/{module}/job.py", "line": "{line}", "change": "sort by sequence number"},
                    {"changed_lines": "2"},
                ),
                Use("run_tests", {"path": "tests/{module}"}, {"passed": "{percent}", "failed": "0"}),
                Say("Fixed, all tests of {module} pass:\n\n```python\nitems.sort(key=lambda item: item.sequence)\n```"),
            ),
            "The {module} job sorted by name; it sorts by sequence number now, tests pass.",
        ),
        Scenario(
            (
                Ask("Please review pull request #{line}: it changes how {module} handles retries."),
                Use("get_diff", {"pull_request": "{line}"}, {"files": "4", "added": "{percent}", "removed": "12"}),
                Use("read_file", {"path": "src/{module}/retry.py"}, {"lines": "88", "path": "src/{module}/retry.py"}),
                Find("{module} retry idempotency key", ("Idempotent requests", "ADR 14: retries", "Incident review")),
                Use(
                    "post_comment",
                    {"pull_request": "{line}", "text": "Without an idempotency key a retry may write twice."},
                    {"comment_id": "C-{line}"},
                ),
                Say("One finding: without an idempotency key a retry may write twice. The rest reads well."),
                Ask("Good catch. Anything else in the tests?"),
                Use("run_tests", {"path": "tests/{module}"}, {"passed": "{percent}", "failed": "0"}),
                Say("The tests pass; none covers a time-out in the middle of a write. I suggest one."),
            ),
            "Pull request #{line}: idempotency key missing, a test for time-outs suggested.",
        ),
    ),
}
