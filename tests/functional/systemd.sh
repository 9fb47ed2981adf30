#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The service of packaging/ under a real systemd, played by test_systemd.py within tests/with-systemd: started with a credential, reloaded, killed, stopped.
set -eux
build=/media/build/src
install -m755 "$build/supervisor/vouchsafed" /usr/sbin/
install -m755 "$build/cli/vouchsafe" /usr/bin/
mkdir -p /usr/libexec/vouchsafe /etc/vouchsafe /etc/systemd/test /root/setup
for program in "$build"/*/vouchsafe-*; do
        [ ! -f "$program" ] || [ ! -x "$program" ] || install -m755 "$program" /usr/libexec/vouchsafe/
done
systemd-sysusers /media/packaging/vouchsafe.sysusers
cat >/etc/vouchsafe/vouchsafe.conf <<'CONFIG'
[server]
organisation = Test
host-names = localhost
[startup]
secret = credential
[enroll]
encryption-profile = p256
CONFIG
install -d -o vouchsafe -g vouchsafe -m700 /var/lib/vouchsafe
cd /root/setup
echo 'a long root password' >password
vouchsafe init --quorum 1 --officer olga --root-out root.p12 --root-password-file password --startup-secret-file secret --codes-dir codes
sed 's|^#LoadCredentialEncrypted=.*|LoadCredential=startup-secret:/root/setup/secret|' /media/packaging/vouchsafe.service >/etc/systemd/test/vouchsafe.service
systemctl daemon-reload

export VOUCHSAFE_HOME=/root/home
unsealed() {
        for _ in $(seq 300); do
                vouchsafe status --server https://localhost:8443 | grep -q 'State.* unsealed' && return
                sleep 0.2
        done
        journalctl -u vouchsafe --no-pager
        return 1
}
main() { systemctl show -p MainPID --value vouchsafe; }

systemctl start vouchsafe # which returns when it is ready
unsealed
if tr '\0' '\n' <"/proc/$(pgrep -f 'vouchsafe-engine')/environ" | grep CREDENTIALS; then exit 1; fi
grep -q '^CapEff:.*0000000000000000$' "/proc/$(main)/status"
vouchsafe operator accept --server https://localhost:8443 --code-file codes/olga --password-file password
vouchsafe verify --password-file password
systemctl reload vouchsafe
systemctl is-active vouchsafe
before=$(main)
kill -9 "$before"
for _ in $(seq 100); do
        [ "$(main)" != "$before" ] && [ "$(main)" != 0 ] && break
        sleep 0.2
done
unsealed
systemctl stop vouchsafe
[ "$(systemctl show -p Result --value vouchsafe)" = success ]
if pgrep vouchsafe; then exit 1; fi
echo "The service did all that it should."
