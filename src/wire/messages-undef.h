/* SPDX-License-Identifier: Apache-2.0 */
/* After messages.def: forget how it was read. Included many times. */
#undef RECORD
#undef MESSAGE
#undef U64
#undef INSTANT
#undef FLAG
#undef TEXT
#undef BYTES
#undef SECRET
#undef CODE
#undef TEXTS
#undef LIST
#undef END
