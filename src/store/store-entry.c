/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory. entry_keys is an index that is derived from the entries: it says where to look, and the
 * entry that is found is asked whether it is so. A false key can hide an entry, which verify reports, but
 * never pass one off for another.
 */
#include "store/entry.h"

#include "base/dn.h"
#include "base/fold.h"
#include "base/text.h"
#include "crypto/kdf.h"
#include "crypto/name.h"

/* ---- keys ---- */

static void add_key(struct entry_keys *keys, int kind, const char *text)
{
        if (!text || !*text)
                return;
        keys->items = mem_resize(keys->items, keys->count + 1, sizeof(*keys->items));
        keys->items[keys->count++] = (struct entry_key){kind, text_copy(text)};
}

static void lower(char *text)
{
        for (; *text; text++)
                *text = (char)text_lower((uint8_t)*text);
}

enum { NAME_KEY_MOST = 1024 }; /* PostgreSQL's index takes 2,700 bytes, when they cannot be compressed */

/* In place of a key that is too long, or that a DN or such a digest could have. */
static char *key_digest(struct bytes key)
{
        CLEANUP(buf_done) struct buf text = BUF_NONE;
        struct digest digest = sha256(key);

        buf_add_byte(&text, '#');
        hex_add(&text, digest_view(&digest));
        return text_copy(buf_text(&text));
}

char *store_name_key(const char *name)
{
        CLEANUP(dn_done) struct dn dn = {0};
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        bool is_dn = strchr(name, '=') && dn_parse(bytes_text(name), &dn) == 0;

        if (is_dn)
                dn_key_add(&key, &dn);
        else
                fold_name_add(&key, bytes_text(name));
        if (key.len > NAME_KEY_MOST || (!is_dn && strpbrk(buf_text(&key), "=#")))
                return key_digest(buf_view(&key));
        return text_copy(buf_text(&key));
}

/* Once. */
static void add_name_key(struct entry_keys *keys, int kind, const char *text)
{
        size_t before = keys->count;
        char *key CLEANUP(mem_freep) = NULL;

        if (!text || !*text)
                return;
        key = kind == ENTRY_KEY_SEARCH ? fold_search_key(bytes_text(text)) : store_name_key(text);
        for (size_t i = 0; i < before; i++)
                if (keys->items[i].kind == kind && strcmp(keys->items[i].text, key) == 0)
                        return;
        add_key(keys, kind, key);
}

void entry_keys_done(struct entry_keys *keys)
{
        for (size_t i = 0; i < keys->count; i++)
                free(keys->items[i].text);
        free(keys->items);
        *keys = (struct entry_keys){0};
}

struct entry_keys entry_keys_of(const struct entry_row *row)
{
        struct entry_keys keys = {0};

        for (size_t i = 0; i < row->addresses.count; i++)
                add_key(&keys, ENTRY_KEY_ADDRESS, row->addresses.items[i]);
        for (size_t i = 0; i < row->groups.count; i++)
                add_name_key(&keys, ENTRY_KEY_GROUP, row->groups.items[i]);
        add_name_key(&keys, ENTRY_KEY_NAME, row->name);
        add_name_key(&keys, ENTRY_KEY_SEARCH, row->cn);
        add_name_key(&keys, ENTRY_KEY_SEARCH, row->given_name);
        add_name_key(&keys, ENTRY_KEY_SEARCH, row->surname);
        if (row->kind == ENTRY_GROUP)
                add_name_key(&keys, ENTRY_KEY_CALLED, row->cn);
        return keys;
}

static int keys_put(struct store *store, const struct entry_row *row)
{
        CLEANUP(entry_keys_done) struct entry_keys keys = entry_keys_of(row);

        if (row->row.version > 0)
                TRY(db_change(&store->db, "DELETE FROM entry_keys WHERE guid = $1",
                              VALUES(BYTES(id_view(&row->guid))), NULL));
        for (size_t i = 0; i < keys.count; i++) {
                bool unique = keys.items[i].kind == ENTRY_KEY_ADDRESS || keys.items[i].kind == ENTRY_KEY_NAME;
                int64_t added = 0;

                TRY(db_change(
                    &store->db,
                    "INSERT INTO entry_keys (kind, key, guid) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                    VALUES(NUMBER(keys.items[i].kind), TEXT(keys.items[i].text), BYTES(id_view(&row->guid))),
                    &added));
                if (!added && unique)
                        return refuse(PROBLEM_EXISTS, "The %s \"%s\" belongs to another entry of the directory.",
                                      keys.items[i].kind == ENTRY_KEY_ADDRESS ? "address" : "name",
                                      keys.items[i].text);
        }
        return 0;
}

