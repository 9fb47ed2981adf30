#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Give the account of [directory] bind-dn or principal what it needs in a Samba Active Directory domain, and nothing more. Run it as root on a domain
# controller; it can be repeated. active-directory.ps1 does the same on Windows.
#
#   samba-delegate.sh ACCOUNT PEOPLE-DN                              write userCertificate and userSMIMECertificate of users below PEOPLE-DN
#   samba-delegate.sh ACCOUNT PEOPLE-DN issuer.cer root.cer HOST     … and make the CA's objects under Public Key Services, and let it keep them
#                                                                    current: the files are http://SERVER/pki/issuer.cer and root.cer, HOST is
#                                                                    the first of [server] host-names without its domain
# $SAMBA_CONFIG names another smb.conf than the machine's. Reading needs no more than every account of a domain has. Members
# of administrative groups are protected by Windows (AdminSDHolder): for them the first two rights are given on CN=AdminSDHolder,CN=System,… .
set -eu
[ $# = 2 ] || [ $# = 5 ] || { sed -n '3,13p' "$0" >&2; exit 2; }
account=$1 people=$2 issuer=${3:-} root=${4:-} host=${5:-}
config=${SAMBA_CONFIG:-}
options=${config:+--configfile=$config}
user=bf967aba-0de6-11d0-a285-00aa003049e2
# schemaIDGUIDs of the attributes
user_certificate=bf967a7f-0de6-11d0-a285-00aa003049e2
user_smime_certificate=e16a9db2-403c-11d1-a9c0-0000f80367c1
ca_certificate=bf967932-0de6-11d0-a285-00aa003049e2
revocation_list=1677579f-47f3-11d1-a9c3-0000f80367c1

value() { # of one attribute in samba-tool's or ldbsearch's output
        sed -n "s/^$1: //p" | head -1
}
sid=$(samba-tool user show "$account" --attributes=objectSid $options | value objectSid)
[ -n "$sid" ] || { echo "There is no account $account." >&2; exit 1; }

grant() { # DN, then access control entries
        samba-tool dsacl set --objectdn="$1" --sddl="$2" $options >/dev/null
        echo "$1: granted"
}
# CI: below it too, IO: not on it itself; of users only.
grant "$people" "(OA;CIIO;RPWP;$user_certificate;$user;$sid)(OA;CIIO;RPWP;$user_smime_certificate;$user;$sid)"
[ -n "$issuer" ] || exit 0

database=$(testparm -s --parameter-name='private dir' ${config:+"$config"} 2>/dev/null)/sam.ldb
base=$(ldbsearch -H "$database" -b '' -s base configurationNamingContext | value configurationNamingContext)
services="CN=Public Key Services,CN=Services,$base"
name() { # the common name of a certificate, as it is written in a DN (RFC 4514)
        openssl x509 -inform DER -in "$1" -noout -subject -nameopt multiline,utf8,-esc_msb |
                sed -n 's/^ *commonName *= //p' | sed 's/[\\,+"<>;=#]/\\&/g'
}
der() { base64 -w 0 "$1"; }
add() { # LDIF of an object, unless it is there
        if ldbsearch -H "$database" -b "$1" -s base dn >/dev/null 2>&1; then
                echo "$1: is there already"
        else
                ldbadd -H "$database" >/dev/null && echo "$1: made"
        fi
}
authority() { # DN, certificate file: an object whose lists are empty as Windows' tools make them
        add "$1" <<LDIF
dn: $1
objectClass: certificationAuthority
cACertificate:: $(der "$2")
authorityRevocationList:: AA==
certificateRevocationList:: AA==
LDIF
        grant "$1" "(OA;;RPWP;$ca_certificate;;$sid)"
}
authority "CN=$(name "$issuer"),CN=AIA,$services" "$issuer"
authority "CN=$(name "$root"),CN=Certification Authorities,$services" "$root"
authority "CN=NTAuthCertificates,$services" "$issuer"
add "CN=$host,CN=CDP,$services" <<LDIF
dn: CN=$host,CN=CDP,$services
objectClass: container
LDIF
point="CN=$(name "$issuer"),CN=$host,CN=CDP,$services"
add "$point" <<LDIF
dn: $point
objectClass: cRLDistributionPoint
certificateRevocationList:: AA==
LDIF
grant "$point" "(OA;;RPWP;$revocation_list;;$sid)"
