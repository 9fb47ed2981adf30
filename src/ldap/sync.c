/* SPDX-License-Identifier: Apache-2.0 */
#include "ldap/sync.h"

#include <lber.h>

#include "base/fault.h"
#include "base/mem.h"

enum {
        REFRESH_AND_PERSIST = 3,
        NEW_COOKIE = 0x80, /* the context tags of syncInfoValue */
        REFRESH_DELETE = 0xa1,
        REFRESH_PRESENT = 0xa2,
        ID_SET = 0xa3,
        COOKIE = 0x04,
        BOOLEAN = 0x01,
        DIRSYNC_OBJECT_SECURITY = 1,
        DIRSYNC_ANCESTORS_FIRST = 0x800,
};

static void ber_release(BerElement **place)
{
        ber_free(*place, 1);
}

/* liblber ends the process when it is given no bytes. */
static BerElement *ber_of(struct bytes value)
{
        struct berval bytes = {value.len, (char *)(uintptr_t)value.data};

        return value.len ? ber_init(&bytes) : NULL;
}

static void ber_take(BerElement *ber, struct buf *out)
{
        struct berval bytes = {0};

        if (!ber || ber_flatten2(ber, &bytes, 0) < 0)
                abort(); /* it is made here, of a known form */
        buf_add(out, bytes.bv_val, bytes.bv_len);
}

static int wrong(const char *what)
{
        return refuse(PROBLEM_MALFORMED, "The directory sent %s that cannot be read.", what);
}

void sync_request_add(struct bytes cookie, struct buf *out)
{
        CLEANUP(ber_release) BerElement *ber = ber_alloc_t(LBER_USE_DER);
        struct berval bytes = {cookie.len, (char *)(uintptr_t)cookie.data};

        if (!ber || ber_printf(ber, cookie.len ? "{eO}" : "{e}", REFRESH_AND_PERSIST, &bytes) < 0)
                abort();
        ber_take(ber, out);
}

int sync_state_parse(struct bytes value, struct id *ret_id)
{
        CLEANUP(ber_release) BerElement *ber = ber_of(value);
        struct berval uuid = {0};
        ber_int_t state;

        if (!ber || ber_scanf(ber, "{em", &state, &uuid) == LBER_ERROR ||
            id_from_bytes(bytes_of(uuid.bv_val, uuid.bv_len), ret_id))
                return wrong("the state of an entry");
        return 0;
}

void sync_info_done(struct sync_info *info)
{
        id_list_done(&info->ids);
}

static bool cookie_skip(BerElement *ber)
{
        struct berval cookie;
        ber_len_t len;

        return ber_peek_tag(ber, &len) != COOKIE || ber_scanf(ber, "m", &cookie) != LBER_ERROR;
}

/* BOOLEAN DEFAULT … */
static bool boolean_read(BerElement *ber, bool assumed, bool *ret_value)
{
        ber_int_t value = assumed;
        ber_len_t len;

        if (ber_peek_tag(ber, &len) == BOOLEAN && ber_scanf(ber, "b", &value) == LBER_ERROR)
                return false;
        *ret_value = value;
        return true;
}

static bool ids_read(BerElement *ber, struct sync_info *info)
{
        struct berval uuid = {0};
        ber_len_t len;
        char *end;

        if (!cookie_skip(ber) || !boolean_read(ber, false, &info->ids_are_gone))
                return false;
        for (ber_tag_t tag = ber_first_element(ber, &len, &end); tag != LBER_DEFAULT;
             tag = ber_next_element(ber, &len, end)) {
                struct id id;

                if (ber_scanf(ber, "m", &uuid) == LBER_ERROR ||
                    id_from_bytes(bytes_of(uuid.bv_val, uuid.bv_len), &id))
                        return false;
                id_list_add(&info->ids, &id);
        }
        return true;
}

int sync_info_parse(struct bytes value, struct sync_info *ret_info)
{
        CLEANUP(ber_release) BerElement *ber = ber_of(value);
        CLEANUP(sync_info_done) struct sync_info info = {0};
        ber_len_t len;
        ber_tag_t tag = ber ? ber_peek_tag(ber, &len) : LBER_ERROR;
        bool right = tag == NEW_COOKIE;

        if (tag == REFRESH_DELETE || tag == REFRESH_PRESENT || tag == ID_SET)
                right = ber_scanf(ber, "{") != LBER_ERROR;
        if (right && tag == ID_SET)
                right = ids_read(ber, &info);
        else if (right && tag != NEW_COOKIE)
                right = cookie_skip(ber) && boolean_read(ber, true, &info.refreshed);
        if (!right)
                return wrong("news of its content");
        info.present = tag == REFRESH_PRESENT;
        *ret_info = info;
        info = (struct sync_info){0};
        return 0;
}

void dirsync_request_add(bool object_security, struct bytes cookie, struct buf *out)
{
        CLEANUP(ber_release) BerElement *ber = ber_alloc_t(LBER_USE_DER);
        struct berval bytes = {cookie.len, (char *)(uintptr_t)cookie.data};
        ber_int_t flags = DIRSYNC_ANCESTORS_FIRST | (object_security ? DIRSYNC_OBJECT_SECURITY : 0);

        if (!ber || ber_printf(ber, "{iiO}", flags, 0, &bytes) < 0)
                abort();
        ber_take(ber, out);
}

int dirsync_answer_parse(struct bytes value, bool *ret_more, struct buf *ret_cookie)
{
        CLEANUP(ber_release) BerElement *ber = ber_of(value);
        struct berval cookie = {0};
        ber_int_t more, unused;

        if (!ber || ber_scanf(ber, "{iim}", &more, &unused, &cookie) == LBER_ERROR)
                return wrong("a DirSync cookie");
        *ret_more = more != 0;
        buf_add(ret_cookie, cookie.bv_val, cookie.bv_len);
        return 0;
}