/* Say whose an address or a name is: that is what the administrator has to look at. */
static int name_other(struct store *store, const struct entry_row *row, int result)
{
        CLEANUP(entry_row_done) struct entry_row other = {0};
        CLEANUP(entry_keys_done) struct entry_keys keys = entry_keys_of(row);

        for (size_t i = 0; i < keys.count; i++) {
                int kind = keys.items[i].kind, r = PROBLEM_NOT_FOUND;
                char id[ID_TEXT_SIZE];

                if (kind == ENTRY_KEY_ADDRESS)
                        r = store_entry_find_address(store, keys.items[i].text, &other);
                else if (kind == ENTRY_KEY_NAME)
                        r = store_entry_find_name(store, row->name, &other);
                if (r == 0 && !id_equal(&other.guid, &row->guid))
                        return refuse(PROBLEM_EXISTS,
                                      "The %s \"%s\" belongs to another entry of the directory, \"%s\" (%s).",
                                      kind == ENTRY_KEY_ADDRESS ? "address" : "name",
                                      kind == ENTRY_KEY_ADDRESS ? keys.items[i].text : row->name, other.cn,
                                      id_text(&other.guid, id));
                entry_row_done(&other);
        }
        return result;
}

int store_entry_put(struct store *store, struct entry_row *row)
{
        int r;

        TRY(store_write(store));
        r = keys_put(store, row);
        if (r == PROBLEM_EXISTS)
                return name_other(store, row, r);
        TRY(r);
        return PASS(row->row.version ? row_update(store, &table_entries, row)
                                     : row_insert(store, &table_entries, row));
}

/* ---- finding ---- */

int store_entry_find(struct store *store, const struct id *guid, struct entry_row *ret_row)
{
        return PASS(
            row_find(store, &table_entries, "WHERE guid = $1", VALUES(BYTES(id_view(guid))), ret_row));
}

static int index_false(const char *noun, const char *text)
{
        return refuse(PROBLEM_TAMPERED,
                      "The index of the directory points for %s \"%s\" to an entry that does not have it. "
                      "Run verify, and restore it from a backup",
                      noun, text);
}

int store_entry_find_address(struct store *store, const char *address, struct entry_row *ret_row)
{
        struct entry_row row;

        TRY(row_find(store, &table_entries,
                     "WHERE guid = (SELECT guid FROM entry_keys WHERE kind = 1 AND key = $1)",
                     VALUES(TEXT(address)), &row));
        if (!texts_have(&row.addresses, address)) {
                entry_row_done(&row);
                return index_false("the address", address);
        }
        *ret_row = row;
        return 0;
}

int store_entry_find_name(struct store *store, const char *name, struct entry_row *ret_row)
{
        char *key CLEANUP(mem_freep) = store_name_key(name);
        struct entry_row row;

        TRY(row_find(store, &table_entries,
                     "WHERE guid = (SELECT guid FROM entry_keys WHERE kind = 4 AND key = $1)",
                     VALUES(TEXT(key)), &row));
        char *own CLEANUP(mem_freep) = store_name_key(row.name);
        if (strcmp(own, key) != 0) {
                entry_row_done(&row);
                return index_false("the name", name);
        }
        *ret_row = row;
        return 0;
}

/* ---- listing ---- */

#define ENTRY_CONDITIONS                                                                                     \
        "guid > $1 AND ($3 = 0 OR kind = $3) AND ($4 = 0 OR disabled = 0) AND "                              \
        "($5 = 2 OR ($5 = 0 AND gone = 0) OR ($5 = 1 AND gone > 0)) ORDER BY guid LIMIT $2"
