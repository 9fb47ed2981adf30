# SPDX-License-Identifier: Apache-2.0
"""Tokens by mail: through a real Postfix, and past servers that are slow, broken or hostile."""
import re
import signal
import time

import pytest

import harness
from conftest import new_person
from peers import wait_for
from peers_mail import TOKEN, Postfix, StandIn, texts, token_in, unavailable

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())


@pytest.fixture(scope="module")
def postfix():
    one = Postfix()
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.fixture(scope="module")
def mailing(postfix, tmp_path_factory):
    """A server that mails through Postfix, with templates of its own where a test puts them."""
    folder = tmp_path_factory.mktemp("mailing")
    (folder / "templates").mkdir()
    mail = postfix.options(folder, **{"reply-to": "help@example.org", "templates": folder / "templates"})
    with harness.Server(folder, options={"enroll": {"encryption-profile": "p256", "pool-size": 0}, "mail": mail}) as one:
        yield one


@pytest.fixture
def through(mailing, postfix):
    """Other mail servers for one test; [mail] is read anew."""
    usual = mailing.config.read_text()

    def reload(text):
        before = mailing.log.read_text(errors="replace").count("was read again")
        mailing.config.write_text(text)
        mailing.process.send_signal(signal.SIGHUP)
        wait_for(lambda: mailing.log.read_text(errors="replace").count("was read again") > before)

    def change(*servers, ca=None):
        text = re.sub(r"servers = .*", "servers = " + " ".join(servers), usual)
        reload(re.sub(r"ca-file = .*", f"ca-file = {ca}", text) if ca else text)

    change.usual = lambda: reload(usual)
    yield change
    reload(usual)


def job_of(server, address):
    """The newest job that mails to an address."""
    jobs = [job for job in server.json("queue", "list", "--kind", "mail-token", home="rita")["jobs"] if job["address"] == address]
    return jobs[-1] if jobs else None


def wait_job(server, address, state, seconds=60):
    job = lambda: job_of(server, address) or {}  # noqa: E731
    wait_for(lambda: job().get("state") == state, seconds, what=lambda: f"{job()} is not {state}:\n{server.tail()}")
    return job()


def never_seen(server, *tokens):
    """Not in what the processes said, nor in the database as it lies on disk, nor in the queue."""
    places = [server.log.read_bytes(), *(path.read_bytes() for path in server.data.glob("vouchsafe.db*")),
              server.run("queue", "list", home="rita").encode(), server.run("audit", "list", "--limit", 1000, "--json", home="rita").encode()]
    for token in tokens:
        assert not any(token[:15].encode() in place or token[-15:].encode() in place for place in places)


def test_a_whole_token_by_mail(mailing, postfix):
    one = new_person(mailing, 'Zoë "Z" Müller, <Dr.>')
    rows = mailing.json("user", "enroll", one.address, "--deliver", "mail", home="rita")["rows"]
    assert rows[0]["delivery"] == "mail" and not rows[0]["token"]
    message, = postfix.wait(one.address)
    assert message["From"].addresses[0].addr_spec == "keys@example.org" and message["Reply-To"] == "help@example.org"
    assert message["To"].addresses[0].display_name == 'Zoë "Z" Müller, <Dr.>'
    assert message["Auto-Submitted"] == "auto-generated" and message["Return-Path"] == "<bounces@example.org>"
    plain, html = texts(message)
    assert "Beispiel & Söhne" in plain and "&lt;Dr.&gt;" in html and mailing.url in plain and "<Dr.>" not in html
    job = wait_job(mailing, one.address, "sent")
    assert message["Message-Id"].startswith(f"<{job['job']}.") and "250" in job["detail"]
    token = token_in(message)
    done = one.result("enroll", "--server", mailing.url, "--token", token)
    assert done.returncode == 0, done.stderr
    never_seen(mailing, token)


