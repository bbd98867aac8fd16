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
from job_records import BEST, RECORD
from ports import free_port
from scripted import scripted
from sqlalchemy import func, select
from sweeps import wait_for

from backtune.errors import SpecError
from backtune.gateway.alerts.delivery import Delivery
from backtune.gateway.alerts.messages import AlertMessage, combine_messages, compose_message
from backtune.gateway.alerts.notifier import AlertNotifier
from backtune.gateway.alerts.rules import AlertRules, Target
from backtune.gateway.jobs.job_record import JobEnd
from backtune.gateway.jobs.records import JobRecords
from backtune.gateway.jobs.tables import JOBS
from backtune.gateway.sql.leases import Lease

OK = (200, {}, {})
HIDDEN = "sEcReT-word"


def target(url, **changes):
    return Target.model_validate({"name": "desk", "url": url, **changes})


def rules(*targets, **changes):
    return AlertRules(targets=targets, **changes)


def compose(record, **limits):
    one = target("json://x")
    return compose_message(record, rules(one, **limits), one.when)


@pytest.mark.parametrize(
    ("changes", "limits", "events"),
    [
        ({}, {}, "completed"),
        ({"state": "partial"}, {}, "partial"),
        ({"state": "failed", "error": "no data"}, {"max_drawdown": 0.1}, "failed"),
        ({}, {"max_drawdown": 0.35}, "completed"),
        ({}, {"max_drawdown": 0.3}, "completed, drawdown 35% over 30%"),
        ({}, {"min_sharpe": 0.4}, "completed"),
        ({}, {"min_sharpe": 0.5}, "completed, Sharpe ratio 0.40 under 0.5"),
        ({}, {"max_drawdown": 0.3, "min_sharpe": 0.5}, "completed, drawdown 35% over 30%, Sharpe ratio 0.40 under 0.5"),
        ({"end": JobEnd({**BEST, "oos_sharpe_ratio": None})}, {"min_sharpe": 0.5}, "completed, Sharpe ratio undefined under 0.5"),
        ({"end": JobEnd({**BEST, "oos_max_drawdown": None})}, {"max_drawdown": 0.1}, "completed"),
        ({"end": JobEnd(None)}, {"max_drawdown": 0.1, "min_sharpe": 9.0}, "completed"),
    ],
)  # fmt: skip
def test_a_message_names_the_events_of_an_end(changes, limits, events):
    assert compose(replace(RECORD, **changes), **limits).title == f"backtune: small: {events}"


def test_a_cancelled_job_has_no_events():
    assert compose(replace(RECORD, state="cancelled"), max_drawdown=0.1, min_sharpe=1.0) is None


def test_a_message_describes_the_result_of_a_finished_job():
    assert compose(RECORD).body.splitlines() == [
        "RSIStrategy AAA 1h, out of sample: Sharpe ratio 0.40, total return 5.0%, maximum drawdown 35.0%",
        "best of 1,500 trials: period=14",
        "warning: few trades",
        "warning: b",
        "warning: c",
        "job job-0123456789abcdef01234567, attempt 1, sweep small-1",
    ]


def test_text_of_a_user_notifies_no_channel_and_adds_no_header():
    record = replace(
        RECORD, state="failed", name="a\r\nBcc: x@y", error="<!channel> <@U1> \x1b[31m" + "x" * 1000
    )
    message = compose(record)
    assert message.title == "backtune: a Bcc: x@y: failed"
    assert message.body.startswith("error:  channel>  U1>  [31mxxx")
    assert len(message.body.splitlines()[0]) == 300


