#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A keeper maps no library for HTTP, TLS, SQL, JSON or mail: what it links is this list, and a line more is a decision. libidn2 (with
# libunistring) writes host names of addresses into certificates.
other=$(ldd "$1" | awk '{ print $1 }' | grep -vE '^(linux-vdso|.*/ld-linux|lib(c|crypto|argon2|seccomp|idn2|unistring|pthread|dl|z|zstd|m|asan|ubsan|stdc\+\+|gcc_s|rt|resolv))[.-]') || exit 0
echo "vouchsafe-keeper links what it may not: $other" >&2
exit 1
