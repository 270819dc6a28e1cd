"""One simulated session, from its start to its end: a sequence of events with the pauses before them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

from evdash.demo.cast import Agent, choose_agent, choose_user, details
from evdash.demo.incidents import Fault, fault_at
from evdash.demo.scenarios import SCENARIOS, Ask, Find, Say, Step, Use
from evdash.streams.publisher import NewEvent

SUMMARY_AFTER_MESSAGES = 8
ATTEMPTS = 3


@dataclass(slots=True)
class SimulatedSession:
    """A session of one or several errands. A failed step is retried, then handed over to a person."""

    seed: int
    random: Random
    started_s: float
    now_s: float = field(init=False)
    agent: Agent = field(init=False)
    user_id: str = field(init=False)
    session_id: str = field(init=False)
    details: Mapping[str, str] = field(init=False)
    messages: int = field(default=0, init=False)
    outcome: str = field(default="resolved", init=False)

    def __post_init__(self) -> None:
        self.now_s = self.started_s
        self.agent = choose_agent(self.random)
        self.user_id = choose_user(self.random, self.agent)
        self.session_id = f"{self.agent.kind}-{self.random.getrandbits(40):010x}"
        self.details = details(self.random)

    def events(self) -> Iterator[NewEvent]:
        """Yield every event in order. `timestamp` is the time at which it is due."""
        yield self._event("session.started", agent=self.agent.name, model=self.agent.model, channel=self.agent.channel)
        scenarios = SCENARIOS[self.agent.kind]
        errands = self.random.sample(scenarios, min(len(scenarios), self.random.choice((1, 1, 1, 2, 2, 3))))
        for errand in errands:
            self.details = {**details(self.random), "city": self.details["city"]}
            for step in errand.steps:
                yield from self._step(step)
                if self.outcome != "resolved":
                    break
            if self.outcome != "resolved":
                break
            if self.messages >= SUMMARY_AFTER_MESSAGES:
                yield from self._sum_up(errand.summary)
        yield from self._end()

    def _step(self, step: Step) -> Iterator[NewEvent]:
        match step:
            case Ask(text):
                yield from self._ask(text)
            case Say(text):
                yield from self._say(text)
            case Find(query, results):
                yield from self._search(query, results)
            case Use(tool, arguments, result):
                yield from self._use(tool, arguments, result)

    def _ask(self, text: str) -> Iterator[NewEvent]:
        if self.random.random() < 0.04:  # the user leaves
            self.outcome = "abandoned"
            self._wait(240)
            return
        self._wait(8 + len(text) / 6)
        if self.random.random() < 0.08:  # or takes a longer break
            self._wait(150)
        yield self._message("user", text)
        if self.random.random() < 0.02:
            yield self._event(
                "guardrail.blocked",
                rule=self.random.choice(("prompt injection", "personal data of a third person")),
                action="refused",
                severity="warning",
            )
            yield from self._say("I cannot help with that part, but I can go on with your question.")

    def _say(self, text: str) -> Iterator[NewEvent]:
        for _ in range(ATTEMPTS):
            fault = fault_at(self.seed, self.now_s, self.agent.model, self.random)
            latency_ms = self._latency_ms(1500 + 9 * len(text))
            if fault is None:
                yield self._message("assistant", text, model=self.agent.model, latency_ms=latency_ms)
                return
            yield self._error(fault, latency_ms, model=self.agent.model)
            self._wait(4)
        yield from self._hand_over()

    def _search(self, query: str, results: tuple[str, ...]) -> Iterator[NewEvent]:
        latency_ms = self._latency_ms(320)
        returned = results[: self.random.randint(1, len(results))] if self.random.random() > 0.05 else ()
        yield self._event(
            "search.performed",
            call_id=self._call_id(),
            query=self._filled(query),
            results=len(returned),
            titles=[*returned],
            latency_ms=latency_ms,
        )

    def _use(self, tool: str, arguments: Mapping[str, str], result: Mapping[str, str]) -> Iterator[NewEvent]:
        filled = {name: self._value(value) for name, value in arguments.items()}
        for _ in range(ATTEMPTS):
            call_id = self._call_id()
            self._wait(0.8)
            yield self._event("tool.called", call_id=call_id, tool=tool, arguments=filled)
            fault = fault_at(self.seed, self.now_s, tool, self.random)
            latency_ms = self._latency_ms(450 if fault is None else 2600)
            if fault is None:
                answer = {name: self._value(value) for name, value in result.items()}
                yield self._event("tool.returned", call_id=call_id, tool=tool, result=answer, latency_ms=latency_ms)
                return
            yield self._error(fault, latency_ms, call_id=call_id, tool=tool)
            self._wait(3)
        yield from self._hand_over()

    def _hand_over(self) -> Iterator[NewEvent]:
        self.outcome = "handed over"
        yield self._message("assistant", "This does not work at the moment. I have asked a colleague to take over.")
        yield self._event("handoff.requested", to="second level", reason="repeated errors")

    def _sum_up(self, summary: str) -> Iterator[NewEvent]:
        latency_ms = self._latency_ms(2400)
        text = self._filled(summary)
        replaced, self.messages = self.messages, 0
        yield self._event(
            "summary.created",
            summary=text,
            message_count=replaced,
            tokens=_tokens(text),
            model=self.agent.model,
            latency_ms=latency_ms,
        )
        if self.random.random() < 0.5:
            yield self._event("memory.cleared", reason="summed up", messages=replaced)

    def _end(self) -> Iterator[NewEvent]:
        if self.outcome == "resolved" and self.random.random() < 0.3:
            self._wait(20)
            rating = self.random.choice((5, 5, 5, 4, 4, 3, 1))
            yield self._event("feedback.given", rating=rating, comment="" if rating > 3 else "took too long")
        self._wait(5)
        duration_ms = int((self.now_s - self.started_s) * 1000)
        yield self._event("session.ended", outcome=self.outcome, duration_ms=duration_ms)

    def _message(self, role: str, text: str, **more: object) -> NewEvent:
        self.messages += 1
        content = self._filled(text)
        return self._event("message.added", role=role, content=content, tokens=_tokens(content), **more)

    def _error(self, fault: Fault, latency_ms: int, **where: str) -> NewEvent:
        return self._event(
            "error.occurred",
            error=self._filled(fault.error),
            code=fault.code,
            severity=fault.severity,
            latency_ms=latency_ms,
            **where,
        )

    def _event(self, type: str, **data: object) -> NewEvent:
        self._wait(0.15)
        flat = {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in data.items()
        }
        return NewEvent(
            type,
            self.session_id,
            self.user_id,
            {**flat, "simulated": "1"},
            event_id=f"{self.random.getrandbits(128):032x}",
            timestamp=self.now_s,
        )

    def _latency_ms(self, typical_ms: float) -> int:
        """Return a random latency, mostly about `typical_ms` and sometimes several times that.

        The clock of the session advances by it.
        """
        latency_ms = int(typical_ms * self.random.lognormvariate(0, 0.45))
        self.now_s += latency_ms / 1000
        return latency_ms

    def _wait(self, typical_s: float) -> None:
        self.now_s += typical_s * self.random.lognormvariate(0, 0.5)

    def _call_id(self) -> str:
        return f"call_{self.random.getrandbits(64):016x}"

    def _filled(self, text: str) -> str:
        return text.format_map(self.details)

    def _value(self, text: str) -> str | int:
        """Return a filled value as programs write it to JSON: whole numbers as numbers."""
        filled = self._filled(text)
        return int(filled) if filled.isdecimal() and not filled.startswith("0") else filled


def _tokens(text: str) -> int:
    """Return about the number of tokens that a tokenizer would count."""
    return max(1, len(text) // 4)
