/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The numbered migrations (sql/), embedded at build time, and bringing a database up to the last of them, one
 * transaction each. */
#include "store/db.h"

struct migration {
        int number;
        const char *name;
        const char *sqlite, *pgsql;
};
extern const struct migration migrations[]; /* ends with number 0 */

/* PROBLEM_UNSUPPORTED when the database is newer than this program, or another's; PROBLEM_STATE when read-only and
 * older. */
int db_migrate(struct db *db, bool read_only) must_check;
