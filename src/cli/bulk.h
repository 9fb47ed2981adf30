/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An enrollment of many: selectors, then lists, asked of the server page by page, each page written out before the next
 * is asked. What it holds in memory does not grow with the number of people, but for 16 bytes each when several
 * selectors may name the same ones.
 *
 * With files it can be killed at any point and goes on when it is asked for again: a journal beside the file (its name
 * with ".progress") has the nonce of the page under way, so that the server gives the same answer again, and how long
 * the files were before it. What the same command finds in the files is then whole, each person once. The journal
 * goes when all is done.
 */
#include "cli/server.h"
#include "cli/terminal.h"

struct bulk_file {
        char *path; /* NULL: none is written */
        int fd;
        struct buf lines; /* of the page */
};

/* Whom the pages had before: digests of ids. */
struct seen {
        uint8_t (*slots)[16];
        size_t size, count;
        bool off;
};

struct bulk_show {
        int (*page)(void *context, const struct msg_user_enroll_reply *page);
        void *context;
};

struct bulk {
        struct server *server;
        struct msg_user_enroll ask;  /* the selectors, and what is asked of each page */
        struct msg_texts list_paths; /* lists of people, after the selectors */
        struct buf *lists;
        struct msg_bulk_journal at;
        char *journal; /* NULL: none is kept */
        bool went_on;  /* the files were begun before */
        struct bulk_file tokens, report, seen_file;
        struct seen seen;
};

void bulk_done(struct bulk *bulk);
/* Where to: token lines, and a report without tokens; NULL: none. Reads the lists, opens or takes up the files.
 * server, ask, list_paths are set by then. PROBLEM_EXISTS: a file is there, of no such command. PROBLEM_BUSY: another
 * process writes it. */
int bulk_open(struct bulk *bulk, const char *tokens, const char *report) must_check;
/* Each page is shown before it counts as done: what was shown may be shown again after a crash. While the server is
 * away the page is asked again for a while. */
int bulk_run(struct bulk *bulk, const struct bulk_show *show) must_check;
