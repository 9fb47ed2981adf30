/* SPDX-License-Identifier: Apache-2.0 */
#include "store/table.h"

#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/seal.h"

/* ---- SQL ---- */

static void add_columns(const struct table *table, struct buf *out)
{
        for (unsigned i = 0; i < table->column_count; i++)
                buf_add_format(out, "%s, ", table->columns[i].name);
        buf_add_text(out, "version, mac");
}

void table_insert_sql(const void *context, const char *clause, struct buf *out)
{
        const struct table *table = context;

        buf_add_format(out, "INSERT INTO %s (", table->name);
        add_columns(table, out);
        buf_add_text(out, ") VALUES (");
        for (unsigned i = 1; i <= table->column_count + 2; i++)
                buf_add_format(out, "%s$%u", i > 1 ? ", " : "", i);
        /* A conflict shows as no row inserted: an error would end the transaction in PostgreSQL. */
        buf_add_text(out, ") ON CONFLICT DO NOTHING");
}

/* The row by its key and the version that was loaded. */
static void add_key_condition(const struct table *table, unsigned version, struct buf *out)
{
        for (unsigned i = 0; i < table->key_count; i++)
                buf_add_format(out, "%s%s = $%u", i ? " AND " : " WHERE ", table->columns[i].name, i + 1);
        buf_add_format(out, " AND version = $%u", version);
}

void table_update_sql(const void *context, const char *clause, struct buf *out)
{
        const struct table *table = context;

        buf_add_format(out, "UPDATE %s SET ", table->name);
        for (unsigned i = table->key_count; i < table->column_count; i++)
                buf_add_format(out, "%s = $%u, ", table->columns[i].name, i + 1);
        buf_add_format(out, "version = $%u, mac = $%u", table->column_count + 1, table->column_count + 2);
        add_key_condition(table, table->column_count + 3, out);
}

void table_remove_sql(const void *context, const char *clause, struct buf *out)
{
        const struct table *table = context;

        buf_add_format(out, "DELETE FROM %s", table->name);
        add_key_condition(table, table->key_count + 1, out);
}

void table_select_sql(const void *context, const char *clause, struct buf *out)
{
        const struct table *table = context;

        buf_add_text(out, "SELECT ");
        add_columns(table, out);
        buf_add_format(out, " FROM %s ", table->name);
        buf_add_text(out, clause);
}

/* ---- canonical encoding ---- */

static void add_number(struct buf *out, uint64_t number, int size)
{
        uint8_t bytes[8];

        for (int i = 0; i < size; i++)
                bytes[i] = (uint8_t)(number >> 8 * (size - 1 - i));
        buf_add(out, bytes, (size_t)size);
}

static uint64_t get_number(const uint8_t *bytes, int size)
{
        uint64_t number = 0;

        for (int i = 0; i < size; i++)
                number = number << 8 | bytes[i];
        return number;
}

void table_canonical(const struct table *table, int64_t version, const struct value *values, struct buf *out)
{
        buf_add_byte(out, (uint8_t)table->number);
        add_number(out, (uint64_t)version, 8);
        for (unsigned i = 0; i < table->column_count; i++) {
                if (values[i].type == VALUE_NUMBER) {
                        add_number(out, (uint64_t)values[i].number, 8);
                        continue;
                }
                add_number(out, values[i].bytes.len, 4);
                buf_add_bytes(out, values[i].bytes);
        }
}

void table_key(const struct table *table, const struct value *values, struct buf *out)
{
        for (unsigned i = 0; i < table->key_count; i++) {
                bool number = values[i].type == VALUE_NUMBER;

                if (table->key_count > 1)
                        add_number(out, number ? 8 : values[i].bytes.len, 2);
                if (number)
                        add_number(out, (uint64_t)values[i].number, 8);
                else
                        buf_add_bytes(out, values[i].bytes);
        }
}

bool table_key_values(const struct table *table, struct bytes key, struct value *ret_values)
{
        for (unsigned i = 0; i < table->key_count; i++) {
                struct bytes part = key;

                if (table->key_count > 1) {
                        size_t len = key.len < 2 ? SIZE_MAX : (size_t)get_number(key.data, 2);
                        if (len > key.len || key.len - len < 2)
                                return false;
                        part = bytes_of(key.data + 2, len);
                        key = bytes_of(part.data + len, key.len - len - 2);
                } else {
                        key = BYTES_NONE;
                }
                switch (table->columns[i].type) {
                case COLUMN_NUMBER:
                        if (part.len != 8)
                                return false;
                        ret_values[i] = NUMBER((int64_t)get_number(part.data, 8));
                        break;
                case COLUMN_FIXED:
                        ret_values[i] = BYTES(part);
                        break;
                default:
                        ret_values[i] = TEXT_VALUE(part);
                }
        }
        return key.len == 0;
}

void table_key_text(const struct table *table, struct bytes key, struct buf *out)
{
        struct value values[COLUMNS_MOST];

        if (!table_key_values(table, key, values)) {
                hex_add(out, key);
                return;
        }
        for (unsigned i = 0; i < table->key_count; i++) {
                if (i)
                        buf_add_byte(out, '/');
                if (values[i].type == VALUE_NUMBER)
                        buf_add_format(out, "%lld", (long long)values[i].number);
                else if (values[i].type == VALUE_BYTES)
                        hex_add(out, values[i].bytes);
                else
                        text_add_printable(out, values[i].bytes, 320);
        }
}

