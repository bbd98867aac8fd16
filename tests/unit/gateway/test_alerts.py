"""Alerts: real databases, a mail server and a web server of this machine."""

import json
import logging
import time
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from ports import free_port
from scripted import scripted

from backtune.errors import SpecError
from backtune.gateway.alerts.delivery import Delivery
from backtune.gateway.alerts.rules import AlertRules, Target
from backtune.gateway.alerts.watcher import AlertWatcher
from backtune.gateway.alerts.wording import messages_of, together
from backtune.gateway.records.alerts import Outbox
from backtune.gateway.records.leases import Lease
from backtune.gateway.records.values import End, JobRecord

BEST = {
    "study": "s", "strategy": "RSIStrategy", "asset": "AAA", "timeframe": "1h", "params": {"period": 14},
    "trial": 3, "n_trials": 1500, "values": [1.0], "warnings": ["few trades", "b", "c", "d"],
    "is_sharpe_ratio": 2.0, "is_total_return": 0.5, "is_max_drawdown": 0.1,
    "oos_sharpe_ratio": 0.4, "oos_total_return": 0.05, "oos_max_drawdown": 0.35,
}  # fmt: skip
RECORD = JobRecord(
    number=1, id="job-0123456789abcdef01234567", owner="k", request_id="r", name="small", sweep_id="small-1",
    state="completed", attempt=1, submission_id="x", is_cancel_requested=False, n_lost=0, created_at=1.0,
    not_before=0.0, started_at=2.0, ended_at=3.0, message=None, error=None, end=End(BEST, 1500, 1500),
)  # fmt: skip
OK = (200, {}, {})
HIDDEN = "sEcReT-word"


