/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a front counts, as Prometheus text (version 0.0.4). */
#include "base/buf.h"
#include "protocol/routes.h"

enum { METRICS_ROUTES = 64, METRICS_BUCKETS = 13 };
/* Beside the routes of the API. */
enum metrics_page { METRICS_DOCUMENT = METRICS_ROUTES, METRICS_HEALTH, METRICS_OTHER, METRICS_PAGES };
enum metrics_refused { REFUSED_ADDRESS, REFUSED_DESCRIPTORS, REFUSED_COUNT };

struct metrics {
        uint64_t requests[METRICS_PAGES][6]; /* by hundreds of the status */
        uint64_t buckets[METRICS_BUCKETS + 1], count;
        double sum;
        uint64_t connections_total, connections_refused[REFUSED_COUNT], connections_cut;
};

/* An API request is over. */
void metrics_latency(struct metrics *metrics, double seconds);
void metrics_request(struct metrics *metrics, unsigned page, unsigned status);
/* Everything is labelled with the process, since the fronts of a server share the socket that this is read from. */
void metrics_add(const struct metrics *metrics, size_t connections, bool engine, struct buf *out);
