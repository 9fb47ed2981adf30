/* SPDX-License-Identifier: Apache-2.0 */
#include "ldapd/match.h"

#include <strings.h>

#include "base/fold.h"
#include "base/mem.h"
#include "base/text.h"

/* ---- comparing ---- */

static struct bytes key_of(const struct filter *filter, struct filter_key key)
{
        return key.len ? bytes_of(filter->keys.data + key.at, key.len) : BYTES_NONE;
}

/* Of nothing but blanks and what cannot be seen, nothing is equal. */
static bool keys_equal(struct bytes value, struct bytes assertion)
{
        return value.len && bytes_equal(value, assertion);
}

/* Takes what the piece matches, and all before it, off `left`. */
static bool piece_match(enum piece_kind kind, struct bytes key, struct bytes *left)
{
        const uint8_t *found;

        if (key.len > left->len)
                return false;
        if (!key.len)
                return true;
        if (kind == PIECE_INITIAL)
                found = memcmp(left->data, key.data, key.len) == 0 ? left->data : NULL;
        else if (kind == PIECE_FINAL)
                found = memcmp(left->data + left->len - key.len, key.data, key.len) == 0
                            ? left->data + left->len - key.len
                            : NULL;
        else
                found = memmem(left->data, left->len, key.data, key.len);
        if (!found)
                return false;
        *left = bytes_of(found + key.len, (size_t)(left->data + left->len - found) - key.len);
        return true;
}

static bool pieces_match(const struct filter *filter, const struct filter_node *node, struct bytes left)
{
        for (size_t i = 0; i < node->piece_count; i++) {
                const struct filter_piece *piece = &filter->pieces[node->piece + i];

                if (!piece_match(piece->kind, key_of(filter, piece->key), &left))
                        return false;
        }
        return true;
}

/* ---- evaluating ---- */

static enum truth node_match(const struct filter *filter, size_t index, const struct entry *entry);

static enum truth set_match(const struct filter *filter, size_t index, const struct entry *entry)
{
        const struct filter_node *node = &filter->nodes[index];
        enum truth decisive = node->kind == FILTER_AND ? TRUTH_FALSE : TRUTH_TRUE;
        enum truth result = node->kind == FILTER_AND ? TRUTH_TRUE : TRUTH_FALSE;

        for (size_t i = index + 1; i < node->end; i = filter->nodes[i].end) {
                enum truth truth = node_match(filter, i, entry);

                if (truth == decisive)
                        return truth;
                if (truth == TRUTH_UNDEFINED)
                        result = truth;
        }
        return result;
}

static enum truth not_match(const struct filter *filter, size_t index, const struct entry *entry)
{
        enum truth truth = node_match(filter, index + 1, entry);

        return truth == TRUTH_UNDEFINED ? truth : truth == TRUTH_TRUE ? TRUTH_FALSE : TRUTH_TRUE;
}

static bool value_match(const struct filter *filter, const struct filter_node *node, struct bytes value)
{
        return node->kind == FILTER_SUBSTRINGS ? pieces_match(filter, node, value)
                                               : keys_equal(value, key_of(filter, node->key));
}

/* What is no text matches none, and is not known to (RFC 4511 section 4.5.1). */
static enum truth assertion_match(const struct filter *filter, const struct filter_node *node,
                                  const struct entry *entry)
{
        const struct attribute *attribute = attribute_find(node->attribute);

        if (!attribute || (node->kind != FILTER_PRESENT && (attribute->bytes || node->no_text)))
                return TRUTH_UNDEFINED;
        for (size_t i = 0; i < entry->count; i++) {
                const struct entry_value *value = &entry->values[i];

                if (value->attribute == attribute &&
                    (node->kind == FILTER_PRESENT ||
                     value_match(filter, node, bytes_of(entry->keys.data + value->key_at, value->key_len))))
                        return TRUTH_TRUE;
        }
        return TRUTH_FALSE;
}

static enum truth node_match(const struct filter *filter, size_t index, const struct entry *entry)
{
        const struct filter_node *node = &filter->nodes[index];

        switch (node->kind) {
        case FILTER_AND:
        case FILTER_OR:
                return set_match(filter, index, entry);
        case FILTER_NOT:
                return not_match(filter, index, entry);
        case FILTER_EQUAL:
        case FILTER_APPROXIMATE: /* as equal, which is permitted: RFC 4511 section 4.5.1.7.6 */
        case FILTER_SUBSTRINGS:
        case FILTER_PRESENT:
                return assertion_match(filter, node, entry);
        case FILTER_GREATER: /* none of the attributes has an order */
        case FILTER_LESS:
        case FILTER_EXTENSIBLE:
                break;
        }
        return TRUTH_UNDEFINED;
}

