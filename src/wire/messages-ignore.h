/* SPDX-License-Identifier: Apache-2.0 */
/* Before messages.def: whatever part of the schema the includer did not define means nothing. Included many times. */
#ifndef RECORD
#define RECORD(name, doc)
#endif
#ifndef MESSAGE
#define MESSAGE(kind, name, doc)
#endif
#ifndef U64
#define U64(field, max)
#define INSTANT(field)
#define FLAG(field)
#define TEXT(field, max)
#define BYTES(field, max)
#define SECRET(field, max)
#define CODE(field, max)
#define TEXTS(field, max, most)
#define LIST(field, record, most)
#endif
#ifndef END
#define END(name)
#endif