#define ENTRY_ALL    "WHERE " ENTRY_CONDITIONS
#define ENTRY_GONE   "WHERE gone > 0 AND " ENTRY_CONDITIONS
#define ENTRY_SERVER "WHERE server = $6 AND " ENTRY_CONDITIONS
/* "Sales" and what is from "Sales/" to before "Sales0": 0 comes after / */
#define ENTRY_UNIT "WHERE (unit = $6 OR (unit > $7 AND unit < $8)) AND " ENTRY_CONDITIONS
/* Addresses begin so, or names: those are folded in another way. */
#define ENTRY_TEXT                                                                                           \
        "WHERE guid IN (SELECT guid FROM entry_keys WHERE kind = 1 AND key >= $6 AND key < $7 AND guid > "   \
        "$1 "                                                                                                \
        "UNION ALL SELECT guid FROM entry_keys WHERE kind = 3 AND key >= $8 AND key < $9 AND guid > $1) "    \
        "AND " ENTRY_CONDITIONS
/* The same where many do: a page of them is soon met, while a list of all would be made for each page. */
#define ENTRY_TEXT_OF_MANY                                                                                   \
        "WHERE EXISTS (SELECT 1 FROM entry_keys WHERE entry_keys.guid = entries.guid AND "                   \
        "((entry_keys.kind = 1 AND key >= $6 AND key < $7) OR (entry_keys.kind = 3 AND key >= $8 AND key < " \
        "$9))) AND " ENTRY_CONDITIONS
#define COUNT_TEXT                                                                                           \
        "SELECT count(*) FROM (SELECT 1 FROM entry_keys WHERE kind = 1 AND key >= $1 AND key < $2 "          \
        "UNION ALL SELECT 1 FROM entry_keys WHERE kind = 3 AND key >= $3 AND key < $4 LIMIT $5) AS begin_so"
/* A common name that no other group has: as imports name groups, perhaps before there was an entry of that name. */
#define NAMES_ONE_GROUP                                                                                      \
        "NOT EXISTS (SELECT 1 FROM entry_keys AS same JOIN entries AS others ON others.guid = same.guid "    \
        "WHERE same.kind = 5 AND same.key = names.key AND same.guid <> names.guid AND others.gone = 0)"
/* The names of a group and of all groups in it; the set grows until nothing new comes, so rings of groups
 * end. Of members that are no groups none is walked. */
#define MEMBER_OF(given, name, common_name)                                                                  \
        "WITH RECURSIVE member_of (name) AS ("                                                               \
        "SELECT first.key FROM (SELECT DISTINCT key FROM entry_keys WHERE kind = 2 AND key IN (" given       \
        ", " name ", " common_name ")) AS first "                                                            \
        "UNION SELECT names.key FROM member_of JOIN entry_keys AS groups ON groups.kind = 2 AND groups.key " \
        "= member_of.name JOIN entries AS inner_groups ON inner_groups.guid = groups.guid AND "              \
        "inner_groups.kind = 2 "                                                                             \
        "JOIN entry_keys AS names ON names.guid = groups.guid AND names.kind IN (4, 5) AND "                 \
        "(names.kind = 4 OR " NAMES_ONE_GROUP ")) "
#define ENTRY_IN_GROUP                                                                                       \
        "WHERE guid IN (" MEMBER_OF("$6", "$7", "$8")                                                        \
        "SELECT found.guid FROM member_of JOIN entry_keys AS found ON found.kind = 2 AND found.key = "       \
        "member_of.name AND found.guid > $1) AND " ENTRY_CONDITIONS
#define GROUP_MEMBERS                                                                                        \
        MEMBER_OF("$1", "$2", "$3")                                                                          \
        "SELECT DISTINCT found.guid FROM member_of JOIN entry_keys AS found ON found.kind = 2 AND "          \
        "found.key = member_of.name ORDER BY found.guid"

enum { QUERY_TEXTS = 4 };

struct entry_query {
        const char *clause;
        char *texts[QUERY_TEXTS]; /* $6 to $9; the first ones */
};

static void entry_query_done(struct entry_query *query)
{
        for (size_t i = 0; i < QUERY_TEXTS; i++)
                free(query->texts[i]);
}

/* The text after all that begin with this one: the last character that there is after it. PostgreSQL takes UTF-8 only, and one
 * byte more than the last of a Cyrillic п would be none. */
static char *text_after(const char *text)
{
        return text_format("%s\xf4\x8f\xbf\xbf", text);
}

/* ---- groups ---- */

enum { GROUPS_SHOWN = 5 };

static int groups_ambiguous(const char *name, const struct rows *rows)
{
        CLEANUP(buf_done) struct buf names = BUF_NONE;

        for (size_t i = 0; i < rows->count; i++)
                buf_add_format(&names, "%s\"%s\"", i ? ", " : "", ((struct entry_row *)(void *)rows->items)[i].name);
        return refuse(PROBLEM_EXISTS, "Several groups are called %s; give the DN of one: %s.", name, buf_text(&names));
}

