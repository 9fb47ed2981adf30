/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target without a fuzzer, over the files of the folders given: each as it is, its beginnings, and each
 * byte of it altered. What once was found stays found, with any compiler and under valgrind.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"

enum { FILE_MOST = 1 << 20, VARIANTS = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory of exactly that size, so that a sanitizer or valgrind sees every byte read beyond. */
static void run_exactly(struct bytes input)
{
        CLEANUP(mem_freep)
        uint8_t *copy = mem_copy(input.len ? input.data : (const uint8_t *)"", MAX(input.len, (size_t)1));

        (void)LLVMFuzzerTestOneInput(copy, input.len);
}

static void run_variants(struct buf *content)
{
        size_t step = content->len / VARIANTS + 1;

        for (size_t at = 0; at < content->len; at += step) {
                run_exactly(bytes_of(content->data, at));
                for (unsigned change = 1; change <= 0x80; change <<= 7) {
                        content->data[at] ^= (uint8_t)change;
                        run_exactly(buf_view(content));
                        content->data[at] ^= (uint8_t)change;
                }
        }
}

static int run_folder(const char *folder)
{
        DIR *entries = opendir(folder);
        int count = 0;

        for (struct dirent *entry; entries && (entry = readdir(entries));) {
                CLEANUP(mem_freep) char *path = text_format("%s/%s", folder, entry->d_name);
                CLEANUP(buf_done) struct buf content = BUF_NONE;

                if (entry->d_name[0] == '.')
                        continue;
                if (file_read(path, FILE_MOST, &content) != 0) {
                        fprintf(stderr, "%s\n", report_text());
                        exit(1);
                }
                run_exactly(buf_view(&content));
                run_variants(&content);
                count++;
        }
        if (entries)
                closedir(entries);
        return count;
}

int main(int argc, char **argv)
{
        int count = 0;

        for (int i = 1; i < argc; i++)
                count += run_folder(argv[i]);
        printf("%d files\n", count);
        return count ? 0 : 1; /* a target without seeds tests nothing */
}
