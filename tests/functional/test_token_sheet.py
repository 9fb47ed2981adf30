# SPDX-License-Identifier: Apache-2.0
"""Tokens on sheets of paper, and letters as they will look."""
import re
import shutil
import stat
import subprocess

import pytest

TOKEN = r"[2-9A-HJ-NP-Z]{7}(?:-[2-9A-HJ-NP-Z]{7}){3}"


@pytest.fixture(scope="module")
def tokens(server, tmp_path_factory):
    """A file of tokens for two people, one of whom reads German."""
    folder = tmp_path_factory.mktemp("sheets")
    people = folder / "people.ldif"
    people.write_text("".join(
        f"dn: cn={name},ou=Sheets,dc=example,dc=org\nobjectClass: inetOrgPerson\ncn: {name}\nsn: {name}\nou: Sheets\nmail: {name}@example.org\n"
        f"preferredLanguage: {language}\n\n" for name, language in [("sheet1", "en"), ("sheet2", "de-CH")]))
    server.run("directory", "import", people, home="rita")
    server.run("user", "enroll", "sheet1@example.org", "sheet2@example.org", "--out", folder / "tokens.tsv", "--sheet", folder / "at-once.pdf",
               home="rita")
    return folder / "tokens.tsv"


def test_a_page_for_each(server, tokens):
    pdf, text = tokens.with_suffix(".pdf"), tokens.with_suffix(".txt")
    for path in (pdf, text):
        server.run("token", "sheet", tokens, "--out", path, password=False, home="rita")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        again = server.result("token", "sheet", tokens, "--out", path, password=False, home="rita", status=16)
        assert str(path) in again.stderr
    expected = [line.split("\t")[0] for line in tokens.read_text().splitlines()]
    read = [text.read_text()]
    if shutil.which("pdftotext"):
        read.append(subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, check=True).stdout)
    for content in read:
        pages = content.rstrip("\f").split("\f")
        assert len(pages) == 2
        for page, token in zip(pages, expected):
            assert re.findall(TOKEN, page) == [token] and server.url in page and "Beispiel & Söhne" in re.sub(r"\s+", " ", page)
        assert "It can be used until" in pages[0] and "Es gilt bis" in pages[1]
    assert pdf.read_bytes().startswith(b"%PDF-") and (tokens.parent / "at-once.pdf").read_bytes().startswith(b"%PDF-")


def test_what_is_no_file_of_tokens_is_told(server, tokens, tmp_path):
    bad = tmp_path / "bad"
    for content, status in [("", 15), ("hello\n", 19), (tokens.read_text() + "2222222-2222222\tx\n", 10)]:
        bad.write_text(content)
        done = server.result("token", "sheet", bad, "--out", tmp_path / "out.pdf", password=False, home="rita", status=None)
        assert done.returncode == status and not (tmp_path / "out.pdf").exists(), done.stderr
    done = server.result("token", "sheet", tokens, "--out", tmp_path / "out.odt", password=False, home="rita", status=2)
    assert ".pdf or .txt" in done.stderr


def test_letters_can_be_looked_at(server, tmp_path):
    for kind in ("enroll", "enroll-part", "recover-part"):
        for language, word in (("en", "Dear"), ("de-AT", "Guten Tag"), ("fr", "Dear")):
            done = server.result("token", "preview", kind, "--language", language, "--config", server.config, password=False)
            assert word in done.stdout and "Beispiel & Söhne" in done.stdout and server.url in done.stdout
    assert server.run("token", "preview", "--html", "--config", server.config, password=False).startswith("<!DOCTYPE html>")
    (tmp_path / "enroll.en.txt").write_text("Subject: x\n\n%TOKN%\n")
    done = server.result("token", "preview", "--templates", tmp_path, "--config", server.config, password=False, status=29)
    assert "TOKEN" in done.stderr
    server.result("token", "preview", "--templates", tmp_path / "none", password=False, status=15)
    server.result("token", "preview", "greeting", "--config", server.config, password=False, status=15)
