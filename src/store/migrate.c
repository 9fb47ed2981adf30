/* SPDX-License-Identifier: Apache-2.0 */
#include "store/migrate.h"

#include "base/fault.h"

static int migration_apply(struct db *db, const struct migration *migration)
{
        int64_t version = 0;
        int r;

        TRY(db_begin(db, true));
        /* Another server may have done it while this one waited for the lock. */
        r = db->driver->version(db, &version);
        if (r == 0 && version < migration->number) {
                r = db_run(db, db->driver->pgsql ? migration->pgsql : migration->sqlite);
                if (r == 0)
                        r = db->driver->set_version(db, migration->number);
        }
        if (r == 0)
                return PASS(db_commit(db));
        db_rollback(db);
        return PASS(report_prefix(r, "Schema %s: ", migration->name));
}

int db_migrate(struct db *db, bool read_only)
{
        const struct migration *migration = migrations;
        int64_t version = 0;

        TRY(db->driver->version(db, &version));
        for (; migration->number; migration++) {
                if (migration->number <= version)
                        continue;
                if (read_only)
                        return refuse(
                            PROBLEM_STATE,
                            "The database has schema %lld, and this program needs %s: start the server once",
                            (long long)version, migration->name);
                TRY(migration_apply(db, migration));
        }
        if (version > migration[-1].number)
                return refuse(PROBLEM_UNSUPPORTED,
                              "The database has schema %lld, and this program knows up to %d: it is older "
                              "than the one that made the database",
                              (long long)version, migration[-1].number);
        return 0;
}