def test_many_messages_are_combined_into_a_list_of_titles():
    message = combine_messages([AlertMessage(f"t{i}", "") for i in range(23)])
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
        (f"targets: [{{name: a, url: 'json://{HIDDEN}'}}, {{name: A, url: 'json://y'}}]", "alerts.targets: two have"),
        (f"targets: [{{name: a, url: 'json://{HIDDEN}'", "--alerts: alerts.yaml is not YAML"),
        (f"targets: [{{name: a, url: 'json://{HIDDEN}', url: 'json://y'}}]", "--alerts: alerts.yaml: targets.0.url stands twice, on line 1"),
        (f"targets: [{{name: a, url: 0700, when: [{HIDDEN}]}}]", "--alerts: alerts.yaml is not YAML that can be read"),
        (f"targets: {HIDDEN}", "alerts.targets: must be a list"),
        ("max_drawdown: 30\ntargets: [{name: a, url: 'json://x'}]", "alerts.max_drawdown: must be less"),
    ],
)  # fmt: skip
def test_the_error_about_a_wrong_file_shows_no_address(tmp_path, text, message):
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
def test_an_address_that_apprise_does_not_support_is_refused_and_not_shown(url):
    with pytest.raises(SpecError, match="Apprise does not support its address") as refused:
        Delivery(target(url))
    assert HIDDEN not in str(refused.value)


@pytest.fixture
def start_watcher(database, records, clock):
    """Make a watcher, as each start of a gateway does."""

    def make(*targets, holder="me", **limits):
        lease = Lease(database, "alerts", holder)
        return AlertNotifier(rules(*targets, **limits), records, lease, clock, round_seconds=0.05)

    return make


@pytest.fixture
def end_job(records, new_job):
    """Add a job and end it."""

    def end(state="completed", error=None, best=BEST):
        record, _ = records.add(new_job())
        assert records.record_end(record, state, JobEnd(best, 40, 40), error)
        return record.id

    return end


def titles(web):
    return [json.loads(one.body)["title"].removeprefix("backtune: small: ") for one in web.asked]


def test_a_target_is_notified_of_each_end_once_whatever_is_restarted(start_watcher, end_job, clock):
    with scripted(OK) as web:
        watcher = start_watcher(target(web.url + "/hook"))
        job_id = end_job()
        for _ in range(3):
            watcher.notify_targets()
            clock.now += 3600
        start_watcher(target(web.url + "/hook")).notify_targets()
        assert len(web.asked) == 1
        clock.now += 3600
        end_job("partial")
        watcher.notify_targets()
    assert titles(web) == ["completed", "partial"]
    assert web.asked[0].target == "/hook"
    assert job_id in json.loads(web.asked[0].body)["message"]


def test_the_end_of_a_resumed_job_is_an_end_of_its_own(start_watcher, end_job, records, clock):
    with scripted(OK) as web:
        watcher = start_watcher(target(web.url))
        job_id = end_job("failed")
        watcher.notify_targets()
        clock.now += 3600
        assert records.resume(job_id)
        watcher.notify_targets()
        assert titles(web) == ["failed"]
        assert records.record_end(records.get(job_id), "completed", JobEnd(BEST, 40, 40))
        watcher.notify_targets()
    assert titles(web) == ["failed", "completed"]


def test_nobody_is_notified_of_what_ended_while_alerts_were_off(start_watcher, database, new_job):
    without_alerts = JobRecords(database, has_alerts=False)
    record, _ = without_alerts.add(new_job())
    assert without_alerts.record_end(record, "failed", JobEnd())
    with scripted(OK) as web:
        start_watcher(target(web.url)).notify_targets()
        assert web.asked == []


def test_a_target_is_notified_only_of_the_events_that_it_asked_for(start_watcher, end_job):
    with scripted(OK) as all_events, scripted(OK) as failures:
        watcher = start_watcher(
            target(all_events.url),
            target(failures.url, name="ops", when=["failed", "sharpe"]),
            min_sharpe=1.0,
        )
        end_job()
        end_job("failed", "no bars", None)
        end_job(best={**BEST, "oos_sharpe_ratio": 1.5})
        end_job("cancelled", best=None)
        watcher.notify_targets()
    assert titles(all_events) == ["completed, Sharpe ratio 0.40 under 1", "failed", "completed"]
    assert titles(failures) == ["Sharpe ratio 0.40 under 1", "failed"]


