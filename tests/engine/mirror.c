/* SPDX-License-Identifier: Apache-2.0 */
#include "mirror.h"

struct follower follower;

int set_up_ldap(void **state)
{
        *state = NEW(struct world);
        world_init(WORLD);
        world_open(WORLD);
        follower_begin(&follower, WORLD);
        return 0;
}

int tear_down_ldap(void **state)
{
        follower_end(&follower);
        return tear_down(state);
}

void run_of(unsigned people)
{
        if (people > 0)
                follower_person(&follower, ALICE, "Alice", "alice@example.org");
        if (people > 1)
                follower_person(&follower, BOB, "Bob", "bob@example.org");
        if (people > 2)
                follower_person(&follower, CAROL, "Carol", "carol@example.org");
        follower_send(&follower, true);
        follower_complete(&follower, true);
}

struct entry_row entry(struct world *world, const char *guid)
{
        struct entry_row row = {0};
        struct id id;

        must(id_parse(bytes_text(guid), &id));
        must(store_entry_find(world->engine.store, &id, &row));
        return row;
}

bool gone(struct world *world, const char *guid)
{
        CLEANUP(entry_row_done) struct entry_row row = entry(world, guid);

        return row.gone != 0;
}

bool disabled(struct world *world, const char *guid)
{
        CLEANUP(entry_row_done) struct entry_row row = entry(world, guid);

        return row.disabled != 0;
}

void has(struct world *world, const char *guid, const char *address)
{
        CLEANUP(entry_row_done) struct entry_row row = entry(world, guid);

        assert_string_equal(row.addresses.count ? row.addresses.items[0] : "", address);
}

void shown(struct world *world, struct msg_directory_status_reply *ret_status)
{
        struct msg_directory_status ask = {0};

        must(world_ask(world, ADA, MSG_directory_status, &ask, ret_status));
}

void findings(struct world *world, size_t count, const char *part)
{
        MSG_OWN(directory_status_reply) status = {0};

        shown(world, &status);
        for (size_t i = 0; i < status.findings.count; i++)
                if (status.findings.count != count)
                        print_message("finding: %s: %s\n", status.findings.at[i].subject, status.findings.at[i].detail);
        assert_int_equal(status.findings.count, count);
        if (count)
                assert_non_null(strstr(status.findings.at[count - 1].detail, part));
}
