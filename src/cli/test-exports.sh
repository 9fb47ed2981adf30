#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A function of ours that bears the name of one of a library takes its place, in the library too. The linker exports just those.
ours=$(nm -D --defined-only "$1" | grep ' T ')
[ -z "$ours" ] || { echo "these take the place of a library's: $ours"; exit 1; }