/* ---- rows to values and back ---- */

/* What a sealed column is bound to: nothing sealed can be moved to another row or column. */
static void seal_context(const struct table *table, unsigned column, const struct value *values,
                         struct buf *out)
{
        buf_add_format(out, "vouchsafe column %s.%s ", table->name, table->columns[column].name);
        table_key(table, values, out);
}

static int add_sealed(const struct table *table, unsigned column, const struct value *values,
                      const struct secret *plain, const struct secret *key, struct buf *out)
{
        CLEANUP(buf_done) struct buf context = BUF_NONE;

        if (plain->len == 0)
                return 0;
        seal_context(table, column, values, &context);
        return PASS(seal(key, buf_view(&context), secret_view(plain), out));
}

int table_values(const struct table *table, const void *row, const struct secret *column_key,
                 struct value ret_values[static COLUMNS_MOST], struct buf *scratch)
{
        size_t start[COLUMNS_MOST];

        for (unsigned i = 0; i < table->column_count; i++) {
                const struct column *column = &table->columns[i];
                const void *at = column_at(column, row);

                start[i] = scratch->len;
                switch (column->type) {
                case COLUMN_NUMBER:
                        ret_values[i] = NUMBER(*(const int64_t *)at);
                        break;
                case COLUMN_TEXT:
                        ret_values[i] = TEXT(*(char *const *)at);
                        break;
                case COLUMN_CHARS:
                        ret_values[i] = TEXT(at);
                        break;
                case COLUMN_FIXED:
                        ret_values[i] = BYTES(bytes_of(at, column->size));
                        break;
                case COLUMN_BYTES:
                        ret_values[i] = BYTES(buf_view(at));
                        break;
                case COLUMN_TEXTS:
                        texts_join(at, scratch);
                        ret_values[i] = TEXT_VALUE(BYTES_NONE);
                        break;
                case COLUMN_SEALED:
                        TRY(add_sealed(table, i, ret_values, at, column_key, scratch));
                        ret_values[i] = BYTES(BYTES_NONE);
                        break;
                }
                ret_values[i].bytes.len += scratch->len - start[i];
        }
        /* Only now does the scratch stay where it is. */
        for (unsigned i = 0; i < table->column_count; i++)
                if (table->columns[i].type == COLUMN_TEXTS || table->columns[i].type == COLUMN_SEALED)
                        ret_values[i].bytes.data = scratch->data + start[i];
        return 0;
}

static int fill_column(const struct table *table, unsigned i, const struct value *values,
                       const struct secret *column_key, void *at)
{
        CLEANUP(buf_done) struct buf context = BUF_NONE;
        const struct column *column = &table->columns[i];
        struct bytes bytes = values[i].bytes;

        switch (column->type) {
        case COLUMN_NUMBER:
                *(int64_t *)at = values[i].number;
                return 0;
        case COLUMN_TEXT:
                *(char **)at = text_copy_n(bytes.len ? (const char *)bytes.data : "", bytes.len);
                return 0;
        case COLUMN_CHARS:
                if (bytes.len >= column->size)
                        break;
                if (bytes.len)
                        memcpy(at, bytes.data, bytes.len);
                return 0;
        case COLUMN_FIXED:
                if (bytes.len != column->size)
                        break;
                memcpy(at, bytes.data, bytes.len);
                return 0;
        case COLUMN_BYTES:
                *(struct buf *)at = buf_copy_of(bytes);
                return 0;
        case COLUMN_TEXTS:
                return PASS(texts_split(bytes, at));
        case COLUMN_SEALED:
                if (bytes.len == 0)
                        return 0;
                if (column_key->len == 0) /* sealed: read for what is in clear */
                        return 0;
                seal_context(table, i, values, &context);
                return PASS(seal_open(column_key, buf_view(&context), bytes, at));
        }
        return refuse(PROBLEM_TAMPERED, "it has %zu bytes", bytes.len);
}

int table_fill(const struct table *table, const struct value *values, const struct secret *column_key,
               void *row)
{
        for (unsigned i = 0; i < table->column_count; i++) {
                int r = fill_column(table, i, values, column_key, column_at(&table->columns[i], row));

                if (r > 0) {
                        table_row_done(table, row);
                        report_prefix(r, "Column %s: ", table->columns[i].name);
                        return PROBLEM_TAMPERED;
                }
                TRY(r);
        }
        return 0;
}

void table_row_done(const struct table *table, void *row)
{
        for (unsigned i = 0; i < table->column_count; i++) {
                void *at = column_at(&table->columns[i], row);

                switch (table->columns[i].type) {
                case COLUMN_TEXT:
                        free(*(char **)at);
                        break;
                case COLUMN_BYTES:
                        buf_done(at);
                        break;
                case COLUMN_TEXTS:
                        texts_done(at);
                        break;
                case COLUMN_SEALED:
                        secret_done(at);
                        break;
                default:
                        break;
                }
        }
        memset(row, 0, table->row_size);
}
