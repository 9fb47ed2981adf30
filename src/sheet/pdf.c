/* SPDX-License-Identifier: Apache-2.0 */
/* Sheets as PDF: text by Pango, which knows every script, pages by Cairo. */
#include <string.h>

#include "base/fault.h"
#include "base/text.h"
#include "sheet/sheet.h"

#include <cairo-pdf.h>
#include <pango/pangocairo.h> /* last: GLib undefines MIN and MAX before it defines its own */
#include <qrencode.h>

/* In points; A4. */
static const double WIDTH = 595, HEIGHT = 842, MARGIN = 64, PARAGRAPH_GAP = 13, QR_SIZE = 120, BOX_PADDING = 16;

struct page {
        cairo_t *cairo;
        double y;
};

static cairo_status_t write_to(void *context, const unsigned char *data, unsigned len)
{
        buf_add(context, data, len);
        return CAIRO_STATUS_SUCCESS;
}

static PangoLayout *layout_make(struct page *page, const char *font, double width, const char *text, int len)
{
        PangoLayout *layout = pango_cairo_create_layout(page->cairo);
        PangoFontDescription *description = pango_font_description_from_string(font);

        /* Sizes are points, not the pixels of some screen. */
        pango_cairo_context_set_resolution(pango_layout_get_context(layout), 72);
        pango_layout_set_font_description(layout, description);
        pango_layout_set_width(layout, (int)(width * PANGO_SCALE));
        pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
        pango_layout_set_text(layout, text, len);
        pango_font_description_free(description);
        return layout;
}

static void layout_show(struct page *page, PangoLayout *layout, double x, double gap)
{
        int height;

        pango_layout_get_size(layout, NULL, &height);
        cairo_move_to(page->cairo, x, page->y);
        pango_cairo_show_layout(page->cairo, layout);
        page->y += (double)height / PANGO_SCALE + gap;
        g_object_unref(layout);
}

static void paragraph(struct page *page, const char *font, const char *text)
{
        if (text)
                layout_show(page, layout_make(page, font, WIDTH - 2 * MARGIN, text, -1), MARGIN, PARAGRAPH_GAP);
}

static void cleaned(struct page *page, const char *font, const char *text, size_t most)
{
        CLEANUP(buf_done) struct buf clean = BUF_NONE;

        text_add_printable(&clean, bytes_text(text), most);
        layout_show(page, layout_make(page, font, WIDTH - 2 * MARGIN, buf_text(&clean), -1), MARGIN, 2);
}

/* In groups, on a line of its own, in a box: it is typed from here. */
static void token_box(struct page *page, const char *label, const struct secret *token)
{
        PangoLayout *layout = layout_make(page, "monospace bold 22", WIDTH - 2 * MARGIN - 2 * BOX_PADDING,
                                          (const char *)token->data, (int)token->len);
        int height;

        paragraph(page, "sans 10", label);
        page->y -= PARAGRAPH_GAP / 2.0;
        pango_layout_get_size(layout, NULL, &height);
        cairo_rectangle(page->cairo, MARGIN, page->y, WIDTH - 2 * MARGIN, (double)height / PANGO_SCALE + 2 * BOX_PADDING);
        cairo_set_line_width(page->cairo, 1.2);
        cairo_stroke(page->cairo);
        page->y += BOX_PADDING;
        layout_show(page, layout, MARGIN + BOX_PADDING, BOX_PADDING + PARAGRAPH_GAP * 1.5);
}

/* Symbols without dashes are all of the small alphabet of QR codes, which the library takes by itself: it is small and reads well. */
static int qr_draw(struct page *page, const struct secret *token)
{
        CLEANUP(secret_done) struct secret text = secret_new(token->len + 1);
        size_t len = 0;
        double scale;
        QRcode *code;

        for (size_t i = 0; i < token->len; i++)
                if (token->data[i] != '-')
                        text.data[len++] = token->data[i];
        code = QRcode_encodeString((const char *)text.data, 0, QR_ECLEVEL_M, QR_MODE_8, 1);
        if (!code)
                return fault(0, "the QR code of a token cannot be made");
        scale = QR_SIZE / code->width;
        for (int i = 0; i < code->width * code->width; i++)
                if (code->data[i] & 1)
                        cairo_rectangle(page->cairo, WIDTH - MARGIN - QR_SIZE + i % code->width * scale,
                                        HEIGHT - MARGIN - QR_SIZE + i / code->width * scale, scale, scale);
        cairo_set_antialias(page->cairo, CAIRO_ANTIALIAS_NONE);
        cairo_fill(page->cairo);
        cairo_set_antialias(page->cairo, CAIRO_ANTIALIAS_DEFAULT);
        QRcode_free(code);
        return 0;
}

static int page_draw(cairo_t *cairo, const struct msg_sheet *sheet)
{
        struct page page = {cairo, MARGIN};
        CLEANUP(sheet_words_done) struct sheet_words words = {0};

        sheet_words_fill(sheet, &words);
        paragraph(&page, "sans bold 17", words.title);
        page.y += PARAGRAPH_GAP;
        cleaned(&page, "sans bold 12", msg_text(sheet->name), 512);
        cleaned(&page, "sans 11", msg_text(sheet->address), 320);
        page.y += PARAGRAPH_GAP * 1.5;
        paragraph(&page, "sans 11", words.intro);
        page.y += PARAGRAPH_GAP;
        token_box(&page, words.token_label, &sheet->token);
        paragraph(&page, "sans 11", words.other);
        paragraph(&page, "sans bold 11", words.until);
        paragraph(&page, "sans 11", words.run);
        paragraph(&page, "monospace 11", words.command);
        paragraph(&page, "sans 11", words.typed);
        paragraph(&page, "sans 11", words.secret);
        TRY(qr_draw(&page, &sheet->token));
        cairo_show_page(cairo);
        return 0;
}

int sheet_pdf(const struct msg_sheet_print *ask, struct buf *ret_file)
{
        cairo_surface_t *surface = cairo_pdf_surface_create_for_stream(write_to, ret_file, WIDTH, HEIGHT);
        cairo_t *cairo = cairo_create(surface);
        cairo_status_t status;
        int r = 0;

        for (size_t i = 0; !r && i < ask->sheets.count; i++)
                r = page_draw(cairo, &ask->sheets.at[i]);
        cairo_destroy(cairo);
        cairo_surface_finish(surface);
        status = cairo_surface_status(surface);
        cairo_surface_destroy(surface);
        if (!r && status != CAIRO_STATUS_SUCCESS)
                r = fault(0, "the pages cannot be drawn: %s", cairo_status_to_string(status));
        return PASS(r);
}