class Clock:
    """Seconds since the epoch, as told."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def target(url, **changes):
    return Target.model_validate({"name": "desk", "url": url, **changes})


def rules(*targets, **changes):
    return AlertRules(targets=targets, **changes)


@pytest.mark.parametrize(
    ("changes", "limits", "told"),
    [
        ({}, {}, [("finished", "completed")]),
        ({"state": "partial"}, {}, [("finished", "partial")]),
        ({"state": "cancelled"}, {"max_drawdown": 0.1, "min_sharpe": 1.0}, []),
        ({"state": "failed", "error": "no data"}, {"max_drawdown": 0.1}, [("failed", "failed")]),
        ({}, {"max_drawdown": 0.35}, [("finished", "completed")]),
        ({}, {"max_drawdown": 0.3}, [("finished", "completed"), ("drawdown", "drawdown 35% over 30%")]),
        ({}, {"min_sharpe": 0.4}, [("finished", "completed")]),
        ({}, {"min_sharpe": 0.5}, [("finished", "completed"), ("sharpe", "Sharpe ratio 0.40 under 0.5")]),
        ({"end": End({**BEST, "oos_sharpe_ratio": None})}, {"min_sharpe": 0.5},
         [("finished", "completed"), ("sharpe", "Sharpe ratio undefined under 0.5")]),
        ({"end": End({**BEST, "oos_max_drawdown": None})}, {"max_drawdown": 0.1}, [("finished", "completed")]),
        ({"end": End(None)}, {"max_drawdown": 0.1, "min_sharpe": 9.0}, [("finished", "completed")]),
    ],
)  # fmt: skip
def test_what_an_end_is_worth_telling(changes, limits, told):
    found = messages_of(replace(RECORD, **changes), rules(target("json://x"), **limits))
    assert [(message.kind, message.title) for message in found] == [
        (kind, f"backtune: small: {event}") for kind, event in told
    ]


def test_the_words_of_a_finished_job():
    (message,) = messages_of(RECORD, rules(target("json://x")))
    assert message.body.splitlines() == [
        "RSIStrategy AAA 1h, out of sample: Sharpe ratio 0.40, total return 5.0%, maximum drawdown 35.0%",
        "best of 1,500 trials: period=14",
        "warning: few trades",
        "warning: b",
        "warning: c",
        "job job-0123456789abcdef01234567, attempt 1, sweep small-1",
    ]


def test_what_a_user_wrote_calls_no_channel_and_adds_no_header():
    record = replace(
        RECORD, state="failed", name="a\r\nBcc: x@y", error="<!channel> <@U1> \x1b[31m" + "x" * 1000
    )
    (message,) = messages_of(record, rules(target("json://x")))
    assert message.title == "backtune: a Bcc: x@y: failed"
    assert message.body.startswith("error:  channel>  U1>  [31mxxx")
    assert len(message.body.splitlines()[0]) == 300


def test_many_are_told_together():
    message = together([f"t{i}" for i in range(23)])
    assert message.title == "backtune: 23 alerts"
    assert message.body.splitlines()[0] == "- t0"
    assert message.body.splitlines()[20:] == ["and 3 more"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("targets: []", "alerts.targets: must not be empty"),
        (f"targets: [{{name: a, url: 'json://{HIDDEN}', wen: [failed]}}]", "alerts.targets.0.wen: unknown key (did you mean 'when'?)"),
        (f"targets: [{{name: a, url: 'json://{HIDDEN}', when: [ended]}}]", "alerts.targets.0.when.0: is not known; allowed: finished, failed"),
        (f"targets: [{{name: a, url: 'json://{HIDDEN}', url_env: X}}]", "alerts.targets.0: needs url or url_env"),
        ("targets: [{name: a}]", "alerts.targets.0: needs url or url_env"),
        ("targets: [{name: a, url_env: NOT_SET}]", "alerts.targets.0.url_env: is not set in the environment"),
        (f"targets: [{{name: a, url: 'json://{HIDDEN}'}}, {{name: a, url: 'json://y'}}]", "alerts.targets: two have"),
        (f"targets: [{{name: a, url: 'json://{HIDDEN}'", "--alerts: alerts.yaml is not YAML"),
        (f"targets: [{{name: a, url: 'json://{HIDDEN}', url: 'json://y'}}]", "--alerts: alerts.yaml: targets.0.url stands twice, on line 1"),
        (f"targets: [{{name: a, url: 0700, when: [{HIDDEN}]}}]", "--alerts: alerts.yaml is not YAML that can be read"),
        (f"targets: {HIDDEN}", "alerts.targets: must be a list"),
        ("max_drawdown: 30\ntargets: [{name: a, url: 'json://x'}]", "alerts.max_drawdown: must be less"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_without_its_addresses(tmp_path, text, message):
    path = tmp_path / "alerts.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as refused:
        AlertRules.load(path, {})
    assert str(refused.value).startswith(message)
    assert HIDDEN not in str(refused.value)


def test_addresses_come_from_the_environment_and_show_nowhere(tmp_path):
    path = tmp_path / "alerts.yaml"
    path.write_text("min_sharpe: 0.5\ntargets: [{name: a, url_env: DESK, when: [failed]}]")
    loaded = AlertRules.load(path, {"DESK": f"json://{HIDDEN}"})
    assert loaded.targets[0].url.get_secret_value() == f"json://{HIDDEN}"
    assert HIDDEN not in repr(loaded)
    with pytest.raises(SpecError, match=r"missing\.yaml cannot be read"):
        AlertRules.load(Path(tmp_path / "missing.yaml"))


@pytest.mark.parametrize("url", ["nonsense", f"nosuch://{HIDDEN}", "mailto://"])
def test_an_address_that_apprise_does_not_know_is_refused_and_not_told(url):
    with pytest.raises(SpecError, match="its address is none that Apprise knows") as refused:
        Delivery(target(url))
    assert HIDDEN not in str(refused.value)


@pytest.fixture
def watch(database, records):
    """A watcher of those rules, its outbox and its clock."""

    def made(*targets, clock=None, **limits):
        clock = clock or Clock()
        outbox = Outbox(database, records, clock)
        watcher = AlertWatcher(
            rules(*targets, **limits), outbox, Lease(database, "alerts", "me"), clock, 0.05
        )
        return watcher, outbox, clock

    return made


@pytest.fixture
def ended(database, records, new_job):
    """Ends a new job at a moment."""
    from sqlalchemy import update

    from backtune.gateway.records.tables import JOBS

    def made(moment, state="completed", error=None, best=BEST):
        record, _ = records.add(new_job())
        assert records.end(record, state, End(best, 40, 40), error)
        with database.writing() as connection:
            connection.execute(update(JOBS).where(JOBS.c.id == record.id).values(ended_at=moment))
        return record.id

    return made


def test_each_end_is_told_once_whatever_is_restarted(watch, ended):
    with scripted(OK) as web:
        watcher, _, clock = watch(target(web.url + "/hook"))
        job_id = ended(clock.now + 1000)
        for _ in range(3):
            watcher.round()
        assert len(web.asked) == 1
        again, _, _ = watch(target(web.url + "/hook"), clock=clock)
        again.round()
        assert len(web.asked) == 1
        clock.now += 2000
        ended(clock.now)
        again.round()
        assert len(web.asked) == 2
    told = json.loads(web.asked[0].body)
    assert web.asked[0].target == "/hook"
    assert told["title"] == "backtune: small: completed"
    assert job_id in told["message"]


def test_what_had_ended_before_the_first_start_is_not_told(watch, ended):
    clock = Clock()
    ended(clock.now - 1)
    with scripted(OK) as web:
        for _ in range(2):
            watcher, _, _ = watch(target(web.url), clock=clock)
            watcher.round()
        assert web.asked == []


def test_an_end_while_no_gateway_ran_is_told_at_the_next_start(watch, ended):
    with scripted(OK) as web:
        _, _, clock = watch(target(web.url))
        ended(clock.now + 500)
        clock.now += 5000
        watcher, _, _ = watch(target(web.url), clock=clock)
        watcher.round()
        assert len(web.asked) == 1


def test_a_target_is_told_only_what_it_asked_for(watch, ended):
    with scripted(OK) as all_of_it, scripted(OK) as failures:
        watcher, _, clock = watch(
            target(all_of_it.url), target(failures.url, name="ops", when=["failed", "sharpe"]), min_sharpe=1.0
        )
        ended(clock.now + 1000)
        ended(clock.now + 1001, "failed", "no bars", None)
        watcher.round()
    titles = {
        name: [json.loads(one.body)["title"].removeprefix("backtune: small: ") for one in web.asked]
        for name, web in (("all", all_of_it), ("ops", failures))
    }
    assert titles == {
        "all": ["completed", "Sharpe ratio 0.40 under 1", "failed"],
        "ops": ["Sharpe ratio 0.40 under 1", "failed"],
    }


def test_what_is_not_taken_is_tried_again_later_and_dropped_in_the_end(watch, ended, caplog):
    with scripted((500, {}, {}), (200, {}, {})) as web:
        watcher, outbox, clock = watch(target(web.url + f"/{HIDDEN}"))
        ended(clock.now + 1000)
        watcher.round()
        watcher.round()
        assert len(web.asked) == 1
        clock.now += 10
        watcher.round()
        assert len(web.asked) == 2
        assert outbox.due("desk", clock.now) == []
    with scripted((500, {}, {})) as broken, caplog.at_level(logging.DEBUG):
        watcher, outbox, clock = watch(target(broken.url + f"/{HIDDEN}"), clock=clock)
        ended(clock.now + 1000)
        for _ in range(20):
            watcher.round()
            clock.now += 3600
        assert len(broken.asked) == 10
        assert outbox.due("desk", clock.now) == []
    quoted = [
        one for one in caplog.records if HIDDEN in one.getMessage() and not one.name.startswith("urllib3")
    ]
    assert quoted == []


def test_a_flood_is_told_in_few_messages(watch, ended):
    with scripted(OK) as web:
        watcher, outbox, clock = watch(target(web.url, per_hour=2))
        for i in range(30):
            ended(clock.now + 1000 + i)
        watcher.round()
        assert [json.loads(one.body)["title"] for one in web.asked] == ["backtune: 30 alerts"]
        ended(clock.now + 2000)
        watcher.round()
        for i in range(5):
            ended(clock.now + 2001 + i)
        watcher.round()
        assert len(web.asked) == 2, "more than two in an hour"
        assert len(outbox.due("desk", clock.now)) == 5
        clock.now += 3601
        watcher.round()
        assert json.loads(web.asked[-1].body)["title"] == "backtune: 5 alerts"
        assert len(web.asked) == 3


def test_a_target_that_is_down_keeps_no_other_from_being_told(watch, ended):
    with scripted((0, {}, b"")) as down, scripted(OK) as up:
        watcher, _, clock = watch(target(down.url), target(up.url, name="other"))
        ended(clock.now + 1000)
        watcher.round()
        assert len(up.asked) == 1


def test_the_loop_tells_by_itself_and_one_of_two_does(watch, ended, database):
    with scripted(OK) as web:
        first, _, clock = watch(target(web.url))
        second = AlertWatcher(
            rules(target(web.url)), first._outbox, Lease(database, "alerts", "other"), clock, 0.05
        )
        for watcher in (first, second):
            watcher.start()
        ended(clock.now + 1000)
        until = time.monotonic() + 10
        while not web.asked and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.3)
        for watcher in (first, second):
            watcher.stop()
        assert len(web.asked) == 1


class Mailbox:
    """What a mail server was given."""

    def __init__(self) -> None:
        self.letters = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.letters.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 taken"


def test_a_letter_goes_through_a_mail_server():
    mailbox = Mailbox()
    server = Controller(
        mailbox, hostname="127.0.0.1", port=free_port(),
        authenticator=lambda server, session, envelope, mechanism, data: AuthResult(
            success=data.password == HIDDEN.encode(), handled=False
        ),
        auth_require_tls=False,
    )  # fmt: skip
    server.start()
    try:
        address = f"mailto://robot:%s@127.0.0.1:{server.port}?from=robot@desk.example&to=risk@desk.example&mode=insecure"
        (message,) = messages_of(RECORD, rules(target("json://x")))
        assert Delivery(target(address % HIDDEN)).send(message.title, message.body)
        assert not Delivery(target(address % "wrong")).send(message.title, message.body)
    finally:
        server.stop()
    ((sender, recipients, content),) = mailbox.letters
    letter = message_from_bytes(content, policy=policy.default)
    assert (sender, recipients) == ("robot@desk.example", ["risk@desk.example"])
    assert letter["Subject"] == "backtune: small: completed"
    text = letter.get_body(("plain", "html")).get_content()
    assert "best of 1,500 trials: period=14" in text
    assert HIDDEN not in content.decode()


def test_a_hook_of_slack_gets_what_slack_expects(monkeypatch):
    from apprise.plugins.slack import NotifySlack

    with scripted((200, {}, b"ok")) as slack:
        # Slack's own plugin, against a server of this machine.
        monkeypatch.setattr(NotifySlack, "webhook_url", f"{slack.url}/services")
        url = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
        (message,) = messages_of(RECORD, rules(target("json://x")))
        assert Delivery(target(url)).send(message.title, message.body)
    (asked,) = slack.asked
    assert asked.target == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    assert "backtune: small: completed" in asked.body.decode()
    assert "best of 1,500 trials" in asked.body.decode()
