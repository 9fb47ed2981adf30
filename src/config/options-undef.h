/* SPDX-License-Identifier: Apache-2.0 */
/* After each use of options.def. */
#undef SECTION
#undef TEXT
#undef PATH
#undef CHOICE
#undef TEXTS
#undef ADDRESSES
#undef FLAG
#undef NUMBER
#undef SIZE
#undef DURATION
#undef END_SECTION
