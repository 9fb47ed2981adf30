/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests of the mirror of an LDAP directory share: one that is followed, and what there is of its entries. */
#include "follower.h"
#include "room.h"

/* Of the test that runs. */
extern struct follower follower;
int set_up_ldap(void **state);
int tear_down_ldap(void **state);
#define LDAP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_ldap, tear_down_ldap)

#define ALICE "a0000000-0000-4000-8000-000000000001"
#define BOB   "b0000000-0000-4000-8000-000000000002"
#define CAROL "c0000000-0000-4000-8000-000000000003"
/* A complete run with Alice, Bob and Carol, as many of them as are asked. */
void run_of(unsigned people);

/* One entry, by id; freed by the caller. */
struct entry_row entry(struct world *world, const char *guid);
bool gone(struct world *world, const char *guid);
bool disabled(struct world *world, const char *guid);
/* Its first address is this; "": it has none. */
void has(struct world *world, const char *guid, const char *address);
void shown(struct world *world, struct msg_directory_status_reply *ret_status);
/* So many are shown, and the last one has these words. */
void findings(struct world *world, size_t count, const char *part);