def test_a_message_that_is_not_accepted_is_sent_again_until_it_is(start_watcher, end_job, clock, caplog):
    with scripted(*[(500, {}, {})] * 12, OK) as web, caplog.at_level(logging.DEBUG):
        watcher = start_watcher(target(web.url + f"/{HIDDEN}"))
        end_job()
        watcher.notify_targets()
        pauses = []
        for n_asked in range(1, 13):
            before = clock.now
            while len(web.asked) == n_asked:
                clock.now += 10
                watcher.notify_targets()
            pauses.append(clock.now - before)
        clock.now += 3600
        watcher.notify_targets()
        assert len(web.asked) == 13, "nothing is sent after it was accepted"
    assert pauses == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]
    quoted = [
        one for one in caplog.records if HIDDEN in one.getMessage() and not one.name.startswith("urllib3")
    ]
    assert quoted == []


def test_a_flood_is_sent_in_few_messages(start_watcher, end_job, clock):
    with scripted(OK) as web:
        watcher = start_watcher(target(web.url))
        for _ in range(30):
            end_job("failed")
        watcher.notify_targets()
        for _ in range(5):
            end_job("failed")
        watcher.notify_targets()
        assert titles(web) == ["backtune: 30 alerts"], "one after another waits a minute"
        clock.now += 60
        watcher.notify_targets()
    assert titles(web) == ["backtune: 30 alerts", "backtune: 5 alerts"]


def test_a_target_that_is_down_delays_no_other_and_repeats_none(start_watcher, end_job, clock):
    with scripted((0, {}, b""), OK) as down, scripted(OK) as up:
        targets = target(down.url, name="a_b"), target(up.url, name="a-b")
        end_job()
        start_watcher(*targets).notify_targets()
        assert (len(down.asked), len(up.asked)) == (1, 1)
        start_watcher(*targets).notify_targets()
        assert (len(down.asked), len(up.asked)) == (2, 1)
        start_watcher(*targets).notify_targets()
        assert (len(down.asked), len(up.asked)) == (2, 1)


def test_a_target_that_was_removed_from_the_file_is_waited_for_no_longer(start_watcher, end_job, database):
    with scripted((0, {}, b"")) as down, scripted(OK) as up:
        removed, kept = target(down.url, name="removed"), target(up.url)
        end_job()
        start_watcher(removed, kept).notify_targets()
        assert _count_open_notifications(database) == 1
        start_watcher(kept).notify_targets()
    assert _count_open_notifications(database) == 0


def _count_open_notifications(database):
    is_open = JOBS.c.ended_at.is_not(None) & JOBS.c.notified_at.is_(None)
    with database.begin_read() as connection:
        return connection.execute(select(func.count()).select_from(JOBS).where(is_open)).scalar()


def test_of_two_gateways_one_notifies_and_the_other_takes_over(start_watcher, end_job):
    with scripted(OK) as web:
        first, second = (start_watcher(target(web.url), holder=holder) for holder in ("a", "b"))
        first.start()
        end_job()
        assert wait_for(lambda: web.asked, 10)
        second.start()
        # The first one pauses after its message, and the other does not have the lease.
        end_job("partial")
        time.sleep(0.3)
        assert titles(web) == ["completed"]
        first.stop()
        assert wait_for(lambda: len(web.asked) == 2, 10)
        second.stop()
    assert titles(web) == ["completed", "partial"]


def test_a_watcher_that_lost_the_lease_sends_nothing(start_watcher, end_job, database):
    assert Lease(database, "alerts", "another gateway").hold()
    with scripted(OK) as web:
        end_job()
        start_watcher(target(web.url)).notify_targets()
        assert web.asked == []


class Mailbox:
    """The mail that a server has accepted."""

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
        assert Delivery(target(address % HIDDEN)).send(compose(RECORD))
        assert not Delivery(target(address % "wrong")).send(compose(RECORD))
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
        assert Delivery(target(url)).send(compose(RECORD))
    (asked,) = slack.asked
    assert asked.target == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    assert "backtune: small: completed" in asked.body.decode()
    assert "best of 1,500 trials" in asked.body.decode()