def test_two_parts_enroll_and_recover(mailing, postfix, tmp_path):
    one = new_person(mailing)
    shown = mailing.run("user", "enroll", one.address, "--deliver", "split", home="rita")
    hand = re.search(TOKEN, shown)[0]
    mail = token_in(postfix.wait(one.address)[0])
    assert len(hand) == 31 and len(mail) == 15 and f"begins with {hand[:3]}" in texts(postfix.wait(one.address)[0])[0]
    for half, missing in ((hand, "comes by mail"), (mail, "given to you by hand")):
        done = one.result("enroll", "--server", mailing.url, "--token", half)
        assert done.returncode == 36 and missing in re.sub(r"\s+", " ", done.stderr)
    one.run("enroll", "--server", mailing.url, "--token", mail, "--token", hand)

    made = mailing.json("request", "recover", one.address, "--reason", "lost", "--token-out", tmp_path / "hand", home="rita")
    request = made["request"][0]["request"]
    mailing.run("request", "approve", request, "--yes", home="olga")
    time.sleep(1)
    assert len(postfix.files(one.address)) == 1  # not before officers have approved
    mailing.run("request", "approve", request, "--yes", home="omar")
    second = token_in(postfix.wait(one.address, 2)[1])
    (tmp_path / "mail").write_text(second + "\n")
    assert one.result("recover", "--server", mailing.url, "--token-file", tmp_path / "hand").returncode == 36
    one.run("recover", "--server", mailing.url, "--token-file", tmp_path / "hand", "--token-file", tmp_path / "mail")
    never_seen(mailing, hand, mail, second, (tmp_path / "hand").read_text().strip())


def test_templates_are_read_for_each_mail(mailing, postfix):
    path = mailing.folder / "templates/enroll.en.txt"
    try:
        for number, words in enumerate(["first", "second"]):
            one = new_person(mailing)
            path.write_text(f"Subject: {words} for %NAME%\n\n%TOKEN% until %EXPIRES%\n")
            mailing.run("user", "enroll", one.address, "--deliver", "mail", home="rita")
            assert postfix.wait(one.address)[0]["Subject"] == f"{words} for Person"
        broken = new_person(mailing)
        path.write_text("Subject: x\n\n%TOKEN%\n%TOKN%\n")
        mailing.run("user", "enroll", broken.address, "--deliver", "mail", home="rita")
        wait_for(lambda: "enroll.en line 2: there is no placeholder %TOKN%" in job_of(mailing, broken.address)["detail"])
    finally:
        path.unlink()
    postfix.wait(broken.address)  # put right, it goes by itself


def member(server, local, guid):
    """Somebody whose address says what Postfix does with it; again with the same guid he gets another one."""
    path = server.folder / f"{guid}.csv"
    path.write_text(f"guid,name,mail\n{guid},Person,{local}@example.org\n")
    server.run("directory", "import", path, home="rita")
    return f"{local}@example.org"


def test_who_is_refused_has_bounced_and_is_tried_again(mailing, postfix):
    address = member(mailing, "no-such", "7" * 32)
    mailing.run("user", "enroll", address, "--deliver", "mail", home="rita")
    job = wait_job(mailing, address, "bounced")
    assert "5.1.1" in job["detail"] and "550" in job["detail"]
    assert address in mailing.run("queue", "show", job["job"], home="rita")
    right = member(mailing, "right", "7" * 32)
    assert "1 job" in mailing.run("queue", "retry", job["job"], home="rita")
    token = token_in(postfix.wait(right)[0])
    mailing.run("enroll", "--server", mailing.url, "--token", token, home=right)


def test_a_later_report_is_taken_by_the_filter(mailing, postfix):
    address = member(mailing, "late", "8" * 32)
    before = len(postfix.files("bounces@example.org"))
    mailing.run("user", "enroll", address, "--deliver", "mail", home="rita")
    wait_job(mailing, address, "sent")
    postfix.wait("bounces@example.org", before + 1)
    report = postfix.files("bounces@example.org")[-1].read_bytes()
    done = mailing.result("queue", "bounce", "--server", mailing.url, stdin=report, password=False, home="mta")
    assert b"has bounced" in done.stdout
    assert "mailbox is closed" in wait_job(mailing, address, "bounced")["detail"]
    forged = re.sub(rb"(<\d+\.)(.)", lambda m: m[1] + (b"1" if m[2] == b"0" else b"0"), report)
    done = mailing.result("queue", "bounce", "--server", mailing.url, stdin=forged, password=False, home="mta")
    assert b"No mail of this server" in done.stderr
    away = mailing.result("queue", "bounce", "--server", "https://localhost:1", stdin=report, password=False, home="mta", status=None)
    assert away.returncode == 75
    assert mailing.result("queue", "bounce", stdin="Subject: hello\n\nhello\n", password=False, home="mta").returncode == 0


