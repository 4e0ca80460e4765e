"""Thresholds: noted once a month, told once, by mail to a real mail server."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from email.message import Message as Mail

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from aiosmtpd.smtp import Envelope

from tasks import budget_alerts, budgets, mail
from tasks.admission import Submission
from tasks.budget_subject import Subject, SubjectKind
from tasks.errors import AlertNotFound, InvalidRequest, MailNotSent
from tasks.keys import Principal
from tasks.settings import settings
from tests.integration.tasks.bookkeeping import CHARGE, change, finish, row
from tests.services.ports import free_ports

Submit = Callable[..., Submission]


class Mailbox(Message):
    """Keeps what a mail server is handed."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[Mail] = []

    async def handle_RCPT(
        self, _server: object, _session: object, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address.startswith("nobody@"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def handle_message(self, message: Mail) -> None:
        self.mails.append(message)


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    box = Mailbox()
    (port,) = free_ports(1)
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    monkeypatch.setenv("TOKENMILL_SMTP_URL", f"smtp://127.0.0.1:{port}")
    settings.cache_clear()
    yield box
    controller.stop()


@pytest.fixture
def subject(principal: Principal) -> Subject:
    found = Subject(SubjectKind.PROJECT, principal.project_id)
    budgets.set_budget(found, hard_usd=Decimal(1), soft_usd=CHARGE * 2)
    return found


def test_threshold_is_noted_once_a_month(submit_job: Submit, subject: Subject) -> None:
    budget_alerts.add_alert(subject, amount_usd=CHARGE)
    budget_alerts.add_alert(subject, percent=100)
    assert budget_alerts.note_crossed() == 0
    finish(submit_job().job.id)
    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(lambda _: budget_alerts.note_crossed(), range(4))) == 1
    finish(submit_job().job.id)
    assert budget_alerts.note_crossed() == 1
    assert row("SELECT threshold_usd FROM budget_alerts_due WHERE alert = 'soft_limit'") == (CHARGE * 2,)
    # The month after, spending begins again.
    change(
        "UPDATE budget_alerts_due SET month = month - interval '1 month'",
        "UPDATE budget_months SET month = month - interval '1 month'",
    )
    finish_in_new_month = submit_job().job.id
    assert budget_alerts.note_crossed() == 0
    finish(finish_in_new_month)
    assert budget_alerts.note_crossed() == 1


def test_alert_is_taken_by_one_process_and_again_where_that_one_failed(
    submit_job: Submit, subject: Subject
) -> None:
    budget_alerts.add_alert(subject, amount_usd=CHARGE)
    finish(submit_job().job.id)
    budget_alerts.note_crossed()

    def fail_over_it() -> None:
        with budget_alerts.due("announced_at") as (_, alerts):
            with budget_alerts.due("announced_at") as (_, others):
                assert (len(alerts), others) == (1, [])
            raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        fail_over_it()
    with budget_alerts.due("announced_at") as (_, alerts):
        assert [(one.subject, one.threshold_usd, one.spent_usd) for one in alerts] == [
            (subject, CHARGE, CHARGE)
        ]
    with budget_alerts.due("announced_at") as (_, alerts):
        assert alerts == []


def test_alert_is_mailed_once_to_those_who_asked(
    submit_job: Submit, subject: Subject, mailbox: Mailbox
) -> None:
    people = ("finance@example.com", "ada@example.com")
    budget_alerts.add_alert(subject, amount_usd=CHARGE, recipients=people, subject_prefix="[acme]")
    finish(submit_job().job.id)
    budget_alerts.note_crossed()
    assert mail.send_due_alerts() == 1
    assert mail.send_due_alerts() == 0
    (received,) = mailbox.mails
    assert received["To"] == ", ".join(people)
    # Long headers are folded.
    told = " ".join(received["Subject"].split())
    assert told.startswith(f"[acme] {subject} has spent 0.00000028 USD in ")
    assert "reached the threshold of 0.00000028 USD" in received.get_payload()


def test_refused_address_does_not_keep_others_waiting(
    submit_job: Submit, subject: Subject, mailbox: Mailbox
) -> None:
    for recipient in ("nobody@example.com", "ada@example.com"):
        budget_alerts.add_alert(subject, amount_usd=CHARGE, recipients=(recipient,))
    finish(submit_job().job.id)
    assert budget_alerts.note_crossed() == 2
    assert mail.send_due_alerts() == 2
    assert [received["To"] for received in mailbox.mails] == ["ada@example.com"]


def test_mail_server_that_is_away_leaves_the_alert_due(
    submit_job: Submit, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget_alerts.add_alert(subject, amount_usd=CHARGE, recipients=("finance@example.com",))
    finish(submit_job().job.id)
    budget_alerts.note_crossed()
    assert mail.send_due_alerts() == 0
    monkeypatch.setenv("TOKENMILL_SMTP_URL", "smtp://127.0.0.1:1")
    settings.cache_clear()
    with pytest.raises(MailNotSent, match="ConnectionRefusedError"):
        mail.send_due_alerts()
    assert row("SELECT mailed_at FROM budget_alerts_due") == (None,)


def test_alerts_are_listed_changed_and_removed(subject: Subject) -> None:
    alert_id = budget_alerts.add_alert(subject, percent=80)
    budget_alerts.change_alert(subject, alert_id, amount_usd=Decimal(5), recipients=("ada@example.com",))
    (found,) = budget_alerts.list_alerts(subject)
    assert (found.id, found.percent, found.amount_usd, found.recipients) == (
        alert_id,
        None,
        5,
        ["ada@example.com"],
    )
    other = Subject(SubjectKind.PROJECT, "proj_other")
    with pytest.raises(AlertNotFound):
        budget_alerts.remove_alert(other, alert_id)
    budget_alerts.remove_alert(subject, alert_id)
    with pytest.raises(AlertNotFound):
        budget_alerts.change_alert(subject, alert_id, percent=1)
    assert budget_alerts.list_alerts(subject) == []


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({}, "amount_usd"),
        ({"percent": 1, "amount_usd": Decimal(1)}, "amount_usd"),
        ({"percent": 0}, "percent"),
        ({"amount_usd": Decimal(0)}, "amount_usd"),
        ({"percent": 1, "recipients": ("nobody",)}, "recipients"),
        ({"percent": 1, "recipients": ("a@b.c\nBcc: d@e.f",)}, "recipients"),
        ({"percent": 1, "subject_prefix": "a\r\nBcc: d@e.f"}, "recipients"),
    ],
)
def test_alert_that_makes_no_sense_is_refused(subject: Subject, wrong: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        budget_alerts.add_alert(subject, **wrong)  # type: ignore[arg-type]
    assert caught.value.param == param