/* The group that alone is called so. */
static int group_of_common_name(struct store *store, const char *name, struct entry_row *ret_row)
{
        CLEANUP(rows_done) struct rows rows = {0};
        char *key CLEANUP(mem_freep) = store_name_key(name);
        struct entry_row *found;

        TRY(rows_select(
            store, &table_entries,
            "WHERE kind = 2 AND gone = 0 AND guid IN (SELECT guid FROM entry_keys WHERE kind = 5 AND "
            "key = $1) ORDER BY guid LIMIT $2",
            VALUES(TEXT(key), NUMBER(GROUPS_SHOWN)), &rows));
        if (rows.count > 1)
                return groups_ambiguous(name, &rows);
        if (!rows.count)
                return refuse(PROBLEM_NOT_FOUND, "The directory has no group %s.", name);
        found = (struct entry_row *)(void *)rows.items;
        *ret_row = *found;
        *found = (struct entry_row){0};
        return 0;
}

int store_group_find(struct store *store, const char *name, struct entry_row *ret_row)
{
        CLEANUP(entry_row_done) struct entry_row row = {0};
        int r = store_entry_find_name(store, name, &row);

        if (r == PROBLEM_NOT_FOUND || (r == 0 && (row.kind != ENTRY_GROUP || row.gone)))
                return PASS(group_of_common_name(store, name, ret_row));
        TRY(r);
        *ret_row = row;
        row = (struct entry_row){0};
        return 0;
}

static int group_is_imported(struct store *store, const char *key)
{
        int64_t number = 0;

        return PASS(db_number(&store->db, "SELECT kind FROM entry_keys WHERE kind = 2 AND key = $1 LIMIT 1",
                              VALUES(TEXT(key)), &number));
}

/* NULL: there is none. What several groups are called means none of them. */
static int common_key_of(struct store *store, const struct entry_row *group, char **ret_key)
{
        CLEANUP(entry_row_done) struct entry_row found = {0};
        int r;

        if (!group->cn || !*group->cn)
                return 0;
        r = group_of_common_name(store, group->cn, &found);
        if (r)
                return r == PROBLEM_EXISTS || r == PROBLEM_NOT_FOUND ? 0 : PASS(r);
        *ret_key = store_name_key(group->cn);
        return 0;
}

/* Under what names members are found: as it was given, which may be the name of an import; and the DN and the common
 * name of the group that is called so. */
static int group_find(struct store *store, const char *group, struct entry_query *query)
{
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        int r = store_group_find(store, group, &entry);

        query->texts[0] = store_name_key(group);
        query->texts[1] = store_name_key(r == 0 && entry.name ? entry.name : group);
        if (r == 0)
                TRY(common_key_of(store, &entry, &query->texts[2]));
        if (!query->texts[2])
                query->texts[2] = text_copy(query->texts[0]);
        if (r == PROBLEM_NOT_FOUND)
                r = group_is_imported(store, query->texts[0]);
        if (r == PROBLEM_NOT_FOUND)
                return refuse(PROBLEM_NOT_FOUND, "The directory has no group %s.", group);
        return PASS(r);
}

enum { TEXT_MANY = 4000 };

/* From a text to before the first that does not begin with it; of none that can be compared, nothing. */
static void query_range(struct entry_query *query, size_t at, char *beginning)
{
        query->texts[at] = beginning;
        query->texts[at + 1] = *beginning ? text_after(beginning) : text_copy("");
}

/* Of an address in A-labels, the form that entries have. */
static char *address_beginning(char *text)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;

        if (!strstr(text, "@") || !strstr(text, "xn--"))
                return text;
        buf_add_text(&key, text);
        free(text);
        address_normalize(&key);
        return text_copy(buf_text(&key));
}

static int text_query_of(struct store *store, const char *text, struct entry_query *query)
{
        char *address = text_copy(text);
        int64_t count = 0;

        lower(address);
        query_range(query, 0, address_beginning(address));
        query_range(query, 2, fold_search_beginning(bytes_text(text)));
        TRY(db_number(&store->db, COUNT_TEXT,
                      VALUES(TEXT(query->texts[0]), TEXT(query->texts[1]), TEXT(query->texts[2]),
                             TEXT(query->texts[3]), NUMBER(TEXT_MANY)),
                      &count));
        query->clause = count < TEXT_MANY ? ENTRY_TEXT : ENTRY_TEXT_OF_MANY;
        return 0;
}