def test_bad_servers_are_passed_by(mailing, postfix, through):
    bad = [StandIn({"": None}), StandIn({"": b"\xff\x00 garbage\r\n" * 40}), StandIn(), StandIn({"": "421 closing"}),
           StandIn({"EHLO": "500 no", "HELO": "500 no"})]
    through(*(one.url for one in bad), f"smtps://localhost:{postfix.smtps}")
    one = new_person(mailing)
    mailing.run("user", "enroll", one.address, "--deliver", "mail", home="rita")
    token = token_in(postfix.wait(one.address)[0])
    assert not any(server.messages for server in bad)
    never_seen(mailing, token)
    for server in bad:
        server.stop()


def test_an_outage_fails_nothing(mailing, postfix, through):
    stripped = StandIn()  # somebody on the way took STARTTLS out
    through(stripped.url)
    people = [new_person(mailing) for _ in range(3)]
    for one in people:
        mailing.run("user", "enroll", one.address, "--deliver", "mail", home="rita")
    wait_for(lambda: "offers no STARTTLS" in job_of(mailing, people[0].address)["detail"])
    assert not stripped.messages and not any(line.upper().startswith(("MAIL", "AUTH")) for line in stripped.seen)
    assert {job_of(mailing, one.address)["state"] for one in people} <= {"waiting", "running"}
    stripped.stop()
    through.usual()
    for one in people:
        postfix.wait(one.address)


def test_temporary_refusals_are_tried_again(mailing, postfix, through):
    busy = StandIn({"RCPT": "451 4.7.1 greylisted"}, tls=postfix.authority.issue("busy", "DNS:localhost"))
    through(busy.url)
    one = new_person(mailing)
    mailing.run("user", "enroll", one.address, "--deliver", "mail", home="rita")
    wait_for(lambda: "greylisted" in job_of(mailing, one.address)["detail"])
    assert busy.credentials()[0] == f"\0{postfix.USER}\0{postfix.PASSWORD}".encode()
    busy.answers["RCPT"] = "250 ok"
    wait_job(mailing, one.address, "sent")
    assert len(busy.messages) == 1
    busy.stop()


def test_a_wrong_login_sends_nothing(mailing, postfix, through):
    """The queue shows what Postfix says to it; the mail goes once the password was put right."""
    password = mailing.folder / "mail-password"
    password.write_text("not the password\n")
    through.usual()
    one = new_person(mailing)
    mailing.run("user", "enroll", one.address, "--deliver", "mail", home="rita")
    wait_for(lambda: "refuses the login of [mail] user" in job_of(mailing, one.address)["detail"], what=mailing.tail)
    job = job_of(mailing, one.address)
    assert job["state"] in ("waiting", "running") and "535 5.7.8" in job["detail"], job
    shown = mailing.run("queue", "show", job["job"], home="rita")
    assert "refuses the login" in shown and not postfix.files(one.address)
    password.write_text(postfix.PASSWORD + "\n")
    through.usual()
    token = token_in(postfix.wait(one.address)[0])
    wait_job(mailing, one.address, "sent")
    never_seen(mailing, token)
    for log in (mailing.log.read_text(), postfix.log):
        assert not any(secret in log for secret in (token[:15], token[-15:], "not the password", postfix.PASSWORD))


def test_a_server_that_repeats_the_message_is_not_quoted(mailing, postfix, through):
    echo = StandIn({".": "554 5.6.0 I do not like"}, tls=postfix.authority.issue("echo", "DNS:localhost"), echo=True)
    through(echo.url)
    one = new_person(mailing)
    mailing.run("user", "enroll", one.address, "--deliver", "mail", home="rita")
    job = wait_job(mailing, one.address, "bounced")
    assert "left out" in job["detail"]
    never_seen(mailing, re.search(TOKEN.encode(), echo.messages[0])[0].decode())
    echo.stop()


def test_a_wrong_certificate_gets_nothing(mailing, postfix, through, tmp_path):
    from peers import Authority
    other = StandIn(tls=Authority(tmp_path / "other").issue("evil", "DNS:localhost"))
    through(other.url)
    one = new_person(mailing)
    mailing.run("user", "enroll", one.address, "--deliver", "mail", home="rita")
    wait_for(lambda: "certificate" in job_of(mailing, one.address)["detail"])
    assert not other.messages and not any(line.upper().startswith("MAIL") for line in other.seen)
    mailing.run("queue", "cancel", job_of(mailing, one.address)["job"], home="rita")
    other.stop()
