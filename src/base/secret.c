/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"

/*
 * One arena of locked pages, cut into power-of-two blocks with a free list for each size; a secret that no block holds gets
 * pages of its own. Blocks are wiped when they are released, so a free block is always zero but for its link.
 */
enum { ARENA_SIZE = 1 << 20, BLOCK_LEAST = 5 /* 32 bytes */, BLOCK_MOST = 15 /* 32 KiB */ };

struct block {
        struct block *next;
};

static struct {
        uint8_t *start;
        size_t used;
        struct block *free[BLOCK_MOST + 1];
        bool tried, unlocked;
} arena;

void memory_wipe(void *data, size_t len)
{
        if (len)
                explicit_bzero(data, len);
}

bool secret_locked(void)
{
        return !arena.unlocked;
}

static void *pages_new(size_t size)
{
        void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (pages == MAP_FAILED)
                abort();
        if (mlock(pages, size) < 0)
                arena.unlocked = true;
        /* Both are advice for the day a dump or a fork happens; without them secrets still work. */
        (void)madvise(pages, size, MADV_DONTDUMP);
        (void)madvise(pages, size, MADV_WIPEONFORK);
        return pages;
}

static unsigned block_class(size_t len)
{
        unsigned class = BLOCK_LEAST;

        while (((size_t)1 << class) < len)
                class++;
        return class;
}

static uint8_t *block_new(size_t len)
{
        unsigned class = block_class(len);
        struct block *block;

        if (class > BLOCK_MOST)
                return pages_new(len);
        block = arena.free[class];
        if (block) {
                arena.free[class] = block->next;
                block->next = NULL;
                return (uint8_t *)block;
        }
        if (!arena.tried) {
                arena.start = pages_new(ARENA_SIZE);
                arena.tried = true;
        }
        if (arena.used + ((size_t)1 << class) > ARENA_SIZE) {
                /* The arena is never returned, so a new one simply takes its place. */
                arena.start = pages_new(ARENA_SIZE);
                arena.used = 0;
        }
        block = (void *)(arena.start + arena.used);
        arena.used += (size_t)1 << class;
        return (uint8_t *)block;
}

struct secret secret_new(size_t len)
{
        if (!len)
                return SECRET_NONE;
        return (struct secret){block_new(len), len};
}

struct secret secret_copy(struct bytes bytes)
{
        struct secret secret = secret_new(bytes.len);

        if (bytes.len)
                memcpy(secret.data, bytes.data, bytes.len);
        return secret;
}

/* `len` of a truncated secret no longer tells its block, so the block's size is never derived from it: see secret_truncate(). */
void secret_done(struct secret *secret)
{
        if (secret->data) {
                unsigned class = block_class(secret->len);

                memory_wipe(secret->data, secret->len);
                if (class > BLOCK_MOST) {
                        munmap(secret->data, secret->len);
                } else {
                        struct block *block = (void *)secret->data;
                        block->next = arena.free[class];
                        arena.free[class] = block;
                }
        }
        *secret = SECRET_NONE;
}

struct secret secret_take(struct secret *secret)
{
        struct secret taken = *secret;

        *secret = SECRET_NONE;
        return taken;
}

/* Copies into a block of the right size, so that secret_done() finds the class by the length. */
void secret_truncate(struct secret *secret, size_t len)
{
        struct secret shorter;

        if (len >= secret->len)
                return;
        shorter = secret_copy(bytes_of(secret->data, len));
        secret_done(secret);
        *secret = shorter;
}

int secret_read(int fd, size_t limit, struct secret *ret_secret)
{
        CLEANUP(secret_done) struct secret all = secret_new(limit + 1);
        size_t used = 0;

        for (;;) {
                size_t len;

                TRY(fd_read(fd, all.data + used, limit + 1 - used, &len));
                if (!len)
                        break;
                used += len;
                if (used > limit)
                        return refuse(PROBLEM_TOO_LARGE, "The secret is longer than %zu bytes.", limit);
        }
        if (used && all.data[used - 1] == '\n')
                used--;
        if (used && all.data[used - 1] == '\r')
                used--;
        *ret_secret = secret_copy(bytes_of(all.data, used));
        return 0;
}

int secret_write(int fd, const struct secret *secret)
{
        return fd_write_all(fd, secret->data, secret->len);
}

void buf_wipe(struct buf *buf)
{
        if (buf->len)
                memory_wipe(buf->data, buf->len);
        buf_done(buf);
}
