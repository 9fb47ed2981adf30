/* SPDX-License-Identifier: Apache-2.0 */
#include "ldapd/match.h"

#include <strings.h>

#include "base/mem.h"
#include "base/text.h"

enum { PREFIX_MOST = 1024 }; /* no name is longer */

/* ---- comparing ---- */

static uint8_t lower(uint8_t c)
{
        return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* Lower case, several blanks as one; those at the start and the end go unless they may be in the middle of a
 * value. */
static void key_add(struct buf *out, struct bytes text, bool at_start, bool at_end)
{
        while (at_start && text.len && text.data[0] == ' ')
                text = bytes_of(text.data + 1, text.len - 1);
        while (at_end && text.len && text.data[text.len - 1] == ' ')
                text.len--;
        for (size_t i = 0; i < text.len; i++)
                if (text.data[i] != ' ' || i == 0 || text.data[i - 1] != ' ')
                        buf_add_byte(out, lower(text.data[i]));
}

static bool values_equal(struct bytes value, struct bytes assertion)
{
        CLEANUP(buf_done) struct buf a = BUF_NONE, b = BUF_NONE;

        key_add(&a, value, true, true);
        key_add(&b, assertion, true, true);
        return bytes_equal(buf_view(&a), buf_view(&b));
}

/* Takes what the piece matches, and all before it, off `left`. */
static bool piece_match(const struct filter_piece *piece, struct bytes *left)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        const uint8_t *found;

        key_add(&key, piece->text, piece->kind == PIECE_INITIAL, piece->kind == PIECE_FINAL);
        if (key.len > left->len)
                return false;
        if (!key.len)
                return true;
        if (piece->kind == PIECE_INITIAL)
                found = memcmp(left->data, key.data, key.len) == 0 ? left->data : NULL;
        else if (piece->kind == PIECE_FINAL)
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

static bool pieces_match(const struct filter *filter, const struct filter_node *node, struct bytes value)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        struct bytes left;

        key_add(&key, value, true, true);
        left = buf_view(&key);
        for (size_t i = 0; i < node->piece_count; i++)
                if (!piece_match(&filter->pieces[node->piece + i], &left))
                        return false;
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

/* What is no text matches none, and is not known to (RFC 4511 section 4.5.1). */
static bool is_text(const struct filter *filter, const struct filter_node *node)
{
        for (size_t i = 0; i < node->piece_count; i++)
                if (!text_is_utf8(filter->pieces[node->piece + i].text))
                        return false;
        return text_is_utf8(node->value);
}

static enum truth assertion_match(const struct filter *filter, const struct filter_node *node,
                                  const struct entry *entry)
{
        const struct attribute *attribute = attribute_find(node->attribute);

        if (!attribute || (node->kind != FILTER_PRESENT && (attribute->bytes || !is_text(filter, node))))
                return TRUTH_UNDEFINED;
        for (size_t i = 0; i < entry->count; i++) {
                if (entry->values[i].attribute != attribute)
                        continue;
                if (node->kind == FILTER_PRESENT ||
                    (node->kind == FILTER_SUBSTRINGS ? pieces_match(filter, node, entry->values[i].value)
                                                     : values_equal(entry->values[i].value, node->value)))
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
        for (size_t i = 0; i < plan->count; i++)
                free(plan->asks[i].text);
        free(plan->asks);
        *plan = (struct plan){0};
}

static void plan_add(struct plan *plan, int kind, char *text)
{
        if (plan->count == plan->room) {
                plan->room = plan->room ? 2 * plan->room : 4;
                plan->asks = mem_resize(plan->asks, plan->room, sizeof(*plan->asks));
        }
        plan->asks[plan->count].kind = kind;
        plan->asks[plan->count++].text = text;
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
static void plan_equal(const struct attribute *attribute, struct bytes value, struct plan *plan)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE, address = BUF_NONE;

        key_add(&key, value, true, true);
        if (!key.len || key.len > PREFIX_MOST || !text_is_utf8(buf_view(&key)))
                return;
        if (attribute->name_like)
                plan_add(plan, ASK_PREFIX, text_copy(buf_text(&key)));
        else if (address_parse(buf_view(&key), &address) == 0)
                plan_address(buf_text(&address), plan);
}

static void plan_pieces(const struct filter *filter, const struct filter_node *node, struct plan *plan)
{
        const struct filter_piece *first = &filter->pieces[node->piece];
        CLEANUP(buf_done) struct buf key = BUF_NONE;

        if (first->kind == PIECE_INITIAL)
                key_add(&key, first->text, true, true);
        if (!key.len)
                plan_add_all(plan);
        else if (key.len <= PREFIX_MOST && text_is_utf8(buf_view(&key)))
                plan_add(plan, ASK_PREFIX, text_copy(buf_text(&key)));
}

static void plan_assertion(const struct filter *filter, const struct filter_node *node, struct plan *plan)
{
        const struct attribute *attribute = attribute_find(node->attribute);

        if (!attribute)
                return;
        if (node->kind == FILTER_PRESENT || (!attribute->name_like && strcmp(attribute->name, "mail") != 0))
                plan_add_all(plan);
        else if (node->kind == FILTER_SUBSTRINGS)
                plan_pieces(filter, node, plan);
        else
                plan_equal(attribute, node->value, plan);
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

/* Each of these adds to the plan what finds whoever matches the node, so that however filters are nested, an ask is moved
 * at most once a level. */
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
}

static bool begins(const char *text, const char *prefix)
{
        return text && strncasecmp(text, prefix, strlen(prefix)) == 0;
}

static bool ask_finds(const struct ask *ask, const struct msg_lookup_person *person)
{
        if (ask->kind == ASK_ALL)
                return true;
        for (size_t i = 0; i < person->addresses.count; i++)
                if (ask->kind == ASK_ADDRESS ? strcmp(person->addresses.at[i], ask->text) == 0
                                             : begins(person->addresses.at[i], ask->text))
                        return true;
        return ask->kind == ASK_PREFIX &&
               (begins(person->name, ask->text) || begins(person->surname, ask->text) ||
                begins(person->given_name, ask->text));
}

bool plan_finds(const struct plan *plan, size_t count, const struct msg_lookup_person *person)
{
        for (size_t i = 0; i < count; i++)
                if (ask_finds(&plan->asks[i], person))
                        return true;
        return false;
}
