/* SPDX-License-Identifier: Apache-2.0 */
#include "ldap/roster.h"

#include <search.h>
#include <stdlib.h>

#include "base/dn.h"
#include "base/mem.h"
#include "crypto/kdf.h"

struct roster_group {
        struct id id;
        char *dn;
        struct id_list members; /* names, sorted */
};

/* With what the trees and the allocator need. */
enum { ENTRY_COST = 112, GROUP_COST = 144, NAME_COST = 112, MEMBERSHIP_COST = 40 };

/* A name that groups list. */
struct membership {
        struct id name;
        struct roster_group **groups;
        uint32_t count;
};

/* ---- lists ------------------------------------------------------------------------------------------------
 */

void id_list_add(struct id_list *list, const struct id *id)
{
        if (list->count == list->room) {
                list->room = list->room ? 2 * list->room : 16;
                list->at = mem_resize(list->at, list->room, sizeof(struct id));
        }
        list->at[list->count++] = *id;
}

void id_list_done(struct id_list *list)
{
        free(list->at);
        *list = (struct id_list){0};
}

/* Every tree here has a struct id first. */
static int compare(const void *a, const void *b)
{
        return memcmp(a, b, ID_SIZE);
}

void id_list_sort(struct id_list *list)
{
        size_t kept = 0;

        if (list->count)
                qsort(list->at, list->count, sizeof(struct id), compare);
        for (size_t i = 0; i < list->count; i++)
                if (!kept || !id_equal(&list->at[kept - 1], &list->at[i]))
                        list->at[kept++] = list->at[i];
        list->count = kept;
}

bool id_list_has(const struct id_list *list, const struct id *id)
{
        return list->count && bsearch(id, list->at, list->count, sizeof(struct id), compare);
}

int roster_name(struct bytes dn, struct id *ret_name)
{
        CLEANUP(dn_done) struct dn parts = {0};
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        struct digest digest;

        TRY(dn_parse(dn, &parts));
        dn_key_add(&key, &parts);
        digest = sha256(buf_view(&key));
        memcpy(ret_name->data, digest.data, ID_SIZE);
        return 0;
}

/* ---- trees ------------------------------------------------------------------------------------------------
 */

static void *tree_find(void *const *tree, const struct id *key)
{
        void **node = tfind(key, tree, compare);

        return node ? *node : NULL;
}

static void tree_put(void **tree, void *item)
{
        if (!tsearch(item, tree, compare))
                abort();
}

/* by_name compares the name, which is not the first member. */
static struct roster_entry *entry_of(const void *name)
{
        return CONTAINER_OF((const struct id *)name, struct roster_entry, name);
}

const struct roster_entry *roster_find(const struct roster *roster, const struct id *id)
{
        return tree_find(&roster->by_id, id);
}

const struct roster_entry *roster_find_name(const struct roster *roster, const struct id *name)
{
        void *found = tree_find(&roster->by_name, name);

        return found ? entry_of(found) : NULL;
}

struct absence {
        const struct id_list *present;
        struct id_list *absent;
};

static void absence_note(const void *node, VISIT visit, void *context)
{
        struct absence *absence = context;
        const struct roster_entry *entry = *(void *const *)node;

        if ((visit == postorder || visit == leaf) && !id_list_has(absence->present, &entry->id))
                id_list_add(absence->absent, &entry->id);
}

void roster_absent(const struct roster *roster, const struct id_list *present, struct id_list *ret_absent)
{
        struct absence absence = {present, ret_absent};

        twalk_r(roster->by_id, absence_note, &absence);
}

static void leave(void *item)
{
}

static void membership_free(void *item)
{
        struct membership *membership = item;

        free(membership->groups);
        free(membership);
}

static void group_free(void *item)
{
        struct roster_group *group = item;

        id_list_done(&group->members);
        free(group->dn);
        free(group);
}

void roster_done(struct roster *roster)
{
        tdestroy(roster->by_name, leave);
        tdestroy(roster->by_id, free);
        tdestroy(roster->members, membership_free);
        tdestroy(roster->groups, group_free);
        *roster = (struct roster){0};
}

/* ---- entries ----------------------------------------------------------------------------------------------
 */

static void name_release(struct roster *roster, struct roster_entry *entry)
{
        if (tree_find(&roster->by_name, &entry->name) == &entry->name)
                tdelete(&entry->name, &roster->by_name, compare);
}

/* Whoever has the name gives it up; it stays known by its id. */
static bool name_claim(struct roster *roster, struct roster_entry *entry)
{
        void *other = tree_find(&roster->by_name, &entry->name);

        if (other)
                name_release(roster, entry_of(other));
        tree_put(&roster->by_name, &entry->name);
        return other;
}