enum truth filter_match(const struct filter *filter, const struct entry *entry)
{
        return node_match(filter, 0, entry);
}

/* ---- what to ask ---- */

void plan_done(struct plan *plan)
{
        for (size_t i = 0; i < plan->count; i++) {
                free(plan->asks[i].text);
                free(plan->asks[i].name);
        }
        free(plan->asks);
        *plan = (struct plan){0};
}

static void plan_add(struct plan *plan, int kind, char *text)
{
        if (plan->count == plan->room) {
                plan->room = plan->room ? 2 * plan->room : 4;
                plan->asks = mem_resize(plan->asks, plan->room, sizeof(*plan->asks));
        }
        plan->asks[plan->count++] = (struct ask){.kind = kind, .text = text};
}

/* Some of the asks, from `start` on. */
static void plan_remove(struct plan *plan, size_t start, size_t count)
{
        for (size_t i = start; i < start + count; i++)
                free(plan->asks[i].text);
        memmove(plan->asks + start, plan->asks + start + count,
                (plan->count - start - count) * sizeof(*plan->asks));
        plan->work += plan->count - start;
        plan->count -= count;
}

static void plan_add_all(struct plan *plan)
{
        plan_add(plan, ASK_ALL, text_copy(""));
}

void plan_address(const char *address, struct plan *plan)
{
        plan_add(plan, ASK_ADDRESS, text_copy(address));
}

/* An address that is none is nobody's. */
static void plan_equal(const struct attribute *attribute, const struct filter_node *node, struct bytes key,
                       struct plan *plan)
{
        CLEANUP(buf_done) struct buf address = BUF_NONE;

        if (!key.len || node->no_text)
                return;
        if (attribute->name_like)
                plan_add(plan, ASK_PREFIX, fold_search_key(node->value));
        else if (address_parse(key, &address) == 0)
                plan_address(buf_text(&address), plan);
}

static void plan_pieces(const struct filter *filter, const struct attribute *attribute,
                        const struct filter_node *node, struct plan *plan)
{
        const struct filter_piece *first = &filter->pieces[node->piece];
        struct bytes key = key_of(filter, first->key);

        if (node->no_text)
                return;
        if (first->kind != PIECE_INITIAL || !key.len)
                plan_add_all(plan);
        else if (attribute->name_like)
                plan_add(plan, ASK_PREFIX, fold_search_beginning(first->text));
        else if (key.len <= FOLD_SEARCH_MOST) /* no address is longer */
                plan_add(plan, ASK_PREFIX, text_copy_n((const char *)key.data, key.len));
}

static void plan_assertion(const struct filter *filter, const struct filter_node *node, struct plan *plan)
{
        const struct attribute *attribute = attribute_find(node->attribute);

        if (!attribute)
                return;
        if (node->kind == FILTER_PRESENT || (!attribute->name_like && strcmp(attribute->name, "mail") != 0))
                plan_add_all(plan);
        else if (node->kind == FILTER_SUBSTRINGS)
                plan_pieces(filter, attribute, node, plan);
        else
                plan_equal(attribute, node, key_of(filter, node->key), plan);
}

/* Roughly how many people asks find, from `start` on. */
static size_t plan_cost(struct plan *plan, size_t start, size_t count)
{
        size_t cost = 0;

        plan->work += count;
        for (size_t i = start; i < start + count; i++)
                cost += plan->asks[i].kind == ASK_ALL      ? 1000000
                        : plan->asks[i].kind == ASK_PREFIX ? 100 + 10000 / strlen(plan->asks[i].text)
                                                           : 1;
        return cost;
}

/* Each of these adds to the plan what finds whoever matches the node, so that however filters are nested, an ask is
 * moved at most once a level. */
static void plan_node(const struct filter *filter, size_t index, struct plan *plan);

/* Whoever matches all of them matches the one that is asked for: the one that finds fewest. */
static void plan_and(const struct filter *filter, size_t index, struct plan *plan)
{
        size_t start = plan->count, best = 1;

        plan_add_all(plan);
        for (size_t i = index + 1; i < filter->nodes[index].end; i = filter->nodes[i].end) {
                size_t next = start + best;

                plan_node(filter, i, plan);
                if (plan_cost(plan, next, plan->count - next) < plan_cost(plan, start, best)) {
                        plan_remove(plan, start, best);
                        best = plan->count - start;
                } else {
                        plan_remove(plan, next, plan->count - next);
                }
        }
}

