/* SPDX-License-Identifier: Apache-2.0 */
/* What comes by mail and what administrators write: reports of failed delivery, templates, and names in messages. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "letter/bounce.h"
#include "letter/letter.h"
#include "letter/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_bounce(struct bytes bytes)
{
        CLEANUP(bounce_done) struct bounce bounce = {0};

        if (bounce_read(bytes, &bounce) == 0 &&
            (!text_is_printable(bytes_text(bounce.message_id)) || (bounce.detail && !text_is_printable(bytes_text(bounce.detail)))))
                abort();
}

static void fuzz_template(struct bytes bytes)
{
        const struct template_value values[] = {{"TOKEN", bytes}, {"NAME", bytes_text("<b>")}};
        CLEANUP(secret_done) struct secret text = SECRET_NONE;

        if (template_render("x", bytes, true, values, ARRAY_LEN(values), &text) == 0 && bytes.len && !text.len)
                abort();
}

/* A name is one header field, whatever it is. */
static void fuzz_message(struct bytes bytes)
{
        CLEANUP(mem_freep) char *name = text_copy_n((const char *)bytes.data, MIN(bytes.len, (size_t)500));
        CLEANUP(secret_done) struct secret message = SECRET_NONE;
        struct letter letter = {.kind = "enroll",
                                .language = name,
                                .fallback = "en",
                                .folder = "",
                                .name = name,
                                .address = "a@example.org",
                                .organisation = name,
                                .token = bytes_text("ABCDEFG"),
                                .from_name = name,
                                .from_address = "b@example.org",
                                .message_id = "1@example.org"};
        const uint8_t *end;

        if (letter_compose(&letter, &message) != 0)
                abort();
        end = memmem(message.data, message.len, "\r\n\r\n", 4);
        if (!end || memmem(message.data, (size_t)(end - message.data), "\nX-Evil:", 8))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct bytes bytes = bytes_of(data, size);

        fuzz_bounce(bytes);
        fuzz_template(bytes);
        fuzz_message(bytes);
        return 0;
}
