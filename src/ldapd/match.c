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
        plan->asks = mem_resize(plan->asks, plan->count + 1, sizeof(*plan->asks));
        plan->asks[plan->count].kind = kind;
        plan->asks[plan->count++].text = text;
}

static struct plan plan_all(void)
{
        struct plan plan = {0};

        plan_add(&plan, ASK_ALL, text_copy(""));
        return plan;
}

void plan_address(const char *address, struct plan *ret_plan)
{
        *ret_plan = (struct plan){0};
        plan_add(ret_plan, ASK_ADDRESS, text_copy(address));
}

/* An address that is none is nobody's. */
static struct plan plan_equal(const struct attribute *attribute, struct bytes value)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE, address = BUF_NONE;
        struct plan plan = {0};

        key_add(&key, value, true, true);
        if (!key.len || key.len > PREFIX_MOST || !text_is_utf8(buf_view(&key)))
                return plan;
        if (attribute->name_like)
                plan_add(&plan, ASK_PREFIX, text_copy(buf_text(&key)));
        else if (address_parse(buf_view(&key), &address) == 0)
                plan_address(buf_text(&address), &plan);
        return plan;
}

static struct plan plan_pieces(const struct filter *filter, const struct filter_node *node)
{
        const struct filter_piece *first = &filter->pieces[node->piece];
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        struct plan plan = {0};

        if (first->kind != PIECE_INITIAL)
                return plan_all();
        key_add(&key, first->text, true, true);
        if (!key.len)
                return plan_all();
        if (key.len <= PREFIX_MOST && text_is_utf8(buf_view(&key)))
                plan_add(&plan, ASK_PREFIX, text_copy(buf_text(&key)));
        return plan;
}

static struct plan plan_assertion(const struct filter *filter, const struct filter_node *node)
{
        const struct attribute *attribute = attribute_find(node->attribute);

        if (!attribute)
                return (struct plan){0};
        if (!attribute->name_like && strcmp(attribute->name, "mail") != 0)
                return plan_all();
        if (node->kind == FILTER_SUBSTRINGS)
                return plan_pieces(filter, node);
        return node->kind == FILTER_PRESENT ? plan_all() : plan_equal(attribute, node->value);
}

/* Roughly how many people it will find. */
static size_t plan_cost(const struct plan *plan)
{
        size_t cost = 0;

        for (size_t i = 0; i < plan->count; i++)
                cost += plan->asks[i].kind == ASK_ALL      ? 1000000
                        : plan->asks[i].kind == ASK_PREFIX ? 100 + 10000 / strlen(plan->asks[i].text)
                                                           : 1;
        return cost;
}

static struct plan plan_node(const struct filter *filter, size_t index);

/* Whoever matches all of them matches the one that is asked for. */
static struct plan plan_and(const struct filter *filter, size_t index)
{
        struct plan best = plan_all();

        for (size_t i = index + 1; i < filter->nodes[index].end; i = filter->nodes[i].end) {
                struct plan plan = plan_node(filter, i);

                if (plan_cost(&plan) < plan_cost(&best)) {
                        plan_done(&best);
                        best = plan;
                        continue;
                }
                plan_done(&plan);
        }
        return best;
}

static bool plan_has(const struct plan *plan, const struct ask *ask)
{
        for (size_t i = 0; i < plan->count; i++)
                if (plan->asks[i].kind == ask->kind && strcmp(plan->asks[i].text, ask->text) == 0)
                        return true;
        return false;
}

static struct plan plan_or(const struct filter *filter, size_t index)
{
        struct plan all = {0};

        for (size_t i = index + 1; i < filter->nodes[index].end; i = filter->nodes[i].end) {
                struct plan plan = plan_node(filter, i);

                if (plan.count && plan.asks[0].kind == ASK_ALL) {
                        plan_done(&all);
                        return plan;
                }
                for (size_t k = 0; k < plan.count; k++)
                        if (!plan_has(&all, &plan.asks[k]))
                                plan_add(&all, plan.asks[k].kind, TAKE(plan.asks[k].text));
                plan_done(&plan);
        }
        return all;
}

static struct plan plan_node(const struct filter *filter, size_t index)
{
        const struct filter_node *node = &filter->nodes[index];

        switch (node->kind) {
        case FILTER_AND:
                return plan_and(filter, index);
        case FILTER_OR:
                return plan_or(filter, index);
        case FILTER_EQUAL:
        case FILTER_APPROXIMATE:
        case FILTER_SUBSTRINGS:
        case FILTER_PRESENT:
                return plan_assertion(filter, node);
        case FILTER_GREATER: /* never true */
        case FILTER_LESS:
        case FILTER_EXTENSIBLE:
                return (struct plan){0};
        case FILTER_NOT:
                break;
        }
        return plan_all();
}

void plan_make(const struct filter *filter, struct plan *ret_plan)
{
        *ret_plan = plan_node(filter, 0);
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