static void plan_or(const struct filter *filter, size_t index, struct plan *plan)
{
        size_t start = plan->count;

        for (size_t i = index + 1; i < filter->nodes[index].end; i = filter->nodes[i].end) {
                size_t next = plan->count;

                plan_node(filter, i, plan);
                if (plan->count > next && plan->asks[next].kind == ASK_ALL) {
                        plan_remove(plan, start, next - start);
                        return;
                }
        }
}

static void plan_node(const struct filter *filter, size_t index, struct plan *plan)
{
        const struct filter_node *node = &filter->nodes[index];

        switch (node->kind) {
        case FILTER_AND:
                plan_and(filter, index, plan);
                break;
        case FILTER_OR:
                plan_or(filter, index, plan);
                break;
        case FILTER_EQUAL:
        case FILTER_APPROXIMATE:
        case FILTER_SUBSTRINGS:
        case FILTER_PRESENT:
                plan_assertion(filter, node, plan);
                break;
        case FILTER_GREATER: /* never true */
        case FILTER_LESS:
        case FILTER_EXTENSIBLE:
                break;
        case FILTER_NOT:
                plan_add_all(plan);
                break;
        }
}

/* By what they ask, then by their place. */
static int compare_asks(const void *a, const void *b, void *context)
{
        const struct ask *one = *(const struct ask *const *)a, *other = *(const struct ask *const *)b;
        struct plan *plan = context;
        int order;

        plan->work++;
        order = one->kind == other->kind ? strcmp(one->text, other->text) : (int)one->kind - (int)other->kind;
        return order ? order : one < other ? -1 : 1;
}

/* Each question once, where it stands first. */
static void plan_unite(struct plan *plan)
{
        CLEANUP(mem_freep) struct ask **sorted = mem_array(plan->count + 1, sizeof(*sorted));
        size_t kept = 0;

        for (size_t i = 0; i < plan->count; i++)
                sorted[i] = &plan->asks[i];
        qsort_r(sorted, plan->count, sizeof(*sorted), compare_asks, plan);
        for (size_t i = plan->count; i-- > 1;)
                if (sorted[i]->kind == sorted[i - 1]->kind && strcmp(sorted[i]->text, sorted[i - 1]->text) == 0)
                        free(TAKE(sorted[i]->text));
        for (size_t i = 0; i < plan->count; i++)
                if (plan->asks[i].text)
                        plan->asks[kept++] = plan->asks[i];
        plan->count = kept;
}

void plan_make(const struct filter *filter, struct plan *plan)
{
        plan_node(filter, 0, plan);
        plan_unite(plan);
        for (size_t i = 0; i < plan->count; i++)
                if (plan->asks[i].kind == ASK_PREFIX)
                        plan->asks[i].name = fold_search_beginning(bytes_text(plan->asks[i].text));
}

/* ---- what was asked already ---- */

enum { NAMES = 3 };

static bool address_found(const struct ask *ask, const char *address)
{
        return ask->kind == ASK_ADDRESS ? strcmp(address, ask->text) == 0
                                        : strncasecmp(address, ask->text, strlen(ask->text)) == 0;
}

static bool ask_finds(const struct ask *ask, const struct msg_lookup_person *person, char *const *names)
{
        if (ask->kind == ASK_ALL)
                return true;
        for (size_t i = 0; i < person->addresses.count; i++)
                if (address_found(ask, person->addresses.at[i]))
                        return true;
        for (size_t i = 0; i < NAMES && ask->kind == ASK_PREFIX && *ask->name; i++)
                if (strncmp(names[i], ask->name, strlen(ask->name)) == 0)
                        return true;
        return false;
}

bool plan_finds(const struct plan *plan, size_t count, const struct msg_lookup_person *person)
{
        const char *const texts[NAMES] = {person->name, person->surname, person->given_name};
        char *names[NAMES];
        bool found = false;

        if (!count)
                return false;
        for (size_t i = 0; i < NAMES; i++)
                names[i] = fold_search_key(bytes_text(msg_text(texts[i])));
        for (size_t i = 0; i < count && !found; i++)
                found = ask_finds(&plan->asks[i], person, names);
        for (size_t i = 0; i < NAMES; i++)
                free(names[i]);
        return found;
}
