"""Mail by SMTP: what people are told who do not read webhooks."""

import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import structlog

from tasks import budget_alerts
from tasks.budget_alerts import DueAlert
from tasks.circuit import Circuit, circuit_of
from tasks.errors import MailNotSent, MailRefused
from tasks.pricing import usd_text
from tasks.settings import settings

_TIMEOUT_SECONDS = 10
_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 300.0
_PERMANENT = 500
_SCHEMES = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}

log = structlog.get_logger(__name__)


def send(recipients: Sequence[str], subject: str, body: str) -> None:
    """Hand a message to the mail server.

    Raises:
        MailRefused: it knows none of the recipients, or does not want the message.
        MailNotSent: anything else; it may be worth trying again.
    """
    message = EmailMessage()
    message["From"] = settings().mail_from
    message["To"] = ", ".join(recipients)
    message["Subject"] = subject
    message.set_content(body)
    if not circuit().allows():
        raise MailNotSent("The mail server did not take a message a moment ago.")
    try:
        with _server(settings().smtp_url or "") as server:
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        if _for_good(error):
            circuit().succeeded()
            raise MailRefused from error
        circuit().failed()
        # Its words may quote addresses.
        raise MailNotSent(f"The mail server did not take a message: {type(error).__name__}.") from error
    circuit().succeeded()


def circuit() -> Circuit:
    return circuit_of("mail", first_seconds=_FIRST_PAUSE_SECONDS, most_seconds=_LONGEST_PAUSE_SECONDS)


def send_due_alerts() -> int:
    """Mail budget alerts that are due; returns how many. Raises MailNotSent: they stay due.

    One at a time, each noted as soon as it is sent: dying in between sends one again rather than none.
    """
    if settings().smtp_url is None:
        return 0
    sent = 0
    while _send_next():
        sent += 1
    return sent


def _send_next() -> bool:
    with budget_alerts.due("mailed_at", most=1) as (_, alerts):
        for alert in alerts:
            if alert.recipients:
                _tell(alert)
        return bool(alerts)


def _tell(alert: DueAlert) -> None:
    """One that is refused for good is not to keep the others waiting. Raises MailNotSent."""
    try:
        send(alert.recipients, _subject(alert), _body(alert))
    except MailRefused:
        log.warning("budget alert refused", action="budget_alert_refused", alert=alert.alert)
    else:
        log.info("budget alert mailed", action="budget_alert_mailed", alert=alert.alert)


def _for_good(error: Exception) -> bool:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= _PERMANENT for code, _ in error.recipients.values())
    return isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= _PERMANENT


def _subject(alert: DueAlert) -> str:
    told = f"{alert.subject} has spent {usd_text(alert.threshold_usd)} USD in {alert.month:%Y-%m}"
    return told if not alert.subject_prefix else f"{alert.subject_prefix} {told}"


def _body(alert: DueAlert) -> str:
    return (
        f"In {alert.month:%Y-%m} (UTC), the {alert.subject.kind} {alert.subject.id} has spent "
        f"{usd_text(alert.spent_usd)} USD and so reached the threshold of "
        f"{usd_text(alert.threshold_usd)} USD.\n\nThis is told once a month.\n"
    )


def _server(url: str) -> smtplib.SMTP:
    """Connected, and logged in where the URL says as whom. Raises OSError, SMTPException."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _SCHEMES[parts.scheme]
    if parts.scheme == "smtps":
        context = ssl.create_default_context()
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT_SECONDS, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        if parts.scheme == "smtp+starttls":
            server.starttls(context=ssl.create_default_context())
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
    except BaseException:
        server.close()
        raise
    return server