enum roster_outcome roster_put(struct roster *roster, const struct id *id, const struct id *name, bool group)
{
        struct roster_entry *entry = tree_find(&roster->by_id, id);

        if (entry && id_equal(&entry->name, name))
                return ROSTER_KNOWN;
        if (entry) {
                name_release(roster, entry);
                entry->name = *name;
                (void)name_claim(roster, entry);
                return ROSTER_MOVED;
        }
        entry = NEW(struct roster_entry);
        *entry = (struct roster_entry){*id, *name, group};
        tree_put(&roster->by_id, entry);
        roster->count++;
        roster->size += ENTRY_COST;
        return name_claim(roster, entry) ? ROSTER_TAKEN : ROSTER_NEW;
}

/* ---- membership -------------------------------------------------------------------------------------------
 */

static void membership_add(struct roster *roster, const struct id *name, struct roster_group *group)
{
        struct membership *membership = tree_find(&roster->members, name);

        if (!membership) {
                membership = NEW(struct membership);
                membership->name = *name;
                tree_put(&roster->members, membership);
                roster->size += NAME_COST;
        }
        membership->groups =
            mem_resize(membership->groups, membership->count + 1, sizeof(struct roster_group *));
        membership->groups[membership->count++] = group;
        roster->size += MEMBERSHIP_COST;
}

static void membership_remove(struct roster *roster, const struct id *name, const struct roster_group *group)
{
        struct membership *membership = tree_find(&roster->members, name);

        for (uint32_t i = 0; membership && i < membership->count; i++)
                if (membership->groups[i] == group) {
                        membership->groups[i] = membership->groups[--membership->count];
                        roster->size -= MEMBERSHIP_COST;
                        break;
                }
        if (membership && !membership->count) {
                tdelete(name, &roster->members, compare);
                membership_free(membership);
                roster->size -= NAME_COST;
        }
}

/* Both are sorted: walk them together. `all` reports also who stays. */
static void members_replace(struct roster *roster, struct roster_group *group, struct id_list *members,
                            bool all, struct id_list *changed)
{
        size_t o = 0, n = 0;

        while (o < group->members.count || n < members->count) {
                const struct id *old = o < group->members.count ? &group->members.at[o] : NULL;
                const struct id *new = n < members->count ? &members->at[n] : NULL;
                int order = !old ? 1 : !new ? -1 : compare(old, new);

                if (order < 0)
                        membership_remove(roster, old, group);
                else if (order > 0)
                        membership_add(roster, new, group);
                if (order || all)
                        id_list_add(changed, order < 0 ? old : new);
                o += order <= 0;
                n += order >= 0;
        }
        id_list_done(&group->members);
        group->members = *members;
        *members = (struct id_list){0};
}

void roster_group_put(struct roster *roster, const struct id *id, const char *dn, struct id_list *members,
                      struct id_list *changed)
{
        struct roster_group *group = tree_find(&roster->groups, id);
        bool renamed = group && strcmp(group->dn, dn) != 0;

        id_list_sort(members);
        if (!group) {
                group = NEW(struct roster_group);
                group->id = *id;
                tree_put(&roster->groups, group);
                roster->size += GROUP_COST;
        }
        roster->size += strlen(dn) - strlen(msg_text(group->dn));
        free(group->dn);
        group->dn = text_copy(dn);
        members_replace(roster, group, members, renamed, changed);
}

void roster_remove(struct roster *roster, const struct id *id, struct id_list *changed)
{
        struct roster_entry *entry = tree_find(&roster->by_id, id);
        struct roster_group *group = tree_find(&roster->groups, id);
        struct id_list nobody = {0};

        if (group) {
                members_replace(roster, group, &nobody, false, changed);
                tdelete(id, &roster->groups, compare);
                roster->size -= GROUP_COST + strlen(group->dn);
                group_free(group);
        }
        if (!entry)
                return;
        name_release(roster, entry);
        tdelete(id, &roster->by_id, compare);
        free(entry);
        roster->count--;
        roster->size -= ENTRY_COST;
}

static int compare_texts(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

bool roster_groups_of(const struct roster *roster, const struct id *name, size_t most,
                      struct msg_texts *ret_dns)
{
        const struct membership *membership = tree_find(&roster->members, name);

        for (uint32_t i = 0; membership && i < membership->count && i < most; i++)
                msg_texts_add(ret_dns, membership->groups[i]->dn);
        /* In any order they would look like changes. */
        if (ret_dns->count)
                qsort(ret_dns->at, ret_dns->count, sizeof(char *), compare_texts);
        return !membership || membership->count <= most;
}