static int entry_query_of(struct store *store, const struct store_entry_filter *filter, struct entry_query *query)
{
        query->clause = filter->presence == ENTRY_LEFT ? ENTRY_GONE : ENTRY_ALL;
        if (filter->group) {
                query->clause = ENTRY_IN_GROUP;
                return PASS(group_find(store, filter->group, query));
        }
        if (filter->unit && *filter->unit) {
                query->clause = ENTRY_UNIT;
                query->texts[0] = text_copy(filter->unit);
                query->texts[1] = text_format("%s/", filter->unit);
                query->texts[2] = text_format("%s0", filter->unit);
        } else if (filter->server) {
                query->clause = ENTRY_SERVER;
                query->texts[0] = text_copy(filter->server);
        } else if (filter->text && *filter->text) {
                return PASS(text_query_of(store, filter->text, query));
        }
        return 0;
}

/* An index row says that it matches: so must the row. (A group's member may be so through another group; that
 * one's row is under its MAC, but is not loaded here; verify checks the whole index.) */
int store_entry_list(struct store *store, const struct store_entry_filter *filter, const struct id *after,
                     size_t most, void *context, int (*each)(void *context, struct entry_row *row))
{
        static const struct store_entry_filter all = {0};
        const struct store_entry_filter *f = filter ? filter : &all;
        CLEANUP(entry_query_done) struct entry_query query = {0};
        CLEANUP(rows_done) struct rows rows = {0};

        if ((f->group != NULL) + (f->unit && *f->unit) + (f->server != NULL) + (f->text && *f->text) > 1)
                return refuse(
                    PROBLEM_UNSUPPORTED,
                    "Entries are selected by a text, a group, a unit or a server, not by several of them");
        TRY(entry_query_of(store, f, &query));
        struct value values[5 + QUERY_TEXTS] = {
            after ? BYTES(id_view(after)) : BYTES(BYTES_NONE),
            NUMBER((int64_t)most),
            NUMBER(f->kind),
            NUMBER(f->enabled),
            NUMBER(f->presence),
        };
        size_t count = 5;

        for (size_t i = 0; i < QUERY_TEXTS && query.texts[i]; i++)
                values[count++] = TEXT(query.texts[i]);
        TRY(rows_select(store, &table_entries, query.clause, (struct values){values, count}, &rows));
        for (size_t i = 0; i < rows.count; i++) {
                int r = each(context, &((struct entry_row *)(void *)rows.items)[i]);

                if (r != 0)
                        return PASS(r);
        }
        return 0;
}

int store_group_members(struct store *store, const char *group, struct buf *ret_guids)
{
        CLEANUP(entry_query_done) struct entry_query names = {0};
        CLEANUP(buf_done) struct buf guids = BUF_NONE;
        struct query query;
        bool row = false;
        int r;

        TRY(store_need_keys(store));
        TRY(group_find(store, group, &names));
        query = query_of(&store->db, GROUP_MEMBERS, VALUES(TEXT(names.texts[0]), TEXT(names.texts[1]), TEXT(names.texts[2])));
        while ((r = query_step(&query, &row)) == 0 && row)
                buf_add_bytes(&guids, query_bytes(&query, 0));
        query_done(&query);
        TRY(r);
        *ret_guids = buf_take(&guids);
        return 0;
}

int store_entry_count_left(struct store *store, int64_t *ret_count)
{
        TRY(store_need_keys(store));
        return PASS(db_number(&store->db, "SELECT count(*) FROM entries WHERE gone > 0", VALUES_NONE, ret_count));
}

int store_entry_count_left_since(struct store *store, int64_t since, int64_t *ret_count)
{
        TRY(store_need_keys(store));
        return PASS(db_number(&store->db,
                              "SELECT count(*) FROM entries WHERE gone > 0 AND gone > $1 AND kind = 1 AND source = 2",
                              VALUES(NUMBER(since)), ret_count));
}

int store_entry_count_present(struct store *store, int kind, int64_t *ret_count)
{
        TRY(store_need_keys(store));
        return PASS(db_number(&store->db, "SELECT count(*) FROM entries WHERE gone = 0 AND kind = $1",
                              VALUES(NUMBER(kind)), ret_count));
}
